//! Where lines come from: wrappers, archives, many files at once.
//!
//! In: one theft, packed in every way. Out: the same finding, at the exact place of its line.

use crate::support::daemon::{Daemon, free_port, get, tokentrip, until};
use crate::support::logs::{
    BROWSER, ISSUER, LISBON, MORNING_S, OTHER_BROWSER, TOKYO, claims, line, theft, token,
};
use crate::support::mint::mint;
use crate::support::shipped;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

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

/// Clouds deliver all records of some minutes as one object in one line, far longer than any line may be.
#[test]
fn a_theft_among_many_megabytes_of_records_in_one_line_is_the_theft_in_the_plain_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = lines_of(&theft("ann", MORNING_S));
    while lines.iter().map(String::len).sum::<usize>() < 3 << 20 {
        let subject = format!("s{}", lines.len());
        lines.extend(at_home(&subject, MORNING_S, 1000));
    }
    lines.rotate_left(2);
    let (plain, _, _) = scan(&[&file(folder.path(), "plain.json", &lines)]);
    assert!(!rules(&plain).is_empty());
    lines
        .iter_mut()
        .for_each(|line| line.truncate(line.trim_end().len()));
    let event = |line: &String| {
        json!({"timestamp": 1_777_888_800_000_i64, "message": line, "ingestionTime": 1}).to_string()
    };
    let events: Vec<String> = lines.iter().map(event).collect();
    for (name, before, records, after) in [
        ("Records", r#"{"Records":["#, &lines, "]}"),
        ("records", "{\"records\": [", &lines, "]}\n"),
        ("array", "[", &lines, "]"),
        ("events", r#"{"events":["#, &events, "]}"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, format!("{before}{}{after}", records.join(","))).unwrap();
        let (found, said, _) = scan(&[&path]);
        assert_eq!(rules(&found), rules(&plain), "{name}: {said}");
        let summary = of(&found, "summary")[0];
        assert_eq!(
            summary["lines"],
            of(&plain, "summary")[0]["lines"],
            "{name}"
        );
        assert_eq!(
            summary["skipped"],
            of(&plain, "summary")[0]["skipped"],
            "{name}"
        );
        for ((rule, line, offset), (_, plain_line, _)) in
            places(&found).into_iter().zip(places(&plain))
        {
            let ahead = &records[..plain_line as usize - 1];
            let ahead = ahead
                .iter()
                .map(|record| record.len() as u64 + 1)
                .sum::<u64>();
            let first = if plain_line == 1 {
                0
            } else {
                before.len() as u64
            };
            assert_eq!(
                (line, offset),
                (plain_line, first + ahead),
                "{name}: {rule}"
            );
        }
    }
}

#[test]
fn t73_the_time_of_a_wrapper_counts_only_where_the_line_has_none() {
    if !shipped(&["impossible_travel"]) {
        return;
    }
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

/// What a program of the system makes of these bytes.
fn piped(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is installed by tests/all: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let packed = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    packed
}

#[test]
fn t30_a_theft_in_any_archive_in_a_folder_is_the_theft_in_the_plain_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = theft("ann", MORNING_S);
    let plain = folder.path().join("plain.log");
    fs::write(&plain, &log).unwrap();
    let expected = places(&scan(&[&plain]).0);
    assert!(!expected.is_empty());
    for (program, name) in [
        ("gzip", "a/access.log.2.gz"),
        ("zstd", "b/access.log.3.zst"),
        ("bzip2", "c/access.log.4.bz2"),
        ("xz", "d/access.log.5.xz"),
        ("xz", "e/misnamed.gz"),
        ("gzip", "f/access.log"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, piped(program, log.as_bytes())).unwrap();
        let (records, said, _) = scan(&[path.parent().unwrap()]);
        assert_eq!(places(&records), expected, "{name}: {said}");
        assert_eq!(of(&records, "summary")[0]["gaps_bytes"], 0, "{name}");
    }
}

#[test]
fn t30_an_archive_that_breaks_off_is_read_as_far_as_it_goes_and_the_rest_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let log = theft("ann", MORNING_S);
    let more = theft("ben", MORNING_S + 3600).repeat(300);
    for (program, name) in [
        ("gzip", "a.gz"),
        ("zstd", "b.zst"),
        ("bzip2", "c.bz2"),
        ("xz", "d.xz"),
    ] {
        let (first, second) = (
            piped(program, log.as_bytes()),
            piped(program, more.as_bytes()),
        );
        let mut packed = [first, second].concat();
        packed.truncate(packed.len() - 20);
        let path = folder.path().join(name);
        fs::write(&path, packed).unwrap();
        let (records, said, code) = scan(&[&path]);
        assert!(said.contains("is a truncated archive"), "{name}: {said}");
        let summary = of(&records, "summary")[0];
        assert_eq!(summary["skipped"]["unreadable_file"], 1, "{name}");
        let incidents = of(&records, "incident");
        assert!(
            incidents
                .iter()
                .any(|incident| incident["subject"] == "ann"),
            "{name}"
        );
        assert_eq!(code, 1, "{name}");
    }
}

