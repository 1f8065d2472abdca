//! Prometheus Alertmanager: API v2.
//!
//! In: an [`Incident`]. Out: alerts whose labels are few and steady, for the labels are an alert's identity: the
//! incident's id and its level. An alert fires until it is resolved, or a day after it was last told.
//! Does not know: routes, silences, who is called.
//! Source: <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml> (`POST /alerts`),
//! <https://prometheus.io/docs/alerting/latest/clients/>.

use super::{Event, Kind, Sink, brief};
use crate::domain::action::{Alert, Outcome};
use crate::domain::finding::Level;
use crate::domain::incident::Incident;
use crate::outbound::options::{Key, Takes};
use crate::outbound::{Attempt, Caller, Endpoint, Secret, now};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Without an end Alertmanager takes an alert for resolved after five minutes (`resolve_timeout`).
const FIRES_MS: i64 = 24 * 3600 * 1000;

/// `kind = "alertmanager"`.
pub const KIND: Kind = Kind {
    name: "alertmanager",
    keys: &[
        Key::needed("url", Takes::Url, "\"http://127.0.0.1:9093\""),
        Key::optional("token", Takes::Secret(["token", "token_file", "token_env"])),
    ],
    make: |options, caller| {
        Ok(Arc::new(Alertmanager {
            base: options.endpoint("url")?,
            token: options.secret("token"),
            caller: caller.clone(),
        }))
    },
};

#[derive(Debug)]
struct Alertmanager {
    base: Endpoint,
    token: Option<Secret>,
    caller: Caller,
}

impl Alertmanager {
    async fn post(&self, body: &str) -> Result<Outcome, Outcome> {
        let unreadable = |_| Outcome::Failed {
            why: "the stored message cannot be read".to_owned(),
        };
        let mut alerts: Vec<Map<String, Value>> = serde_json::from_str(body).map_err(unreadable)?;
        for alert in &mut alerts {
            let end = alert.entry("endsAt");
            end.or_insert_with(|| now().plus_ms(FIRES_MS).to_string().into());
        }
        let url = self.base.below(&["api", "v2", "alerts"]);
        let mut request = self
            .caller
            .client()
            .post(url.unwrap_or_else(|| self.base.url()))
            .json(&alerts);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.read()?);
        }
        Ok(self.caller.send(request).await?.outcome())
    }
}

impl Sink for Alertmanager {
    fn body(&self, event: Event, incident: &Incident) -> String {
        // A worse level is another alert: the ones below it end, as all do when the incident is resolved.
        let resolved = event == Event::Resolved;
        let levels = Level::ALL.into_iter();
        let told = levels.filter(|level| match event {
            Event::Opened => *level == incident.level,
            Event::Updated | Event::Resolved => *level <= incident.level,
        });
        let alerts: Vec<_> = told
            .map(|level| alert(level, resolved || level < incident.level, incident))
            .collect();
        Value::from(alerts).to_string()
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a> {
        Box::pin(async move {
            let done = self.post(&alert.body).await;
            done.unwrap_or_else(|outcome| outcome)
        })
    }
}

fn alert(level: Level, has_ended: bool, incident: &Incident) -> Value {
    let rows = brief::rows(incident);
    let rows = rows.iter().map(|(label, text)| format!("{label}: {text}"));
    let description: Vec<_> = rows.collect();
    let mut alert = json!({
        "labels": {
            "alertname": "TokentripIncident",
            "incident": incident.id.to_string(),
            "severity": level.name(),
        },
        "annotations": {
            "summary": brief::plain(&incident.title),
            "description": description.join("\n"),
        },
        "startsAt": incident.opened.to_string(),
    });
    if has_ended {
        alert["endsAt"] = incident.updated.to_string().into();
    }
    alert
}
