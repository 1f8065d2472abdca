//! Pace: how old, how idle and how busy the session is, and how somebody new to it goes about it.
//!
//! In: the session before this use; the first uses of its context, and how its subject's sessions begin. Out:
//! `session.idle_s`, `session.age_s`, `session.requests`, `pace.regular`, `pace.rate_z`.
//! Does not know: what is too fast or too regular. Who is as the session's holder is, is not watched.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

pub(super) static DETECTOR: Detector = Detector {
    name: "pace",
    facts: &[
        Fact::SessionIdleS,
        Fact::SessionAgeS,
        Fact::SessionRequests,
        Fact::PaceRegular,
        Fact::PaceRateZ,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some(session) = look.session else { return };
    facts.set(Fact::SessionRequests, f64::from(session.requests) + 1.0);
    if !look.repeats {
        let time = look.usage.event.time;
        facts.set(
            Fact::SessionIdleS,
            time.since_s(session.last_seen()).max(0.0),
        );
        facts.set(
            Fact::SessionAgeS,
            time.since_s(session.first_seen()).max(0.0),
        );
    }
    let Some(watch) = look.watch else { return };
    if let Some(variation) = watch.variation() {
        facts.set(Fact::PaceRegular, variation);
    }
    let opening = watch.opening().zip(look.subject);
    let faster = opening.and_then(|(opening, subject)| subject.habits.rhythm.faster(opening));
    if let Some(faster) = faster {
        facts.set(Fact::PaceRateZ, faster);
    }
}
