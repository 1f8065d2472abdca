//! The daemon while the machine fails it: disks, rights, descriptors, notifications, receivers, and SIGKILL.
//!
//! In: real mounts, limits and signals. Out: every theft is found once, what is wrong is said, and it mends itself.
//! A test that needs root or a kernel's feature says so where it cannot have it; `tests/scenarios` lists that.

use crate::support::daemon::{Daemon, until, until_for};
use crate::support::hook::Hook;
use crate::support::house::{append, house, scanned, stored};
use crate::support::logs::{BROWSER, ISSUER, LISBON, MORNING_S, line, theft, token};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A file system that is taken away when it is dropped.
struct Mount(PathBuf);

impl Mount {
    /// `None`, and the reason printed, where mounting is not allowed.
    fn new(arguments: &[&str], at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount").args(arguments).arg(at).output();
        let done = mount.is_ok_and(|mount| mount.status.success());
        if !done {
            println!("skipped: mounting needs root");
        }
        done.then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A daemon may still have files open on it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What `/readyz` says of a part.
fn part(daemon: &Daemon, name: &str) -> (u16, String) {
    let (status, body) = daemon.get("/readyz").unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    (
        status,
        body["parts"][name].as_str().unwrap_or_default().to_owned(),
    )
}

fn subjects(daemon: &Daemon) -> BTreeSet<String> {
    let incidents = daemon.incidents();
    // What several subjects share has an incident of its own, without one.
    let subjects = incidents
        .iter()
        .filter_map(|incident| incident["subject"].as_str());
    subjects.map(str::to_owned).collect()
}

fn wait_for(daemon: &Daemon, subject: &str) {
    until(subject, || subjects(daemon).contains(subject).then_some(()));
}

/// A configuration with this source and a state folder.
fn config(source: &Path, state: &str) -> String {
    format!(
        "[[source]]\npath = \"{}\"\n[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n\
         [state]\nfolder = \"{state}\"\n",
        source.display()
    )
}

#[test]
fn t42_a_folder_of_logs_that_is_missing_is_said_and_followed_when_it_comes() {
    let (folder, _) = house();
    let logs = folder.path().join("logs");
    let daemon = Daemon::start(folder.path(), &config(&logs.join("*.log"), "state"));
    for (nth, subject) in ["ann", "ben"].into_iter().enumerate() {
        until("a daemon that misses the folder", || {
            let missing = daemon.metric("tokentrip_source_faults", &["folder_not_found"]);
            (missing == 1.0 && part(&daemon, "sources").1.contains("folder_not_found"))
                .then_some(())
        });
        assert_eq!(daemon.get("/readyz").unwrap().0, 200, "it can be asked");
        assert!(daemon.log().contains("cannot be followed now"));
        fs::create_dir(&logs).unwrap();
        append(
            &logs.join("a.log"),
            theft(subject, MORNING_S + nth as i64 * 900).as_bytes(),
        );
        wait_for(&daemon, subject);
        until("a daemon that is well again", || {
            (part(&daemon, "sources").1 == "ready").then_some(())
        });
        fs::remove_dir_all(&logs).unwrap();
    }
}

#[test]
fn t44_on_a_full_disk_thefts_are_found_and_nothing_is_lost_when_there_is_room_again() {
    for killed in [false, true] {
        let (folder, config) = house();
        let log = folder.path().join("access.log");
        let state = folder.path().join("state");
        let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", "size=3m", "tmpfs"], &state) else {
            return;
        };
        let mut daemon = Daemon::start(folder.path(), &config);
        append(&log, theft("ann", MORNING_S).as_bytes());
        wait_for(&daemon, "ann");
        let filler = state.join("filler");
        fill(&filler);
        for nth in 1..12 {
            append(
                &log,
                theft(&format!("user-{nth}"), MORNING_S + nth * 900).as_bytes(),
            );
        }
        until("a daemon that says so", || {
            let waiting = daemon.metric("tokentrip_unstored", &[]);
            (waiting >= 11.0 && part(&daemon, "store").0 == 503).then_some(())
        });
        assert!(
            daemon
                .log()
                .contains("they wait in memory, detection goes on")
        );
        if killed {
            daemon.kill();
            fs::remove_file(&filler).unwrap();
            daemon = Daemon::start(folder.path(), &config);
        } else {
            fs::remove_file(&filler).unwrap();
        }
        until("everybody", || {
            (subjects(&daemon).len() == 12).then_some(())
        });
        until("a daemon that is well again", || {
            let waiting = daemon.metric("tokentrip_unstored", &[]);
            (waiting == 0.0 && part(&daemon, "store").0 == 200).then_some(())
        });
        assert!(daemon.terminate().success());
        assert_eq!(stored(folder.path()), scanned(folder.path()).0);
    }
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [64 << 10, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn t45_a_state_folder_that_may_not_be_written_is_said_until_it_may() {
    let (folder, config) = house();
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let owned = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(folder.path())
        .status();
    if !owned.unwrap().success() {
        println!("skipped: running as another user needs root");
        return;
    }
    let state = folder.path().join("state");
    let daemon = Daemon::launch_by(&nobody, folder.path(), &config);
    daemon.wait_until_ready();
    allow(&state, 0o500);
    // A journal that somebody removed has to be written anew.
    let journal = fs::read_dir(&state).unwrap().flatten();
    let mut journal =
        journal.filter(|entry| entry.file_name().to_string_lossy().starts_with("journal-"));
    fs::remove_file(journal.next().unwrap().path()).unwrap();
    until("a daemon that says so", || {
        let unwritten = daemon.metric("tokentrip_state_unwritten", &[]);
        (unwritten == 1.0 && part(&daemon, "state").0 == 503).then_some(())
    });
    assert!(
        daemon
            .log()
            .contains("the state cannot be written: going on without")
    );
    append(
        &folder.path().join("access.log"),
        theft("ann", MORNING_S).as_bytes(),
    );
    wait_for(&daemon, "ann");
    allow(&state, 0o700);
    until("a daemon that is well again", || {
        let unwritten = daemon.metric("tokentrip_state_unwritten", &[]);
        (unwritten == 0.0 && part(&daemon, "state").0 == 200).then_some(())
    });
    assert!(daemon.terminate().success());
    allow(&state, 0o500);
    fs::remove_file(state.join("lock")).unwrap();
    let mut refused = Daemon::launch_by(&nobody, folder.path(), &config);
    assert_eq!(refused.ended().code(), Some(2));
    assert!(refused.log().contains("make it writable for this user"));
}

/// Sets a file's mode.
pub(crate) fn allow(path: &Path, bits: u32) {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(bits);
    fs::set_permissions(path, permissions).unwrap();
}

#[test]
fn t46_a_disk_of_logs_that_fails_is_said_the_others_are_read_and_a_new_disk_is_followed() {
    let (folder, both) = house();
    let logs = folder.path().join("logs");
    let both = format!("[[source]]\npath = \"{}/*.log\"\n{both}", logs.display());
    let image = folder.path().join("image");
    let Some(disk) = ext4(&image, &logs) else {
        return;
    };
    append(&logs.join("a.log"), theft("ann", MORNING_S).as_bytes());
    let daemon = Daemon::start(folder.path(), &both);
    wait_for(&daemon, "ann");
    // Something that is still to be read when it fails.
    daemon.signal("STOP");
    append(
        &logs.join("a.log"),
        theft("nobody", MORNING_S + 600).as_bytes(),
    );
    if !fail(&logs) {
        println!("skipped: this kernel cannot shut a file system down");
        return;
    }
    daemon.signal("CONT");
    until("a daemon that says so", || {
        let failing = daemon.metric("tokentrip_source_faults", &["system"]);
        (failing >= 1.0 && part(&daemon, "sources").1.contains("system")).then_some(())
    });
    append(
        &folder.path().join("access.log"),
        theft("ben", MORNING_S + 900).as_bytes(),
    );
    wait_for(&daemon, "ben");
    drop(disk);
    let Some(_disk) = ext4(&folder.path().join("other-image"), &logs) else {
        return;
    };
    append(
        &logs.join("a.log"),
        theft("cyd", MORNING_S + 1800).as_bytes(),
    );
    wait_for(&daemon, "cyd");
    // The file on the disk that is gone is given up half a minute after it lost its name.
    until_for(
        Duration::from_secs(90),
        "a daemon that is well again",
        || (part(&daemon, "sources").1 == "ready").then_some(()),
    );
    let lost = theft("nobody", MORNING_S + 600).len() as f64;
    assert_eq!(daemon.metric("tokentrip_gap_bytes_total", &[]), lost);
    assert!(daemon.terminate().success());
}

/// A small disk of its own.
fn ext4(image: &Path, at: &Path) -> Option<Mount> {
    File::create(image).unwrap().set_len(16 << 20).unwrap();
    let made = Command::new("mkfs.ext4").arg("-q").arg(image).output();
    assert!(
        made.expect("mkfs.ext4 is installed by tests/all")
            .status
            .success()
    );
    let image = image.to_str().unwrap();
    Mount::new(&["-o", "loop", image], at)
}

/// From now on every read and write of the file system fails (`EXT4_IOC_SHUTDOWN`, without flushing its log).
fn fail(at: &Path) -> bool {
    let program = "import fcntl, os, struct, sys\n\
        fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
    let python = Command::new("python3")
        .args(["-c", program])
        .arg(at)
        .output();
    python.unwrap().status.success()
}

#[test]
fn t46_a_disk_of_the_state_that_fails_stops_no_finding_and_a_new_one_is_taken_into_use() {
    let (folder, config) = house();
    let state = folder.path().join("state");
    let log = folder.path().join("access.log");
    let Some(disk) = ext4(&folder.path().join("image"), &state) else {
        return;
    };
    let daemon = Daemon::start(folder.path(), &config);
    append(&log, theft("ann", MORNING_S).as_bytes());
    wait_for(&daemon, "ann");
    if !fail(&state) {
        println!("skipped: this kernel cannot shut a file system down");
        return;
    }
    append(&log, theft("ben", MORNING_S + 900).as_bytes());
    until("a daemon that says so", || {
        let waiting = daemon.metric("tokentrip_unstored", &[]);
        (waiting > 0.0 && part(&daemon, "store").0 == 503).then_some(())
    });
    drop(disk);
    wait_for(&daemon, "ben");
    until("a daemon that is well again", || {
        (daemon.get("/readyz").unwrap().0 == 200).then_some(())
    });
    let said = daemon.log();
    assert!(said.contains("the state folder was taken away"), "{said}");
    append(&log, theft("cyd", MORNING_S + 1800).as_bytes());
    wait_for(&daemon, "cyd");
    assert!(daemon.terminate().success());
}

#[test]
fn a_state_folder_that_is_deleted_is_made_again_with_all_that_it_held() {
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    let daemon = Daemon::start(folder.path(), &config);
    append(&log, theft("ann", MORNING_S).as_bytes());
    wait_for(&daemon, "ann");
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    append(&log, theft("ben", MORNING_S + 900).as_bytes());
    until("a daemon that says so", || {
        daemon
            .log()
            .contains("the database was taken away: it is written again")
            .then_some(())
    });
    append(&log, theft("cyd", MORNING_S + 1800).as_bytes());
    wait_for(&daemon, "cyd");
    daemon.kill();
    let daemon = Daemon::start(folder.path(), &config);
    assert_eq!(subjects(&daemon).len(), 3);
    assert!(daemon.terminate().success());
    assert_eq!(stored(folder.path()), scanned(folder.path()).0);
}

/// A page asked for over a connection that is open already: a daemon without descriptors accepts no other.
fn ask(stream: &mut TcpStream, page: &str) -> String {
    write!(stream, "GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 65536]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the daemon hung up");
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.to_ascii_lowercase();
        let length = length.split_once("content-length: ").unwrap().1;
        let digits = length.split("\r\n").next().unwrap();
        if body.len() >= digits.parse().unwrap() {
            return body.to_owned();
        }
    }
}

#[test]
fn t47_without_descriptors_the_open_logs_are_followed_and_the_others_once_there_are_some() {
    let (folder, _) = house();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    append(&logs.join("0.log"), b"\n");
    let daemon = Daemon::start(folder.path(), &config(&logs.join("*.log"), "state"));
    let mut open = TcpStream::connect(("127.0.0.1", daemon.port)).unwrap();
    open.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    ask(&mut open, "/readyz");
    let limit = |limit: usize| {
        let prlimit = Command::new("prlimit")
            .args(["--pid", &daemon.pid(), &format!("--nofile={limit}:")])
            .status();
        assert!(prlimit.unwrap().success());
    };
    let used = fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
        .unwrap()
        .count();
    limit(used + 3);
    for nth in 1..30 {
        append(
            &logs.join(format!("{nth}.log")),
            theft(&format!("user-{nth}"), MORNING_S + nth * 900).as_bytes(),
        );
    }
    until("a daemon that says so", || {
        let said = ask(&mut open, "/readyz").contains("too_many_open_files");
        let metrics = ask(&mut open, "/metrics");
        let mut rows = metrics
            .lines()
            .filter(|row| row.contains("\"too_many_open_files\""));
        (said && rows.any(|row| !row.ends_with(" 0"))).then_some(())
    });
    append(&logs.join("0.log"), theft("ann", MORNING_S).as_bytes());
    until("ann", || {
        ask(&mut open, "/v1/incidents")
            .contains("\"ann\"")
            .then_some(())
    });
    limit(1024);
    until("everybody", || {
        (subjects(&daemon).len() == 30).then_some(())
    });
    until("a daemon that is well again", || {
        (part(&daemon, "sources").1 == "ready").then_some(())
    });
    assert_eq!(daemon.metric("tokentrip_gap_bytes_total", &[]), 0.0);
    assert!(daemon.terminate().success());
}

#[test]
fn t48_without_any_notifications_logs_are_polled_and_that_is_said() {
    let (folder, config) = house();
    let starved = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"",
        "sh",
    ];
    let possible = Command::new(starved[0])
        .args(&starved[1..])
        .arg("true")
        .output();
    if !possible.unwrap().status.success() {
        println!("skipped: a user namespace with limits of its own is not allowed here");
        return;
    }
    let daemon = Daemon::launch_by(&starved, folder.path(), &config);
    daemon.wait_until_ready();
    append(
        &folder.path().join("access.log"),
        theft("ann", MORNING_S).as_bytes(),
    );
    wait_for(&daemon, "ann");
    until("a daemon that says so", || {
        let polled = daemon.metric("tokentrip_source_faults", &["only_polled"]);
        (polled == 1.0 && part(&daemon, "notifications").1.contains("only polled")).then_some(())
    });
    assert!(daemon.log().contains("no file notifications"));
    assert!(daemon.terminate().success());
}

#[test]
fn t49_more_notifications_than_the_queue_holds_lose_no_line() {
    let (folder, _) = house();
    let at = |name: &str| folder.path().join(name);
    let daemon = Daemon::start(folder.path(), &config(&at("*.log"), "state"));
    daemon.signal("STOP");
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let events: usize = queue.trim().parse().unwrap();
    let quiet = line(MORNING_S, LISBON, BROWSER, "/api/orders", &token("ben"));
    // In turns, because equal notifications in a row are one.
    let mut logs = ["a.log", "b.log"].map(|name| File::create(at(name)).unwrap());
    for _ in 0..events / 2 + 1000 {
        logs.iter_mut()
            .for_each(|log| log.write_all(quiet.as_bytes()).unwrap());
    }
    append(&at("a.log"), theft("ann", MORNING_S).as_bytes());
    daemon.signal("CONT");
    wait_for(&daemon, "ann");
    let written = 2 * (events / 2 + 1000) + theft("ann", MORNING_S).lines().count();
    until("all lines", || {
        let read = daemon.metric("tokentrip_lines_read_total", &[]);
        (read as usize == written).then_some(())
    });
    assert!(daemon.terminate().success());
}

#[test]
fn t61_a_daemon_that_is_killed_while_it_writes_snapshots_finds_everything_once() {
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    let state = folder.path().join("state");
    for nth in 0..12 {
        let daemon = Daemon::start(folder.path(), &config);
        append(
            &log,
            theft(&format!("user-{nth}"), MORNING_S + nth * 900).as_bytes(),
        );
        // It takes a snapshot at once when somebody removed its journal, and again, and again.
        let until = Instant::now() + Duration::from_millis(30 + nth as u64 * 7);
        while Instant::now() < until {
            for entry in fs::read_dir(&state).unwrap().flatten() {
                if entry.file_name().to_string_lossy().starts_with("journal-") {
                    // The daemon may have pruned it in between.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        daemon.kill();
    }
    let daemon = Daemon::start(folder.path(), &config);
    until("everybody", || {
        (subjects(&daemon).len() == 12).then_some(())
    });
    assert!(daemon.terminate().success());
    assert_eq!(stored(folder.path()), scanned(folder.path()).0);
}

/// A sink for all incidents at this address.
fn told_at(url: &str) -> String {
    format!(
        "[[sink]]\nkind = \"webhook\"\nurl = \"{url}\"\nsecret_file = \"secret\"\nlevel_min = \"medium\"\n"
    )
}

#[test]
fn t62_an_alert_that_was_sent_when_the_daemon_was_killed_is_sent_again_with_the_same_id() {
    let (folder, config) = house();
    fs::write(
        folder.path().join("secret"),
        "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",
    )
    .unwrap();
    allow(&folder.path().join("secret"), 0o600);
    // The first call of each is never answered: the daemon is killed meanwhile.
    let hook = Hook::start(|_, nth| match nth {
        0 => {
            std::thread::sleep(Duration::from_secs(60));
            None
        }
        _ => Some(204),
    });
    let config = format!("{config}{}", told_at(&hook.url));
    let daemon = Daemon::start(folder.path(), &config);
    append(
        &folder.path().join("access.log"),
        theft("ann", MORNING_S).as_bytes(),
    );
    until("the alert", || (!hook.calls().is_empty()).then_some(()));
    daemon.kill();
    let before: BTreeSet<String> = hook.calls().into_iter().map(|call| call.id).collect();
    // A row that was under way is taken up when its lease ends, in a minute.
    let store = rusqlite::Connection::open(folder.path().join("state/store.db")).unwrap();
    let waited = store.execute("UPDATE outbox SET next_ms = 0", []);
    waited.unwrap();
    drop(store);
    let daemon = Daemon::start(folder.path(), &config);
    until("the alerts again", || {
        let done = hook
            .calls()
            .into_iter()
            .filter(|call| call.status == Some(204));
        let done: BTreeSet<String> = done.map(|call| call.id).collect();
        before.is_subset(&done).then_some(())
    });
    assert!(daemon.terminate().success());
    let mut said = BTreeMap::<(String, String), BTreeSet<String>>::new();
    for call in hook.calls() {
        let what = (
            call.body["type"].to_string(),
            call.body["data"]["level"].to_string(),
        );
        said.entry(what).or_default().insert(call.id);
    }
    assert!(said.values().all(|ids| ids.len() == 1), "{said:?}");
}

#[test]
fn t65_a_daemon_whose_newest_snapshot_is_damaged_goes_on_from_the_one_before() {
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    for (nth, subject) in ["ann", "ben"].into_iter().enumerate() {
        let daemon = Daemon::start(folder.path(), &config);
        append(
            &log,
            theft(subject, MORNING_S + nth as i64 * 900).as_bytes(),
        );
        wait_for(&daemon, subject);
        assert!(daemon.terminate().success());
    }
    let newest = folder.path().join("state/snapshot");
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let daemon = Daemon::start(folder.path(), &config);
    assert!(daemon.log().contains("the newest snapshot is damaged"));
    append(&log, theft("cyd", MORNING_S + 1800).as_bytes());
    until("everybody", || (subjects(&daemon).len() == 3).then_some(()));
    assert!(daemon.terminate().success());
    assert_eq!(stored(folder.path()), scanned(folder.path()).0);
}

#[test]
fn t66_an_older_backup_of_the_state_finds_the_same_again_under_the_same_ids() {
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    let at = |name: &str| folder.path().join(name);
    let daemon = Daemon::start(folder.path(), &config);
    append(&log, theft("ann", MORNING_S).as_bytes());
    wait_for(&daemon, "ann");
    assert!(daemon.terminate().success());
    let copy = |from: &Path, to: &Path| {
        let copied = Command::new("cp").arg("-a").args([from, to]).status();
        assert!(copied.unwrap().success());
    };
    copy(&at("state"), &at("backup"));
    let daemon = Daemon::start(folder.path(), &config);
    append(&log, theft("ben", MORNING_S + 900).as_bytes());
    wait_for(&daemon, "ben");
    assert!(daemon.terminate().success());
    let newest = stored(folder.path());
    fs::rename(&log, at("access.log.1")).unwrap();
    append(&log, theft("cyd", MORNING_S + 1800).as_bytes());
    fs::remove_dir_all(at("state")).unwrap();
    copy(&at("backup"), &at("state"));
    let daemon = Daemon::start(folder.path(), &config);
    until("everybody", || (subjects(&daemon).len() == 3).then_some(()));
    assert!(daemon.terminate().success());
    assert!(newest.is_subset(&stored(folder.path())));
}

#[test]
fn t67_a_receiver_that_is_slow_or_dead_delays_no_line_while_logs_are_rotated() {
    let (folder, config) = house();
    fs::write(
        folder.path().join("secret"),
        "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",
    )
    .unwrap();
    allow(&folder.path().join("secret"), 0o600);
    let hook = Hook::start(|_, _| {
        std::thread::sleep(Duration::from_secs(60));
        None
    });
    let config = format!("{config}{}", told_at(&hook.url));
    let log = folder.path().join("access.log");
    let mut daemon = Daemon::start(folder.path(), &config);
    let mut written = 0;
    for nth in 0..6 {
        let story = theft(&format!("user-{nth}"), MORNING_S + nth * 900);
        written += story.lines().count();
        append(&log, story.as_bytes());
        for number in (1..8).rev() {
            let name = |number| folder.path().join(format!("access.log.{number}"));
            // There are as many as there were rotations.
            let _ = fs::rename(name(number), name(number + 1));
        }
        fs::rename(&log, folder.path().join("access.log.1")).unwrap();
    }
    until("everybody", || (subjects(&daemon).len() == 6).then_some(()));
    assert_eq!(
        daemon.metric("tokentrip_lines_read_total", &[]) as usize,
        written
    );
    assert_eq!(daemon.metric("tokentrip_gap_bytes_total", &[]), 0.0);
    until("alerts that wait", || {
        (daemon.metric("tokentrip_outbox_depth", &[]) >= 6.0).then_some(())
    });
    assert!(hook.calls().iter().all(|call| call.status.is_none()));
    daemon.signal("TERM");
    // What is under way may take fifteen seconds more.
    assert!(daemon.ended().success());
}
