//! From "I have a log" to "it sees my tokens": `init`, `doctor` and the first scan.
//!
//! In: logs as gateways write them. Out: what is recognised, the configuration that is written, what is still missing.

use crate::support::daemon::{Daemon, free_port, tokentrip};
use crate::support::logs::{BROWSER, ISSUER, line, theft, token};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::SystemTime;
use tempfile::TempDir;

/// The log of each gateway as it is without any snippet, in a file whose name tells nothing unless the lines cannot.
const BLIND: [(&str, &str, &str); 6] = [
    (
        "nginx",
        "access.log",
        r#"192.0.2.10 - - [04/May/2026:10:11:12 +0000] "GET /api HTTP/1.1" 200 5 "-" "curl/8.5""#,
    ),
    (
        "Apache",
        "apache2/access.log",
        r#"192.0.2.10 - - [04/May/2026:10:11:12 +0000] "GET /api HTTP/1.1" 200 5 "-" "curl/8.5""#,
    ),
    (
        "HAProxy",
        "access.log",
        r#"May  4 10:11:12 lb haproxy[1234]: 192.0.2.10:4000 [04/May/2026:10:11:12.345] web app/app 0/0/1/2/3 200 120 - - ---- 1/1/0/0/0 0/0 "GET /api HTTP/1.1""#,
    ),
    (
        "Envoy",
        "access.log",
        r#"{"start_time":"2026-05-04T10:11:12.345Z","method":"GET","path":"/api","protocol":"HTTP/1.1","response_code":200,"response_flags":"-","bytes_sent":5,"duration":3,"user_agent":"curl/8.5","authority":"api.example.com","downstream_remote_address":"192.0.2.10:4000"}"#,
    ),
    (
        "Traefik",
        "access.log",
        r#"{"ClientAddr":"192.0.2.10:4000","ClientHost":"192.0.2.10","DownstreamContentSize":5,"DownstreamStatus":200,"Duration":2753195,"RequestMethod":"GET","RequestPath":"/api","RouterName":"app@file","StartUTC":"2026-05-04T10:11:12.345Z","entryPointName":"web","time":"2026-05-04T10:11:12Z"}"#,
    ),
    (
        "Caddy",
        "access.log",
        r#"{"level":"info","ts":1777889472.345,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"192.0.2.10","client_ip":"192.0.2.10","method":"GET","host":"api.example.com","uri":"/api","headers":{"Authorization":["REDACTED"]}},"duration":0.01,"size":5,"status":200}"#,
    ),
];

struct Said {
    code: i32,
    text: String,
}

/// Runs the program; what it said on both of its outputs.
fn run(folder: &Path, arguments: &[&str]) -> Said {
    let ran = tokentrip()
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: ran.status.code().unwrap(),
        text: text(ran.stdout) + &text(ran.stderr),
    }
}

#[track_caller]
fn holds(said: &Said, words: &[&str]) {
    for word in words {
        assert!(said.text.contains(word), "no {word:?} in\n{}", said.text);
    }
    assert!(!said.text.contains("eyJ"), "{}", said.text);
}

fn folder(name: &str, log: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, log).unwrap();
    folder
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs().try_into().unwrap()
}

/// A line that only the snippet of that gateway has.
fn snippet(gateway: &str) -> &'static str {
    match gateway {
        "nginx" => "map $http_authorization $tokentrip_token {",
        "Apache" => "SetEnvIfNoCase Authorization",
        "HAProxy" => "http-request set-var(txn.token) http_auth_bearer",
        "Envoy" => "payload_in_metadata: payload",
        "Traefik" => "X-Tokentrip: keep",
        _ => "log_append token {tokentrip_said}",
    }
}

