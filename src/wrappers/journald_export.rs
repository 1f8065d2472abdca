//! journald's export format: `journalctl -o export`, a field a line, an empty line behind each entry.
//!
//! In: lines, in order. Out: one `MESSAGE` for each entry that has one, at the place of that field.
//! Does not know: units, cursors. A field with control characters is written as its name, eight bytes of length and
//! its bytes; of such a message the first line is taken, which for an access log is all.
//! Source: systemd, "Journal Export Format" (JOURNAL_EXPORT_FORMATS).

use super::joining::Place;
use super::journald_json::part;
use super::{Around, Entry, Wrapper, stamp};
use crate::domain::line::LINE_BYTES_MAX;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "journald_export",
    about: "journalctl -o export",
    peel,
};

/// An entry whose end has not come.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Block {
    begun: bool,
    written: Option<Time>,
    message: Option<String>,
    place: Place,
    line_break: Option<String>,
    stream: Option<String>,
    /// The value of this field follows, behind its length.
    binary: Option<String>,
}

/// Log lines may hold tokens.
impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Block(begun: {})", self.begun)
    }
}

impl Block {
    /// The message of an entry that the end of the source cut off.
    pub(super) fn finish(&mut self) -> Option<(String, Option<Time>, Place)> {
        let block = std::mem::take(self);
        Some((block.message?, block.written, block.place))
    }

    fn end<'a>(&mut self) -> Option<Entry<'a>> {
        let block = std::mem::take(self);
        Some(Entry {
            text: block.message?.into(),
            written: block.written,
            part: part(block.line_break.as_deref(), block.stream.map(Into::into)),
            place: Some(block.place),
        })
    }

    fn set(&mut self, name: &str, value: &str, place: Place) {
        match name {
            "__REALTIME_TIMESTAMP" => self.written = stamp::micros(value),
            "MESSAGE" => {
                let fits = value.floor_char_boundary(LINE_BYTES_MAX);
                self.message = value.get(..fits).map(str::to_owned);
                self.place = place;
            }
            "_LINE_BREAK" => self.line_break = Some(value.to_owned()),
            "_STREAM_ID" => self.stream = Some(value.to_owned()),
            _ => {}
        }
    }
}

fn peel<'a>(line: &'a str, around: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    let (block, place) = (&mut *around.block, around.place);
    if let Some(name) = block.binary.take() {
        // The length is little-endian and far below 2^40, so NULs stand before the bytes; when it begins with the
        // value of a line feed, the reader has ended a line there.
        let value = line.rsplit_once("\0\0\0").map_or(line, |(_, value)| value);
        if value.is_empty() {
            block.binary = Some(name);
        } else {
            block.set(&name, value, place);
        }
        return true;
    }
    if line.is_empty() {
        let begun = block.begun;
        entries.extend(block.end());
        return begun;
    }
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (line, None),
    };
    if !is_field(name) {
        // The further lines of a field with line feeds in it.
        return block.begun;
    }
    block.begun |= name.starts_with("__");
    match value {
        Some(value) => block.set(name, value, place),
        None if block.begun => block.binary = Some(name.to_owned()),
        None => {}
    }
    block.begun
}

fn is_field(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(is_part)
}
