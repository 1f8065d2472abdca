//! The commands as a user runs them: what they show, what they say when the input is bad, and that no token is shown.
//!
//! In: arguments, files, standard input. Out: exit codes, stdout and stderr.

use crate::support::daemon::{Daemon, free_port, tokentrip, until};
use crate::support::logs::{BROWSER, ISSUER, LISBON, MORNING_S, TOKYO, line, theft, token};
use crate::support::shipped;
use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

const PUBLIC_KEYS: &str = include_str!("fixtures/keys/public.jwks.json");

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// The records of this type.
    fn records(&self, kind: &str) -> Vec<Value> {
        let records = self
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        records
            .filter(|record: &Value| record["type"] == kind)
            .collect()
    }

    /// An error that names the problem and says what to do, and nothing of our insides.
    #[track_caller]
    fn is_error(&self, words: &[&str]) {
        assert_eq!(self.code, 2, "{self:?}");
        assert!(self.err.contains("error"), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {self:?}");
        }
        for inside in ["panicked", "unwrap", "src/", "Err("] {
            assert!(!self.err.contains(inside), "{self:?}");
        }
    }
}

/// Runs a command in a folder.
fn run_in(folder: &Path, arguments: &[&str]) -> Said {
    said(
        Command::from_std(tokentrip())
            .current_dir(folder)
            .args(arguments),
    )
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code().expect("no signal ends it"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn the_same_log_gives_the_same_findings_from_a_file_a_folder_a_glob_an_archive_and_a_pipe() {
    let log = theft("alice@example.com", MORNING_S);
    let folder = folder(&[("logs/access.log", log.as_bytes())]);
    fs::create_dir(folder.path().join("old")).unwrap();
    fs::write(
        folder.path().join("old/access.log.gz"),
        packed(log.as_bytes()),
    )
    .unwrap();
    let ids = |said: &Said| {
        assert_eq!(said.code, 1, "{said:?}");
        let findings = said.records("finding");
        assert!(findings.len() >= 3, "{said:?}");
        assert_eq!(said.records("incident").len(), 1);
        findings.iter().map(|f| f["id"].clone()).collect::<Vec<_>>()
    };
    let file = ids(&run_in(folder.path(), &["scan", "logs/access.log"]));
    for path in ["logs", "logs/*.log", "old/access.log.gz", "old"] {
        assert_eq!(ids(&run_in(folder.path(), &["scan", path])), file, "{path}");
    }
    let mut piped = Command::from_std(tokentrip());
    let piped = said(piped.args(["scan", "-"]).write_stdin(log));
    assert_eq!(ids(&piped), file);
}

#[test]
fn every_record_has_the_fields_of_the_contract() {
    let log = theft("alice@example.com", MORNING_S);
    let folder = folder(&[("access.log", log.as_bytes())]);
    let said = run_in(folder.path(), &["scan", "access.log"]);
    let expected = [
        (
            "finding",
            "id rule title level confidence score time session subject issuer token \
            provenance source.ip source.country source.place source.asn source.org source.kind \
            client.name client.version client.os client.kind facts attack evidence.0.file \
            evidence.0.line evidence.0.offset evidence.0.time",
        ),
        (
            "incident",
            "id level score subject issuer sessions opened updated findings \
            victim.networks victim.clients suspect.ips suspect.networks suspect.clients \
            suspect.first_seen suspect.last_seen suspect.requests steps.password steps.revoke.targets \
            steps.breach.requests steps.breach.paths steps.breach.bytes steps.breach.writes \
            steps.breach.denied steps.breach.other_subjects steps.root_cause.hypotheses.0.cause \
            steps.root_cause.hypotheses.0.hint steps.root_cause.hypotheses.0.evidence \
            steps.root_cause.hypotheses.0.fix state next live_until suspect_active provenance \
            actions refused impact.sessions impact.last_legitimate_use alternatives prior parent \
            request_ids",
        ),
        (
            "summary",
            "lines events uses skipped tokens sessions subjects findings incidents \
            seconds gaps_bytes sources.0.file sources.0.format sources.0.confidence \
            sources.0.identified_ratio sources.0.top_peer_share",
        ),
    ];
    for (kind, fields) in expected {
        let records = said.records(kind);
        for field in fields.split_whitespace() {
            let pointer = format!("/{}", field.replace('.', "/"));
            let found = records
                .iter()
                .all(|record| record.pointer(&pointer).is_some());
            assert!(
                !records.is_empty() && found,
                "{kind} has no {field}: {}",
                said.out
            );
        }
    }
    let finding = &said.records("finding")[0];
    let time = finding["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let summary = &said.records("summary")[0];
    assert_eq!(
        (&summary["lines"], &summary["uses"]),
        (&9.into(), &9.into())
    );
}

#[test]
fn a_first_scan_without_configuration_detects_and_says_what_to_configure() {
    let log = theft("alice@example.com", MORNING_S);
    let folder = folder(&[("access.log", log.as_bytes())]);
    let said = run_in(folder.path(), &["scan", "access.log"]);
    assert_eq!(said.records("incident")[0]["provenance"], "presumed");
    assert!(
        said.err.contains("[[issuer]]") && said.err.contains("jwks"),
        "{}",
        said.err
    );
    let pretty = run_in(folder.path(), &["scan", "--output", "pretty", "access.log"]);
    for words in [
        "alice@example.com",
        "Tokyo, JP",
        "Lisbon",
        "1 password",
        "2 revoke",
        "3 breach",
        "4 root cause",
        "[[issuer]]",
    ] {
        assert!(pretty.out.contains(words), "no {words:?} in {}", pretty.out);
    }
    assert!(!pretty.out.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn a_log_without_credentials_ends_with_two_and_the_gateways_snippet() {
    let line =
        r#"192.0.2.1 - - [04/May/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.5""#;
    let folder = folder(&[("access.log", line.as_bytes())]);
    let said = run_in(folder.path(), &["scan", "access.log"]);
    said.is_error(&[
        "no credentials in access.log (combined)",
        "log_format tokentrip escape=json",
        "$http_authorization $tokentrip_token",
    ]);
}

#[test]
fn a_window_a_level_and_the_summary_alone_are_obeyed() {
    if !shipped(&["impossible_travel", "tool_on_browser_session"]) {
        return;
    }
    let log = theft("alice@example.com", MORNING_S);
    let folder = folder(&[("access.log", log.as_bytes())]);
    let scan = |arguments: &[&str]| {
        let said = run_in(
            folder.path(),
            &[&["scan", "access.log"], arguments].concat(),
        );
        (
            said.code,
            said.records("summary")[0]["uses"].as_u64().unwrap(),
            said.out.lines().count(),
        )
    };
    let window = [
        "--since",
        "2026-05-04T10:00:00Z",
        "--until",
        "2026-05-04T10:05:00Z",
    ];
    assert_eq!(scan(&[&["--summary"][..], &window].concat()), (0, 6, 1));
    assert_eq!(
        scan(&["--summary", "--since", "2026-05-05"]).0,
        2,
        "nothing to judge"
    );
    assert_eq!(scan(&["--summary"]), (1, 9, 1));
    let level =
        run_in(folder.path(), &["scan", "access.log"]).records("incident")[0]["level"].clone();
    assert_eq!(level, "critical");
    assert_eq!(scan(&["--summary", "--fail-on", "critical"]).0, 1);
    let quiet: String = log
        .lines()
        .take(6)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(folder.path().join("access.log"), quiet).unwrap();
    assert_eq!(scan(&["--summary", "--fail-on", "medium"]).0, 0);
}

#[test]
fn pseudonyms_leave_no_subject_and_no_address() {
    // One whose name stands in other words, one whose name is encoded in a call's path, and a proxy's share of events.
    let mut log = theft("al", MORNING_S) + &theft("zoë+x@example.com", MORNING_S + 4000);
    for step in 0..200 {
        log += &line(
            MORNING_S + 9000 + step,
            "192.0.2.77",
            BROWSER,
            "/",
            &token("al"),
        );
    }
    let folder = folder(&[("access.log", log.as_bytes())]);
    let mut ids = Vec::new();
    for form in ["ndjson", "pretty"] {
        let scan = ["scan", "access.log", "--pseudonymise", "--output", form];
        let said = run_in(folder.path(), &scan);
        assert_eq!(said.code, 1, "{said:?}");
        for name in [
            LISBON,
            TOKYO,
            "192.0.2.77",
            "zoë",
            "zo%C3%AB",
            "x@example",
            "x%40example",
        ] {
            assert!(!said.out.contains(name), "{name} in {}", said.out);
            assert!(!said.err.contains(name), "{name} in {}", said.err);
        }
        assert!(
            !said.out.contains(r#""al""#) && !said.out.contains(" al'"),
            "{}",
            said.out
        );
        if form == "ndjson" {
            for incident in said.records("incident") {
                // What is shared by several has no subject.
                ids.extend(incident["subject"].as_str().map(str::to_owned));
            }
        } else {
            assert!(ids.iter().all(|id| said.out.contains(id)), "{}", said.out);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert!(
        ids.len() == 2 && ids.iter().all(|id| id.starts_with("u-")),
        "{ids:?}"
    );
}

#[test]
fn a_reader_who_has_seen_enough_is_not_bothered() {
    let log: String = (0..200)
        .map(|n| theft(&format!("user-{n}"), MORNING_S + n * 5))
        .collect();
    let folder = folder(&[("access.log", log.as_bytes())]);
    for command in ["scan", "parse"] {
        let mut child = tokentrip()
            .args([command, "access.log"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut first).unwrap();
        drop(out);
        let mut err = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        let code = child.wait().unwrap().code();
        assert!(
            first.starts_with('{') && [Some(0), Some(1)].contains(&code),
            "{code:?} {err}"
        );
        assert!(!err.contains("pipe") && !err.contains("panicked"), "{err}");
    }
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let here = tempfile::tempdir().unwrap();
    for command in [
        "",
        "scan",
        "watch",
        "parse",
        "rules check",
        "rules list",
        "rules explain",
        "rules test",
        "geo info",
        "geo use",
        "geo build",
        "incidents list",
        "incidents show",
        "completions",
    ] {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let said = run_in(here.path(), &arguments);
        let (code, examples) = (
            said.code,
            said.out.split("Example").nth(1).unwrap_or_default(),
        );
        assert!(
            code == 0 && examples.contains("tokentrip "),
            "{command}: {said:?}"
        );
    }
    assert_eq!(
        run_in(here.path(), &[]).code,
        2,
        "without a command, the help is an error"
    );
}

#[test]
fn a_log_that_cannot_be_read_is_a_clear_error() {
    let cut = packed(&theft("alice", MORNING_S).repeat(300).into_bytes());
    let folder = folder(&[
        ("empty.log", b""),
        ("prose.log", &b"the quick brown fox\n".repeat(20)),
        (
            "binary.log",
            &(0..9000_u32)
                .map(|n| ((n * n) >> 3) as u8)
                .collect::<Vec<_>>(),
        ),
        (
            "noise.log.gz",
            &[&b"\x1f\x8b\x08\x00"[..], &[0xff; 300]].concat(),
        ),
        ("cut.log.gz", &cut[..cut.len() / 2]),
        ("theft.log", theft("alice", MORNING_S).as_bytes()),
    ]);
    std::os::unix::fs::symlink("loop.log", folder.path().join("loop.log")).unwrap();
    for (path, words) in [
        (
            "missing.log",
            &["cannot read missing.log", "No such file", "check the path"][..],
        ),
        ("loop.log", &["cannot read loop.log"]),
        // A regular file that nobody can read from its start, whoever runs the test.
        ("/proc/self/mem", &["/proc/self/mem", "Input/output error"]),
        ("/dev/null", &["/dev/null is no regular file", "pipe it in"]),
        ("empty.log", &["empty.log: is empty"]),
        ("prose.log", &["no known format fits", "--format"]),
        ("binary.log", &["no known format fits", "--format"]),
        ("noise.log.gz", &["damaged archive"]),
        ("*.nothing", &["no log files in *.nothing", "quoted glob"]),
    ] {
        run_in(folder.path(), &["scan", path]).is_error(words);
    }
    let named = run_in(folder.path(), &["scan", "--format", "combind", "theft.log"]);
    named.is_error(&["no log format is called `combind`", "combined"]);
    // The wrong format: nothing fits, every line is counted, and the scan does not pass for a quiet day.
    let wrong = run_in(
        folder.path(),
        &["scan", "--format", "combined", "theft.log"],
    );
    wrong.is_error(&["no credentials"]);
    assert_eq!(
        wrong.records("summary")[0]["skipped"]["malformed"],
        9,
        "{wrong:?}"
    );
}

#[test]
fn what_can_be_read_is_judged_and_the_rest_is_counted() {
    let log = theft("alice", MORNING_S);
    let cut = packed(&log.repeat(300).into_bytes());
    let folder = folder(&[
        (
            "a/theft.log",
            &[log.as_bytes(), b"no line of ours\n\xff\xfe\x00\n"].concat(),
        ),
        ("a/empty.log", b""),
        ("cut/cut.log.gz", &cut[..cut.len() / 2]),
    ]);
    let said = run_in(folder.path(), &["scan", "a"]);
    assert_eq!(
        (said.code, said.records("incident").len()),
        (1, 1),
        "{said:?}"
    );
    let skipped = &said.records("summary")[0]["skipped"];
    assert_eq!(skipped["unreadable_file"], 1);
    assert_eq!(
        (&skipped["malformed"], &skipped["binary"]),
        (&1.into(), &1.into()),
        "{skipped}"
    );
    assert!(said.err.contains("empty.log: is empty"), "{}", said.err);
    let said = run_in(folder.path(), &["scan", "cut"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("truncated archive"), "{}", said.err);
}

#[test]
fn a_wrong_set_up_is_told_before_anything_is_read() {
    if !shipped(&["impossible_travel"]) {
        return;
    }
    let rule = fs::read_to_string("rules/impossible_travel.yml").unwrap();
    let rule = rule.replace("travel.speed_kmh|gte", "travel.speed_kph|gte");
    let issuer = format!("[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n");
    let folder = folder(&[
        ("access.log", theft("alice", MORNING_S).as_bytes()),
        (
            "key.toml",
            b"[respons]\nmode = \"observe\"\n[server]\nlisten = 5\n",
        ),
        ("rule.toml", b"[rules]\nfolder = \"rules\"\n"),
        ("rules/impossible_travel.yml", rule.as_bytes()),
        ("jwks.toml", issuer.as_bytes()),
        ("keys.json", b"{\"keys\": ["),
    ]);
    for (config, words) in [
        ("gone.toml", &["gone.toml", "No such file", "--config"][..]),
        (
            "key.toml",
            &["key.toml:1", "did you mean `response`?", "listen"],
        ),
        (
            "rule.toml",
            &[
                "impossible_travel.yml:",
                "did you mean `travel.speed_kmh`?",
                "rules list --fields",
            ],
        ),
        ("jwks.toml", &["keys.json", "RFC 7517"]),
    ] {
        let said = run_in(folder.path(), &["scan", "--config", config, "access.log"]);
        said.is_error(words);
        assert_eq!(said.out, "", "nothing was judged");
    }
    let said = run_in(folder.path(), &["rules", "check", "--rules", "rules"]);
    said.is_error(&["did you mean `travel.speed_kmh`?"]);
    let said = run_in(folder.path(), &["rules", "explain", "impossible_travl"]);
    said.is_error(&["no rule `impossible_travl`", "rules list"]);
    let said = run_in(folder.path(), &["rules", "check", "--rules", "nowhere"]);
    said.is_error(&["nowhere", "No such file"]);
}

#[test]
fn a_daemon_that_cannot_start_says_why_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let free = free_port();
    let source = "[[source]]\npath = \"access.log\"\n";
    let at = |port| format!("[server]\nlisten = \"127.0.0.1:{port}\"\n");
    let folder = folder(&[
        (
            "port.toml",
            format!("{source}{}[state]\nfolder = \"s1\"\n", at(port)).as_bytes(),
        ),
        (
            "state.toml",
            format!("{source}{}[state]\nfolder = \"file/s2\"\n", at(free)).as_bytes(),
        ),
        (
            "proc.toml",
            format!("{source}{}[state]\nfolder = \"/proc/s\"\n", at(free)).as_bytes(),
        ),
        (
            "nothing.toml",
            format!("{}[state]\nfolder = \"s3\"\n", at(free)).as_bytes(),
        ),
        ("file", b""),
    ]);
    for (config, words) in [
        ("port.toml", &[&*port.to_string(), "in use", "listen"][..]),
        ("state.toml", &["file/s2", "[state] folder"]),
        ("proc.toml", &["/proc/s", "[state] folder"]),
        ("nothing.toml", &["nothing to watch", "[[source]]"]),
    ] {
        run_in(folder.path(), &["watch", "--config", config]).is_error(words);
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story, told in one piece")]
fn no_token_is_shown_anywhere() {
    let sub = "alice@example.com";
    let token = token(sub);
    let mut log = theft(sub, MORNING_S);
    // Where tokens do not belong: in a path, a query, a referer, a user agent, cut, and in lines that do not parse.
    log += &line(
        MORNING_S + 500,
        TOKYO,
        &token,
        &format!("/{token}?access_token={token}"),
        &token,
    );
    log += &line(
        MORNING_S + 510,
        TOKYO,
        BROWSER,
        &format!("/a?t={}", &token[..90]),
        &token,
    );
    log += &format!("{token} is no line\n{{\"token\":\"{token}\"\n");
    let name = &token[..120];
    let bad = format!("[\"{token}\"]\n{token} = \"{token}\"\n[server]\nlisten = \"{token}\"\n");
    let rule = format!("title: {token}\ndetection:\n    {token}:\n        {token}|gte: {token}\n");
    let issuer = format!("[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n");
    let folder = folder(&[
        ("access.log", log.as_bytes()),
        (&format!("{name}.log"), log.as_bytes()),
        (&format!("bad-{name}.toml"), bad.as_bytes()),
        (&format!("rules/{name}.yml"), rule.as_bytes()),
        (&format!("{name}.json"), b"{}"),
        ("keys.json", PUBLIC_KEYS.as_bytes()),
        ("good.toml", issuer.as_bytes()),
    ]);
    let named = format!("{name}.log");
    let missing = format!("missing-{token}.log");
    let config = format!("bad-{name}.toml");
    let time = format!("--since={token}");
    let mut shown = String::new();
    for arguments in [
        &["scan", "access.log"][..],
        &[
            "scan",
            "access.log",
            "--output",
            "pretty",
            "--color",
            "always",
        ],
        &["scan", "access.log", "--pseudonymise"],
        &[
            "scan",
            "access.log",
            "--no-fast-path",
            "--config",
            "good.toml",
        ],
        &["scan", &named],
        &["scan", &named, "--output", "pretty"],
        &["scan", &missing],
        &["scan", &token],
        &["scan", "access.log", "--config", &config],
        &["scan", "access.log", "--config", &token],
        &["scan", "access.log", "--rules", "rules"],
        &["scan", "access.log", "--rules", &token],
        &["scan", "access.log", "--format", &token],
        &["scan", "access.log", &time],
        &["parse", "access.log"],
        &["parse", &named],
        &["parse", "--format", &token, "access.log"],
        &["rules", "check", "--rules", "rules"],
        &["rules", "explain", &token],
        &["rules", "test", &token],
        &["geo", "info", &token],
        &["geo", "use", &token],
        &["incidents", "show", &token],
        &["watch", "--config", &config],
        &["completions", &token],
        &[&token],
    ] {
        let mut command = Command::from_std(tokentrip());
        command.current_dir(folder.path()).args(arguments);
        let said = said(command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1"));
        assert!(!said.err.contains("panicked"), "{arguments:?} {said:?}");
        shown += &format!("\n=== {arguments:?}\n")
            .replace(&token, "T")
            .replace(name, "N");
        shown += &said.out;
        shown += &said.err;
    }
    shown += &watched(&folder, &named);
    let (_, payload) = token.split_once('.').unwrap();
    let signature = token.rsplit_once('.').unwrap().1;
    for secret in [
        &token,
        "eyJ",
        &payload[..40],
        &signature[..40],
        &signature[signature.len() - 40..],
    ] {
        let at = shown.find(secret);
        let around = at.map(|at| &shown[at.saturating_sub(400)..(at + 60).min(shown.len())]);
        assert_eq!(around, None, "a token is shown");
    }
}

/// Everything that a daemon shows of such a log, whose name is a token's.
fn watched(folder: &TempDir, log: &str) -> String {
    let config = format!(
        "[[source]]\npath = \"{log}\"\n[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n\
         [[sink]]\nkind = \"file\"\npath = \"told.ndjson\"\n[state]\nfolder = \"state\"\n"
    );
    let daemon = Daemon::start(folder.path(), &config);
    let told = folder.path().join("told.ndjson");
    until("an alert", || {
        let told = fs::read_to_string(&told).ok()?;
        told.contains("incident").then_some(())
    });
    let mut shown = fs::read_to_string(&told).unwrap();
    let incident = daemon.incidents()[0]["id"].as_str().unwrap().to_owned();
    let token = token("alice@example.com");
    for page in [
        "/metrics",
        "/readyz",
        "/v1/incidents",
        &format!("/v1/incidents/{incident}"),
        &format!("/v1/incidents/{token}"),
        &format!("/v1/check?access_token={token}"),
        &format!("/{token}"),
    ] {
        shown += &daemon.get(page).unwrap().1;
    }
    let log = daemon.log();
    assert!(daemon.terminate().success(), "{log}");
    let listed = run_in(
        folder.path(),
        &["incidents", "list", "--config", "tokentrip.toml"],
    );
    // Where the tailer goes on is kept under the file's real name; findings, incidents, outbox and audit are not.
    let store = fs::read(folder.path().join("state/store.db")).unwrap();
    shown += &String::from_utf8_lossy(&store);
    shown + &log + &listed.out + &listed.err
}