/// Who writes each format there is no snippet for, and a word of what there is to do instead.
const SERVICES: [(&str, &str, &str); 19] = [
    ("kong", "Kong", "custom_fields_by_lua"),
    (
        "nginx_proxy_manager",
        "nginx Proxy Manager",
        "http_top.conf",
    ),
    ("aws_alb", "AWS Application Load Balancer", "behind it"),
    (
        "aws_api_gateway",
        "AWS API Gateway",
        "$context.authorizer.claims.sub",
    ),
    ("aws_cloudtrail", "AWS CloudTrail", "behind it"),
    ("cloudflare", "Cloudflare", "behind it"),
    (
        "gcp_load_balancer",
        "Google Cloud load balancer",
        "behind it",
    ),
    (
        "azure_application_gateway",
        "Azure Application Gateway",
        "behind it",
    ),
    ("azure_front_door", "Azure Front Door", "behind it"),
    ("w3c", "Amazon CloudFront", "behind it"),
    ("iis_event", "IIS", "tokentrip scrub"),
    ("zoraxy", "Zoraxy", "behind it"),
    ("kubernetes_audit", "Kubernetes", "ServiceAccountTokenJTI"),
    ("keycloak", "Keycloak", "follow both"),
    ("auth0", "Auth0", "follow both"),
    ("okta", "Okta", "follow both"),
    ("entra", "Microsoft Entra ID", "follow both"),
    ("error_log", "a server's error log", "the access log"),
    ("logfmt", "unknown gateway", "`jwt_sub`"),
];

#[test]
fn what_a_log_says_of_its_fields_is_heard() {
    let log = "#Software: Microsoft Internet Information Services 10.0\n\
               #Fields: c-ip time date cs-method cs-uri-stem sc-status\n\
               192.0.2.7 10:11:12 2026-05-04 GET /a 200\n\
               192.0.2.7 10:11:13 2026-05-04 GET /b 200\n";
    let folder = folder("u_ex260504.log", log);
    let said = run(folder.path(), &["init", "u_ex260504.log"]);
    holds(&said, &["IIS, format w3c (100 % sure), 2 requests"]);
}

#[test]
fn of_every_log_it_says_who_wrote_it_and_what_there_is_to_do() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    for (format, name, advice) in SERVICES {
        let logs = fs::read_dir(fixtures.join(format)).unwrap();
        let mut logs: Vec<_> = logs.map(|log| log.unwrap().path()).collect();
        logs.retain(|log| log.extension().is_some_and(|extension| extension == "log"));
        logs.sort();
        let text = fs::read_to_string(&logs[0]).unwrap();
        let folder = folder("some.log", &text);
        let said = run(folder.path(), &["init", "some.log"]);
        assert_eq!(said.code, 0, "{format}: {}", said.text);
        holds(&said, &[name]);
        let wants = said.text.contains("no tokens") || said.text.contains("whole tokens");
        assert!(!wants || said.text.contains(advice), "{}", said.text);
    }
}

#[test]
fn the_first_scan_of_a_blind_log_ends_with_2_and_says_what_that_gateway_should_log() {
    for (gateway, name, line) in BLIND {
        let folder = folder(name, &format!("{line}\n{line}\n"));
        let said = run(folder.path(), &["scan", name]);
        assert_eq!(said.code, 2, "{gateway}: {}", said.text);
        holds(&said, &["no credentials", gateway, snippet(gateway)]);
        let said = run(folder.path(), &["init", name]);
        assert_eq!(said.code, 0, "{gateway}: {}", said.text);
        holds(
            &said,
            &["no tokens, claims or hashes", gateway, snippet(gateway)],
        );
    }
}

#[test]
fn what_init_writes_is_a_configuration_and_is_never_written_over() {
    let folder = folder("a.log", &theft("alice", now_s() - 900));
    let said = run(folder.path(), &["init", "a.log"]);
    assert_eq!(said.code, 0, "{}", said.text);
    holds(
        &said,
        &[
            "format json (100 % sure)",
            "9 whole tokens",
            "tokentrip scrub",
        ],
    );
    let written = fs::read_to_string(folder.path().join("tokentrip.toml")).unwrap();
    assert!(
        written.contains(ISSUER) && written.contains("/a.log\""),
        "{written}"
    );

    let again = run(folder.path(), &["init", "a.log"]);
    assert_eq!(again.code, 2);
    holds(&again, &["is there already", "--to"]);

    let scan = run(
        folder.path(),
        &["scan", "--config", "tokentrip.toml", "a.log"],
    );
    assert_eq!(scan.code, 1, "{}", scan.text);
    let none = run(folder.path(), &["init", "--to", "x.toml", "nothing.log"]);
    assert_eq!(none.code, 2);
    assert!(!folder.path().join("x.toml").exists());
}

