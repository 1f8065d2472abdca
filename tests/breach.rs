//! Step 3 of an incident: what the suspect touched is read again from the logs, wherever they are by then.
//!
//! In: thefts in logs that are rotated, packed, wrapped and removed. Out: `steps.breach` of scans and daemons, and what
//! `scan --around` lists.

use crate::support::daemon::{Daemon, tokentrip, until};
use crate::support::house::{append, house};
use crate::support::logs::{BROWSER, LISBON, MORNING_S, TOKYO, TOOL, line, theft, token};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

/// Ann works in Lisbon, and a tool in Tokyo reads so many of her orders, in between others who work at home.
fn robbed(orders: i64, others: i64) -> String {
    let (ann, quiet) = (token("ann"), token("quiet"));
    let mut log = String::new();
    for step in 0..6 {
        log += &line(MORNING_S + step * 30, LISBON, BROWSER, "/api/orders", &ann);
    }
    for order in 0..orders {
        let time_s = MORNING_S + 400 + order;
        let path = format!("/api/orders/{}", 4000 + order);
        log += &line(time_s, TOKYO, TOOL, &path, &ann);
        for _ in 0..others {
            log += &line(time_s, "192.0.2.77", BROWSER, "/api/me", &quiet);
        }
    }
    log
}

fn scan(arguments: &[&str]) -> Output {
    let mut scan = tokentrip();
    scan.arg("scan").args(arguments).output().unwrap()
}

