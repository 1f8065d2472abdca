//! AWS API Gateway: access logs in JSON, whose names the user chooses and AWS's examples suggest.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: names of one's own, for which there is `[source.fields]`. `$context.authorizer.claims.x` are
//! claims.
//! Source: AWS, "Set up CloudWatch logging for REST APIs",
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html>, and "Customize HTTP API
//! access logs", <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html>.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use super::text::Unit;

pub(super) static FORMAT: Format = Format {
    name: "aws_api_gateway",
    aliases: &["api_gateway", "apigateway"],
    about: "API Gateway: requestTime, httpMethod, resourcePath or routeKey, status",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[
        &[r#""requestTime""#, r#""httpMethod""#],
        &[r#""requestTimeEpoch""#, r#""httpMethod""#],
        &[r#""requestTime""#, r#""routeKey""#],
        &[r#""extendedRequestId""#, r#""requestTime""#],
    ],
    names: &[
        ("requestTime", Slot::Time, 2),
        ("requestTimeEpoch", Slot::Time, 3),
        ("ip", Slot::Remote, 2),
        ("sourceIp", Slot::Remote, 2),
        ("identity.sourceIp", Slot::Remote, 2),
        ("httpMethod", Slot::Method, 2),
        ("path", Slot::Path, 3),
        ("resourcePath", Slot::Path, 1),
        ("routeKey", Slot::Other, 0),
        ("protocol", Slot::Other, 0),
        ("responseLength", Slot::Bytes, 2),
        ("responseLatency", Slot::Duration(Unit::Milliseconds), 2),
        ("domainName", Slot::Host, 2),
        ("user", Slot::User, 1),
        ("caller", Slot::User, 0),
        ("authorizer.principalId", Slot::User, 2),
        ("principalId", Slot::User, 2),
        ("extendedRequestId", Slot::RequestId, 1),
        ("userAgent", Slot::UserAgent, 2),
        ("identity.userAgent", Slot::UserAgent, 2),
    ],
    kinds: &[],
    tells_failure: false,
};
