//! What a denial comes to at real gateways, what a gateway does while nobody answers, and what `/v1/check` sees before any
//! log does.
//!
//! In: requests of a victim and a thief; a real nginx log. Out: 401 at every gateway, and its end when somebody takes it back.

use crate::gateway::Crowd;
use crate::support::daemon::{Daemon, get, tokentrip, until};
use crate::support::deniers::{Away, Denier, map_of, mirrors};
use crate::support::gateways::Gateway;
use crate::support::house::append;
use crate::support::logs::{BROWSER, ISSUER, LISBON, OTHER_BROWSER, TOKYO};
use crate::support::mint::mint;
use crate::support::shipped;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// From the thief's line in the log to a refusal at the last gateway, with a core for whoever wants one.
const EVERYWHERE_MAX: Duration = Duration::from_secs(1);

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs().try_into().unwrap()
}

fn token(sub: &str) -> String {
    let now_s = now_s();
    let claims = json!({
        "iss": ISSUER, "sub": sub, "sid": format!("sid-{sub}"), "jti": format!("jti-{sub}"),
        "iat": now_s - 60, "exp": now_s + 3600,
    });
    mint(&claims, "rsa-2048")
}

fn configuration(folder: &Path, more: &str) -> String {
    let keys = include_str!("fixtures/keys/public.jwks.json");
    fs::write(folder.join("keys.json"), keys).unwrap();
    format!(
        "[[source]]\npath = \"{}\"\ntrusted_proxies = [\"127.0.0.1\"]\n[[issuer]]\nissuer = \"{ISSUER}\"\n\
         jwks = \"keys.json\"\nalgorithms = [\"RS256\"]\n[response]\nmode = \"enforce\"\n[state]\nfolder = \"state\"\n{more}",
        folder.join("access.log").display()
    )
}

/// A request's header fields, as a load balancer on this machine passes it on.
fn fields<'a>(client: &'a str, agent: &'a str, bearer: &'a str) -> [(&'a str, &'a str); 3] {
    [
        ("X-Forwarded-For", client),
        ("User-Agent", agent),
        ("Authorization", bearer),
    ]
}

fn command(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = tokentrip();
    command
        .args(arguments)
        .arg("--config")
        .arg(folder.join("tokentrip.toml"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output
}

/// Every gateway with its name.
fn gateways(folder: &Path, daemon: &Daemon, away: Away) -> Vec<(Denier, Gateway)> {
    until("nginx' map", || map_of(folder).exists().then_some(()));
    let start = |kind: Denier| (kind, kind.start(folder, daemon.port, away));
    Denier::ALL.map(start).into()
}

/// What nginx is told by `tokentrip-map.path` where systemd runs.
fn reload_on_change<T>(
    folder: &Path,
    gateways: &[(Denier, Gateway)],
    mut work: impl FnMut() -> Option<T>,
) -> T {
    let map = map_of(folder);
    let read = || fs::read(&map).unwrap();
    let mut seen = read();
    until("the same at every gateway", || {
        let is = read();
        if is != seen {
            seen = is;
            let mut nginx = gateways
                .iter()
                .filter(|(kind, _)| *kind == Denier::NginxMap);
            nginx.next().unwrap().1.reload();
        }
        work()
    })
}

#[test]
fn a_theft_in_nginx_log_is_refused_at_every_gateway_within_a_second_and_undo_takes_it_back() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let daemon = Daemon::start(folder, &configuration(folder, &mirrors(folder)));
    let gateways = gateways(folder, &daemon, Away::Closed);
    let token = token("alice");
    let bearer = format!("Bearer {token}");
    for (kind, gateway) in &gateways {
        let status = gateway.ask("/api/orders", &fields(LISBON, BROWSER, &bearer));
        assert_eq!(status, 200, "{kind:?}");
    }
    // The theft stands in a log alone: a line of the victim's that nginx wrote, and the thief's after it.
    let log = folder.join("Nginx-Closed/tokentrip.log");
    let written = until("nginx' log", || {
        let log = fs::read_to_string(&log).ok()?;
        log.lines()
            .find(|line| line.contains(LISBON))
            .map(str::to_owned)
    });
    let source = folder.join("access.log");
    append(&source, format!("{written}\n").as_bytes());
    until("the line read", || {
        (daemon.metric("tokentrip_lines_read_total", &[]) >= 1.0).then_some(())
    });
    let stolen = written
        .replace(LISBON, TOKYO)
        .replace(BROWSER, OTHER_BROWSER);
    let crowd = Crowd::watch();
    let begun = Instant::now();
    append(&source, format!("{stolen}\n").as_bytes());
    let mut refused = vec![None; gateways.len()];
    let status =
        |gateway: &Gateway| gateway.status("/api/orders", &fields(LISBON, BROWSER, &bearer));
    reload_on_change(folder, &gateways, || {
        for ((_, gateway), at) in gateways.iter().zip(&mut refused) {
            if at.is_none() && status(gateway) == Some(401) {
                *at = Some(begun.elapsed());
            }
        }
        refused.iter().all(Option::is_some).then_some(())
    });
    let most = EVERYWHERE_MAX.mul_f64(crowd.mean());
    println!("from the thief's line in the log to 401, in ms, as they were looked for:");
    for ((kind, _), after) in gateways.iter().zip(&refused) {
        let after = after.unwrap();
        println!("{:>6}  {kind:?}", after.as_millis());
        assert!(after < most, "{kind:?}: {after:?} of {most:?}");
    }
    let incidents = daemon.incidents();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(incidents[0]["state"], "contained");

    let id = incidents[0]["id"].as_str().unwrap();
    command(folder, &["incidents", "undo", id]);
    reload_on_change(folder, &gateways, || {
        gateways
            .iter()
            .all(|(_, gateway)| status(gateway) == Some(200))
            .then_some(())
    });
    assert_eq!(daemon.metric("tokentrip_denylist_size", &[]), 0.0);
}

#[test]
fn while_the_daemon_is_away_each_recipe_does_what_it_says() {
    for away in [Away::Closed, Away::Open] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let daemon = Daemon::start(folder, &configuration(folder, &mirrors(folder)));
        let gateways = gateways(folder, &daemon, away);
        let bearer = format!("Bearer {}", token("alice"));
        for (kind, gateway) in &gateways {
            let status = gateway.ask("/api/orders", &fields(LISBON, BROWSER, &bearer));
            assert_eq!(status, 200, "{kind:?} {away:?}");
        }
        daemon.kill();
        for (kind, gateway) in &gateways {
            let status = || gateway.status("/api/orders", &fields(LISBON, BROWSER, &bearer));
            // A file asks nobody.
            let passes = away == Away::Open || *kind == Denier::NginxMap;
            until(&format!("what {kind:?} does {away:?}"), || {
                match status()? {
                    200 => passes.then_some(()),
                    status => (!passes && matches!(status, 403 | 500..600)).then_some(()),
                }
            });
        }
    }
}

