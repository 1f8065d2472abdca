//! Keycloak's log and a gateway's, read side by side.

use super::super::tests::{Kit, kit, rests_on};
use crate::domain::event::EventKind;
use crate::formats::Parser;
use crate::tokens::mint::mint;
use serde_json::{Value, json};

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/126.0.0.0 Safari/537.36";
const LISBON: &str = "192.0.2.7";
const TOKYO: &str = "198.51.100.9";

/// 2026-05-04T10:00:00Z, where the kit's clock begins.
fn keycloak(kit: &mut Kit, clock: &str, kind: &str, more: &str) {
    let line = format!(
        "2026-05-04 {clock},000 DEBUG [org.keycloak.events] (executor-thread-1) type=\"{kind}\", realmId=\"r\", \
         clientId=\"web\", userId=\"alice\", sessionId=\"session-1\", ipAddress=\"{LISBON}\"{more}"
    );
    kit.raw_line("keycloak", &line);
}

fn token() -> String {
    let t0 = 1_777_888_800;
    let claims: Value = json!({
        "iss": "https://idp.example.com/", "sub": "alice", "sid": "session-1", "jti": "token-id-0001",
        "iat": t0, "exp": t0 + 3600,
    });
    mint(&claims, "rsa-2048")
}

#[test]
fn what_the_identity_provider_told_stands_in_the_incident() {
    let mut kit = kit();
    keycloak(&mut kit, "10:00:00", "LOGIN", "");
    keycloak(
        &mut kit,
        "10:00:01",
        "CODE_TO_TOKEN",
        ", token_id=\"token-id-0001\"",
    );
    for at_s in [10, 20, 40] {
        kit.line(at_s, LISBON, BROWSER, &token(), 200);
    }
    kit.line(240, TOKYO, "python-requests/2.31.0", &token(), 200);
    keycloak(&mut kit, "10:05:00", "LOGOUT", "");
    let incidents = kit.engine.incidents();
    assert_eq!(incidents.len(), 1);
    let told = &incidents[0].identity;
    let kinds: Vec<EventKind> = told.iter().map(|event| event.action).collect();
    assert_eq!(kinds, [EventKind::Issued, EventKind::Logout]);
    assert_eq!(told[0].ip, Some(LISBON.parse().unwrap()));
    assert_eq!(told[0].time.to_string(), "2026-05-04T10:00:01.000Z");
}

#[test]
fn a_logout_at_the_identity_provider_ends_the_session_at_the_gateway() {
    rests_on!(ProofAfterLogout, "after_logout");
    let mut kit = kit();
    for at_s in [10, 20, 40] {
        kit.line(at_s, LISBON, BROWSER, &token(), 200);
    }
    keycloak(&mut kit, "10:01:00", "LOGOUT", "");
    kit.line(200, TOKYO, "python-requests/2.31.0", &token(), 200);
    assert!(kit.found("after_logout"), "{:?}", kit.rules());
}

#[test]
fn a_logout_that_anybody_could_have_sent_ends_nothing() {
    let mut kit = kit();
    for at_s in [10, 20, 40] {
        kit.line(at_s, LISBON, BROWSER, &token(), 200);
    }
    let anybody = Parser::named("keycloak").unwrap().with_doubt(true);
    kit.line_of(
        anybody,
        "2026-05-04 10:01:00,000 DEBUG [org.keycloak.events] (t) type=\"LOGOUT\", realmId=\"r\", \
         userId=\"alice\", sessionId=\"session-1\", ipAddress=\"192.0.2.7\"",
    );
    kit.line(200, TOKYO, "python-requests/2.31.0", &token(), 200);
    assert!(!kit.found("after_logout"), "{:?}", kit.rules());
}

#[test]
fn another_s_session_is_not_ended() {
    let mut kit = kit();
    for at_s in [10, 20, 40] {
        kit.line(at_s, LISBON, BROWSER, &token(), 200);
    }
    keycloak(&mut kit, "10:01:00", "LOGIN_ERROR", "");
    kit.raw_line(
        "keycloak",
        "2026-05-04 10:01:00,000 DEBUG [org.keycloak.events] (t) type=\"LOGOUT\", realmId=\"r\", \
         userId=\"bob\", sessionId=\"session-2\", ipAddress=\"192.0.2.8\"",
    );
    kit.line(200, LISBON, BROWSER, &token(), 200);
    assert!(
        kit.rules().iter().all(|rule| !rule.contains("logout")),
        "{:?}",
        kit.rules()
    );
}

#[test]
fn a_token_in_a_line_that_cannot_be_read_was_leaked_and_not_used() {
    rests_on!(LeakRawInLog, "raw_token_in_log");
    let mut kit = kit();
    let before = kit.engine.totals();
    kit.raw_line("combined", &format!("GET /x HTTP/1.1 {} torn", token()));
    let after = kit.engine.totals();
    assert_eq!(before.uses, after.uses);
    assert!(kit.rules().is_empty(), "{:?}", kit.rules());
    kit.raw_line(
        "error_log",
        &format!(
            "2026/05/04 10:00:00 [error] 1#1: *1 open() failed, client: {LISBON}, server: a, request: \
             \"GET /x?access_token={} HTTP/1.1\", host: \"a\"",
            token()
        ),
    );
    assert!(kit.found("raw_token_in_log"), "{:?}", kit.rules());
    assert!(
        kit.engine
            .incidents()
            .iter()
            .all(|incident| incident.sessions.is_empty())
    );
}