/// A server that is killed when it is dropped.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It is gone already when a test has ended it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn peer(program: &str, args: &[&str], port: u16) -> Peer {
    let started = Command::new(program)
        .args(args)
        .stderr(Stdio::null())
        .spawn();
    let peer = Peer(
        started.unwrap_or_else(|error| panic!("{program} is installed by tests/all: {error}")),
    );
    until(program, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    peer
}

/// An nginx that answers 200 and logs each request as JSON to this target.
fn nginx(folder: &Path, name: &str, target: &str) -> (Peer, u16) {
    let (port, here) = (free_port(), folder.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/{name}-{kind};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid {here}/{name}.pid;\nerror_log {here}/{name}-error.log;\n\
         events {{}}\nhttp {{\n{temporary}\n\
         log_format t escape=json '{{\"msec\":\"$msec\",\"remote_addr\":\"$http_x_real_ip\",\
         \"request_method\":\"$request_method\",\"request_uri\":\"$request_uri\",\"status\":\"$status\",\
         \"http_user_agent\":\"$http_user_agent\",\"http_authorization\":\"$http_authorization\"}}';\n\
         server {{\nlisten 127.0.0.1:{port};\naccess_log {target} t;\n\
         location / {{ return 200 ok; }}\n}}\n}}\n"
    );
    let path = folder.join(format!("{name}.conf"));
    fs::write(&path, config).unwrap();
    let error_log = folder.join(format!("{name}-error.log"));
    let args = [
        "-e",
        error_log.to_str().unwrap(),
        "-c",
        path.to_str().unwrap(),
    ];
    (peer("nginx", &args, port), port)
}

fn ask(port: u16, address: &str, agent: &str, token: &str) {
    let bearer = format!("Bearer {token}");
    let fields = [
        ("X-Real-Ip", address),
        ("User-Agent", agent),
        ("Authorization", bearer.as_str()),
    ];
    assert_eq!(get(port, "/api/orders", &fields).unwrap().0, 200);
}

/// Somebody works in Lisbon, and at once somebody else in Tokyo with the same token.
fn steal(port: u16, subject: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let token = mint(&claims(subject, now.as_secs() as i64 - 600), "rsa-2048");
    for _ in 0..5 {
        ask(port, LISBON, BROWSER, &token);
    }
    for _ in 0..3 {
        ask(port, TOKYO, OTHER_BROWSER, &token);
    }
}

fn listening(folder: &Path, listeners: &[&str]) -> String {
    let sources: String = (listeners.iter())
        .map(|listen| format!("[[source]]\nlisten = \"{listen}\"\n"))
        .collect();
    fs::write(
        folder.join("keys.json"),
        include_str!("fixtures/keys/public.jwks.json"),
    )
    .unwrap();
    let issuer = format!("[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n");
    format!("{sources}{issuer}[state]\nfolder = \"state\"\n")
}

fn incident_of(daemon: &Daemon, subject: &str) -> Value {
    until(subject, || {
        let incidents = daemon.incidents();
        incidents
            .into_iter()
            .find(|incident| incident["subject"] == subject)
    })
}

