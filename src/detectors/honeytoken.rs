//! Honeytokens: tokens that were laid where a thief would look, and that nobody else uses.
//!
//! In: whether an id of the token is among those planted. Out: `proof.honeytoken`.
//! Does not know: where it was laid. A link with one that is merely looked at presents nothing.
//! Source: Juels and Rivest, "Honeywords", CCS 2013; OWASP AppSensor, HT detection points.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

pub(super) static DETECTOR: Detector = Detector {
    name: "honeytoken",
    facts: &[Fact::ProofHoneytoken],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let presented = look.usage.place.presents();
    facts.flag(Fact::ProofHoneytoken, presented && look.honeytoken);
}
