//! Lines as they were read: text and where it came from, before anyone has understood it.
//!
//! In: bytes of a source, cut at line ends. Out: [`Chunk`] of [`RawLine`]s, [`Source`], [`SkipReason`].
//! Does not know: formats, files, rotation.

use super::time::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest line that is kept whole. Servers limit a request's head to 8–64 KiB; escaping and a body field can
/// multiply that, and what is longer is an attack on memory.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Where lines come from, as evidence names it: a file path, `stdin`, or a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source(pub Arc<str>);

/// One line without its line ending. What was not UTF-8 has become U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct RawLine<'a> {
    /// The source's name in evidence.
    pub source: &'a Source,
    /// Position of the first byte in the uncompressed source.
    pub offset_bytes: u64,
    /// Number of the line in its source, from 1; 0 where counting started in the middle.
    pub number: u64,
    /// The line itself, at most the configured limit.
    pub text: &'a str,
    /// True when the line was longer than the limit and only its beginning is here.
    pub truncated: bool,
    /// When what wrapped the line says that it was written; `None` without a wrapper that knows.
    pub written: Option<Time>,
}

/// Whole lines of one source, read at once: the unit that travels between threads.
#[derive(Debug)]
pub struct Chunk {
    source: Source,
    text: String,
    spans: Vec<LineSpan>,
    /// Beside the spans, as far as there are any: lines without a wrapper pay nothing.
    written: Vec<Option<Time>>,
}

#[derive(Debug)]
struct LineSpan {
    start: u32,
    end: u32,
    offset_bytes: u64,
    number: u64,
    truncated: bool,
}

impl Chunk {
    /// A chunk without lines yet.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            text: String::new(),
            spans: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Splits `bytes` at line feeds. The first byte stands at `offset_bytes` of the source and begins line `number`
    /// (0 when lines are not counted). A last line without line feed is a line too; one carriage return before a
    /// line feed belongs to the line ending.
    pub fn split(source: Source, bytes: Vec<u8>, offset_bytes: u64, number: u64) -> Self {
        let mut chunk = Self::new(source);
        match String::from_utf8(bytes) {
            Ok(text) => {
                chunk.spans = spans_of(text.as_bytes(), offset_bytes, number);
                chunk.text = text;
            }
            Err(error) => {
                let bytes = error.into_bytes();
                for span in spans_of(&bytes, offset_bytes, number) {
                    let line = &bytes[span.start as usize..span.end as usize];
                    chunk.push(line, span.offset_bytes, span.number, false);
                }
            }
        }
        chunk
    }

    /// Adds one line, given without its ending.
    pub fn push(&mut self, line: &[u8], offset_bytes: u64, number: u64, truncated: bool) {
        match std::str::from_utf8(line) {
            Ok(text) => self.push_text(text, offset_bytes, number, truncated),
            Err(_) => {
                let text = String::from_utf8_lossy(line);
                self.push_text(&text, offset_bytes, number, truncated);
            }
        }
    }

    fn push_text(&mut self, text: &str, offset_bytes: u64, number: u64, truncated: bool) {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        let end = self.text.len() as u32;
        self.spans.push(LineSpan {
            start,
            end,
            offset_bytes,
            number,
            truncated,
        });
    }

    /// Adds one line at the place it says.
    pub fn push_line(&mut self, line: RawLine<'_>) {
        if line.written.is_some() {
            self.written.resize(self.spans.len(), None);
            self.written.push(line.written);
        }
        self.push_text(line.text, line.offset_bytes, line.number, line.truncated);
    }

    /// The memory of its text, for another chunk.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    /// The source.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How much text there is, in bytes.
    pub fn byte_len(&self) -> u64 {
        self.text.len() as u64
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when there is no line.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = RawLine<'_>> + '_ {
        self.spans.iter().enumerate().map(|(at, span)| RawLine {
            source: &self.source,
            offset_bytes: span.offset_bytes,
            number: span.number,
            text: self
                .text
                .get(span.start as usize..span.end as usize)
                .unwrap_or_default(),
            truncated: span.truncated,
            written: self.written.get(at).copied().flatten(),
        })
    }
}

fn spans_of(bytes: &[u8], offset_bytes: u64, number: u64) -> Vec<LineSpan> {
    // Spans are u32: readers cut chunks far below 4 GiB, and a larger one is a broken reader.
    assert!(
        bytes.len() < u32::MAX as usize,
        "a chunk holds less than 4 GiB"
    );
    let mut spans = Vec::with_capacity(bytes.len() / 256);
    let mut start = 0;
    let mut push = |start: usize, end: usize| {
        let cr = usize::from(bytes[start..end].ends_with(b"\r"));
        spans.push(LineSpan {
            start: start as u32,
            end: (end - cr) as u32,
            offset_bytes: offset_bytes + start as u64,
            number: if number == 0 {
                0
            } else {
                number + spans.len() as u64
            },
            truncated: false,
        });
    };
    for end in memchr::memchr_iter(b'\n', bytes) {
        push(start, end);
        start = end + 1;
    }
    if start < bytes.len() {
        push(start, bytes.len());
    }
    spans
}

/// Why a line gave no event. Counted under these names, never logged with content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Nothing but white space, or NUL bytes that a truncated file leaves.
    Empty,
    /// A comment or header line of the format (`#Fields`, `# …`).
    Comment,
    /// Binary bytes where text was expected.
    Binary,
    /// The line does not have the shape of the format.
    Malformed,
    /// The format's time field is missing.
    NoTime,
    /// The time field is there and is no time.
    BadTime,
    /// The request could not be read (a TLS hello on a plain port, an empty request).
    BadRequest,
    /// The line was longer than the limit and what is left of it could not be read.
    TooLong,
    /// More nested or more numerous fields than any log has.
    TooComplex,
}

impl SkipReason {
    /// Every reason, in the order they are reported.
    pub const ALL: [Self; 9] = [
        Self::Empty,
        Self::Comment,
        Self::Binary,
        Self::Malformed,
        Self::NoTime,
        Self::BadTime,
        Self::BadRequest,
        Self::TooLong,
        Self::TooComplex,
    ];

    /// The reason's name in metrics and in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Comment => "comment",
            Self::Binary => "binary",
            Self::Malformed => "malformed",
            Self::NoTime => "no_time",
            Self::BadTime => "bad_time",
            Self::BadRequest => "bad_request",
            Self::TooLong => "too_long",
            Self::TooComplex => "too_complex",
        }
    }

    /// True when the line may have told of a request.
    pub fn is_a_loss(self) -> bool {
        !matches!(self, Self::Empty | Self::Comment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8]) -> Vec<(u64, u64, String)> {
        let chunk = Chunk::split(Source("test".into()), bytes.to_vec(), 100, 7);
        chunk
            .lines()
            .map(|l| (l.offset_bytes, l.number, l.text.to_owned()))
            .collect()
    }

    #[test]
    fn lines_keep_their_place_in_the_source() {
        let lines = split(b"one\r\n\ntwo\rx\nlast");
        let expected = [
            (100, 7, "one"),
            (105, 8, ""),
            (106, 9, "two\rx"),
            (112, 10, "last"),
        ];
        assert_eq!(lines, expected.map(|(o, n, t)| (o, n, t.to_owned())));
    }

    #[test]
    fn bytes_that_are_no_utf_8_do_not_move_the_lines_after_them() {
        let lines = split(b"a\xffb\nnext");
        assert_eq!(lines[0].2, "a\u{fffd}b");
        assert_eq!(lines[1], (104, 8, "next".to_owned()));
    }
}
