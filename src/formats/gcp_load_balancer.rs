//! Google Cloud Application Load Balancer, as Cloud Logging exports it.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: headers, of which the log holds user agent and referer alone.
//! Source: Google Cloud, "Global external Application Load Balancer logging and monitoring",
//! <https://cloud.google.com/load-balancing/docs/https/https-logging-monitoring>, and "LogEntry",
//! <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest>.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use super::text::Unit;

pub(super) static FORMAT: Format = Format {
    name: "gcp_load_balancer",
    aliases: &["gcp_lb", "google_load_balancer", "gcp"],
    about: "Cloud Logging entries with httpRequest",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[
        &[r#""httpRequest""#, r#""requestUrl""#],
        &[r#""httpRequest""#, r#""remoteIp""#],
    ],
    names: &[
        ("timestamp", Slot::Time, 3),
        ("httpRequest.remoteIp", Slot::Client, 3),
        ("httpRequest.requestMethod", Slot::Method, 2),
        ("httpRequest.requestUrl", Slot::Target, 3),
        ("httpRequest.status", Slot::Status, 3),
        ("httpRequest.responseSize", Slot::Bytes, 3),
        ("httpRequest.userAgent", Slot::UserAgent, 3),
        ("httpRequest.referer", Slot::Referer, 2),
        ("httpRequest.latency", Slot::Duration(Unit::Seconds), 3),
        ("insertId", Slot::RequestId, 1),
        ("trace", Slot::Other, 0),
        ("httpRequest.serverIp", Slot::Other, 0),
    ],
    kinds: &[],
    tells_failure: false,
};
