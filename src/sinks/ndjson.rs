//! NDJSON: one object a line, as the contract shows them.
//!
//! In: [`Record`]s. Out: lines in any [`Write`]. Here, and only here, output loses the tokens that logs smuggle in.
//! Does not know: who reads them. Source: <https://github.com/ndjson/ndjson-spec>, and the contract in README.md.

use crate::domain::finding::{ClientShown, Evidence, Finding, Level, SourceShown, rfc3339};
use crate::domain::ids::{FindingId, IncidentId, SessionId, TokenId};
use crate::domain::incident::Incident;
use crate::domain::mask::mask;
use crate::domain::time::Time;
use crate::domain::token::{Provenance, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// One line of output.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record<'a> {
    /// What a rule said.
    Finding(&'a Finding),
    /// What belongs together.
    Incident(&'a Incident),
    /// A token that leaked, still works, and was abused by nobody yet.
    AtRisk(&'a AtRisk),
    /// One use of a session that is explained.
    Use(&'a Use),
    /// What a measure would have come to.
    Whatif(&'a Whatif),
    /// The end of a scan.
    Summary(&'a Summary),
}

/// What a scan read and what it found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Lines read.
    pub lines: u64,
    /// Lines that gave an event.
    pub events: u64,
    /// Events that presented a token.
    pub uses: u64,
    /// Lines that gave none, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Uses that were not looked at in a flood of forged tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub deferred: u64,
    /// Distinct tokens.
    pub tokens: u64,
    /// Distinct sessions.
    pub sessions: u64,
    /// Distinct subjects.
    pub subjects: u64,
    /// Findings, by rule.
    pub findings: BTreeMap<Arc<str>, u64>,
    /// What came of each rule that held.
    pub rules: BTreeMap<Arc<str>, RuleSummary>,
    /// Findings that `[[allow]]` and `[[travel]]` explain, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub excepted: BTreeMap<Arc<str>, u64>,
    /// Incidents.
    pub incidents: u64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes known to be lost.
    pub gaps_bytes: u64,
    /// Each source, and how well it was understood.
    pub sources: Vec<SourceSummary>,
}

/// What came of one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleSummary {
    /// Its level.
    pub level: Level,
    /// Findings.
    pub findings: u64,
    /// Subjects that they name.
    pub subjects: u64,
    /// Incidents that it speaks in.
    pub incidents: u64,
    /// Findings that were not made, for an exception explains them.
    #[serde(skip_serializing_if = "is_zero")]
    pub excepted: u64,
    /// True when it only runs on trial.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// A token that stood where others can read it, still works at the end of the log, and was abused by nobody yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AtRisk {
    /// The token.
    pub token: TokenId,
    /// Its session.
    pub session: SessionId,
    /// The `sub` claim.
    pub subject: Option<Arc<str>>,
    /// The `iss` claim.
    pub issuer: Option<Arc<str>>,
    /// Where it stood: `query`, `path`, `referer`.
    #[serde(rename = "where")]
    pub place: &'static str,
    /// Of which host's requests, or on whose pages.
    pub host: Option<Arc<str>>,
    /// Template of the path.
    pub path: String,
    /// When it stood there first.
    #[serde(with = "rfc3339")]
    pub leaked: Time,
    /// Until when it works, RFC 3339; null when it never expires.
    pub live_until: Option<String>,
    /// The incident about a token that stood in the same place; null when nobody has used the leak yet.
    pub incident: Option<IncidentId>,
    /// Where that is.
    pub evidence: Evidence,
}

/// One use of a session that is explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Use {
    /// The incident that is explained.
    pub incident: IncidentId,
    /// Event time.
    #[serde(with = "rfc3339")]
    pub time: Time,
    /// Seconds since the session's use before it.
    pub gap_s: Option<f64>,
    /// `suspect`, or `holder` for the rest of the session's uses.
    pub side: &'static str,
    /// The session.
    pub session: SessionId,
    /// The token.
    pub token: TokenId,
    /// The `sub` claim.
    pub subject: Option<Arc<str>>,
    /// Where it came from.
    pub source: SourceShown,
    /// What program.
    pub client: Option<ClientShown>,
    /// What was asked for, and how it was answered.
    pub request: RequestShown,
    /// Where the token stood.
    #[serde(rename = "where")]
    pub place: &'static str,
    /// True when the gateway answered as to a valid token.
    pub accepted: bool,
    /// True when it ended the session.
    pub logout: bool,
    /// Why it may be believed.
    pub provenance: Provenance,
    /// What checking the signature said.
    pub verdict: Verdict,
    /// The findings about it.
    pub findings: Vec<FindingId>,
    /// The line.
    pub evidence: Evidence,
    /// The gateway's id of the request.
    pub request_id: Option<Arc<str>>,
}

/// What was asked for, and how it was answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestShown {
    /// Its method.
    pub method: Option<Arc<str>>,
    /// The host.
    pub host: Option<Arc<str>>,
    /// Template of the path.
    pub path: Option<String>,
    /// The status.
    pub status: u16,
    /// Bytes of the answer.
    pub bytes: u64,
}

/// What a measure would have come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Whatif {
    /// The measure: `lifetime 15m`, `bind client`, `rotate`, or `all`.
    pub measure: String,
    /// Requests by thieves that the gateway let in.
    pub requests: u64,
    /// Those of them that would have been refused.
    pub prevented: u64,
    /// Thefts: incidents about sessions.
    pub thefts: u64,
    /// Those of them of which no request would have been left.
    pub thefts_prevented: u64,
    /// People with a session of their own.
    pub users: u64,
    /// Those of them who would have been thrown out of a session.
    pub users_hurt: u64,
    /// Tokens that clients would have had to get beyond those that they got.
    pub refreshes: u64,
}

/// One source, and how well it was understood.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SourceSummary {
    /// Its name in evidence.
    pub file: Arc<str>,
    /// The format it was read in.
    pub format: String,
    /// How sure the detection was, 0 to 1.
    pub confidence: f64,
    /// Uses among the requests that succeeded on protected paths, 0 to 1.
    pub identified_ratio: f64,
    /// Share of the events that come from the most frequent address, 0 to 1.
    pub top_peer_share: f64,
    /// What its gateway did after logouts; absent when it saw none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_logout: Option<AfterLogout>,
    /// What was around its lines, from the outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrappers: Vec<&'static str>,
    /// Pieces of split lines whose other pieces were not there.
    #[serde(skip_serializing_if = "is_zero")]
    pub orphans: u64,
    /// Lines with a stamp from the future, which were given the time of the line before.
    #[serde(skip_serializing_if = "is_zero")]
    pub held_back: u64,
}

/// How long sessions were let in after their logout.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AfterLogout {
    /// Sessions that ended.
    pub logouts: u64,
    /// Those of them that were let in again.
    pub sessions: u64,
    /// How many of these were let in later than so many seconds after the logout.
    pub later_than_s: BTreeMap<i64, u64>,
    /// From a logout to the last accepted use of its session, at most.
    pub longest_s: f64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Any value as one line of JSON without a line ending, every token in it masked. Tokens are letters, digits, `-`, `_`
/// and `.`, which JSON does not escape, so the text shows them as the values do.
///
/// # Errors
/// When the value cannot be written as JSON: a map whose keys are no strings.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    Ok(mask(&text).into_owned())
}

/// Writes one record and its line ending.
///
/// # Errors
/// Those of the writer.
pub fn write(to: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    let mut line = line(record)?;
    line.push('\n');
    to.write_all(line.as_bytes())
}
