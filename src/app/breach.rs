//! Reading logs again for incidents: the shell's half of step 3.
//!
//! In: incidents, where their suspects' lines may stand ([`Again`], [`Stretch`]es). Out: an [`Examiner`] that has seen
//! those lines; why some could not be had.
//! Does not know: what is made of the lines.

use super::set_up::SetUp;
use super::side_by_side::side_by_side;
use super::stamps::hold_back;
use crate::domain::clock::Clock;
use crate::domain::context::Prefix;
use crate::domain::line::{Chunk, RawLine, Source};
use crate::domain::time::Time;
use crate::engine::examine::Examiner;
use crate::engine::prepare::{Front, PreparedChunk, Reading};
use crate::incidents::BreachQuery;
use crate::ingest::again::{Again, MARGIN_BYTES};
use crate::ingest::generation::Position;
use crate::ingest::stretch::Stretch;
use crate::wrappers::{Memory, Peeler};
use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;

/// What is read again, of one log.
pub(super) struct Wanted<'a> {
    /// Its name in evidence.
    pub(super) source: &'a Source,
    /// In order.
    pub(super) stretches: &'a [Stretch],
    /// What vouches for the ends of stretches, where anything does.
    pub(super) ends: &'a [Position],
    /// What stands in what is looked for.
    pub(super) needles: &'a Needles,
    /// This machine's clock, for a log that is being written; see [`hold_back`].
    pub(super) now: Option<Time>,
    /// Threads that parse.
    pub(super) workers: usize,
}

/// Stretches that follow each other are read at once up to this length, which a core's second cache holds.
const NEAR_BYTES: u64 = 128 << 10;

/// Which stretches are read at once: those with nothing between them, or less than their margins.
fn near(stretches: &[Stretch], wrapped: bool) -> Vec<Range<usize>> {
    let (gap_bytes, bytes_max) = match wrapped {
        true => (2 * MARGIN_BYTES, 2 * MARGIN_BYTES),
        false => (0, NEAR_BYTES),
    };
    let mut near: Vec<Range<usize>> = Vec::new();
    for (at, stretch) in stretches.iter().enumerate() {
        let open = near.last_mut().filter(|open| {
            let (first, last) = (&stretches[open.start], &stretches[open.end - 1]);
            stretch.start_bytes.saturating_sub(last.end_bytes) <= gap_bytes
                && stretch.end_bytes.saturating_sub(first.start_bytes) <= bytes_max
        });
        match open {
            Some(open) => open.end = at + 1,
            None => near.push(at..at + 1),
        }
    }
    near
}

/// True when what is asked for may stand in a stretch.
pub(super) fn may_hold(asked: &[BreachQuery], stretch: &Stretch) -> bool {
    asked
        .iter()
        .any(|query| stretch.may_hold(query.prefixes(), query.from(), query.until()))
}

/// How a look through a log ended.
#[derive(Debug)]
pub(super) enum Looked {
    /// Everything was there.
    Whole,
    /// Some of it was not what stood there before.
    Partly,
    /// Nothing was: it is another file.
    NotAtAll,
}

/// Spellings that the processor searches for all at once.
/// Source: the crate `aho-corasick`, "packed".
const NEEDLES_MAX: usize = 64;

/// What stands in the text of a line that comes from one of the networks that are asked for: most others need not be
/// parsed. An address that is written as nobody writes one is missed, and its line said to be missing.
pub(super) struct Needles(Option<AhoCorasick>);

impl Needles {
    pub(super) fn new(asked: &[BreachQuery]) -> Self {
        let prefixes = asked.iter().flat_map(BreachQuery::prefixes);
        let prefixes: BTreeSet<Prefix> = prefixes.copied().collect();
        // Both cases rather than either: that is searched for sixteen bytes at a time.
        let spellings: BTreeSet<String> = prefixes
            .into_iter()
            .flat_map(spellings)
            .flat_map(|spelling| [spelling.to_ascii_uppercase(), spelling])
            .collect();
        // More than are searched for at memory speed take as long as to parse the line: then every line is looked at.
        let few = spellings.len() <= NEEDLES_MAX;
        // Leftmost, since only then they are searched for many bytes at a time.
        let searcher = few.then(|| {
            let kind = MatchKind::LeftmostFirst;
            AhoCorasick::builder().match_kind(kind).build(spellings)
        });
        Self(searcher.and_then(Result::ok))
    }

    fn may_stand_in(&self, text: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|searcher| searcher.is_match(text))
    }
}

/// How the addresses of a network begin, or what stands in them.
/// Source: RFC 5952, section 4 (zeros may be left out, or not).
fn spellings(prefix: Prefix) -> Vec<String> {
    match prefix.first() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            // The second is an IPv4 address in IPv6, in hexadecimal.
            vec![
                format!("{a}.{b}.{c}."),
                format!("{:x}:{c:x}", u16::from_be_bytes([a, b])),
            ]
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            let mut spellings = vec![format!("{a:x}:{b:x}:"), format!("{a:04x}:{b:04x}:")];
            spellings.extend((b == 0).then(|| format!("{a:x}::")));
            spellings
        }
    }
}

