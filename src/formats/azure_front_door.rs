//! Azure Front Door: FrontDoorAccessLog of the classic, standard and premium tiers.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: whether `clientIp` is true. Front Door takes it from X-Forwarded-For, which anybody may send; the
//! connection's address is `socketIp`, so that is the client, and `clientIp` the chain behind it.
//! Source: Microsoft, "Monitor metrics and logs in Azure Front Door",
//! <https://learn.microsoft.com/en-us/azure/frontdoor/front-door-diagnostics>.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use super::text::Unit;

pub(super) static FORMAT: Format = Format {
    name: "azure_front_door",
    aliases: &["front_door", "azure_frontdoor"],
    about: "FrontDoorAccessLog: socketIp, requestUri, httpStatusCode",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[
        &[r#""FrontDoorAccessLog""#],
        &[r#""FrontdoorAccessLog""#],
        &[r#""trackingReference""#, r#""requestUri""#],
    ],
    names: &[
        ("properties.socketIp", Slot::Remote, 3),
        ("properties.clientIp", Slot::Chain, 3),
        ("properties.httpMethod", Slot::Method, 2),
        ("properties.requestUri", Slot::Target, 3),
        ("properties.userAgent", Slot::UserAgent, 3),
        ("properties.httpStatusCode", Slot::Status, 3),
        ("properties.responseBytes", Slot::Bytes, 3),
        ("properties.timeTaken", Slot::Duration(Unit::Seconds), 3),
        ("properties.hostName", Slot::Host, 1),
        ("properties.host", Slot::Host, 2),
        ("properties.trackingReference", Slot::RequestId, 3),
        ("properties.referer", Slot::Referer, 3),
        ("properties.referrer", Slot::Referer, 3),
        ("socketIp", Slot::Remote, 3),
        ("clientIp", Slot::Chain, 3),
        ("httpMethod", Slot::Method, 2),
        ("requestUri", Slot::Target, 3),
        ("userAgent", Slot::UserAgent, 3),
        ("httpStatusCode", Slot::Status, 3),
        ("responseBytes", Slot::Bytes, 3),
        ("timeTaken", Slot::Duration(Unit::Seconds), 3),
        ("hostName", Slot::Host, 1),
        ("host", Slot::Host, 2),
        ("trackingReference", Slot::RequestId, 3),
        ("referer", Slot::Referer, 3),
        ("referrer", Slot::Referer, 3),
        ("time", Slot::Time, 3),
    ],
    kinds: &[],
    tells_failure: false,
};
