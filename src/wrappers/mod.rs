//! CORE: what others wrap around a line on its way to us, taken off before any format reads it.
//!
//! In: [`Chunk`]s of a source in order. Out: chunks of the lines inside, each at the place of its first byte (file,
//! line, offset of the wrapped line it begins in) and with the time that the wrapper knows.
//! Does not know: formats. A line that its wrapper does not explain goes on as it is; nothing is dropped but what
//! holds no line.
//!
//! Wrappers can be in one another (syslog in Docker's file, Docker's lines in CloudWatch), so there are layers.
//! To add a wrapper: one file with a `WRAPPER`, its folder in `tests/fixtures/wrappers/`, and its two lines here.

mod azure;
mod cloudwatch;
mod console;
mod cri;
mod docker;
#[cfg(test)]
mod fixtures;
mod gcp;
mod joining;
mod journald_export;
mod journald_json;
mod otlp;
mod search_result;
mod shipper;
mod stamp;
mod syslog;

use crate::domain::clock::Clock;
use crate::domain::line::{Chunk, RawLine};
use crate::domain::time::Time;
use joining::{Joining, Place};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Every wrapper, in the order detection prefers them when they fit equally.
pub const ALL: &[&Wrapper] = &[
    &docker::WRAPPER,
    &cri::WRAPPER,
    &journald_json::WRAPPER,
    &journald_export::WRAPPER,
    &syslog::WRAPPER,
    &cloudwatch::WRAPPER,
    &gcp::WRAPPER,
    &azure::WRAPPER,
    &otlp::WRAPPER,
    &search_result::WRAPPER,
    &shipper::WRAPPER,
    &console::WRAPPER,
];

/// A node's agent, a collector and a cloud: more of them around one line is a loop.
const LAYERS_MAX: usize = 3;

/// Lines looked at to find out whether they are wrapped: as many as for a format.
const LINES_MAX: usize = 200;

/// One kind of wrapper.
pub struct Wrapper {
    /// Its name in configuration and reports.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    peel: Peel,
}

/// Takes the wrapper off one line; false when the line does not have it. What the line holds is pushed.
type Peel = for<'a> fn(&'a str, &mut Around<'_>, &mut Vec<Entry<'a>>) -> bool;

/// What a wrapper may need to know beside the line.
struct Around<'c> {
    clock: &'c Clock,
    block: &'c mut journald_export::Block,
    place: Place,
}

/// One line, or a piece of one, out of its wrapper.
struct Entry<'a> {
    text: Cow<'a, str>,
    written: Option<Time>,
    part: Part<'a>,
    /// Where it stands, when that is not where it was found.
    place: Option<Place>,
}

/// Whether an entry is a line or a piece of one.
enum Part<'a> {
    Whole,
    /// More of the line follows in the stream of that name.
    More(Cow<'a, str>),
    /// The end of the line in the stream of that name, or all of it.
    Last(Cow<'a, str>),
}

impl<'a> Entry<'a> {
    fn whole(text: impl Into<Cow<'a, str>>, written: Option<Time>) -> Self {
        Self {
            text: text.into(),
            written,
            part: Part::Whole,
            place: None,
        }
    }
}

/// What the configuration says about the wrappers of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever the first lines show.
    #[default]
    Auto,
    /// None: the lines are the gateway's own.
    Nothing,
    /// This one outside; what is inside it is found out.
    Named(&'static str),
}

impl Wanted {
    /// What `wrapper =` says: `auto`, `none`, or a name of [`ALL`].
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "none" => Some(Self::Nothing),
            name => Some(Self::Named(named(name)?.name)),
        }
    }
}

fn named(name: &str) -> Option<&'static Wrapper> {
    ALL.iter().copied().find(|wrapper| wrapper.name == name)
}

/// Takes all wrappers off the lines of one source, which it must be given in order.
#[derive(Debug)]
pub struct Peeler {
    layers: Vec<Layer>,
    orphans: u64,
}

/// One wrapper at work.
struct Layer {
    wrapper: &'static Wrapper,
    clock: Clock,
    kept: Kept,
}

/// What a layer remembers between lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    block: journald_export::Block,
    joining: Joining,
    around: Time,
}

/// What a peeler remembers between chunks, to go on there in another process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory(Vec<(String, Kept)>);

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.wrapper.name)
    }
}

impl Peeler {
    /// Finds out by the first lines of a source what is around them.
    pub fn detect(wanted: Wanted, sample: &Chunk, clock: &Clock) -> Self {
        let mut layers: Vec<Layer> = Vec::new();
        let mut inside: Option<Chunk> = None;
        while wanted != Wanted::Nothing && layers.len() < LAYERS_MAX {
            let lines = inside.as_ref().unwrap_or(sample);
            let wrapper = match (wanted, layers.is_empty()) {
                (Wanted::Named(name), true) => named(name),
                _ => around(lines, clock),
            };
            let Some(wrapper) = wrapper else { break };
            let mut trial = Layer::new(wrapper, clock.clone());
            inside = Some(trial.peel(lines, LINES_MAX, &mut 0));
            layers.push(Layer::new(wrapper, clock.clone()));
        }
        Self { layers, orphans: 0 }
    }

    /// Goes on where another process stopped.
    pub fn resume(memory: Memory, clock: &Clock) -> Self {
        let layer = |(name, kept): (String, Kept)| {
            let mut clock = clock.clone();
            clock.advance(kept.around);
            named(&name).map(|wrapper| Layer {
                wrapper,
                clock,
                kept,
            })
        };
        let layers = memory.0.into_iter().filter_map(layer).collect();
        Self { layers, orphans: 0 }
    }

