//! CEF, the Common Event Format: an incident as one line for a SIEM.
//!
//! In: an [`Incident`]. Out: a line in which nothing from a log can end a field or begin another.
//! Does not know: how the line travels.
//! Source: ArcSight Common Event Format, implementation standard, version 26: header escapes `\` and `|`, extension
//! escapes `\`, `=` and line ends; <https://www.microfocus.com/documentation/arcsight/arcsight-smartconnectors/>.

use super::{Event, brief};
use crate::domain::finding::Level;
use crate::domain::incident::Incident;

/// Longest `msg`, in characters.
const MESSAGE_CHARS_MAX: usize = 1023;

/// The line, without a line ending.
pub fn line(event: Event, incident: &Incident) -> String {
    let name = header(&brief::plain(&incident.title));
    let (class, severity) = (event.name(), severity(incident.level));
    let mut line = format!(
        "CEF:0|Tokentrip|tokentrip|{}|{class}|{name}|{severity}|",
        env!("CARGO_PKG_VERSION")
    );
    let rules: Vec<_> = incident.rules.keys().map(AsRef::as_ref).collect();
    let next = brief::cut(&incident.next, MESSAGE_CHARS_MAX);
    let suspect = &incident.suspect;
    let first = |ip: fn(&&std::net::IpAddr) -> bool| {
        let ip = suspect.ips.iter().find(ip);
        ip.map(ToString::to_string).unwrap_or_default()
    };
    let fields = [
        ("rt", "", incident.updated.as_ms().to_string()),
        ("start", "", suspect.first_seen.as_ms().to_string()),
        ("end", "", suspect.last_seen.as_ms().to_string()),
        ("externalId", "", incident.id.to_string()),
        ("src", "", first(|ip| ip.is_ipv4())),
        ("c6a2", "Source IPv6 Address", first(|ip| ip.is_ipv6())),
        (
            "duser",
            "",
            incident.subject.as_deref().unwrap_or("").to_owned(),
        ),
        ("requestClientApplication", "", suspect.clients.join(", ")),
        ("cnt", "", suspect.requests.to_string()),
        ("cs1", "Rules", rules.join(", ")),
        (
            "cs2",
            "Issuer",
            incident.issuer.as_deref().unwrap_or("").to_owned(),
        ),
        ("cs3", "State", incident.state.name().to_owned()),
        ("cn1", "Score", incident.score.to_string()),
        ("msg", "", next),
    ];
    let mut given = Vec::new();
    for (key, label, value) in fields.iter().filter(|(.., value)| !value.is_empty()) {
        given.push(format!("{key}={}", extension(&brief::plain(value))));
        if !label.is_empty() {
            given.push(format!("{key}Label={label}"));
        }
    }
    line.push_str(&given.join(" "));
    line
}

/// 0 to 10, of which 7 and above are high and 9 and above very high.
fn severity(level: Level) -> u8 {
    match level {
        Level::Informational => 1,
        Level::Low => 3,
        Level::Medium => 5,
        Level::High => 8,
        Level::Critical => 10,
    }
}

fn header(text: &str) -> String {
    text.replace('\\', r"\\").replace('|', r"\|")
}

fn extension(text: &str) -> String {
    text.replace('\\', r"\\").replace('=', r"\=")
}
