//! OCSF, the Open Cybersecurity Schema Framework: an incident as a Detection Finding (class 2004).
//!
//! In: an [`Incident`]. Out: one JSON object.
//! Does not know: how it travels.
//! Source: <https://schema.ocsf.io/1.4.0/classes/detection_finding>: activity 1 create, 2 update, 3 close.

use super::{Event, brief};
use crate::domain::finding::Level;
use crate::domain::incident::{Incident, State};
use serde_json::{Value, json};

/// Category 2, Findings; class 2004, Detection Finding.
const CATEGORY: u32 = 2;
const CLASS: u32 = 2004;

/// The types of observables that are named: an address, a user.
const IP_ADDRESS: u32 = 2;
const USER_NAME: u32 = 4;

/// The object.
pub fn object(event: Event, incident: &Incident) -> Value {
    let activity = match event {
        Event::Opened => 1,
        Event::Updated => 2,
        Event::Resolved => 3,
    };
    let suspect = &incident.suspect;
    let title = brief::plain(&incident.title);
    let analytics: Vec<_> = incident.rules.keys().collect();
    let (opened_ms, updated_ms) = (incident.opened.as_ms(), incident.updated.as_ms());
    json!({
        "category_uid": CATEGORY,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "activity_id": activity,
        "type_uid": CLASS * 100 + activity,
        "time": updated_ms,
        "severity_id": severity(incident.level),
        "severity": incident.level.name(),
        "status_id": status(incident.state),
        "message": title,
        "risk_score": incident.score,
        "is_alert": incident.level >= Level::Medium,
        "metadata": {
            "version": "1.4.0",
            "product": {
                "name": "Tokentrip",
                "vendor_name": "Tokentrip",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
        "finding_info": {
            "uid": incident.id.to_string(),
            "title": title,
            "desc": incident.next,
            "types": analytics,
            "created_time": opened_ms,
            "modified_time": updated_ms,
            "first_seen_time": suspect.first_seen.as_ms(),
            "last_seen_time": suspect.last_seen.as_ms(),
        },
        "evidences": evidences(incident),
        "observables": observables(incident),
        "remediation": {"desc": incident.next},
        "unmapped": {"tokentrip": incident},
    })
}

fn evidences(incident: &Incident) -> Vec<Value> {
    let user = incident.subject.as_deref();
    let evidence = |ip: &std::net::IpAddr| match user {
        Some(user) => json!({"src_endpoint": {"ip": ip}, "actor": {"user": {"uid": user}}}),
        None => json!({"src_endpoint": {"ip": ip}}),
    };
    incident.suspect.ips.iter().map(evidence).collect()
}

fn observables(incident: &Incident) -> Vec<Value> {
    let ips = incident.suspect.ips.iter();
    let ips = ips
        .map(|ip| json!({"name": "evidences.src_endpoint.ip", "type_id": IP_ADDRESS, "value": ip}));
    let user = incident.subject.as_deref().map(
        |user| json!({"name": "evidences.actor.user.uid", "type_id": USER_NAME, "value": user}),
    );
    ips.chain(user).collect()
}

fn severity(level: Level) -> u8 {
    match level {
        Level::Informational => 1,
        Level::Low => 2,
        Level::Medium => 3,
        Level::High => 4,
        Level::Critical => 5,
    }
}

/// New, in progress, suppressed (which is what OCSF calls a false positive), resolved.
fn status(state: State) -> u8 {
    match state {
        State::Open => 1,
        State::Acknowledged | State::Contained => 2,
        State::FalsePositive => 3,
        State::Resolved => 4,
    }
}
