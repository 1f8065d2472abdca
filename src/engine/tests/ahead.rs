//! Tokens that were looked at ahead.

use super::*;

fn with_keys() -> Issuers {
    let mut issuers = configured();
    issuers.learn(ISSUER, public_keys(), Time::LATEST);
    issuers
}

/// A genuine token, used twice; one with the signature of another, let in and refused; one that is none.
fn lines(kit: &mut Kit) {
    let alice = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    let bob = mint(&claims("bob", "s2", "j2"), "rsa-2048");
    let (unsigned, signature) = (
        alice.rsplit_once('.').unwrap().0,
        bob.rsplit_once('.').unwrap().1,
    );
    let forged = format!("{unsigned}.{signature}");
    let uses = [
        (LISBON, BROWSER, &*alice, 200),
        (LISBON, BROWSER, &*alice, 200),
        (TOKYO, TOOL, &*forged, 401),
        (TOKYO, TOOL, &*forged, 200),
        (TOKYO, TOOL, &*alice, 200),
        (LISBON, BROWSER, "eyJhbGciOiJub25lIn0.e30.", 200),
        (LISBON, BROWSER, &*bob, 200),
    ];
    for (at_s, (from, agent, token, status)) in (0..).zip(uses) {
        kit.line(at_s * 60, from, agent, token, status);
    }
}

#[test]
fn what_is_foretold_is_what_the_engine_would_have_found() {
    let mut alone = kit_with(with_keys(), false);
    lines(&mut alone);
    let mut helped = kit_with(with_keys(), false);
    helped.ahead = helped.engine.ahead();
    lines(&mut helped);
    assert!(alone.found("forged_accepted"), "{:?}", alone.rules());
    assert_eq!(alone.seen.findings, helped.seen.findings);
    assert_eq!(alone.engine.totals(), helped.engine.totals());
    // Each that was let in, once, but not the refused one before it was.
    assert_eq!((alone.foretold, helped.foretold), (0, 4));
}

#[test]
fn what_was_foretold_under_other_keys_counts_for_nothing() {
    let mut kit = kit_with(configured(), false);
    kit.ahead = kit.engine.ahead();
    kit.engine
        .observe(Input::Keys(Arc::new(with_keys())), &mut kit.seen);
    let token = mint(&claims("alice", "s1", "j1"), "rsa-2048");
    kit.line(0, LISBON, BROWSER, &token, 200);
    assert_eq!(kit.foretold, 1);
    assert_eq!(kit.engine.totals().uses[Provenance::Verified as usize], 1);
}

#[test]
fn nobody_looks_ahead_without_keys_nor_in_a_flood() {
    assert!(kit().engine.ahead().is_none());
    let mut kit = kit_with(with_keys(), false);
    kit.ahead = kit.engine.ahead();
    kit.ahead.as_ref().unwrap().rest(true);
    lines(&mut kit);
    assert_eq!(kit.foretold, 0);
}
