//! Microsoft Entra ID: sign-in logs, as diagnostic settings and Microsoft Graph write them.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: the `sub` of a token, which Entra makes for each application; `uniqueTokenIdentifier` is the
//! token's `uti`.
//! Source: Microsoft, "signIn resource type", <https://learn.microsoft.com/en-us/graph/api/resources/signin>, and
//! "Track and investigate identity activities with linkable identifiers",
//! <https://learn.microsoft.com/en-us/entra/identity/authentication/how-to-authentication-track-linkable-identifiers>.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use crate::domain::event::EventKind;
use crate::domain::token::Claim;

pub(super) static FORMAT: Format = Format {
    name: "entra",
    aliases: &["entra_id", "azure_ad"],
    about: "Entra sign-in logs: uniqueTokenIdentifier, ipAddress, userId",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[
        &[r#""uniqueTokenIdentifier""#, r#""ipAddress""#],
        &[r#""SignInLogs""#],
        &[r#""NonInteractiveUserSignInLogs""#],
    ],
    names: &[
        ("properties.createdDateTime", Slot::Time, 3),
        ("properties.ipAddress", Slot::Client, 3),
        (
            "properties.uniqueTokenIdentifier",
            Slot::Claim(Claim::Jti),
            2,
        ),
        ("properties.sessionId", Slot::Claim(Claim::Sid), 2),
        ("properties.appId", Slot::Claim(Claim::Azp), 2),
        ("properties.userId", Slot::User, 1),
        ("properties.userPrincipalName", Slot::User, 3),
        ("properties.userAgent", Slot::UserAgent, 3),
        ("properties.status.errorCode", Slot::Failure, 2),
        ("properties.incomingTokenType", Slot::Grant, 2),
        ("properties.isInteractive", Slot::Kind, 2),
        ("properties.correlationId", Slot::RequestId, 3),
        ("createdDateTime", Slot::Time, 3),
        ("ipAddress", Slot::Client, 3),
        ("uniqueTokenIdentifier", Slot::Claim(Claim::Jti), 2),
        ("sessionId", Slot::Claim(Claim::Sid), 2),
        ("appId", Slot::Claim(Claim::Azp), 2),
        ("userId", Slot::User, 1),
        ("userPrincipalName", Slot::User, 3),
        ("userAgent", Slot::UserAgent, 3),
        ("status.errorCode", Slot::Failure, 2),
        ("incomingTokenType", Slot::Grant, 2),
        ("isInteractive", Slot::Kind, 2),
        ("correlationId", Slot::RequestId, 3),
        ("time", Slot::Time, 2),
        ("callerIpAddress", Slot::Client, 1),
    ],
    kinds: &[("true", EventKind::Login), ("false", EventKind::Issued)],
    tells_failure: false,
};
