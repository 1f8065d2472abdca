//! What a provider may ask about the incident it acts for.
//!
//! In: an incident's id. Out: the incident, the raw token of a target as it stands in the log.
//! Does not know: where incidents are kept, how a log is read: `app` does.

use crate::domain::ids::IncidentId;
use crate::domain::incident::{Incident, Target};
use crate::domain::token::RawToken;
use std::fmt::Debug;
use std::pin::Pin;

/// Why something cannot be had, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone(pub String);

/// Something that is being looked up.
pub type Looked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Gone>> + Send + 'a>>;

/// What is known of incidents, and their evidence.
pub trait CaseFile: Debug + Send + Sync {
    /// The incident as it is stored.
    fn incident(&self, id: IncidentId) -> Looked<'_, Incident>;

    /// The token that a target names, read again from the evidence at this moment. It is never stored.
    fn token<'a>(&'a self, id: IncidentId, target: &'a Target) -> Looked<'a, RawToken<'static>>;

    /// Keeps an event for a receiver that polls, until it is acknowledged.
    fn offer<'a>(&'a self, stream: &'a str, jti: String, set: String) -> Looked<'a, ()>;
}

/// No case at all: where nothing is carried out.
#[derive(Clone, Copy, Debug)]
pub struct NoCase;

impl NoCase {
    fn gone<T>() -> Result<T, Gone> {
        Err(Gone("there is no incident here".to_owned()))
    }
}

impl CaseFile for NoCase {
    fn incident(&self, _: IncidentId) -> Looked<'_, Incident> {
        Box::pin(async { Self::gone() })
    }

    fn token<'a>(&'a self, _: IncidentId, _: &'a Target) -> Looked<'a, RawToken<'static>> {
        Box::pin(async { Self::gone() })
    }

    fn offer<'a>(&'a self, _: &'a str, _: String, _: String) -> Looked<'a, ()> {
        Box::pin(async { Self::gone() })
    }
}
