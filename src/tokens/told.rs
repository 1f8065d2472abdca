//! What a gateway told of a token in fields of their own, where the token itself is not logged.
//!
//! In: carriers of claims and hashes. Out: [`Told`].
//! Does not know: what claims mean, or other credentials of the event.

use crate::domain::event::Carrier;
use crate::domain::token::Claim;
use std::borrow::Cow;

/// What the gateway told of a token in fields of their own.
#[derive(Default)]
pub(super) struct Told<'a> {
    pub(super) claims: Vec<(Claim, Cow<'a, str>)>,
    /// The hash and the name of its field.
    pub(super) hash: Option<(Cow<'a, str>, Cow<'a, str>)>,
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

    /// True when the claims tell one token or subject from others.
    pub(super) fn names_someone(&self) -> bool {
        self.claims
            .iter()
            .any(|(claim, _)| matches!(claim, Claim::Sub | Claim::Jti | Claim::Sid))
    }
}

/// Gateways write a missing value as nothing, `-` or `null`.
fn has_value(text: &str) -> bool {
    !matches!(text, "" | "-" | "null")
}

/// One byte that tells claims apart in a digest.
pub(super) fn tag(claim: Claim) -> &'static [u8] {
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
        Claim::RefreshId => b"r",
    }
}