#[test]
fn a_real_nginx_that_logs_to_syslog_is_heard_over_udp_and_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (udp, socket) = (free_port(), here.join("syslog.sock"));
    let listen_udp = format!("udp://127.0.0.1:{udp}");
    let listen_unix = format!("unixgram://{}", socket.display());
    let config = listening(here, &[&listen_udp, &listen_unix]);
    let daemon = Daemon::start(here, &config);
    let (_one, port) = nginx(here, "one", &format!("syslog:server=127.0.0.1:{udp}"));
    let unix = format!("syslog:server=unix:{},nohostname,tag=web", socket.display());
    let (_two, other) = nginx(here, "two", &unix);
    steal(port, "ann");
    steal(other, "ben");
    let by_udp = incident_of(&daemon, "ann");
    let by_socket = incident_of(&daemon, "ben");
    // A datagram's sender is only claimed, so nothing may follow from it, whatever the signature says.
    assert_eq!(by_udp["provenance"], "presumed");
    assert_eq!(by_socket["provenance"], "verified");
    assert_eq!(
        daemon.metric("tokentrip_messages_received_total", &[]),
        16.0
    );
    assert_eq!(daemon.metric("tokentrip_messages_dropped_total", &[]), 0.0);
    // What was heard is journalled like any line: a daemon that is killed goes on with what came while it was not read.
    daemon.kill();
    let daemon = Daemon::start(here, &config);
    incident_of(&daemon, "ann");
    assert_eq!(daemon.metric("tokentrip_gap_bytes_total", &[]), 0.0);
    assert_eq!(daemon.incidents().len(), 2);
    assert!(daemon.terminate().success());
    assert!(!socket.exists());
}

#[test]
fn a_real_haproxy_that_logs_to_syslog_is_heard_over_udp_and_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (udp, tcp, front) = (free_port(), free_port(), free_port());
    let listeners = [
        format!("udp://127.0.0.1:{udp}"),
        format!("tcp://127.0.0.1:{tcp}"),
    ];
    let daemon = Daemon::start(
        here,
        &listening(here, &listeners.each_ref().map(String::as_str)),
    );
    let format = r#"{"time_iso8601":"%[date,utime(%Y-%m-%dT%H:%M:%SZ)]","remote_addr":"%[capture.req.hdr(0)]","request_method":"%HM","request_uri":"%HU","status":"%ST","http_user_agent":"%[capture.req.hdr(1)]","http_authorization":"%[capture.req.hdr(2)]"}"#;
    let config = format!(
        "global\n  log 127.0.0.1:{udp} len 8192 format rfc3164 local0\n  log ring@tcp len 8192 format rfc5424 local0\n\
         ring tcp\n  format rfc5424\n  maxlen 8192\n  size 1048576\n  timeout connect 5s\n  timeout server 10s\n  \
         server t 127.0.0.1:{tcp} log-proto octet-count\n\
         defaults\n  mode http\n  log global\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n\
         frontend f\n  bind 127.0.0.1:{front}\n  declare capture request len 64\n  declare capture request len 512\n  \
         declare capture request len 4096\n  http-request capture req.hdr(X-Real-Ip) id 0\n  \
         http-request capture req.hdr(User-Agent) id 1\n  http-request capture req.hdr(Authorization) id 2\n  \
         log-format '{format}'\n  http-request return status 200 content-type text/plain string ok\n"
    );
    let path = here.join("haproxy.cfg");
    fs::write(&path, config).unwrap();
    let _haproxy = peer(
        "haproxy",
        &["-q", "-db", "-f", path.to_str().unwrap()],
        front,
    );
    steal(front, "cyd");
    let incident = incident_of(&daemon, "cyd");
    assert_eq!(incident["suspect"]["ips"][0], TOKYO);
    let heard = |listener: &str| daemon.metric("tokentrip_messages_received_total", &[listener]);
    until("both ways", || {
        (heard("udp://") >= 8.0 && heard("tcp://") >= 8.0).then_some(())
    });
}

