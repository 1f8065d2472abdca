//! The thread of lines: follow, journal, judge, answer.
//!
//! In: batches of the tailer, [`Order`]s. Out: the engine's findings and incidents, to [`Answer`].
//! Does not know: HTTP, providers, sinks.
//!
//! What was fed is journalled in its order, and the journal is on the disk before any effect of it leaves.

mod orders;
mod places;
mod upkeep;

use self::orders::{patterns, patterns_from_end};
use super::answer::Answer;
use super::breaches::Breaches;
use super::memory::{Keys, Memory};
use super::readings::{Inside, Readings};
use super::sensor::Asking;
use super::surroundings::Surroundings;
use super::{Error, Order, wall};
use crate::app::receivers::Receivers;
use crate::app::set_up::SetUp;
use crate::app::stamps::hold_back;
use crate::domain::incident::Target;
use crate::domain::line::Chunk;
use crate::domain::presentation::Presentation;
use crate::domain::time::Time;
use crate::engine::prepare::skipped_for;
use crate::engine::{Engine, Input, Observation};
use crate::http::{InForce, Samples};
use crate::ingest::follow::Follower;
use crate::ingest::generation::Extent;
use crate::ingest::index::PositionIndex;
use crate::ingest::journal::Fed;
use crate::ingest::state::State;
use crate::ingest::stretch::Sketcher;
use crate::ingest::tail::Polled;
use crate::ingest::wake::Wake;
use crate::issuers::KeyRequests;
use crate::metrics::Metrics;
use crate::response::denylist::Denylist;
use crate::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::{info, warn};

/// Bytes taken at once: at 700,000 lines a second an order waits for a few milliseconds, and what is taken is what an
/// idle daemon keeps of its memory.
const POLL_BYTES: usize = 1 << 20;

/// The longest wait for a hint: an order from outside is noticed within it.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Between snapshots: a replay after a crash is as long as this at most, or as a full journal.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(60);

/// A line this far behind its source's newest is late: gateways write buffers out within a minute, and shippers retry
/// for some more.
const LATE_S: f64 = 300.0;

/// What the daemon's threads share.
pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    pub(super) denylist: Arc<Denylist>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<crate::http::Readiness>,
    /// Says that the outbox has something new.
    pub(super) wake: Arc<Notify>,
    /// Asks for key sets.
    pub(super) keys: KeyRequests,
    /// What the console says of rules and mode.
    pub(super) in_force: Arc<InForce>,
    pub(super) samples: Arc<Samples>,
    /// Takes what gateways ask about.
    pub(super) asking: Arc<Asking>,
    /// What they asked about.
    pub(super) asked: Receiver<Presentation>,
}

/// The thread of lines.
pub(super) struct Line {
    set_up: SetUp,
    // Held for as long as the thread lives: the folder is ours.
    state: State,
    engine: Engine,
    issuers: crate::tokens::verify::Issuers,
    /// What was fetched of them.
    keys: Keys,
    fast_path: bool,
    surroundings: Surroundings,
    seen: Observation,
    follower: Follower,
    hints: Option<Wake>,
    /// Folders that are only polled, as was said.
    unwatched: usize,
    /// What was last said about the state folder.
    trouble: Option<String>,
    readings: Readings,
    answer: Answer,
    /// What stands where in the logs.
    index: PositionIndex,
    sketcher: Sketcher,
    /// It was said that positions are not written.
    unplaced: bool,
    breaches: Breaches,
    shared: Shared,
    fed: bool,
    snapshot_at: Instant,
    chores_at: Instant,
    forget_at: Instant,
    last_line: Instant,
    /// When the lines that are judged now were read.
    read_at: Instant,
}

