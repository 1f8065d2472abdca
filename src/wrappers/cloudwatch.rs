//! CloudWatch Logs: the envelope of a subscription, and the rows of a query.
//!
//! In: a line of JSON: one `DATA_MESSAGE` or, as Firehose writes them to S3, several without anything between; or one
//! object with `@message`. Out: the text of every log event.
//! Does not know: log groups and streams. A `CONTROL_MESSAGE` holds no line.
//! Source: AWS, "Log group-level subscription filters" (payload); "CloudWatch Logs Insights" (`@message`).

use super::{Around, Entry, Wrapper, stamp};
use crate::domain::time::Time;
use serde::Deserialize;
use std::borrow::Cow;

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "cloudwatch",
    about: "CloudWatch Logs subscriptions (Firehose, Lambda, Kinesis) and Insights",
    peel,
};

#[derive(Deserialize)]
#[serde(untagged)]
enum Envelope<'a> {
    Subscription {
        #[serde(rename = "messageType", borrow)]
        kind: Cow<'a, str>,
        #[serde(rename = "logEvents", borrow)]
        events: Vec<Event<'a>>,
    },
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
    if !line.contains("\"logEvents\"") && !line.contains("\"@message\"") {
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
            Envelope::Row { message, time } => {
                let written = time.and_then(|time| row_time(&time));
                entries.push(Entry::whole(message, written));
            }
        }
    }
    true
}

/// `2026-05-04 10:11:12.345`, in UTC.
fn row_time(text: &str) -> Option<Time> {
    stamp::rfc3339(&format!("{}Z", text.replacen(' ', "T", 1)))
}