/// How the lines of a log are read.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) reading: Reading,
    /// What is around them.
    pub(super) wrapping: Memory,
    pub(super) clock: Clock,
    /// What stands in a line may be said by one far before it.
    pub(super) hears: bool,
}

impl Manner {
    /// Finds it out by how a log begins that is still written at the time `now`.
    ///
    /// # Errors
    /// When it cannot be read, or nothing recognises it.
    pub(super) fn of(
        log: &mut Again,
        source: &Source,
        set_up: &SetUp,
        now: Time,
    ) -> io::Result<Self> {
        let head = log.head()?;
        let how = set_up.wanted(Path::new(&*source.0));
        let how = how.map_err(|error| io::Error::other(error.to_string()))?;
        let clock = Clock::new(how.zone.clone(), now);
        let peeler = Peeler::detect(how.wrapper, &head, &clock);
        let inside = peeler.sample(&head, super::scan::streams::SAMPLE_LINES, &clock);
        let lines = inside.as_ref().unwrap_or(&head);
        let (reading, _) = how
            .reading(lines, clock.clone())
            .map_err(|fault| io::Error::other(fault.to_string()))?;
        Ok(Self::new(reading, &peeler, clock, lines))
    }

    /// What was found out about a log that begins with these `lines`.
    pub(super) fn new(reading: Reading, peeler: &Peeler, clock: Clock, lines: &Chunk) -> Self {
        // A log that has directives begins with one.
        let hears = reading.parser.hears() && lines.lines().any(|line| is_directive(line.text));
        Self {
            reading,
            wrapping: peeler.memory(),
            clock,
            hears,
        }
    }

    fn peeler(&self) -> Peeler {
        Peeler::resume(self.wrapping.clone(), &self.clock)
    }
}

/// Shows the examiner the wanted lines of a log.
///
/// # Errors
/// When it cannot be read; what was read before counts.
pub(super) fn look_through(
    examiner: &mut Examiner,
    front: &Front,
    log: Again,
    manner: Manner,
    wanted: &Wanted<'_>,
) -> io::Result<Looked> {
    let hears = manner.hears;
    side_by_side(
        wanted.workers,
        |shown: Shown| shown.prepared(front, wanted, hears),
        |lines| {
            let lines = lines.borrow_dependent().iter().flatten();
            lines.for_each(|line| examiner.count(line));
        },
        |show| {
            let mut look = Look {
                wanted,
                manner,
                show,
            };
            match hears {
                true => look.all_of_it(log),
                false => look.at_stretches(log),
            }
        },
    )
}

/// What goes through a log, and shows what stands there.
struct Look<'a> {
    wanted: &'a Wanted<'a>,
    manner: Manner,
    show: &'a mut dyn FnMut(Shown),
}

impl Look<'_> {
    fn at_stretches(&mut self, mut log: Again) -> io::Result<Looked> {
        let mut looked = Looked::NotAtAll;
        let wrapped = !self.manner.peeler().is_empty();
        let stretches = self.wanted.stretches;
        let near = match self.wanted.ends.is_empty() {
            true => near(stretches, wrapped),
            // What is vouched for one by one is read one by one.
            false => (0..stretches.len()).map(|at| at..at + 1).collect(),
        };
        for near in near {
            let (at, stretches) = (near.start, &stretches[near.clone()]);
            // Once something was shown, no other file may show it again.
            let chunk = match (log.lines(stretches, wrapped), at) {
                (Ok(chunk), _) => chunk,
                (Err(error), 0) => return Err(error),
                (Err(_), _) => return Ok(Looked::Partly),
            };
            let mut ends = self.wanted.ends.iter().filter(|end| {
                let mut stretches = stretches.iter();
                stretches.any(|one| {
                    one.start_bytes < end.offset_bytes && end.offset_bytes <= one.end_bytes
                })
            });
            let is_there = ends.all(|end| log.vouches(end));
            match (is_there, at) {
                (true, 0) => looked = Looked::Whole,
                (true, _) => {}
                (false, 0) => return Ok(Looked::NotAtAll),
                (false, _) => {
                    looked = Looked::Partly;
                    continue;
                }
            }
            let mut peeler = self.manner.peeler();
            let chunk = match wrapped {
                true => peeler.chunk(chunk),
                false => chunk,
            };
            self.show(chunk, near.clone());
            // What has no end in an archive never gets one; in a log that is written to it may come.
            let rest = peeler.finish(self.wanted.source);
            if let Some(rest) = rest.filter(|_| self.wanted.now.is_none()) {
                self.show(rest, near);
            }
        }
        Ok(looked)
    }

    fn all_of_it(&mut self, log: Again) -> io::Result<Looked> {
        let Some(last) = self.wanted.stretches.last() else {
            return Ok(Looked::Whole);
        };
        let mut lines = log.whole()?;
        let mut peeler = self.manner.peeler();
        let mut shown = false;
        while lines.offset_bytes() < last.end_bytes {
            let from = lines.offset_bytes();
            let chunk = match lines.next_chunk() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(_) if shown => return Ok(Looked::Partly),
                Err(error) => return Err(error),
            };
            let chunk = match peeler.is_empty() {
                true => chunk,
                false => peeler.chunk(chunk),
            };
            let upto = lines.offset_bytes();
            let next = not_before(from, self.wanted.stretches);
            // Its lines are read by what was said before them.
            let reading = self.manner.reading.clone();
            self.manner.reading.parser.follow_chunk(&chunk);
            if next.is_some_and(|stretch| stretch.start_bytes < upto) {
                shown = true;
                (self.show)(Shown {
                    reading,
                    chunk,
                    stretches: 0..self.wanted.stretches.len(),
                });
            }
        }
        Ok(Looked::Whole)
    }

    /// What stands at some of the stretches.
    fn show(&mut self, chunk: Chunk, stretches: Range<usize>) {
        (self.show)(Shown {
            reading: self.manner.reading.clone(),
            chunk,
            stretches,
        });
    }
}

