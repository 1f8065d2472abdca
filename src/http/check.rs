//! `/v1/check`: is a token of this request denied?
//!
//! In: the head of a request as a gateway passes it on, over HTTP or gRPC. Out: 200 and the ids of the
//! token (`X-Tokentrip`), or 401 where a token is denied. It is a denylist and no authentication: no token, or a broken
//! one, is 200. Reads memory only.
//! Does not know: who denied a token, or why.
//! Source: nginx `auth_request`, Traefik ForwardAuth, Caddy `forward_auth`, Envoy `ext_authz`
//! (takes 200 alone for yes, and appends the path it asks about); RFC 6750, section 3.

mod envoy;
mod question;

use super::connections::Peer;
use crate::domain::event::AccessEvent;
use crate::domain::ids::IdKey;
use crate::domain::scrubbed::Scrubbed;
use crate::domain::time::Time;
use crate::domain::token::{Credential, Shape, Token};
use crate::metrics::Metrics;
use crate::response::denylist::Denylist;
use crate::tokens::decode::decode;
use crate::tokens::locate::{CREDENTIALS_MAX, locate};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use question::{Question, event_of};
use std::sync::Arc;

/// Names the token for the log of a gateway that can neither decode nor hash one: ids that open nothing.
const IDS_HEADER: &str = "x-tokentrip";

/// What a client is told of a denied token, and how it is to ask again.
const REFUSAL: &str = r#"{"error":"invalid_token","hint":"sign in again"}"#;
const SCHEME: &str = "Bearer error=\"invalid_token\"";

/// Who is told of the tokens that gateways ask about: the earliest sight of a request there is.
pub trait Sensor: Send + Sync {
    /// One token was presented. Called before the gateway has its answer, so it must not wait.
    fn presented(&self, seen: &Seen<'_>);
}

/// A token that a gateway asked about.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The request, its credentials taken out; without a status, since there is none yet. Its `peer` is who asks.
    pub event: &'a AccessEvent<'a>,
    /// The token as it was written, and where it stood.
    pub credential: &'a Credential<'a>,
    /// The token; nothing in it is verified.
    pub token: &'a Token,
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
                    credential,
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

impl Asked {
    /// What is said of a question now.
    fn judge(&self, question: &Question<'_>) -> Judged {
        let judged = self.check.judge(event_of(question), now());
        let outcome = if judged.denied { "denied" } else { "allowed" };
        self.metrics.checks(outcome, 1);
        judged
    }
}

pub(super) fn routes(check: Arc<Check>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/v1/check", any(answer))
        .route("/v1/check/", any(answer))
        .route("/v1/check/{*path}", any(answer))
        .route(envoy::PATH, post(envoy::check))
        .with_state(Asked { check, metrics })
}

/// The body, if there is one, is left alone: a token in a form is for the gateway to send as a
/// header.
async fn answer(State(asked): State<Asked>, request: Request) -> Response {
    let own = request.uri().path_and_query();
    let question = Question {
        peer: request.extensions().get().map(|Peer(address)| *address),
        method: request.method().as_str(),
        uri: own
            .and_then(|uri| uri.as_str().strip_prefix("/v1/check"))
            .unwrap_or_default(),
        headers: request.headers(),
    };
    let judged = asked.judge(&question);
    if !judged.denied {
        let mut response = StatusCode::OK.into_response();
        let ids = judged.ids.map(|ids| HeaderValue::try_from(ids.to_string()));
        if let Some(Ok(ids)) = ids {
            response.headers_mut().insert(IDS_HEADER, ids);
        }
        return response;
    }
    let fields = [
        (header::WWW_AUTHENTICATE, SCHEME),
        (header::CONTENT_TYPE, "application/json"),
    ];
    (StatusCode::UNAUTHORIZED, fields, REFUSAL).into_response()
}

/// The wall clock.
pub(super) fn now() -> Time {
    Time::from_ms(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
