//! NDJSON: one object a line, as the contract shows them.
//!
//! In: [`Record`]s. Out: lines in any [`Write`]. Here, and only here, output loses the tokens that logs smuggle in.
//! Does not know: who reads them. Source: <https://github.com/ndjson/ndjson-spec>, and the contract in README.md.

use crate::domain::finding::Finding;
use crate::domain::incident::Incident;
use crate::domain::mask::mask;
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
    /// Distinct tokens.
    pub tokens: u64,
    /// Distinct sessions.
    pub sessions: u64,
    /// Distinct subjects.
    pub subjects: u64,
    /// Findings, by rule.
    pub findings: BTreeMap<Arc<str>, u64>,
    /// Incidents.
    pub incidents: u64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes known to be lost.
    pub gaps_bytes: u64,
    /// Each source, and how well it was understood.
    pub sources: Vec<SourceSummary>,
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
