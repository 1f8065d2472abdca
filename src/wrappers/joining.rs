//! Pieces of long lines, joined again: bounded in number, in size and in the time between them.
//!
//! In: pieces of streams, in order. Out: whole lines at the place of their first piece; what never got its end goes on
//! as it is, marked as cut, and is counted.
//! Does not know: how a wrapper says that there is more.

use crate::domain::line::{Chunk, LINE_BYTES_MAX, RawLine, Source};
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

/// Streams of one source with an open line at once: a file of a container has two, one of a whole node's agent a few
/// dozen.
const STREAMS_MAX: usize = 64;

/// Bytes of all open lines of one source: eight of the longest.
const BYTES_MAX: usize = 8 * LINE_BYTES_MAX;

/// Between two pieces of one line, which are written in one go. What comes later is another line, and the one before
/// was the last words of a program that ended without a line feed.
const APART_S_MAX: f64 = 5.0;

/// Where a line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    offset_bytes: u64,
    number: u64,
}

impl Place {
    pub(super) fn of(line: &RawLine<'_>) -> Self {
        Self {
            offset_bytes: line.offset_bytes,
            number: line.number,
        }
    }

    pub(super) fn line<'a>(
        self,
        source: &'a Source,
        text: &'a str,
        written: Option<Time>,
        truncated: bool,
    ) -> RawLine<'a> {
        RawLine {
            source,
            offset_bytes: self.offset_bytes,
            number: self.number,
            text,
            truncated,
            written,
        }
    }
}

/// A line whose end has not come.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    stream: String,
    text: String,
    place: Place,
    written: Option<Time>,
    truncated: bool,
}

/// Log lines may hold tokens.
impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Open({}, {} bytes)", self.stream, self.text.len())
    }
}

/// The open lines of one source, the longest waiting first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Joining {
    open: Vec<Open>,
}

impl Joining {
    /// Takes a piece of which more follows.
    pub(super) fn add(
        &mut self,
        stream: &str,
        text: &str,
        place: Place,
        written: Option<Time>,
        out: &mut Chunk,
        orphans: &mut u64,
    ) {
        self.let_go_of_old(stream, written, out, orphans);
        match self.open.iter_mut().find(|open| open.stream == stream) {
            Some(open) => open.append(text),
            None => {
                let mut open = Open {
                    stream: stream.to_owned(),
                    text: String::new(),
                    place,
                    written,
                    truncated: false,
                };
                open.append(text);
                self.open.push(open);
            }
        }
        let bytes = |open: &[Open]| open.iter().map(|open| open.text.len()).sum::<usize>();
        while self.open.len() > STREAMS_MAX || bytes(&self.open) > BYTES_MAX {
            *orphans += 1;
            self.open.remove(0).give(out, true);
        }
    }

    /// Takes the last piece of a line, or all of it.
    pub(super) fn complete(
        &mut self,
        stream: &str,
        text: &str,
        place: Place,
        written: Option<Time>,
        out: &mut Chunk,
        orphans: &mut u64,
    ) {
        self.let_go_of_old(stream, written, out, orphans);
        let waits = self.open.iter().position(|open| open.stream == stream);
        let Some(at) = waits else {
            let source = out.source().clone();
            out.push_line(place.line(&source, text, written, false));
            return;
        };
        let mut open = self.open.remove(at);
        open.append(text);
        open.give(out, false);
    }

    fn let_go_of_old(
        &mut self,
        stream: &str,
        written: Option<Time>,
        out: &mut Chunk,
        orphans: &mut u64,
    ) {
        let is_old = |open: &Open| {
            let pair = open.written.zip(written);
            open.stream == stream && pair.is_some_and(|(a, b)| a.apart_s(b) > APART_S_MAX)
        };
        if let Some(at) = self.open.iter().position(is_old) {
            *orphans += 1;
            self.open.remove(at).give(out, false);
        }
    }

    /// Gives everything that is still open.
    pub(super) fn finish(&mut self, out: &mut Chunk, orphans: &mut u64) {
        for open in self.open.drain(..) {
            *orphans += 1;
            open.give(out, false);
        }
    }
}

impl Open {
    fn append(&mut self, text: &str) {
        let room = LINE_BYTES_MAX.saturating_sub(self.text.len());
        let fits = text.floor_char_boundary(room);
        self.truncated |= fits < text.len();
        self.text.push_str(text.get(..fits).unwrap_or_default());
    }

    fn give(self, out: &mut Chunk, cut: bool) {
        let source = out.source().clone();
        let truncated = self.truncated || cut;
        out.push_line(
            self.place
                .line(&source, &self.text, self.written, truncated),
        );
    }
}
