//! ECS, the Elastic Common Schema: an incident as one JSON object.
//!
//! In: an [`Incident`]. Out: an object with ECS names, and the whole incident under `tokentrip.incident`.
//! Does not know: how it travels.
//! Source: <https://www.elastic.co/docs/reference/ecs> (8.17): event, related, rule, source, user.

use super::{Event, brief};
use crate::domain::finding::Level;
use crate::domain::incident::Incident;
use serde_json::{Value, json};

/// The object.
pub fn object(event: Event, incident: &Incident) -> Value {
    let suspect = &incident.suspect;
    let rules: Vec<_> = incident.rules.keys().collect();
    let subject: Vec<_> = incident.subject.iter().collect();
    json!({
        "@timestamp": incident.updated.to_string(),
        "ecs": {"version": "8.17.0"},
        "message": brief::plain(&incident.title),
        "event": {
            "kind": "alert",
            "category": ["intrusion_detection", "session"],
            "type": ["info"],
            "module": "tokentrip",
            "dataset": "tokentrip.incident",
            "action": event.name(),
            "id": incident.id.to_string(),
            "severity": severity(incident.level),
            "risk_score": incident.score,
            "start": suspect.first_seen.to_string(),
            "end": suspect.last_seen.to_string(),
            "reason": incident.next,
        },
        "log": {"level": incident.level.name()},
        "rule": {"name": rules},
        "source": {"ip": suspect.ips},
        "user": {"id": incident.subject},
        "related": {"ip": suspect.ips, "user": subject},
        "observer": {
            "product": "tokentrip",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "tokentrip": {"incident": incident},
    })
}

/// The scale of Elastic's own detections: 21, 47, 73 and 99 are low to critical.
fn severity(level: Level) -> u8 {
    match level {
        Level::Informational => 1,
        Level::Low => 21,
        Level::Medium => 47,
        Level::High => 73,
        Level::Critical => 99,
    }
}
