//! T01 to T16: renames, copies, truncations, links, restarts.

use super::*;
use std::process::Command;

#[test]
fn t01_a_renamed_file_is_read_to_its_end_before_the_new_one() {
    for pattern in ["access.log", "access.log*"] {
        let mut bench = Bench::new(pattern, StartAt::Beginning);
        bench.append("access.log", "one\n");
        bench.poll();
        bench.append("access.log", "two\n");
        bench.rename("access.log", "access.log.1");
        bench.append("access.log", "three\n");
        bench.saw(&["one", "two", "three"]);
    }
}

#[test]
fn t02_a_server_that_keeps_writing_to_the_renamed_file_is_heard() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.poll();
    bench.rename("access.log", "access.log.1");
    bench.append("access.log", "new\n");
    bench.poll_after(20);
    bench.append("access.log.1", "late\n");
    bench.poll_after(20);
    bench.append("access.log.1", "later\n");
    bench.saw(&["one", "new", "late", "later"]);
    bench.poll_after(40);
    assert_eq!(bench.tailer.files.len(), 1, "the old file is let go");
}

#[test]
fn t03_a_file_that_was_rotated_twice_between_two_looks_is_read_though_no_pattern_covers_it() {
    for packed in [false, true] {
        let mut bench = Bench::new("access.log", StartAt::Beginning);
        bench.append("access.log.3", "history\n");
        bench.append("access.log", "one\n");
        bench.poll();
        bench.append("access.log", "two\n");
        bench.rename("access.log", "access.log.2");
        bench.append("access.log", "middle\n");
        bench.rename("access.log", "access.log.1");
        bench.append("access.log", "three\n");
        if packed {
            let gzip = Command::new("gzip")
                .arg(bench.path("access.log.1"))
                .status();
            assert!(gzip.unwrap().success());
        }
        bench.saw(&["one", "two", "middle", "three"]);
        bench.poll_after(100);
        assert_eq!(bench.lines.len(), 4);
    }
}

#[test]
fn t09_t10_what_was_rotated_and_packed_while_we_were_stopped_is_finished_in_its_archive() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.poll();
    let positions = bench.tailer.checkpoint();
    bench.append("access.log", "two\n");
    bench.rename("access.log", "access.log.1");
    bench.append("access.log", "three\n");
    let gzip = Command::new("gzip")
        .arg(bench.path("access.log.1"))
        .status();
    assert!(gzip.unwrap().success());
    bench.restart(positions);
    bench.saw(&["one", "two", "three"]);
}

#[test]
fn t02_a_renamed_file_that_was_let_go_is_taken_up_when_it_grows_again() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.poll();
    bench.rename("access.log", "access.log.1");
    bench.append("access.log", "two\n");
    bench.poll();
    bench.poll_after(600);
    assert_eq!(bench.tailer.files.len(), 1, "the old file is let go");
    bench.append("access.log.1", "late\n");
    bench.saw(&["one", "two", "late"]);
}

#[test]
fn t04_t05_what_copytruncate_took_is_read_from_the_copy_and_never_twice() {
    for pattern in ["access.log", "access.log*"] {
        let mut bench = Bench::new(pattern, StartAt::Beginning);
        bench.append("access.log", "one\n");
        bench.poll();
        bench.copytruncate("access.log", "access.log.1");
        bench.poll();
        bench.append("access.log", "two, long enough to be past the old end\n");
        bench.poll();
        bench.append("access.log", "three\n");
        bench.rename("access.log.1", "access.log.2");
        bench.copytruncate("access.log", "access.log.1");
        bench.append("access.log", "four\n");
        bench.saw(&[
            "one",
            "two, long enough to be past the old end",
            "three",
            "four",
        ]);
        bench.poll_after(100);
        assert_eq!(bench.lines.len(), 4);
    }
}

#[test]
fn t06_t07_a_file_rewritten_to_the_same_or_a_larger_size_is_read_anew() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.poll();
    fs::write(bench.path("access.log"), "two\n").unwrap();
    bench.poll();
    fs::write(bench.path("access.log"), "three\nfour\n").unwrap();
    bench.poll();
    assert_eq!(bench.lines, ["one", "two", "three", "four"]);
    // What was written between a look and the rewriting nobody can know.
    let told: Vec<_> = bench
        .gaps
        .iter()
        .map(|gap| (gap.offset_bytes, gap.bytes))
        .collect();
    assert_eq!(told, [(4, None), (4, None)]);
}

#[test]
fn t08_a_file_truncated_while_we_were_stopped_is_a_gap_and_is_read_anew() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\ntwo\n");
    bench.poll();
    fs::write(bench.path("access.log"), "new\n").unwrap();
    bench.restart(bench.tailer.checkpoint());
    bench.poll();
    assert_eq!(bench.lines, ["one", "two", "new"]);
    assert_eq!(bench.gaps.len(), 1);
    assert_eq!((bench.gaps[0].offset_bytes, bench.gaps[0].bytes), (8, None));
}

