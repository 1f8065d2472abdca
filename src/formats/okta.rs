//! Okta: the System Log.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: the `sub` that a custom claim makes of the user; `actor.id` is the user's id.
//! Source: Okta, "Event types", <https://developer.okta.com/docs/reference/api/event-types/>, and "System Log",
//! <https://developer.okta.com/docs/api/openapi/okta-management/management/tag/SystemLog/>. A token among the
//! targets has `jti` as its id.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use crate::domain::event::EventKind;
use crate::domain::token::Claim;

pub(super) static FORMAT: Format = Format {
    name: "okta",
    aliases: &["okta_system_log"],
    about: "Okta System Log: eventType, published, actor, target",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[
        &[r#""eventType""#, r#""published""#, r#""displayMessage""#],
        &[r#""eventType""#, r#""published""#, r#""actor""#],
    ],
    names: &[
        ("published", Slot::Time, 3),
        ("eventType", Slot::Kind, 2),
        ("outcome.result", Slot::Failure, 2),
        ("client.ipAddress", Slot::Client, 3),
        ("client.userAgent.rawUserAgent", Slot::UserAgent, 3),
        ("actor.id", Slot::Claim(Claim::Sub), 2),
        ("actor.alternateId", Slot::User, 3),
        (
            "authenticationContext.externalSessionId",
            Slot::Claim(Claim::Sid),
            2,
        ),
        ("target.id", Slot::IssuedId, 2),
        ("debugContext.debugData.grantType", Slot::Grant, 2),
        ("debugContext.debugData.requestUri", Slot::Path, 2),
        ("uuid", Slot::RequestId, 3),
        ("debugContext.debugData.requestId", Slot::RequestId, 2),
    ],
    kinds: &[
        ("user.session.start", EventKind::Login),
        ("user.authentication.sso", EventKind::Login),
        ("user.authentication.auth_via_mfa", EventKind::Login),
        ("user.session.end", EventKind::Logout),
        ("user.session.clear", EventKind::Logout),
        ("app.oauth2.token.grant", EventKind::Issued),
        ("app.oauth2.token.grant.access_token", EventKind::Issued),
        ("app.oauth2.token.grant.id_token", EventKind::Issued),
        ("app.oauth2.token.grant.refresh_token", EventKind::Issued),
        ("app.oauth2.token.detect_reuse", EventKind::RefreshReused),
        ("app.oauth2.token.revoke", EventKind::Revoked),
        ("app.oauth2.as.token.grant", EventKind::Issued),
        ("app.oauth2.as.token.grant.access_token", EventKind::Issued),
        ("app.oauth2.as.token.grant.id_token", EventKind::Issued),
        ("app.oauth2.as.token.grant.refresh_token", EventKind::Issued),
        ("app.oauth2.as.token.detect_reuse", EventKind::RefreshReused),
        ("app.oauth2.as.token.revoke", EventKind::Revoked),
    ],
    tells_failure: false,
};
