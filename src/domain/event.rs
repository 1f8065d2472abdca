//! One HTTP request, its log format forgotten.
//!
//! In: fields that a format borrowed from a line. Out: [`AccessEvent`] with its [`Carrier`]s, the fields in which a
//! credential may stand.
//! Does not know: what a token looks like.
//! Source: field names of the Elastic Common Schema, <https://www.elastic.co/docs/reference/ecs>.

use super::clock::Stamp;
use super::context::Context;
use super::few::Few;
use super::possession::Possession;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Text borrowed from the line, or owned where an escape had to be undone. `None` is a field that is not there or `-`.
pub type Text<'a> = Option<Cow<'a, str>>;

/// What a line tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A request that a gateway answered.
    #[default]
    Request,
    /// A request about which a gateway asks `/v1/check`: nobody has answered it yet.
    Asked,
    /// Something a gateway says beside its access log (a refused TLS handshake, a file not found), or a line that
    /// could not be read and shows a token. Evidence of a leak, never a use.
    Note,
    /// An identity provider: somebody logged in.
    Login,
    /// An identity provider: a login failed.
    LoginRefused,
    /// An identity provider: tokens were issued for a login, a device or a machine.
    Issued,
    /// An identity provider: tokens were issued for a refresh token.
    Refreshed,
    /// An identity provider: a refresh token was refused.
    RefreshRefused,
    /// An identity provider: a refresh token came a second time (RFC 9700, section 4.14.2).
    RefreshReused,
    /// An identity provider: a token or grant was revoked.
    Revoked,
    /// An identity provider: a session was ended by its holder.
    Logout,
}

impl EventKind {
    /// The kind's name in `event.action`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Asked => "asked",
            Self::Note => "note",
            Self::Login => "login",
            Self::LoginRefused => "login_refused",
            Self::Issued => "issued",
            Self::Refreshed => "refreshed",
            Self::RefreshRefused => "refresh_refused",
            Self::RefreshReused => "refresh_reused",
            Self::Revoked => "revoked",
            Self::Logout => "logout",
        }
    }

    /// True for what an identity provider tells.
    pub fn is_identity(self) -> bool {
        !matches!(self, Self::Request | Self::Asked | Self::Note)
    }
}

/// What a method asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// To look, or nothing that is logged.
    #[default]
    Read,
    /// What is allowed, which a browser asks before another request and without its credentials (Fetch, preflight).
    Options,
    /// To change something at the server: the method is not safe (RFC 9110, section 9.2.1).
    Write,
}

/// The scheme of a request target in absolute form (RFC 9112, section 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
    /// `ws`
    Ws,
    /// `wss`
    Wss,
}

impl Scheme {
    /// The scheme of that name, in either case.
    pub fn of(name: &str) -> Option<Self> {
        let mut all = [Self::Http, Self::Https, Self::Ws, Self::Wss].into_iter();
        all.find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// What an identity provider told, once its names are known elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub time: Time,
    /// Where the provider saw it come from: the browser at a login, a backend at many a refresh.
    pub context: Option<Arc<Context>>,
}

/// One HTTP request, or what else a line tells of (see [`EventKind`]).
#[derive(Clone, Default)]
pub struct AccessEvent<'a> {
    /// What the line tells of.
    pub kind: EventKind,
    /// When the gateway wrote the line, which for most is the end of the request.
    pub time: Time,
    /// Anybody could have written the line: it came in a datagram, or from whoever asked to send.
    pub unvouched: bool,
    /// The line ends before its end: what is not there may have been.
    pub cut: bool,
    /// How much of the time the line itself says, before it is completed.
    pub stamp: Stamp,
    /// The address at the other end of the connection.
    pub peer: Option<IpAddr>,
    /// The client's address after walking the chain through trusted proxies; the peer when there are none.
    pub client: Option<IpAddr>,
    /// The forwarding header as logged, kept as evidence.
    pub chain: Text<'a>,
    /// Request method as logged, at most the token that RFC 9110, section 9.1 allows.
    pub method: Text<'a>,
    /// Where the client sent the target in absolute form and `host` is the host in it: its scheme.
    pub scheme: Option<Scheme>,
    /// Path without query, as logged.
    pub path: Text<'a>,
    /// Query without `?`, as logged.
    pub query: Text<'a>,
    /// Host the client asked for.
    pub host: Text<'a>,
    /// Referer header.
    pub referer: Text<'a>,
    /// User-Agent header.
    pub user_agent: Text<'a>,
    /// Accept-Language header.
    pub language: Text<'a>,
    /// JA4 fingerprint of the TLS client, <https://github.com/FoxIO-LLC/ja4>.
    pub ja4: Text<'a>,
    /// The gateway's own id of this request.
    pub request_id: Text<'a>,
    /// The user as the gateway names it (`$remote_user`).
    pub user: Text<'a>,
    /// Response status; 0 where none is logged.
    pub status: u16,
    /// Bytes of the response.
    pub bytes: u64,
    /// How long the request took, in milliseconds.
    pub duration_ms: Option<u32>,
    /// Fields in which a credential may stand, in the order of the line.
    pub carriers: Few<Carrier<'a>>,
    /// What the line shows of the key of a bound token; mostly nothing.
    pub possession: Option<Box<Possession<'a>>>,
}

