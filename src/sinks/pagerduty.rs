//! PagerDuty: Events API v2.
//!
//! In: an [`Incident`]. Out: an event that triggers, or resolves, the alert whose `dedup_key` is the incident's id.
//! Does not know: services, escalation; the routing key says where an event goes.
//! Source: <https://developer.pagerduty.com/docs/send-alert-event>: 202 is accepted, 429 is too many, 400 is wrong.

use super::{Event, Kind, Sink, brief};
use crate::domain::action::{Alert, Outcome};
use crate::domain::finding::Level;
use crate::domain::incident::Incident;
use crate::outbound::options::{Key, OptionsError, Takes};
use crate::outbound::{Attempt, Caller, Endpoint, Secret};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Longest `payload.summary`, in characters.
const SUMMARY_CHARS_MAX: usize = 1024;

/// Where accounts outside the EU are. Those in it set `url = "https://events.eu.pagerduty.com"`.
const URL: &str = "https://events.pagerduty.com";

/// `kind = "pagerduty"`.
pub const KIND: Kind = Kind {
    name: "pagerduty",
    keys: &[
        Key::secret(["routing_key", "routing_key_file", "routing_key_env"]),
        Key::optional("url", Takes::Url),
    ],
    make: |options, caller| {
        let base = match options.text("url") {
            Some(_) => options.endpoint("url")?,
            None => Endpoint::new(URL).map_err(|error| OptionsError::Endpoint("url", error))?,
        };
        Ok(Arc::new(PagerDuty {
            base,
            routing_key: options.needed_secret("routing_key")?,
            caller: caller.clone(),
        }))
    },
};

#[derive(Debug)]
struct PagerDuty {
    base: Endpoint,
    routing_key: Secret,
    caller: Caller,
}

impl PagerDuty {
    /// The key is added here, for the outbox keeps no secrets.
    async fn post(&self, body: &str) -> Result<Outcome, Outcome> {
        let unreadable = |_| Outcome::Failed {
            why: "the stored message cannot be read".to_owned(),
        };
        let mut event: Map<String, Value> = serde_json::from_str(body).map_err(unreadable)?;
        event.insert("routing_key".to_owned(), self.routing_key.read()?.into());
        let url = self.base.below(&["v2", "enqueue"]);
        let url = url.unwrap_or_else(|| self.base.url());
        let request = self.caller.client().post(url).json(&event);
        Ok(self.caller.send(request).await?.outcome())
    }
}

impl Sink for PagerDuty {
    fn body(&self, event: Event, incident: &Incident) -> String {
        let action = match event {
            Event::Opened | Event::Updated => "trigger",
            Event::Resolved => "resolve",
        };
        let details: Map<String, Value> = brief::rows(incident)
            .into_iter()
            .map(|(label, text)| (label.to_owned(), text.into()))
            .collect();
        let suspect = incident.suspect.ips.first().map(ToString::to_string);
        json!({
            "event_action": action,
            "dedup_key": incident.id.to_string(),
            "client": "tokentrip",
            "payload": {
                "summary": brief::cut(&brief::plain(&incident.title), SUMMARY_CHARS_MAX),
                "source": suspect.unwrap_or_else(|| "unknown".to_owned()),
                "severity": severity(incident.level),
                "timestamp": incident.opened.to_string(),
                "class": "stolen token",
                "custom_details": details,
            },
        })
        .to_string()
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a> {
        Box::pin(async move {
            let done = self.post(&alert.body).await;
            done.unwrap_or_else(|outcome| outcome)
        })
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::Critical => "critical",
        Level::High => "error",
        Level::Medium => "warning",
        Level::Low | Level::Informational => "info",
    }
}
