//! One JSON Web Token, as far as the log shows it.
//!
//! In: what `tokens` decoded. Out: [`Credential`], [`Token`], [`Claim`], [`Verdict`], [`Provenance`].
//! Does not know: keys, or how to decode.
//! Source: RFC 7519 (JWT), RFC 7515 (JWS), RFC 9068 (access tokens), OpenID Connect Core 1.0 and Back-Channel Logout
//! (`sid`).

use super::few::Few;
use super::ids::{Digest, SessionId, SubjectId, TokenId};
use super::possession::Confirmation;
use super::scrubbed::Scrubbed;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A token as written in a log. It never shows itself; [`RawToken::expose`] is the one way to its text.
#[derive(Clone)]
pub struct RawToken<'a>(Cow<'a, str>);

impl<'a> RawToken<'a> {
    /// Wraps the text of a token.
    pub fn new(text: Cow<'a, str>) -> Self {
        Self(text)
    }

    /// The same token, by itself: for the one call that must send it.
    #[must_use]
    pub fn to_owned(&self) -> RawToken<'static> {
        RawToken(Cow::Owned(self.0.clone().into_owned()))
    }

    /// The token's text. Only `tokens/` and the one provider that must send it may call this.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RawToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawToken(hidden)")
    }
}

/// What one event shows of one token.
#[derive(Clone, Debug)]
pub struct Credential<'a> {
    /// What is there of it.
    pub shape: Shape<'a>,
    /// In which part of the request it stood.
    pub place: CredentialPlace,
    /// Name of the header, cookie, parameter or field it stood in.
    pub name: Cow<'a, str>,
    /// Keyed digest of what is there, for probing tables.
    pub digest: Digest,
}

/// The credentials of one event; nearly always none or one.
pub type Credentials<'a> = Few<Credential<'a>>;

/// What is there of a token.
#[derive(Clone, Debug)]
pub enum Shape<'a> {
    /// The token itself: three parts (JWS), two (signature not logged) or five (JWE).
    Raw(RawToken<'a>),
    /// Claims that the gateway decoded, in the order of the line.
    Claims(Vec<(Claim, Cow<'a, str>)>),
    /// A hash of the token, perhaps with claims beside it.
    Hash(Cow<'a, str>, Vec<(Claim, Cow<'a, str>)>),
    /// What `tokentrip scrub` left of it.
    Scrubbed(Scrubbed),
}

/// In which part of a request a credential stood (`jwt.where`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialPlace {
    /// A request header.
    Header,
    /// A cookie.
    Cookie,
    /// The query of the request itself.
    Query,
    /// The path of the request itself.
    Path,
    /// The Referer header: evidence of a leak, never a presentation.
    Referer,
    /// The User-Agent or another field that no server reads tokens from: likewise.
    Stray,
    /// A field of the log that the gateway filled from the token.
    Field,
}

impl CredentialPlace {
    /// True where a server reads credentials, so that the token was presented and not only mentioned.
    pub fn presents(self) -> bool {
        !matches!(self, Self::Referer | Self::Stray)
    }

    /// The place's name in `jwt.where`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Query => "query",
            Self::Path => "path",
            Self::Referer => "referer",
            Self::Stray => "stray",
            Self::Field => "field",
        }
    }
}

/// How much of the token the log holds (`jwt.form`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Header, payload and signature.
    Raw,
    /// Header and payload; the signature was cut or not logged.
    Unsigned,
    /// Encrypted (JWE): only the header can be read.
    Encrypted,
    /// Claims as fields.
    Claims,
    /// A hash as a field.
    Hash,
}

impl Form {
    /// The form's name in `jwt.form`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Unsigned => "unsigned",
            Self::Encrypted => "encrypted",
            Self::Claims => "claims",
            Self::Hash => "hash",
        }
    }
}

/// A claim or header parameter that has a field of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is named as in its RFC")]
pub enum Claim {
    Iss,
    Sub,
    Aud,
    Azp,
    Jti,
    Sid,
    Scope,
    Alg,
    Kid,
    Typ,
    Iat,
    Nbf,
    Exp,
    AuthTime,
    OriginJti,
    /// `cnf.jkt`.
    CnfJkt,
    /// `cnf.x5t#S256`.
    CnfX5t,
    Amr,
    /// No claim: the id of the refresh token that an identity provider names beside the token.
    RefreshId,
}