#[test]
fn one_private_address_in_front_of_everybody_is_named_as_a_proxy() {
    let lines: String = (0..30)
        .map(|step| {
            line(
                now_s() - 60 + step,
                "10.1.2.3",
                BROWSER,
                "/api",
                &token("alice"),
            )
        })
        .collect();
    let folder = folder("a.log", &lines);
    let said = run(folder.path(), &["init", "a.log"]);
    holds(&said, &["every request came from 10.1.2.3"]);
    let written = fs::read_to_string(folder.path().join("tokentrip.toml")).unwrap();
    assert!(
        written.contains("trusted_proxies = [\"10.1.2.3\"]"),
        "{written}"
    );
    let said = run(folder.path(), &["doctor", "--config", "tokentrip.toml"]);
    holds(&said, &["every client is 10.1.2.3", "X-Forwarded-For"]);
}

/// A configuration whose log is `a.log`, with this below it.
fn configure(folder: &Path, port: u16, more: &str) {
    let text = format!(
        "[[source]]\npath = \"a.log\"\n{more}\n[state]\nfolder = \"state\"\n[server]\nlisten = \"127.0.0.1:{port}\"\n"
    );
    fs::write(folder.join("tokentrip.toml"), text).unwrap();
}

#[test]
fn doctor_says_of_each_thing_whether_it_works_and_what_to_do() {
    let folder = folder("a.log", &theft("alice", now_s() - 900));
    let doctor = |config: &str| run(folder.path(), &["doctor", "--config", config]);
    let keys = include_str!("fixtures/keys/public.jwks.json");
    fs::write(folder.path().join("jwks.json"), keys).unwrap();
    let issuer = format!("[[issuer]]\nissuer = \"{ISSUER}\"\njwks = ");

    configure(
        folder.path(),
        free_port(),
        &format!("{issuer}\"jwks.json\""),
    );
    let said = doctor("tokentrip.toml");
    assert_eq!(said.code, 1, "{}", said.text);
    holds(
        &said,
        &[
            "ok    config",
            "ok    rules",
            "ok    state",
            "9 of the last 9 lines are requests, 9 whole tokens",
            "ok    clock",
            "ok    issuer    https://idp.example.com/:",
            "ok    server",
            "warn  check     no daemon is running",
        ],
    );

    // A log that was rotated just now is nothing that does not work.
    fs::write(folder.path().join("a.log"), "").unwrap();
    let said = doctor("tokentrip.toml");
    assert_eq!(said.code, 1, "{}", said.text);
    holds(&said, &["is empty: what it will hold cannot be told yet"]);

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port();
    let gone = format!("{issuer}\"http://127.0.0.1:{}/jwks.json\"", free_port());
    configure(folder.path(), taken, &gone);
    fs::write(
        folder.path().join("a.log"),
        theft("alice", now_s() + 86_400),
    )
    .unwrap();
    let said = doctor("tokentrip.toml");
    assert_eq!(said.code, 2, "{}", said.text);
    holds(
        &said,
        &[
            "ahead of this machine's clock",
            "could not be reached",
            "is in use by another program",
        ],
    );

    fs::write(
        folder.path().join("wrong.toml"),
        "[[source]]\npaht = \"a.log\"\n",
    )
    .unwrap();
    let said = doctor("wrong.toml");
    assert_eq!(said.code, 2);
    holds(&said, &["paht", "path"]);
}

#[test]
fn doctor_says_what_the_running_daemon_is_asked() {
    let folder = folder("a.log", &theft("alice", now_s() - 900));
    let daemon = Daemon::start(
        folder.path(),
        "[[source]]\npath = \"a.log\"\n[state]\nfolder = \"state\"",
    );
    let doctor = || run(folder.path(), &["doctor", "--config", "tokentrip.toml"]);
    let said = doctor();
    holds(
        &said,
        &[
            "a daemon answers",
            "no gateway has asked /v1/check yet",
            "ok    state",
        ],
    );
    assert_eq!(daemon.get("/v1/check").unwrap().0, 200);
    holds(&doctor(), &["gateways asked 1 times, 0 refused"]);
}
