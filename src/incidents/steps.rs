//! Steps 1 and 2: password and revocation, with the calls that would do them.
//!
//! In: a [`Case`]. Out: [`PasswordStep`], [`RevokeStep`].
//! Does not know: which providers are configured (the response layer makes the calls); whom a mail
//! reaches.
//! Source: the vendors' API pages, named at each row; RFC 7009 (revocation).

use super::case::{Case, Key};
use super::targets::Targets;
use crate::domain::incident::{PasswordStep, RevokeStep, Target};
use crate::domain::time::Time;
use std::fmt::Write as _;

/// Calls listed: one for each session and subject; more are of the same kind.
const CALLS_MAX: usize = 10;

/// How one identity provider does it. `{realm}`, `{sub}` and `{sid}` are filled in,
/// percent-encoded.
struct Vendor {
    name: &'static str,
    /// What an issuer of this vendor contains.
    issuer: &'static str,
    end_session: Option<&'static str>,
    end_all: &'static str,
    force_password: &'static str,
}

/// The first whose mark stands in the issuer; Keycloak's calls stand for the unknown, as an
/// example.
const VENDORS: &[Vendor] = &[
    // <https://www.keycloak.org/docs-api/latest/rest-api/>
    Vendor {
        name: "Keycloak",
        issuer: "/realms/",
        end_session: Some("DELETE /admin/realms/{realm}/sessions/{sid}"),
        end_all: "POST /admin/realms/{realm}/users/{sub}/logout",
        force_password: "PUT /admin/realms/{realm}/users/{sub} \
                         requiredActions [\"UPDATE_PASSWORD\"]",
    },
    // <https://auth0.com/docs/api/management/v2>
    Vendor {
        name: "Auth0",
        issuer: ".auth0.com",
        end_session: Some("POST /api/v2/sessions/{sid}/revoke"),
        end_all: "DELETE /api/v2/users/{sub}/sessions",
        force_password: "POST /api/v2/tickets/password-change user_id {sub}",
    },
    // <https://developer.okta.com/docs/api/>
    Vendor {
        name: "Okta",
        issuer: ".okta.com",
        end_session: None,
        end_all: "DELETE /api/v1/users/{sub}/sessions?oauthTokens=true",
        force_password: "POST /api/v1/users/{sub}/lifecycle/expire_password",
    },
    // <https://learn.microsoft.com/graph/api/user-revokesigninsessions>
    Vendor {
        name: "Microsoft Graph",
        issuer: "login.microsoftonline.com",
        end_session: None,
        end_all: "POST /v1.0/users/{sub}/revokeSignInSessions",
        force_password: "PATCH /v1.0/users/{sub} passwordProfile.forceChangePasswordNextSignIn \
                         true",
    },
    // <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/>
    Vendor {
        name: "Cognito",
        issuer: "cognito-idp.",
        end_session: None,
        end_all: "AdminUserGlobalSignOut Username={sub}",
        force_password: "AdminResetUserPassword Username={sub}",
    },
];

impl Vendor {
    fn of(issuer: &str) -> &'static Self {
        let known = VENDORS.iter().find(|vendor| issuer.contains(vendor.issuer));
        known.unwrap_or(&VENDORS[0])
    }

    fn call(&self, template: &str, issuer: &str, sub: &str, sid: &str) -> String {
        let realm = issuer.split_once("/realms/").map(|(_, after)| after);
        let realm = realm.and_then(|after| after.split('/').next());
        let call = template
            .replace("{realm}", &realm.map_or("{realm}".into(), encoded))
            .replace("{sub}", &encoded(sub))
            .replace("{sid}", &encoded(sid));
        format!("{call} ({})", self.name)
    }
}

