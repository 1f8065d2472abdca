//! SHELL: who is told.
//!
//! In: an [`Incident`] and what happened to it. Out: [`Alert`]s for the outbox, and their delivery.
//! Does not know: the outbox, how often something was tried.

pub mod file;
pub mod ndjson;
pub mod webhook;

use crate::domain::action::Alert;
use crate::domain::finding::Level;
use crate::domain::incident::Incident;
use crate::outbound::Attempt;
use std::fmt::Debug;
use std::sync::Arc;

/// Every kind of sink, by its name in the configuration.
pub const ALL: &[&str] = &["file", "webhook"];

/// One configured sink.
pub trait Sink: Debug + Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &Arc<str>;

    /// What is below this is not sent.
    fn level_min(&self) -> Level;

    /// The message, as it is kept in the outbox: without tokens, and the same at every attempt.
    fn body(&self, event: Event, incident: &Incident) -> String;

    /// Sends a message of [`Sink::body`].
    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a>;
}

/// What happened to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was opened.
    Opened,
    /// Its level or its state changed.
    Updated,
}

impl Event {
    /// The event's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "incident.opened",
            Self::Updated => "incident.updated",
        }
    }
}

/// The alerts of an event, one for each sink that wants it. Of updates, one is sent for each level and state: more
/// requests by the same thief wake nobody twice.
pub fn alerts(sinks: &[Arc<dyn Sink>], event: Event, incident: &Incident) -> Vec<Alert> {
    let what = match event {
        Event::Opened => event.name().to_owned(),
        Event::Updated => {
            let (level, state) = (incident.level.name(), incident.state.name());
            format!("{} {level} {state}", event.name())
        }
    };
    let wanted = sinks
        .iter()
        .filter(|sink| incident.level >= sink.level_min());
    let alert = |sink: &Arc<dyn Sink>| Alert {
        id: Alert::id_of(incident.id, &what, sink.name()),
        incident: incident.id,
        sink: sink.name().clone(),
        body: sink.body(event, incident),
    };
    wanted.map(alert).collect()
}
