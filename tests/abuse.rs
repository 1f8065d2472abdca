//! An attacker who knows the program and tries to turn it against its users: nobody but a thief loses anything.
//!
//! In: logs with what an attacker can write into them, in mode enforce, with a provider that is called for real.
//! Out: no call and no denial for a victim; what is genuinely stolen is denied all the same.

use crate::support::daemon::{Daemon, get, tokentrip, until, until_for};
use crate::support::hook::{Call, Hook};
use crate::support::house::{append, enforcing, furnished};
use crate::support::logs::{BROWSER, ISSUER, LISBON, OTHER_BROWSER, TOKYO};
use crate::support::lures::{Lure, Manner};
use crate::support::mint::{mint, mint_with, unsigned};
use crate::support::shipped;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use tokentrip::store::{Query, Store};

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs().try_into().unwrap()
}

fn claims(sub: &str) -> Value {
    let now_s = now_s();
    json!({
        "iss": ISSUER, "sub": sub, "sid": format!("sid-{sub}"), "jti": format!("jti-{sub}"),
        "iat": now_s - 900, "exp": now_s + 3600,
    })
}

fn token(sub: &str) -> String {
    mint(&claims(sub), "p-256")
}

/// One line as nginx writes it, every field given.
fn line(ago_s: i64, client: &str, agent: &str, token: &str, more: &[(&str, &str)]) -> String {
    let mut line = json!({
        "msec": format!("{}.000", now_s() - ago_s), "remote_addr": client, "request_method": "GET",
        "request_uri": "/api/orders", "status": "200", "body_bytes_sent": "512", "http_host": "api.example.com",
        "request_id": format!("{ago_s:032x}"), "http_user_agent": agent, "http_referer": "",
        "http_x_forwarded_for": "", "http_authorization": format!("Bearer {token}"),
    });
    for (name, value) in more {
        line[*name] = (*value).into();
    }
    format!("{line}\n")
}

/// A theft that is one: the holder at home, then somebody far away.
fn theft(sub: &str) -> String {
    let token = token(sub);
    let holder = (0..3).map(|step| line(400 - step * 20, LISBON, BROWSER, &token, &[]));
    let thief = line(60, TOKYO, OTHER_BROWSER, &token, &[]);
    holder.chain([thief]).collect()
}

struct House {
    folder: TempDir,
    hook: Hook,
    daemon: Daemon,
}

