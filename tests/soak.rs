//! The soak: minutes of traffic, real rotations, SIGKILL again and again, a receiver that fails. `tests/soak` runs it.
//!
//! In: `TOKENTRIP_SOAK_S` seconds, `TOKENTRIP_SOAK_LINES` lines a second. Out: a table: nothing lost, nothing twice.

use crate::support::daemon::{Daemon, until_for};
use crate::support::hook::{Call, Hook};
use crate::support::house::house;
use crate::support::logs::ISSUER;
use crate::support::traffic::{self, Plan, Written};
use rusqlite::Connection;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between kills.
const KILL_EVERY: Duration = Duration::from_secs(20);

/// Between rotations of one file; the files take turns.
const ROTATE_EVERY: Duration = Duration::from_secs(3);

/// How long what is under way at the end may take: a lease of the outbox is a minute.
const DRAIN: Duration = Duration::from_secs(150);

/// How each file is rotated.
const MANNERS: [(&str, &str); 5] = [
    ("a", "compress\ncompressoptions -1"),
    (
        "b",
        "compress\ndelaycompress\ncompressoptions -1\ndateext\ndateformat -%Y%m%d-%s",
    ),
    ("c", "copytruncate"),
    ("d", ""),
    (
        "e",
        "compress\ncompresscmd /usr/bin/zstd\ncompressext .zst\ncompressoptions -1 --rm -q",
    ),
];

fn asked(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |given| given.parse().unwrap())
}

/// Writes logrotate's configuration of each file, and gives their paths.
fn manners(folder: &Path) -> Vec<PathBuf> {
    fs::create_dir(folder.join("logs")).unwrap();
    fs::create_dir(folder.join("flags")).unwrap();
    let here = folder.display();
    let configured = MANNERS.iter().map(|(name, manner)| {
        let flag = format!("{here}/flags/{name}.log");
        // Nobody answers when the writer has ended.
        let ended = format!("[ -e {here}/flags/ended ]");
        let (before, after) = match manner.contains("copytruncate") {
            true => (
                format!("touch {flag}.hold; until [ -e {flag}.held ] || {ended}; do sleep 0.01; done"),
                format!("rm -f {flag}.held {flag}.hold"),
            ),
            false => (
                "true".to_owned(),
                format!("touch {flag}.reopen; while [ -e {flag}.reopen ] && ! {ended}; do sleep 0.01; done"),
            ),
        };
        let path = folder.join(format!("logs/{name}.log"));
        let created = if manner.contains("copytruncate") {
            ""
        } else {
            "create 0600"
        };
        let config = format!(
            "{} {{\nrotate 12\nsize 1\n{created}\n{manner}\nprerotate\n{before}\nendscript\n\
             postrotate\n{after}\nendscript\n}}\n",
            path.display()
        );
        let file = folder.join(format!("{name}.conf"));
        fs::write(&file, config).unwrap();
        crate::faults::allow(&file, 0o600);
        path
    });
    configured.collect()
}

/// Rotates one file after the other until told to stop. Gives how often.
fn rotate(folder: &Path, stop: &AtomicBool) -> u64 {
    let mut rotations = 0;
    while !stop.load(Ordering::Relaxed) {
        for (name, _) in MANNERS {
            std::thread::sleep(ROTATE_EVERY / MANNERS.len() as u32);
            let logrotate = Command::new("logrotate")
                .args(["--force", "--state"])
                .arg(folder.join(format!("{name}.rotated")))
                .arg(folder.join(format!("{name}.conf")))
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .output()
                .expect("logrotate is installed by tests/all");
            let said = String::from_utf8_lossy(&logrotate.stderr);
            assert!(logrotate.status.success(), "{said}");
            rotations += 1;
        }
    }
    rotations
}

/// What is seen of the daemons while they live.
#[derive(Default)]
struct Watched {
    kills: u64,
    gap_bytes: f64,
    /// Seconds and megabytes.
    memory: Vec<(f64, f64)>,
    backlog_max: f64,
}

/// A daemon that has judged again what was read since its last snapshot.
fn start(folder: &Path, config: &str) -> Daemon {
    let daemon = Daemon::launch(folder, config);
    until_for(DRAIN, "a daemon that is ready", || {
        daemon.get("/readyz").filter(|(status, _)| *status == 200)
    });
    daemon
}

