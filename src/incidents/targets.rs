//! What a revocation would name, narrowest first.
//!
//! In: the suspect's uses. Out: [`Target`]s, and how long the tokens at stake live.
//! Does not know: providers, gates, or whether anything should be revoked.
//! Source: RFC 7519, section 4.1 (`jti`, `exp`); OpenID Connect Back-Channel Logout 1.0 (`sid`).

use crate::domain::ids::TokenId;
use crate::domain::incident::Target;
use crate::domain::time::Time;
use crate::domain::token::{Provenance, Token};
use crate::domain::usage::TokenUse;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tokens kept: a refreshing thief has a new one every few minutes; its `sid` covers them all.
const TOKENS_MAX: usize = 50;
/// A longer `jti`, `sid`, `iss` or `sub` is not listed: a real one is a short name, and a cut one
/// names nothing.
const NAME_BYTES_MAX: usize = 512;

/// The tokens at stake.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Targets {
    tokens: BTreeMap<TokenId, AtStake>,
    /// True when there were more.
    cut: bool,
}

/// One token at stake.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AtStake {
    iss: Option<Arc<str>>,
    sub: Option<Arc<str>>,
    jti: Option<Arc<str>>,
    sid: Option<Arc<str>>,
    expires_s: Option<i64>,
    provenance: Provenance,
    /// Made by somebody else than the issuer: only the token itself may be named. Its `jti`, `sid`
    /// and `sub` are the victim's, and revoking those would do the forger's work.
    forged: bool,
}

impl Targets {
    /// Lists the token of a use by the suspect.
    pub(super) fn add(&mut self, usage: &TokenUse<'_>) {
        let token = usage.token;
        let forged = forged(usage);
        if !forged && !usage.provenance.teaches() {
            return; // a claim that nothing supports must not name what to revoke
        }
        if let Some(known) = self.tokens.get_mut(&token.id) {
            known.provenance = known.provenance.max(usage.provenance);
        } else if self.tokens.len() < TOKENS_MAX {
            self.tokens
                .insert(token.id, AtStake::of(token, usage.provenance, forged));
        } else {
            self.cut = true;
        }
    }

    /// Takes in another case's.
    pub(super) fn merge(&mut self, other: &Self) {
        for (id, at_stake) in &other.tokens {
            if self.tokens.len() < TOKENS_MAX {
                self.tokens.insert(*id, at_stake.clone());
            } else {
                self.cut = true;
            }
        }
        self.cut |= other.cut;
    }

    /// True when there were more than are listed.
    pub(super) fn cut(&self) -> bool {
        self.cut
    }

    /// What to revoke, narrowest first. Only tokens as believable as the best of them are named:
    /// those of a use that nobody vouches for must not ride on one that somebody does. A subject's
    /// tokens up to `last` are refused.
    pub(super) fn list(&self, last: Time) -> Vec<Target> {
        let best = self.tokens.values().map(|token| token.provenance).max();
        let named = || {
            let tokens = self.tokens.iter();
            tokens.filter(move |(_, token)| token.forged || Some(token.provenance) == best)
        };
        let mut targets: Vec<_> = named()
            .flat_map(|(id, token)| token.targets(*id, last))
            .collect();
        targets.sort();
        targets.dedup();
        targets
    }

    /// The last `exp` at stake; `None` when a token never expires, or none is known.
    pub(super) fn live_until_s(&self) -> Option<i64> {
        let expiries: Option<Vec<i64>> =
            self.tokens.values().map(|token| token.expires_s).collect();
        expiries?.into_iter().max()
    }

    /// True when a token at stake names no expiry.
    pub(super) fn never_expires(&self) -> bool {
        self.tokens.values().any(|token| token.expires_s.is_none())
    }
}

impl AtStake {
    fn of(token: &Token, provenance: Provenance, forged: bool) -> Self {
        let name = |claim: &Option<Box<str>>| {
            let fits = claim.as_deref().filter(|text| text.len() <= NAME_BYTES_MAX);
            fits.map(Arc::from)
        };
        Self {
            iss: name(&token.issuer),
            sub: token.subject.and_then(|_| name(&token.sub)),
            jti: name(&token.jti),
            sid: name(&token.sid),
            expires_s: token.expires_s,
            provenance,
            forged,
        }
    }

