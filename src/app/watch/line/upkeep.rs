//! What the thread of lines does beside its lines: gauges, time on a silent log, the health of its state.
//!
//! In: the parts of [`Line`]. Out: metrics, readiness, log lines.
//! Does not know: how a line is judged.

use super::orders::patterns;
use super::{Line, SNAPSHOT_EVERY};
use crate::app::Error;
use crate::app::watch::memory::Memory;
use crate::app::watch::wall;
use crate::domain::incident::Target;
use crate::domain::presentation::Presentation;
use crate::engine::Input;
use crate::ingest::discover::source_of;
use crate::ingest::journal::Fed;
use crate::ingest::tail::{Gap, Obstacle, TailFault};
use crate::ingest::wake::Wake;
use crate::store::Restored;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Between looks at gauges and retention.
const CHORES_EVERY: Duration = Duration::from_secs(5);

/// What gateways asked about that is fed before lines are read again.
const ASKED_AT_ONCE: usize = 1024;
/// Between looks for positions that are too old, and at how much there are.
const FORGET_EVERY: Duration = Duration::from_secs(300);

impl Line {
    /// Tells of files that cannot be followed now.
    pub(super) fn faults(&self, faults: &[TailFault]) {
        for fault in faults {
            warn!(path = %fault.path.display(), reason = fault.reason, "cannot be followed now");
        }
    }

    /// Tells of bytes that are lost.
    pub(super) fn gaps(&mut self, gaps: &[Gap]) {
        for gap in gaps {
            warn!(
                source = &*gap.source.0,
                bytes = gap.bytes,
                "bytes of a log are lost"
            );
            // Unknown is at least one: an alert on the counter must see it.
            self.shared
                .metrics
                .gap(&gap.source.0, gap.bytes.unwrap_or(1).max(1));
        }
    }

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

    /// Makes the state anew where somebody took it away.
    fn restore(&mut self) {
        match self.state.restore() {
            Ok(true) => {
                error!("the state folder was taken away: it is made again, with the same key");
                self.place_anew();
                // What is known goes into it at once.
                self.fed = true;
                self.snapshot_at = Instant::now();
            }
            Ok(false) => {}
            Err(fault) => return error!(%fault, "the state folder is gone"),
        }
        match self.shared.store.restore() {
            Ok(Restored::Untouched) => {}
            Ok(Restored::Whole) => error!("the database was taken away: it is written again"),
            Ok(Restored::Empty) => {
                error!("the database was taken away and could not be read any more: it begins anew")
            }
            Err(fault) => error!(%fault, "the database is gone"),
        }
    }

    /// Is told of changes in the folders of the sources, and of what gateways ask.
    pub(super) fn watch_folders(&mut self) {
        self.hints = Wake::new(&patterns(&self.set_up.config)).ok();
        self.shared.asking.ring(self.hints.as_ref().map(Wake::bell));
    }

    /// Feeds what gateways asked about.
    ///
    /// # Errors
    /// As those of an answer.
    pub(super) fn hear_gateways(&mut self) -> Result<(), Error> {
        if self.answer.is_full() {
            return Ok(()); // the queue is bounded, and counts what it does not take
        }
        let asked = self.shared.asked.try_iter().take(ASKED_AT_ONCE);
        let asked: Vec<Presentation> = asked.collect();
        if asked.is_empty() {
            return Ok(());
        }
        self.read_at = Instant::now();
        self.fed = true;
        for one in &asked {
            self.engine.observe(Input::Asked(one), &mut self.seen);
        }
        let asked = asked.into_iter().map(|one| Fed::Asked(Box::new(one)));
        self.follower.note_all(asked.collect(), Instant::now());
        self.answer()
    }

