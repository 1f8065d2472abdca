//! journald as JSON: `journalctl -o json`, one object an entry.
//!
//! In: a line. Out: its `MESSAGE`. An entry without one, or whose message journalctl left out for its size (`null`),
//! goes on as it is, to be counted.
//! Does not know: units, cursors, priorities.
//! Source: systemd, "Journal JSON Format" (JOURNAL_EXPORT_FORMATS); systemd.journal-fields(7), `_LINE_BREAK`.

use super::{Around, Entry, Part, Wrapper, stamp};
use serde::Deserialize;
use std::borrow::Cow;

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "journald_json",
    about: "journalctl -o json",
    peel,
};

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "MESSAGE", borrow)]
    message: Message<'a>,
    #[serde(rename = "__REALTIME_TIMESTAMP", borrow)]
    time: Cow<'a, str>,
    #[serde(rename = "_LINE_BREAK", borrow)]
    line_break: Option<Cow<'a, str>>,
    #[serde(rename = "_STREAM_ID", borrow)]
    stream: Option<Cow<'a, str>>,
}

/// Text, or the bytes of what is none: with a control character in it, for example.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Bytes(Vec<u8>),
}

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    let Ok(written) = serde_json::from_str::<Written<'a>>(line) else {
        return false;
    };
    let text = match written.message {
        Message::Text(text) => text,
        Message::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
    };
    entries.push(Entry {
        text,
        written: stamp::micros(&written.time),
        part: part(written.line_break.as_deref(), written.stream),
        place: None,
    });
    true
}

/// journald cuts what a service prints at 48 KiB (`LineMax=`) and says so.
pub(super) fn part<'a>(line_break: Option<&str>, stream: Option<Cow<'a, str>>) -> Part<'a> {
    match (line_break, stream) {
        (Some("line-max"), Some(stream)) => Part::More(stream),
        (_, Some(stream)) => Part::Last(stream),
        (_, None) => Part::Whole,
    }
}
