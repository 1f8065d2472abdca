//! Kong: the JSON of its file, HTTP, TCP, UDP and syslog log plugins.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: tokens in the Authorization header, which Kong writes as REDACTED; the consumer is the user.
//! Source: Kong, "File Log", <https://developer.konghq.com/plugins/file-log/>. `client_ip` is resolved by
//! `trusted_ips`.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use super::text::Unit;

pub(super) static FORMAT: Format = Format {
    name: "kong",
    aliases: &["kong_json"],
    about: "Kong's log plugins: request, response, latencies, consumer",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[&[r#""started_at""#, r#""latencies""#]],
    names: &[
        ("started_at", Slot::Time, 3),
        ("client_ip", Slot::Client, 2),
        ("request.method", Slot::Method, 2),
        ("request.uri", Slot::Target, 3),
        ("request.url", Slot::Target, 1),
        ("request.id", Slot::RequestId, 2),
        ("response.status", Slot::Status, 2),
        ("response.size", Slot::Bytes, 2),
        ("latencies.request", Slot::Duration(Unit::Milliseconds), 2),
        ("consumer.username", Slot::User, 2),
        ("consumer.custom_id", Slot::User, 1),
        ("service.host", Slot::Other, 0),
        ("service.path", Slot::Other, 0),
    ],
    kinds: &[],
    tells_failure: false,
};
