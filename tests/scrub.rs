//! `tokentrip scrub`: what it leaves is still the same log, and nobody can use it.
//!
//! In: the sample stories, logs in every packing. Out: the scan of the scrubbed log beside that of the original.

use crate::support::daemon::tokentrip;
use crate::support::logs::{MORNING_S, theft, token};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tempfile::TempDir;

/// Rules that look at claims, signatures or whole tokens, none of which a scrubbed log has.
const OF_CLAIMS: [&str; 12] = [
    "raw_token_in_log",
    "alg_none_accepted",
    "claims_altered",
    "expired_accepted",
    "forged_accepted",
    "header_injection",
    "jti_two_subjects",
    "key_confusion_accepted",
    "no_expiry",
    "not_yet_valid_accepted",
    "forged_refused",
    "alg_none_refused",
];

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = tokentrip();
    command.current_dir(folder).args(arguments);
    command.output().unwrap()
}

#[track_caller]
fn scrub(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let ran = run(folder, &[&["scrub"][..], arguments].concat());
    assert!(ran.status.success(), "{ran:?}");
    ran.stdout
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str], words: &str) {
    let ran = run(folder, &[&["scrub"][..], arguments].concat());
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains(words), "{said}");
}

/// A folder with a configuration whose state has a key.
fn house() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    let key = folder.path().join("state/key");
    fs::write(&key, [7; 64]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let config = "[state]\nfolder = \"state\"\n";
    fs::write(folder.path().join("tokentrip.toml"), config).unwrap();
    folder
}

/// Rule, session and subject's presence of every finding, and the counts of tokens, sessions and subjects.
fn seen(folder: &Path, log: &str) -> (BTreeSet<(String, String)>, Vec<u64>) {
    let scan = ["scan", "--config", "tokentrip.toml", "--output", "ndjson"];
    let ran = run(folder, &[&scan[..], &[log]].concat());
    let out = String::from_utf8(ran.stdout).unwrap();
    let records = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut findings, mut counts) = (BTreeSet::new(), Vec::new());
    for record in records {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        if record["type"] == "finding" && !OF_CLAIMS.contains(&&*text("rule")) {
            findings.insert((text("rule"), text("session")));
        }
        if record["type"] == "summary" {
            let count = |name| record[name].as_u64().unwrap();
            counts = ["lines", "uses", "tokens", "sessions", "subjects"]
                .map(count)
                .to_vec();
        }
    }
    (findings, counts)
}

#[test]
fn a_scrubbed_story_tells_of_the_same_sessions() {
    let house = house();
    let mut stories = 0;
    for story in fs::read_dir("sample-logs").unwrap() {
        let story = story.unwrap().path();
        let logs = story.is_dir().then(|| fs::read_dir(&story).unwrap());
        for log in logs.into_iter().flatten().map(|log| log.unwrap().path()) {
            if log.extension().is_none_or(|ending| ending != "log") {
                continue;
            }
            fs::copy(&log, house.path().join("raw.log")).unwrap();
            let config = ["--config", "tokentrip.toml", "raw.log"];
            let scrubbed = scrub(house.path(), &config);
            let text = String::from_utf8(scrubbed).unwrap();
            assert!(!text.contains("eyJ"), "{log:?}");
            let raw = fs::read_to_string(&log).unwrap();
            assert_eq!(text.lines().count(), raw.lines().count());
            fs::write(house.path().join("scrubbed.log"), text).unwrap();
            let (before, after) = (
                seen(house.path(), "raw.log"),
                seen(house.path(), "scrubbed.log"),
            );
            assert_eq!(before, after, "{log:?}");
            stories += 1;
        }
    }
    assert!(stories >= 8, "only {stories}");
}

