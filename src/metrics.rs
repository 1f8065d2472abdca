//! SHELL: one closed list of metrics: name, kind, labels, help.
//!
//! In: counts and measurements, flushed per batch. Out: [`Metrics`], and its text for Prometheus.
//! Does not know: who counts. Labels are names of sources, rules, providers and the like; never a
//! subject, a token or an address.
//! Source: <https://prometheus.io/docs/practices/naming/>, text format 0.0.4.

mod rows;

pub use rows::Row;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use std::collections::HashSet;
use std::sync::Mutex;

/// What all names begin with.
const NAMESPACE: &str = "tokentrip";

/// Sets of label values that one metric may have; what comes later is counted as `other`. A fleet
/// of some hundred sources or a few hundred rules fits, and a label that grows with traffic does
/// not get far.
const SERIES_MAX: usize = 1000;

/// What is counted above [`SERIES_MAX`].
const OTHER: &str = "other";

/// Seconds from a line being written to it being judged: logs are buffered, shipped and rotated.
const LAG_S: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0,
];

/// Seconds inside this process: from a poll's worth down to what a person would not notice.
const LATENCY_S: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often which size came.
    Histogram,
}

/// One metric of the list.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name without `tokentrip_`; the unit, where there is one, is its last or last but one
    /// word.
    pub name: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The list: one row is the whole of a metric, its method included.
macro_rules! metrics {
    ($(
        $kind:ident $method:ident($($label:ident),*) $name:literal $help:literal;
    )*) => {
        /// Every metric, in the order of the contract.
        pub const ALL: &[Description] = &[$(Description {
            name: $name,
            kind: Kind::$kind,
            labels: &[$(stringify!($label)),*],
            help: $help,
        }),*];

        /// The metrics of one process.
        pub struct Metrics {
            registry: Registry,
            $($method: Family<metrics!(@vec $kind)>,)*
        }

        impl Metrics {
            /// All of them at nought.
            ///
            /// # Errors
            /// When the list itself is wrong: a name twice, or no name at all.
            pub fn new() -> Result<Self, prometheus::Error> {
                let registry = Registry::new();
                $(let $method = Family::new(
                    metrics!(@make $kind $name $help [$(stringify!($label)),*]),
                    &registry,
                )?;)*
                let metrics = Self { registry, $($method,)* };
                metrics.build_info(env!("CARGO_PKG_VERSION"), 1.0);
                Ok(metrics)
            }

            $(
                #[doc = concat!("`tokentrip_", $name, "`: ", $help)]
                pub fn $method(&self, $($label: &str,)* value: metrics!(@value $kind)) {
                    let metric = self.$method.with(&[$($label),*]);
                    metrics!(@record $kind metric value);
                }
            )*
        }
    };
    (@vec Counter) => { IntCounterVec };
    (@vec Gauge) => { GaugeVec };
    (@vec Histogram) => { HistogramVec };
    (@make Counter $name:literal $help:literal $labels:expr) => {
        IntCounterVec::new(Opts::new($name, $help).namespace(NAMESPACE), &$labels)?
    };
    (@make Gauge $name:literal $help:literal $labels:expr) => {
        GaugeVec::new(Opts::new($name, $help).namespace(NAMESPACE), &$labels)?
    };
    (@make Histogram $name:literal $help:literal $labels:expr) => {
        HistogramVec::new(
            HistogramOpts::new($name, $help).namespace(NAMESPACE).buckets(buckets($name)),
            &$labels,
        )?
    };
    (@value Counter) => { u64 };
    (@value Gauge) => { f64 };
    (@value Histogram) => { f64 };
    (@record Counter $metric:ident $value:ident) => { $metric.inc_by($value) };
    (@record Gauge $metric:ident $value:ident) => { $metric.set($value) };
    (@record Histogram $metric:ident $value:ident) => { $metric.observe($value) };
}

