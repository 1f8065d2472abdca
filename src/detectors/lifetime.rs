//! Lifetime: tokens used outside the time their issuer gave them.
//!
//! In: `exp`, `nbf`, `iat` and the start of the request. Out: `fault.expired_accepted`, `fault.not_yet_valid`,
//! `fault.issued_in_future`, `token.expired_retry_elsewhere`, `token.lifetime_s`,
//! `token.lifetime_anomaly`, `token.no_exp`.
//! Does not know: how wrong the gateway's clock is beyond the leeway.
//! Source: RFC 7519, sections 4.1.4 to 4.1.6.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::domain::token::Form;

/// RFC 7519, section 4.1.4: "a few minutes" at most for clock skew; validators' defaults are 0 to 60 s.
const LEEWAY_S: i64 = 60;

/// So many tokens show how long those of a client live.
const TOKENS_MIN: u32 = 20;

pub(super) static DETECTOR: Detector = Detector {
    name: "lifetime",
    facts: &[
        Fact::FaultExpiredAccepted,
        Fact::FaultNotYetValidAccepted,
        Fact::FaultIssuedInFuture,
        Fact::TokenExpiredRetryElsewhere,
        Fact::TokenLifetimeS,
        Fact::TokenLifetimeAnomaly,
        Fact::TokenNoExp,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let token = look.usage.token;
    let start_s = look.usage.event.start().as_s();
    let expired = token
        .expires_s
        .is_some_and(|exp| start_s > exp.saturating_add(LEEWAY_S));
    let before =
        |claim: Option<i64>| claim.is_some_and(|second| start_s < second.saturating_sub(LEEWAY_S));
    if look.standing.accepted {
        facts.flag(Fact::FaultExpiredAccepted, expired);
        facts.flag(Fact::FaultNotYetValidAccepted, before(token.not_before_s));
        facts.flag(Fact::FaultIssuedInFuture, before(token.issued_s));
    }
    if expired && look.standing.refused {
        // An old tab of the holder retries from where the session is known; somebody else does not.
        let elsewhere = look
            .session
            .is_some_and(|session| !session.is_known_device(look.usage.context));
        facts.flag(Fact::TokenExpiredRetryElsewhere, elsewhere && !look.repeats);
    }
    if let (Some(iat), Some(exp)) = (token.issued_s, token.expires_s) {
        let life_s = exp.saturating_sub(iat) as f64;
        facts.set(Fact::TokenLifetimeS, life_s);
        let usual = look.nature.and_then(|nature| nature.longest_life_s());
        let usual = usual.filter(|(longest_s, known)| *longest_s > 0 && *known >= TOKENS_MIN);
        if let Some((longest_s, _)) = usual.filter(|_| !look.entry.accepted) {
            facts.set(Fact::TokenLifetimeAnomaly, life_s / longest_s as f64);
        }
    }
    // Only a whole payload can be said to lack a claim.
    let whole = matches!(token.form, Form::Raw | Form::Unsigned);
    facts.flag(Fact::TokenNoExp, whole && token.expires_s.is_none());
}
