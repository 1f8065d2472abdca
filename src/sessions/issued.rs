//! What stands under one `(iss, jti)`: RFC 7519, section 4.1.7 promises that it is one token.
//!
//! In: accepted tokens. Out: [`Issued`], and [`Clash`] when the promise is broken; issuers that never kept it are
//! learned. Which ids were accepted at all.
//! Does not know: sessions, or who is at fault.

use super::bounded::Bounded;
use crate::domain::ids::Digest;
use crate::domain::token::{Form, Token};
use serde::{Deserialize, Serialize};

/// Clashes after which, when they are also more than one in a hundred `jti`s, an issuer is taken not to keep them
/// unique.
const CLASHES_MIN: u64 = 5;

/// Issuers whose habits are kept; a gateway trusts a handful.
const ISSUERS_MAX: usize = 256;

/// What stands under one `(iss, jti)`: marks of it, which differ for what differs but in one case of four thousand
/// million. There are as many as tokens.
#[repr(Rust, packed)]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct First {
    payload: u32,
    subject: u32,
    issued_s: u32,
    /// The mark is of a payload, not of the claims that a gateway told of one.
    is_whole: bool,
}

/// What an `(iss, jti)` is known by: as many bits as ids have.
type Name = [u8; 10];

/// How one `(iss, jti)` came to stand for two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// The payload differs though both were issued in the same second.
    Payload,
    /// The subject differs.
    Subject,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Habit {
    jtis: u64,
    clashes: u64,
}

/// The tokens seen under each `(iss, jti)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Issued {
    first: Bounded<Name, First>,
    habits: Bounded<u128, Habit>,
}

impl Issued {
    /// Remembers at most `capacity` ids.
    pub fn new(capacity: usize) -> Self {
        Self {
            first: Bounded::new(capacity),
            habits: Bounded::new(ISSUERS_MAX),
        }
    }

    /// Records an accepted token of the issuer with key `issuer`; tells when its id already stands for another.
    /// A payload with the same id and a later `iat` is a refresh, which some issuers do so.
    pub fn record(&mut self, issuer: u128, token: &Token) -> Option<Clash> {
        let key = name(token.jti_key?);
        let this = First::of(token);
        let mut new = false;
        let place = self.first.get_or_insert_with(key, || {
            new = true;
            this
        });
        let first = *place;
        if !token.jti.as_deref().is_some_and(can_be_unique) {
            return None;
        }
        // A gateway that asks shows the payload, its log what it told of it: the two say nothing of each other.
        if this.is_whole && !first.is_whole && first.subject == this.subject {
            *place = this;
        }
        let habit = self.habits.get_or_insert_with(issuer, Habit::default);
        habit.jtis += u64::from(new);
        let clash = if first.subject != this.subject {
            Some(Clash::Subject)
        } else if first.is_whole == this.is_whole
            && first.payload != this.payload
            && first.issued_s == this.issued_s
        {
            Some(Clash::Payload)
        } else {
            None
        };
        habit.clashes += u64::from(clash.is_some());
        let careless = habit.clashes > CLASHES_MIN && habit.clashes * 100 > habit.jtis;
        clash.filter(|_| !careless)
    }

    /// True when a token with this id was accepted.
    pub fn knows(&self, jti: Digest) -> bool {
        self.first.get(name(jti)).is_some()
    }
}

fn name(jti: Digest) -> Name {
    let [name @ .., _, _, _, _, _, _] = jti.0.to_be_bytes();
    name
}

impl First {
    fn of(token: &Token) -> Self {
        Self {
            payload: token.payload.0 as u32,
            subject: token.subject.map_or(0, |subject| subject.get() as u32),
            issued_s: token.issued_s.unwrap_or_default() as u32,
            is_whole: !matches!(token.form, Form::Claims | Form::Hash),
        }
    }
}

/// Shorter ids meet by chance: RFC 7519, section 4.1.7 asks that this be negligible, which takes 64 bits, 11 characters
/// of base64url.
const UNIQUE_BYTES_MIN: usize = 11;

/// True for an id that can have been made to be unique; a counter or a clock was not.
fn can_be_unique(jti: &str) -> bool {
    jti.len() >= UNIQUE_BYTES_MIN && !jti.bytes().all(|byte| byte.is_ascii_digit())
}
