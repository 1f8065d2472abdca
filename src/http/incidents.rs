//! `GET /v1/incidents`, `/v1/incidents/{id}` and `/v1/incidents/{id}/findings`; `POST /v1/incidents/{id}/approve`,
//! `/undo` and `/resolve`; the guard of all that viewers see.
//!
//! In: a query, or a named approver's word. Out: incidents as the NDJSON contract shows them, newest first; what goes
//! ahead, was taken back, or is closed. The thread of lines puts a decision into force when it sees it in the store.
//! Does not know: how they came about.

use super::check::now;
use super::fault::{Fault, json};
use super::guard::{Approvers, Viewer, admit};
use super::status::InForce;
use crate::domain::finding::Level;
use crate::domain::incident::{Incident, State as Where};
use crate::domain::time::Time;
use crate::store::{Query, Store, StoreError};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use std::sync::Arc;

/// Incidents on one page: enough for a screen, and less than a megabyte.
const PAGE: usize = 100;

/// Longest text of a query: the longest subject that is kept, percent-encoded, and the rest.
const QUERY_BYTES_MAX: usize = 4096;

/// Longest body of a decision, which holds a word or two.
const BODY_BYTES_MAX: usize = 1024;

/// Where incidents are, who decides about them, and who hears of it.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) store: Arc<Store>,
    pub(super) approvers: Approvers,
    pub(super) in_force: Arc<InForce>,
}

/// What is said when an incident is closed; nothing at all says that it is resolved.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Closing {
    false_positive: bool,
}

/// The ways in which a person decides.
fn decisions(desk: Desk) -> Router {
    Router::new()
        .route("/v1/incidents/{id}/approve", post(approve))
        .route("/v1/incidents/{id}/undo", post(undo))
        .route("/v1/incidents/{id}/resolve", post(resolve))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

async fn approve(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let (Incident { id, .. }, by) = desk.decided(&id, &headers).await?;
    let released = ask(desk.store, move |store| store.approve(id, &by, now())).await?;
    let actions: Vec<_> = released.iter().map(|action| &action.calls).collect();
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({"goes_ahead": actions}),
    ))
}

async fn undo(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let (Incident { id, .. }, by) = desk.decided(&id, &headers).await?;
    let undone = ask(desk.store, move |store| store.undo(id, &by, now())).await?;
    let targets: Vec<_> = undone.targets.iter().map(ToString::to_string).collect();
    let body = serde_json::json!({
        "no_longer_denied": targets, "cancelled": undone.cancelled, "reversed": undone.reversed,
    });
    Ok(json(StatusCode::OK, &body))
}

async fn resolve(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let (mut incident, by) = desk.decided(&id, &headers).await?;
    let closing = match body.is_empty() {
        true => Ok(Closing::default()),
        false => serde_json::from_slice(&body),
    };
    let closing: Closing =
        closing.map_err(|_| wrong("body", "send nothing, or {\"false_positive\": true}"))?;
    incident.state = match closing.false_positive {
        true => Where::FalsePositive,
        false => Where::Resolved,
    };
    let alerts = (desk.in_force.get().farewell)(&incident);
    let (id, state) = (incident.id, incident.state);
    ask(desk.store, move |store| {
        store.set_state(id, state, alerts, &by, now())
    })
    .await?;
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({"state": state.name()}),
    ))
}

impl Desk {
    /// Which incident, and on whose word.
    async fn decided(&self, id: &str, headers: &HeaderMap) -> Result<(Incident, Arc<str>), Fault> {
        let by = self.approvers.who(headers)?;
        let id = id.parse().map_err(|()| missing())?;
        let known = ask(Arc::clone(&self.store), move |store| store.incident(id)).await?;
        known.map(|incident| (incident, by)).ok_or_else(missing)
    }
}

fn missing() -> Fault {
    let hint = "`GET /v1/incidents` lists those there are";
    Fault::new(StatusCode::NOT_FOUND, "there is no such incident", hint)
}

