//! Azure Application Gateway: ApplicationGatewayAccessLog, both versions.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: headers but the user agent. The gateway sees its client itself.
//! Source: Microsoft, "Monitoring data reference for Azure Application Gateway",
//! <https://learn.microsoft.com/en-us/azure/application-gateway/monitor-application-gateway-reference>. `timeTaken`
//! is in milliseconds in version 1 and a fraction of seconds in version 2.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use super::text::Unit;

pub(super) static FORMAT: Format = Format {
    name: "azure_application_gateway",
    aliases: &["azure_appgw", "application_gateway"],
    about: "ApplicationGatewayAccessLog: clientIP, requestUri, httpStatus",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[
        &[r#""ApplicationGatewayAccessLog""#],
        &[r#""clientIP""#, r#""requestUri""#, r#""httpStatus""#],
    ],
    names: &[
        ("properties.clientIP", Slot::Client, 3),
        ("properties.httpMethod", Slot::Method, 2),
        ("properties.originalRequestUriWithArgs", Slot::Target, 3),
        ("properties.requestUri", Slot::Path, 2),
        ("properties.requestQuery", Slot::Query, 2),
        ("properties.userAgent", Slot::UserAgent, 3),
        ("properties.httpStatus", Slot::Status, 3),
        ("properties.sentBytes", Slot::Bytes, 3),
        ("properties.timeTaken", Slot::Duration(Unit::ByShape), 3),
        ("properties.host", Slot::Host, 2),
        ("properties.originalHost", Slot::Host, 3),
        ("properties.transactionId", Slot::RequestId, 2),
        ("clientIP", Slot::Client, 3),
        ("httpMethod", Slot::Method, 2),
        ("originalRequestUriWithArgs", Slot::Target, 3),
        ("requestUri", Slot::Path, 2),
        ("requestQuery", Slot::Query, 2),
        ("userAgent", Slot::UserAgent, 3),
        ("httpStatus", Slot::Status, 3),
        ("sentBytes", Slot::Bytes, 3),
        ("timeTaken", Slot::Duration(Unit::ByShape), 3),
        ("host", Slot::Host, 2),
        ("originalHost", Slot::Host, 3),
        ("transactionId", Slot::RequestId, 2),
        ("timeStamp", Slot::Time, 3),
        ("time", Slot::Time, 2),
        ("TimeGenerated", Slot::Time, 2),
    ],
    kinds: &[],
    tells_failure: false,
};
