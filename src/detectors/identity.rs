//! Identity: one `(iss, jti)` that stands for two tokens.
//!
//! In: the clash that the store of issued tokens found. Out: `proof.claims_altered`, `proof.jti_two_subjects`.
//! Does not know: which of the two is the issuer's.
//! Source: RFC 7519, section 4.1.7.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::issued::Clash;

pub(super) static DETECTOR: Detector = Detector {
    name: "identity",
    facts: &[Fact::ProofClaimsAltered, Fact::ProofJtiTwoSubjects],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    facts.flag(Fact::ProofClaimsAltered, look.clash == Some(Clash::Payload));
    facts.flag(
        Fact::ProofJtiTwoSubjects,
        look.clash == Some(Clash::Subject),
    );
}
