//! Metrics as numbers, for the console.
//!
//! In: the name of a metric of the list. Out: its [`Row`]s. Does not know: who looks at them.

use super::{Metrics, NAMESPACE};
use prometheus::proto::{Histogram, Metric, MetricType};
use std::collections::BTreeMap;

/// One set of labels with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Names and values of the labels.
    pub labels: BTreeMap<String, String>,
    /// Count or gauge; of a histogram, the bound that 95 of 100 stay below.
    pub value: f64,
}

impl Metrics {
    /// The rows of every metric, by its name without `tokentrip_`.
    pub fn rows(&self) -> BTreeMap<String, Vec<Row>> {
        let families = self.registry.gather();
        let named = families.iter().map(|family| {
            let name = family.name().trim_start_matches(NAMESPACE);
            let histogram = family.get_field_type() == MetricType::HISTOGRAM;
            let rows = family.get_metric().iter();
            let rows = rows.map(|metric| row(metric, histogram)).collect();
            (name.trim_start_matches('_').to_owned(), rows)
        });
        named.collect()
    }
}

fn row(metric: &Metric, histogram: bool) -> Row {
    let labels = metric.get_label().iter();
    let labels = labels.map(|pair| (pair.name().to_owned(), pair.value().to_owned()));
    let value = if histogram {
        p95(metric.get_histogram())
    } else {
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    };
    Row {
        labels: labels.collect(),
        value,
    }
}

fn p95(histogram: &Histogram) -> f64 {
    let most = 0.95 * histogram.get_sample_count() as f64;
    let mut buckets = histogram.get_bucket().iter();
    let enough = buckets.find(|bucket| bucket.cumulative_count() as f64 >= most);
    enough.map_or(f64::INFINITY, |bucket| bucket.upper_bound())
}
