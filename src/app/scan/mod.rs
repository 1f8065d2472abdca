//! `tokentrip scan`: looks through logs and archives once.
//!
//! In: [`Scan`]. Out: incidents for people or NDJSON, and the exit code.
//! Does not know: how lines are read ([`streams`], [`merge`]) or shown ([`output`]).

pub(super) mod advice;
mod around;
mod at_risk;
mod explain;
pub(super) mod merge;
mod output;
mod places;
pub(super) mod progress;
mod report;
mod skew;
pub(crate) mod streams;
mod tally;
mod unpacking;

use super::Error;
use super::set_up::SetUp;
use super::side_by_side::side_by_side;
use crate::cli::{self, Color, Scan};
use crate::config::Config;
use crate::domain::ids::IdKey;
use crate::domain::incident::Incident;
use crate::domain::line::{SkipReason, Source};
use crate::domain::time::Time;
use crate::engine::ahead::Ahead;
use crate::engine::follow::Follow;
use crate::engine::prepare::{Front, Prepared, PreparedChunk, skipped_for};
use crate::engine::{Engine, Input, Observation};
use crate::ingest::discover::{self, Found};
use crate::ingest::state;
use at_risk::Leaks;
use merge::Consumer;
use output::Output;
use places::Places;
use progress::Progress;
use report::{Found as Shown, Gathered};
use skew::Skew;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use streams::{Stream, Wanted};
use tally::Tally;

/// The exit code when an incident reaches the level that was asked for.
const FOUND: u8 = 1;

/// Runs a scan.
///
/// # Errors
/// When nothing could be read, or nothing in it could be judged.
pub(crate) fn run(options: &Scan, color: Color) -> Result<u8, Error> {
    if let Some(incident) = options.explain {
        return explain::run(options, incident, color);
    }
    let begun = Instant::now();
    let archive = &options.archive;
    let set_up = SetUp::load(
        archive.config.config.as_deref(),
        archive.rules.rules.as_deref(),
        archive.format.as_deref(),
        key,
    )?;
    if let Some(around) = &options.around {
        return around::run(around, options, color, &set_up);
    }
    let found = discover::discover(&archive.paths).map_err(Error::shown)?;
    let (streams, unread) = open(&found, &set_up, workers(archive))?;
    unread.iter().for_each(|reason| output::warn(reason));
    let mut engine = set_up.engine(!options.no_fast_path, false);
    if options.at_risk {
        engine.follow(Follow::Leaks);
    }
    let mut pass = Pass {
        ahead: engine.ahead().map(Arc::new),
        engine,
        observation: Observation::default(),
        output: Output::new(options, color, &set_up.front.key),
        progress: Progress::new(archive.progress, &found),
        since: archive.since,
        until: archive.until,
        counts: Counts {
            faults: unread.len() as u64,
            ..Counts::default()
        },
        leaks: Leaks::default(),
        several: streams.len() > 1,
        skew: Skew::default(),
        report: options.report.as_deref().map(Gathered::begin).transpose()?,
        places: Places::of(&streams),
    };
    pass.read(&streams, &set_up.front, workers(archive));
    let mut incidents = pass.engine.incidents();
    let places = std::mem::take(&mut pass.places);
    places.complete(&streams, &set_up, workers(archive), &mut incidents);
    let summary = output::summary(&pass, &streams, &incidents, begun.elapsed());
    let mut warnings = advice::warnings(&pass.engine, &set_up, &summary);
    warnings.extend(pass.skew.warnings());
    if let Some(report) = pass.report.take() {
        let shown = Shown {
            engine: &pass.engine,
            streams: &streams,
            incidents: &incidents,
            summary: &summary,
            warnings: &warnings,
        };
        report.finish(&shown, pass.output.pseudonyms())?;
    }
    let at_risk = options
        .at_risk
        .then(|| pass.leaks.at_risk(&pass.engine, &incidents));
    (pass.output).finish(&incidents, at_risk.as_ref(), &summary, warnings)?;
    if let Some(error) = advice::blind(&pass.engine, &streams) {
        return Err(error);
    }
    // The process ends now: to take millions of entries apart first is time for nothing.
    std::mem::forget(pass.engine);
    Ok(exit_code(&incidents, options))
}

/// Whether something is as bad as was asked for.
fn exit_code(incidents: &[Incident], options: &Scan) -> u8 {
    let worst = incidents.iter().map(|incident| incident.level).max();
    match worst.is_some_and(|level| level >= options.fail_on) {
        true => FOUND,
        false => 0,
    }
}

