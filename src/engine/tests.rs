//! The line as a whole: what it remembers, what it refuses to believe, what a fleet tells it.

use super::*;
use crate::domain::token::Provenance;
use crate::tokens::decode::session_of_sid;
use crate::tokens::mint::{mint, unsigned};
use serde_json::{Value, json};
use std::net::IpAddr;

mod again;
mod ahead;
mod asked;
mod counted;
mod crowd;
mod exits;
mod flood;
mod retinue;
mod rig;
mod turns;
mod watch;

pub(super) use rig::*;

fn a_theft(kit: &mut Kit, token: &str) {
    for at_s in [0, 20, 40] {
        kit.line(at_s, LISBON, BROWSER, token, 200);
    }
    kit.line(240, TOKYO, TOOL, token, 200);
}

#[test]
fn a_token_used_in_two_places_by_two_programs_is_an_incident_of_its_subject() {
    rests_on!(
        TravelSpeedKmh,
        DriftDimensions,
        "impossible_travel",
        "tool_on_browser_session"
    );
    let mut kit = kit();
    a_theft(&mut kit, &mint(&claims("alice", "s1", "j1"), "rsa-2048"));
    assert!(kit.found("impossible_travel") && kit.found("tool_on_browser_session"));
    let incidents = kit.engine.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].subject.as_deref(), Some("alice"));
    assert_eq!(incidents[0].suspect.ips, [TOKYO.parse::<IpAddr>().unwrap()]);
    assert!(!incidents[0].actionable, "presumed uses authorise nothing");
}

#[test]
fn whole_tokens_in_a_log_are_one_finding_for_each_place_and_day_whoever_they_name() {
    rests_on!(LeakRawInLog, "raw_token_in_log");
    let mut kit = kit();
    let day_s = 86_400;
    for (nth, at_s) in [(0, 0), (1, 60), (2, 120), (3, day_s)] {
        let mut claims = claims("alice", "s1", &format!("j{nth}"));
        // A forger names as many issuers as he likes.
        claims["iss"] = format!("https://idp{nth}.example.com/").into();
        claims["iat"] = (T0 + at_s).into();
        claims["exp"] = (T0 + at_s + 3600).into();
        let token = mint(&claims, "rsa-2048");
        kit.line(at_s, LISBON, BROWSER, &token, 200);
        let line = json!({
            "time": T0 + at_s + 1, "remote_addr": LISBON, "request_method": "GET", "host": format!("h{nth}.example.com"),
            "request_uri": format!("/api?access_token={token}"), "status": 200, "http_user_agent": BROWSER,
        });
        kit.raw_line("json", &line.to_string());
    }
    let raw = kit
        .seen
        .findings
        .iter()
        .filter(|finding| &*finding.rule == "raw_token_in_log");
    let said: Vec<_> = raw.map(|finding| finding.says.clone()).collect();
    let place =
        |place| format!("the log holds whole tokens ({place}): whoever reads it can use them");
    assert_eq!(
        said,
        [
            place("header"),
            place("query"),
            place("header"),
            place("query")
        ]
    );
}

#[test]
fn what_a_gateway_told_beside_a_hash_is_known_where_it_tells_the_hash_alone_also_after_a_restart() {
    let line = |at_s: i64, claims: &Value| {
        let mut line = json!({
            "time": T0 + at_s, "remote_addr": LISBON, "request_method": "GET", "request_uri": "/api/items",
            "status": 200, "http_user_agent": BROWSER, "token_hash": "9f86d081884c7d659a2feaa0c55ad015",
        });
        line.as_object_mut()
            .unwrap()
            .extend(claims.as_object().cloned().unwrap());
        line.to_string()
    };
    let told = json!({"jwt_iss": ISSUER, "jwt_sub": "alice", "jwt_sid": "s1"});
    let mut before = kit();
    before.raw_line("json", &line(0, &told));
    before.raw_line("json", &line(10, &json!({})));
    let mut after = kit();
    let snapshot = before.engine.snapshot().unwrap();
    after.engine.restore(&snapshot).unwrap();
    after.offset_bytes = before.offset_bytes;
    after.engine.follow(Follow::All);
    after.raw_line("json", &line(20, &json!({})));
    let subject = after.seen.followed[0].token.sub.as_deref();
    assert_eq!(subject, Some("alice"));
    assert_eq!(after.engine.state.stores.sessions.len(), 1);
}

#[test]
fn an_engine_restored_from_a_snapshot_goes_on_as_if_nothing_had_happened() {
    let token = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    let mut whole = kit();
    a_theft(&mut whole, &token);
    let mut before = kit();
    for at_s in [0, 20, 40] {
        before.line(at_s, LISBON, BROWSER, &token, 200);
    }
    let mut after = kit();
    after
        .engine
        .restore(&before.engine.snapshot().unwrap())
        .unwrap();
    after.offset_bytes = before.offset_bytes;
    after.line(240, TOKYO, TOOL, &token, 200);
    let ids = |kit: &Kit| kit.seen.findings.iter().map(|f| f.id).collect::<Vec<_>>();
    let all: Vec<_> = ids(&before).into_iter().chain(ids(&after)).collect();
    assert_eq!(all, ids(&whole));
    assert_eq!(after.engine.incidents(), whole.engine.incidents());
    assert!(after.engine.restore(b"no snapshot").is_err());
}

