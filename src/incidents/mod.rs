//! CORE: findings become incidents with the four steps.
//!
//! In: one [`Report`] for each finding, and every later use by a watched sender
//! ([`Incidents::note`]).
//! Out: [`Incident`](crate::domain::incident::Incident)s, made on demand from open cases.
//! Does not know: how a finding was made, what is stored, who carries the steps out, the wall
//! clock.

mod blast_radius;
mod case;
mod correlate;
mod excuses;
pub mod journey;
mod lifetime;
mod query;
pub mod rereading;
mod root_cause;
mod score;
mod shared_source;
mod shown;
mod sides;
mod steps;
mod targets;
mod text;
mod watched;
mod words;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use blast_radius::template;
pub use correlate::Incidents;
pub use lifetime::Evictions;
pub use query::BreachQuery;
pub use sides::{client_words, network_words};
pub use text::{counted, duration};

use crate::domain::context::Context;
use crate::domain::event::Told;
use crate::domain::finding::Finding;
use crate::domain::incident::Cause;
use crate::domain::time::Time;
use crate::domain::usage::TokenUse;

/// A finding, with what the stores know about the two sides *before* the use that made it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What the rule said. `subject` is `None` when the token was forged and refused.
    pub finding: &'a Finding,
    /// The use it spoke about.
    pub usage: &'a TokenUse<'a>,
    /// The side that does not belong; for a forgery, its sender.
    pub suspect: &'a Context,
    /// The session's binding; `None` when it is uncertain who held the token first, or when there
    /// is no session.
    pub victim: Option<&'a Context>,
    /// Event time of the suspect's first use.
    pub suspect_since: Time,
    /// The token was forged and the gateway let it in: the account it names was entered.
    pub accepted_forgery: bool,
    /// Both sides may be one person's: what differs is reported, and nobody is logged out for it.
    pub doubtful: bool,
    /// What the stores counted for the suspect before this use.
    pub stats: SuspectStats,
    /// The rightful holder's last use of the session.
    pub last_legitimate_use: Option<Time>,
    /// Sessions of the subject that a revocation of the subject would end.
    pub sessions_of_subject: u64,
    /// What the identity provider told of the token and its session.
    pub told: &'a [Told],
    /// What the rule's author knows about the cause.
    pub hints: RuleHints<'a>,
}

/// What the session and source stores counted for a suspect before the use at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SuspectStats {
    /// Uses.
    pub requests: u64,
    /// Uses with a method that writes.
    pub writes: u64,
    /// Response bytes.
    pub bytes: u64,
    /// Answers 401 and 403.
    pub denied: u64,
    /// Subjects, other than the incident's, whose tokens came from the suspect's prefix.
    pub other_subjects: u64,
    /// Why these counts miss something (a store began later or evicted); `None` when they do not.
    pub missing: Option<&'static str>,
}

/// The part of a rule that speaks about causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleHints<'a> {
    /// The likely cause, when the rule names one.
    pub cause: Option<CauseHint<'a>>,
}

/// A rule's word on the root cause (`tokentrip.step4`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseHint<'a> {
    /// Which of the three kinds.
    pub cause: Cause,
    /// What exactly.
    pub hint: &'a str,
    /// What to do about it.
    pub fix: &'a str,
}