fn records(output: &Output) -> Vec<Value> {
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_type<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    let of_kind = records.iter().filter(|record| record["type"] == kind);
    of_kind.collect()
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// As `gzip` does: another file, whose name ends so.
fn pack(path: &Path) {
    let bytes = fs::read(path).unwrap();
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(&bytes).unwrap();
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    fs::write(name, gz.finish().unwrap()).unwrap();
    fs::remove_file(path).unwrap();
}

/// Requests, objects, tokens and coverage of an incident.
fn told(incident: &Value) -> Value {
    let breach = &incident["steps"]["breach"];
    json!([
        breach["requests"],
        breach["objects_count"],
        breach["tokens_count"],
        breach["status"]["coverage"]
    ])
}

#[test]
fn a_scan_tells_every_object_in_plain_packed_and_wrapped_logs() {
    let folder = tempfile::tempdir().unwrap();
    let log = robbed(40, 120);
    assert!(log.len() > 3 << 20, "{}: several stretches", log.len());
    let [plain, wrapped, packed] =
        ["access.log", "docker-json.log", "packed.log"].map(|name| folder.path().join(name));
    fs::write(&plain, &log).unwrap();
    let mut docker = String::new();
    for text in log.lines() {
        // Docker cuts a line after 16 KiB; here after less, so that pieces of one stand in two stretches.
        let (first, rest) = text.split_at(text.len() / 2);
        for (part, end) in [(first, ""), (rest, "\n")] {
            let written = "2026-05-04T10:00:00.000000000Z";
            let entry = json!({
                "log": format!("{part}{end}"), "stream": "stdout", "time": written,
            });
            docker += &format!("{entry}\n");
        }
    }
    fs::write(&wrapped, docker).unwrap();
    fs::write(&packed, &log).unwrap();
    pack(&packed);
    let packed = folder.path().join("packed.log.gz");
    for path in [&plain, &wrapped, &packed] {
        let records = records(&scan(&[shown(path)]));
        let incidents = of_type(&records, "incident");
        assert_eq!(incidents.len(), 1);
        let expected = json!([40, 40, 1, "complete"]);
        assert_eq!(told(incidents[0]), expected, "{}", path.display());
        let breach = &incidents[0]["steps"]["breach"];
        assert_eq!(breach["paths"], json!([["/api/orders/{id}", 40]]));
        assert_eq!(breach["objects"][0]["ids"][39], "4039");
        assert_eq!(breach["request_ids"].as_array().unwrap().len(), 40);
        assert_eq!(breach["sources"], json!([[shown(path), 40]]));
        assert_eq!(incidents[0]["suspect"]["requests"], 40);
    }
}

#[test]
fn what_came_through_a_pipe_is_counted_and_not_read_again() {
    let mut scan = tokentrip();
    let mut scan = scan
        .args(["scan", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = scan.stdin.take().unwrap();
    pipe.write_all(robbed(9, 1).as_bytes()).unwrap();
    drop(pipe);
    let records = records(&scan.wait_with_output().unwrap());
    let breach = &of_type(&records, "incident")[0]["steps"]["breach"];
    assert_eq!(breach["requests"], 9);
    assert_eq!(breach.get("objects"), None);
}

#[test]
fn pseudonyms_keep_neither_objects_nor_names() {
    let folder = tempfile::tempdir().unwrap();
    let [log, found] = ["access.log", "found.ndjson"].map(|name| folder.path().join(name));
    fs::write(&log, robbed(5, 1)).unwrap();
    fs::write(&found, scan(&[shown(&log)]).stdout).unwrap();
    for arguments in [
        &["--pseudonymise", shown(&log)][..],
        &["--pseudonymise", "--around", shown(&found), shown(&log)],
    ] {
        let out = String::from_utf8(scan(arguments).stdout).unwrap();
        assert!(out.contains("\"type\":\"incident\""), "{out}");
        for name in ["/4001", "\"4001\"", "\"ann\"", TOKYO] {
            assert!(!out.contains(name), "{arguments:?}: {name} in {out}");
        }
    }
}

#[test]
fn around_an_incident_every_request_of_its_suspect_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (old, new, found) = (at("access.log.1"), at("access.log"), at("found.ndjson"));
    let log = robbed(30, 3);
    let cut = log.find("/api/orders/4015").unwrap();
    let cut = log[..cut].rfind('\n').unwrap() + 1;
    fs::write(&old, &log[..cut]).unwrap();
    fs::write(&new, &log[cut..]).unwrap();
    pack(&old);
    let old = at("access.log.1.gz");
    let whole = scan(&[shown(&old), shown(&new)]);
    fs::write(&found, &whole.stdout).unwrap();
    let whole = records(&whole);

    let listed = scan(&["--around", shown(&found), shown(&old), shown(&new)]);
    assert_eq!(listed.status.code(), Some(1));
    let listed = records(&listed);
    let requests = of_type(&listed, "request");
    let paths: Vec<Value> = requests
        .iter()
        .map(|request| request["path"].clone())
        .collect();
    let expected = (4000..4030).map(|id| json!(format!("/api/orders/{id}")));
    assert_eq!(paths, expected.collect::<Vec<_>>());
    assert_eq!(requests[0]["evidence"][0]["file"], shown(&old));
    assert_eq!(requests[29]["evidence"][0]["file"], shown(&new));
    assert_eq!(requests[0]["ip"], TOKYO);
    assert_eq!(of_type(&listed, "incident"), of_type(&whole, "incident"));

    let listed = records(&scan(&["--around", shown(&found), shown(&new)]));
    assert_eq!(of_type(&listed, "request").len(), 15);
    let breach = &of_type(&listed, "incident")[0]["steps"]["breach"];
    let reason = breach["status"]["reason"].as_str().unwrap();
    assert_eq!(breach["requests"], 30);
    assert!(
        reason.starts_with("of 30 requests only 15 requests"),
        "{reason}"
    );

    let pretty = scan(&["--output", "pretty", "--around", shown(&found), shown(&new)]);
    let pretty = String::from_utf8(pretty.stdout).unwrap();
    assert!(
        pretty.contains("GET /api/orders/4029 200  512  "),
        "{pretty}"
    );
}

#[test]
fn a_token_that_stands_where_none_belongs_is_not_listed() {
    let folder = tempfile::tempdir().unwrap();
    let [log, found] = ["access.log", "found.ndjson"].map(|name| folder.path().join(name));
    let secret = token("ben");
    let mut text = robbed(3, 1);
    for field in ["request_id", "request_method"] {
        let begin = format!("\"{field}\":\"");
        let at = text.rfind("/api/orders/4002").unwrap();
        let line = text[..at].rfind('\n').unwrap();
        let value = line + text[line..].find(&begin).unwrap() + begin.len();
        text.insert_str(value, &secret);
    }
    fs::write(&log, text).unwrap();
    fs::write(&found, scan(&[shown(&log)]).stdout).unwrap();
    for form in ["ndjson", "pretty"] {
        let listed = scan(&["--output", form, "--around", shown(&found), shown(&log)]);
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains("/api/orders/4002"), "{listed}");
        assert!(
            listed.contains("[token]") && !listed.contains(&secret),
            "{listed}"
        );
        assert_eq!(listed.matches("eyJ").count(), 0, "{listed}");
    }
}

#[test]
fn around_an_incident_that_is_not_there_it_is_said_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (log, other, found) = (at("access.log"), at("other.log"), at("found.ndjson"));
    fs::write(&log, robbed(3, 1)).unwrap();
    fs::write(&other, theft("ben", MORNING_S)).unwrap();
    fs::write(&found, scan(&[shown(&log)]).stdout).unwrap();
    for (around, expected) in [
        (shown(&found), "stands in these logs"),
        ("i-00000000000000000001", "there is no store"),
        ("none", "cannot read none"),
        (shown(&other), "there is no incident in"),
    ] {
        let wrong = scan(&["--around", around, shown(&other)]);
        let said = String::from_utf8(wrong.stderr).unwrap();
        assert_eq!(wrong.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && said.contains("help"), "{said}");
    }
}