/// A daemon whose log holds nothing, asked as a gateway asks.
struct Asked {
    folder: TempDir,
    daemon: Daemon,
}

impl Asked {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("access.log"), "").unwrap();
        let config = configuration(folder.path(), "");
        let daemon = Daemon::start(folder.path(), &config);
        Self { folder, daemon }
    }

    fn ask(&self, client: &str, agent: &str, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        let mut asked = fields(client, agent, &bearer).to_vec();
        asked.push(("X-Original-URI", "/api/orders?x=1"));
        get(self.daemon.port, "/v1/check", &asked).unwrap().0
    }

    fn incident(&self) -> Value {
        until("an incident", || self.daemon.incidents().pop())
    }
}

#[test]
fn a_thief_is_refused_at_his_second_request_though_no_log_holds_a_token() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let asked = Asked::start();
    let token = token("alice");
    assert_eq!(asked.ask(LISBON, BROWSER, &token), 200);
    // What the gateway logs of it: claims. Now it is known that the token is let in.
    let told = json!({
        "msec": format!("{}.000", now_s()), "remote_addr": LISBON, "request_method": "GET", "request_uri": "/api/orders",
        "status": "200", "http_user_agent": BROWSER, "jwt_iss": ISSUER, "jwt_sub": "alice", "jwt_sid": "sid-alice",
        "jwt_jti": "jti-alice", "jwt_exp": (now_s() + 3600).to_string(),
    });
    append(
        &asked.folder.path().join("access.log"),
        format!("{told}\n").as_bytes(),
    );
    until("the line read", || {
        (asked.daemon.metric("tokentrip_lines_read_total", &[]) >= 1.0).then_some(())
    });
    until("the victim's first use", || {
        (asked
            .daemon
            .metric("tokentrip_presented_total", &["observed"])
            >= 1.0)
            .then_some(())
    });
    let begun = Instant::now();
    assert_eq!(asked.ask(TOKYO, OTHER_BROWSER, &token), 200, "his first");
    until("the denial", || {
        (asked.daemon.metric("tokentrip_denylist_size", &[]) >= 1.0).then_some(())
    });
    let incident = asked.incident();
    println!(
        "from the thief's first request to the denial: {:?}",
        begun.elapsed()
    );
    assert_eq!(asked.ask(TOKYO, OTHER_BROWSER, &token), 401, "his second");
    assert_eq!(incident["provenance"], "verified");
    assert_eq!(incident["subject"], "alice");
    assert_eq!(incident["suspect"]["ips"], json!([TOKYO]));

    // The log of a gateway that can neither decode nor hash holds the ids that it was given, and joins.
    let ids = {
        let bearer = format!("Bearer {}", self::token("bob"));
        let (_, head) = head(asked.daemon.port, &fields(LISBON, BROWSER, &bearer));
        let ids = head
            .lines()
            .find_map(|line| line.strip_prefix("x-tokentrip: "));
        ids.unwrap().to_owned()
    };
    assert!(ids.starts_with("~t-"), "{ids}");

    // SIGKILL, and the same incident is there once, with its denial.
    let Asked { folder, daemon } = asked;
    daemon.kill();
    let config = configuration(folder.path(), "");
    let daemon = Daemon::start(folder.path(), &config);
    let asked = Asked { folder, daemon };
    let again = asked.daemon.incidents();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["id"], incident["id"]);
    assert_eq!(again[0]["findings"], incident["findings"]);
    assert_eq!(asked.ask(LISBON, BROWSER, &token), 401);
    let state = asked.folder.path().join("state");
    for file in fs::read_dir(state)
        .unwrap()
        .flatten()
        .filter(|file| file.path().is_file())
    {
        let bytes = fs::read(file.path()).unwrap();
        let holds = bytes.windows(5).any(|five| five == b"eyJhb");
        assert!(!holds, "a token in {}", file.path().display());
    }
}

/// Status and head of an answer to a question.
fn head(port: u16, fields: &[(&str, &str)]) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut request =
        "GET /v1/check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".to_owned();
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    stream
        .write_all(format!("{request}\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, _) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        head.replace("\r\n", "\n"),
    )
}
