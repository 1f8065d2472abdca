//! `--report`: what a scan found, gathered for the report.
//!
//! In: findings with the lines they were found in, as they come; incidents and counts at the end. Out: the file.
//! Does not know: what the page looks like ([`crate::report`]).

use super::Error;
use super::streams::Stream;
use crate::app::pseudonyms::Pseudonyms;
use crate::domain::event::AccessEvent;
use crate::domain::finding::Finding;
use crate::domain::ids::FindingId;
use crate::domain::incident::Incident;
use crate::domain::mask::mask;
use crate::domain::token::Provenance;
use crate::engine::Engine;
use crate::engine::prepare::Prepared;
use crate::outbound::now;
use crate::report::{self, BlindSpot, Report};
use crate::sinks::ndjson::Summary;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Findings kept for a report. They are edges, not requests: a scan with more has other troubles than its report.
const FINDINGS_MAX: usize = 50_000;

/// Characters shown of a line: it fits on a few rows of a screen.
const LINE_CHARS_MAX: usize = 1000;

/// A share of uses below which a field counts as not logged.
const LOGGED_MIN: f64 = 0.01;

/// What is gathered while lines go by.
pub(super) struct Gathered {
    path: PathBuf,
    // Made before the first line is read: a place that takes no file is told of at once.
    file: NamedTempFile,
    findings: HashMap<FindingId, Finding>,
    lines: BTreeMap<String, String>,
    uses: u64,
    /// How many uses showed each of [`FIELDS`].
    shown: [u64; FIELDS.len()],
}

/// A field that a log can have.
struct Field {
    is_there: fn(&AccessEvent<'_>) -> bool,
    /// The snippets of `deploy/gateways` log it.
    in_snippets: bool,
    what: &'static str,
    why: &'static str,
}

/// For an issuer whose tokens nobody checked.
const ISSUER: &str = "\
[[issuer]]
issuer = \"https://idp.example.com/\"
jwks = \"https://idp.example.com/jwks.json\"
";

/// For a gateway that gets the fingerprint from what ends TLS before it.
const JA4: &str = "\
# nginx, in log_format: a header that the load balancer sets
'\"ja4\":\"$http_x_ja4\",'
";

/// Fields whose want makes a scan see less.
const FIELDS: [Field; 5] = [
    Field {
        is_there: |event| event.user_agent.is_some(),
        in_snippets: true,
        what: "No user agents",
        why: "Another program with the same token is one of the two strongest signs of a theft. Without user agents \
              only addresses are compared.",
    },
    Field {
        is_there: |event| event.ja4.is_some(),
        in_snippets: false,
        what: "No TLS fingerprints (JA4)",
        why: "A thief who copies the user agent looks like the same program; the fingerprint of the TLS client tells \
              them apart. Where the gateway or what is before it knows it, log it as `ja4`.",
    },
    Field {
        is_there: |event| event.language.is_some(),
        in_snippets: true,
        what: "No Accept-Language",
        why: "The language of a browser is a weak sign that sums up with others, and tells people behind one address \
              apart.",
    },
    Field {
        is_there: |event| event.request_id.is_some(),
        in_snippets: true,
        what: "No request ids",
        why: "An id of each request leads from an incident to the logs of the services behind the gateway.",
    },
    Field {
        is_there: |event| event.status != 0,
        in_snippets: true,
        what: "No statuses",
        why: "Whether a request was let in says whether a token was good and what a thief got.",
    },
];

impl Gathered {
    /// Begins a report that will be at `path`.
    ///
    /// # Errors
    /// When no file can be made there.
    pub(super) fn begin(path: &Path) -> Result<Self, Error> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        let file = file.map_err(|error| {
            Error::new(format!(
                "cannot write a report to {}: {error}",
                path.display()
            ))
            .help("name a file in a folder that is there: `--report report.html`")
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            findings: HashMap::new(),
            lines: BTreeMap::new(),
            uses: 0,
            shown: [0; FIELDS.len()],
        })
    }

    /// Counts what a line with a token shows beside it.
    pub(super) fn use_of(&mut self, prepared: &Prepared<'_>) {
        if prepared.credentials.is_empty() {
            return;
        }
        self.uses += 1;
        for (field, shown) in FIELDS.iter().zip(&mut self.shown) {
            *shown += u64::from((field.is_there)(&prepared.event));
        }
    }

    /// Keeps a finding, and the line that it was found in without its tokens.
    pub(super) fn finding(&mut self, finding: &Finding, prepared: &Prepared<'_>) {
        if self.findings.len() >= FINDINGS_MAX {
            return;
        }
        self.findings.insert(finding.id, finding.clone());
        let here = (&prepared.line.source.0, prepared.line.offset_bytes);
        let own = finding.evidence.iter();
        if own.clone().any(|one| (&one.file, one.offset_bytes) == here) {
            let line = || shortened(&mask(prepared.line.text));
            let name = format!("{}:{}", here.0, here.1);
            self.lines.entry(name).or_insert_with(line);
        }
    }