impl House {
    fn start(more: &str, log: &str) -> Self {
        let folder = furnished();
        append(&folder.path().join("access.log"), log.as_bytes());
        let hook = Hook::start(|_, _| Some(204));
        let daemon = Daemon::start(folder.path(), &enforcing(&hook, more));
        Self {
            folder,
            hook,
            daemon,
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    fn write(&self, lines: &str) {
        append(&self.log(), lines.as_bytes());
    }

    fn all_read(&self) {
        let written = fs::read_to_string(self.log()).unwrap().lines().count();
        until_for(Duration::from_secs(300), "every line read", || {
            let read = self.daemon.metric("tokentrip_lines_read_total", &[]);
            (read as usize == written).then_some(())
        });
    }

    fn check(&self, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        get(self.daemon.port, "/v1/check", &[("Authorization", &bearer)])
            .unwrap()
            .0
    }

    /// The calls about a subject.
    fn calls(&self, sub: &str) -> Vec<Call> {
        let mut calls = self.hook.calls();
        calls.retain(|call| call.body.to_string().contains(sub));
        calls
    }

    fn incidents_of(&self, sub: &str) -> Vec<Value> {
        let mut incidents = self.daemon.incidents();
        incidents.retain(|incident| incident["subject"] == sub);
        incidents
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story, told in one piece")]
fn whatever_an_attacker_writes_or_forges_no_victim_is_logged_out_or_denied() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let house = House::start("", "");
    let victim = token("victim");
    for step in 0..3 {
        house.write(&line(500 - step * 20, LISBON, BROWSER, &victim, &[]));
    }
    // Where a key set would be fetched from, if anybody followed a header.
    let lure = TcpListener::bind("127.0.0.1:0").unwrap();
    lure.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks.json", lure.local_addr().unwrap());

    let named = claims("victim");
    let mut bad_signature = victim.clone();
    bad_signature.replace_range(victim.len() - 30.., &"A".repeat(30));
    let none = format!("{}.", unsigned(&json!({"alg": "none"}), &named));
    let confused = mint_with(
        &json!({"alg": "HS256", "kid": "rsa-2048"}),
        &named,
        "shared-secret",
    );
    let fetched = mint_with(
        &json!({"alg": "ES256", "kid": "p-256", "jku": url, "x5u": url, "jwk": {"kty": "EC"}}),
        &claims("lured"),
        "shared-secret",
    );
    let kids = [
        "../../../../dev/null",
        "' OR '1'='1",
        "$(touch /tmp/x)",
        "{{7*7}}",
        "\r\nX: y",
    ];
    let kids = kids.map(|kid| {
        mint_with(
            &json!({"alg": "ES256", "kid": kid}),
            &named,
            "shared-secret",
        )
    });
    let mut forged = vec![bad_signature, none, confused, fetched];
    forged.extend(kids);
    for (nth, forged) in forged.iter().enumerate() {
        for (step, status) in ["401", "200", "302", "403"].iter().enumerate() {
            let ago_s = 300 - (nth * 4 + step) as i64;
            house.write(&line(
                ago_s,
                TOKYO,
                OTHER_BROWSER,
                forged,
                &[("status", status)],
            ));
        }
    }
    // A storm of a genuine token that is dead, let in by a gateway that forgot to look, and not.
    let mut dead = named.clone();
    dead["iat"] = (now_s() - 90_000).into();
    dead["exp"] = (now_s() - 86_400).into();
    dead["jti"] = "jti-dead".into();
    let dead = mint(&dead, "p-256");
    for step in 0..200 {
        let status = ["401", "200"][step % 2];
        house.write(&line(
            200,
            TOKYO,
            OTHER_BROWSER,
            &dead,
            &[("status", status)],
        ));
    }
    // An attacker with an account of his own writes the victim's line into every field he has.
    let own = mint(&claims("attacker"), "p-256");
    let inside = line(150, TOKYO, OTHER_BROWSER, "x", &[]);
    let injected =
        format!("\"}}\r\n{inside}{{\"a\":\"\\\",\"http_authorization\":\"Bearer {victim}");
    let claimed = "\",\"jwt_sub\":\"victim\",\"jwt_iss\":\"https://idp.example.com/\",\"jwt_sid\":\"sid-victim";
    for field in [
        "http_user_agent",
        "request_uri",
        "http_referer",
        "http_host",
        "request_id",
        "http_x_forwarded_for",
    ] {
        for text in [
            inside.as_str(),
            claimed,
            injected.as_str(),
            "%0d%0a",
            "\u{0}\u{7f}\u{9b}",
        ] {
            house.write(&line(140, LISBON, BROWSER, &own, &[(field, text)]));
        }
    }
    // He names the victim's address as his own, before a proxy that is trusted and before one that is not.
    for (client, chain) in [
        ("10.0.0.1", "192.0.2.10, 198.51.100.5"),
        ("198.51.100.5", "192.0.2.10"),
    ] {
        let spoofed = [("http_x_forwarded_for", chain)];
        house.write(&line(120, client, OTHER_BROWSER, &own, &spoofed));
    }
    house.all_read();
    house.write(&line(0, LISBON, BROWSER, &victim, &[]));
    // What is stolen for real, after all that, is answered.
    house.write(&theft("robbed"));
    until("the one real theft", || {
        (!house.calls("sid-robbed").is_empty()).then_some(())
    });
    house.all_read();
    assert_eq!(house.check(&token("robbed")), 401);
    assert_eq!(house.check(&victim), 200);
    assert_eq!(house.check(&own), 200);
    for name in ["sid-victim", "sid-lured", "sid-attacker", "\"victim\""] {
        let calls = house.calls(name);
        assert!(calls.is_empty(), "{name}: {calls:#?}");
    }
    for incident in house.incidents_of("victim") {
        let done = incident["actions"].as_array().unwrap().len();
        assert_eq!(done, 0, "{incident:#}");
    }
    assert!(lure.accept().is_err(), "somebody followed jku or x5u");
    assert!(!house.daemon.log().contains(&victim));
}

/// Resident memory of the daemon.
fn resident_mib(daemon: &Daemon) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let row = status
        .lines()
        .find(|row| row.starts_with("VmRSS:"))
        .unwrap();
    row.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        / 1024
}

#[test]
fn receivers_that_are_slow_or_hostile_hold_nobody_up_and_lead_nowhere() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let elsewhere = Lure::start(Manner::Silent);
    let redirects =
        [301, 302, 303, 307, 308].map(|status| Manner::Redirects(status, elsewhere.url.clone()));
    let mut manners = vec![
        Manner::Silent,
        Manner::Drips,
        Manner::Floods,
        Manner::FloodsFields,
        Manner::Babbles,
        Manner::Resets,
        Manner::Postpones,
    ];
    manners.extend(redirects);
    let lures: Vec<(Manner, Lure)> = manners
        .into_iter()
        .map(|manner| (manner.clone(), Lure::start(manner)))
        .collect();
    let mut config = "subjects_per_minute_max = 1000\nsubjects_per_day_max = 1000\n".to_owned();
    // Each is a provider that is to revoke, and a sink that is to be told.
    for (nth, (_, lure)) in lures.iter().enumerate() {
        for section in ["provider", "sink"] {
            config += &format!(
                "[[{section}]]\nkind = \"webhook\"\nname = \"lure-{nth}\"\nurl = \"{}\"\nsecret_file = \"hook.secret\"\n",
                lure.url
            );
        }
    }
    let house = House::start(&config, "");
    let before_mib = resident_mib(&house.daemon);
    let subs: Vec<String> = (0..12).map(|nth| format!("robbed{nth:02}")).collect();
    for sub in &subs {
        house.write(&theft(sub));
    }
    let begun = Instant::now();
    until("every theft told to the one that listens", || {
        let told = |sub: &String| !house.calls(sub).is_empty();
        subs.iter().all(told).then_some(())
    });
    println!("twelve thefts told after {:?}", begun.elapsed());
    for sub in &subs {
        assert_eq!(house.check(&token(sub)), 401, "{sub}");
    }
    until("every lure called", || {
        lures.iter().all(|(_, lure)| lure.calls() > 0).then_some(())
    });
    assert_eq!(elsewhere.calls(), 0, "somebody followed a redirect");
    let grown_mib = resident_mib(&house.daemon).saturating_sub(before_mib);
    println!("the daemon grew by {grown_mib} MiB");
    assert!(grown_mib < 200, "{grown_mib} MiB");
    // Calls that go on for ever do not keep it from ending.
    let House { daemon, .. } = house;
    assert!(daemon.terminate().success());
}

#[test]
fn hostile_names_reach_a_provider_as_names_and_nothing_else() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let names = [
        "../../admin",
        "$(reboot)",
        "'; DROP TABLE incidents; --",
        "{{config}} ${jndi:ldap://x}",
        "<!channel> *x*",
        "a\r\nBcc: all@example.com",
        "CEF:0|x|y=z\\",
        "a\u{202e}b\u{0}",
    ];
    let house = House::start("subjects_per_minute_max = 100\n", "");
    for name in names {
        house.write(&theft(name));
    }
    until("every theft answered", || {
        let told = |name: &&str| {
            let about = |call: &Call| {
                let named =
                    |sub: &Value| sub.as_str().is_some_and(|sub| sub == format!("sid-{name}"));
                named(&call.body["data"]["target"]["sid"])
            };
            house.hook.calls().iter().any(about)
        };
        names.iter().all(told).then_some(())
    });
    for name in names {
        assert_eq!(house.check(&token(name)), 401, "{name:?}");
    }
    assert!(house.daemon.incidents().len() >= names.len());
}

