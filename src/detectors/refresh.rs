//! Refresh: a refresh token that was spent comes a second time.
//!
//! In: what an identity provider told of one refresh token. Out: `proof.refresh_reuse`,
//! `refresh.elapsed_s`, `refresh.other_device`.
//! Does not know: which of the two that presented it is the holder. Retries of one device within half a minute are
//! none, and clients that keep one refresh token for all their life are learned.
//! Source: RFC 9700, section 4.14.2; RFC 6819, section 5.2.2.3.

use super::{Detector, Look};
use crate::domain::context::Context;
use crate::domain::event::{EventKind, Told};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::device::{apart, one_device};

/// A client that lost the answer asks again, and tabs ask together: see [`super::family`].
const GRACE_S: f64 = 30.0;

/// Sessions end for want of activity after this time or longer (Keycloak's `SSO Session Idle` is 30 minutes): before
/// that, a token that was just good is refused because it was spent.
const IDLE_S_MIN: f64 = 1800.0;

pub(super) static DETECTOR: Detector = Detector {
    name: "refresh",
    facts: &[
        Fact::ProofRefreshReuse,
        Fact::RefreshElapsedS,
        Fact::RefreshOtherDevice,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some(reuse) = look.reuse else { return };
    let event = look.usage.event;
    let Some(earlier) = reuse.earlier else {
        // The provider itself says so, and nobody saw the first time.
        facts.flag(
            Fact::ProofRefreshReuse,
            event.kind == EventKind::RefreshReused,
        );
        return;
    };
    let other = is_other(earlier, look.usage.context);
    let late = event.time.apart_s(earlier.time) > GRACE_S;
    let reused = match event.kind {
        EventKind::RefreshReused => other || late,
        // It was spent, and then it was worth nothing: the provider turns tokens over, or its session had ended.
        EventKind::RefreshRefused => {
            let soon = event.time.apart_s(earlier.time) <= IDLE_S_MIN;
            !reuse.keeps && (reuse.rotates || soon) && (other || late)
        }
        // Spent twice: where tokens are turned over, that is two holders.
        EventKind::Refreshed => reuse.rotates && (other || late),
        _ => false,
    };
    if reused {
        facts.flag(Fact::ProofRefreshReuse, true);
        facts.flag(Fact::RefreshOtherDevice, other);
        facts.set(Fact::RefreshElapsedS, event.time.apart_s(earlier.time));
    }
}

/// True when the two were surely not one device; what is unknown is not different.
fn is_other(earlier: &Told, here: &Context) -> bool {
    let there = earlier.context.as_deref();
    there.is_some_and(|there| !one_device(there, here) || apart(there, here) == Some(true))
}