    /// Writes the report.
    ///
    /// # Errors
    /// When the file cannot be written or put in its place.
    pub(super) fn finish(
        mut self,
        found: &Found<'_>,
        pseudonyms: Option<&Pseudonyms>,
    ) -> Result<(), Error> {
        let path = std::mem::take(&mut self.path);
        let failed = |error: io::Error| {
            Error::new(format!(
                "cannot write the report {}: {error}",
                path.display()
            ))
        };
        let report = self.report(found, pseudonyms);
        let mut out = BufWriter::new(&mut self.file);
        let written = report::write(&mut out, &report).and_then(|()| out.flush());
        drop(out);
        written.map_err(failed)?;
        let kept = self.file.persist(&path);
        kept.map(drop).map_err(|error| failed(error.error))
    }

    fn report(&self, found: &Found<'_>, pseudonyms: Option<&Pseudonyms>) -> Report {
        let mut report = Report {
            about: about(found.streams),
            made: now().to_string(),
            summary: serde_json::to_value(found.summary).unwrap_or_default(),
            incidents: Vec::new(),
            findings: BTreeMap::new(),
            lines: BTreeMap::new(),
            warnings: found
                .warnings
                .iter()
                .map(|warning| match pseudonyms {
                    Some(pseudonyms) => pseudonyms.sentence(warning),
                    None => warning.clone(),
                })
                .collect(),
            blind_spots: self.blind_spots(found),
        };
        for incident in found.incidents {
            let mut shown = incident.clone();
            shown.journey = found.engine.journey(incident);
            let findings = incident.findings.iter();
            let findings: Vec<&Finding> = findings.filter_map(|id| self.findings.get(id)).collect();
            let mut value = serde_json::json!({"incident": shown, "told": findings});
            if let Some(pseudonyms) = pseudonyms {
                pseudonyms.replace_all(&mut value);
            } else {
                // Where names are replaced, lines are left out: they hold more than names.
                self.lines_of(&findings, &mut report.lines);
            }
            report.incidents.push(value["incident"].take());
            for finding in value["told"].as_array_mut().into_iter().flatten() {
                let id = finding["id"].as_str().unwrap_or_default().to_owned();
                report
                    .findings
                    .insert(id, without_repetition(finding.take()));
            }
        }
        report
    }

    fn lines_of(&self, findings: &[&Finding], to: &mut BTreeMap<String, String>) {
        for evidence in findings.iter().flat_map(|finding| &finding.evidence) {
            let name = format!("{}:{}", evidence.file, evidence.offset_bytes);
            if let Some(line) = self.lines.get(&name) {
                to.insert(name, line.clone());
            }
        }
    }

    /// What the logs could not show, with what the gateway would have to write.
    fn blind_spots(&self, found: &Found<'_>) -> Vec<BlindSpot> {
        let gateway = found.streams.iter().find_map(|stream| stream.gateway);
        let (place, snippet) = match gateway {
            Some(gateway) => (
                format!("What {} should log", gateway.name),
                gateway.snippet(),
            ),
            None => (String::new(), String::new()),
        };
        let mut spots = Vec::new();
        if found.engine.totals().uses[Provenance::Presumed as usize] > 0 {
            spots.push(BlindSpot {
                what: "No signatures were checked".to_owned(),
                why: "No keys are configured for some issuers, so their tokens were taken for \
                      genuine where the gateway answered as if they were. With keys a forged \
                      token is told from a stolen one."
                    .to_owned(),
                r#where: "For tokentrip.toml".to_owned(),
                snippet: ISSUER.to_owned(),
            });
        }
        let missing = FIELDS
            .iter()
            .zip(&self.shown)
            .filter(|(_, shown)| self.uses > 0 && (**shown as f64) < LOGGED_MIN * self.uses as f64);
        spots.extend(missing.map(|(field, _)| BlindSpot {
            what: field.what.to_owned(),
            why: field.why.to_owned(),
            r#where: place.clone(),
            snippet: if field.in_snippets {
                snippet.clone()
            } else {
                JA4.to_owned()
            },
        }));
        spots
    }
}

/// What is known at the end of a scan.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) engine: &'a Engine,
    pub(super) streams: &'a [Stream],
    pub(super) incidents: &'a [Incident],
    pub(super) summary: &'a Summary,
    pub(super) warnings: &'a [String],
}

/// What a finding shares with its incident or does not need in a page.
fn without_repetition(mut finding: Value) -> Value {
    if let Some(fields) = finding.as_object_mut() {
        for name in ["session", "subject", "issuer", "token"] {
            fields.remove(name);
        }
    }
    finding
}

fn about(streams: &[Stream]) -> String {
    match streams {
        [] => String::new(),
        [one] => one.source.0.to_string(),
        [one, others @ ..] => format!("{} and {} more", one.source.0, others.len()),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
