//! Risk: how unlikely the context is for this subject, by how often the subject and everybody were seen so.
//!
//! In: a context new to its session, the subject's habits and the population's. Out: `risk.score`.
//! Does not know: what score is suspicious. Of a subject that is hardly known it says nothing.
//! Source: see [`crate::sessions::habits`].

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::habits::{Model, Seen, risk};

pub(super) static DETECTOR: Detector = Detector {
    name: "risk",
    facts: &[Fact::RiskScore],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let time = look.usage.event.time;
    let Some(subject) = look.subject.filter(|subject| subject.is_mature(time)) else {
        return;
    };
    let was_here = look
        .session
        .is_some_and(|session| session.visit(look.key).is_some());
    if was_here {
        return;
    }
    let seen = Seen::of(look.usage.context, look.usage.event.user_agent.as_deref());
    let score = look
        .population
        .and_then(|everybody| risk(&subject.habits, everybody, seen, time, &Model::OURS));
    if let Some(score) = score {
        facts.set(Fact::RiskScore, score);
    }
}
