//! SIGHUP: a new configuration without a lost line, and the old one when the new one is wrong.
//!
//! In: changed files, signals. Out: what is followed, heard and said afterwards.

use crate::support::daemon::{Daemon, free_port, until};
use crate::support::house::{append, house};
use crate::support::logs::{MORNING_S, theft};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use tempfile::TempDir;

const READ: &str = "configuration read again";

/// A daemon whose sources change.
struct Changing {
    folder: TempDir,
    daemon: Daemon,
    /// What stands behind the sources.
    rest: String,
}

impl Changing {
    fn start() -> Self {
        let (folder, config) = house();
        let port = free_port();
        let (source, rest) = config.split_at(config.find("[[issuer]]").unwrap());
        let rest = format!("{rest}\n[server]\nlisten = \"127.0.0.1:{port}\"\n");
        let daemon = Daemon::start_with(folder.path(), &format!("{source}{rest}"), port);
        Self {
            folder,
            daemon,
            rest,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sources(&self, names: &[&str]) -> String {
        let source = |name: &&str| format!("[[source]]\npath = \"{}\"\n", self.at(name).display());
        names.iter().map(source).collect()
    }

    /// Writes a configuration with these sources, and waits until the daemon says so of it.
    fn reload(&self, sources: &str, said: &str) {
        let times = || self.daemon.log().matches(said).count();
        let before = times();
        let config = format!("{sources}{}", self.rest);
        fs::write(self.at("tokentrip.toml"), config).unwrap();
        self.daemon.signal("HUP");
        until(said, || (times() > before).then_some(()));
    }

    fn steal(&self, log: &str, subject: &str, minute: i64) {
        let story = theft(subject, MORNING_S + minute * 60);
        append(&self.at(log), story.as_bytes());
    }

    fn subjects(&self) -> BTreeSet<String> {
        let incidents = self.daemon.incidents();
        let subjects = incidents.iter().filter_map(|i| i["subject"].as_str());
        subjects.map(str::to_owned).collect()
    }

    fn saw(&self, subject: &str) {
        until(subject, || self.subjects().contains(subject).then_some(()));
    }

    /// Waits until the daemon has a log open no more, as it has until it has read it to its end.
    fn let_go_of(&self, log: &str) {
        let folder = format!("/proc/{}/fd", self.daemon.pid());
        let log = self.at(log);
        let is_open = || {
            let open = fs::read_dir(&folder).unwrap().flatten();
            let mut open = open.filter_map(|open| fs::read_link(open.path()).ok());
            open.any(|open| open == log)
        };
        until("a log that is let go of", || (!is_open()).then_some(()));
    }

    fn lines_read(&self) -> usize {
        self.daemon.metric("tokentrip_lines_read_total", &[]) as usize
    }
}

#[test]
fn a_new_configuration_loses_no_line_and_forgets_no_session() {
    let house = Changing::start();
    // The holder is in the log before the change, the thief after it.
    let story = theft("ann", MORNING_S);
    let cut = story.match_indices('\n').nth(6).unwrap().0 + 1;
    append(&house.at("access.log"), &story.as_bytes()[..cut]);
    house.steal("new.log", "ben", 15);
    house.reload(&house.sources(&["access.log", "new.log"]), READ);
    append(&house.at("access.log"), &story.as_bytes()[cut..]);
    house.saw("ann");
    house.saw("ben");
    // What stands in a log that is no longer wanted is read to its end, and what comes later is not.
    house.steal("new.log", "cyd", 30);
    house.reload(&house.sources(&["access.log"]), READ);
    house.saw("cyd");
    house.let_go_of("new.log");
    house.steal("new.log", "dee", 45);
    house.steal("access.log", "eve", 60);
    house.saw("eve");
    assert!(!house.subjects().contains("dee"));
    house.reload(&house.sources(&["access.log", "new.log"]), READ);
    house.saw("dee");
    let lines = story.lines().count();
    assert_eq!(house.lines_read(), 5 * lines, "each line once");
    assert_eq!(house.daemon.metric("tokentrip_gap_bytes_total", &[]), 0.0);
    assert!(house.daemon.terminate().success());
}

#[test]
fn a_wrong_new_configuration_leaves_the_old_one_in_force_and_says_so() {
    let house = Changing::start();
    let wrong = "the new configuration is wrong, the old one stays";
    for sources in [
        "[[source]]\npath = 7\n",
        "",
        "[[source]]\nlisten = \"unix:///dev/null/x\"\n",
    ] {
        house.reload(sources, wrong);
        let (status, why) = house.daemon.get("/readyz").unwrap();
        assert_eq!(status, 503);
        assert!(why.contains("the configuration on disk is wrong"), "{why}");
    }
    house.steal("access.log", "ann", 0);
    house.saw("ann");
    house.reload(&house.sources(&["access.log"]), READ);
    assert_eq!(house.daemon.get("/readyz").unwrap().0, 200);
    assert!(house.daemon.terminate().success());
}

#[test]
fn a_listener_comes_and_goes_with_the_configuration() {
    let house = Changing::start();
    let at = house.at("syslog.sock");
    let listen = format!("[[source]]\nlisten = \"unixgram://{}\"\n", at.display());
    house.reload(&(house.sources(&["access.log"]) + &listen), READ);
    let socket = UnixDatagram::unbound().unwrap();
    let story = theft("ann", MORNING_S);
    let send = |line: &str| socket.send_to(line.as_bytes(), &at);
    story.lines().for_each(|line| assert!(send(line).is_ok()));
    house.reload(&house.sources(&["access.log"]), READ);
    house.saw("ann");
    assert!(send("x").is_err(), "nobody listens there any more");
    assert_eq!(house.lines_read(), story.lines().count());
    assert!(house.daemon.terminate().success());
}
