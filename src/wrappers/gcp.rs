//! Google Cloud Logging: a `LogEntry` around a line of a container or a virtual machine.
//!
//! In: a line of JSON, as a sink to Cloud Storage writes it. Out: `textPayload`, the line in `jsonPayload`, or that
//! object itself.
//! Does not know: load balancers: an entry with `httpRequest` is an access log of its own, and a format's to read.
//! Source: Google, "LogEntry" of the Cloud Logging API v2.

use super::{Around, Entry, Wrapper, stamp};
use serde_json::{Map, Value};

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "gcp",
    about: "Google Cloud Logging entries with textPayload or jsonPayload",
    peel,
};

/// What an entry has beside its payload.
const MARKS: [&str; 2] = ["\"logName\"", "\"insertId\""];

/// Under these names agents put a line that is no JSON.
const TEXT: [&str; 3] = ["message", "log", "msg"];

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    // Most JSON is no entry: do not read all of it to find that out.
    if !line.contains("Payload\"") || !MARKS.iter().any(|mark| line.contains(mark)) {
        return false;
    }
    let Ok(mut entry) = serde_json::from_str::<Map<String, Value>>(line) else {
        return false;
    };
    if entry.contains_key("httpRequest") {
        return false;
    }
    let time = entry.get("timestamp").and_then(Value::as_str);
    let written = time.and_then(stamp::rfc3339);
    let text = match (entry.remove("textPayload"), entry.remove("jsonPayload")) {
        (Some(Value::String(text)), _) => text,
        (_, Some(Value::Object(payload))) => inside(payload),
        _ => return false,
    };
    entries.push(Entry::whole(text, written));
    true
}

/// The line in a payload that is not the line itself: next to the text there is only what an agent adds.
fn inside(payload: Map<String, Value>) -> String {
    let text = TEXT
        .iter()
        .find_map(|name| payload.get(*name)?.as_str().map(str::to_owned));
    match text {
        Some(text) if payload.values().filter(|value| !value.is_null()).count() <= TEXT.len() => {
            text
        }
        _ => Value::Object(payload).to_string(),
    }
}
