//! `GET /v1/events`: what changes, as server-sent events.
//!
//! In: the store. Out: `ready` at once; `incident` with each incident that is new or changed; `changed` after any
//! change of the store.
//! Does not know: who changed it; the daemon, an answer of this server, and the command line look alike.
//! Source: the HTML Standard, section 9.2, <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use super::fault::Fault;
use crate::domain::ids::IncidentId;
use crate::store::{Query, Store, StoreError};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Between looks whether anything changed, which cost microseconds.
const LOOK: Duration = Duration::from_millis(500);

/// Between signs of life: proxies give up on a silent connection after a minute.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Streams at once: the people on duty, and not a way to use up connections.
const STREAMS_MAX: usize = 64;

/// Newest incidents whose changes are told one by one. Of others `changed` tells.
const WATCHED: usize = 100;

#[derive(Clone)]
struct Source {
    store: Arc<Store>,
    stopping: watch::Receiver<bool>,
    room: Arc<Semaphore>,
}

/// To be put behind the guard of incidents.
pub(super) fn routes(store: Arc<Store>, stopping: watch::Receiver<bool>) -> Router {
    let room = Arc::new(Semaphore::new(STREAMS_MAX));
    Router::new()
        .route("/v1/events", get(events))
        .with_state(Source {
            store,
            stopping,
            room,
        })
}

async fn events(State(source): State<Source>) -> Result<Response, Fault> {
    let place = source.room.try_acquire_owned().map_err(|_| {
        let hint = "close another console, or ask again later";
        Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many listen already",
            hint,
        )
    })?;
    let feed = Feed {
        store: source.store,
        stopping: source.stopping,
        seen: HashMap::new(),
        version: None,
        waiting: VecDeque::from([Event::default().event("ready").data("{}")]),
        _place: place,
    };
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let sign = KeepAlive::new().interval(SIGN_OF_LIFE);
    Ok(Sse::new(events).keep_alive(sign).into_response())
}

/// What one listener was told.
struct Feed {
    store: Arc<Store>,
    stopping: watch::Receiver<bool>,
    /// Digests of incidents as they were told.
    seen: HashMap<IncidentId, blake3::Hash>,
    /// What the store's version was; `None` before the first look.
    version: Option<i64>,
    waiting: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

/// The store's version, and its newest incidents as JSON.
type Looked = (i64, Vec<(IncidentId, String)>);

impl Feed {
    /// The next event; `None` when the daemon ends.
    async fn next(&mut self) -> Option<Event> {
        if self.version.is_none() {
            self.look().await;
        }
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let ended = self.stopping.wait_for(|stop| *stop);
            if tokio::time::timeout(LOOK, ended).await.is_ok() {
                return None;
            }
            self.look().await;
        }
    }

    /// A store that does not answer is asked again at the next look.
    async fn look(&mut self) {
        let (store, before) = (Arc::clone(&self.store), self.version);
        let looked = tokio::task::spawn_blocking(move || newest(&store, before)).await;
        let Ok(Ok(Some((version, incidents)))) = looked else {
            return;
        };
        let is_first = self.version.replace(version).is_none();
        let mut seen = HashMap::with_capacity(incidents.len());
        for (id, json) in incidents {
            let digest = blake3::hash(json.as_bytes());
            if !is_first && self.seen.get(&id) != Some(&digest) {
                self.waiting
                    .push_back(Event::default().event("incident").data(json));
            }
            seen.insert(id, digest);
        }
        self.seen = seen;
        if !is_first {
            self.waiting
                .push_back(Event::default().event("changed").data("{}"));
        }
    }
}

fn newest(store: &Store, before: Option<i64>) -> Result<Option<Looked>, StoreError> {
    let version = store.version()?;
    if before == Some(version) {
        return Ok(None);
    }
    let query = Query {
        limit: WATCHED,
        ..Query::default()
    };
    let page = store.incidents(&query)?;
    let shown = page.incidents.iter();
    let shown = shown.map(|incident| Ok((incident.id, serde_json::to_string(incident)?)));
    Ok(Some((version, shown.collect::<Result<_, StoreError>>()?)))
}