#[test]
fn t09_a_file_rotated_while_we_were_stopped_is_finished_under_its_new_name() {
    for written in [true, false] {
        let mut bench = Bench::new("access.log", StartAt::Beginning);
        bench.append("access.log", "one\n");
        bench.poll();
        let journal = bench.positions.clone();
        let positions = if written {
            bench.tailer.checkpoint()
        } else {
            journal
        };
        bench.append("access.log", "two\n");
        bench.rename("access.log", "access.log.1");
        bench.append("access.log", "three\n");
        bench.restart(positions);
        bench.saw(&["one", "two", "three"]);
    }
}

#[test]
fn t10_a_rotated_file_that_was_packed_is_not_read_again() {
    let mut bench = Bench::new("access.log*", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.poll();
    bench.rename("access.log", "access.log.1");
    bench.append("access.log", "two\n");
    bench.poll();
    let packed = Command::new("gzip")
        .arg(bench.path("access.log.1"))
        .status();
    assert!(packed.unwrap().success());
    bench.saw(&["one", "two"]);
}

#[test]
fn t15_two_files_with_the_same_first_line_are_two_files() {
    let mut bench = Bench::new("*.log", StartAt::Beginning);
    bench.append("a.log", "#Fields: x\none\n");
    bench.append("b.log", "#Fields: x\ntwo\n");
    bench.saw(&["#Fields: x", "one", "#Fields: x", "two"]);
}

#[test]
fn what_was_fed_can_be_read_again_and_what_is_gone_is_a_gap() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "\u{feff}one\ntwo\n");
    bench.poll();
    bench.rename("access.log", "access.log.1");
    bench.append("access.log", "three\n");
    bench.poll();
    bench.restart(bench.positions.clone());
    for (extent, lines) in &bench.extents {
        assert_eq!(texts(&bench.tailer.reread(extent).unwrap()), *lines);
    }
    fs::write(bench.path("access.log.1"), "other\n").unwrap();
    assert!(bench.tailer.reread(&bench.extents[0].0).is_err());
}

#[test]
fn t12_the_hard_link_that_rotatelogs_keeps_on_its_newest_file_is_one_log() {
    for pattern in ["access.log", "access.log*"] {
        let mut bench = Bench::new(pattern, StartAt::Beginning);
        let mut rotatelogs = Command::new("rotatelogs")
            .args(["-L", "access.log", "access.log.%s", "1"])
            .current_dir(bench.folder.path())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("rotatelogs is installed by tests/all (Debian: apache2)");
        let mut pipe = rotatelogs.stdin.take().unwrap();
        let mut expected = Vec::new();
        // One file a second: a line more whenever the one before was seen, until there were four files.
        let deadline = Instant::now() + Duration::from_secs(30);
        while fs::read_dir(bench.folder.path()).unwrap().count() < 5 {
            assert!(Instant::now() < deadline, "{} lines", expected.len());
            let line = format!("line {}", expected.len());
            // In one write, as servers do: it rotates between two.
            pipe.write_all(format!("{line}\n").as_bytes()).unwrap();
            expected.push(line);
            while bench.lines.len() < expected.len() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
                bench.poll();
            }
        }
        drop(pipe);
        assert!(rotatelogs.wait().unwrap().success());
        bench.poll_after(100);
        assert_eq!(bench.lines, expected);
        assert_eq!(bench.gaps, []);
    }
}

#[test]
fn t13_a_link_that_is_pointed_to_the_next_file_or_to_nothing_is_followed() {
    let mut bench = Bench::new("current", StartAt::Beginning);
    let point = |bench: &Bench, to: &str| {
        let beside = bench.path("next-link");
        std::os::unix::fs::symlink(bench.path(to), &beside).unwrap();
        fs::rename(beside, bench.path("current")).unwrap();
    };
    bench.append("day-1.log", "one\n");
    point(&bench, "day-1.log");
    bench.poll();
    bench.append("day-1.log", "two\n");
    point(&bench, "day-2.log");
    bench.poll();
    assert_eq!(bench.lines, ["one", "two"], "nothing is there yet");
    // A writer that has not noticed yet.
    bench.append("day-1.log", "three\n");
    bench.append("day-2.log", "four\n");
    bench.saw(&["one", "two", "three", "four"]);
    fs::remove_file(bench.path("current")).unwrap();
    bench.append("day-2.log", "five\n");
    bench.saw(&["one", "two", "three", "four", "five"]);
    point(&bench, "day-2.log");
    bench.append("day-2.log", "six\n");
    bench.saw(&["one", "two", "three", "four", "five", "six"]);
}

