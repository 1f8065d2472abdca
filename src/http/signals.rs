//! `/.well-known/ssf-configuration`, `/jwks.json` and `POST /ssf/poll`: what receivers of security events ask.
//!
//! In: the streams of the configuration, a poll. Out: metadata, public keys, events that were not acknowledged.
//! Does not know: what an event says. A receiver sees its own stream alone, and shows its secret.
//! Source: OpenID Shared Signals Framework 1.0, section 7; RFC 7517, section 5; RFC 8936, section 2.

use super::fault::{Fault, json};
use super::guard::Viewer;
use crate::response::providers::caep::Stream;
use crate::store::Store;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json as object};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// Events of one answer, whatever is asked for: a quarter of a megabyte.
const EVENTS_MAX: usize = 100;

/// How long a poll without `returnImmediately` waits for an event, and how often it looks: proxies give up on what is
/// silent for longer than half a minute, and an event may be a second late.
const WAIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_secs(1);

/// Polls that wait at a time, of all receivers. More are answered at once.
const WAITING_MAX: usize = 32;

/// A poll acknowledges what the last one gave.
const BODY_BYTES_MAX: usize = 64 << 10;

struct Signals {
    streams: Vec<(Stream, Option<Viewer>)>,
    store: Arc<Store>,
    waiting: Semaphore,
}

/// What a receiver may ask. What it does not say has the RFC's meaning.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Poll {
    max_events: Option<usize>,
    return_immediately: bool,
    ack: Vec<String>,
    set_errs: BTreeMap<String, Value>,
}

/// No routes at all without a stream.
pub(super) fn routes(streams: Vec<Stream>, store: Arc<Store>) -> Router {
    if streams.is_empty() {
        return Router::new();
    }
    let secret = |stream: &Stream| Some(Viewer::new(&stream.poll_token.as_ref()?.read().ok()?));
    let streams = streams.into_iter().map(|stream| {
        let secret = secret(&stream);
        (stream, secret)
    });
    let signals = Signals {
        streams: streams.collect(),
        store,
        waiting: Semaphore::new(WAITING_MAX),
    };
    Router::new()
        .route("/.well-known/ssf-configuration", get(configuration))
        .route("/jwks.json", get(keys))
        .route(
            "/ssf/poll",
            post(poll).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)),
        )
        .with_state(Arc::new(signals))
}

async fn configuration(State(signals): State<Arc<Signals>>) -> Response {
    let transmitter = signals
        .streams
        .first()
        .map_or("", |(stream, _)| &stream.transmitter);
    let below = |path: &str| format!("{}{path}", transmitter.trim_end_matches('/'));
    json(
        StatusCode::OK,
        &object!({
            "spec_version": "1_0",
            "issuer": transmitter,
            "jwks_uri": below("/jwks.json"),
            "delivery_methods_supported": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"],
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6750"}],
            "default_subjects": "ALL",
        }),
    )
}

async fn keys(State(signals): State<Arc<Signals>>) -> Response {
    let mut keys: Vec<&Value> = Vec::new();
    for (stream, _) in &signals.streams {
        if !keys.contains(&&stream.jwk) {
            keys.push(&stream.jwk);
        }
    }
    json(StatusCode::OK, &object!({"keys": keys}))
}

async fn poll(
    State(signals): State<Arc<Signals>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let shown = |secret: &Option<Viewer>| secret.as_ref().is_some_and(|secret| secret.is(&headers));
    let mut streams = signals.streams.iter();
    let stream = streams.find(|(_, secret)| shown(secret));
    let unknown = || {
        let hint = "send `Authorization: Bearer` with the `poll_token` of a stream";
        Fault::new(
            StatusCode::UNAUTHORIZED,
            "receivers must show a secret",
            hint,
        )
    };
    let name = stream
        .map(|(stream, _)| stream.name.clone())
        .ok_or_else(unknown)?;
    let asked: Poll = serde_json::from_slice(&body).map_err(|_| {
        let hint = "a poll is JSON with `ack`, `maxEvents`, `returnImmediately`, `setErrs`: RFC 8936, section 2.2";
        Fault::new(StatusCode::BAD_REQUEST, "this is no poll", hint)
    })?;
    for jti in asked.set_errs.keys() {
        // Its name is a keyed hash of ours, or none: what the receiver says of it is not shown.
        let known = jti.starts_with("a-") && jti.len() < 64;
        tracing::warn!(
            stream = &*name,
            jti = known.then_some(jti),
            "a receiver refuses an event"
        );
    }
    let limit = asked.max_events.unwrap_or(EVENTS_MAX).min(EVENTS_MAX);
    let refused = asked.set_errs.into_keys();
    let settled: Vec<String> = asked.ack.into_iter().chain(refused).collect();
    let (mut sets, mut more) = look(&signals.store, &name, settled, limit).await?;
    // A poll for no events only acknowledges (RFC 8936, section 2.4.2).
    let waits = limit > 0 && !asked.return_immediately;
    let place = signals.waiting.try_acquire().ok().filter(|_| waits);
    let until = Instant::now() + WAIT;
    while place.is_some() && sets.is_empty() && Instant::now() < until {
        sleep(LOOK).await;
        (sets, more) = look(&signals.store, &name, Vec::new(), limit).await?;
    }
    let sets: Map<_, _> = sets
        .into_iter()
        .map(|(jti, set)| (jti, set.into()))
        .collect();
    Ok(json(
        StatusCode::OK,
        &object!({"sets": sets, "moreAvailable": more}),
    ))
}

/// Forgets what is settled, and gives what is left with whether there is more.
async fn look(
    store: &Arc<Store>,
    stream: &Arc<str>,
    settled: Vec<String>,
    limit: usize,
) -> Result<(Vec<(String, String)>, bool), Fault> {
    let (store, stream) = (store.clone(), stream.clone());
    let given = tokio::task::spawn_blocking(move || store.poll(&stream, &settled, limit)).await;
    let failed = || {
        let hint = "the daemon's log says why";
        Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer",
            hint,
        )
    };
    given.map_err(|_| failed())?.map_err(|error| {
        tracing::error!(%error, "the store does not answer");
        failed()
    })
}
