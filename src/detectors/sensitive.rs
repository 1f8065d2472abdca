//! Sensitive: what a drifted session does that outlives it: passwords, mail addresses, keys, payments.
//!
//! In: the kind of path, and the context's age in the session. Out: `sensitive.after_drift`.
//! Does not know: what the service calls its paths beyond the usual words.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

/// A takeover that is after the account comes to the point within half an hour.
const AFTER_S_MAX: f64 = 1800.0;

pub(super) static DETECTOR: Detector = Detector {
    name: "sensitive",
    facts: &[Fact::SensitiveAfterDrift],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    if !look.path.sensitive || !look.standing.accepted || !look.usage.event.writes() {
        return;
    }
    let arrived = look
        .session
        .and_then(|session| session.visit(look.key))
        .map(|(_, visit)| visit);
    let suspect = arrived.is_some_and(|visit| {
        visit.suspect && look.usage.event.time.since_s(visit.first) <= AFTER_S_MAX
    });
    let drifting = facts
        .get(Fact::DriftDimensions)
        .is_some_and(|dimensions| dimensions >= 1.0);
    facts.flag(Fact::SensitiveAfterDrift, suspect || drifting);
}
