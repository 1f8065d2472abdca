//! Logs that are read as often as a question needs.
//!
//! In: [`cli::Archive`]. Out: an engine that has judged every line, and what each line added, to who asks.
//! Does not know: the question.

use super::Error;
use super::scan::merge::{self, Consumer};
use super::scan::progress::Progress;
use super::scan::streams::Stream;
use super::scan::{advice, key, open, workers};
use super::set_up::SetUp;
use super::stderr;
use crate::cli;
use crate::domain::line::{SkipReason, Source};
use crate::domain::time::Time;
use crate::engine::prepare::Prepared;
use crate::engine::{Engine, Input, Observation};
use crate::ingest::discover::{self, Found};
use std::io;

/// Logs that can be read again.
pub(super) struct Archive<'a> {
    options: &'a cli::Archive,
    /// Everything that was decided before the first line.
    pub(super) set_up: SetUp,
    found: Vec<Found>,
    streams: Vec<Stream>,
}

impl<'a> Archive<'a> {
    /// Looks what there is.
    ///
    /// # Errors
    /// When nothing can be read, or something cannot be read twice.
    pub(super) fn open(options: &'a cli::Archive) -> Result<Self, Error> {
        let set_up = SetUp::load(
            options.config.config.as_deref(),
            options.rules.rules.as_deref(),
            options.format.as_deref(),
            key,
        )?;
        let found = discover::discover(&options.paths).map_err(Error::shown)?;
        if found
            .iter()
            .any(|file| file.input == discover::Input::Stdin)
        {
            return Err(Error::new("standard input can be read only once")
                .help("this reads the logs twice: put them into a file and name it"));
        }
        let (streams, unread) = open(&found, &set_up, workers(options))?;
        unread.iter().for_each(|reason| warn(reason));
        Ok(Self {
            options,
            set_up,
            found,
            streams,
        })
    }

    /// Reads everything once more, and gives what each line added to `heed`.
    ///
    /// # Errors
    /// When nothing in it could be judged.
    pub(super) fn judge(
        &mut self,
        mut engine: Engine,
        heed: &mut dyn FnMut(&mut Observation),
    ) -> Result<Engine, Error> {
        if self.streams.is_empty() {
            self.streams = open(&self.found, &self.set_up, workers(self.options))?.0;
        }
        let streams = std::mem::take(&mut self.streams);
        let mut pass = Pass {
            engine: &mut engine,
            seen: Observation::default(),
            progress: Progress::new(self.options.progress, &self.found),
            lines: 0,
            window: (self.options.since, self.options.until),
            heed,
        };
        let workers = workers(self.options);
        merge::merge(&streams, &self.set_up.front, None, workers, &mut pass);
        pass.progress.finish();
        match advice::blind(&engine, &streams) {
            Some(error) => Err(error),
            None => Ok(engine),
        }
    }
}

struct Pass<'a> {
    engine: &'a mut Engine,
    seen: Observation,
    progress: Progress,
    lines: u64,
    window: (Option<Time>, Option<Time>),
    heed: &'a mut dyn FnMut(&mut Observation),
}

impl Consumer for Pass<'_> {
    fn foresee(&self, lines: &[Result<Prepared<'_>, SkipReason>]) {
        self.engine.foresee(lines);
    }

    fn line(&mut self, _: &Source, line: &Result<Prepared<'_>, SkipReason>) {
        self.lines += 1;
        let Ok(prepared) = line else { return };
        let (time, (since, until)) = (prepared.event.time, self.window);
        if since.is_some_and(|since| time < since) || until.is_some_and(|until| time >= until) {
            return;
        }
        self.engine.observe(Input::Line(prepared), &mut self.seen);
        (self.heed)(&mut self.seen);
        self.seen.findings.clear();
        self.seen.excepted.clear();
        self.seen.followed.clear();
    }

    fn fault(&mut self, source: &Source, error: &io::Error) {
        self.progress
            .suspend(|| warn(&format!("{}: {error}", source.0)));
    }

    fn held_back(&mut self, _: &Source, _: u64) {}

    fn progress(&mut self, bytes: u64) {
        self.progress.advance(bytes, self.lines);
    }
}

fn warn(message: &str) {
    stderr::say(&format!("warning: {message}"));
}
