//! Cloudflare Logpush: the HTTP requests data set.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: which fields a job was told to push; any subset with a time will do.
//! Source: Cloudflare, "HTTP requests",
//! <https://developers.cloudflare.com/logs/logpush/logpush-job/datasets/zone/http_requests/>. Times are RFC 3339,
//! seconds or nanoseconds, as the job's `timestamp_format` says.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;

pub(super) static FORMAT: Format = Format {
    name: "cloudflare",
    aliases: &["cloudflare_logpush", "logpush"],
    about: "Logpush HTTP requests: ClientIP, ClientRequestURI, EdgeResponseStatus",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[
        &[r#""EdgeStartTimestamp""#],
        &[r#""EdgeEndTimestamp""#],
        &[r#""ClientRequestHost""#, r#""ClientIP""#],
    ],
    names: &[
        ("EdgeStartTimestamp", Slot::Time, 2),
        ("EdgeEndTimestamp", Slot::Time, 3),
        ("Datetime", Slot::Time, 1),
        ("ClientIP", Slot::Client, 3),
        ("ClientRequestMethod", Slot::Method, 2),
        ("ClientRequestURI", Slot::Target, 2),
        ("ClientRequestPath", Slot::Path, 2),
        ("ClientRequestQuery", Slot::Query, 2),
        ("ClientRequestHost", Slot::Host, 2),
        ("ClientRequestReferer", Slot::Referer, 2),
        ("ClientRequestUserAgent", Slot::UserAgent, 2),
        ("EdgeResponseStatus", Slot::Status, 2),
        ("EdgeResponseBytes", Slot::Bytes, 2),
        ("RayID", Slot::RequestId, 2),
        ("JA4", Slot::Ja4, 2),
        ("OriginResponseStatus", Slot::Other, 0),
    ],
    kinds: &[],
    tells_failure: false,
};
