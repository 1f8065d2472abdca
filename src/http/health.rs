//! `/metrics`, `/healthz` and `/readyz`.
//!
//! In: what the parts of the daemon say about themselves. Out: text and JSON.
//! Does not know: the parts.

use super::check::Check;
use super::fault::json;
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What must be there before the daemon does its work: sources opened, rules loaded, keys fetched.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<BTreeMap<String, Part>>);

/// What a part says of itself.
#[derive(Clone, Debug)]
enum Part {
    Ready,
    /// It does its work as far as it can.
    Impaired(String),
    NotReady(String),
}

impl Readiness {
    /// A daemon that waits for `parts`.
    pub fn waiting_for(parts: &[&str]) -> Self {
        let waiting = |part: &&str| ((*part).to_owned(), Part::NotReady("not yet".to_owned()));
        Self(Mutex::new(parts.iter().map(waiting).collect()))
    }

    /// A part does its work.
    pub fn ready(&self, part: &str) {
        self.set(part, Part::Ready);
    }

    /// A part does not, for this reason, which must hold no secret.
    pub fn not_ready(&self, part: &str, reason: impl Into<String>) {
        self.set(part, Part::NotReady(reason.into()));
    }

    /// A part does only some of its work, for this reason, which must hold no secret. The daemon stays ready: a log
    /// that cannot be read is no reason to ask it nothing.
    pub fn impaired(&self, part: &str, reason: impl Into<String>) {
        self.set(part, Part::Impaired(reason.into()));
    }

    fn set(&self, name: &str, part: Part) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(name.to_owned(), part);
    }

    /// Whether all that must be there is there, and what each part says.
    pub(super) fn said(&self) -> (bool, BTreeMap<String, String>) {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = !parts.values().any(|part| matches!(part, Part::NotReady(_)));
        let said = |part: &Part| match part {
            Part::Ready => "ready".to_owned(),
            Part::Impaired(reason) => format!("impaired: {reason}"),
            Part::NotReady(reason) => reason.clone(),
        };
        let parts = parts.iter().map(|(name, part)| (name.clone(), said(part)));
        (ready, parts.collect())
    }
}

#[derive(Clone)]
struct Health {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    check: Arc<Check>,
}

pub(super) fn routes(
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    check: Arc<Check>,
) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(Health {
            metrics,
            readiness,
            check,
        })
}

async fn metrics_text(State(health): State<Health>) -> Response {
    health
        .metrics
        .denylist_size(health.check.denied_count() as f64);
    let format = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (format, health.metrics.text()).into_response()
}

async fn readyz(State(health): State<Health>) -> Response {
    let (ready, parts) = health.readiness.said();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, &serde_json::json!({"ready": ready, "parts": parts}))
}
