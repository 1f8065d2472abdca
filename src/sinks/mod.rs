//! SHELL: who is told.
//!
//! In: an [`Incident`] and what happened to it. Out: [`Alert`]s for the outbox, and their delivery.
//! Does not know: the outbox, how often something was tried.

pub mod alertmanager;
pub mod brief;
pub mod cef;
pub mod dialect;
pub mod ecs;
pub mod file;
pub mod ndjson;
pub mod ocsf;
pub mod pagerduty;
pub mod slack;
pub mod smtp;
pub mod syslog;
pub mod webhook;

use crate::domain::action::Alert;
use crate::domain::finding::Level;
use crate::domain::incident::Incident;
use crate::outbound::options::{Key, Options, OptionsError};
use crate::outbound::{Attempt, Caller};
use std::fmt::Debug;
use std::sync::Arc;

/// Every kind of sink.
pub const ALL: &[&Kind] = &[
    &alertmanager::KIND,
    &file::KIND,
    &pagerduty::KIND,
    &slack::KIND,
    &smtp::KIND,
    &syslog::KIND,
    &webhook::KIND,
];

/// A sink, or why nothing can be made of its keys.
pub type Made = Result<Arc<dyn Sink>, OptionsError>;

/// One kind of sink.
#[derive(Debug)]
pub struct Kind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The keys it reads.
    pub keys: &'static [Key],
    /// Makes one of what the keys were given.
    pub make: fn(&Options, &Caller) -> Made,
}

/// A way to tell somebody.
pub trait Sink: Debug + Send + Sync {
    /// The message, as it is kept in the outbox: without tokens, and the same at every attempt.
    fn body(&self, event: Event, incident: &Incident) -> String;

    /// Sends a message of [`Sink::body`].
    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a>;
}

/// One configured sink.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What is below this is not sent.
    pub level_min: Level,
    /// It is told of each incident, however many there are at once.
    pub every_incident: bool,
    /// How it is told.
    pub sink: Arc<dyn Sink>,
}

impl Receiver {
    /// The sink of a kind.
    ///
    /// # Errors
    /// When there is no such kind, or nothing can be made of what its keys were given.
    pub fn new(
        name: &str,
        level_min: Level,
        kind: &str,
        options: &Options,
        caller: &Caller,
    ) -> Result<Self, OptionsError> {
        let known = ALL.iter().find(|known| known.name == kind);
        let known = known.ok_or_else(|| OptionsError::Wrong("kind", kind.to_owned()))?;
        Ok(Self {
            name: name.into(),
            level_min,
            every_incident: false,
            sink: (known.make)(options, caller)?,
        })
    }
}

/// What happened to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was opened.
    Opened,
    /// Its level or its state changed.
    Updated,
    /// Somebody closed it: it is resolved, or was none.
    Resolved,
}

impl Event {
    /// The event's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "incident.opened",
            Self::Updated => "incident.updated",
            Self::Resolved => "incident.resolved",
        }
    }

    /// What happened, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "New",
            Self::Updated => "Changed",
            Self::Resolved => "Closed",
        }
    }
}

/// The gate of an incident that was told as one of many: only those hear of it, and of its end, who hear of each.
pub const STORM: &str = "storm";

/// The alerts of an event, one for each sink that wants it. Of updates, one is sent for each level and state: more
/// requests by the same thief wake nobody twice.
pub fn alerts(receivers: &[Receiver], event: Event, incident: &Incident) -> Vec<Alert> {
    let what = match event {
        Event::Opened => event.name().to_owned(),
        Event::Updated | Event::Resolved => {
            let (level, state) = (incident.level.name(), incident.state.name());
            format!("{} {level} {state}", event.name())
        }
    };
    alerts_named(receivers, event, &what, incident)
}

/// As [`alerts`], under a name of one's own: what has the same name is told once.
pub fn alerts_named(
    receivers: &[Receiver],
    event: Event,
    what: &str,
    incident: &Incident,
) -> Vec<Alert> {
    let of_many = incident.refused.iter().any(|refusal| refusal.gate == STORM);
    let wanted = receivers.iter().filter(|receiver| {
        incident.level >= receiver.level_min && (receiver.every_incident || !of_many)
    });
    // Paths leave as templates; which objects were read is for those who look here.
    let mut told = incident.clone();
    told.steps.breach.objects.clear();
    let alert = |receiver: &Receiver| Alert {
        id: Alert::id_of(incident.id, what, &receiver.name),
        incident: incident.id,
        sink: receiver.name.clone(),
        body: receiver.sink.body(event, &told),
    };
    wanted.map(alert).collect()
}