/// Kills the daemon and starts it again until told to stop; the last one lives.
fn torment(folder: &Path, config: &str, stop: &AtomicBool) -> (Daemon, Watched) {
    let begun = Instant::now();
    let mut watched = Watched::default();
    let mut daemon = start(folder, config);
    let mut born = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(500));
        let pid = daemon.pid();
        let backlog = daemon.metric("tokentrip_backlog_bytes", &[]);
        let memory = traffic::rss_mb(&pid).unwrap();
        watched.backlog_max = watched.backlog_max.max(backlog);
        watched.memory.push((begun.elapsed().as_secs_f64(), memory));
        if born.elapsed() >= KILL_EVERY {
            watched.gap_bytes += daemon.metric("tokentrip_gap_bytes_total", &[]);
            daemon.kill();
            watched.kills += 1;
            daemon = start(folder, config);
            born = Instant::now();
        }
    }
    (daemon, watched)
}

/// A third of the calls fails; a failed one succeeds when it is repeated often enough.
fn receiver() -> Hook {
    Hook::start(|id, nth| {
        let sum = id.bytes().fold(nth as u32, |sum, byte| {
            sum.wrapping_mul(31) + u32::from(byte)
        });
        Some(if sum % 3 == 0 { 503 } else { 204 })
    })
}

fn config(folder: &Path, logs: &[PathBuf], told: &Hook, acted: &Hook) -> String {
    fs::write(folder.join("secret"), "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0").unwrap();
    crate::faults::allow(&folder.join("secret"), 0o600);
    let sources: String = (logs.iter())
        .map(|path| format!("[[source]]\npath = \"{}\"\n", path.display()))
        .collect();
    format!(
        "{sources}[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n\
         [state]\nfolder = \"state\"\n\
         [response]\nmode = \"enforce\"\nsubjects_per_minute_max = 100000\nsubjects_per_day_max = 1000000\n\
         active_subjects_share_per_hour_max = 1.0\n\
         [[provider]]\nkind = \"webhook\"\nurl = \"{}\"\nsecret_file = \"secret\"\n\
         [[sink]]\nkind = \"webhook\"\nlevel_min = \"medium\"\nevery_incident = true\nurl = \"{}\"\nsecret_file = \"secret\"\n",
        acted.url, told.url
    )
}

/// Everything the store holds of a kind.
fn records(folder: &Path, table: &str) -> Vec<Value> {
    let store = Connection::open(folder.join("state/store.db")).unwrap();
    let mut all = store.prepare(&format!("SELECT json FROM {table}")).unwrap();
    let rows = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap())
        .collect()
}

/// How often something came again under another name.
fn repeated<K: Ord>(things: impl Iterator<Item = (K, String)>) -> usize {
    let mut ids = BTreeMap::<K, BTreeSet<String>>::new();
    for (thing, id) in things {
        ids.entry(thing).or_default().insert(id);
    }
    ids.values().map(|ids| ids.len() - 1).sum()
}

/// Calls that were taken, by what they were about; and how many were taken twice under one id, which a receiver is to
/// notice (Standard Webhooks, "idempotency").
fn taken(calls: &[Call]) -> (Vec<(String, String)>, usize) {
    let done: Vec<&Call> = calls
        .iter()
        .filter(|call| call.status == Some(204))
        .collect();
    let ids: BTreeSet<&str> = done.iter().map(|call| call.id.as_str()).collect();
    let about = |call: &Call| {
        let data = &call.body["data"];
        format!(
            "{} {} {} {}",
            call.body["type"], data["id"], data["level"], data["target"]
        )
    };
    let things = done
        .iter()
        .map(|call| (about(call), call.id.clone()))
        .collect();
    (things, done.len() - ids.len())
}

#[test]
#[ignore = "takes as long as it is told to: tests/soak"]
fn a_daemon_under_load_that_is_killed_again_and_again_loses_and_repeats_nothing() {
    let plan = Plan {
        lines_per_s: asked("TOKENTRIP_SOAK_LINES", 2000) as usize,
        // With what fails and comes again, as much as a receiver is called in a second.
        thefts_per_s: 1,
        length: Duration::from_secs(asked("TOKENTRIP_SOAK_S", 30)),
    };
    let (house, _) = house();
    let folder = house.path();
    let logs = manners(folder);
    let (told, acted) = (receiver(), receiver());
    let config = config(folder, &logs, &told, &acted);
    let stop = AtomicBool::new(false);
    let (written, rotations, (daemon, watched)) = std::thread::scope(|scope| {
        let rotating = scope.spawn(|| rotate(folder, &stop));
        let tormenting = scope.spawn(|| torment(folder, &config, &stop));
        let written = traffic::write(&logs, &plan);
        stop.store(true, Ordering::Relaxed);
        fs::write(folder.join("flags/ended"), "").unwrap();
        (
            written,
            rotating.join().unwrap(),
            tormenting.join().unwrap(),
        )
    });
    until_for(DRAIN, "everything read and delivered", || {
        let read = daemon.metric("tokentrip_backlog_bytes", &[]) == 0.0;
        let delivered = daemon.metric("tokentrip_outbox_depth", &[]) == 0.0;
        (read && delivered).then_some(())
    });
    // The metrics are of up to five seconds ago.
    std::thread::sleep(Duration::from_secs(6));
    until_for(DRAIN, "everything delivered", || {
        (daemon.metric("tokentrip_outbox_depth", &[]) == 0.0).then_some(())
    });
    let dead = daemon.metric("tokentrip_dead_letters", &[]);
    let gaps = watched.gap_bytes + daemon.metric("tokentrip_gap_bytes_total", &[]);
    assert!(daemon.terminate().success());
    let result = Soaked {
        findings: records(folder, "findings"),
        incidents: records(folder, "incidents"),
        told: told.calls(),
        acted: acted.calls(),
        gaps,
        dead,
    };
    result.judge(&plan, &written, rotations, &watched);
}

