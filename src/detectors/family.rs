//! Family: two tokens of one session that live side by side in two hands.
//!
//! In: the newest token of the session's holder, and a token that is new. Out: `proof.family_fork`,
//! `session.weaker_auth`.
//! Does not know: refresh tokens. Who got a fresh token of his own has the refresh token, too: the access token alone
//! would be the holder's. Tabs that renew at once, applications that share a session, and a holder who moves or changes
//! the program are no fork. `acr` is not compared: issuers lower it when a session is only continued.
//! Source: RFC 9700, section 4.14.2.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::families::Line;

/// Tabs and retries renew within this time: the reuse intervals that providers allow are 0 to 60 s, mostly 30 (Auth0
/// "reuse interval", Okta "grace period").
const GRACE_S: i64 = 30;

pub(super) static DETECTOR: Detector = Detector {
    name: "family",
    facts: &[Fact::ProofFamilyFork, Fact::SessionWeakerAuth],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    // A token that was used before is the holder's own, or a copy of it.
    let (Some(own), false) = (look.family, look.entry.accepted) else {
        return;
    };
    let this = Line::of(look.usage.token, look.client);
    let Some(this) = this.filter(|_| look.standing.accepted) else {
        return;
    };
    let elsewhere = facts.is(Fact::DriftNetwork) && facts.is(Fact::DriftClient);
    facts.flag(
        Fact::ProofFamilyFork,
        elsewhere && this.forks(&own, GRACE_S),
    );
    facts.flag(Fact::SessionWeakerAuth, this.is_weaker_than(&own));
}