/// The one incident that a daemon shows, once it says this.
fn shown_by(daemon: &Daemon, expected: &Value) -> Value {
    until(&format!("{expected} of a breach"), || {
        let incidents = daemon.incidents();
        let incident = incidents.first().filter(|one| told(one) == *expected);
        incident.cloned()
    })
}

#[test]
fn a_daemon_reads_again_what_was_rotated_and_packed_also_after_a_crash() {
    let (folder, config) = house();
    let at = |name: &str| folder.path().join(name);
    let (log, old) = (at("access.log"), at("access.log.1"));
    let text = robbed(24, 40);
    // The first of the thief's lines stand in a file that is renamed, then packed.
    let cut = text.find("/api/orders/4003").unwrap();
    let cut = text[..cut].rfind('\n').unwrap() + 1;
    let daemon = Daemon::start(folder.path(), &config);
    append(&log, &text.as_bytes()[..cut]);
    shown_by(&daemon, &json!([3, 3, 1, "complete"]));
    fs::rename(&log, &old).unwrap();
    append(&log, &text.as_bytes()[cut..]);
    let incident = shown_by(&daemon, &json!([24, 24, 1, "complete"]));
    let sources = &incident["steps"]["breach"]["sources"];
    assert_eq!(sources, &json!([[shown(&log), 24]]));
    assert!(daemon.metric("tokentrip_breach_reports_total", &["complete"]) >= 2.0);
    daemon.kill();
    pack(&old);

    // What was read is forgotten, and read again from the archive.
    let daemon = Daemon::start(folder.path(), &config);
    let one_more = line(MORNING_S + 500, TOKYO, TOOL, "/api/orders/1", &token("ann"));
    append(&log, one_more.as_bytes());
    shown_by(&daemon, &json!([25, 25, 1, "complete"]));
    let (config, packed) = (at("tokentrip.toml"), at("access.log.1.gz"));
    let listed = scan(&[
        "--config",
        shown(&config),
        "--around",
        incident["id"].as_str().unwrap(),
        shown(&packed),
        shown(&log),
    ]);
    assert_eq!(of_type(&records(&listed), "request").len(), 25);
    assert!(daemon.terminate().success());
}

#[test]
fn what_is_gone_when_it_is_read_again_is_said_to_be_gone() {
    let (folder, config) = house();
    let log = folder.path().join("access.log");
    let text = robbed(12, 4);
    let cut = text.find("/api/orders/4006").unwrap();
    let cut = text[..cut].rfind('\n').unwrap() + 1;
    let daemon = Daemon::start(folder.path(), &config);
    append(&log, &text.as_bytes()[..cut]);
    shown_by(&daemon, &json!([6, 6, 1, "complete"]));
    assert!(daemon.terminate().success());
    fs::remove_file(&log).unwrap();
    append(&log, &text.as_bytes()[cut..]);
    let daemon = Daemon::start(folder.path(), &config);
    let incident = shown_by(&daemon, &json!([12, 6, 1, "partial"]));
    let reason = &incident["steps"]["breach"]["status"]["reason"];
    let reason = reason.as_str().unwrap();
    assert!(reason.contains("access.log are gone"), "{reason}");
    assert!(
        reason.contains("of 12 requests only 6 requests could"),
        "{reason}"
    );
}
