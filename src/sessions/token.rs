//! One token, as far as a later line cannot show it again.
//!
//! In: decoded tokens, and what became of their uses. Out: [`TokenEntry`].
//! Does not know: claims. Who presents a token shows them, so they are decoded again where they are asked for.

use super::session::ContextKey;
use crate::domain::context::Context;
use crate::domain::ids::SessionId;
use crate::domain::time::Time;
use crate::domain::token::{Form, Provenance, Token, Verdict};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What became of one token. There are millions, so it holds what the next use asks for, and no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Its session: for a use that repeats the last, nothing of the token but this entry is read.
    pub session: SessionId,
    /// The context of its last accepted use: there, rules have said all they can about it. 0 for none.
    judged: u64,
    /// The first and the last second since 1970 at which the token is nothing remarkable by itself, of the day on which
    /// it was judged.
    pub calm_s: (u32, u32),
    /// Which key history reached the verdict: a later one may know more. 0 for none.
    pub keys_version: u32,
    /// How many denials had been heard of when it was looked up whether it was revoked.
    pub revocations: u32,
    /// What checking its signature said.
    pub verdict: Verdict,
    /// Why its last accepted use may be believed.
    pub provenance: Provenance,
    /// True once an accepted use was recorded.
    pub accepted: bool,
    /// The line shows ids alone, which whoever has read them can write.
    pub ids_alone: bool,
    /// What most tokens have nothing of.
    remarks: Option<Box<Remarks>>,
}

/// What is remarkable about a token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Remarks {
    leaked: Option<Leak>,
    revoked: Option<Time>,
    shown: Option<EarlyUse>,
    /// The token, where later lines may not show all of it: a gateway that logs its hash tells the claims beside it
    /// only when it has read them.
    whole: Option<Arc<Token>>,
}

/// A use that was neither let in nor refused: not found, moved, broken. Its holder is the first that is known of all
/// the same, though it binds nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyUse {
    /// From which context.
    pub key: ContextKey,
    /// The same, to compare with.
    pub context: Arc<Context>,
    /// When.
    pub time: Time,
}

/// A token stood where others can read it: a query, a path, a Referer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// When, the first time.
    pub time: Time,
    /// On which path that was, by keyed hash: a link preview asks for it again.
    pub path: Option<u64>,
}

/// Rules about logs and gateways speak once a day.
const DAY_S: i64 = 86_400;

/// A span that ends before it begins.
const NEVER: (u32, u32) = (u32::MAX, 0);

impl TokenEntry {
    /// A token that nobody has checked yet.
    pub fn new(token: &Arc<Token>) -> Self {
        let whole = (token.form == Form::Hash).then(|| Arc::clone(token));
        let remarks = whole.map(|whole| Remarks {
            whole: Some(whole),
            ..Remarks::default()
        });
        Self {
            session: token.session,
            judged: 0,
            calm_s: calm_s(token),
            keys_version: 0,
            revocations: 0,
            verdict: Verdict::NotConfigured,
            provenance: Provenance::Claimed,
            accepted: false,
            ids_alone: token.shows_ids_alone(),
            remarks: remarks.map(Box::new),
        }
    }

    /// The token, where later lines may not show all of it.
    pub fn whole(&self) -> Option<&Arc<Token>> {
        self.remarks.as_ref()?.whole.as_ref()
    }

    /// True when rules have said all they can about uses from this context, at this second and until the answer.
    pub fn is_calm(&self, context: ContextKey, from: Time, until: Time) -> bool {
        let calm = i64::from(self.calm_s.0)..=i64::from(self.calm_s.1);
        let remarkable = |remarks: &Remarks| remarks.leaked.is_some() || remarks.revoked.is_some();
        self.judged == context.0
            && self.judged != 0
            && !self.remarks.as_deref().is_some_and(remarkable)
            && !self.verdict.forged()
            && calm.contains(&from.as_s())
            && calm.contains(&until.as_s())
    }

    /// Records that rules have said all they can about uses of it from this context, on the day of `time`.
    pub fn judge(&mut self, token: &Token, context: ContextKey, time: Time) {
        let day = time.as_s().div_euclid(DAY_S) * DAY_S;
        let (from_s, until_s) = calm_s(token);
        self.judged = context.0;
        self.calm_s = match (u32::try_from(day), u32::try_from(day + DAY_S - 1)) {
            (Ok(begin_s), Ok(end_s)) => (from_s.max(begin_s), until_s.min(end_s)),
            _ => NEVER,
        };
    }

    /// Records that rules may have more to say.
    pub fn judge_again(&mut self) {
        self.judged = 0;
    }

    /// When it first stood where others can read it.
    pub fn leaked(&self) -> Option<Leak> {
        self.remarks.as_ref()?.leaked
    }

    /// Records that it stood where others can read it.
    pub fn leak(&mut self, time: Time, path: Option<u64>) {
        let leaked = &mut self.remark().leaked;
        let leak = leaked.get_or_insert(Leak { time, path });
        leak.time = leak.time.min(time);
    }

    /// When it, or its session, was revoked.
    pub fn revoked(&self) -> Option<Time> {
        self.remarks.as_ref()?.revoked
    }

    /// Records since when it is revoked, if it is.
    pub fn revoke(&mut self, revoked: Option<Time>) {
        if self.revoked() != revoked {
            self.remark().revoked = revoked;
        }
    }

    /// Who showed it before anybody was answered as the holder of a valid token is.
    pub fn shown(&self) -> Option<&EarlyUse> {
        self.remarks.as_ref()?.shown.as_ref()
    }

    /// Records who showed it so early.
    pub fn show(&mut self, early: EarlyUse) {
        self.remark().shown = Some(early);
    }

    /// Forgets who showed it so early.
    pub fn take_shown(&mut self) -> Option<EarlyUse> {
        let remarks = self.remarks.as_mut()?;
        let shown = remarks.shown.take();
        if **remarks == Remarks::default() {
            self.remarks = None;
        }
        shown
    }

    fn remark(&mut self) -> &mut Remarks {
        self.remarks.get_or_insert_default()
    }
}

/// When a token is nothing remarkable by itself; never under `alg` none, nor where each use has a proof of its own.
fn calm_s(token: &Token) -> (u32, u32) {
    if token.header.alg_none || token.confirmation.is_some() {
        return NEVER;
    }
    let from_s = token.issued_s.max(token.not_before_s).unwrap_or(0).max(0);
    let until_s = token.expires_s.unwrap_or(i64::MAX).min(u32::MAX.into());
    match (u32::try_from(from_s), u32::try_from(until_s)) {
        (Ok(from_s), Ok(until_s)) => (from_s, until_s),
        _ => NEVER,
    }
}
