//! Forgery: tokens that their issuer did not make, whether the gateway noticed or not.
//!
//! In: the token's header and the verdict on its signature. Out: `proof.forged`, `proof.alg_none`,
//! `proof.key_confusion`, `proof.header_injection`, `proof.unknown_issuer`, `fault.key_set`.
//! Does not know: keys; who sent it.
//! Source: RFC 8725 (JSON Web Token Best Current Practices), sections 2.1 and 3.10.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::domain::token::Verdict;

pub(super) static DETECTOR: Detector = Detector {
    name: "forgery",
    facts: &[
        Fact::ProofForged,
        Fact::ProofAlgNone,
        Fact::ProofKeyConfusion,
        Fact::ProofHeaderInjection,
        Fact::ProofUnknownIssuer,
        Fact::FaultKeySet,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let header = look.usage.token.header;
    let verdict = look.usage.verdict;
    // Where the keys are at fault, a signature that does not fit says nothing of who sent it.
    facts.flag(Fact::FaultKeySet, look.key_fault);
    facts.flag(Fact::ProofForged, verdict.forged() && !look.key_fault);
    facts.flag(Fact::ProofAlgNone, header.alg_none);
    facts.flag(
        Fact::ProofKeyConfusion,
        verdict == Verdict::KeyConfusion && !look.key_fault,
    );
    facts.flag(Fact::ProofHeaderInjection, header.injection);
    facts.flag(Fact::ProofUnknownIssuer, look.foreign_issuer);
}
