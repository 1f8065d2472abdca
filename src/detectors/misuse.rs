//! Misuse: real tokens in places that they were not made for.
//!
//! In: the token's `typ`, `aud` and tenant, and what its client is like. Out: `misuse.type`, `misuse.audience`,
//! `misuse.tenant`, `misuse.scope_10m`, `misuse.machine_in_browser`, `misuse.user_in_tool`,
//! `misuse.machine_off_network`.
//! Does not know: signatures; who sent it. A token without `typ` or `aud` says nothing of either, where no
//! audiences are configured none is foreign, and a client of which little is known is not strange.
//! Source: RFC 8725, sections 3.9 (audience) and 3.11 (explicit typing).

use super::{Detector, Look};
use crate::domain::context::ClientKind;
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

/// So many tokens show what a client is like.
const TOKENS_MIN: u32 = 20;

/// What one token in so many does is no habit of a client.
const RARE: u32 = 20;

pub(super) static DETECTOR: Detector = Detector {
    name: "misuse",
    facts: &[
        Fact::MisuseType,
        Fact::MisuseAudience,
        Fact::MisuseTenant,
        Fact::MisuseScope10m,
        Fact::MisuseMachineInBrowser,
        Fact::MisuseUserInTool,
        Fact::MisuseMachineOffNetwork,
    ],
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
    facts.flag(Fact::MisuseTenant, look.other_tenant);
    if look.forbidden > 0 {
        facts.set(Fact::MisuseScope10m, look.forbidden as f64);
    }
    if !look.repeats && look.standing.accepted {
        of_client(look, facts);
    }
}

/// What speaks against who its client is.
fn of_client(look: &Look<'_>, facts: &mut Facts) {
    let here = look.usage.context;
    let kind = here.client_kind();
    if !look.usage.token.is_machine() {
        let by_hand = look.nature.is_some_and(|nature| {
            nature.in_person >= TOKENS_MIN && nature.in_tools * RARE <= nature.in_person
        });
        facts.flag(Fact::MisuseUserInTool, by_hand && kind == ClientKind::Tool);
        return;
    }
    // People who try a machine's token out in a browser, again and again, are a habit.
    let habit = look
        .nature
        .is_some_and(|nature| nature.machines_in_person * RARE > nature.machine_tokens());
    let in_browser = kind == ClientKind::Browser && !habit;
    facts.flag(Fact::MisuseMachineInBrowser, in_browser);
    let off = look.nature.zip(here.network.as_ref());
    let off = off.is_some_and(|(nature, network)| {
        nature.machine_tokens() >= TOKENS_MIN && nature.never_has_machines_in(network.asn)
    });
    facts.flag(Fact::MisuseMachineOffNetwork, off && !here.is_internal());
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