/// What a soak left.
struct Soaked {
    findings: Vec<Value>,
    incidents: Vec<Value>,
    told: Vec<Call>,
    acted: Vec<Call>,
    gaps: f64,
    dead: f64,
}

impl Soaked {
    fn judge(&self, plan: &Plan, written: &Written, rotations: u64, watched: &Watched) {
        println!("\nsoak of {} s", plan.length.as_secs());
        let rate = written.lines as f64 / plan.length.as_secs_f64();
        row("lines written", written.lines as f64);
        row("lines a second", rate);
        row("megabytes written", written.bytes as f64 / 1e6);
        row("generator's percents of a core", written.core_share * 100.0);
        row("rotations by logrotate", rotations as f64);
        row("kill -9", watched.kills as f64);
        let missed = self.missed(written);
        row("thefts written", written.thefts.len() as f64);
        row("thefts without an incident", missed.len() as f64);
        row("bytes told as lost", self.gaps);
        let mut again = self.found_again();
        for (name, calls) in [("alerts", &self.told), ("actions", &self.acted)] {
            again.push(show_calls(name, calls));
        }
        row("given up", self.dead);
        show_memory(watched);
        assert_eq!(missed, [""; 0], "thefts were missed");
        assert_eq!(again, [0; 4], "something was said twice");
        assert!(self.gaps == 0.0 && self.dead == 0.0);
        let thefts = written.thefts.len();
        assert!(self.acted.len() >= thefts && self.told.len() >= thefts);
    }

    /// Whose theft has no incident.
    fn missed<'w>(&self, written: &'w Written) -> Vec<&'w str> {
        let incidents = self.incidents.iter();
        let known: BTreeSet<&str> = incidents.filter_map(|i| i["subject"].as_str()).collect();
        let thefts = written.thefts.iter().map(|theft| theft.subject.as_str());
        thefts.filter(|subject| !known.contains(subject)).collect()
    }

    /// How many findings and incidents came again under another id.
    fn found_again(&self) -> Vec<usize> {
        let text = |value: &Value| value.to_string();
        let findings = repeated(self.findings.iter().map(|finding| {
            let edge = (text(&finding["rule"]), text(&finding["session"]));
            (edge, text(&finding["id"]))
        }));
        let incidents = self.incidents.iter();
        let incidents = repeated(incidents.map(|i| (text(&i["subject"]), text(&i["id"]))));
        row("findings", self.findings.len() as f64);
        row("findings repeated", findings as f64);
        row("incidents repeated", incidents as f64);
        vec![findings, incidents]
    }
}

fn row(what: &str, value: f64) {
    println!("{what:<48}{value:>14.0}");
}

/// Shows what became of calls; gives how many were made again under another id.
fn show_calls(name: &str, calls: &[Call]) -> usize {
    let (things, same_id) = taken(calls);
    let refused = calls.iter().filter(|call| call.status == Some(503)).count();
    let again = repeated(things.into_iter());
    row(&format!("{name}: calls"), calls.len() as f64);
    row(&format!("{name}: refused by the receiver"), refused as f64);
    row(&format!("{name}: repeated"), again as f64);
    row(
        &format!("{name}: taken again under the same id"),
        same_id as f64,
    );
    again
}

fn show_memory(watched: &Watched) {
    row("largest backlog in megabytes", watched.backlog_max / 1e6);
    println!("memory in megabytes, each line a tenth of the time");
    let tenth = watched.memory.len().div_ceil(10).max(1);
    for part in watched.memory.chunks(tenth) {
        let most = part.iter().map(|(_, memory)| *memory).fold(0.0, f64::max);
        let mean = part.iter().map(|(_, memory)| *memory).sum::<f64>() / part.len() as f64;
        println!(
            "  from {:>4.0} s  mean {mean:>6.1}  most {most:>6.1}",
            part[0].0
        );
    }
}