metrics! {
    Counter lines_read(source) "lines_read_total" "Lines read from a source.";
    Counter bytes_read(source) "bytes_read_total" "Bytes read from a source, uncompressed.";
    Counter lines_skipped(reason) "lines_skipped_total" "Lines that gave no event, by reason.";
    Counter orphans(source) "orphans_total"
        "Pieces of split lines whose other pieces never came.";
    Counter received(listener) "messages_received_total" "Messages that a listener took.";
    Counter not_received(listener, reason) "messages_dropped_total"
        "Messages and connections that a listener did not take, by reason.";
    Counter events(format) "events_total" "Requests understood, by log format.";
    Counter uses(provenance) "uses_total" "Uses of tokens, by why they may be believed.";
    Counter deferred() "uses_deferred_total"
        "Refused uses of unknown tokens that were not looked at in a flood of forged ones.";
    Counter findings(rule, level) "findings_total" "Findings, by rule and level.";
    Counter findings_excepted(rule) "findings_excepted_total"
        "Findings that an exception of the configuration explains, by rule.";
    Counter shadow_findings(rule) "shadow_findings_total"
        "Findings of rules on trial, from which nothing follows.";
    Counter incidents(level) "incidents_total" "Incidents opened, by their first level.";
    Gauge incidents_open(level) "incidents_open" "Incidents that nobody has closed, by level.";
    Counter actions(provider, step, outcome) "actions_total" "Actions carried out, by outcome.";
    Counter alerts(sink, outcome) "alerts_total" "Alerts sent, by outcome.";
    Histogram event_lag(source) "event_lag_seconds" "From a line's own time to its judgement.";
    Gauge watermark(source) "watermark_timestamp_seconds"
        "The event time that a source has come to, since the epoch.";
    Gauge clock_ahead(source) "clock_ahead_seconds"
        "How far a source's newest stamp was ahead of this machine's clock.";
    Counter late_lines(source) "late_lines_total"
        "Lines more than five minutes behind their source's newest.";
    Counter held_back(source) "held_back_lines_total"
        "Lines with a stamp from the future, given the time of the line before.";
    Histogram detection_latency() "detection_latency_seconds" "From a line read to its finding.";
    Histogram containment_latency() "containment_latency_seconds"
        "From a finding to its token being denied.";
    Gauge backlog(source) "backlog_bytes" "Bytes of a source not yet read.";
    Counter gap(source) "gap_bytes_total" "Bytes of a source known to be lost.";
    Gauge identified(source) "identified_ratio"
        "Share of successful requests on protected paths in which a token was found.";
    Counter breach_reports(coverage) "breach_reports_total"
        "Reports on what suspects touched, read again from the logs: complete or partial.";
    Gauge index() "index_bytes" "The index of positions on the disk.";
    Gauge sessions() "sessions" "Sessions remembered.";
    Gauge state() "state_bytes" "Memory of the engine's stores.";
    Gauge state_unwritten() "state_unwritten" "1 while the state folder takes nothing.";
    Gauge unstored() "unstored" "Findings, incidents and deliveries that the database has not taken yet.";
    Gauge source_faults(reason) "source_faults" "Files and folders that cannot be followed now, by reason.";
    Counter evictions(store, reason) "evictions_total" "Entries forgotten to keep a store bounded.";
    Gauge outbox_depth() "outbox_depth" "Actions and alerts waiting to be delivered.";
    Gauge dead_letters() "dead_letters" "Actions and alerts that were given up.";
    Gauge breaker_open() "breaker_open" "1 while too many actions at once wait for a person.";
    Gauge denylist_size() "denylist_size" "Entries of the denylist.";
    Gauge mirror_behind(mirror) "mirror_behind" "1 while a copy of the denylist cannot be kept.";
    Counter checks(outcome) "checks_total" "Requests asked about by a gateway, by answer.";
    Counter presented(outcome) "presented_total"
        "Tokens that gateways asked about, by what became of them before any log line.";
    Counter revocation_drift() "revocation_drift_total"
        "Accepted uses of tokens that were revoked or denied before.";
    Gauge places_table_age() "places_table_age_seconds" "Age of the oldest place table in use.";
    Gauge build_info(version) "build_info" "1, with the version of this program.";
}

/// The upper ends of a histogram's buckets, in seconds.
fn buckets(name: &str) -> Vec<f64> {
    if name == "event_lag_seconds" {
        LAG_S
    } else {
        LATENCY_S
    }
    .to_vec()
}

/// One metric with the label values it has had.
struct Family<V> {
    vec: V,
    seen: Mutex<HashSet<Vec<String>>>,
}

