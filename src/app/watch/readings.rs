//! How each followed source is read: as configured, or as its first lines look.
//!
//! In: the chunks of a source, in order. Out: the lines inside them and the [`Reading`] for these.
//! Does not know: what comes of the lines.

use super::wall;
use crate::app::scan::streams::SAMPLE_LINES;
use crate::app::set_up::SetUp;
use crate::domain::clock::Clock;
use crate::domain::line::{Chunk, Source};
use crate::engine::prepare::Reading;
use crate::metrics::Metrics;
use crate::wrappers::{Memory, Peeler};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tracing::{error, info, warn};

/// The sources that are understood so far, and how the next chunk of each begins.
#[derive(Default)]
pub(super) struct Readings {
    known: HashMap<Source, (Reading, Peeler)>,
    /// What a daemon before this one remembered of sources that gave nothing yet.
    remembered: BTreeMap<Source, Memory>,
}

impl Readings {
    /// The lines inside a chunk and how they are read; `None` while nothing recognises them, which the next chunk may
    /// change.
    pub(super) fn of(&mut self, set_up: &SetUp, chunk: Chunk, metrics: &Metrics) -> Option<Inside> {
        let source = chunk.source().clone();
        if !self.known.contains_key(&source) {
            let known = self.recognise(set_up, &chunk)?;
            self.known.insert(source.clone(), known);
        }
        let (reading, peeler) = self.known.get_mut(&source)?;
        let chunk = match peeler.is_empty() {
            true => chunk,
            false => peeler.chunk(chunk),
        };
        metrics.orphans(&source.0, peeler.take_orphans());
        let now = reading.clone();
        reading.parser.follow_chunk(&chunk);
        Some(Inside {
            reading: now,
            chunk,
        })
    }

    fn recognise(&mut self, set_up: &SetUp, chunk: &Chunk) -> Option<(Reading, Peeler)> {
        let source = chunk.source();
        let wanted = set_up
            .wanted(Path::new(&*source.0))
            .inspect_err(|error| error!(source = &*source.0, %error, "cannot be read"))
            .ok()?;
        let clock = Clock::new(wanted.zone.clone(), wall());
        let peeler = match self.remembered.get(source) {
            Some(memory) => Peeler::resume(memory.clone(), &clock),
            None => Peeler::detect(wanted.wrapper, chunk, &clock),
        };
        let inside = peeler.sample(chunk, SAMPLE_LINES, &clock);
        let lines = inside.as_ref().unwrap_or(chunk);
        let (reading, confidence) = wanted
            .reading(lines, clock)
            .inspect_err(|error| warn!(source = &*source.0, %error, "format not recognised"))
            .ok()?;
        self.remembered.remove(source);
        let (format, wrappers) = (reading.parser.name(), peeler.names().collect::<Vec<_>>());
        info!(
            source = &*source.0,
            format,
            confidence,
            ?wrappers,
            "format recognised"
        );
        Some((reading, peeler))
    }

    /// What to remember of the sources in the middle of a line.
    pub(super) fn memory(&self) -> BTreeMap<Source, Memory> {
        let mut memory = self.remembered.clone();
        let wrapped = self
            .known
            .iter()
            .filter(|(_, (_, peeler))| !peeler.is_empty());
        memory.extend(wrapped.map(|(source, (_, peeler))| (source.clone(), peeler.memory())));
        memory
    }

    /// Goes on with what was remembered.
    pub(super) fn resume(remembered: BTreeMap<Source, Memory>) -> Self {
        Self {
            known: HashMap::new(),
            remembered,
        }
    }
}

/// The lines inside a chunk.
pub(super) struct Inside {
    pub(super) reading: Reading,
    pub(super) chunk: Chunk,
}
