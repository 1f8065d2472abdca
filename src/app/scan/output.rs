//! What a scan writes: incidents for people, or NDJSON for programs.
//!
//! In: findings as they come, incidents and counts at the end. Out: stdout; warnings on stderr.
//! Does not know: how lines were read.

use super::at_risk::AtRisk;
use super::streams::Stream;
use super::{Error, Pass};
use crate::app::pretty::{self, Palette, Results};
use crate::app::pseudonyms::Pseudonyms;
use crate::app::stderr;
use crate::cli::{self, Color, Scan};
use crate::domain::finding::Finding;
use crate::domain::ids::IdKey;
use crate::domain::incident::Incident;
use crate::engine::{AFTER_LOGOUT_S, AfterLogout};
use crate::sinks::ndjson::{self, Record, SourceSummary, Summary};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::time::Duration;

/// Under which name files that could not be read, or not to their end, stand among the reasons.
const UNREADABLE: &str = "unreadable_file";

/// Where a scan's results go.
pub(super) struct Output {
    form: cli::Output,
    summary_only: bool,
    color: bool,
    pseudonyms: Option<Pseudonyms>,
    out: BufWriter<Stdout>,
    /// The first write that failed: it is told at the end, once.
    failed: Option<io::Error>,
}

impl Output {
    pub(super) fn new(options: &Scan, color: Color, key: &IdKey) -> Self {
        let terminal = io::stdout().is_terminal();
        let no_color = std::env::var("NO_COLOR").ok();
        Self {
            form: form(options),
            summary_only: options.summary,
            color: color.wanted(terminal, no_color.as_deref()),
            pseudonyms: options.pseudonymise.then(|| Pseudonyms::new(key.clone())),
            out: BufWriter::new(io::stdout()),
            failed: None,
        }
    }

    /// What replaces names, where that was asked for.
    pub(super) fn pseudonyms(&self) -> Option<&Pseudonyms> {
        self.pseudonyms.as_ref()
    }

    /// Writes a finding; people see them inside their incidents.
    pub(super) fn finding(&mut self, finding: &Finding) {
        if self.form == cli::Output::Ndjson && !self.summary_only {
            self.write(Record::Finding(finding));
        }
    }

    /// Writes what is known at the end.
    pub(super) fn finish(
        &mut self,
        incidents: &[Incident],
        at_risk: Option<&AtRisk>,
        summary: &Summary,
        mut warnings: Vec<String>,
    ) -> Result<(), Error> {
        if let Some(pseudonyms) = &self.pseudonyms {
            (warnings.iter_mut()).for_each(|warning| *warning = pseudonyms.sentence(warning));
        }
        match self.form {
            cli::Output::Ndjson => self.finish_ndjson(incidents, at_risk, summary, &warnings),
            cli::Output::Pretty => self.finish_pretty(incidents, at_risk, summary, &warnings),
        }
        match self.failed.take() {
            // Who reads through `head` has seen enough.
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Some(error) => Err(Error::new(format!("cannot write the results: {error}"))),
            None => Ok(()),
        }
    }

    fn finish_ndjson(
        &mut self,
        incidents: &[Incident],
        at_risk: Option<&AtRisk>,
        summary: &Summary,
        warnings: &[String],
    ) {
        if !self.summary_only {
            incidents
                .iter()
                .for_each(|incident| self.write(Record::Incident(incident)));
        }
        for token in at_risk.iter().flat_map(|at_risk| &at_risk.tokens) {
            self.write(Record::AtRisk(token));
        }
        self.write(Record::Summary(summary));
        warnings.iter().for_each(|warning| warn(warning));
        if let Err(error) = self.out.flush() {
            self.failed.get_or_insert(error);
        }
    }

