//! T40 to T54: what file systems do.

use super::*;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

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
            .args(["--exact", "ingest::tail::tests::system::t43_a_file_that_may_not_be_read_is_told_once_and_read_when_it_may"])
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

#[test]
fn t42_a_folder_that_appears_later_and_is_deleted_and_made_again_is_followed() {
    for pattern in ["new/*.log", "new/a.log", "new"] {
        let mut bench = Bench::new(pattern, StartAt::End);
        bench.poll();
        fs::create_dir(bench.path("new")).unwrap();
        bench.poll();
        bench.append("new/a.log", "one\n");
        bench.saw(&["one"]);
        bench.append("new/a.log", "two\n");
        fs::remove_dir_all(bench.path("new")).unwrap();
        bench.saw(&["one", "two"]);
        assert_eq!(
            bench.tailer.faults().count(),
            1,
            "{pattern}: its absence is told"
        );
        fs::create_dir(bench.path("new")).unwrap();
        bench.append("new/a.log", "three\n");
        bench.saw(&["one", "two", "three"]);
        assert_eq!(bench.tailer.faults().count(), 0, "{pattern}");
    }
}

#[test]
fn t52_ten_thousand_files_are_followed_at_once() {
    const FILES: usize = 10_000;
    let allowed = crate::ingest::open::allow_many_files();
    if allowed < FILES as u64 + 500 {
        println!("skipped: this process may open {allowed} files at most");
        return;
    }
    let mut bench = Bench::new("*.log", StartAt::Beginning);
    for number in 0..FILES {
        fs::write(
            bench.path(&format!("{number}.log")),
            format!("{number} a\n"),
        )
        .unwrap();
    }
    bench.poll();
    for number in (0..FILES).step_by(7) {
        bench.append(&format!("{number}.log"), format!("{number} b\n"));
    }
    bench.poll();
    assert_eq!(bench.lines.len(), FILES + FILES.div_ceil(7));
    let distinct: BTreeSet<_> = bench.lines.iter().collect();
    assert_eq!(distinct.len(), bench.lines.len());
    assert_eq!((bench.gaps.len(), bench.faults.len()), (0, 0));
}

/// A mount that is taken away when it is dropped; `None` where mounting is not allowed.
struct Mount(PathBuf);

impl Mount {
    fn new(kind: &str, options: &str, at: &Path) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", kind, "-o", options, kind])
            .arg(at)
            .output();
        mount
            .is_ok_and(|mount| mount.status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A lazy one: the tailer may have files open still.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn t53_a_file_that_an_overlay_copies_up_when_it_is_first_written_to_is_the_same_file() {
    let mut bench = Bench::new("merged/*.log", StartAt::Beginning);
    for part in ["lower", "upper", "work", "merged"] {
        fs::create_dir(bench.path(part)).unwrap();
    }
    bench.append("lower/a.log", "one\n");
    let at = bench.folder.path().display();
    let options = format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work");
    let Some(mount) = Mount::new("overlay", &options, &bench.path("merged")) else {
        println!("skipped: mounting an overlay file system needs root");
        return;
    };
    bench.poll();
    bench.append("merged/a.log", "two\n");
    assert!(bench.path("upper/a.log").exists(), "it was copied up");
    bench.saw(&["one", "two"]);
    let positions = bench.tailer.checkpoint();
    bench.append("merged/a.log", "three\n");
    bench.restart(positions);
    bench.saw(&["one", "two", "three"]);
    bench.tailer = Tailer::new(Vec::new(), StartAt::End);
    drop(mount);
}
