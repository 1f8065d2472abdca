//! Auth0: tenant logs, as its log streams and its management API write them.
//!
//! In: a line. Out: [`AccessEvent`](crate::domain::event::AccessEvent).
//! Does not know: ids of tokens, which Auth0 does not log; it joins by session and by user.
//! Source: Auth0, "Log Event Type Codes", <https://auth0.com/docs/deploy-monitor/logs/log-event-type-codes>.

use super::Format;
use super::json::{Dialect, open_dialect};
use super::names::Slot;
use crate::domain::event::EventKind;
use crate::domain::token::Claim;

pub(super) static FORMAT: Format = Format {
    name: "auth0",
    aliases: &["auth0_logs"],
    about: "Auth0 tenant logs: log_id, date, type",
    open: |names| open_dialect(names, &DIALECT),
};

static DIALECT: Dialect = Dialect {
    marks: &[&[r#""log_id""#, r#""date""#]],
    names: &[
        ("data.date", Slot::Time, 3),
        ("data.type", Slot::Kind, 2),
        ("data.ip", Slot::Client, 3),
        ("data.user_agent", Slot::UserAgent, 3),
        ("data.user_id", Slot::Claim(Claim::Sub), 2),
        ("data.client_id", Slot::Claim(Claim::Azp), 2),
        ("data.session_id", Slot::Claim(Claim::Sid), 2),
        ("data.details.session_id", Slot::Claim(Claim::Sid), 2),
        ("data.user_name", Slot::User, 2),
        ("data.hostname", Slot::Host, 2),
        ("data.log_id", Slot::RequestId, 3),
        ("data.tracking_id", Slot::RequestId, 1),
        ("date", Slot::Time, 3),
        ("type", Slot::Kind, 2),
        ("ip", Slot::Client, 3),
        ("user_agent", Slot::UserAgent, 3),
        ("user_id", Slot::Claim(Claim::Sub), 2),
        ("client_id", Slot::Claim(Claim::Azp), 2),
        ("session_id", Slot::Claim(Claim::Sid), 2),
        ("details.session_id", Slot::Claim(Claim::Sid), 2),
        ("user_name", Slot::User, 2),
        ("hostname", Slot::Host, 2),
        ("log_id", Slot::RequestId, 3),
        ("tracking_id", Slot::RequestId, 1),
    ],
    kinds: &[
        ("s", EventKind::Login),
        ("ssa", EventKind::Login),
        ("f", EventKind::LoginRefused),
        ("fp", EventKind::LoginRefused),
        ("fu", EventKind::LoginRefused),
        ("fsa", EventKind::LoginRefused),
        ("pwd_leak", EventKind::LoginRefused),
        ("limit_wc", EventKind::LoginRefused),
        ("limit_mu", EventKind::LoginRefused),
        ("seacft", EventKind::Issued),
        ("seccft", EventKind::Issued),
        ("sepft", EventKind::Issued),
        ("seotpft", EventKind::Issued),
        ("seoobft", EventKind::Issued),
        ("sercft", EventKind::Issued),
        ("sede", EventKind::Issued),
        ("sertft", EventKind::Refreshed),
        ("feacft", EventKind::LoginRefused),
        ("feccft", EventKind::LoginRefused),
        ("fepft", EventKind::LoginRefused),
        ("fertft", EventKind::RefreshRefused),
        ("ferrt", EventKind::RefreshReused),
        ("srrt", EventKind::Revoked),
        ("slo", EventKind::Logout),
        ("sslo", EventKind::Logout),
        ("oidc_backchannel_logout_succeeded", EventKind::Logout),
    ],
    tells_failure: false,
};
