//! Clocks that disagree: how far the clocks of two sources are apart, measured by the requests that both have logged.
//!
//! In: events with the gateway's id of the request. Out: sentences about pairs of sources.
//! Does not know: which of two clocks is right, so nothing is corrected: who reads the sentence sets the clock.

use crate::domain::event::AccessEvent;
use crate::domain::line::Source;
use crate::domain::time::Time;
use std::collections::{BTreeMap, HashMap};

/// Requests remembered until another source shows them, too.
const REQUESTS_MAX: usize = 100_000;

/// Pairs of sources that are compared: a path through a dozen of gateways.
const PAIRS_MAX: usize = 64;

/// Measurements kept of one pair: more do not move a median.
const SAMPLES_MAX: usize = 1001;

/// Fewer shared requests than this may be retries or accidents.
const SAMPLES_MIN: usize = 10;

/// A proxy logs a request when it has ended there: seconds after the backend when the client is slow. Clocks under NTP
/// are milliseconds apart.
const APART_S_MIN: f64 = 5.0;

/// What the sources say about each other's clocks.
#[derive(Debug, Default)]
pub(super) struct Skew {
    requests: HashMap<Box<str>, (Source, Time)>,
    pairs: BTreeMap<(Source, Source), Vec<i64>>,
}

impl Skew {
    /// Takes note of a request.
    pub(super) fn observe(&mut self, source: &Source, event: &AccessEvent<'_>) {
        let Some(id) = event.request_id.as_deref() else {
            return;
        };
        match self.requests.get(id) {
            Some((first, _)) if first == source => {}
            Some((first, time)) => {
                let apart_ms = event.time.as_ms() - time.as_ms();
                let (pair, apart_ms) = match first < source {
                    true => ((first.clone(), source.clone()), apart_ms),
                    false => ((source.clone(), first.clone()), -apart_ms),
                };
                let room = self.pairs.len() < PAIRS_MAX || self.pairs.contains_key(&pair);
                let samples = room.then(|| self.pairs.entry(pair).or_default());
                if let Some(samples) = samples.filter(|samples| samples.len() < SAMPLES_MAX) {
                    samples.push(apart_ms);
                }
            }
            None if self.requests.len() < REQUESTS_MAX => {
                self.requests
                    .insert(id.into(), (source.clone(), event.time));
            }
            None => {}
        }
    }

    /// The pairs whose clocks disagree.
    pub(super) fn warnings(&self) -> Vec<String> {
        let disagree = self.pairs.iter().filter_map(|((first, second), samples)| {
            let mut sorted = samples.clone();
            sorted.sort_unstable();
            let median_s = *sorted.get(sorted.len() / 2)? as f64 / 1000.0;
            let (ahead, behind) = match median_s > 0.0 {
                true => (second, first),
                false => (first, second),
            };
            let told = samples.len() >= SAMPLES_MIN && median_s.abs() >= APART_S_MIN;
            told.then(|| {
                format!(
                    "the clock of {} is {:.0} s ahead of that of {}, by {} requests that both show: set the \
                     clocks, or read the times of what was found with that in mind",
                    ahead.0,
                    median_s.abs(),
                    behind.0,
                    samples.len()
                )
            })
        });
        disagree.collect()
    }
}
