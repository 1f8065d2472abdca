//! CloudWatch Logs: the envelope of a subscription, the rows of a query, exports, and what the command line shows.
//!
//! In: a line of an export to S3, which has a stamp before it; or of JSON: one `DATA_MESSAGE` or, as Firehose writes
//! them to S3, several without anything between; or one object with `@message`, or an event of `filter-log-events`.
//! Out: the text of every log event.
//! Does not know: log groups and streams. A `CONTROL_MESSAGE` holds no line.
//! Source: AWS, "Log group-level subscription filters" (payload); "CloudWatch Logs Insights" (`@message`).

use super::{Around, Entry, Wrapper, stamp};
use crate::domain::time::Time;
use serde::Deserialize;
use std::borrow::Cow;

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "cloudwatch",
    about: "CloudWatch Logs subscriptions (Firehose, Lambda, Kinesis), exports, Insights",
    peel,
};

/// What gives a line away: a subscription, a query, an event as `get-log-events` and `filter-log-events` show it.
const MARKS: [&str; 3] = ["\"logEvents\"", "\"@message\"", "\"ingestionTime\""];

/// `2026-05-04T10:11:12.345Z`
const EXPORT_STAMP_BYTES: usize = 24;

#[derive(Deserialize)]
#[serde(untagged)]
enum Envelope<'a> {
    Subscription {
        #[serde(rename = "messageType", borrow)]
        kind: Cow<'a, str>,
        #[serde(rename = "logEvents", borrow)]
        events: Vec<Event<'a>>,
    },
    Told(Event<'a>),
    Row {
        #[serde(rename = "@message", borrow)]
        message: Cow<'a, str>,
        #[serde(rename = "@timestamp", borrow)]
        time: Option<Cow<'a, str>>,
    },
}

#[derive(Deserialize)]
struct Event<'a> {
    timestamp: i64,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    if let Some((written, text)) = exported(line) {
        entries.push(Entry::whole(text, Some(written)));
        return true;
    }
    if !MARKS.iter().any(|mark| line.contains(mark)) {
        return false;
    }
    let envelopes: Result<Vec<_>, _> = serde_json::Deserializer::from_str(line)
        .into_iter::<Envelope<'a>>()
        .collect();
    let Ok(envelopes) = envelopes else {
        return false;
    };
    for envelope in envelopes {
        match envelope {
            Envelope::Subscription { kind, events } if kind == "DATA_MESSAGE" => {
                let entry =
                    |event: Event<'a>| Entry::whole(event.message, Time::from_ms(event.timestamp));
                entries.extend(events.into_iter().map(entry));
            }
            Envelope::Subscription { .. } => {}
            Envelope::Told(Event { message, timestamp }) => {
                entries.push(Entry::whole(message, Time::from_ms(timestamp)));
            }
            Envelope::Row { message, time } => {
                let written = time.and_then(|time| row_time(&time));
                entries.push(Entry::whole(message, written));
            }
        }
    }
    true
}

/// A line of an export to S3: `2026-05-04T10:11:12.345Z`, a space, the message.
fn exported(line: &str) -> Option<(Time, &str)> {
    let text = line.get(EXPORT_STAMP_BYTES..)?.strip_prefix(' ')?;
    let stamp = line.get(..EXPORT_STAMP_BYTES)?;
    let whole = stamp.ends_with('Z') && stamp.as_bytes().get(19) == Some(&b'.');
    Some((stamp::rfc3339(stamp).filter(|_| whole)?, text))
}

/// `2026-05-04 10:11:12.345`, in UTC.
fn row_time(text: &str) -> Option<Time> {
    stamp::rfc3339(&format!("{}Z", text.replacen(' ', "T", 1)))
}
