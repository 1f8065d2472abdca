//! Keys that fit nobody, and forgers beside them.

use super::super::tests::{Kit, claims, configured, kit_with, public_keys, rests_on};
use crate::domain::time::Time;
use crate::tokens::mint::mint_with;
use serde_json::json;

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/126.0.0.0 Safari/537.36";

fn kit() -> Kit {
    let mut issuers = configured();
    // Fetched while the tokens lived.
    let fetched = Time::from_ms(1_777_888_860_000).unwrap();
    issuers.learn("https://idp.example.com/", public_keys(), fetched);
    kit_with(issuers, false)
}

/// A token by a key of the issuer that is not published.
fn next_key(sub: &str) -> String {
    let header = json!({"alg": "RS256", "kid": "next"});
    mint_with(
        &header,
        &claims(sub, &format!("s-{sub}"), &format!("j-{sub}")),
        "rsa-2048",
    )
}

#[test]
fn one_unknown_key_of_three_people_is_one_incident_without_subject() {
    rests_on!(ProofForged, "key_set_fault");
    let mut kit = kit();
    let people = [
        ("alice", "192.0.2.10"),
        ("bob", "192.0.2.70"),
        ("carol", "192.0.2.130"),
    ];
    for (turn, (sub, from)) in people.into_iter().enumerate() {
        for again in 0..5 {
            kit.line(turn as i64 * 60 + again, from, BROWSER, &next_key(sub), 200);
        }
    }
    kit.line(300, "192.0.2.200", BROWSER, &next_key("dave"), 200);
    assert!(kit.found("key_set_fault"), "{:?}", kit.rules());
    let incidents = kit.engine.incidents();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(
        (&incidents[0].subject, incidents[0].actionable),
        (&None, false)
    );
    assert!(incidents[0].rules.contains_key("key_set_fault"));
}

#[test]
fn what_was_told_before_is_told_again_as_no_forgery() {
    rests_on!(ProofForged, "forged_accepted");
    let mut kit = kit();
    kit.line(0, "192.0.2.10", BROWSER, &next_key("alice"), 200);
    let first = kit.engine.changed_incidents();
    assert_eq!(first[0].subject.as_deref(), Some("alice"));
    kit.line(60, "192.0.2.70", BROWSER, &next_key("bob"), 200);
    kit.line(120, "192.0.2.130", BROWSER, &next_key("carol"), 200);
    let changed = kit.engine.changed_incidents();
    let again = changed.iter().find(|i| i.id == first[0].id).unwrap();
    assert_eq!(again.level, crate::domain::finding::Level::Informational);
    assert!(again.title.starts_with("no forgery"), "{}", again.title);
}

#[test]
fn a_forger_from_elsewhere_is_told_beside_a_fault_of_the_keys() {
    rests_on!(ProofForged, "forged_accepted");
    let mut kit = kit();
    let real = crate::tokens::mint::mint(&claims("alice", "s-alice", "j0"), "rsa-2048");
    kit.line(0, "192.0.2.10", BROWSER, &real, 200);
    for (turn, who) in ["x", "y", "z"].into_iter().enumerate() {
        let from = format!("198.51.100.{}", 10 + turn);
        kit.line(60 + turn as i64, &from, "curl/8.5.0", &next_key(who), 200);
    }
    kit.line(120, "198.51.100.10", "curl/8.5.0", &next_key("alice"), 200);
    let incidents = kit.engine.incidents();
    let of_alice = incidents
        .iter()
        .find(|i| i.subject.as_deref() == Some("alice"));
    let of_alice = of_alice.unwrap_or_else(|| panic!("{:?}", kit.rules()));
    assert!(of_alice.rules.contains_key("forged_accepted") && !of_alice.actionable);
}