/// What viewers see: incidents, and what is `beside` them; and what approvers decide.
pub(super) fn routes(desk: Desk, viewer: Option<Viewer>, beside: Router) -> Router {
    let store = Arc::clone(&desk.store);
    let decisions = decisions(desk);
    let guarded = move |request: Request, next: Next| {
        let admitted = admit(request.headers(), viewer.as_ref());
        async move {
            admitted?;
            Ok::<Response, Fault>(next.run(request).await)
        }
    };
    Router::new()
        .route("/v1/incidents", get(list))
        .route("/v1/incidents/{id}", get(show))
        .route("/v1/incidents/{id}/findings", get(findings))
        .with_state(store)
        .merge(beside)
        .route_layer(middleware::from_fn(guarded))
        .merge(decisions)
}

async fn list(
    State(store): State<Arc<Store>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let query = query_of(&query.unwrap_or_default())?;
    let page = ask(store, move |store| store.incidents(&query)).await?;
    let body = serde_json::json!({"incidents": page.incidents, "next": page.next});
    Ok(json(StatusCode::OK, &body))
}

async fn show(State(store): State<Arc<Store>>, Path(id): Path<String>) -> Result<Response, Fault> {
    let id = id.parse().map_err(|()| missing())?;
    let incident = ask(store, move |store| store.incident(id)).await?;
    Ok(json(StatusCode::OK, &incident.ok_or_else(missing)?))
}

async fn findings(
    State(store): State<Arc<Store>>,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let id = id.parse().map_err(|()| missing())?;
    let findings = ask(store, move |store| store.findings(id)).await?;
    Ok(json(
        StatusCode::OK,
        &serde_json::json!({"findings": findings}),
    ))
}

/// Asks the store on a thread that may wait for a disk.
pub(super) async fn ask<T: Send + 'static>(
    store: Arc<Store>,
    question: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Fault> {
    let failed = || {
        let hint = "the daemon's log says why";
        Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer",
            hint,
        )
    };
    let answer = tokio::task::spawn_blocking(move || question(&store)).await;
    answer.map_err(|_| failed())?.map_err(|error| match error {
        StoreError::Cursor => wrong("cursor", "take it from `next` of the page before"),
        error => {
            tracing::error!(%error, "the store does not answer");
            failed()
        }
    })
}

fn query_of(text: &str) -> Result<Query, Fault> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(wrong("query", "it is longer than 4 KiB"));
    }
    let mut query = Query {
        limit: PAGE,
        ..Query::default()
    };
    // The address is only there because a query alone cannot be read.
    let url = reqwest::Url::parse(&format!("http://localhost/?{text}"));
    let url = url.map_err(|_| wrong("query", "write it as name=value&name=value"))?;
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "level" => query.level = Some(level(&value)?),
            "state" => query.state = Some(state(&value)?),
            "since" => query.since = Some(time(&value)?),
            "subject" => query.subject = Some(value.into_owned()),
            "cursor" => query.cursor = Some(value.into_owned()),
            _ => {
                return Err(wrong(
                    "name in the query",
                    "level, subject, state, since, cursor",
                ));
            }
        }
    }
    Ok(query)
}

fn wrong(what: &str, hint: &'static str) -> Fault {
    Fault::new(StatusCode::BAD_REQUEST, format!("wrong {what}"), hint)
}

fn level(word: &str) -> Result<Level, Fault> {
    let hint = "informational, low, medium, high, critical";
    Level::of_name(word).ok_or_else(|| wrong("level", hint))
}

fn state(word: &str) -> Result<Where, Fault> {
    let hint = "open, acknowledged, contained, resolved, false_positive";
    Where::of_name(word).ok_or_else(|| wrong("state", hint))
}

fn time(text: &str) -> Result<Time, Fault> {
    let time = text.parse::<jiff::Timestamp>().ok();
    let time = time.and_then(|time| Time::from_ms(time.as_millisecond()));
    time.ok_or_else(|| wrong("since", "write it as 2026-05-04T10:00:00Z"))
}
