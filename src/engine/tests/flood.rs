//! A flood of forged tokens: what waits, what does not, and that nothing is concluded from what waits.

use super::*;
use crate::engine::flood::FORGED_EACH_MAX;

const BESIDE_TOKYO: &str = "198.51.100.10";

fn keyed() -> Kit {
    let mut issuers = configured();
    issuers.learn(ISSUER, public_keys(), Time::LATEST);
    kit_with(issuers, false)
}

/// The same claims as a real token's, with a signature that fits nothing.
pub(super) fn forged(jti: &str) -> String {
    let mut token = mint(&claims("alice", "s1", jti), "rsa-2048");
    token.replace_range(token.len() - 20.., "AAAAAAAAAAAAAAAAAAAA");
    token
}

/// As many distinct forged tokens as are checked, and `more`, from one address, refused.
fn flood(kit: &mut Kit, from: &str, more: u32) {
    for n in 0..FORGED_EACH_MAX + more {
        kit.line(1, from, TOOL, &forged(&format!("f{from}{n}")), 401);
    }
}

#[test]
fn in_a_flood_of_one_network_its_unknown_refused_tokens_wait_and_are_counted() {
    rests_on!(SourceSubjects10m, "forgery_burst");
    let mut kit = keyed();
    flood(&mut kit, TOKYO, 30);
    let totals = kit.engine.totals();
    assert_eq!(totals.deferred, 30);
    assert_eq!(totals.all_uses(), u64::from(FORGED_EACH_MAX));
    assert!(kit.rules().iter().any(|rule| rule == "forgery_burst"));
    kit.line(2, LISBON, TOOL, &forged("elsewhere"), 401);
    assert_eq!(
        kit.engine.totals().deferred,
        30,
        "another network waits for nothing"
    );
    kit.line(601 + 60, BESIDE_TOKYO, TOOL, &forged("later"), 401);
    assert_eq!(
        kit.engine.totals().deferred,
        30,
        "ten minutes later the flood is over"
    );
}

#[test]
fn a_token_that_is_let_in_is_looked_at_at_once_wherever_it_comes_from() {
    rests_on!(ProofForged, "forged_accepted");
    let mut kit = keyed();
    flood(&mut kit, TOKYO, 1);
    let real = mint(&claims("bob", "s2", "j2"), "rsa-2048");
    kit.line(2, BESIDE_TOKYO, BROWSER, &real, 401);
    assert_eq!(kit.engine.totals().deferred, 2, "refused, it waits");
    kit.line(3, BESIDE_TOKYO, BROWSER, &real, 200);
    kit.line(4, BESIDE_TOKYO, BROWSER, &real, 401);
    let totals = kit.engine.totals();
    assert_eq!((totals.deferred, totals.tokens), (2, 1));
    assert_eq!(totals.uses[Provenance::Verified as usize], 2);
    kit.line(5, TOKYO, TOOL, &forged("let in"), 200);
    let rules = kit.rules();
    assert!(
        rules.iter().any(|rule| rule == "forged_accepted"),
        "{rules:?}"
    );
}

#[test]
fn what_waits_touches_nobody_and_is_still_a_request() {
    let real = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    let mut kits = [keyed(), keyed()];
    for (kit, more) in kits.iter_mut().zip([0, 200]) {
        kit.line(0, LISBON, BROWSER, &real, 200);
        flood(kit, TOKYO, more);
        kit.line(5, LISBON, BROWSER, &real, 200);
    }
    let [few, many] = &kits;
    assert_eq!(few.rules(), many.rules());
    let session = session_of_sid(ISSUER, "s1", &key());
    let of = |kit: &Kit| kit.engine.state.stores.sessions.get(session).cloned();
    assert_eq!(of(few), of(many));
    assert_eq!(
        many.engine.totals().events,
        few.engine.totals().events + 200
    );
}

#[test]
fn in_a_flood_from_everywhere_each_network_is_found_out_and_all_is_bounded() {
    rests_on!(SourceSubjects10m, "forgery_burst");
    let mut kit = keyed();
    for n in 0..30 {
        flood(&mut kit, &format!("203.0.{n}.9"), 0);
    }
    let asked = kit.engine.or_as_asked(1) as u64;
    let totals = kit.engine.totals();
    assert_eq!(totals.all_uses() + totals.deferred, 3_000);
    assert_eq!(totals.all_uses(), 2_000 + 10 * asked);
    let bursts = kit.rules();
    let bursts = bursts.iter().filter(|rule| *rule == "forgery_burst");
    assert_eq!(bursts.count(), 30);
    for _ in 0..20_000 {
        let time = Time::from_ms((T0 + 1) * 1000).unwrap();
        kit.engine.state.forged.add(time);
    }
    kit.line(2, LISBON, TOOL, &forged("the first from here"), 401);
    assert_eq!(kit.engine.totals().deferred, totals.deferred + 1);
}

#[test]
fn a_restart_and_the_slow_path_defer_the_same() {
    let mut kits = [true, false].map(|fast_path| {
        let mut issuers = configured();
        issuers.learn(ISSUER, public_keys(), Time::LATEST);
        let settings = Settings {
            fast_path,
            ..settings()
        };
        kit_of(settings, issuers)
    });
    for kit in &mut kits {
        flood(kit, TOKYO, 1);
        let snapshot = kit.engine.snapshot().unwrap();
        kit.engine.restore(&snapshot).unwrap();
        for n in 0..3 {
            kit.line(2, TOKYO, TOOL, &forged(&format!("after {n}")), 403);
        }
    }
    let [fast, slow] = &kits;
    assert_eq!(fast.engine.totals(), slow.engine.totals());
    assert_eq!(fast.engine.totals().deferred, 4);
    assert_eq!(fast.seen.findings, slow.seen.findings);
}