impl Line {
    /// Goes on where the last daemon stopped.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub(super) fn open(
        set_up: SetUp,
        state: State,
        shared: Shared,
        receivers: Receivers,
        surroundings: Surroundings,
        fast_path: bool,
    ) -> Result<Self, Error> {
        let patterns = patterns(&set_up.config);
        let from_end = patterns_from_end(&set_up.config);
        let now = Instant::now();
        let (follower, left) = Follower::open(state.folder(), patterns.clone(), from_end, now)
            .map_err(Error::shown)?;
        let mut engine = set_up.engine(fast_path, false);
        let mut answer = Answer::new(receivers, &shared)?;
        if left.is_previous {
            warn!("the newest snapshot is damaged: going on from the one before");
        }
        let readings = left
            .memory
            .as_deref()
            .map(|memory| Memory::restore(memory, &mut engine, &mut answer));
        let (readings, keys, places) = readings.unwrap_or_default();
        let mut line = Self {
            issuers: set_up.issuers.clone(),
            seen: Observation::default(),
            readings,
            keys: Keys::new(),
            fast_path,
            index: PositionIndex::new(state.folder(), places),
            sketcher: Sketcher::default(),
            unplaced: false,
            breaches: Breaches::start(surroundings.orders())?,
            surroundings,
            // Where everything begins is written down before anything is read.
            fed: true,
            snapshot_at: now + SNAPSHOT_EVERY,
            chores_at: now,
            forget_at: now,
            last_line: now,
            read_at: now,
            set_up,
            state,
            engine,
            follower,
            hints: None,
            unwatched: 0,
            trouble: None,
            answer,
            shared,
        };
        line.gaps(&left.gaps);
        line.faults(&left.faults);
        for (issuer, set) in keys {
            line.learn(&issuer, &set.bytes, set.at);
        }
        line.replay(left.records)?;
        line.snapshot()?;
        line.watch_folders();
        let (issuers, shared) = (&line.issuers, &line.shared);
        shared.asking.learn(issuers, &shared.keys);
        Ok(line)
    }

    /// Feeds the engine what it was fed after its snapshot. What comes out a second time has the same ids.
    fn replay(&mut self, records: Vec<Fed>) -> Result<(), Error> {
        if !records.is_empty() {
            info!(
                records = records.len(),
                "going on where the last daemon stopped"
            );
        }
        for record in records {
            match record {
                Fed::Lines(extent) => match self.follower.reread(&extent) {
                    Ok(chunk) => self.feed(&extent, chunk),
                    Err(gap) => self.gaps(&gap.into_iter().collect::<Vec<_>>()),
                },
                Fed::Revoked { json } => {
                    if let Ok((target, time)) = serde_json::from_slice::<(Target, i64)>(&json)
                        && let Some(time) = Time::from_ms(time)
                    {
                        self.engine
                            .observe(Input::Revoked { target, time }, &mut self.seen);
                    }
                }
                Fed::Restored { json } => {
                    if let Ok(target) = serde_json::from_slice::<Target>(&json) {
                        self.engine
                            .observe(Input::Restored(&target), &mut self.seen);
                    }
                }
                Fed::Asked(asked) => self.engine.observe(Input::Asked(&asked), &mut self.seen),
                Fed::Tick { time } => self.engine.observe(Input::Tick(time), &mut self.seen),
                Fed::Keys { issuer, bytes, at } => self.learn(&issuer, &bytes, at),
                // Positions were taken in before.
                Fed::Opened(_) | Fed::Done(_) => {}
            }
        }
        self.answer()
    }

    /// What is round it, when it has ended.
    pub(super) fn into_surroundings(self) -> Surroundings {
        self.surroundings
    }

    /// Works until told to stop; then finishes what was read.
    ///
    /// # Errors
    /// When the memory cannot be put into bytes, which would be a mistake of ours.
    pub(super) fn run(&mut self, inbox: &Receiver<Order>) -> Result<(), Error> {
        let mut stopping = false;
        loop {
            while let Ok(order) = inbox.try_recv() {
                stopping |= self.order(order)?;
            }
            self.hear_gateways()?;
            let more = self.read()?;
            if stopping && !more {
                self.finish_reading(inbox)?;
                return self.end();
            }
            let asked = self.follower.wants_snapshot(Instant::now());
            if asked || Instant::now() >= self.snapshot_at {
                self.fed |= asked;
                self.snapshot()?;
            }
            self.show_trouble();
            let decided = self.answer.decisions(&self.shared);
            self.restored(&decided.undone)?;
            self.revoked(decided.denied)?;
            self.read_again();
            self.chores();
            if !more {
                self.wait();
            }
        }
    }

    /// Reads, judges and answers; true when there is more to be read at once.
    fn read(&mut self) -> Result<bool, Error> {
        self.answer.retry(&self.shared);
        if self.answer.is_full() {
            return Ok(false);
        }
        self.read_at = Instant::now();
        let polled = self.follower.poll(self.read_at, POLL_BYTES);
        let more = polled.more;
        self.take(polled);
        self.answer()?;
        Ok(more)
    }

    fn end(&mut self) -> Result<(), Error> {
        match self.answer.waits() {
            false => info!("every line is read: ending"),
            true => {
                warn!("ending with findings that were not stored: the next start finds them again")
            }
        }
        self.snapshot()
    }

    fn wait(&mut self) {
        let due = self
            .follower
            .next_look()
            .map(|at| at.saturating_duration_since(Instant::now()));
        let wait = due.unwrap_or_default().min(WAIT_MAX);
        match &self.hints {
            Some(hints) => hints
                .wait(wait)
                .iter()
                .for_each(|hint| self.follower.hint(hint)),
            None => std::thread::sleep(wait),
        }
    }

    /// Feeds what a poll found.
    fn take(&mut self, polled: Polled) {
        self.faults(&polled.faults);
        self.gaps(&polled.gaps);
        if polled.batches.is_empty() {
            return;
        }
        for batch in polled.batches {
            self.feed(&batch.extent, batch.chunk);
        }
        self.last_line = Instant::now();
    }

    fn feed(&mut self, extent: &Extent, chunk: Chunk) {
        self.fed = true;
        let source = chunk.source().clone();
        let metrics = Arc::clone(&self.shared.metrics);
        let lines = chunk.len() as u64;
        metrics.lines_read(&source.0, lines);
        metrics.bytes_read(&source.0, extent.end_bytes - extent.start_bytes);
        let Some(Inside { reading, chunk }) = self.readings.of(&self.set_up, chunk, &metrics)
        else {
            return metrics.lines_skipped("unknown_format", lines);
        };
        let mut prepared = self.set_up.front.chunk(&reading, chunk);
        let clock = self.readings.clock(&source);
        let held = prepared.with_dependent_mut(|_, lines| hold_back(lines, clock, Some(wall())));
        metrics.held_back(&source.0, held);
        let mut skipped = BTreeMap::<_, u64>::new();
        let (mut events, mut late, mut newest) = (0, 0, clock);
        let texts = prepared.borrow_owner().lines().map(|line| line.text);
        for (line, text) in prepared.borrow_dependent().iter().zip(texts) {
            match skipped_for(line) {
                Some(reason) => {
                    let count = skipped.entry(reason).or_default();
                    *count += 1;
                    if *count == 1 && reason.is_a_loss() {
                        self.shared.samples.add(reason, text);
                    }
                }
                None => events += 1,
            }
            let Ok(prepared) = line else { continue };
            late += u64::from(newest.since_s(prepared.event.time) > LATE_S);
            newest = newest.max(prepared.event.time);
            self.engine.observe(Input::Line(prepared), &mut self.seen);
        }
        self.place(extent, &prepared, clock);
        metrics.events(reading.parser.name(), events);
        metrics.late_lines(&source.0, late);
        skipped
            .iter()
            .for_each(|(reason, count)| metrics.lines_skipped(reason.name(), *count));
        if newest > clock {
            let lag_s = wall().since_s(newest);
            metrics.event_lag(&source.0, lag_s.max(0.0));
            metrics.watermark(&source.0, newest.as_ms() as f64 / 1000.0);
            metrics.clock_ahead(&source.0, (-lag_s).max(0.0));
            self.readings.advance(&source, newest);
        }
    }

    /// Counts what is excepted and what rules on trial found: nothing else follows from either.
    fn count_apart(&mut self) {
        let metrics = &self.shared.metrics;
        for excepted in self.seen.excepted.drain(..) {
            metrics.findings_excepted(&excepted.rule, 1);
        }
        self.seen.findings.retain(|finding| {
            if finding.shadow {
                metrics.shadow_findings(&finding.rule, 1);
                info!(id = %finding.id, rule = &*finding.rule, "found by a rule on trial");
            }
            !finding.shadow
        });
    }

    /// Lets the effects of what was fed leave, once the journal is on the disk.
    fn answer(&mut self) -> Result<(), Error> {
        let mut incidents = self.engine.changed_incidents();
        self.breaches.complete(&mut incidents);
        for issuer in self.seen.wanted_keys.drain(..) {
            self.shared.keys.ask(&issuer);
        }
        self.count_apart();
        if self.seen.findings.is_empty() && incidents.is_empty() {
            return Ok(());
        }
        // A disk that takes nothing must not keep a theft from being answered: what the journal lacks after a crash is
        // read from the logs again, and gives the same ids.
        self.follower.sync(Instant::now());
        let findings = std::mem::take(&mut self.seen.findings);
        let (answer, engine) = (&mut self.answer, &self.engine);
        let denied = answer.give(findings, incidents, self.read_at, engine, &self.shared);
        self.revoked(denied)
    }
}