/// One field in which a credential, or a piece of one, may stand.
#[derive(Clone)]
pub struct Carrier<'a> {
    /// What kind of field.
    pub kind: CarrierKind,
    /// The field's name as the log has it (`http_authorization`, `cookie`, `jwt_sub`).
    pub name: Cow<'a, str>,
    /// The value, which may be a secret.
    pub text: Cow<'a, str>,
}

/// The value may be a token, so it never shows itself.
impl fmt::Debug for Carrier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Carrier({:?}, {}, {} bytes hidden)",
            self.kind,
            self.name,
            self.text.len()
        )
    }
}

/// What kind of field a carrier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierKind {
    /// A request header that carries credentials (Authorization and its like).
    Header,
    /// A Cookie header, or the value of one cookie.
    Cookie,
    /// Any other field with `eyJ` in it, or one that the configuration names as the token.
    Field,
    /// One claim, as the gateway decoded it.
    Claim(super::token::Claim),
    /// A hash of the token, as the gateway computed it.
    Hash,
}

impl AccessEvent<'_> {
    /// The request target as the client sent it.
    pub fn target(&self) -> Option<Cow<'_, str>> {
        let path = self.path.as_deref()?;
        let (mark, query) = match self.query.as_deref() {
            Some(query) => ("?", query),
            None => ("", ""),
        };
        match (self.scheme, self.host.as_deref()) {
            (Some(scheme), Some(host)) => {
                Some(format!("{}://{host}{path}{mark}{query}", scheme.name()).into())
            }
            _ if mark.is_empty() => Some(path.into()),
            _ => Some(format!("{path}{mark}{query}").into()),
        }
    }

    /// True for an answer that a valid token gets: 2xx, or 304 for what the client still holds.
    #[inline]
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status) || self.status == 304
    }

    /// True for an answer that refuses the credential: 401 or 403.
    #[inline]
    pub fn refused(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    /// What the method asks for.
    pub fn intent(&self) -> Intent {
        match self.method.as_deref() {
            None | Some("GET" | "HEAD" | "TRACE") => Intent::Read,
            Some("OPTIONS") => Intent::Options,
            Some(_) => Intent::Write,
        }
    }

    /// True for a method that changes something at the server.
    pub fn writes(&self) -> bool {
        self.intent() == Intent::Write
    }

    /// When the request began: the line is written at its end.
    #[inline]
    pub fn start(&self) -> Time {
        self.time.plus_ms(-i64::from(self.duration_ms.unwrap_or(0)))
    }
}

/// Paths, queries and headers may hold tokens, so an event shows only what cannot.
impl fmt::Debug for AccessEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessEvent")
            .field("time", &self.time)
            .field("client", &self.client)
            .field("status", &self.status)
            .field("carriers", &self.carriers)
            .finish_non_exhaustive()
    }
}