#[test]
fn syslog_over_tls_is_heard_from_those_with_a_certificate_and_from_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let openssl = |args: &str| {
        let made = Command::new("openssl")
            .args(args.split_whitespace())
            .current_dir(here)
            .stderr(Stdio::null())
            .status()
            .expect("openssl is installed by tests/all");
        assert!(made.success(), "openssl {args}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ca"
    ));
    fs::write(here.join("ext"), "subjectAltName=IP:127.0.0.1").unwrap();
    for name in ["server", "client"] {
        openssl(&format!(
            "req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.pem"
        ));
    }
    let port = free_port();
    let files =
        "tls_certificate = \"server.pem\"\ntls_key = \"server.key\"\ntls_client_ca = \"ca.pem\"\n";
    let listen = format!("listen = \"tls://127.0.0.1:{port}\"\n");
    let config = listening(here, &["x"]).replace("listen = \"x\"\n", &(listen + files));
    let daemon = Daemon::start(here, &config);
    let send = |args: &[&str]| {
        let mut client = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-no_ign_eof",
                "-CAfile",
                "ca.pem",
                "-connect",
            ])
            .arg(format!("127.0.0.1:{port}"))
            .args(args)
            .current_dir(here)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = client.stdin.take().unwrap();
        for line in theft("dee", MORNING_S).lines() {
            let message = format!("<190>1 2026-05-04T10:00:00Z web nginx 7 - - {line}");
            // A server that refuses the client closes the pipe.
            let _ = stdin.write_all(format!("{} {message}", message.len()).as_bytes());
        }
        drop(stdin);
        let _ = client.wait();
    };
    send(&[]);
    until("the stranger", || {
        (daemon.metric("tokentrip_messages_dropped_total", &["handshake"]) >= 1.0).then_some(())
    });
    assert_eq!(daemon.metric("tokentrip_messages_received_total", &[]), 0.0);
    send(&["-cert", "client.pem", "-key", "client.key"]);
    assert_eq!(incident_of(&daemon, "dee")["provenance"], "verified");
}

#[test]
fn standard_input_is_a_source_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let port = free_port();
    let config = format!(
        "{}\n[server]\nlisten = \"127.0.0.1:{port}\"\n",
        listening(here, &["stdin"])
    );
    fs::write(here.join("tokentrip.toml"), config).unwrap();
    let mut daemon = Peer(
        tokentrip()
            .args(["watch", "--config"])
            .arg(here.join("tokentrip.toml"))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    daemon
        .0
        .stdin
        .take()
        .unwrap()
        .write_all(theft("eve", MORNING_S).as_bytes())
        .unwrap();
    until("an incident", || {
        let (_, body) = get(port, "/v1/incidents", &[])?;
        body.contains("\"eve\"").then_some(())
    });
}

#[test]
fn what_cannot_be_listened_on_is_said_with_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokentrip.toml");
    for (listen, said) in [
        ("udp://localhost", "an address and a port are missing"),
        (
            "tls://127.0.0.1:6514",
            "`tls_certificate` and `tls_key` are missing",
        ),
        ("syslog", "it has no `://`"),
        ("sctp://127.0.0.1:1", "it is of no known kind"),
    ] {
        fs::write(&path, format!("[[source]]\nlisten = \"{listen}\"\n")).unwrap();
        let output = tokentrip()
            .args(["watch", "--config"])
            .arg(&path)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            error.contains(said) && error.contains("unixgram://"),
            "{error}"
        );
    }
}

/// Writes these lines into a file and gives its path.
fn file(folder: &Path, name: &str, lines: &[String]) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, lines.concat()).unwrap();
    path
}

/// Somebody who stays at home, a request every ten seconds.
fn at_home(subject: &str, from_s: i64, requests: i64) -> Vec<String> {
    let token = token(subject);
    let steps = 0..requests;
    steps
        .map(|step| line(from_s + step * 10, LISBON, BROWSER, "/api/orders", &token))
        .collect()
}

fn lines_of(log: &str) -> Vec<String> {
    log.lines().map(|line| format!("{line}\n")).collect()
}

