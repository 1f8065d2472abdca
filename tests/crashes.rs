//! SIGKILL between a finding and its delivery: everything is done once in effect, nothing is forgotten.
//!
//! In: thefts, and a daemon that is killed at random moments after each. Out: what a provider was told, what is denied,
//! whether the audit holds.

use crate::support::daemon::{Daemon, get, until, until_for};
use crate::support::hook::Hook;
use crate::support::house::append;
use crate::support::logs::{BROWSER, ISSUER, LISBON, OTHER_BROWSER, TOKYO, line};
use crate::support::mint::mint;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};
use tokentrip::store::Store;

/// The longest wait before the kill: a theft is found, stored and delivered within it when nothing else runs.
const WAIT_MS_MAX: u64 = 400;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Marsaglia's xorshift: a seed gives the same crashes again, as far as a scheduler lets it.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story, told in one piece")]
fn a_daemon_that_is_killed_at_any_moment_does_everything_once_in_effect() {
    let crashes = number("TOKENTRIP_CRASHES").unwrap_or(8);
    let begun = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let first = number("TOKENTRIP_SEED").unwrap_or(begun.as_nanos() as u64 | 1);
    println!("TOKENTRIP_SEED={first} TOKENTRIP_CRASHES={crashes}");
    let mut seed = first;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(
        at("keys.json"),
        include_str!("fixtures/keys/public.jwks.json"),
    )
    .unwrap();
    fs::write(at("hook.secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    fs::write(at("access.log"), "").unwrap();
    let hook = Hook::start(|_, _| Some(204));
    let config = format!(
        "[[source]]\npath = \"access.log\"\n[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n\
         [[provider]]\nkind = \"webhook\"\nurl = \"{}\"\nsecret_file = \"hook.secret\"\n[state]\nfolder = \"state\"\n\
         [response]\nmode = \"enforce\"\nsubjects_per_minute_max = 100000\nsubjects_per_day_max = 100000\n",
        hook.url
    );
    let mut tokens = Vec::new();
    for nth in 0..crashes {
        let daemon = Daemon::start(folder.path(), &config);
        let now_s = begun.as_secs() as i64;
        let sub = format!("user-{nth:03}");
        // A subject has networks of its own: one suspect may not use up the budget.
        let claims = json!({
            "iss": ISSUER, "sub": sub, "sid": format!("sid-{nth:03}"), "jti": format!("jti-{nth:03}"),
            "iat": now_s - 600, "exp": now_s + 7200,
        });
        let token = mint(&claims, "p-256");
        let thief = match nth {
            0 => TOKYO.to_owned(),
            nth => format!("2001:db8:200:{nth:x}::5"),
        };
        let log = [
            line(now_s - 300, LISBON, BROWSER, "/api", &token),
            line(now_s - 30, &thief, OTHER_BROWSER, "/api", &token),
        ];
        append(&at("access.log"), log.concat().as_bytes());
        tokens.push(token);
        std::thread::sleep(Duration::from_millis(next(&mut seed) % WAIT_MS_MAX));
        daemon.kill();
    }
    let daemon = Daemon::start(folder.path(), &config);
    // What was under way when the daemon died is leased for a minute more.
    let patience = Duration::from_secs(180);
    until_for(
        patience,
        "every theft found and everything delivered",
        || {
            let found = daemon.incidents().len() >= crashes.min(100) as usize;
            let open = daemon.metric("tokentrip_outbox_depth", &[]);
            (found && open == 0.0).then_some(())
        },
    );
    for (nth, token) in tokens.iter().enumerate() {
        let bearer = format!("Bearer {token}");
        let check = || {
            get(daemon.port, "/v1/check", &[("Authorization", &bearer)])
                .unwrap()
                .0
        };
        until(&format!("401 for {nth}"), || (check() == 401).then_some(()));
    }
    // A repeated call has its first one's id, so the receiver knows it again: in effect each was made once.
    let calls = hook.calls();
    let ids: BTreeSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    let what: BTreeSet<String> = calls
        .iter()
        .map(|call| {
            let data = &call.body["data"];
            format!(
                "{} {} {}",
                data["incident"], data["step"], data["target"]["kind"]
            )
        })
        .collect();
    println!("{} calls, {} in effect", calls.len(), ids.len());
    assert_eq!(ids.len(), what.len(), "one action under two ids");
    let revoked = |nth: u64| {
        let sid = format!("sid-{nth:03}");
        calls
            .iter()
            .any(|call| call.body["data"]["target"]["sid"] == sid)
    };
    let missing: Vec<u64> = (0..crashes).filter(|nth| !revoked(*nth)).collect();
    assert_eq!(missing, [0; 0], "thefts that nobody was told of");
    assert!(daemon.terminate().success());
    let store = Store::open(&at("state/store.db")).unwrap();
    let report = store.audit_verify().unwrap();
    assert_eq!(report.broken_at, None);
    assert_eq!(store.depth().unwrap().dead, 0);
    println!("{} rows of the audit hold", report.rows);
}