    fn targets(&self, token: TokenId, last: Time) -> Vec<Target> {
        let mut targets = Vec::new();
        let expires_s = self.expires_s;
        let (jti, sid) = match (&self.iss, self.forged) {
            (Some(iss), false) => (
                self.jti.clone().map(|jti| Target::Jti {
                    iss: iss.clone(),
                    jti,
                    expires_s,
                }),
                self.sid.clone().map(|sid| Target::Sid {
                    iss: iss.clone(),
                    sid,
                }),
            ),
            _ => (None, None),
        };
        if jti.is_none() && sid.is_none() {
            let iss = self.iss.clone();
            targets.push(Target::Token {
                iss,
                token,
                expires_s,
            });
        }
        targets.extend(jti.into_iter().chain(sid));
        if let (Some(iss), Some(sub), false) = (&self.iss, &self.sub, self.forged) {
            targets.push(Target::Subject {
                iss: iss.clone(),
                sub: sub.clone(),
                // NumericDate counts whole seconds: everything issued in the second of the last use
                // is refused too.
                not_before_s: last.as_s() + 1,
            });
        }
        targets
    }
}

/// True when the token cannot be the issuer's, whatever it says.
pub(super) fn forged(usage: &TokenUse<'_>) -> bool {
    usage.verdict.forged() || usage.token.header.alg_none
}

#[cfg(test)]
mod tests {
    use super::super::samples::{LISBON, Use, context, token};
    use super::*;
    use crate::domain::token::Verdict;

    fn targets(uses: &[(Token, Provenance, Verdict)]) -> Vec<Target> {
        let context = Arc::new(context(LISBON));
        let mut targets = Targets::default();
        for (token, provenance, verdict) in uses {
            let made = Use::at(1000, "/api", 200);
            targets.add(&TokenUse {
                provenance: *provenance,
                verdict: *verdict,
                ..made.of(token, &context)
            });
        }
        targets.list(Time::from_ms(1_500_000).unwrap())
    }

    fn kinds(targets: &[Target]) -> Vec<&'static str> {
        targets
            .iter()
            .map(|target| match target {
                Target::Jti { .. } => "jti",
                Target::Sid { .. } => "sid",
                Target::Token { .. } => "token",
                Target::Subject { .. } => "subject",
                Target::Address { .. } => "address",
            })
            .collect()
    }

    #[test]
    fn the_narrowest_target_comes_first() {
        let alice = token("alice", 1);
        let listed = targets(&[(alice, Provenance::Verified, Verdict::Verified)]);
        assert_eq!(kinds(&listed), ["jti", "sid", "subject"]);
        assert!(matches!(
            listed[2],
            Target::Subject {
                not_before_s: 1501,
                ..
            }
        ));
    }

    #[test]
    fn a_token_without_names_is_named_by_itself() {
        let nameless = Token {
            jti: None,
            sid: None,
            ..token("alice", 1)
        };
        let listed = targets(&[(nameless, Provenance::Presumed, Verdict::NotConfigured)]);
        assert_eq!(kinds(&listed), ["token", "subject"]);
    }

    #[test]
    fn a_forged_token_names_nothing_of_its_victim() {
        let listed = targets(&[(
            token("alice", 1),
            Provenance::Claimed,
            Verdict::BadSignature,
        )]);
        assert_eq!(kinds(&listed), ["token"]);
    }

    #[test]
    fn a_mere_claim_does_not_ride_on_a_verified_token() {
        let listed = targets(&[
            (token("alice", 1), Provenance::Verified, Verdict::Verified),
            (
                token("alice", 2),
                Provenance::Claimed,
                Verdict::Unverifiable,
            ),
            (
                token("alice", 3),
                Provenance::Presumed,
                Verdict::NotConfigured,
            ),
        ]);
        assert_eq!(kinds(&listed), ["jti", "sid", "subject"]);
    }

    #[test]
    fn a_refreshing_thief_cannot_fill_the_memory() {
        let uses: Vec<_> = (0..200)
            .map(|n| (token("alice", n), Provenance::Verified, Verdict::Verified))
            .collect();
        let listed = targets(&uses);
        assert_eq!(
            kinds(&listed).iter().filter(|kind| **kind == "jti").count(),
            TOKENS_MAX
        );
    }
}
