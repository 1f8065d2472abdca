//! Where lines come from: wrappers, archives, many files at once.
//!
//! In: one theft, packed in every way. Out: the same finding, at the exact place of its line.

use crate::support::daemon::{Daemon, tokentrip, until};
use crate::support::logs::{ISSUER, MORNING_S, theft};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// What a scan of these arguments writes: its records, what it says on stderr, and its exit code.
fn scan(args: &[&Path]) -> (Vec<Value>, String, i32) {
    let output = tokentrip().arg("scan").args(args).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let records = out.lines().map(|line| serde_json::from_str(line).unwrap());
    let said = String::from_utf8(output.stderr).unwrap();
    (records.collect(), said, output.status.code().unwrap())
}

fn of<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records
        .iter()
        .filter(|record| record["type"] == kind)
        .collect()
}

/// Rules and where the lines are that woke them.
fn places(records: &[Value]) -> Vec<(String, u64, u64)> {
    let place = |finding: &&Value| {
        let evidence = &finding["evidence"][0];
        let number = |name: &str| evidence[name].as_u64().unwrap();
        (
            finding["rule"].to_string(),
            number("line"),
            number("offset"),
        )
    };
    of(records, "finding").iter().map(place).collect()
}

fn rules(records: &[Value]) -> Vec<String> {
    places(records)
        .into_iter()
        .map(|(rule, _, _)| rule)
        .collect()
}

/// Lines without their line endings, each in what a wrapper puts around it.
fn wrapped(log: &str, around: impl Fn(usize, &str) -> String) -> String {
    let lines = log.lines().enumerate();
    lines.map(|(at, line)| around(at, line) + "\n").collect()
}

#[test]
fn a_theft_in_any_wrapper_is_the_theft_in_the_plain_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = theft("ann", MORNING_S);
    let at = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (plain, _, _) = scan(&[&at("plain.log", &log)]);
    assert!(!rules(&plain).is_empty());
    let time = "2026-05-04T10:00:00.000000000Z";
    let docker = wrapped(&log, |_, line| {
        json!({"log": format!("{line}\n"), "stream": "stdout", "time": time}).to_string()
    });
    // Pieces of 300 bytes, as if the runtime's buffer were small.
    let cri = wrapped(&log, |_, line| {
        let (first, rest) = line.split_at(300);
        format!("{time} stdout P {first}\n{time} stdout F {rest}")
    });
    let syslog = wrapped(&log, |_, line| {
        format!("<190>May  4 10:00:00 web nginx: {line}")
    });
    let syslog_5424 = wrapped(&log, |_, line| {
        format!("<190>1 {time} web nginx 7 - - {line}")
    });
    let journal = wrapped(&log, |_, line| {
        json!({"MESSAGE": line, "__REALTIME_TIMESTAMP": "1777888800000000"}).to_string()
    });
    let both = wrapped(&docker, |_, line| {
        let event = json!({"id": "1", "timestamp": 1_777_888_800_000_i64, "message": line});
        json!({"messageType": "DATA_MESSAGE", "logEvents": [event]}).to_string()
    });
    for (name, text, wrappers) in [
        ("docker", &docker, json!(["docker"])),
        ("cri", &cri, json!(["cri"])),
        ("syslog", &syslog, json!(["syslog"])),
        ("syslog_5424", &syslog_5424, json!(["syslog"])),
        ("journal", &journal, json!(["journald_json"])),
        (
            "docker_in_cloudwatch",
            &both,
            json!(["cloudwatch", "docker"]),
        ),
    ] {
        let (records, said, _) = scan(&[&at(&format!("{name}.log"), text)]);
        assert_eq!(rules(&records), rules(&plain), "{name}: {said}");
        let summary = of(&records, "summary")[0];
        assert_eq!(summary["sources"][0]["wrappers"], wrappers, "{name}");
        // The offset is that of the wrapped line, the number that of the file.
        let per_line = if name == "cri" { 2 } else { 1 };
        let ends = text.match_indices('\n').map(|(end, _)| end as u64 + 1);
        let starts: Vec<u64> = [0].into_iter().chain(ends).collect();
        let inside = places(&records).into_iter().zip(places(&plain));
        for ((rule, line, offset), (_, plain_line, _)) in inside {
            assert_eq!(line, (plain_line - 1) * per_line + 1, "{name}: {rule}");
            assert_eq!(offset, starts[line as usize - 1], "{name}: {rule}");
        }
    }
}

#[test]
fn t73_the_time_of_a_wrapper_counts_only_where_the_line_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let log = theft("ann", MORNING_S);
    let without_time: String = log
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("msec");
            format!("{line}\n")
        })
        .collect();
    let minute = |at: usize| format!("2026-05-04T10:{:02}:00Z", if at < 6 { at } else { at + 4 });
    let cri = |log: &str| wrapped(log, |at, line| format!("{} stdout F {line}", minute(at)));
    let path = folder.path().join("a.log");
    fs::write(&path, cri(&without_time)).unwrap();
    let (records, said, _) = scan(&[&path]);
    let time_of = |records: &[Value]| {
        let findings = of(records, "finding");
        let travel = findings
            .iter()
            .find(|finding| finding["rule"] == "impossible_travel");
        travel.unwrap()["time"].clone()
    };
    assert!(!rules(&records).is_empty(), "{said}");
    assert_eq!(time_of(&records), "2026-05-04T10:10:00.000Z");
    fs::write(&path, cri(&log)).unwrap();
    let (records, _, _) = scan(&[&path]);
    assert_eq!(time_of(&records), "2026-05-04T10:06:40.000Z");
}

#[test]
fn a_line_in_pieces_is_whole_even_when_the_daemon_is_killed_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("pod.log");
    let append = |text: &str| {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let config = format!(
        "[[source]]\npath = \"{}\"\n[[issuer]]\nissuer = \"{ISSUER}\"\n[state]\nfolder = \"state\"\n",
        log.display()
    );
    let text = theft("ann", MORNING_S);
    let pieces: Vec<String> = (text.lines())
        .flat_map(|line| {
            let (first, rest) = line.split_at(200);
            [("P", first), ("F", rest)]
        })
        .map(|(tag, piece)| format!("2026-05-04T10:00:00Z stdout {tag} {piece}\n"))
        .collect();
    append("");
    for (nth, pieces) in pieces.chunks(7).enumerate() {
        let mut daemon = Daemon::start(folder.path(), &config);
        append(&pieces.concat());
        let read = pieces.len() as f64;
        until("the lines", || {
            (daemon.metric("tokentrip_lines_read_total", &[]) >= read).then_some(())
        });
        if nth % 2 == 0 {
            daemon.kill();
        } else {
            daemon.signal("TERM");
            assert!(daemon.ended().success());
        }
    }
    let daemon = Daemon::start(folder.path(), &config);
    let incident = until("an incident", || daemon.incidents().into_iter().next());
    assert_eq!(incident["subject"], "ann");
    assert_eq!(daemon.metric("tokentrip_lines_skipped_total", &[]), 0.0);
}
