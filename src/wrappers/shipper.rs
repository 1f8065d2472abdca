//! The events of log shippers: Filebeat and Elastic Agent, Fluent Bit and Fluentd, Logstash, Vector, Promtail's JSON
//! and what `logcli` prints, Datadog, Splunk (HEC), Graylog (GELF), Upsun's forwarding.
//!
//! In: a line of JSON whose `message` or `log` is the line. Out: that line.
//! Does not know: an application's own JSON, which has a `message`, too: a shipper is known by what it adds, or by a
//! `message` that is a request, with nothing of one beside it.
//! Source: Elastic, "Filebeat exported fields"; Fluent Bit, "Tail" and "Kubernetes filter"; Vector, "file source".

use super::{Around, Entry, Wrapper, stamp};
use crate::domain::time::Time;
use serde_json::{Map, Value};

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "shipper",
    about: "events of Filebeat, Fluent Bit, Fluentd, Vector and their like",
    peel,
};

/// Where the line is, and what must stand beside it: one of these.
const SHAPES: [(&str, &[&str]); 5] = [
    (
        "message",
        &[
            "agent",
            "beat",
            "source_type",
            "kubernetes",
            "fluentd",
            "timestamp_ns",
            "ddsource",
            "@version",
        ],
    ),
    ("event", &["sourcetype"]),
    ("short_message", &["version"]),
    ("line", &["labels"]),
    (
        "log",
        &["kubernetes", "container_id", "date", "stream", "_p"],
    ),
];

/// Where the line of an event is that bears no mark, when that text is a request and nothing beside it tells of one.
/// Not `body`: that is what a client sent.
const TEXTS: [&str; 5] = ["message", "msg", "log", "line", "@message"];

/// A name with one of these in it tells of a request: then the event is an access log of its own, and a text in it may
/// be the client's.
const OF_REQUESTS: [&str; 16] = [
    "status", "code", "method", "verb", "uri", "url", "path", "remote", "client", "addr", "peer",
    "http", "req", "resp", "query", "token",
];

/// Where the time is.
const TIMES: [&str; 4] = ["@timestamp", "timestamp", "time", "date"];

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    // Most JSON is no such event: do not read all of it to find that out.
    let likely = |(text, marks): &(&str, &[&str])| {
        line.contains(text) && marks.iter().any(|mark| line.contains(mark))
    };
    let is_likely = SHAPES.iter().any(likely) || line.contains("HTTP/") || line.contains("{\\\"");
    if !line.starts_with('{') || !is_likely {
        return false;
    }
    let Ok(event) = serde_json::from_str::<Map<String, Value>>(line) else {
        return false;
    };
    let text = SHAPES.iter().find_map(|(text, marks)| {
        let marked = marks.iter().any(|mark| event.contains_key(*mark));
        event.get(*text)?.as_str().filter(|_| marked)
    });
    let text = text.or_else(|| unmarked(&event));
    let known = text.is_some();
    entries.extend(text.map(|text| Entry::whole(text.to_owned(), time_of(&event))));
    known
}

/// The line in an event that anything may have made.
fn unmarked(event: &Map<String, Value>) -> Option<&str> {
    let of_request = |name: &String| {
        let name = name.to_ascii_lowercase();
        name == "ip" || name == "res" || OF_REQUESTS.iter().any(|part| name.contains(part))
    };
    if event.keys().any(of_request) {
        return None;
    }
    let mut texts = TEXTS.iter().filter_map(|name| event.get(*name)?.as_str());
    texts.find(|text| is_request(text))
}

/// True for an object, and for a text with a quoted request and a status behind it: `"GET / HTTP/1.1" 200`.
fn is_request(text: &str) -> bool {
    if text.starts_with("{\"") {
        return true;
    }
    let Some((_, version)) = text.split_once(" HTTP/") else {
        return false;
    };
    let behind = version
        .split_once("\" ")
        .map(|(_, behind)| behind.as_bytes());
    behind.is_some_and(|behind| {
        let status = behind.iter().take_while(|byte| byte.is_ascii_digit());
        status.count() == 3
    })
}

fn time_of(event: &Map<String, Value>) -> Option<Time> {
    let time = TIMES.iter().find_map(|name| event.get(*name))?;
    match time {
        Value::String(text) => stamp::rfc3339(text),
        // Fluent Bit's `date` is seconds with a fraction.
        Value::Number(seconds) => {
            let ms = seconds.as_f64()? * 1000.0;
            Time::from_ms(ms as i64)
        }
        _ => None,
    }
}
