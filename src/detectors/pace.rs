//! Pace: how old, how idle and how busy the session is.
//!
//! In: the session before this use. Out: `session.idle_s`, `session.age_s`, `session.requests`.
//! Does not know: what is usual for this subject.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

pub(super) static DETECTOR: Detector = Detector {
    name: "pace",
    facts: &[Fact::SessionIdleS, Fact::SessionAgeS, Fact::SessionRequests],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some(session) = look.session else { return };
    facts.set(Fact::SessionRequests, session.requests as f64 + 1.0);
    if !look.repeats {
        let time = look.usage.event.time;
        facts.set(Fact::SessionIdleS, time.since_s(session.last_seen).max(0.0));
        facts.set(Fact::SessionAgeS, time.since_s(session.first_seen).max(0.0));
    }
}
