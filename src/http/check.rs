//! `/v1/check`: is a token of this request denied?
//!
//! In: the head of a request as a gateway passes it on. Out: 200 and the ids of the token (`X-Tokentrip`), or 401 where
//! a token is denied.
//! It is a denylist and no authentication: no token, or a broken one, is 200. Reads memory only.
//! Does not know: who denied a token, or why.
//! Source: nginx `auth_request`, Traefik ForwardAuth, Caddy `forward_auth`, Envoy `ext_authz`
//! (takes 200 alone for yes, and appends the path it asks about); RFC 6750, section 3.

use super::fault::json;
use crate::domain::event::{AccessEvent, Carrier, CarrierKind, Text};
use crate::domain::ids::IdKey;
use crate::domain::scrubbed::Scrubbed;
use crate::domain::time::Time;
use crate::domain::token::{CredentialPlace, Shape, Token};
use crate::metrics::Metrics;
use crate::response::denylist::Denylist;
use crate::tokens::decode::decode;
use crate::tokens::locate::{CREDENTIALS_MAX, locate};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use std::borrow::Cow;
use std::sync::Arc;

/// Headers whose value is a credential, with a scheme before it or without.
const CREDENTIAL_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-access-token",
    "x-forwarded-access-token",
    "x-auth-token",
    "x-amzn-oidc-data",
    "x-amzn-oidc-accesstoken",
    "cf-access-jwt-assertion",
    "x-goog-iap-jwt-assertion",
    "x-ms-token-aad-access-token",
    "sec-websocket-protocol",
];

/// Names the token for the log of a gateway that can neither decode nor hash one: ids that open nothing.
const IDS_HEADER: &str = "x-tokentrip";

/// Headers in which a gateway says which address it asks about, its own before others'.
const URI_HEADERS: [&str; 2] = ["x-original-uri", "x-forwarded-uri"];

/// Who is told of the tokens that gateways ask about: the earliest sight of a request there is.
pub trait Sensor: Send + Sync {
    /// One token was presented. Called before the gateway has its answer, so it must not wait.
    fn presented(&self, seen: &Seen<'_>);
}

/// A token that a gateway asked about.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The request, its credentials taken out; without a status, since there is none yet.
    pub event: &'a AccessEvent<'a>,
    /// The token; nothing in it is verified.
    pub token: &'a Token,
    /// Where it stood.
    pub place: CredentialPlace,
    /// True when it is denied.
    pub denied: bool,
}

/// What `/v1/check` knows.
pub struct Check {
    key: IdKey,
    denylist: Arc<Denylist>,
    sensor: Option<Arc<dyn Sensor>>,
}

impl Check {
    /// Tokens are named under `key`, which is the engine's, and looked up in `denylist`.
    pub fn new(key: IdKey, denylist: Arc<Denylist>) -> Self {
        Self {
            key,
            denylist,
            sensor: None,
        }
    }

    /// The same, and `sensor` hears of every token.
    #[must_use]
    pub fn with_sensor(self, sensor: Arc<dyn Sensor>) -> Self {
        Self {
            sensor: Some(sensor),
            ..self
        }
    }

    /// How many entries the denylist has.
    pub(super) fn denied_count(&self) -> usize {
        self.denylist.len()
    }

    /// What is said of a request at `now`.
    fn judge(&self, mut event: AccessEvent<'_>, now: Time) -> Judged {
        event.time = now;
        let credentials = locate(&mut event, &self.key);
        // Nobody needs so many, and a denied one could hide behind those that were looked at.
        let mut denied = credentials.len() >= CREDENTIALS_MAX;
        let mut ids = None;
        for credential in credentials
            .iter()
            .filter(|credential| credential.place.presents())
            // The id of a token is none: only logs hold it in a token's place.
            .filter(|credential| !matches!(credential.shape, Shape::Scrubbed(_)))
        {
            let Ok(token) = decode(credential, &self.key) else {
                continue;
            };
            let token_denied = self.denylist.denied(&token, now).is_some();
            denied |= token_denied;
            ids.get_or_insert_with(|| Scrubbed::of(&token));
            if let Some(sensor) = &self.sensor {
                sensor.presented(&Seen {
                    event: &event,
                    token: &token,
                    place: credential.place,
                    denied: token_denied,
                });
            }
        }
        Judged { denied, ids }
    }
}

/// What is said of a request.
struct Judged {
    denied: bool,
    /// The first token that it presents.
    ids: Option<Scrubbed>,
}

#[derive(Clone)]
struct Asked {
    check: Arc<Check>,
    metrics: Arc<Metrics>,
}

pub(super) fn routes(check: Arc<Check>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/v1/check", any(answer))
        .route("/v1/check/", any(answer))
        .route("/v1/check/{*path}", any(answer))
        .with_state(Asked { check, metrics })
}