#[test]
fn t14_a_file_that_got_the_inode_of_a_deleted_one_is_another_file() {
    for stopped in [true, false] {
        let mut bench = Bench::new("*.log", StartAt::Beginning);
        bench.append("a.log", "same length 1\n");
        bench.poll();
        let inode = |bench: &Bench, name: &str| {
            let metadata = fs::metadata(bench.path(name)).unwrap();
            std::os::unix::fs::MetadataExt::ino(&metadata)
        };
        let before = inode(&bench, "a.log");
        let positions = bench.tailer.checkpoint();
        if stopped {
            bench.tailer = Tailer::new(Vec::new(), StartAt::End);
        }
        fs::remove_file(bench.path("a.log")).unwrap();
        if !stopped {
            bench.poll_after(40);
            bench.poll_after(40);
            assert_eq!(bench.tailer.files.len(), 0, "the deleted file is let go");
        }
        // The file system gives the number again sooner or later: ext4 at once, others after a while.
        let mut tries = 0;
        bench.append("a.log", "same length 2\n");
        while inode(&bench, "a.log") != before && tries < 2000 {
            fs::rename(bench.path("a.log"), bench.path(&format!("other-{tries}"))).unwrap();
            bench.append("a.log", "same length 2\n");
            tries += 1;
        }
        if inode(&bench, "a.log") != before {
            println!("skipped: this file system gave no inode twice in {tries} files");
            return;
        }
        if stopped {
            bench.tailer = Tailer::new(vec![bench.path("*.log").into()], StartAt::End);
            let gaps = bench.tailer.resume(positions, bench.now);
            assert!(gaps.len() <= 1, "{gaps:?}");
        }
        bench.poll();
        assert_eq!(bench.lines, ["same length 1", "same length 2"]);
    }
}

#[test]
fn t16_a_file_that_leaves_the_glob_and_comes_back_goes_on_where_it_was() {
    for long in [false, true] {
        let mut bench = Bench::new("*.log", StartAt::Beginning);
        bench.append("a.log", "one\n");
        bench.poll();
        bench.append("a.log", "two\n");
        fs::create_dir(bench.path("elsewhere")).unwrap();
        bench.rename("a.log", "elsewhere/kept");
        bench.saw(&["one", "two"]);
        if long {
            bench.poll_after(40);
            bench.poll_after(40);
            assert_eq!(bench.tailer.files.len(), 0, "it is let go");
        }
        bench.append("elsewhere/kept", "three\n");
        bench.rename("elsewhere/kept", "b.log");
        bench.saw(&["one", "two", "three"]);
    }
}

#[test]
fn what_came_under_a_name_before_it_is_given_up_is_read_and_what_comes_later_is_not() {
    let mut bench = Bench::new("*.log", StartAt::Beginning);
    bench.append("a.log", "one\n");
    bench.poll();
    bench.append("b.log", "two\n");
    let wanted = vec![bench.path("a.log").into()];
    bench.tailer.rename(wanted, Vec::new(), bench.now);
    bench.saw(&["one", "two"]);
    bench.append("b.log", "three\n");
    bench.append("c.log", "four\n");
    bench.append("a.log", "five\n");
    bench.saw(&["one", "two", "five"]);
}

#[test]
fn t05_t60_what_copytruncate_takes_while_a_crash_is_replayed_is_replayed_from_the_copy() {
    for packed in [false, true] {
        let mut bench = Bench::new("access.log", StartAt::Beginning);
        bench.append("access.log", "one, long enough to be told from others\n");
        bench.poll();
        bench.append("access.log", "two\n");
        bench.poll();
        bench.restart(bench.positions.clone());
        bench.append("access.log", "three\n");
        bench.copytruncate("access.log", "access.log.1");
        bench.append("access.log", "four\n");
        if packed {
            let gzip = Command::new("gzip")
                .arg(bench.path("access.log.1"))
                .status();
            assert!(gzip.unwrap().success());
        }
        for (extent, lines) in bench.extents.clone() {
            assert_eq!(texts(&bench.tailer.reread(&extent).unwrap()), lines);
        }
        bench.poll();
        assert_eq!(bench.lines[2..], ["three", "four"]);
        assert_eq!(bench.gaps, []);
    }
}

#[test]
fn t09_an_archive_that_was_read_and_is_thrown_away_while_we_are_stopped_is_no_loss() {
    for done in [true, false] {
        let mut bench = Bench::new("access.log", StartAt::Beginning);
        bench.append("access.log", "one\n");
        bench.poll();
        if !done {
            bench.append("access.log", "never read\n");
        }
        let written = bench.tailer.checkpoint();
        bench.rename("access.log", "access.log.1");
        bench.append("access.log", "two\n");
        let positions = if done {
            bench.poll();
            bench.tailer.checkpoint()
        } else {
            written
        };
        fs::remove_file(bench.path("access.log.1")).unwrap();
        bench.restart(positions);
        bench.poll();
        assert_eq!(bench.lines, ["one", "two"]);
        assert_eq!(bench.gaps.len(), usize::from(!done));
    }
}
