//! The daemon through its life: it sees what a scan sees, over crashes, rotations and new rules.
//!
//! In: logs that grow, files that are renamed, signals. Out: findings in its store, its pages, its log and exit codes.

use crate::support::daemon::{Daemon, tokentrip, until};
use crate::support::house::{append, house, scanned, stored};
use crate::support::logs::{BROWSER, ISSUER, LISBON, MORNING_S, line, theft, token};
use crate::support::shipped;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// A generator of numbers that are random enough to cut a file with (Marsaglia, "Xorshift RNGs", 2003).
struct Dice(u64);

impl Dice {
    /// Seeded by `TOKENTRIP_SEED` or the clock; the seed is printed.
    fn new() -> Self {
        let asked = std::env::var("TOKENTRIP_SEED").ok();
        let clock = || {
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_nanos()
        };
        let seed = asked.map_or_else(|| clock() as u64, |seed| seed.parse().unwrap());
        println!("TOKENTRIP_SEED={seed}");
        Self(seed | 1)
    }

    fn up_to(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit + 1
    }
}

#[test]
fn t60_random_chunks_with_kills_and_restarts_find_what_a_scan_finds() {
    let mut dice = Dice::new();
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    let mut bytes = String::new();
    for (nth, subject) in ["ann", "ben", "cyd", "dee"].iter().enumerate() {
        let from_s = MORNING_S + nth as i64 * 600;
        let quiet = token(&format!("quiet-{nth}"));
        for step in 0..20 {
            bytes += &line(from_s + step, LISBON, BROWSER, "/api/orders", &quiet);
        }
        bytes += &theft(subject, from_s + 30);
        bytes += "not a line of any format\n";
    }
    let mut rest = bytes.as_bytes();
    let (mut daemon, mut kills) = (Daemon::start(folder.path(), &config), 0);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.len().min(dice.up_to(6000) as usize));
        append(&log, chunk);
        rest = after;
        match dice.up_to(5) {
            1 if kills < 5 => {
                daemon.kill();
                kills += 1;
                daemon = Daemon::start(folder.path(), &config);
            }
            2 | 3 => until("something read", || {
                (daemon.metric("tokentrip_backlog_bytes", &[]) < 1e6).then_some(())
            }),
            _ => {}
        }
    }
    daemon.kill();
    let daemon = Daemon::start(folder.path(), &config);
    let (found, incidents) = scanned(folder.path());
    until("every incident", || {
        (daemon.incidents().len() >= incidents.len()).then_some(())
    });
    let shown = daemon.incidents();
    let shown: BTreeSet<String> = shown
        .iter()
        .map(|incident| incident["id"].to_string())
        .collect();
    assert!(daemon.terminate().success());
    println!("{kills} kills and one more, {} findings", found.len());
    assert!(incidents.len() >= 4 && found.len() > 12);
    assert_eq!(stored(folder.path()), found);
    assert_eq!(shown, incidents);
}

#[test]
fn a_log_that_is_renamed_or_copied_and_truncated_is_followed() {
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    let daemon = Daemon::start(folder.path(), &config);
    let mut written = 0;
    for (nth, truncate) in [false, true, false, true].into_iter().enumerate() {
        let story = theft(&format!("user-{nth}"), MORNING_S + nth as i64 * 900);
        // The victim stands before the rotation, the thief after it.
        let cut = story.match_indices('\n').nth(6).unwrap().0 + 1;
        append(&log, &story.as_bytes()[..cut]);
        written += story.lines().count();
        let old = folder.path().join(format!("access.log-2026050{nth}"));
        if truncate {
            let read = || daemon.metric("tokentrip_lines_read_total", &[]) as usize;
            until("the lines before", || (read() == written - 2).then_some(()));
            fs::copy(&log, &old).unwrap();
            File::options()
                .write(true)
                .open(&log)
                .unwrap()
                .set_len(0)
                .unwrap();
        } else {
            fs::rename(&log, &old).unwrap();
        }
        append(&log, &story.as_bytes()[cut..]);
        until("the theft", || {
            let incidents = daemon.incidents();
            let of = |incident: &Value| incident["subject"] == format!("user-{nth}");
            incidents.iter().any(of).then_some(())
        });
    }
    until("all lines", || {
        let read = daemon.metric("tokentrip_lines_read_total", &[]);
        (read as usize == written).then_some(())
    });
    assert_eq!(daemon.metric("tokentrip_gap_bytes_total", &[]), 0.0);
    assert!(daemon.terminate().success());
}

