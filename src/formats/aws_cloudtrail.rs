//! AWS CloudTrail: one record a line.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: files as CloudTrail delivers them, one object with all records: they are cut while they are read.
//! Source: AWS, "CloudTrail record contents",
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>.
//! `sourceIPAddress` may be the name of a service. A record has no status: it names an error, or there was none.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use crate::domain::token::Claim;

pub(super) static FORMAT: Format = Format {
    name: "aws_cloudtrail",
    aliases: &["cloudtrail"],
    about: "CloudTrail records: eventSource, eventName, sourceIPAddress",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[&[r#""eventSource""#, r#""eventName""#, r#""eventVersion""#]],
    names: &[
        ("eventTime", Slot::Time, 2),
        ("sourceIPAddress", Slot::Remote, 2),
        ("eventSource", Slot::Host, 2),
        ("eventName", Slot::Path, 3),
        ("userAgent", Slot::UserAgent, 2),
        ("requestID", Slot::RequestId, 2),
        ("eventID", Slot::RequestId, 1),
        ("errorCode", Slot::Failure, 2),
        ("userIdentity.userName", Slot::User, 2),
        ("userIdentity.arn", Slot::User, 1),
        ("userIdentity.principalId", Slot::Other, 0),
        (
            "responseElements.subjectFromWebIdentityToken",
            Slot::Claim(Claim::Sub),
            2,
        ),
        ("responseElements.audience", Slot::Claim(Claim::Aud), 2),
        ("responseElements.provider", Slot::Claim(Claim::Iss), 2),
    ],
    kinds: &[],
    tells_failure: true,
};