/// How many are robbed at once: as many as a minute is long enough for.
fn victims() -> usize {
    let asked = std::env::var("TOKENTRIP_VICTIMS").ok();
    asked.map_or(2_000, |count| count.parse().unwrap())
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story, told in one piece")]
fn of_thousands_of_victims_at_once_all_are_denied_few_are_logged_out_and_people_are_told_once() {
    let victims = victims();
    let sub = |nth: usize| format!("u{nth:05}");
    let mut lines = String::new();
    for nth in 0..victims {
        let token = token(&sub(nth));
        // Each thief has a network of his own in Tokyo, so that no one of them explains the others.
        let thief = format!("2001:db8:200:{nth:x}::5");
        let holder = format!("2001:db8:100:{nth:x}::10");
        lines += &line(400, &holder, BROWSER, &token, &[]);
        lines += &line(60, &thief, "python-requests/2.32.3", &token, &[]);
    }
    let told = Hook::start(|_, _| Some(204));
    let sink = format!(
        "[[sink]]\nkind = \"webhook\"\nname = \"people\"\nurl = \"{}\"\nsecret_file = \"hook.secret\"\n",
        told.url
    );
    let house = House::start(&sink, "");
    let begun = Instant::now();
    house.write(&lines);
    house.all_read();
    let patience = Duration::from_secs(300);
    until_for(patience, "every token denied", || {
        let denied = house.daemon.metric("tokentrip_denylist_size", &[]);
        (denied >= 2.0 * victims as f64).then_some(())
    });
    println!("{victims} thefts denied after {:?}", begun.elapsed());
    for nth in [0, victims / 2, victims - 1] {
        assert_eq!(house.check(&token(&sub(nth))), 401, "{nth}");
    }
    assert_eq!(house.daemon.metric("tokentrip_breaker_open", &[]), 1.0);
    let store = Store::open(&house.folder.path().join("state/store.db")).unwrap();
    until_for(patience, "nothing under way", || {
        (store.depth().unwrap().open == 0).then_some(())
    });
    println!(
        "all that goes ahead is delivered after {:?}",
        begun.elapsed()
    );
    let calls = house.hook.calls();
    let logged_out: BTreeSet<_> = calls
        .iter()
        .map(|call| call.body["data"]["incident"].to_string())
        .collect();
    // Five a minute, or one in a hundred of those that are active in an hour.
    println!("logged out: {} of {victims}", logged_out.len());
    assert!(!logged_out.is_empty() && logged_out.len() <= victims / 100 + 5);

    // People get some messages and one that stands for the rest, which may grow.
    let messages = told.calls();
    let of_storm = |call: &&Call| call.body["data"]["title"].to_string().contains("at once");
    let (storm, alone): (Vec<_>, Vec<_>) = messages.iter().partition(of_storm);
    let kinds: Vec<_> = storm.iter().map(|call| call.body["type"].clone()).collect();
    println!("told: {} alone, {} of the storm", alone.len(), storm.len());
    assert!(alone.len() <= 40, "{}", alone.len());
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == "incident.opened")
            .count(),
        1
    );
    assert!(kinds.len() <= 5, "{kinds:?}");
    let ids: BTreeSet<_> = storm
        .iter()
        .map(|call| call.body["data"]["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "one storm");

    // Each is stored, says why nobody was told of it alone, and waits for a person.
    let House { daemon, .. } = house;
    assert!(daemon.terminate().success());
    let (mut query, mut stored) = (Query::default(), 0);
    loop {
        let page = store.incidents(&query).unwrap();
        for incident in page
            .incidents
            .iter()
            .filter(|incident| incident.subject.is_some())
        {
            stored += 1;
            let id = incident.id.to_string();
            let is_alone = alone.iter().any(|call| call.body["data"]["id"] == id);
            let gate = |gate: &str| incident.refused.iter().any(|refused| refused.gate == gate);
            assert!(is_alone != gate("storm"), "{incident:#?}");
            let out = logged_out.contains(&format!("\"{id}\""));
            assert!(out != gate("breaker"), "{incident:#?}");
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(stored, victims);
    assert!(store.depth().unwrap().waiting >= (victims - logged_out.len()) as u64);
}

#[test]
fn throwaway_accounts_do_not_use_up_what_the_real_theft_needs_and_last_nights_log_logs_nobody_out()
{
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let house = House::start("", "");
    for nth in 0..12 {
        house.write(&theft(&format!("throwaway{nth:02}")));
    }
    house.write(&theft("robbed"));
    until("the real theft denied", || {
        (house.check(&token("robbed")) == 401).then_some(())
    });

    // A first start on a backlog: ten hours old, with tokens that still live.
    let mut old = claims("sleeper");
    old["iat"] = (now_s() - 40_000).into();
    old["exp"] = (now_s() + 40_000).into();
    let old = mint(&old, "p-256");
    let mut log: String = (0..3)
        .map(|step| line(36_400 - step * 20, LISBON, BROWSER, &old, &[]))
        .collect();
    log += &line(36_000, TOKYO, OTHER_BROWSER, &old, &[]);
    let house = House::start("", &log);
    let incident = until("the incident", || house.incidents_of("sleeper").pop());
    assert_eq!(house.hook.calls().len(), 0);
    assert_eq!(house.check(&old), 200);
    let refused = incident["refused"].to_string();
    assert!(refused.contains("stale"), "{refused}");
    let id = incident["id"].as_str().unwrap();
    let mut approve = tokentrip();
    approve.args(["incidents", "approve", id, "--config"]);
    let output = approve
        .arg(house.folder.path().join("tokentrip.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    until("the approved denial", || {
        (house.check(&old) == 401).then_some(())
    });
}