/// The distinct rules that found something.
fn found(records: &[Value]) -> std::collections::BTreeSet<String> {
    rules(records).into_iter().collect()
}

#[test]
fn t29_torn_and_interleaved_lines_are_counted_and_hide_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = lines_of(&theft("ann", MORNING_S));
    let whole = scan(&[&file(folder.path(), "whole.log", &lines)]).0;
    let torn = lines[2].clone();
    lines.insert(3, format!("{}{torn}", &torn[..40]));
    lines.insert(7, torn[100..].to_owned());
    lines.push(torn[..60].to_owned());
    let (records, _, _) = scan(&[&file(folder.path(), "torn.log", &lines)]);
    // A token in a torn line is one more finding: it was shown.
    assert!(found(&whole).is_subset(&found(&records)));
    assert_eq!(of(&records, "summary")[0]["lines"], lines.len());
}

#[test]
fn t70_a_clock_that_steps_back_or_ahead_makes_no_thief() {
    let folder = tempfile::tempdir().unwrap();
    for (name, step_s) in [("back", -3600), ("ahead", 3600), ("far", -86_400)] {
        let mut lines = at_home("ann", MORNING_S, 60);
        lines.extend(at_home("ann", MORNING_S + 600 + step_s, 60));
        let (records, said, _) = scan(&[&file(folder.path(), name, &lines)]);
        assert!(of(&records, "incident").is_empty(), "{name}: {said}");
        assert_eq!(of(&records, "summary")[0]["events"], 120, "{name}");
    }
}

#[test]
fn t71_lines_that_come_minutes_to_hours_late_find_what_they_find_in_time() {
    if !shipped(&["impossible_travel"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = at_home("ben", MORNING_S, 1000);
    let theft = lines_of(&theft("ann", MORNING_S));
    let mut in_time = theft.clone();
    in_time.extend(home.clone());
    let expected = found(&scan(&[&file(folder.path(), "in_time.log", &in_time)]).0);
    // The whole theft comes after nearly three hours of other lines; then the same in a file of its own.
    let mut late = home.clone();
    late.extend(theft.clone());
    assert_eq!(
        found(&scan(&[&file(folder.path(), "late.log", &late)]).0),
        expected
    );
    let (a, b) = (
        file(folder.path(), "a.log", &home),
        file(folder.path(), "b.log", &theft),
    );
    assert_eq!(found(&scan(&[&a, &b]).0), expected);
    // Holder and thief in two gateways' files: only in the order of time are they one story.
    let (holder, thief) = theft.split_at(6);
    let (a, b) = (
        file(folder.path(), "x.log", thief),
        file(folder.path(), "y.log", holder),
    );
    let (records, _, _) = scan(&[&a, &b]);
    let travel = |records: &[Value]| {
        let of_travel = places(records)
            .into_iter()
            .find(|place| place.0.contains("impossible_travel"));
        of_travel.map(|(_, line, offset)| (line, offset))
    };
    assert_eq!(travel(&records), Some((1, 0)));
}

#[test]
fn t72_clocks_that_disagree_are_measured_said_and_make_no_thief() {
    let folder = tempfile::tempdir().unwrap();
    let here = at_home("ann", MORNING_S, 50);
    let there: Vec<String> = (here.iter())
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let time: f64 = line["msec"].as_str().unwrap().parse().unwrap();
            line["msec"] = json!(format!("{:.3}", time + 312.0));
            format!("{line}\n")
        })
        .collect();
    let edge = file(folder.path(), "edge.log", &here);
    let backend = file(folder.path(), "backend.log", &there);
    let (records, said, _) = scan(&[&edge, &backend]);
    let expected = format!(
        "the clock of {} is 312 s ahead of that of {}, by 50 requests",
        backend.display(),
        edge.display()
    );
    assert!(said.contains(&expected), "{said}");
    assert!(of(&records, "incident").is_empty(), "{said}");
}

