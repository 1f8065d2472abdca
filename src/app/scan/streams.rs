//! The inputs of a scan: what each is written in, and where its lines begin in time.
//!
//! In: what `discover` found, the configuration. Out: [`Stream`]s that any worker can take the next chunk of.
//! Does not know: the engine, or in which order streams are merged.

use super::unpacking;
use crate::app::breach::Manner;
use crate::app::gateways::Gateway;
use crate::domain::clock::Clock;
use crate::domain::line::{Chunk, Source};
use crate::domain::time::Time;
use crate::engine::prepare::{Front, Reading};
use crate::formats::client_address::TrustedProxies;
use crate::formats::{self, FieldMap, FormatFault, Parser};
use crate::ingest::again::Again;
use crate::ingest::archive::{self, Packing};
use crate::ingest::discover::{Found, Input};
use crate::ingest::lines::ChunkReader;
use crate::ingest::records::Records;
use crate::wrappers::{self, Peeler};
use jiff::tz::TimeZone;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Lines looked at to find out what a file is written in.
pub(crate) const SAMPLE_LINES: usize = 200;

/// Events that say where a file begins in time.
const FIRST_EVENTS: usize = 10;

/// How a source is to be read, as far as the user said so.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The format; found out when absent.
    pub(crate) parser: Option<Parser>,
    /// Names of fields that are not the usual ones.
    pub(crate) fields: FieldMap,
    /// Proxies whose forwarding header is believed.
    pub(crate) trusted: TrustedProxies,
    /// What is around the lines.
    pub(crate) wrapper: wrappers::Wanted,
    /// The zone of stamps that name none.
    pub(crate) zone: TimeZone,
    /// Anybody can write to the source.
    pub(crate) unvouched: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            parser: None,
            fields: FieldMap::default(),
            trusted: TrustedProxies::default(),
            wrapper: wrappers::Wanted::Auto,
            zone: TimeZone::UTC,
            unvouched: false,
        }
    }
}

impl Wanted {
    /// How a source is read whose first lines, out of their wrapper, are these; and how sure that is.
    ///
    /// # Errors
    /// When nothing recognises them.
    pub(crate) fn reading(
        &self,
        lines: &Chunk,
        clock: Clock,
    ) -> Result<(Reading, f64), FormatFault> {
        let (parser, confidence) = match &self.parser {
            Some(parser) => (parser.clone(), 1.0),
            None => {
                let sample = || lines.lines().take(SAMPLE_LINES);
                let text: Vec<&str> = sample().map(|line| line.text).collect();
                let found = match sample().any(|line| line.written.is_some()) {
                    true => formats::detect_wrapped(&text, &self.fields),
                    false => formats::detect(&text, &self.fields),
                }?;
                (found.parser, found.confidence)
            }
        };
        let reading = Reading {
            parser: parser.with_clock(clock).with_doubt(self.unvouched),
            trusted: self.trusted.clone(),
        };
        Ok((reading, confidence))
    }
}

type Lines = ChunkReader<Records<Box<dyn Read + Send>>>;