/// One token, decoded. Every claim is *claimed* until the verdict says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// The id that may be shown.
    pub id: TokenId,
    /// The session this token belongs to: `sid`, else refresh family, else `jti`, else the token alone.
    pub session: SessionId,
    /// The subject, where the token names one.
    pub subject: Option<SubjectId>,
    /// How much of it the log holds.
    pub form: Form,
    /// What it has in common with others.
    pub common: Arc<Common>,
    /// `sub`. A machine's token without one has no subject; see `client_id`.
    pub sub: Option<Box<str>>,
    /// `jti`.
    pub jti: Option<Box<str>>,
    /// `sid`.
    pub sid: Option<Box<str>>,
    /// `iat`, seconds since the epoch.
    pub issued_s: Option<i64>,
    /// `nbf`, seconds since the epoch.
    pub not_before_s: Option<i64>,
    /// `exp`, seconds since the epoch.
    pub expires_s: Option<i64>,
    /// What is wrong or remarkable about the header.
    pub header: HeaderMarks,
    /// Keyed digest of the decoded payload, to tell two payloads under one `jti` apart.
    pub payload: Digest,
    /// Keyed digest of `(iss, jti)`, where both are there.
    pub jti_key: Option<Digest>,
    /// To what it is bound; most are to nothing.
    pub confirmation: Option<Box<Confirmation>>,
    /// Whether `amr` names more than a password (RFC 8176); `None` without `amr`.
    pub strong: Option<bool>,
}

impl Token {
    /// True for the token of a program: the subject is the client itself, as Auth0 (`…@clients`) and Keycloak
    /// (`service-account-…`) name it, or as RFC 9068, section 2.2 asks for the client credentials grant.
    pub fn is_machine(&self) -> bool {
        self.sub.as_deref().is_some_and(|sub| {
            self.client_id.as_deref() == Some(sub)
                || sub.ends_with("@clients")
                || sub.starts_with("service-account-")
        })
    }

    /// True where the log holds no more of it than ids, which whoever has read them can write.
    pub fn shows_ids_alone(&self) -> bool {
        self.form == Form::Hash && self.issuer.is_none()
    }
}

/// What all tokens of an issuer for one client have in common: they can share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Common {
    /// `iss`.
    pub issuer: Option<Box<str>>,
    /// `aud`, several joined by a space.
    pub audience: Option<Box<str>>,
    /// `azp`, else `client_id` or what vendors call it.
    pub client_id: Option<Box<str>>,
    /// `scope` or `scp`, several joined by a space.
    pub scope: Option<Box<str>>,
    /// `tid`, `tenant`, `tenant_id` or `org_id`: the customer whose data it is for.
    pub tenant: Option<Box<str>>,
    /// `alg` of the header.
    pub alg: Option<Box<str>>,
    /// `kid` of the header.
    pub kid: Option<Box<str>>,
    /// `typ` of the header.
    pub typ: Option<Box<str>>,
}

/// So that a token's claims are asked alike, whether others have them too or not.
impl Deref for Token {
    type Target = Common;
    fn deref(&self) -> &Common {
        &self.common
    }
}

/// What is wrong or remarkable about a token's header, whatever its signature says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderMarks {
    /// `alg` is `none` in any case, or empty (RFC 8725, section 2.1).
    pub alg_none: bool,
    /// `kid` that tries to be a path or a query, key material or addresses in the header, unknown `crit`
    /// (RFC 8725, sections 2.9 and 3.10).
    pub injection: bool,
    /// The header is no JSON object, or has the same member twice.
    pub malformed: bool,
}

/// What checking the signature said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Signed by a configured key, with an allowed algorithm.
    Verified,
    /// The signature does not fit the key that the header names.
    BadSignature,
    /// The algorithm is not on the issuer's list.
    AlgorithmNotAllowed,
    /// HS* where the issuer publishes only asymmetric keys.
    KeyConfusion,
    /// The key is unknown, though a key set fetched after the token's `iat` is at hand.
    UnknownKey,
    /// The key is unknown and our key history does not cover the token's `iat`.
    Unverifiable,
    /// The issuer is configured and the log does not hold the signature.
    NoSignature,
    /// No keys are configured for this issuer.
    NotConfigured,
}

impl Verdict {
    /// True when the token cannot be the issuer's.
    pub fn forged(self) -> bool {
        matches!(
            self,
            Self::BadSignature | Self::AlgorithmNotAllowed | Self::KeyConfusion | Self::UnknownKey
        )
    }
}

/// Why a use may be believed (`jwt.provenance`), weakest first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Nothing speaks for it but itself.
    #[default]
    Claimed,
    /// Nothing is configured for this issuer, and the answer was 2xx: enough to detect, never to act.
    Presumed,
    /// The key is not known and may once have been. Judged again when a key arrives.
    Unverifiable,
    /// A protected path answered 2xx or 304 to it.
    Accepted,
    /// Its signature was checked.
    Verified,
}

impl Provenance {
    /// The provenance's name in `jwt.provenance` and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Presumed => "presumed",
            Self::Unverifiable => "unverifiable",
            Self::Accepted => "accepted",
            Self::Verified => "verified",
        }
    }

    /// True when a baseline may learn from such a use.
    pub fn teaches(self) -> bool {
        matches!(self, Self::Presumed | Self::Accepted | Self::Verified)
    }
}
