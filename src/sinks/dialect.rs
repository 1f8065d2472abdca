//! The languages in which an incident is one line.
//!
//! In: an [`Incident`] and what happened to it. Out: a line without a line ending and without tokens.
//! Does not know: where the line goes.

use super::{Event, brief, cef, ecs, ndjson, ocsf};
use crate::domain::incident::Incident;
use crate::outbound::options::{Key, Options, Takes};

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// NDJSON as `scan` writes it.
    Ndjson,
    /// Common Event Format.
    Cef,
    /// Elastic Common Schema.
    Ecs,
    /// OCSF Detection Finding.
    Ocsf,
    /// The title, the id and what to do.
    Text,
}

impl Dialect {
    /// The key that chooses one.
    pub const KEY: Key = Key::optional(
        "message",
        Takes::Word(&["ndjson", "cef", "ecs", "ocsf", "text"]),
    );

    /// The one that was chosen.
    pub fn of(options: &Options) -> Option<Self> {
        Some(match options.text(Self::KEY.name)? {
            "ndjson" => Self::Ndjson,
            "cef" => Self::Cef,
            "ecs" => Self::Ecs,
            "ocsf" => Self::Ocsf,
            _ => Self::Text,
        })
    }

    /// The line.
    pub fn line(self, event: Event, incident: &Incident) -> String {
        let json = match self {
            Self::Ndjson => ndjson::line(&ndjson::Record::Incident(incident)),
            Self::Ecs => ndjson::line(&ecs::object(event, incident)),
            Self::Ocsf => ndjson::line(&ocsf::object(event, incident)),
            Self::Cef => return cef::line(event, incident),
            Self::Text => {
                let (title, next) = (brief::plain(&incident.title), brief::plain(&incident.next));
                let (id, level) = (incident.id, incident.level.name());
                return format!("{} {level} {id}: {title}. {next}", event.word());
            }
        };
        json.unwrap_or_default()
    }
}
