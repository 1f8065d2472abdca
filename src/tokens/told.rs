//! What a gateway told of a token in fields of their own, where the token itself is not logged.
//!
//! In: carriers of claims and hashes. Out: [`Told`], and its [`Credential`] unless another one is the same token.
//! Does not know: what claims mean, or which other credentials the event has.

use super::decode::decode;
use crate::domain::event::Carrier;
use crate::domain::ids::IdKey;
use crate::domain::token::{Claim, Credential, CredentialPlace, Shape, Token};
use std::borrow::Cow;

/// What the gateway told of a token in fields of their own.
#[derive(Default)]
pub(super) struct Told<'a> {
    claims: Vec<(Claim, Cow<'a, str>)>,
    /// The hash and the name of its field.
    hash: Option<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Told<'a> {
    pub(super) fn claim(&mut self, claim: Claim, carrier: Carrier<'a>) {
        if has_value(&carrier.text) {
            self.claims.push((claim, carrier.text));
        }
    }

    pub(super) fn hash(&mut self, carrier: Carrier<'a>) {
        if has_value(&carrier.text) {
            self.hash.get_or_insert((carrier.text, carrier.name));
        }
    }

    /// The gateway's words as a credential. They are dropped where a token is there in full that they are about, and
    /// only there: else a thief would hide them behind any other token, sent where the gateway reads none.
    pub(super) fn credential(
        self,
        shown: &[Credential<'a>],
        key: &IdKey,
    ) -> Option<Credential<'a>> {
        if self.hash.is_none() && self.claims.is_empty() {
            return None; // nearly always, where the token itself is logged
        }
        let mut parts: Vec<&[u8]> = Vec::with_capacity(2 * self.claims.len() + 1);
        if let Some((hash, _)) = &self.hash {
            parts.push(hash.as_bytes());
        } else if self.names().next().is_some() {
            for (claim, value) in &self.claims {
                parts.extend([tag(*claim), value.as_bytes()]);
            }
        } else {
            return None;
        }
        let mut presented = shown.iter().filter(|one| one.place.presents());
        if presented.any(|one| self.is_about(one, key)) {
            return None;
        }
        let digest = key.digest("told", &parts);
        let (shape, name) = match self.hash {
            Some((hash, name)) => (Shape::Hash(hash, self.claims), name),
            None => (Shape::Claims(self.claims), Cow::Borrowed("claims")),
        };
        Some(Credential {
            shape,
            place: CredentialPlace::Field,
            name,
            digest,
        })
    }

    /// The claims that tell one token or subject from others.
    fn names(&self) -> impl Iterator<Item = &(Claim, Cow<'a, str>)> {
        let mut claims = self.claims.iter();
        std::iter::from_fn(move || {
            claims.find(|(claim, _)| matches!(claim, Claim::Sub | Claim::Jti | Claim::Sid))
        })
    }

    /// True when the gateway said this of that token.
    fn is_about(&self, other: &Credential<'_>, key: &IdKey) -> bool {
        let Ok(token) = decode(other, key) else {
            return false;
        };
        let readable = token.sub.is_some() || token.jti.is_some() || token.sid.is_some();
        if self.names().next().is_none() || !readable || matches!(other.shape, Shape::Scrubbed(_)) {
            // Nothing to compare: a gateway speaks of the token that it reads, which is the one in the header.
            return matches!(
                other.place,
                CredentialPlace::Header | CredentialPlace::Field
            );
        }
        self.names()
            .all(|(claim, value)| claim_of(&token, *claim).is_some_and(|own| own == value))
    }
}

fn claim_of(token: &Token, claim: Claim) -> Option<&str> {
    match claim {
        Claim::Sub => token.sub.as_deref(),
        Claim::Jti => token.jti.as_deref(),
        _ => token.sid.as_deref(),
    }
}

/// Gateways write a missing value as nothing, `-` or `null`.
fn has_value(text: &str) -> bool {
    !matches!(text, "" | "-" | "null")
}

/// One byte that tells claims apart in a digest.
fn tag(claim: Claim) -> &'static [u8] {
    match claim {
        Claim::Iss => b"i",
        Claim::Sub => b"s",
        Claim::Aud => b"a",
        Claim::Azp => b"z",
        Claim::Jti => b"j",
        Claim::Sid => b"d",
        Claim::Scope => b"c",
        Claim::Alg => b"l",
        Claim::Kid => b"k",
        Claim::Typ => b"t",
        Claim::Iat => b"1",
        Claim::Nbf => b"2",
        Claim::Exp => b"3",
        Claim::AuthTime => b"4",
        Claim::OriginJti => b"o",
        Claim::CnfJkt => b"5",
        Claim::CnfX5t => b"6",
        Claim::Amr => b"7",
        Claim::RefreshId => b"r",
    }
}
