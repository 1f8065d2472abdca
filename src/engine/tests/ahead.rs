//! Tokens that were looked at ahead.

use super::flood::forged;
use super::*;
use crate::engine::flood::FORGED_EACH_MAX;

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
    rests_on!(ProofForged, "forged_accepted");
    let mut alone = kit_with(with_keys(), false);
    lines(&mut alone);
    let mut helped = kit_with(with_keys(), false);
    helped.ahead = helped.engine.ahead();
    lines(&mut helped);
    assert!(alone.found("forged_accepted"), "{:?}", alone.rules());
    assert_eq!(alone.seen.findings, helped.seen.findings);
    assert_eq!(alone.engine.totals(), helped.engine.totals());
    // Each once.
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
fn without_keys_tokens_are_decoded_ahead_all_the_same() {
    let (mut alone, mut helped) = (kit(), kit());
    lines(&mut alone);
    helped.ahead = helped.engine.ahead();
    lines(&mut helped);
    assert!(!alone.seen.findings.is_empty());
    assert_eq!(alone.seen.findings, helped.seen.findings);
    assert_eq!(alone.engine.totals(), helped.engine.totals());
    assert_eq!((alone.foretold, helped.foretold), (0, 4));
}

/// A path that is open to everybody answers forged tokens like others, so that answers alone would have them checked.
#[test]
fn nobody_looks_ahead_at_what_a_network_shows_whose_tokens_wait() {
    let mut kit = kit_with(with_keys(), false);
    kit.ahead = kit.engine.ahead();
    let forged = |jti: u32| forged(&jti.to_string());
    let open = json!({
        "time": T0, "remote_addr": LISBON, "request_uri": "/api/items", "status": 200,
    });
    kit.raw_line("json", &open.to_string());
    for jti in 0..=FORGED_EACH_MAX {
        kit.line(1, TOKYO, TOOL, &forged(jti), 200);
    }
    assert_eq!(kit.engine.totals().deferred, 1);
    let before = kit.foretold;
    kit.line(2, TOKYO, TOOL, &forged(1_000), 200);
    assert_eq!(kit.foretold, before, "it waits");
    let real = mint(&claims("bob", "s2", "j2"), "rsa-2048");
    kit.line(2, LISBON, BROWSER, &real, 200);
    assert_eq!(kit.foretold, before + 1, "nobody else does");
    for (at_s, jti) in [(700, 1_001), (701, 1_002)] {
        kit.line(at_s, TOKYO, TOOL, &forged(jti), 200);
    }
    assert_eq!(kit.foretold, before + 2, "after the flood it is as before");
}

#[test]
fn nobody_looks_ahead_at_what_is_refused_in_a_flood_until_it_is_checked_again() {
    let mut kit = kit_with(with_keys(), false);
    kit.ahead = kit.engine.ahead();
    let forged = |jti: u32| forged(&jti.to_string());
    for jti in 0..=FORGED_EACH_MAX {
        kit.line(1, TOKYO, TOOL, &forged(jti), 401);
    }
    assert_eq!(kit.foretold, FORGED_EACH_MAX as usize + 1);
    kit.line(2, TOKYO, TOOL, &forged(1_000), 401);
    assert_eq!(kit.foretold, FORGED_EACH_MAX as usize + 1, "it waits");
    kit.line(2, LISBON, TOOL, &forged(1_001), 401);
    assert_eq!(
        kit.foretold,
        FORGED_EACH_MAX as usize + 2,
        "nobody else does"
    );
    for (at_s, jti) in [(700, 1_002), (701, 1_003)] {
        kit.line(at_s, TOKYO, TOOL, &forged(jti), 401);
    }
    assert_eq!(
        kit.foretold,
        FORGED_EACH_MAX as usize + 3,
        "one that nobody knew of, then as before"
    );
}

/// Who has a network for each token would otherwise have each of them checked.
#[test]
fn nobody_looks_ahead_at_what_is_refused_while_everybody_waits() {
    let mut kit = kit_with(with_keys(), false);
    kit.ahead = kit.engine.ahead();
    for _ in 0..20_000 {
        let time = Time::from_ms((T0 + 1) * 1000).unwrap();
        kit.engine.state.forged.add(time);
    }
    kit.line(2, LISBON, TOOL, &forged("the first"), 401);
    assert_eq!((kit.foretold, kit.engine.totals().deferred), (1, 1));
    for n in 0..5 {
        let from = format!("203.0.{n}.9");
        kit.line(3, &from, TOOL, &forged(&from), 401);
    }
    assert_eq!((kit.foretold, kit.engine.totals().deferred), (1, 6));
    let real = mint(&claims("bob", "s2", "j2"), "rsa-2048");
    kit.line(4, LISBON, BROWSER, &real, 200);
    assert_eq!(kit.foretold, 2, "who is let in does not wait");
    kit.line(700, TOKYO, TOOL, &forged("the flood is over"), 401);
    kit.line(701, TOKYO, TOOL, &forged("and known to be"), 401);
    assert_eq!(kit.foretold, 3);
}