/// A refresh, as Keycloak tells it.
fn refresh(kit: &mut Kit, clock: &str, kind: &str, id: &str, from: &str) {
    let line = format!(
        "2026-05-04 {clock},000 DEBUG [org.keycloak.events] (t) type=\"{kind}\", realmId=\"r\", clientId=\"web\", \
         userId=\"alice\", sessionId=\"session-1\", ipAddress=\"{from}\", refresh_token_id=\"{id}\""
    );
    kit.raw_line("keycloak", &line);
}

#[test]
fn a_spent_refresh_token_from_another_network_names_who_was_not_at_the_login() {
    rests_on!(ProofRefreshReuse, "refresh_reuse");
    // Whoever of the two comes first.
    for (first, second) in [(LISBON, TOKYO), (TOKYO, LISBON)] {
        let mut kit = kit();
        keycloak(&mut kit, "10:00:00", "LOGIN", "");
        refresh(&mut kit, "10:05:00", "REFRESH_TOKEN", "r1", first);
        refresh(&mut kit, "10:20:00", "REFRESH_TOKEN_ERROR", "r1", second);
        assert!(kit.found("refresh_reuse"), "{:?}", kit.rules());
        let incidents = kit.engine.incidents();
        assert_eq!(incidents.len(), 1);
        assert_eq!(incidents[0].subject.as_deref(), Some("alice"));
        assert_eq!(
            incidents[0].suspect.ips,
            [TOKYO.parse::<std::net::IpAddr>().unwrap()]
        );
        assert!(incidents[0].victim.is_some() && !incidents[0].actionable);
    }
}

#[test]
fn a_refresh_token_that_comes_twice_at_the_gateways_session_is_its_incident() {
    rests_on!(ProofRefreshReuse, "refresh_reuse");
    let mut kit = kit();
    for at_s in [10, 20, 40] {
        kit.line(at_s, LISBON, BROWSER, &token(), 200);
    }
    refresh(&mut kit, "10:05:00", "REFRESH_TOKEN", "r1", LISBON);
    refresh(&mut kit, "10:20:00", "REFRESH_TOKEN_ERROR", "r1", TOKYO);
    kit.line(1260, TOKYO, "python-requests/2.31.0", &token(), 200);
    let incidents = kit.engine.incidents();
    assert_eq!(incidents.len(), 1, "{:?}", kit.rules());
    assert!(incidents[0].rules.contains_key("refresh_reuse"));
    assert_eq!(
        incidents[0].suspect.ips,
        [TOKYO.parse::<std::net::IpAddr>().unwrap()]
    );
}

#[test]
fn retries_kept_refresh_tokens_and_lines_that_anybody_sent_are_no_reuse() {
    let mut kit = kit();
    refresh(&mut kit, "10:00:00", "REFRESH_TOKEN", "r1", LISBON);
    refresh(&mut kit, "10:00:20", "REFRESH_TOKEN_ERROR", "r1", LISBON);
    assert!(!kit.found("refresh_reuse"), "a retry within half a minute");
    for minute in 1..9 {
        let from = if minute < 5 { LISBON } else { TOKYO };
        refresh(
            &mut kit,
            &format!("{}:{}0:00", 11 + minute / 6, minute % 6),
            "REFRESH_TOKEN",
            "kept",
            from,
        );
    }
    refresh(&mut kit, "12:50:00", "REFRESH_TOKEN_ERROR", "kept", LISBON);
    assert!(!kit.found("refresh_reuse"), "a client that keeps its token");
    let anybody = Parser::named("keycloak").unwrap().with_doubt(true);
    kit.line_of(
        anybody,
        "2026-05-04 12:55:00,000 DEBUG [org.keycloak.events] (t) type=\"REFRESH_TOKEN_ERROR\", realmId=\"r\", \
         userId=\"alice\", sessionId=\"session-1\", ipAddress=\"198.51.100.9\", refresh_token_id=\"r1\"",
    );
    assert!(!kit.found("refresh_reuse"), "{:?}", kit.rules());
}

#[test]
fn a_client_that_turns_its_tokens_over_and_spends_one_twice_is_two() {
    rests_on!(ProofRefreshReuse, "refresh_reuse");
    let mut kit = kit();
    keycloak(&mut kit, "10:00:00", "LOGIN", "");
    for (turn, id) in ["r1", "r2", "r3"].into_iter().enumerate() {
        refresh(
            &mut kit,
            &format!("10:1{turn}:00"),
            "REFRESH_TOKEN",
            id,
            LISBON,
        );
    }
    refresh(&mut kit, "10:20:00", "REFRESH_TOKEN", "r3", TOKYO);
    assert!(kit.found("refresh_reuse"), "{:?}", kit.rules());
}
