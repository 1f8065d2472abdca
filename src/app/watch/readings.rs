//! How each followed source is read: as configured, or as its first lines look.
//!
//! In: the chunks of a source, in order. Out: the lines inside them and the [`Reading`] for these.
//! Does not know: what comes of the lines.

use super::wall;
use crate::app::scan::streams::SAMPLE_LINES;
use crate::app::set_up::SetUp;
use crate::domain::clock::Clock;
use crate::domain::line::{Chunk, Source};
use crate::domain::time::Time;
use crate::engine::prepare::Reading;
use crate::ingest::open;
use crate::metrics::Metrics;
use crate::wrappers::{Memory, Peeler};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::Path;
use tracing::{error, info, warn};

/// The sources that are understood so far, and how the next chunk of each begins.
#[derive(Default)]
pub(super) struct Readings {
    known: HashMap<Source, (Reading, Peeler)>,
    /// What a daemon before this one remembered of sources that gave nothing yet, and what is to be remembered.
    remembered: Remembered,
    /// Those of which it was said that nothing recognises them: what else is written into them would say it again.
    strange: HashSet<Source>,
}

/// What must be known of the sources to go on in the middle of them.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Pieces of lines whose ends had not come.
    pieces: BTreeMap<Source, Memory>,
    /// The line that says what stands in those after it (`#Fields:` of W3C logs).
    described: BTreeMap<Source, String>,
    /// The event time that each source has come to: a late line does not turn it back.
    clocks: BTreeMap<Source, Time>,
}

/// How much of a file's beginning is looked at for the line that describes the others.
const HEAD_BYTES: u64 = 16 << 10;

/// What such a line begins with.
const DESCRIBES: &str = "#Fields:";

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
        if reading.parser.hears() {
            reading.parser.follow_chunk(&chunk);
            let described = description(chunk.lines().map(|line| line.text));
            let described = described.map(|line| (source, line));
            self.remembered.described.extend(described);
        }
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
        let peeler = match self.remembered.pieces.get(source) {
            Some(memory) => Peeler::resume(memory.clone(), &clock),
            None => Peeler::detect(wanted.wrapper, chunk, &clock),
        };
        let inside = peeler.sample(chunk, SAMPLE_LINES, &clock);
        let lines = inside.as_ref().unwrap_or(chunk);
        let described = self.described(lines);
        let headed = described.as_deref().map(|line| headed(line, lines));
        let (mut reading, confidence) = wanted
            .reading(headed.as_ref().unwrap_or(lines), clock)
            .inspect_err(|error| {
                if self.strange.insert(source.clone()) {
                    warn!(source = &*source.0, %error, "format not recognised; lines are skipped and counted until one is");
                }
            })
            .ok()?;
        self.strange.remove(source);
        self.remembered.pieces.remove(source);
        described
            .iter()
            .for_each(|line| reading.parser.follow(line));
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

    /// The line that describes these, which stands before them: as remembered, or at the file's beginning.
    fn described(&self, lines: &Chunk) -> Option<String> {
        let source = lines.source();
        let remembered = self.remembered.described.get(source).cloned();
        let begins = lines
            .lines()
            .next()
            .is_none_or(|line| line.offset_bytes == 0);
        remembered.or_else(|| {
            let (file, _) = open::regular(Path::new(&*source.0))
                .ok()
                .filter(|_| !begins)?;
            let mut head = Vec::new();
            file.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
            description(String::from_utf8_lossy(&head).lines())
        })
    }

    /// Forgets how these sources are read; pieces of their lines stay.
    pub(super) fn forget(&mut self, changed: impl Fn(&Source) -> bool) {
        self.remembered = self.memory();
        self.known.retain(|source, _| !changed(source));
        self.strange.retain(|source| !changed(source));
    }

    /// The event time that a source has come to.
    pub(super) fn clock(&self, source: &Source) -> Time {
        let clock = self.remembered.clocks.get(source);
        clock.copied().unwrap_or_default()
    }

    /// A source has come to this time.
    pub(super) fn advance(&mut self, source: &Source, time: Time) {
        let clock = self.remembered.clocks.entry(source.clone()).or_default();
        *clock = (*clock).max(time);
    }

    /// What to remember of the sources.
    pub(super) fn memory(&self) -> Remembered {
        let mut memory = self.remembered.clone();
        let wrapped = self
            .known
            .iter()
            .filter(|(_, (_, peeler))| !peeler.is_empty());
        let pieces = wrapped.map(|(source, (_, peeler))| (source.clone(), peeler.memory()));
        memory.pieces.extend(pieces);
        memory
    }

    /// Goes on with what was remembered.
    pub(super) fn resume(remembered: Remembered) -> Self {
        Self {
            remembered,
            ..Self::default()
        }
    }
}

/// The last of these lines that describes those after it.
fn description<'t>(lines: impl Iterator<Item = &'t str>) -> Option<String> {
    let describing = lines.filter(|line| line.starts_with(DESCRIBES));
    describing.last().map(str::to_owned)
}

/// The first lines of a chunk behind the line that describes them.
fn headed(described: &str, lines: &Chunk) -> Chunk {
    let first = lines.lines().take(SAMPLE_LINES).map(|line| line.text);
    let text: Vec<&str> = [described].into_iter().chain(first).collect();
    Chunk::split(lines.source().clone(), text.join("\n").into_bytes(), 0, 1)
}

/// The lines inside a chunk.
pub(super) struct Inside {
    pub(super) reading: Reading,
    pub(super) chunk: Chunk,
}