impl<B: MetricVecBuilder> Family<MetricVec<B>> {
    fn new(vec: MetricVec<B>, registry: &Registry) -> Result<Self, prometheus::Error>
    where
        MetricVec<B>: Collector + Clone + 'static,
    {
        registry.register(Box::new(vec.clone()))?;
        if vec
            .desc()
            .iter()
            .all(|desc| desc.variable_labels.is_empty())
        {
            // So that it shows from the start, at nought.
            vec.with_label_values::<&str>(&[]);
        }
        Ok(Self {
            vec,
            seen: Mutex::default(),
        })
    }

    fn with(&self, labels: &[&str]) -> B::M {
        if self.admits(labels) {
            return self.vec.with_label_values(labels);
        }
        self.vec.with_label_values(&vec![OTHER; labels.len()])
    }

    fn admits(&self, labels: &[&str]) -> bool {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        // A thread that panicked here left a whole set behind: there is nothing to repair.
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.contains(&labels) || (seen.len() < SERIES_MAX && seen.insert(labels))
    }
}

impl Metrics {
    /// Everything in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        // Writing into memory cannot fail, and a metric without a name cannot be registered.
        let _ = prometheus::TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// The contract's names; those of checks, orphans, messages and an unwritable state came later.
    const CONTRACT: &str = "lines_read_total bytes_read_total lines_skipped_total orphans_total \
        messages_received_total messages_dropped_total events_total \
        uses_total uses_deferred_total findings_total findings_excepted_total shadow_findings_total incidents_total incidents_open actions_total alerts_total \
        event_lag_seconds watermark_timestamp_seconds clock_ahead_seconds late_lines_total held_back_lines_total detection_latency_seconds containment_latency_seconds backlog_bytes \
        gap_bytes_total identified_ratio breach_reports_total index_bytes sessions state_bytes state_unwritten unstored source_faults evictions_total outbox_depth \
        dead_letters breaker_open denylist_size mirror_behind checks_total presented_total revocation_drift_total \
        places_table_age_seconds build_info";

    fn touched() -> Metrics {
        let metrics = Metrics::new().unwrap();
        metrics.lines_read("access.log", 3);
        metrics.lines_read("access.log", 4);
        metrics.lines_skipped("empty", 1);
        metrics.findings("impossible_travel", "high", 1);
        metrics.incidents_open("high", 2.0);
        metrics.event_lag("access.log", 0.2);
        metrics.detection_latency(0.02);
        metrics
    }

    #[test]
    fn the_list_is_the_contracts() {
        let names: Vec<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names, CONTRACT.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn counts_add_up_and_show_as_text() {
        let text = touched().text();
        assert!(
            text.contains("tokentrip_lines_read_total{source=\"access.log\"} 7\n"),
            "{text}"
        );
        assert!(
            text.contains("tokentrip_revocation_drift_total 0\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "tokentrip_event_lag_seconds_bucket{source=\"access.log\",le=\"0.25\"} 1"
            )
        );
    }

    #[test]
    fn a_label_that_grows_without_end_ends_in_other() {
        let metrics = Metrics::new().unwrap();
        for source in 0..SERIES_MAX + 50 {
            metrics.lines_read(&source.to_string(), 1);
        }
        let text = metrics.text();
        assert!(text.contains("tokentrip_lines_read_total{source=\"other\"} 50\n"));
        assert!(
            text.lines()
                .filter(|line| line.starts_with("tokentrip_lines_read"))
                .count()
                < 1010
        );
    }

    /// What promtool says, which must be content.
    fn promtool(args: &[&str], input: &str) -> String {
        let child = Command::new("promtool")
            .args(args)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("promtool is missing: tests/all installs it (prometheus)");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        said.trim().to_owned()
    }

    #[test]
    fn promtool_finds_nothing_to_say_about_names_and_help() {
        assert_eq!(promtool(&["check", "metrics"], &touched().text()), "");
    }

    #[test]
    fn the_alert_rules_hold_their_own_tests() {
        promtool(&["check", "rules", "alerts.yml"], "");
        promtool(&["test", "rules", "alerts_test.yml"], "");
    }

    #[test]
    fn the_alert_rules_name_only_metrics_that_there_are() {
        let rules = include_str!("../deploy/prometheus/alerts.yml");
        let names = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = names.filter_map(|name| name.strip_prefix("tokentrip_"));
        for name in ours.map(|name| name.trim_end_matches("_bucket")) {
            assert!(ALL.iter().any(|metric| metric.name == name), "{name}");
        }
    }
}