/// Step 1.
pub(super) fn password(case: &Case) -> PasswordStep {
    let no = |advice: &str| PasswordStep {
        needed: false,
        subject: case.subject.clone(),
        advice: advice.to_owned(),
        calls: Vec::new(),
    };
    let (Some(sub), Key::Account(_)) = (&case.subject, &case.key) else {
        return no("not needed: nobody's account was entered");
    };
    if case.accepted_forgery {
        return no("not needed: the token was made, not taken, so a new password keeps nobody out");
    }
    if case.causes.is_planted() {
        return no(
            "not needed: the token was planted, and nobody owns it; whoever could read the place where it lay may have found others",
        );
    }
    if case.machine {
        return no(
            "not needed: a program has no password; rotate its client secret or key instead",
        );
    }
    let calls = case.issuer.as_deref().map(|issuer| {
        let vendor = Vendor::of(issuer);
        vendor.call(vendor.force_password, issuer, sub, "")
    });
    PasswordStep {
        needed: true,
        subject: Some(sub.clone()),
        advice: format!(
            "ask {sub} over another channel to change the password now; force it at the next \
             sign-in if nobody answers (not for federated or passwordless accounts)"
        ),
        calls: calls.into_iter().collect(),
    }
}

/// Step 2.
pub(super) fn revoke(case: &Case) -> RevokeStep {
    let mut step = revoke_tokens(&case.targets, case.last);
    match &case.key {
        Key::Sender(prefix) => {
            step.advice = format!("nothing to revoke: no token of {prefix} was accepted");
        }
        Key::Gateway(..) => {
            step.advice =
                "nothing to revoke: mend the gateway first, or it accepts the next one too"
                    .to_owned();
        }
        _ if case.causes.is_planted() => {
            step.advice =
                "deny it at the gateway; it opens nothing that anybody needs, so nobody is logged out"
                    .to_owned();
        }
        _ if case.accepted_forgery => {
            step.advice = "fix the verification first: a forger makes another token at once; \
                           then deny this one at the gateway"
                .to_owned();
        }
        _ => {}
    }
    step
}

/// The targets, the calls for them, and what every self-contained token has in common.
pub(super) fn revoke_tokens(targets: &Targets, last: Time) -> RevokeStep {
    let list = targets.list(last);
    let mut calls: Vec<String> = list.iter().filter_map(call).collect();
    let more = calls.len().saturating_sub(CALLS_MAX);
    calls.truncate(CALLS_MAX);
    if more > 0 {
        calls.push(format!("and {more} more of the same kind"));
    }
    let mut advice =
        "deny at the gateway too: services that verify alone accept them until exp".to_owned();
    if targets.never_expires() {
        advice.push_str(
            "; a token at stake names no exp, so only the gateway or a new signing key ends it",
        );
    }
    if targets.cut() {
        advice.push_str("; there were more tokens than are listed: revoke by sid or subject");
    }
    RevokeStep {
        targets: list,
        calls,
        advice,
    }
}

/// The call that ends a target at the identity provider; single tokens are the gateway's matter.
fn call(target: &Target) -> Option<String> {
    match target {
        Target::Jti { .. } | Target::Token { .. } | Target::Address { .. } => None,
        Target::Sid { iss, sid } => {
            let vendor = Vendor::of(iss);
            Some(vendor.call(vendor.end_session?, iss, "", sid))
        }
        Target::Subject { iss, sub, .. } => {
            let vendor = Vendor::of(iss);
            Some(vendor.call(vendor.end_all, iss, sub, ""))
        }
    }
}

/// Percent-encoding of everything but unreserved characters (RFC 3986, section 2.3): what a client
/// wrote into a token must not add a path to a call.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_realm_and_subject_and_nothing_can_be_smuggled_into_it() {
        let issuer = "https://idp.example.com/realms/shop";
        let vendor = Vendor::of(issuer);
        assert_eq!(
            vendor.call(vendor.end_all, issuer, "../admin?x", ""),
            "POST /admin/realms/shop/users/..%2Fadmin%3Fx/logout (Keycloak)"
        );
        let unknown = Vendor::of("https://idp.example.com/");
        assert_eq!(
            unknown.call(unknown.end_all, "https://idp.example.com/", "alice", ""),
            "POST /admin/realms/{realm}/users/alice/logout (Keycloak)"
        );
        assert_eq!(Vendor::of("https://shop.eu.auth0.com/").name, "Auth0");
    }
}