/// The key of ids: that of the daemon's state folder, so that both name things alike; else the public one.
pub(super) fn key(config: &Config) -> Result<IdKey, Error> {
    if config.file.is_some()
        && let Some(key) = state::existing_key(&config.state.folder).map_err(Error::shown)?
    {
        return Ok(key);
    }
    let mut probe = [0; 32];
    getrandom::fill(&mut probe)
        .map_err(|error| Error::new(format!("the system gives no random bytes: {error}")))?;
    Ok(IdKey::public(probe))
}

pub(super) fn workers(options: &cli::Archive) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    options.jobs.map_or_else(cores, usize::from)
}

/// Looks at the beginning of every file, on so many threads. Those that cannot be read are named; that none can is an
/// error.
pub(super) fn open(
    found: &[Found],
    set_up: &SetUp,
    workers: usize,
) -> Result<(Vec<Stream>, Vec<String>), Error> {
    let mut streams = Vec::new();
    let mut reasons = Vec::new();
    side_by_side(
        workers,
        |(file, wanted): (&Found, Wanted)| {
            let stream = Stream::sniff(file, &wanted, &set_up.front);
            stream.map_err(|reason| format!("{}: {reason}", file.source.0))
        },
        |sniffed| match sniffed {
            Ok(stream) => streams.push(stream),
            Err(reason) => reasons.push(reason),
        },
        |put| {
            for file in found {
                put((file, set_up.wanted(Path::new(&*file.source.0))?));
            }
            Ok(())
        },
    )?;
    if streams.is_empty() {
        return Err(Error::new(format!(
            "nothing could be read:\n  {}",
            reasons.join("\n  ")
        ))
        .help("`tokentrip parse --format FORMAT FILE` tries a format on a log"));
    }
    Ok((streams, reasons))
}

/// What the pass over the lines counts beside the engine.
#[derive(Debug, Default)]
struct Counts {
    lines: u64,
    skipped: BTreeMap<SkipReason, u64>,
    rules: Tally,
    faults: u64,
    /// Lines with a stamp from the future.
    held_back: BTreeMap<Source, u64>,
}

/// One pass over all lines.
struct Pass {
    engine: Engine,
    ahead: Option<Arc<Ahead>>,
    observation: Observation,
    output: Output,
    progress: Progress,
    since: Option<Time>,
    until: Option<Time>,
    counts: Counts,
    leaks: Leaks,
    /// There is more than one source, so clocks can disagree.
    several: bool,
    skew: Skew,
    report: Option<Gathered>,
    places: Places,
}

impl Pass {
    fn read(&mut self, streams: &[Stream], front: &Front, workers: usize) {
        let ahead = self.ahead.clone();
        merge::merge(streams, front, ahead.as_deref(), workers, self);
        self.progress.finish();
    }

    /// Hands on what a line gave.
    #[cold]
    fn tell(&mut self, prepared: &Prepared<'_>) {
        for finding in self.observation.findings.drain(..) {
            if let Some(report) = &mut self.report {
                report.finding(&finding, prepared);
            }
            self.counts.rules.finding(&finding);
            self.output.finding(&finding);
        }
        for excepted in self.observation.excepted.drain(..) {
            self.counts.rules.excepted(excepted);
        }
        for leak in self.observation.followed.drain(..) {
            self.leaks.see(leak);
        }
    }
}

impl Consumer for Pass {
    fn foresee(&self, lines: &[Result<Prepared<'_>, SkipReason>]) {
        self.engine.foresee(lines);
    }

    fn line(&mut self, source: &Source, line: &Result<Prepared<'_>, SkipReason>) {
        self.counts.lines += 1;
        if let Some(reason) = skipped_for(line) {
            *self.counts.skipped.entry(reason).or_default() += 1;
        }
        let Ok(prepared) = line else { return };
        if self.several {
            self.skew.observe(source, &prepared.event);
        }
        let time = prepared.event.time;
        if self.since.is_some_and(|since| time < since)
            || self.until.is_some_and(|until| time >= until)
        {
            return;
        }
        self.engine
            .observe(Input::Line(prepared), &mut self.observation);
        if let Some(report) = &mut self.report {
            report.use_of(prepared);
        }
        let seen = &self.observation;
        if !(seen.findings.is_empty() && seen.excepted.is_empty() && seen.followed.is_empty()) {
            self.tell(prepared);
        }
    }

    fn fault(&mut self, source: &Source, error: &io::Error) {
        self.counts.faults += 1;
        self.progress
            .suspend(|| output::warn(&format!("{}: {error}", source.0)));
    }

    fn held_back(&mut self, source: &Source, lines: u64) {
        *self.counts.held_back.entry(source.clone()).or_default() += lines;
    }

    fn chunk(&mut self, source: &Source, chunk: &PreparedChunk, before: Time) {
        self.places.add(source, chunk, before);
    }

    fn progress(&mut self, bytes: u64) {
        self.progress.advance(bytes, self.counts.lines);
    }
}
