//! Misuse: real tokens in places that they were not made for.
//!
//! In: the token's `typ` and `aud`. Out: `misuse.type`, `misuse.audience`.
//! Does not know: signatures; who sent it. A token without `typ` or `aud` says nothing of either, and where no
//! audiences are configured none is foreign.
//! Source: RFC 8725, sections 3.9 (audience) and 3.11 (explicit typing).

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};

/// Kinds of token that are never an access token: OpenID Connect Back-Channel Logout 1.0, section 2.4; RFC 8417,
/// section 2.3; RFC 9449, section 4.2; RFC 9701, section 5; RFC 9101, section 10.8.
const OTHER_KINDS: [&str; 5] = [
    "logout+jwt",
    "secevent+jwt",
    "dpop+jwt",
    "token-introspection+jwt",
    "oauth-authz-req+jwt",
];

pub(super) static DETECTOR: Detector = Detector {
    name: "misuse",
    facts: &[Fact::MisuseType, Fact::MisuseAudience],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    // What stands in a link is no attempt to enter with it.
    if !look.usage.place.presents() {
        return;
    }
    let typ = look.usage.token.typ.as_deref();
    facts.flag(Fact::MisuseType, typ.is_some_and(is_other_kind));
    facts.flag(Fact::MisuseAudience, look.foreign_audience);
}

/// Media types compare without case, and `application/` may be left out (RFC 7515, section 4.1.9).
fn is_other_kind(typ: &str) -> bool {
    const PREFIX: &str = "application/";
    let named = typ.get(..PREFIX.len());
    let bare = match named.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
        true => typ.get(PREFIX.len()..).unwrap_or_default(),
        false => typ,
    };
    OTHER_KINDS
        .iter()
        .any(|kind| bare.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kinds_that_are_never_access_tokens_are_misused() {
        for other in ["logout+jwt", "application/DPoP+JWT", "secevent+jwt"] {
            assert!(is_other_kind(other), "{other}");
        }
        for access in [
            "JWT",
            "at+jwt",
            "application/at+jwt",
            "",
            "JOSE",
            "applicationé",
        ] {
            assert!(!is_other_kind(access), "{access}");
        }
    }
}
