//! OpenTelemetry's log records in JSON, as the collector's file exporter writes them: many in a line.
//!
//! In: `{"resourceLogs":[…]}`. Out: the body of each record where that is a line; where the request stands in the
//! attributes, those as one JSON object, with the body under `body`.
//! Does not know: what attributes mean: their names are those of the semantic conventions, which formats know.
//! Source: OpenTelemetry, "OTLP specification", JSON Protobuf encoding; `opentelemetry/proto/logs/v1/logs.proto`;
//! "Semantic conventions for HTTP spans".

use super::{Around, Entry, Wrapper};
use crate::domain::time::Time;
use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "otlp",
    about: "OpenTelemetry log records in JSON (file exporter of the collector)",
    peel,
};

/// Attributes under these names say that the request is told by attributes.
const OF_REQUESTS: [&str; 4] = ["http.", "url.", "client.", "user_agent."];

/// Values within values: what is deeper says nothing.
const DEPTH_MAX: usize = 16;

#[derive(Deserialize)]
struct Export {
    #[serde(rename = "resourceLogs")]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default, rename = "scopeLogs")]
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    #[serde(default, rename = "logRecords")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Record {
    time_unix_nano: Value,
    observed_time_unix_nano: Value,
    body: Value,
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    key: String,
    #[serde(default)]
    value: Value,
}

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    if !line.starts_with('{') || !line.contains("\"resourceLogs\"") {
        return false;
    }
    let Ok(export) = serde_json::from_str::<Export>(line) else {
        return false;
    };
    let scopes = export.resources.into_iter().flat_map(|one| one.scopes);
    let records = scopes.flat_map(|scope| scope.records);
    entries.extend(records.map(|record| {
        let written = time_of(&record);
        Entry::whole(text_of(record, written), written)
    }));
    true
}

fn text_of(record: Record, written: Option<Time>) -> String {
    let names = |attribute: &Attribute| {
        let mut names = OF_REQUESTS.iter();
        names.any(|name| attribute.key.starts_with(name))
    };
    let body = plain(record.body, DEPTH_MAX);
    if !record.attributes.iter().any(names) {
        return match body {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
    }
    let mut event = Map::new();
    for Attribute { key, value } in record.attributes {
        event.insert(key, plain(value, DEPTH_MAX));
    }
    event.insert("body".to_owned(), body);
    if let Some(time) = written {
        event.insert("@timestamp".to_owned(), time.to_string().into());
    }
    Value::Object(event).to_string()
}

/// A value without the word for its type around it (`AnyValue`).
fn plain(value: Value, depth: usize) -> Value {
    let Value::Object(any) = value else {
        return Value::Null;
    };
    let Some((kind, value)) = any.into_iter().next() else {
        return Value::Null;
    };
    let Some(deeper) = depth.checked_sub(1) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        // 64 bits stand in text.
        ("intValue", Value::String(digits)) => match digits.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => digits.into(),
        },
        ("arrayValue", Value::Object(mut array)) => match array.remove("values") {
            Some(Value::Array(values)) => {
                let values = values.into_iter().map(|value| plain(value, deeper));
                values.collect()
            }
            _ => Value::Null,
        },
        ("kvlistValue", Value::Object(mut list)) => match list.remove("values") {
            Some(Value::Array(pairs)) => Value::Object(
                pairs
                    .into_iter()
                    .filter_map(|pair| {
                        let Attribute { key, value } = serde_json::from_value(pair).ok()?;
                        Some((key, plain(value, deeper)))
                    })
                    .collect(),
            ),
            _ => Value::Null,
        },
        (_, value) => value,
    }
}

fn time_of(record: &Record) -> Option<Time> {
    let nanos = |value: &Value| match value {
        Value::String(digits) => digits.parse::<i64>().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    };
    let times = [&record.time_unix_nano, &record.observed_time_unix_nano];
    let nanos = times
        .into_iter()
        .filter_map(nanos)
        .find(|nanos| *nanos > 0)?;
    Time::from_ms(nanos / 1_000_000)
}