    /// What to remember. Pieces of lines may hold tokens, so this is for the state folder only.
    pub fn memory(&self) -> Memory {
        let kept = |layer: &Layer| {
            let mut kept = layer.kept.clone();
            kept.around = layer.clock.around();
            (layer.wrapper.name.to_owned(), kept)
        };
        Memory(self.layers.iter().map(kept).collect())
    }

    /// The lines inside the first `lines_max` of a source, with nothing else changed; `None` when there is no wrapper.
    pub fn sample(&self, chunk: &Chunk, lines_max: usize, clock: &Clock) -> Option<Chunk> {
        let mut trial = Self::resume(self.memory(), clock);
        let (first, rest) = trial.layers.split_first_mut()?;
        let mut inside = first.peel(chunk, lines_max, &mut 0);
        for layer in rest {
            inside = layer.peel(&inside, lines_max, &mut 0);
        }
        Some(inside)
    }

    /// The names of the wrappers, from the outside; empty when there is none.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.layers.iter().map(|layer| layer.wrapper.name)
    }

    /// True when there is no wrapper.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The lines inside the lines of a chunk.
    pub fn chunk(&mut self, chunk: Chunk) -> Chunk {
        let mut inside = chunk;
        for layer in &mut self.layers {
            inside = layer.peel(&inside, usize::MAX, &mut self.orphans);
        }
        inside
    }

    /// What is left when the source has ended: lines whose last piece never came.
    pub fn finish(&mut self, source: &crate::domain::line::Source) -> Option<Chunk> {
        let mut left: Option<Chunk> = None;
        for layer in &mut self.layers {
            let mut out = match left.take() {
                Some(chunk) => layer.peel(&chunk, usize::MAX, &mut self.orphans),
                None => Chunk::new(source.clone()),
            };
            layer.finish(&mut out, &mut self.orphans);
            left = Some(out);
        }
        left.filter(|chunk| !chunk.is_empty())
    }

    /// Pieces of lines since the last call whose other pieces never came; what was there went on, marked as cut.
    pub fn take_orphans(&mut self) -> u64 {
        std::mem::take(&mut self.orphans)
    }
}

/// The wrapper that is around most of the lines.
fn around(lines: &Chunk, clock: &Clock) -> Option<&'static Wrapper> {
    let sample = || {
        let filled = lines.lines().filter(|line| !line.text.trim().is_empty());
        filled.take(LINES_MAX)
    };
    let total = sample().count();
    let fits = |wrapper: &&'static Wrapper| {
        let mut layer = Layer::new(wrapper, clock.clone());
        sample().filter(|line| layer.knows(line)).count()
    };
    let fitting = ALL.iter().copied().map(|wrapper| (fits(&wrapper), wrapper));
    // Of equals the first wins, and `max_by_key` takes the last. Half of the lines must have it, so that one line of
    // another kind does not decide.
    let (count, wrapper) = fitting.rev().max_by_key(|(count, _)| *count)?;
    (count * 2 > total).then_some(wrapper)
}

impl Layer {
    fn new(wrapper: &'static Wrapper, clock: Clock) -> Self {
        Self {
            wrapper,
            clock,
            kept: Kept::default(),
        }
    }

    fn knows(&mut self, line: &RawLine<'_>) -> bool {
        self.entries(line, &mut Vec::new())
    }

    fn entries<'a>(&mut self, line: &RawLine<'a>, entries: &mut Vec<Entry<'a>>) -> bool {
        let mut around = Around {
            clock: &self.clock,
            block: &mut self.kept.block,
            place: Place::of(line),
        };
        // The beginning of a line that was too long has lost the end of its wrapper.
        !line.truncated && (self.wrapper.peel)(line.text, &mut around, entries)
    }

    fn peel(&mut self, chunk: &Chunk, lines_max: usize, orphans: &mut u64) -> Chunk {
        let mut out = Chunk::new(chunk.source().clone());
        let mut entries = Vec::new();
        for line in chunk.lines().take(lines_max) {
            if !self.entries(&line, &mut entries) {
                out.push_line(line);
                continue;
            }
            for entry in entries.drain(..) {
                self.take(&line, entry, &mut out, orphans);
            }
        }
        out
    }

    fn take(&mut self, line: &RawLine<'_>, entry: Entry<'_>, out: &mut Chunk, orphans: &mut u64) {
        if let Some(written) = entry.written {
            self.clock.advance(written);
        }
        // An outer wrapper's time is later than the inner one's, and better than none.
        let written = entry.written.or(line.written);
        let place = entry.place.unwrap_or(Place::of(line));
        let text = entry.text.trim_end_matches(['\n', '\r']);
        match entry.part {
            Part::Whole => out.push_line(place.line(line.source, text, written, false)),
            Part::More(stream) => {
                self.kept
                    .joining
                    .add(&stream, text, place, written, out, orphans);
            }
            Part::Last(stream) => {
                self.kept
                    .joining
                    .complete(&stream, text, place, written, out, orphans);
            }
        }
    }

    fn finish(&mut self, out: &mut Chunk, orphans: &mut u64) {
        if let Some((text, written, place)) = self.kept.block.finish() {
            let source = out.source().clone();
            out.push_line(place.line(&source, &text, written, false));
        }
        self.kept.joining.finish(out, orphans);
    }
}
