//! Mail, over TLS: to a team. To the person whose token was stolen a provider writes
//! ([`crate::response::providers`]).
//!
//! In: an [`Incident`]. Out: a mail of plain text, with the same `Message-ID` at every attempt.
//! Does not know: whether somebody reads it.

use super::{Event, Kind, Sink, brief};
use crate::domain::action::{Alert, Outcome};
use crate::domain::incident::Incident;
use crate::outbound::Attempt;
use crate::outbound::mail::{Letter, Mailer, mailbox};
use crate::outbound::options::{Key, Options, OptionsError, Takes};
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Longest subject, in characters: mail programs show fewer.
const SUBJECT_CHARS_MAX: usize = 150;

/// `kind = "smtp"`.
pub const KIND: Kind = Kind {
    name: "smtp",
    keys: &[
        Mailer::KEYS[0],
        Mailer::KEYS[1],
        Key::needed("to", Takes::Texts, "[\"security@example.com\"]"),
        Mailer::KEYS[2],
        Mailer::KEYS[3],
    ],
    make: |options, _| Ok(Arc::new(Smtp::new(options)?)),
};

#[derive(Debug)]
struct Smtp {
    mailer: Mailer,
    to: Vec<Mailbox>,
}

/// What waits in the outbox.
#[derive(Serialize, Deserialize)]
struct Mail {
    subject: String,
    text: String,
}

impl Smtp {
    fn new(options: &Options) -> Result<Self, OptionsError> {
        let to = options.texts("to").iter().map(|text| mailbox("to", text));
        Ok(Self {
            mailer: Mailer::new(options)?,
            to: to.collect::<Result<_, _>>()?,
        })
    }

    async fn send(&self, alert: &Alert) -> Result<Outcome, Outcome> {
        let mail: Mail = serde_json::from_str(&alert.body).map_err(|_| Outcome::Failed {
            why: "the stored message cannot be read".to_owned(),
        })?;
        let letter = Letter {
            to: &self.to,
            id: &alert.id.to_string(),
            subject: mail.subject,
            text: mail.text,
        };
        self.mailer.send(letter).await
    }
}

impl Sink for Smtp {
    fn body(&self, event: Event, incident: &Incident) -> String {
        let (word, level) = (event.word(), incident.level.name().to_uppercase());
        let title = brief::plain(&incident.title);
        let mut text = format!("{title}\n{}\n\n", brief::since(incident));
        for (label, row) in brief::rows(incident) {
            text.push_str(&format!("{label}: {row}\n"));
        }
        let mail = Mail {
            subject: brief::cut(&format!("[{level}] {word}: {title}"), SUBJECT_CHARS_MAX),
            text,
        };
        serde_json::to_string(&mail).unwrap_or_default()
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a> {
        Box::pin(async move {
            let done = self.send(alert).await;
            done.unwrap_or_else(|outcome| outcome)
        })
    }
}
