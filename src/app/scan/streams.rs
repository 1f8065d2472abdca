//! The inputs of a scan: what each is written in, and where its lines begin in time.
//!
//! In: what `discover` found, the configuration. Out: [`Stream`]s that any worker can take the next chunk of.
//! Does not know: the engine, or in which order streams are merged.

use crate::domain::line::{Chunk, Source};
use crate::domain::time::Time;
use crate::engine::prepare::{Front, Reading};
use crate::formats::client_address::TrustedProxies;
use crate::formats::{self, FieldMap, Parser};
use crate::ingest::archive;
use crate::ingest::discover::{Found, Input};
use crate::ingest::lines::ChunkReader;
use std::io::{self, Read};
use std::sync::Mutex;

/// Lines looked at to find out what a file is written in.
pub(crate) const SAMPLE_LINES: usize = 200;

/// How a source is to be read, as far as the user said so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The format; found out when absent.
    pub(crate) parser: Option<Parser>,
    /// Names of fields that are not the usual ones.
    pub(crate) fields: FieldMap,
    /// Proxies whose forwarding header is believed.
    pub(crate) trusted: TrustedProxies,
}

type Lines = ChunkReader<Box<dyn Read + Send>>;

/// One input, read in order by whoever is free.
pub(crate) struct Stream {
    /// Its name in evidence.
    pub(crate) source: Source,
    /// How it is read.
    pub(crate) reading: Reading,
    /// How sure that is.
    pub(crate) confidence: f64,
    /// Event time of its first event.
    pub(crate) first: Time,
    input: Input,
    state: Mutex<State>,
}

struct State {
    lines: Option<Lines>,
    pending: Option<Chunk>,
    /// The reading's, as the lines so far left it.
    parser: Parser,
    sequence: u64,
    /// True once the file could not be opened: then it has ended.
    failed: bool,
}

impl Stream {
    /// Looks at the beginning of an input.
    ///
    /// # Errors
    /// The reason in words, when it cannot be read or nothing recognises it.
    pub(crate) fn sniff(found: &Found, wanted: &Wanted, front: &Front) -> Result<Self, String> {
        let mut lines = open(&found.input, &found.source).map_err(|e| e.to_string())?;
        let chunk = match lines.next_chunk() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Err("is empty".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let sample: Vec<&str> = chunk
            .lines()
            .take(SAMPLE_LINES)
            .map(|line| line.text)
            .collect();
        let (parser, confidence) = match &wanted.parser {
            Some(parser) => (parser.clone(), 1.0),
            None => {
                let found = formats::detect(&sample, &wanted.fields).map_err(|e| e.to_string())?;
                (found.parser, found.confidence)
            }
        };
        let reading = Reading {
            parser,
            trusted: wanted.trusted.clone(),
        };
        let mut following = reading.clone();
        let first = chunk.lines().find_map(|line| {
            following.parser.follow(line.text);
            let prepared = front.line(&following, line).ok()?;
            Some(prepared.event.time)
        });
        let first = first.unwrap_or_default();
        // Files are opened again when their time comes; what came through a pipe must be kept.
        let piped = found.input == Input::Stdin;
        let (lines, pending) = if piped {
            (Some(lines), Some(chunk))
        } else {
            (None, None)
        };
        Ok(Self {
            source: found.source.clone(),
            state: Mutex::new(State {
                lines,
                pending,
                parser: reading.parser.clone(),
                sequence: 0,
                failed: false,
            }),
            reading,
            confidence,
            first,
            input: found.input.clone(),
        })
    }

    /// The next chunk with its number in the stream and how it is read; `None` at the end.
    pub(crate) fn next_chunk(&self) -> (u64, io::Result<Option<(Reading, Chunk)>>) {
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
            None => self.read(&mut state),
        };
        let with_reading = |chunk: Chunk| {
            let reading = Reading {
                parser: state.parser.clone(),
                trusted: self.reading.trusted.clone(),
            };
            state.parser.follow_chunk(&chunk);
            (reading, chunk)
        };
        (sequence, chunk.map(|chunk| chunk.map(with_reading)))
    }

    fn read(&self, state: &mut State) -> io::Result<Option<Chunk>> {
        let lines = match &mut state.lines {
            Some(lines) => lines,
            None if state.failed => return Ok(None),
            none => {
                let opened = open(&self.input, &self.source);
                state.failed = opened.is_err();
                none.insert(opened?)
            }
        };
        lines.next_chunk()
    }

    /// Closes the file.
    pub(crate) fn close(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.lines = None;
        }
    }
}

fn open(input: &Input, source: &Source) -> io::Result<Lines> {
    let opened = match input {
        Input::File(path) => archive::open(path)?,
        Input::Stdin => archive::open_stdin()?,
    };
    Ok(ChunkReader::new(opened.reader, source.clone()))
}
