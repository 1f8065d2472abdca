//! Binding: tokens that are bound to a key, and requests that do not show it.
//!
//! In: what the request shows of the key, and what the session and its host showed before. Out:
//! `proof.dpop_mismatch`, `proof.dpop_downgrade`, `proof.mtls_mismatch`, `proof.fingerprint_mismatch`,
//! `session.bound_lost`, `fault.binding_ignored`.
//! Does not know: who has the key. A holder's own program that lost its key, or a host that never sees one because a
//! proxy in front takes it, is a gateway's fault and nobody's theft.
//! Source: RFC 9449, sections 4.3, 7.1 and 11; RFC 8705, section 3; OWASP JSON Web Token Cheat Sheet.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::domain::possession::{Fit, Fits, Way};
use crate::sessions::bindings::Seen;
use crate::sessions::device::{one_device, same_network};

pub(super) static DETECTOR: Detector = Detector {
    name: "binding",
    facts: &[
        Fact::ProofDpopMismatch,
        Fact::ProofDpopDowngrade,
        Fact::ProofMtlsMismatch,
        Fact::ProofFingerprintMismatch,
        Fact::SessionBoundLost,
        Fact::FaultBindingIgnored,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some((fits, seen)) = look.binding else {
        return;
    };
    let (accepted, refused) = (look.standing.accepted, look.standing.refused);
    if !accepted && !refused {
        return;
    }
    let proof = mismatch(&fits, &seen);
    let missing = |way| fits.of(way) == Fit::Missing && accepted;
    let downgrade = missing(Way::Dpop) && seen.host.has(Way::Dpop);
    let lost = Way::ALL
        .into_iter()
        .any(|way| missing(way) && seen.session.has(way));
    if is_own(look) {
        let ignored = proof.is_some() || downgrade;
        facts.flag(Fact::FaultBindingIgnored, ignored && accepted);
        return;
    }
    if let Some(fact) = proof {
        facts.flag(fact, true);
    }
    facts.flag(Fact::ProofDpopDowngrade, downgrade);
    facts.flag(Fact::SessionBoundLost, lost);
    // Nobody at this host ever showed the key, so this use is like all others there.
    let never = missing(Way::Dpop) && !seen.host.has(Way::Dpop);
    let behind_a_proxy = fits.certificate == Fit::Differs && !seen.host.has(Way::Certificate);
    facts.flag(
        Fact::FaultBindingIgnored,
        accepted && (never || behind_a_proxy),
    );
}

/// The proof that another's key is, where there is one.
fn mismatch(fits: &Fits, seen: &Seen) -> Option<Fact> {
    let differs = |way| fits.of(way) == Fit::Differs;
    // A proof names its key, and nothing on the way makes another of it; the address, a gateway can have rewritten.
    let dpop =
        differs(Way::Dpop) || seen.replayed || (differs(Way::Target) && seen.host.has(Way::Target));
    if dpop {
        return Some(Fact::ProofDpopMismatch);
    }
    if differs(Way::Certificate) && seen.host.has(Way::Certificate) {
        return Some(Fact::ProofMtlsMismatch);
    }
    (differs(Way::Cookie) && seen.host.has(Way::Cookie)).then_some(Fact::ProofFingerprintMismatch)
}

/// True where the session's holder is: the same network and program.
fn is_own(look: &Look<'_>) -> bool {
    let here = look.usage.context;
    look.session.is_some_and(|session| {
        let mut own = session.visits.iter().filter(|visit| !visit.suspect);
        own.any(|visit| {
            let there = &visit.context;
            visit.accepted > 0
                && one_device(there, here)
                && same_network(there, here) != Some(false)
        })
    })
}