#[test]
fn a_token_that_the_container_runtime_split_is_gone_as_a_whole() {
    let house = house();
    let request = format!("GET /?access_token={} HTTP/1.1", token("bob"));
    let time = "2026-05-04T10:11:12.345678901Z";
    let of_whole = scrub_bytes(&house, request.as_bytes());
    let of_whole = String::from_utf8(of_whole).unwrap();
    let (_, id) = of_whole.split_once('=').unwrap();
    for at in [20, 22, 40, 150, 300] {
        let (first, last) = request.split_at(at);
        let log = format!("{time} stdout P {first}\n{time} stderr F x\n{time} stdout F {last}\n");
        let scrubbed = String::from_utf8(scrub_bytes(&house, log.as_bytes())).unwrap();
        assert!(
            scrubbed.contains(id.split(' ').next().unwrap()),
            "{scrubbed}"
        );
        let rest = &request[request.len() - 60..request.len() - 10];
        assert!(!scrubbed.contains(rest), "{scrubbed}");
        assert_eq!(scrubbed.lines().count(), 3);
    }
}

#[test]
fn packing_line_ends_and_lines_that_do_not_parse_stay() {
    let house = house();
    let mut log = theft("alice", MORNING_S).replace('\n', "\r\n").into_bytes();
    let token = token("bob");
    log.extend_from_slice(format!("no line: {token}\n\n{token} last").as_bytes());
    log.push(0xff);
    let expected = scrub_bytes(&house, &log);
    assert!(memchr(&expected, b"eyJ").is_none());
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines(&expected), lines(&log));
    assert!(expected.ends_with(b" last\xff"));

    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&log).unwrap();
    let scrubbed = scrub_bytes(&house, &gzip.finish().unwrap());
    let mut unpacked = Vec::new();
    GzDecoder::new(&scrubbed[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, expected);

    let scrubbed = scrub_bytes(&house, &zstd::encode_all(&log[..], 3).unwrap());
    assert_eq!(zstd::decode_all(&scrubbed[..]).unwrap(), expected);
}

fn memchr(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Through standard input to standard output.
fn scrub_bytes(house: &TempDir, bytes: &[u8]) -> Vec<u8> {
    let mut child = tokentrip()
        .current_dir(house.path())
        .args(["scrub", "--config", "tokentrip.toml", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn a_file_is_replaced_only_when_asked_and_only_whole() {
    let house = house();
    let at = |name: &str| -> PathBuf { house.path().join(name) };
    let log = theft("alice", MORNING_S);
    fs::write(at("a.log"), &log).unwrap();
    fs::write(at("b.log"), &log).unwrap();
    fs::set_permissions(at("a.log"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(at("a.log")).unwrap();

    refused(house.path(), &["a.log", "b.log"], "--in-place");
    refused(
        house.path(),
        &["a.log", "--to", "b.log"],
        "is there already",
    );
    scrub(
        house.path(),
        &["a.log", "b.log", "--to", "out", "--key-file", "k"],
    );
    assert_eq!(fs::read_to_string(at("a.log")).unwrap(), log);
    assert_eq!(
        fs::read(at("out/a.log")).unwrap(),
        fs::read(at("out/b.log")).unwrap()
    );

    scrub(house.path(), &["a.log", "--in-place", "--key-file", "k"]);
    assert_eq!(
        fs::read(at("a.log")).unwrap(),
        fs::read(at("out/b.log")).unwrap()
    );
    let after = fs::metadata(at("a.log")).unwrap();
    assert_eq!(after.mode(), before.mode());
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());

    // A broken archive: nothing is left of the attempt, and the file stays.
    let whole = zstd::encode_all(log.as_bytes(), 3).unwrap();
    fs::write(at("c.zst"), &whole[..whole.len() / 2]).unwrap();
    refused(house.path(), &["c.zst", "--in-place"], "c.zst");
    assert_eq!(fs::read(at("c.zst")).unwrap(), &whole[..whole.len() / 2]);
    let hidden = |name: &str| name.starts_with('.');
    let names = fs::read_dir(house.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| hidden(name)).count(), 0);
}
