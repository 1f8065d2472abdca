//! `GET /v1/status`, `/v1/rules`, `/v1/denylist` and `/v1/outbox`: how the daemon is, for the console.
//!
//! In: metrics, readiness, rules, the store. Out: JSON. Does not know: how any of it came about.

use super::fault::{Fault, json};
use super::health::Readiness;
use super::incidents::ask;
use super::samples::Samples;
use crate::domain::action::Alert;
use crate::domain::incident::Incident;
use crate::metrics::{Metrics, Row};
use crate::outbound::now;
use crate::store::Store;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Value, json as object};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// One rule, for people.
#[derive(Clone, Debug, Serialize)]
pub struct RuleShown {
    /// Its name.
    pub name: String,
    /// What it finds.
    pub title: String,
    /// How bad that is.
    pub level: &'static str,
    /// Points for an incident.
    pub score: u32,
    /// In which dimension they count.
    pub dimension: &'static str,
    /// The attack.
    pub description: String,
    /// What to do about it.
    pub runbook: String,
}

/// The messages that say of an incident that it was closed, to everybody who is told of such.
pub type Farewell = Arc<dyn Fn(&Incident) -> Vec<Alert> + Send + Sync>;

/// What changes with the configuration.
#[derive(Clone)]
pub struct Settled {
    /// The rules in force.
    pub rules: Vec<RuleShown>,
    /// How incidents are answered.
    pub mode: &'static str,
    /// Who hears that an incident was closed.
    pub farewell: Farewell,
}

impl Default for Settled {
    /// No rule, nothing done, nobody told.
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            mode: "observe",
            farewell: Arc::new(|_| Vec::new()),
        }
    }
}

/// What is in force now.
#[derive(Default)]
pub struct InForce(RwLock<Settled>);

impl InForce {
    /// This is in force from now on.
    pub fn set(&self, settled: Settled) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settled;
    }

    pub(super) fn get(&self) -> Settled {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[derive(Clone)]
pub(super) struct Known {
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) store: Arc<Store>,
    pub(super) in_force: Arc<InForce>,
    pub(super) samples: Arc<Samples>,
    /// True when somebody is named who may decide.
    pub(super) approvers: bool,
}

/// To be put behind the guard of incidents.
pub(super) fn routes(known: Known) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/rules", get(rules))
        .route("/v1/denylist", get(denylist))
        .route("/v1/outbox", get(outbox))
        .with_state(known)
}

/// What is said of each source, and the metric that says it.
const OF_SOURCES: [(&str, &str); 9] = [
    ("lines", "lines_read_total"),
    ("bytes", "bytes_read_total"),
    ("lag_s_p95", "event_lag_seconds"),
    ("backlog_bytes", "backlog_bytes"),
    ("gap_bytes", "gap_bytes_total"),
    ("identified_ratio", "identified_ratio"),
    ("late_lines", "late_lines_total"),
    ("held_back_lines", "held_back_lines_total"),
    ("watermark_s", "watermark_timestamp_seconds"),
];

async fn status(State(known): State<Known>) -> Result<Response, Fault> {
    let (paused, depth) = ask(Arc::clone(&known.store), |store| {
        Ok((store.paused()?, store.depth()?))
    })
    .await?;
    let rows = known.metrics.rows();
    let (ready, parts) = known.readiness.said();
    let mut sources: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for (field, metric) in OF_SOURCES {
        for (source, value) in labelled(&rows, metric, "source") {
            sources.entry(source).or_default().insert(field, value);
        }
    }
    let sources: Vec<Value> = sources
        .into_iter()
        .map(|(name, numbers)| object!({"source": name, "numbers": numbers}))
        .collect();
    let one = |name: &str| {
        rows.get(name)
            .and_then(|rows| rows.first())
            .map(|row| row.value)
    };
    let body = object!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": ready,
        "parts": parts,
        "mode": known.in_force.get().mode,
        "approvers": known.approvers,
        "paused": paused,
        "sources": sources,
        "skipped": counts(&rows, "lines_skipped_total", "reason"),
        "skipped_samples": known.samples.get(),
        "formats": counts(&rows, "events_total", "format"),
        "uses": counts(&rows, "uses_total", "provenance"),
        "open": counts(&rows, "incidents_open", "level"),
        "sessions": one("sessions"),
        "state_bytes": one("state_bytes"),
        "breaker_open": one("breaker_open") == Some(1.0),
        "outbox": {"open": depth.open, "waiting": depth.waiting, "dead": depth.dead},
    });
    Ok(json(StatusCode::OK, &body))
}

fn labelled<'a>(
    rows: &'a BTreeMap<String, Vec<Row>>,
    metric: &str,
    label: &'a str,
) -> impl Iterator<Item = (&'a str, f64)> {
    let rows = rows.get(metric).into_iter().flatten();
    rows.filter_map(move |row| {
        // JSON has no infinity: a lag beyond every bucket is the last bound's tenfold at least.
        let value = row.value.min(1e9);
        Some((row.labels.get(label)?.as_str(), value))
    })
}

fn counts<'a>(
    rows: &'a BTreeMap<String, Vec<Row>>,
    metric: &str,
    label: &'a str,
) -> BTreeMap<&'a str, f64> {
    let mut counts = BTreeMap::new();
    for (name, value) in labelled(rows, metric, label) {
        *counts.entry(name).or_default() += value;
    }
    counts
}

async fn rules(State(known): State<Known>) -> Response {
    let rows = known.metrics.rows();
    let counts = counts(&rows, "findings_total", "rule");
    let Settled { rules, mode, .. } = known.in_force.get();
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            let mut shown = object!(rule);
            shown["findings"] = object!(counts.get(rule.name.as_str()).copied().unwrap_or(0.0));
            shown
        })
        .collect();
    json(StatusCode::OK, &object!({"mode": mode, "rules": rules}))
}

async fn denylist(State(known): State<Known>) -> Result<Response, Fault> {
    let (denied, count) = ask(known.store, |store| store.denied(now())).await?;
    Ok(json(
        StatusCode::OK,
        &object!({"denied": denied, "count": count}),
    ))
}

async fn outbox(State(known): State<Known>) -> Result<Response, Fault> {
    let rows = ask(known.store, Store::undelivered).await?;
    Ok(json(StatusCode::OK, &object!({"rows": rows})))
}