/// Lines of a log, and where in it something is wanted.
struct Shown {
    reading: Reading,
    chunk: Chunk,
    stretches: Range<usize>,
}

impl Shown {
    /// Those that are wanted.
    fn prepared(self, front: &Front, wanted: &Wanted<'_>, hears: bool) -> PreparedChunk {
        let (chunk, stretches) = (self.chunk, &wanted.stretches[self.stretches]);
        let first = chunk.lines().next().map_or(0, |line| line.offset_bytes);
        let before = not_before(first, stretches).map(|stretch| stretch.before);
        let before = before.unwrap_or_default();
        let sought = |line: &RawLine<'_>| {
            let offset = line.offset_bytes;
            let stretch = not_before(offset, stretches);
            // What describes the lines after it comes from nobody.
            hears && is_directive(line.text)
                || stretch.is_some_and(|stretch| stretch.start_bytes <= offset)
                    && wanted.needles.may_stand_in(line.text)
        };
        let mut prepared = front.lines_of(&self.reading, chunk, sought);
        prepared.with_dependent_mut(|_, lines| hold_back(lines, before, wanted.now));
        prepared
    }
}

/// Source: W3C Extended Log File Format, "Directives".
fn is_directive(line: &str) -> bool {
    line.starts_with('#')
}

/// The first stretch that does not end before a place.
fn not_before(offset_bytes: u64, stretches: &[Stretch]) -> Option<&Stretch> {
    stretches.get(stretches.partition_point(|stretch| stretch.end_bytes <= offset_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::stretch::Sketcher;

    #[test]
    fn stretches_are_read_at_once_where_what_is_between_them_would_be_read_anyway() {
        let kb = |places: &[(u64, u64)]| {
            let mut sketcher = Sketcher::default();
            let mut of =
                |(start, end)| sketcher.stretch(start << 10, end << 10, 1, Time::default());
            places.iter().copied().map(&mut of).collect::<Vec<_>>()
        };
        let near = |places: &[(u64, u64)], wrapped| near(&kb(places), wrapped);
        let places = [(0, 16), (16, 120), (120, 136), (137, 140), (3000, 3001)];
        assert_eq!(near(&places, false), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(near(&places, true), [0..4, 4..5]);
        let long = [(0, 1000), (1500, 2048), (2048, 2049)];
        assert_eq!(near(&long, true), [0..2, 2..3]);
    }

    #[test]
    fn an_address_of_a_network_is_found_however_it_is_written() {
        let found = |prefix: &str, text: &str| {
            let prefix = Prefix::of(prefix.parse().unwrap());
            spellings(prefix)
                .iter()
                .any(|spelling| text.to_lowercase().contains(spelling))
        };
        for (prefix, text) in [
            ("198.51.100.5", "\"remote_addr\":\"198.51.100.77\""),
            ("198.51.100.5", "::ffff:198.51.100.9 - - ["),
            ("198.51.100.5", "::FFFF:C633:6409"),
            ("2001:db8:1:2::1", "2001:db8:1:2:a::b"),
            ("2001:db8:1:2::1", "2001:0DB8:0001:0002:0000:0000:0000:000b"),
            ("2001:0:1:2::1", "2001:0:1:2::b"),
            ("2001::1", "2001::b"),
        ] {
            assert!(found(prefix, text), "{prefix} in {text}");
        }
        assert!(!found("198.51.100.5", "198.51.101.5 2001:db8::1"));
        assert!(!found("2001:db8::1", "2001:db9::1"));
    }
}