#[test]
fn t74_a_stamp_from_the_future_moves_no_other_line_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (theft("ann", MORNING_S), theft("ben", MORNING_S + 60));
    let plain = file(folder.path(), "plain.log", &lines_of(&first));
    let other = file(folder.path(), "other.log", &lines_of(&second));
    let (expected, _, _) = scan(&[&plain, &other]);
    let mut lines = lines_of(&first);
    let far = lines[1].replace(&format!("{}", MORNING_S + 30), "4102444800");
    assert_ne!(far, lines[1]);
    lines[1] = far;
    let wrong = file(folder.path(), "plain.log", &lines);
    let (records, said, _) = scan(&[&wrong, &other]);
    assert_eq!(rules(&records), rules(&expected), "{said}");
    assert_eq!(of(&records, "summary")[0]["sources"][0]["held_back"], 1);
    assert!(
        said.contains("1 lines have a stamp from the future"),
        "{said}"
    );
    for incident in of(&records, "incident") {
        assert!(
            incident["updated"]
                .as_str()
                .unwrap()
                .starts_with("2026-05-04")
        );
    }
}

/// A story as IIS writes it, with the columns in this order.
fn iis(log: &str, columns: &[&str]) -> String {
    let mut text = format!("#Fields: {}\n", columns.join(" "));
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let of = |name: &str| line[name].as_str().unwrap().replace(' ', "+");
        let second: i64 = of("msec").split('.').next().unwrap().parse().unwrap();
        let since = second - MORNING_S;
        let time = format!(
            "{:02}:{:02}:{:02}",
            10 + since / 3600,
            since / 60 % 60,
            since % 60
        );
        let value = |column: &&str| match *column {
            "date" => "2026-05-04".to_owned(),
            "time" => time.clone(),
            "c-ip" => of("remote_addr"),
            "cs-method" => of("request_method"),
            "cs-uri-stem" => of("request_uri"),
            "sc-status" => of("status"),
            "cs(User-Agent)" => of("http_user_agent"),
            "cs(Authorization)" => of("http_authorization"),
            _ => "-".to_owned(),
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        text += &format!("{}\n", values.join(" "));
    }
    text
}

const COLUMNS: [&str; 8] = [
    "date",
    "time",
    "c-ip",
    "cs-method",
    "cs-uri-stem",
    "sc-status",
    "cs(User-Agent)",
    "cs(Authorization)",
];

const OTHER_COLUMNS: [&str; 9] = [
    "cs(Authorization)",
    "date",
    "time",
    "s-sitename",
    "cs(User-Agent)",
    "sc-status",
    "cs-uri-stem",
    "cs-method",
    "c-ip",
];

#[test]
fn t28_columns_that_change_in_the_middle_of_a_file_and_before_a_restart_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("u_ex.log");
    let (first, second) = (theft("ann", MORNING_S), theft("ben", MORNING_S + 900));
    let other = iis(&second, &OTHER_COLUMNS);
    let text = iis(&first, &COLUMNS) + &other;
    fs::write(&log, &text).unwrap();
    let (records, said, _) = scan(&[&log]);
    let plain = file(folder.path(), "plain.json", &lines_of(&(first + &second)));
    assert_eq!(rules(&records), rules(&scan(&[&plain]).0), "{said}");
    // The daemon that is to see the thief never read which columns there are.
    let config = format!(
        "[[source]]\npath = \"{}\"\n[[issuer]]\nissuer = \"{ISSUER}\"\n[state]\nfolder = \"state\"\n",
        log.display()
    );
    let cut = text.len() - other.lines().last().unwrap().len() - 1;
    fs::write(&log, "").unwrap();
    let append = |text: &str| {
        let mut file = File::options().append(true).open(&log).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    for part in [
        &text[..300],
        &text[300..cut - 2000],
        &text[cut - 2000..cut],
        &text[cut..],
    ] {
        let daemon = Daemon::start(folder.path(), &config);
        append(part);
        let ends = part.matches('\n').count() as f64;
        until("the lines", || {
            (daemon.metric("tokentrip_lines_read_total", &[]) >= ends).then_some(())
        });
        if part == &text[cut..] {
            incident_of(&daemon, "ben");
            assert_eq!(daemon.metric("tokentrip_lines_skipped_total", &[]), 0.0);
        }
        daemon.kill();
    }
}