#[test]
fn a_forged_token_that_names_somebody_never_makes_an_incident_of_theirs() {
    let mut issuers = configured();
    issuers.learn(ISSUER, public_keys(), Time::LATEST);
    let mut kit = kit_with(issuers, false);
    let real = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    kit.line(0, LISBON, BROWSER, &real, 200);
    let mut forged = real.clone();
    forged.replace_range(forged.len() - 20.., "AAAAAAAAAAAAAAAAAAAA");
    for at_s in 0..100 {
        kit.line(
            60 + at_s,
            TOKYO,
            TOOL,
            &forged,
            [401, 200, 302][at_s as usize % 3],
        );
    }
    kit.line(200, LISBON, BROWSER, &real, 200);
    assert!(
        kit.rules().iter().any(|rule| rule.starts_with("forge")),
        "{:?}",
        kit.rules()
    );
    for incident in kit.engine.incidents() {
        assert!(!incident.actionable, "{incident:?}");
        assert!(
            incident
                .steps
                .revoke
                .targets
                .iter()
                .all(|t| t.kind() == "token"),
            "{incident:?}"
        );
        assert!(incident.sessions.is_empty(), "{incident:?}");
    }
}

#[test]
fn a_refused_or_expired_token_replayed_from_afar_is_nobodys_incident() {
    rests_on!(FaultExpiredAccepted, "expired_retry_elsewhere");
    let mut kit = kit();
    let token = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    kit.line(0, LISBON, BROWSER, &token, 200);
    for at_s in [4000, 4010, 4020] {
        kit.line(at_s, TOKYO, TOOL, &token, 401);
    }
    assert!(kit.found("expired_retry_elsewhere"), "{:?}", kit.rules());
    assert_eq!(kit.subjects(), [] as [&str; 0]);
}

#[test]
fn a_flood_of_claimed_tokens_evicts_nothing_that_is_real() {
    rests_on!(TravelSpeedKmh, "impossible_travel");
    let mut kit = kit();
    let real = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    kit.line(0, LISBON, BROWSER, &real, 200);
    for index in 0..500 {
        let named = claims("alice", "s1", &format!("f{index}"));
        let forged = format!("{}.", unsigned(&json!({"alg": "none"}), &named));
        kit.line(10, TOKYO, TOOL, &forged, 401);
    }
    assert!(kit.engine.state.stores.claimed.len() <= 50);
    kit.line(300, TOKYO, TOOL, &real, 200);
    assert!(
        kit.found("impossible_travel"),
        "the binding was still known"
    );
}

#[test]
fn a_key_that_comes_late_judges_the_tokens_that_waited_for_it() {
    let mut kit = kit_with(configured(), false);
    let token = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    kit.line(0, LISBON, BROWSER, &token, 200);
    assert_eq!(
        kit.seen.wanted_keys.len(),
        1,
        "the issuer's keys are asked for"
    );
    let mut issuers = configured();
    issuers.learn(ISSUER, public_keys(), Time::LATEST);
    kit.engine
        .observe(Input::Keys(Arc::new(issuers)), &mut kit.seen);
    kit.line(20, LISBON, BROWSER, &token, 200);
    assert_eq!(kit.engine.totals().uses[Provenance::Verified as usize], 1);
}

#[test]
fn a_use_that_is_accepted_after_a_revocation_is_a_fault() {
    rests_on!(ProofAfterLogout, "after_revocation");
    let mut kit = kit();
    let token = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    kit.line(0, LISBON, BROWSER, &token, 200);
    let target = Target::Sid {
        iss: ISSUER.into(),
        sid: "s1".into(),
    };
    let time = Time::from_ms((T0 + 10) * 1000).unwrap();
    kit.engine
        .observe(Input::Revoked { target, time }, &mut kit.seen);
    kit.line(20, LISBON, BROWSER, &token, 200);
    assert!(
        !kit.found("after_revocation"),
        "requests in flight may finish"
    );
    kit.line(60, LISBON, BROWSER, &token, 200);
    assert!(kit.found("after_revocation"), "{:?}", kit.rules());
}

#[test]
fn a_token_seen_at_one_node_and_used_at_another_is_noticed_from_sightings_alone() {
    rests_on!(TravelSpeedKmh, "impossible_travel");
    let token = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    let (mut one, mut other) = (
        kit_with(Issuers::default(), true),
        kit_with(Issuers::default(), true),
    );
    for at_s in [0, 20, 40] {
        one.line(at_s, LISBON, BROWSER, &token, 200);
    }
    other.line(240, TOKYO, TOOL, &token, 200);
    let heard: Vec<Sighting> = [&one, &other]
        .iter()
        .flat_map(|k| k.seen.sightings.clone())
        .collect();
    assert_eq!(heard.len(), 2, "one a minute, not one a request");
    let mut centre = kit();
    // They may come in any order, and twice.
    for sighting in heard.iter().chain(heard.iter().rev()) {
        centre
            .engine
            .observe(Input::Sighting(sighting), &mut centre.seen);
    }
    assert!(centre.found("impossible_travel"), "{:?}", centre.rules());
    assert_eq!(centre.subjects(), ["alice"]);
}