/// How far an archive was read, in bytes on the disk.
struct Packed {
    read: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

/// One input, read in order by whoever is free.
pub(crate) struct Stream {
    /// Its name in evidence.
    pub(crate) source: Source,
    /// How it is read.
    pub(crate) reading: Reading,
    /// How sure that is.
    pub(crate) confidence: f64,
    /// Who wrote it, as far as that can be told.
    pub(crate) gateway: Option<&'static Gateway>,
    /// Event time of its first event.
    pub(crate) first: Time,
    /// What was around its lines, from the outside.
    pub(crate) wrappers: Vec<&'static str>,
    input: Input,
    size_bytes: u64,
    manner: Manner,
    state: Mutex<State>,
}

struct State {
    lines: Option<(Lines, Packed)>,
    /// Bytes on the disk of which nothing could be made.
    gap_bytes: u64,
    pending: Option<Chunk>,
    peeler: Peeler,
    orphans: u64,
    /// The reading's, as the lines so far left it.
    parser: Parser,
    sequence: u64,
    /// True once the file has come to its end, or could not be opened: nobody opens it any more.
    ended: bool,
}

impl Stream {
    /// Looks at the beginning of an input.
    ///
    /// # Errors
    /// The reason in words, when it cannot be read or nothing recognises it.
    pub(crate) fn sniff(found: &Found, wanted: &Wanted, front: &Front) -> Result<Self, String> {
        let (mut lines, packed) = open(&found.input, &found.source).map_err(|e| e.to_string())?;
        let chunk = match lines.next_chunk() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Err("is empty".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let clock = Clock::new(wanted.zone.clone(), last_change(&found.input));
        let peeler = Peeler::detect(wanted.wrapper, &chunk, &clock);
        let inside = peeler.sample(&chunk, SAMPLE_LINES, &clock);
        let lines_inside = inside.as_ref().unwrap_or(&chunk);
        let (reading, confidence) = wanted
            .reading(lines_inside, clock.clone())
            .map_err(|e| e.to_string())?;
        let manner = Manner::new(reading.clone(), &peeler, clock, lines_inside);
        let texts = lines_inside.lines().map(|line| line.text);
        let texts = texts.filter(|text| !text.is_empty()).take(SAMPLE_LINES);
        let texts: Vec<&str> = texts.collect();
        let gateway = Gateway::of(&found.source.0, reading.parser.name(), &texts);
        let mut following = reading.clone();
        let mut times = lines_inside.lines().filter_map(|line| {
            following.parser.follow(line.text);
            let prepared = front.line(&following, line).ok()?;
            Some(prepared.event.time)
        });
        // The earliest, since one stamp alone may be late or from the future.
        let first = times.by_ref().take(FIRST_EVENTS).min().unwrap_or_default();
        drop(times);
        // Files are opened again when their time comes; what came through a pipe must be kept.
        let piped = found.input == Input::Stdin;
        let (lines, pending) = if piped {
            (Some((lines, packed)), Some(chunk))
        } else {
            (None, None)
        };
        Ok(Self {
            source: found.source.clone(),
            wrappers: peeler.names().collect(),
            state: Mutex::new(State {
                lines,
                pending,
                peeler,
                orphans: 0,
                gap_bytes: 0,
                parser: reading.parser.clone(),
                sequence: 0,
                ended: false,
            }),
            reading,
            confidence,
            gateway,
            first,
            input: found.input.clone(),
            size_bytes: found.size_bytes,
            manner,
        })
    }

    /// False for what came through a pipe: it cannot be read again.
    pub(super) fn is_kept(&self) -> bool {
        self.input != Input::Stdin
    }

    /// The input from its beginning, and how its lines are read; `None` for what came through a pipe.
    pub(super) fn again(&self) -> Option<(io::Result<Again>, Manner)> {
        let Input::File(path) = &self.input else {
            return None;
        };
        Some((Again::open(path, &self.source), self.manner.clone()))
    }

    /// The next chunk, of about `room` bytes, with its number in the stream and how it is read; `None` at the end.
    pub(crate) fn next_chunk(&self, room: usize) -> (u64, io::Result<Option<(Reading, Chunk)>>) {
        let Ok(mut state) = self.state.lock() else {
            return (
                u64::MAX,
                Err(io::Error::other("another reader of this file failed")),
            );
        };
        let sequence = state.sequence;
        state.sequence += 1;
        let chunk = match state.pending.take() {
            Some(chunk) => Ok(Some(chunk)),
            None => self.read(&mut state, room),
        };
        let inside = chunk.map(|chunk| self.peel(&mut state, chunk));
        let with_reading = |chunk: Chunk| {
            let reading = Reading {
                parser: state.parser.clone(),
                trusted: self.reading.trusted.clone(),
            };
            state.parser.follow_chunk(&chunk);
            (reading, chunk)
        };
        (sequence, inside.map(|chunk| chunk.map(with_reading)))
    }

    /// Takes back a chunk that everybody has done with.
    pub(crate) fn take_back(&self, spent: Chunk) {
        if let Ok(mut state) = self.state.lock()
            && let Some((lines, _)) = &mut state.lines
        {
            lines.reuse(spent);
        }
    }

    /// The lines inside the lines; at the end, those that were still waiting for their last piece.
    fn peel(&self, state: &mut State, chunk: Option<Chunk>) -> Option<Chunk> {
        if state.peeler.is_empty() {
            return chunk;
        }
        let inside = match chunk {
            Some(chunk) => Some(state.peeler.chunk(chunk)),
            None => state.peeler.finish(&self.source),
        };
        state.orphans += state.peeler.take_orphans();
        inside
    }

    /// The lines inside those of a chunk that was read from another part of the source.
    pub(crate) fn inside(&self, chunk: Chunk) -> Option<Chunk> {
        self.peel(&mut *self.state.lock().ok()?, Some(chunk))
    }

    /// Pieces of lines whose other pieces were not there.
    pub(crate) fn orphans(&self) -> u64 {
        self.state.lock().map_or(0, |state| state.orphans)
    }

    fn read(&self, state: &mut State, room: usize) -> io::Result<Option<Chunk>> {
        let (lines, packed) = match &mut state.lines {
            Some(lines) => lines,
            None if state.ended => return Ok(None),
            none => {
                let opened = open(&self.input, &self.source);
                state.ended = opened.is_err();
                none.insert(opened?)
            }
        };
        let chunk = lines.next_chunk_of(room);
        if chunk.is_err() {
            let unread = self
                .size_bytes
                .saturating_sub(packed.read.load(Ordering::Relaxed));
            state.gap_bytes += packed.lost.load(Ordering::Relaxed) + unread;
        }
        if matches!(chunk, Ok(None)) {
            (state.lines, state.ended) = (None, true);
        }
        chunk
    }

    /// Bytes on the disk of which nothing could be made.
    pub(crate) fn gap_bytes(&self) -> u64 {
        self.state.lock().map_or(0, |state| state.gap_bytes)
    }
}

/// When an input was last written, which is what its stamps are about.
fn last_change(input: &Input) -> Time {
    let modified = match input {
        Input::File(path) => std::fs::metadata(path).and_then(|found| found.modified()),
        Input::Stdin => Ok(std::time::SystemTime::now()),
    };
    let since = modified
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since
        .and_then(|since| Time::from_ms(since.as_millis() as i64))
        .unwrap_or_default()
}

fn open(input: &Input, source: &Source) -> io::Result<(Lines, Packed)> {
    let opened = match input {
        Input::File(path) => archive::open(path)?,
        Input::Stdin => archive::open_stdin()?,
    };
    let packed = Packed {
        read: opened.progress_bytes,
        lost: opened.lost_bytes,
    };
    let reader = match opened.packing {
        Packing::Plain => opened.reader,
        _ => unpacking::ahead(opened.reader),
    };
    Ok((
        ChunkReader::new(Records::new(reader), source.clone()),
        packed,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::IdKey;
    use crate::engine::paths::Paths;
    use crate::ingest::lines::CHUNK_BYTES;
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    #[test]
    fn a_file_that_has_ended_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let line =
            "192.0.2.1 - - [04/May/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n";
        fs::write(&path, line.repeat(2)).unwrap();
        let found = Found {
            input: Input::File(path.clone()),
            source: Source("access.log".into()),
            size_bytes: 0,
        };
        let front = Front {
            key: IdKey::public([3; 32]),
            paths: Paths::new(Vec::new(), Vec::new()),
        };
        let stream = Stream::sniff(&found, &Wanted::default(), &front).unwrap();
        let lines = || {
            let (sequence, chunk) = stream.next_chunk(CHUNK_BYTES);
            (sequence, chunk.unwrap().map(|(_, chunk)| chunk.len()))
        };
        assert_eq!([lines(), lines()], [(0, Some(2)), (1, None)]);
        let mut log = OpenOptions::new().append(true).open(path).unwrap();
        log.write_all(line.as_bytes()).unwrap();
        // Whoever reads ahead asks for more than there is.
        assert_eq!([lines(), lines()], [(2, None), (3, None)]);
        assert!(stream.state.lock().unwrap().lines.is_none());
    }
}