    /// Tells the engine what is denied from now on, so that a use that is accepted all the same is noticed.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a mistake of ours.
    pub(super) fn revoked(&mut self, targets: Vec<Target>) -> Result<(), Error> {
        for target in targets {
            let time = wall();
            let json = serde_json::to_vec(&(&target, time.as_ms())).map_err(Error::shown)?;
            self.follower.note(Fed::Revoked { json }, Instant::now());
            let revoked = Input::Revoked { target, time };
            self.engine.observe(revoked, &mut self.seen);
        }
        Ok(())
    }

    /// Tells the engine what is no longer denied, so that a use that is accepted again is nothing.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a mistake of ours.
    pub(super) fn restored(&mut self, targets: &[Target]) -> Result<(), Error> {
        for target in targets {
            let json = serde_json::to_vec(target).map_err(Error::shown)?;
            self.follower.note(Fed::Restored { json }, Instant::now());
            self.engine.observe(Input::Restored(target), &mut self.seen);
        }
        Ok(())
    }

    /// Looks for new folders to be told of changes in.
    fn keep_watching(&mut self) {
        let unwatched = match &mut self.hints {
            Some(hints) => hints.renew(),
            None => {
                self.watch_folders();
                let patterns = self.set_up.config.sources.len();
                self.hints.as_ref().map_or(patterns, Wake::unwatched)
            }
        };
        self.shared
            .metrics
            .source_faults("only_polled", unwatched as f64);
        let readiness = &self.shared.readiness;
        if unwatched == self.unwatched {
            return;
        }
        self.unwatched = unwatched;
        match unwatched {
            0 => {
                info!("all folders tell of their changes");
                readiness.ready("notifications");
            }
            _ => {
                warn!(
                    folders = unwatched,
                    "no file notifications: only polled; raise fs.inotify.max_user_watches"
                );
                readiness.impaired(
                    "notifications",
                    format!("{unwatched} folders are only polled"),
                );
            }
        }
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

    /// Writes down what is known, when there is something new.
    ///
    /// # Errors
    /// When it cannot be put into bytes, which would be a mistake of ours.
    pub(super) fn snapshot(&mut self) -> Result<(), Error> {
        self.snapshot_at = Instant::now() + SNAPSHOT_EVERY;
        // What was found is in the memory, so a replay after a snapshot would not find it again.
        if self.answer.waits() || !std::mem::take(&mut self.fed) {
            return Ok(());
        }
        // What is no longer in the memory must be in the index.
        let _ = self.index.sync();
        let memory = Memory::of(
            &mut self.engine,
            &self.answer,
            &self.readings,
            &self.keys,
            self.index.open(),
        )?;
        self.shared.metrics.state(memory.len() as f64);
        // What was not written now is written the next time; until then the journal grows.
        self.fed = !self.follower.snapshot(memory, Instant::now());
        Ok(())
    }

    /// Says which files cannot be followed now.
    fn show_source_faults(&self) {
        let mut counts = Obstacle::ALL.map(|obstacle| (obstacle, 0_u32));
        let mut blind = None;
        for (path, met) in self.follower.faults() {
            let count = counts.iter_mut().filter(|(obstacle, _)| *obstacle == met);
            count.for_each(|(_, count)| *count += 1);
            blind = blind.or(met.blinds().then_some((path, met)));
        }
        for (obstacle, count) in counts {
            let metrics = &self.shared.metrics;
            metrics.source_faults(obstacle.name(), f64::from(count));
        }
        let readiness = &self.shared.readiness;
        match blind {
            None => readiness.ready("sources"),
            Some((path, met)) => {
                let source = source_of(path);
                readiness.impaired("sources", format!("{}: {}", source.0, met.name()));
            }
        }
    }

    /// Gauges, and time on a silent log.
    pub(super) fn chores(&mut self) {
        if Instant::now() < self.chores_at {
            return;
        }
        self.chores_at = Instant::now() + CHORES_EVERY;
        self.show_table_age();
        self.show_source_faults();
        self.keep_watching();
        self.restore();
        if Instant::now() >= self.forget_at {
            self.forget_at = Instant::now() + FORGET_EVERY;
            self.forget_places();
        }
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
