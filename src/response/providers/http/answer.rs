//! What an answer means, and what of it the next call needs.
//!
//! In: an [`Answer`], what the vendor's file says of it. Out: an [`Outcome`], values that are kept.
//! Does not know: how a call is made.

use super::template::Values;
use super::vendor::{Call, Meaning, Operation, Rule, Vendor};
use crate::domain::action::Outcome;
use crate::outbound::Answer;
use serde_json::Value;

impl Vendor {
    /// What an answer means: what the call says of it, then what the vendor says, then what statuses mean everywhere.
    pub(super) fn judge(&self, call: &Call, answer: &Answer) -> Outcome {
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let rules = call.answers.iter().chain(&self.answers);
        let fits = |rule: &&Rule| rule.fits(answer.status, body.as_ref());
        if let Some(rule) = { rules }.find(fits) {
            return rule.outcome(answer);
        }
        let already = call.already_done_if.as_ref().zip(body.as_ref());
        if already.is_some_and(|(at, body)| !at.find(body).is_empty())
            && call.done.contains(&answer.status)
        {
            return Outcome::AlreadyDone;
        }
        let why = |text: &str| format!("answered {}{text}", answer.status);
        match answer.status {
            status if call.done.contains(&status) => Outcome::Done,
            status if call.already_done.contains(&status) => Outcome::AlreadyDone,
            200..=299 => Outcome::Failed {
                why: why(", which is not what the vendor documents"),
            },
            429 => Outcome::Unsent {
                after_s: answer.retry_after_s,
                why: why(""),
            },
            401 | 403 => Outcome::Failed {
                why: why(": check the credentials and their rights"),
            },
            404 => Outcome::Failed {
                why: why(": the vendor knows no such user or session"),
            },
            _ => answer.outcome(),
        }
    }
}

impl Rule {
    fn fits(&self, status: u16, body: Option<&Value>) -> bool {
        if self.status != status {
            return false;
        }
        let Some(at) = &self.at else {
            return true;
        };
        let found = body.map(|body| at.find(body)).unwrap_or_default();
        found.iter().any(|text| text.contains(&self.holds))
    }

    fn outcome(&self, answer: &Answer) -> Outcome {
        let why = self.why.clone();
        let why = why.unwrap_or_else(|| format!("answered {} {}", self.status, self.holds));
        match self.means {
            Meaning::Done => Outcome::Done,
            Meaning::AlreadyDone => Outcome::AlreadyDone,
            Meaning::Retry => Outcome::Unsent {
                after_s: answer.retry_after_s,
                why,
            },
            Meaning::Failed => Outcome::Failed { why },
            Meaning::Impossible => Outcome::Impossible { why },
        }
    }
}

/// Where an operation must not be made twice, what fails before the call that counts was not sent.
pub(super) fn before(operation: &Operation, call: &Call, outcome: Outcome) -> Outcome {
    match operation.repeatable() || call.at_most_once {
        true => outcome,
        false => outcome.unsent(),
    }
}

/// Done, or the outcome that ends it.
pub(super) fn ended(outcome: Outcome) -> Result<Outcome, Outcome> {
    match outcome {
        Outcome::Done | Outcome::AlreadyDone => Ok(outcome),
        other => Err(other),
    }
}

/// Keeps what the calls after it need. Of a list each value stands on a line: none of them has one.
pub(super) fn keep(
    call: &Call,
    answer: &Answer,
    outcome: &Outcome,
    values: &mut Values,
) -> Result<(), Outcome> {
    if call.keep.is_empty() || *outcome != Outcome::Done {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    for (name, at) in &call.keep {
        let found = at.find(&body).into_iter();
        let found: Vec<_> = found.filter(|text| !text.contains('\n')).collect();
        if found.is_empty() && !at.is_list() {
            let why = format!("the vendor's answer holds no `{name}`");
            return Err(Outcome::Impossible { why });
        }
        values.set(name, found.join("\n"));
    }
    Ok(())
}

pub(super) fn unreadable() -> Outcome {
    Outcome::Failed {
        why: "the answer is not what the vendor documents".to_owned(),
    }
}
