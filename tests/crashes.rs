//! SIGKILL between a finding and its delivery: everything is done once in effect, nothing is forgotten.
//!
//! In: thefts, and a daemon that is killed at random moments after each. Out: what a provider was told, who was written
//! to, what is denied, whether the audit holds.

use crate::support::daemon::{Daemon, get, until_for};
use crate::support::hook::Hook;
use crate::support::house::{append, enforcing, furnished};
use crate::support::logs::{BROWSER, ISSUER, LISBON, OTHER_BROWSER, TOKYO, line};
use crate::support::mint::mint;
use crate::support::shipped;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};
use tokentrip::store::{Query, Store};

/// The longest wait before the kill: a theft is found, stored and delivered within it when nothing else runs.
const WAIT_MS_MAX: u64 = 400;

/// A provider that writes to people, as a vendor's file tells it.
const MAILER: &str = r#"title = "Mailer"
page = "https://docs.example.com/mail"
[keys]
base_url = { takes = "url", example = "https://mail.example.com" }
[[ask.subject]]
method = "POST"
url = "{base_url}/mail"
json = { to = "{sub}" }
done = [204]
"#;

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
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let crashes = number("TOKENTRIP_CRASHES").unwrap_or(8);
    let begun = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let first = number("TOKENTRIP_SEED").unwrap_or(begun.as_nanos() as u64 | 1);
    println!("TOKENTRIP_SEED={first} TOKENTRIP_CRASHES={crashes}");
    let mut seed = first;
    let folder = furnished();
    let at = |name: &str| folder.path().join(name);
    let (hook, mails) = (Hook::start(|_, _| Some(204)), Hook::start(|_, _| Some(204)));
    fs::write(at("mailer.toml"), MAILER).unwrap();
    let more = format!(
        "subjects_per_minute_max = 100000\nsubjects_per_day_max = 100000\n[[provider]]\nkind = \"http\"\n\
         name = \"mailer\"\nfile = \"mailer.toml\"\nissuer = \"{ISSUER}\"\nbase_url = \"{}\"\n",
        mails.url
    );
    let config = enforcing(&hook, &more);
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
            line(now_s - 300, LISBON, BROWSER, "/api/orders", &token),
            line(now_s - 30, &thief, OTHER_BROWSER, "/api/orders", &token),
        ];
        append(&at("access.log"), log.concat().as_bytes());
        tokens.push(token);
        std::thread::sleep(Duration::from_millis(next(&mut seed) % WAIT_MS_MAX));
        daemon.kill();
    }
    let daemon = Daemon::start(folder.path(), &config);
    // What was under way when the daemon died is leased for a minute more.
    let patience = Duration::from_secs(180);
    for (nth, token) in tokens.iter().enumerate() {
        let bearer = format!("Bearer {token}");
        let check = || get(daemon.port, "/v1/check", &[("Authorization", &bearer)]);
        until_for(patience, &format!("401 for {nth}"), || {
            (check()?.0 == 401).then_some(())
        });
    }
    // A denial is in force only once what follows from it is in the outbox.
    let store = Store::open(&at("state/store.db")).unwrap();
    until_for(patience, "everything delivered", || {
        (store.depth().unwrap().open == 0).then_some(())
    });
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
    let report = store.audit_verify().unwrap();
    assert_eq!(report.broken_at, None);
    // A mail is written once, or given up by name: nobody knows how far a call came that a kill cut off.
    let mails = mails.calls();
    let mut unknown = 0;
    for nth in 0..crashes {
        let sub = format!("user-{nth:03}");
        let written = mails.iter().filter(|call| call.body["to"] == sub).count();
        let query = Query {
            subject: Some(sub.clone()),
            ..Query::default()
        };
        let incidents = store.incidents(&query).unwrap().incidents;
        let actions = incidents.iter().flat_map(|incident| &incident.actions);
        let asked = actions.filter(|action| action.step == "ask");
        let outcomes: Vec<_> = asked.map(|action| action.outcome.as_str()).collect();
        match (outcomes.as_slice(), written) {
            (["done"], 1) => {}
            (["dead"], 0 | 1) => unknown += 1,
            (outcomes, written) => panic!("{sub}: {outcomes:?}, {written} mails"),
        }
    }
    println!(
        "{} mails, {unknown} of them given up in the middle",
        mails.len()
    );
    assert_eq!(
        store.depth().unwrap().dead,
        unknown,
        "nothing else is given up"
    );
    println!("{} rows of the audit hold", report.rows);
}
