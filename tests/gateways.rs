//! Every snippet of `deploy/gateways`, loaded by the real gateway: what it logs is enough to find a theft, and opens
//! nothing.
//!
//! In: requests of a victim and of a thief with the victim's token, through the gateway. Out: the session, the subject
//! and the addresses that a scan of its log names.

use crate::support::daemon::{Daemon, tokentrip, until};
use crate::support::gateways::{Gateway, Kind};
use crate::support::logs::{BROWSER, ISSUER, LISBON, MORNING_S, OTHER_BROWSER, TOKYO, line};
use crate::support::mint::mint;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;
use tempfile::TempDir;

/// Requests of the victim, then of the thief.
const REQUESTS: [(&str, &str, usize); 2] = [(LISBON, BROWSER, 5), (TOKYO, OTHER_BROWSER, 3)];

/// A token of alice's that is valid now, as Envoy asks for.
fn token() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_s = since.unwrap().as_secs();
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "sid": "s-1", "jti": "j-1", "iat": now_s - 60, "exp": now_s + 3600,
    });
    mint(&claims, "rsa-2048")
}

/// A folder whose state has a key, so that every scan in it names a session alike.
fn house() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    let key = folder.path().join("state/key");
    fs::write(&key, [7; 64]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

fn configuration(log: &str) -> String {
    format!(
        "[[source]]\npath = \"{log}\"\ntrusted_proxies = [\"127.0.0.1\"]\n[state]\nfolder = \"state\"\n"
    )
}

/// The records of a scan.
fn scan(folder: &Path, log: &str) -> Vec<Value> {
    let config = folder.join("scan.toml");
    fs::write(&config, configuration(log)).unwrap();
    let ran = tokentrip()
        .current_dir(folder)
        .args(["scan", "--output", "ndjson", "--config", "scan.toml", log])
        .output()
        .unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(
        ran.status.code(),
        Some(1),
        "{said}\n{}",
        fs::read_to_string(folder.join(log)).unwrap()
    );
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn incident(records: &[Value]) -> &Value {
    let mut incidents = records.iter().filter(|record| record["type"] == "incident");
    incidents.next().unwrap()
}

/// What the same requests give when the log holds the token itself.
fn reference(folder: &Path, token: &str) -> Value {
    let mut log = String::new();
    let mut time_s = MORNING_S;
    for (client, agent, times) in REQUESTS {
        for _ in 0..times {
            log += &line(time_s, client, agent, "/api/orders", token);
            time_s += 1;
        }
    }
    fs::write(folder.join("reference.log"), log).unwrap();
    incident(&scan(folder, "reference.log")).clone()
}

#[track_caller]
fn check(kind: Kind) {
    let house = house();
    let folder = house.path();
    let token = token();
    let expected = reference(folder, &token);
    let asks = matches!(kind, Kind::Envoy | Kind::Traefik | Kind::Caddy);
    let daemon = asks.then(|| Daemon::start(folder, &configuration("none.log")));
    let gateway = Gateway::start(
        kind,
        folder,
        daemon.as_ref().map_or(9, |daemon| daemon.port),
    );
    let bearer = format!("Bearer {token}");
    for (client, agent, times) in REQUESTS {
        let fields = [
            ("X-Forwarded-For", client),
            ("User-Agent", agent),
            ("Authorization", &*bearer),
            ("X-Tokentrip", "what a client says of itself"),
        ];
        for _ in 0..times {
            assert_eq!(gateway.ask("/api/orders", &fields), 200);
        }
    }
    let log = until("every request in the log", || {
        let log = fs::read_to_string(&gateway.log).ok()?;
        let answered = log
            .lines()
            .filter(|line| line.contains(LISBON) || line.contains(TOKYO));
        (answered.count() >= 8).then_some(log)
    });
    if let Some(daemon) = &daemon {
        assert!(daemon.metric("tokentrip_checks_total", &["allowed"]) >= 8.0);
    }
    drop(gateway);
    let signature = token.rsplit_once('.').unwrap().1;
    assert!(!log.contains(signature), "the log holds whole tokens");

    let records = scan(folder, "tokentrip.log");
    let found = incident(&records);
    assert_eq!(found["sessions"], expected["sessions"]);
    assert_eq!(found["suspect"]["ips"], json!([TOKYO]));
    let networks = |incident: &Value| incident["victim"]["networks"].clone();
    assert_eq!(networks(found), networks(&expected));
    if kind == Kind::Traefik {
        // It has only ids to log, and this is the subject's.
        let subject = found["subject"].as_str().unwrap();
        assert!(subject.starts_with("u-"), "{subject}");
    } else {
        assert_eq!(
            (&found["subject"], &found["issuer"]),
            (&expected["subject"], &expected["issuer"])
        );
    }
}

#[test]
fn nginx_logs_tokens_without_their_signature() {
    check(Kind::NginxUnsigned);
}

#[test]
fn nginx_with_njs_logs_claims_and_a_keyed_hash() {
    check(Kind::NginxNjs);
}

#[test]
fn haproxy_logs_claims_and_a_keyed_hash() {
    check(Kind::HaProxy);
}

#[test]
fn apache_logs_tokens_without_their_signature() {
    check(Kind::Apache);
}

#[test]
fn envoy_logs_the_claims_it_verified_and_asks() {
    check(Kind::Envoy);
}

#[test]
fn traefik_asks_and_logs_what_it_is_told() {
    check(Kind::Traefik);
}

#[test]
fn caddy_logs_tokens_without_their_signature_and_asks() {
    check(Kind::Caddy);
}
