//! What binds a token to its holder, and what a request shows of it.
//!
//! In: a token's `cnf`, the proofs beside it in a line. Out: [`Confirmation`], [`Possession`], [`Fits`].
//! Does not know: keys, or how a proof is checked.
//! Source: RFC 7800 (`cnf`), RFC 9449 (DPoP), RFC 8705 (mutual TLS), OWASP JSON Web Token Cheat Sheet, "Token
//! Sidejacking" (a hash of a cookie).

use super::event::Text;
use serde::{Deserialize, Serialize};

/// To what a token says that it is bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// `cnf.jkt`: the thumbprint of the key that signs DPoP proofs (RFC 9449, section 6.1).
    pub jkt: Option<Box<str>>,
    /// `cnf.x5t#S256`: the hash of the client's certificate (RFC 8705, section 3.1).
    pub x5t_s256: Option<Box<str>>,
    /// `userFingerprint`: the hash of a cookie, in hexadecimal digits.
    pub cookie_sha256: Option<Box<str>>,
}

/// What a line shows of a holder's key beside the token. None of it opens anything.
#[derive(Clone, Default)]
pub struct Possession<'a> {
    /// The DPoP header: a proof that is signed anew for each request.
    pub proof: Text<'a>,
    /// The client's certificate, in any of the forms that gateways write.
    pub certificate: Text<'a>,
    /// Its SHA-256 in hexadecimal digits.
    pub certificate_sha256: Text<'a>,
    /// SHA-256 of the cookie that a token may be bound to.
    pub cookie_sha256: Option<[u8; 32]>,
    /// The token came under the scheme `DPoP`.
    pub dpop_scheme: bool,
}

/// Whether what a request shows is what the token is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// The token is not bound so, or the log does not tell.
    #[default]
    Unknown,
    /// It is shown, and the same.
    Fits,
    /// It is shown, and another's.
    Differs,
    /// The log shows the request's proofs, and this one is not there.
    Missing,
}

/// What a request shows, for each way to bind a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fits {
    /// The DPoP proof: key, signature, method and token.
    pub dpop: Fit,
    /// The address that the proof was made for; a gateway that rewrites paths changes it.
    pub target: Fit,
    /// The certificate.
    pub certificate: Fit,
    /// The cookie.
    pub cookie: Fit,
    /// Keyed digest of the proof's id, which no two proofs of one key share.
    pub proof: Option<u64>,
}

impl Fits {
    /// One of the ways in which a token can be bound.
    pub fn of(&self, way: Way) -> Fit {
        match way {
            Way::Dpop => self.dpop,
            Way::Target => self.target,
            Way::Certificate => self.certificate,
            Way::Cookie => self.cookie,
        }
    }
}

/// A way to bind a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of `Fits`")]
pub enum Way {
    Dpop,
    Target,
    Certificate,
    Cookie,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Dpop, Self::Target, Self::Certificate, Self::Cookie];
}
