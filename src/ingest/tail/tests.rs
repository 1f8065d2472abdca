//! The scenarios of rotation, truncation and restart, on real files with a clock of their own.

use super::*;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A folder of logs, a tailer on it, and a clock.
struct Bench {
    folder: tempfile::TempDir,
    tailer: Tailer,
    now: Instant,
    lines: Vec<String>,
    gaps: Vec<Gap>,
    faults: Vec<TailFault>,
    positions: Positions,
    extents: Vec<(Extent, Vec<String>)>,
}

fn texts(chunk: &Chunk) -> Vec<String> {
    chunk.lines().map(|line| line.text.to_owned()).collect()
}

impl Bench {
    fn new(pattern: &str, start: StartAt) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tailer = Tailer::new(vec![folder.path().join(pattern).into()], start);
        Self {
            folder,
            tailer,
            now: Instant::now(),
            lines: Vec::new(),
            gaps: Vec::new(),
            faults: Vec::new(),
            positions: Positions::default(),
            extents: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn copytruncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
        let file = OpenOptions::new()
            .write(true)
            .open(self.path(from))
            .unwrap();
        file.set_len(0).unwrap();
    }

    /// Lets so many seconds pass and polls until nothing is left.
    fn poll_after(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        loop {
            let polled = self.tailer.poll(self.now, 1 << 20);
            for position in &polled.opened {
                self.positions.open(position);
            }
            for batch in polled.batches {
                self.positions.advance(&batch.extent);
                self.lines.extend(texts(&batch.chunk));
                self.extents.push((batch.extent, texts(&batch.chunk)));
            }
            self.gaps.extend(polled.gaps);
            self.faults.extend(polled.faults);
            if !polled.more {
                break;
            }
        }
    }

    fn poll(&mut self) {
        self.poll_after(3);
    }

    /// A new process that has only what was written down.
    fn restart(&mut self, positions: Positions) {
        self.tailer = Tailer::new(self.tailer.patterns.clone(), StartAt::End);
        let gaps = self.tailer.resume(positions, self.now);
        self.gaps.extend(gaps);
    }

    #[track_caller]
    fn saw(&mut self, expected: &[&str]) {
        self.poll();
        assert_eq!(self.lines, expected);
        assert_eq!(self.gaps, []);
    }
}

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
fn t20_a_partial_line_waits_for_its_end() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\npar");
    bench.poll();
    bench.append("access.log", "tial\r\n");
    bench.saw(&["one", "partial"]);
}

#[test]
fn t21_a_line_that_is_never_completed_is_told_when_its_file_is_left() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\npartial");
    bench.poll();
    bench.rename("access.log", "access.log.1");
    bench.append("access.log", "two\n");
    bench.saw(&["one", "two"]);
    bench.poll_after(40);
    assert_eq!(bench.lines, ["one", "two", "partial"]);
}

#[test]
fn t24_t25_long_lines_and_holes_are_passed_also_across_a_restart() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.append("access.log", vec![b'x'; lines::LINE_BYTES_MAX * 2]);
    bench.poll();
    bench.restart(bench.positions.clone());
    bench.append("access.log", "end\ntwo\n");
    bench.append("access.log", vec![0; lines::LINE_BYTES_MAX * 2]);
    bench.append("access.log", "three\n");
    bench.poll();
    let lengths: Vec<_> = bench.lines.iter().map(String::len).collect();
    assert_eq!(lengths, [3, lines::LINE_BYTES_MAX, 3, 5]);
}

#[test]
fn t40_a_deleted_file_is_read_to_its_end() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.poll();
    bench.append("access.log", "two\n");
    fs::remove_file(bench.path("access.log")).unwrap();
    bench.saw(&["one", "two"]);
    bench.append("access.log", "three\n");
    bench.saw(&["one", "two", "three"]);
}

#[test]
fn t41_files_there_at_first_start_begin_at_their_end_and_later_ones_at_their_beginning() {
    let mut bench = Bench::new("*.log", StartAt::End);
    bench.append("old.log", "before\nunfin");
    bench.poll();
    bench.append("old.log", "ished\n");
    bench.append("new.log", "first\n");
    bench.poll();
    bench.lines.sort();
    bench.saw(&["first", "unfinished"]);
}

#[test]
fn t43_a_file_that_may_not_be_read_is_told_once_and_read_when_it_may() {
    const AS_NOBODY: &str = "TOKENTRIP_TEST_AS_NOBODY";
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if is_root && std::env::var_os(AS_NOBODY).is_none() {
        // Root may read everything: the same test again as nobody.
        let test = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ingest::tail::tests::t43_a_file_that_may_not_be_read_is_told_once_and_read_when_it_may"])
            .env(AS_NOBODY, "1")
            .uid(65_534)
            .gid(65_534)
            .output();
        let test = test.unwrap();
        assert!(
            test.status.success(),
            "{}",
            String::from_utf8_lossy(&test.stdout)
        );
        return;
    }
    let mut bench = Bench::new("*.log", StartAt::Beginning);
    bench.append("a.log", "one\n");
    bench.append("b.log", "two\n");
    let path = bench.path("a.log");
    let allow = |bits| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(bits);
        fs::set_permissions(&path, permissions).unwrap();
    };
    allow(0o000);
    bench.poll();
    bench.poll();
    assert_eq!(bench.faults.len(), 1);
    assert_eq!(bench.faults[0].path, path);
    allow(0o644);
    bench.saw(&["two", "one"]);
}

#[test]
fn t50_t51_t54_odd_names_fifos_and_two_names_of_one_file_are_no_trouble() {
    let mut bench = Bench::new("*", StartAt::Beginning);
    let odd = bench
        .folder
        .path()
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9 [1].log"));
    fs::write(&odd, "odd\n").unwrap();
    fs::hard_link(&odd, bench.path("second.log")).unwrap();
    fs::create_dir(bench.path("folder.log")).unwrap();
    let fifo = Command::new("mkfifo").arg(bench.path("fifo.log")).status();
    assert!(fifo.unwrap().success());
    bench.saw(&["odd"]);
    bench.restart(bench.tailer.checkpoint());
    bench.append("second.log", "more\n");
    bench.saw(&["odd", "more"]);
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
fn a_hint_shortens_the_wait() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.poll();
    bench.append("access.log", "two\n");
    bench.poll_after(0);
    assert_eq!(bench.lines, ["one"]);
    bench.tailer.hint(&Hint::Grown(bench.path("access.log")));
    bench.poll_after(0);
    assert_eq!(bench.lines, ["one", "two"]);
}