#[test]
fn t64_sigterm_finishes_what_was_written_and_ends_well() {
    let (folder, config) = house();
    let daemon = Daemon::start(folder.path(), &config);
    let mut log: String = (0..4000)
        .map(|step| {
            line(
                MORNING_S + step,
                LISBON,
                BROWSER,
                "/api/orders",
                &token("ben"),
            )
        })
        .collect();
    log += &theft("ann", MORNING_S + 5000);
    append(&folder.path().join("access.log"), log.as_bytes());
    assert!(daemon.terminate().success());
    let mut list = tokentrip();
    list.args(["incidents", "list", "--output", "ndjson", "--config"]);
    let output = list
        .arg(folder.path().join("tokentrip.toml"))
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains(r#""subject":"ann""#), "{listed}");
    assert_eq!(stored(folder.path()), scanned(folder.path()).0);
}

#[test]
fn wrong_rules_leave_the_old_ones_in_force_and_right_ones_come_into_force() {
    if !shipped(&["impossible_travel"]) {
        return;
    }
    let (folder, config) = house();
    let rules = folder.path().join("rules");
    fs::create_dir(&rules).unwrap();
    for rule in fs::read_dir("rules").unwrap().flatten() {
        if rule
            .path()
            .extension()
            .is_some_and(|ending| ending == "yml")
        {
            fs::copy(rule.path(), rules.join(rule.file_name())).unwrap();
        }
    }
    let config = format!("{config}[rules]\nfolder = \"rules\"\n");
    let log = folder.path().join("access.log");
    let daemon = Daemon::start(folder.path(), &config);
    let rule = rules.join("impossible_travel.yml");
    let right = fs::read_to_string(&rule).unwrap();
    fs::write(
        &rule,
        right.replace("travel.speed_kmh|gte", "travel.speed_kph|gte"),
    )
    .unwrap();
    let (_, why) = until("a daemon that says so", || {
        daemon.get("/readyz").filter(|(status, _)| *status == 503)
    });
    assert!(why.contains("rules on disk are wrong"), "{why}");
    assert_eq!(daemon.get("/healthz").unwrap().0, 200);
    let said = daemon.log();
    assert!(said.contains("the old ones stay") && said.contains("did you mean `travel.speed_kmh`"));
    append(&log, theft("ann", MORNING_S).as_bytes());
    let spoke = |nth| {
        until("an incident", || {
            let incidents = daemon.incidents();
            (incidents.len() == nth).then(|| incidents[0]["rules"].clone())
        })
    };
    assert_eq!(
        spoke(1)["impossible_travel"],
        1,
        "the old rule is still in force"
    );
    fs::write(
        &rule,
        right.replace(
            "travel.speed_kmh|gte: 1000",
            "travel.speed_kmh|gte: 900000000",
        ),
    )
    .unwrap();
    until("a daemon that is well again", || {
        daemon.get("/readyz").filter(|(status, _)| *status == 200)
    });
    append(&log, theft("ben", MORNING_S + 900).as_bytes());
    let rules = spoke(2);
    assert!(rules.get("impossible_travel").is_none(), "{rules}");
    assert!(daemon.terminate().success());
}

#[test]
fn t63_a_second_daemon_on_one_state_folder_is_refused() {
    let (folder, config) = house();
    let first = Daemon::start(folder.path(), &config);
    let mut second = Daemon::launch(folder.path(), &config);
    assert_eq!(second.ended().code(), Some(2));
    let said = second.log();
    assert!(said.contains("in use by another tokentrip (pid "), "{said}");
    assert!(said.contains("give each its own [state] folder"), "{said}");
    assert!(first.terminate().success());
}

#[test]
fn health_and_metrics_are_as_their_readers_expect() {
    let (folder, config) = house();
    let daemon = Daemon::start(folder.path(), &config);
    append(
        &folder.path().join("access.log"),
        theft("ann", MORNING_S).as_bytes(),
    );
    until("the theft", || {
        (!daemon.incidents().is_empty()).then_some(())
    });
    assert_eq!(daemon.get("/healthz").unwrap().0, 200);
    assert!(daemon.get("/readyz").unwrap().1.contains(r#""ready":true"#));
    let (status, metrics) = daemon.get("/metrics").unwrap();
    assert_eq!(status, 200);
    for name in [
        "lines_read_total",
        "findings_total",
        "incidents_total",
        "build_info",
    ] {
        assert!(
            metrics.contains(&format!("\ntokentrip_{name}")),
            "no {name} in {metrics}"
        );
    }
    for name in ["ann", LISBON, ISSUER] {
        assert!(
            !metrics.contains(&format!("\"{name}\"")),
            "labels name nobody: {name}"
        );
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by tests/all (Debian: apt-get install prometheus)");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
    assert!(daemon.terminate().success());
}

#[test]
fn keys_that_were_fetched_judge_the_same_lines_again_after_a_crash() {
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    let daemon = Daemon::start(folder.path(), &config);
    append(&log, theft("ann", MORNING_S).as_bytes());
    until("the theft", || {
        (!daemon.incidents().is_empty()).then_some(())
    });
    let before = daemon.incidents();
    assert_eq!(before[0]["provenance"], "verified");
    daemon.kill();
    let known = stored(folder.path());
    // The issuer's keys are gone: what was verified stays verified.
    fs::write(folder.path().join("keys.json"), r#"{"keys":[]}"#).unwrap();
    let config = config.replace(
        "jwks = \"keys.json\"\n",
        "jwks = \"http://127.0.0.1:9/keys\"\n",
    );
    let daemon = Daemon::launch(folder.path(), &config);
    until("the incident", || {
        daemon
            .get("/v1/incidents")
            .filter(|(status, body)| *status == 200 && body.contains("ann"))
    });
    until("the lines again", || {
        (daemon.metric("tokentrip_lines_read_total", &[]) > 0.0).then_some(())
    });
    assert_eq!(daemon.incidents()[0]["provenance"], "verified");
    assert!(daemon.terminate().success());
    assert_eq!(stored(folder.path()), known);
}

#[test]
fn t74_a_stamp_from_the_future_in_a_log_that_grows_moves_no_other_line_and_is_counted() {
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    let daemon = Daemon::start(folder.path(), &config);
    let stray = line(4_102_444_800, LISBON, BROWSER, "/api/orders", &token("ben"));
    let counted = |name: &str| daemon.metric(name, &[]);
    // In a chunk of its own, between others, and as the first line of all.
    append(&log, stray.as_bytes());
    until("the stray line", || {
        (counted("tokentrip_held_back_lines_total") == 1.0).then_some(())
    });
    let story = theft("ann", MORNING_S);
    let (first, second) = story.split_at(story.match_indices('\n').nth(4).unwrap().0 + 1);
    append(&log, format!("{first}{stray}{second}").as_bytes());
    let incident = until("the theft", || {
        let mut incidents = daemon.incidents().into_iter();
        incidents.find(|incident| incident["subject"] == "ann")
    });
    assert_eq!(counted("tokentrip_held_back_lines_total"), 2.0);
    assert!(
        incident["updated"]
            .as_str()
            .unwrap()
            .starts_with("2026-05-04")
    );
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert!(counted("tokentrip_watermark_timestamp_seconds") <= now.as_secs_f64());
    assert_eq!(counted("tokentrip_clock_ahead_seconds"), 0.0);
    // Everything of the story is far behind what this machine's clock said of the first line.
    assert_eq!(
        counted("tokentrip_late_lines_total"),
        story.lines().count() as f64
    );
    assert!(daemon.terminate().success());
}
