//! Origin: how many people's tokens one source network presents, and how they fare.
//!
//! In: the network's counters and its own history. Out: `source.*`.
//! Does not know: who shares the address (an office, a carrier's NAT): rules ask for a second sign.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

pub(super) static DETECTOR: Detector = Detector {
    name: "origin",
    facts: &[
        Fact::SourceSubjects10m,
        Fact::SourceNewSubjects10m,
        Fact::SourceArrivals10m,
        Fact::SourceArrivalsOverUsual,
        Fact::SourceResidents,
        Fact::SourceRejected10m,
        Fact::SourceBadSignatures10m,
        Fact::SourceBadTokenSubjects10m,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let counts = look.origin;
    for (fact, count) in [
        (Fact::SourceSubjects10m, counts.subjects as f64),
        (Fact::SourceNewSubjects10m, counts.newcomers as f64),
        (Fact::SourceRejected10m, f64::from(counts.rejected)),
        (Fact::SourceBadSignatures10m, f64::from(counts.forged)),
        (Fact::SourceBadTokenSubjects10m, counts.named as f64),
    ] {
        if count > 0.0 {
            facts.set(fact, count);
        }
    }
    if counts.residents > 0.0 {
        facts.set(Fact::SourceResidents, counts.residents);
    }
    let Some(crowd) = counts.crowd else { return };
    facts.set(Fact::SourceArrivals10m, crowd.came as f64);
    if let Some(over) = crowd.over_usual {
        facts.set(Fact::SourceArrivalsOverUsual, over);
    }
}
