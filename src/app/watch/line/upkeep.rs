//! What the thread of lines does beside its lines: gauges, time on a silent log, the health of its state.
//!
//! In: the parts of [`Line`]. Out: metrics, readiness, log lines.
//! Does not know: how a line is judged.

use super::Line;
use crate::app::watch::wall;
use crate::engine::Input;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::{error, info};

/// Between looks at gauges and retention.
const CHORES_EVERY: Duration = Duration::from_secs(5);

impl Line {
    /// Says when the state folder takes nothing, and when it does again.
    pub(super) fn show_trouble(&mut self) {
        let trouble = self.follower.trouble().map(str::to_owned);
        if trouble == self.trouble {
            return;
        }
        match &trouble {
            Some(reason) => {
                error!(reason, "the state cannot be written: going on without");
                let said = "the state folder cannot be written; a restart would read logs again";
                self.shared.readiness.not_ready("state", said);
            }
            None => {
                info!("the state is written again");
                self.shared.readiness.ready("state");
            }
        }
        self.shared
            .metrics
            .state_unwritten(f64::from(u8::from(trouble.is_some())));
        self.trouble = trouble;
    }

    fn show_table_age(&self) {
        let built = self
            .set_up
            .tables
            .info()
            .iter()
            .map(|table| table.built)
            .min();
        if let Some(built) = built {
            self.shared.metrics.places_table_age(wall().since_s(built));
        }
    }

    /// Gauges, and time on a silent log.
    pub(super) fn chores(&mut self) {
        if Instant::now() < self.chores_at {
            return;
        }
        self.chores_at = Instant::now() + CHORES_EVERY;
        self.show_table_age();
        let mut backlog = BTreeMap::<_, u64>::new();
        for (source, bytes) in self.follower.backlog_bytes() {
            *backlog.entry(source).or_default() += bytes;
        }
        for (source, bytes) in backlog {
            self.shared.metrics.backlog(&source.0, bytes as f64);
        }
        for health in self.engine.sources() {
            self.shared
                .metrics
                .identified(&health.source.0, health.identified_ratio());
        }
        // Event time goes on while nobody calls: from the newest event by what has passed since it was read.
        let silent_ms = self.last_line.elapsed().as_millis() as i64;
        if let Some(time) = self.engine.newest().map(|newest| newest.plus_ms(silent_ms)) {
            self.engine.observe(Input::Tick(time), &mut self.seen);
        }
        let totals = self.engine.totals();
        self.answer
            .chores(&totals, &self.set_up.config, &self.shared);
    }
}
