//! A token that a gateway asked about, at the start of its request.
//!
//! In: what `/v1/check` was asked. Out: [`Presentation`], an input of the engine beside lines.
//! Does not know: the answer, which only the log will tell. It holds no token: claims, ids and a keyed digest.

use super::ids::Digest;
use super::time::Time;
use super::token::{CredentialPlace, Token, Verdict};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A token that a gateway asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Presentation {
    /// When it asked.
    pub time: Time,
    /// Keyed digest of the token as written: the key under which a log that holds it whole finds it, too.
    pub digest: Digest,
    /// Where in the request it stood.
    pub place: CredentialPlace,
    /// The token, decoded.
    pub token: Token,
    /// What checking its signature said.
    pub verdict: Verdict,
    /// The client, as trusted proxies name it.
    pub client: IpAddr,
    /// Keyed hash of the context, as that of a line is.
    pub context_key: u64,
    /// The client's program as it names itself.
    pub user_agent: Option<Box<str>>,
    /// Accept-Language header.
    pub language: Option<Box<str>>,
    /// Host the client asked for.
    pub host: Option<Box<str>>,
    /// Request method.
    pub method: Option<Box<str>>,
    /// Path without query, tokens in it hidden.
    pub path: Option<Box<str>>,
    /// The gateway's own id of the request.
    pub request_id: Option<Box<str>>,
}

impl Presentation {
    /// True while the token is neither too young nor too old to be let in.
    pub fn is_alive(&self) -> bool {
        let now_s = self.time.as_s();
        self.token.expires_s.is_none_or(|end_s| now_s <= end_s)
            && self
                .token
                .not_before_s
                .is_none_or(|begin_s| begin_s <= now_s)
    }
}
