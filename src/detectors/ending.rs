//! Ending: uses after the session was logged out or revoked.
//!
//! In: the session's logout, the token's revocation. Out: `proof.after_logout`, `fault.after_logout`,
//! `fault.after_revocation`, `token.revoked_retry`.
//! Does not know: who revoked it, or why.
//! Source: OpenID Connect RP-Initiated Logout 1.0; RFC 7009, section 3 (a propagation delay is allowed).

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::device::{one_device, same_network};

/// Requests in flight, and validators that poll for revocations, may finish this long after an end.
const IN_FLIGHT_S: f64 = 30.0;

pub(super) static DETECTOR: Detector = Detector {
    name: "ending",
    facts: &[
        Fact::ProofAfterLogout,
        Fact::FaultAfterLogout,
        Fact::FaultAfterRevocation,
        Fact::TokenRevokedRetry,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    after_logout(look, facts);
    let Some(revoked) = look.entry.revoked() else {
        return;
    };
    let late = look.usage.event.start().since_s(revoked) > IN_FLIGHT_S;
    facts.flag(Fact::FaultAfterRevocation, late && look.standing.accepted);
    let own = look.session.is_some_and(|session| {
        session.bound().any(|visit| visit.key == look.key)
            || session.is_known_device(look.usage.context)
    });
    facts.flag(Fact::TokenRevokedRetry, look.standing.refused && !own);
}

fn after_logout(look: &Look<'_>, facts: &mut Facts) {
    let Some((session, logout)) = look.session.and_then(|s| Some((s, s.logout()?))) else {
        return;
    };
    let late = look.usage.event.start().since_s(logout.time) > IN_FLIGHT_S;
    // A token issued after the logout belongs to a new login under the same session id.
    let reissued = look
        .usage
        .token
        .issued_s
        .is_some_and(|iat| iat >= logout.time.as_s());
    if !late || reissued || !look.standing.accepted {
        return;
    }
    let here = look.usage.context;
    // Where the holder was before: another tab, another of the office's lines, a program beside the browser.
    let mut visits = session.visits.iter().enumerate();
    let own = visits.any(|(index, visit)| {
        let there = &visit.context;
        let before = visit.accepted > 0 && !visit.suspect && visit.first <= logout.time;
        let holders = before || index == usize::from(logout.visit);
        let same = one_device(there, here) && same_network(there, here) != Some(false);
        holders && (same || there.line() == here.line())
    });
    let fact = if own {
        Fact::FaultAfterLogout
    } else {
        Fact::ProofAfterLogout
    };
    facts.flag(fact, true);
}