/// The body, if there is one, is left alone: a token in a form is for the gateway to send as a
/// header.
async fn answer(State(asked): State<Asked>, request: Request) -> Response {
    let judged = asked.check.judge(event_of(&request), now());
    asked
        .metrics
        .checks(if judged.denied { "denied" } else { "allowed" }, 1);
    if !judged.denied {
        let mut response = StatusCode::OK.into_response();
        let ids = judged.ids.map(|ids| HeaderValue::try_from(ids.to_string()));
        if let Some(Ok(ids)) = ids {
            response.headers_mut().insert(IDS_HEADER, ids);
        }
        return response;
    }
    let body = serde_json::json!({"error": "invalid_token", "hint": "sign in again"});
    let mut response = json(StatusCode::UNAUTHORIZED, &body);
    let scheme = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    response
}

fn now() -> Time {
    Time::from_ms(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// The request that a gateway asks about.
fn event_of(request: &Request) -> AccessEvent<'_> {
    let headers = request.headers();
    let own = request
        .uri()
        .path_and_query()
        .map_or("", |uri| uri.as_str());
    let own = own.strip_prefix("/v1/check").unwrap_or_default();
    let asked: Vec<Cow<'_, str>> = URI_HEADERS
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .chain((!own.is_empty()).then_some(Cow::Borrowed(own)))
        .collect();
    let mut event = AccessEvent {
        chain: text(headers, "x-forwarded-for"),
        method: text(headers, "x-original-method")
            .or_else(|| text(headers, "x-forwarded-method"))
            .or(Some(Cow::Borrowed(request.method().as_str()))),
        host: text(headers, "x-forwarded-host").or_else(|| text(headers, "host")),
        referer: text(headers, "referer"),
        user_agent: text(headers, "user-agent"),
        language: text(headers, "accept-language"),
        request_id: text(headers, "x-request-id"),
        ..AccessEvent::default()
    };
    event.carriers.extend(headers.iter().filter_map(carrier));
    let encoded = asked.iter().map(AsRef::as_ref).chain(cookies(headers));
    event.carriers.extend(encoded.flat_map(decoded));
    // A client may send such a header too, so whichever is not the gateway's is looked at as well.
    let mut asked = asked.into_iter();
    if let Some(uri) = asked.next() {
        let (path, query) = split(uri);
        (event.path, event.query) = (Some(path), query);
    }
    for uri in asked {
        let (path, query) = split(uri);
        let parts = [("path", Some(path)), ("query", query)];
        event
            .carriers
            .extend(parts.into_iter().filter_map(|(name, part)| {
                Some(Carrier {
                    kind: CarrierKind::Field,
                    name: name.into(),
                    text: part?,
                })
            }));
    }
    event
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Text<'a> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// The header as a place where a token may stand; `None` where none can.
fn carrier<'a>((name, value): (&'a header::HeaderName, &'a HeaderValue)) -> Option<Carrier<'a>> {
    let kind = match name.as_str() {
        "cookie" => CarrierKind::Cookie,
        name if CREDENTIAL_HEADERS.contains(&name) => CarrierKind::Header,
        "referer" | "user-agent" | "x-original-uri" | "x-forwarded-uri" => return None,
        // How a token begins: base64url of `{"`.
        _ if memchr::memmem::find(value.as_bytes(), b"eyJ").is_some() => CarrierKind::Field,
        _ => return None,
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    Some(Carrier {
        kind,
        name: Cow::Borrowed(name.as_str()),
        text,
    })
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
}

/// The values of a query or of cookies with their percent-encoding undone. Applications undo it, so
/// a denied token whose first letter is written `%65` would still work behind the gateway.
fn decoded<'a>(pairs: &str) -> Vec<Carrier<'a>> {
    if !pairs.contains('%') {
        return Vec::new();
    }
    let query = pairs
        .split_once('?')
        .map_or(pairs, |(_, query)| query)
        .replace(';', "&");
    // The address is only there because a query alone cannot be read.
    let Ok(url) = reqwest::Url::parse(&format!("http://localhost/?{query}")) else {
        return Vec::new();
    };
    let carrier = |(name, text): (Cow<'_, str>, Cow<'_, str>)| Carrier {
        kind: CarrierKind::Field,
        name: Cow::Owned(name.into_owned()),
        text: Cow::Owned(text.into_owned()),
    };
    url.query_pairs().map(carrier).collect()
}

/// Path and query of an address that may be whole (`https://host/path?query`).
fn split(uri: Cow<'_, str>) -> (Cow<'_, str>, Text<'_>) {
    match uri {
        Cow::Borrowed(uri) => match uri.split_once('?') {
            Some((path, query)) => (Cow::Borrowed(path), Some(Cow::Borrowed(query))),
            None => (Cow::Borrowed(uri), None),
        },
        Cow::Owned(uri) => match uri.split_once('?') {
            Some((path, query)) => (
                Cow::Owned(path.to_owned()),
                Some(Cow::Owned(query.to_owned())),
            ),
            None => (Cow::Owned(uri), None),
        },
    }
}