    fn finish_pretty(
        &mut self,
        incidents: &[Incident],
        at_risk: Option<&AtRisk>,
        summary: &Summary,
        warnings: &[String],
    ) {
        let palette = Palette::new(self.color);
        let shown: Vec<Incident> = match &self.pseudonyms {
            Some(pseudonyms) => incidents.iter().map(|i| pseudonyms.incident(i)).collect(),
            None => incidents.to_vec(),
        };
        let mut out = io::stdout().lock();
        let shown = if self.summary_only { &[][..] } else { &shown };
        let rows = at_risk.map(|at_risk| match &self.pseudonyms {
            Some(pseudonyms) => at_risk.renamed(pseudonyms).rows(),
            None => at_risk.rows(),
        });
        let rows = rows.unwrap_or_default();
        let results = Results {
            incidents: shown,
            rows: &rows,
            summary,
            by_rule: self.summary_only,
            warnings,
        };
        if let Err(error) = pretty::write(&mut out, &results, &palette) {
            self.failed.get_or_insert(error);
        }
    }

    fn write(&mut self, record: Record<'_>) {
        if self.failed.is_some() {
            return;
        }
        let written = match &self.pseudonyms {
            Some(pseudonyms) => {
                let value = pseudonyms.record(&record);
                ndjson::line(&value)
                    .map_err(io::Error::from)
                    .and_then(|l| writeln!(self.out, "{l}"))
            }
            None => ndjson::write(&mut self.out, &record),
        };
        self.failed = written.err();
    }
}

/// What to write, as asked or as fits who reads it.
pub(super) fn form(options: &Scan) -> cli::Output {
    options.output.unwrap_or(match io::stdout().is_terminal() {
        true => cli::Output::Pretty,
        false => cli::Output::Ndjson,
    })
}

/// Says something that does not stop the scan.
pub(super) fn warn(message: &str) {
    stderr::say(&format!("warning: {message}"));
}

/// The counts of a whole scan.
pub(super) fn summary(
    pass: &Pass,
    streams: &[Stream],
    incidents: &[Incident],
    elapsed: Duration,
) -> Summary {
    let totals = pass.engine.totals();
    let sources = streams.iter().map(|stream| {
        let health = pass
            .engine
            .sources()
            .iter()
            .find(|known| known.source == stream.source);
        let share = health
            .and_then(|health| health.top_peer())
            .map_or(0.0, |(_, share)| share);
        SourceSummary {
            file: stream.source.0.clone(),
            format: stream.reading.parser.name().to_owned(),
            confidence: rounded(stream.confidence),
            identified_ratio: rounded(health.map_or(0.0, |health| health.identified_ratio())),
            top_peer_share: rounded(share),
            after_logout: health.and_then(|health| after_logout(&health.after_logout)),
            wrappers: stream.wrappers.clone(),
            orphans: stream.orphans(),
            held_back: pass
                .counts
                .held_back
                .get(&stream.source)
                .copied()
                .unwrap_or_default(),
        }
    });
    let mut skipped: BTreeMap<&'static str, u64> = pass
        .counts
        .skipped
        .iter()
        .map(|(reason, count)| (reason.name(), *count))
        .collect();
    if pass.counts.faults > 0 {
        skipped.insert(UNREADABLE, pass.counts.faults);
    }
    Summary {
        lines: pass.counts.lines,
        events: totals.events,
        uses: totals.all_uses(),
        skipped,
        deferred: totals.deferred,
        tokens: totals.tokens,
        sessions: totals.sessions,
        subjects: totals.subjects,
        findings: pass.counts.rules.findings(),
        rules: pass.counts.rules.rules(incidents),
        excepted: pass.counts.rules.exceptions(),
        incidents: incidents.len() as u64,
        seconds: rounded(elapsed.as_secs_f64()),
        gaps_bytes: streams.iter().map(Stream::gap_bytes).sum(),
        sources: sources.collect(),
    }
}

fn after_logout(counts: &AfterLogout) -> Option<ndjson::AfterLogout> {
    let later = |at: usize| counts.sessions[at + 1..].iter().sum();
    let bounds = AFTER_LOGOUT_S.iter().enumerate();
    let shown = ndjson::AfterLogout {
        logouts: counts.logouts,
        sessions: counts.used_after(),
        later_than_s: bounds.map(|(at, bound_s)| (*bound_s, later(at))).collect(),
        longest_s: counts.longest_ms as f64 / 1000.0,
    };
    (shown.logouts + shown.sessions > 0).then_some(shown)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
