//! Docker's json-file: `{"log":"…\n","stream":"stdout","time":"…"}`, one object for each 16 KiB of a line.
//!
//! In: a line of the file. Out: the container's line, or a piece of it: only the last piece ends in a line feed.
//! Does not know: the container (its name is in the path) or `attrs`.
//! Source: <https://docs.docker.com/engine/logging/drivers/json-file/>; the split is the copier's buffer in moby,
//! `daemon/logger/copier.go`.

use super::{Around, Entry, Part, Wrapper, stamp};
use serde::Deserialize;
use std::borrow::Cow;

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "docker",
    about: "Docker's json-file driver; lines split at 16 KiB are joined",
    peel,
};

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    let Ok(Written { log, stream, time }) = serde_json::from_str(line) else {
        return false;
    };
    let part = if log.ends_with('\n') {
        Part::Last(stream)
    } else {
        Part::More(stream)
    };
    entries.push(Entry {
        text: log,
        written: stamp::rfc3339(&time),
        part,
        place: None,
    });
    true
}
