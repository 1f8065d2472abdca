//! Step 3 of the incidents that go on: what their suspects did, read again from the logs on a thread of its own.
//!
//! In: incidents as they change, the index of positions. Out: the same incidents with what was found, and with what was
//! counted since; [`Order::Breaches`] when there is something new.
//! Does not know: how lines are judged; files (see [`crate::app::breach`]).
//!
//! Lines are read again a moment after an incident opened and whenever it went on, all at once for all that changed.
//! How long that takes decides how soon it is done again, so that no thief can keep a core busy with it.

use super::{Error, Order, start_thread, wall};
use crate::app::breach::{Looked, Manner, Needles, Wanted, look_through, may_hold};
use crate::app::set_up::SetUp;
use crate::domain::breach::{BreachStep, Coverage};
use crate::domain::ids::IncidentId;
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use crate::engine::Engine;
use crate::engine::examine::Examiner;
use crate::incidents::rereading::brought_up;
use crate::ingest::again::Again;
use crate::ingest::generation::{GenerationId, Position};
use crate::ingest::index::View;
use crate::ingest::stretch::Stretch;
use crate::sessions::bounded::Bounded;
use crate::tokens::verify::Issuers;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// From the first change to reading: the burst that opens an incident is read once.
const SETTLE: Duration = Duration::from_secs(1);

/// Between two readings at least.
const PAUSE_MIN: Duration = Duration::from_secs(10);

/// How much longer than a reading took it rests: reading takes a sixth of a core at most.
const REST: u32 = 5;

/// Incidents that are read for at once, and reports that are remembered: at some kilobytes each, ten megabytes.
const INCIDENTS_MAX: usize = 1000;
/// Threads that parse: the machine is the gateway's.
const WORKERS: usize = 1;

/// Reports of incidents.
pub(super) struct Breaches {
    jobs: SyncSender<Job>,
    busy: bool,
    due: Instant,
    /// What changed since it was read, as it was counted.
    pending: BTreeMap<IncidentId, Incident>,
    known: Bounded<IncidentId, Known>,
}

/// What was read, and what had been counted then.
#[derive(Clone, Debug)]
struct Known {
    read: BreachStep,
    then: BreachStep,
    updated: Time,
}

/// What is to be read.
pub(super) struct Job {
    incidents: Vec<Incident>,
    view: View,
    held: Vec<(GenerationId, File)>,
    set_up: SetUp,
    issuers: Arc<Issuers>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Done {
    reports: BTreeMap<IncidentId, Known>,
    took: Duration,
}

impl Breaches {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn start(orders: Sender<Order>) -> Result<Self, Error> {
        let (jobs, inbox) = sync_channel(1);
        start_thread("breach", Box::new(move || work(&inbox, &orders)))
            .map_err(|error| Error::new(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            jobs,
            busy: false,
            due: Instant::now(),
            pending: BTreeMap::new(),
            known: Bounded::new(INCIDENTS_MAX),
        })
    }

    /// Puts what was read into incidents that changed, and remembers those of which there is more to be read.
    pub(super) fn complete(&mut self, incidents: &mut [Incident]) {
        for incident in incidents {
            let counted = &incident.steps.breach;
            let known = self.known.get_mut(incident.id);
            let is_read = known
                .as_ref()
                .is_some_and(|known| known.updated == incident.updated && known.then == *counted);
            let step = known.map(|known| brought_up(&known.read, &known.then, counted));
            if !is_read && self.pending.len() < INCIDENTS_MAX {
                if self.pending.is_empty() {
                    self.due = self.due.max(Instant::now() + SETTLE);
                }
                self.pending.insert(incident.id, incident.clone());
            }
            if let Some(step) = step {
                incident.suspect.requests = step.requests;
                incident.steps.breach = step;
            }
        }
    }

    /// True when there is something to be read now.
    pub(super) fn is_due(&self) -> bool {
        !self.busy && !self.pending.is_empty() && self.due <= Instant::now()
    }

    /// True when nothing is read now.
    pub(super) fn is_idle(&self) -> bool {
        !self.busy
    }

    /// True while something is read, or is to be.
    pub(super) fn is_open(&self) -> bool {
        self.busy || !self.pending.is_empty()
    }

    /// Lets what changed be read.
    pub(super) fn begin(
        &mut self,
        engine: &Engine,
        set_up: &SetUp,
        issuers: Issuers,
        view: View,
        held: Vec<(GenerationId, File)>,
    ) {
        let mut incidents = std::mem::take(&mut self.pending);
        let below = incidents.values().flat_map(|incident| &incident.children);
        let below: BTreeSet<IncidentId> = below.copied().collect();
        for child in engine.incidents_named(&below) {
            incidents.insert(child.id, child);
        }
        let job = Job {
            incidents: incidents.into_values().collect(),
            view,
            held,
            set_up: set_up.clone(),
            issuers: Arc::new(issuers),
        };
        // The thread is there for as long as we are, and there is room for one.
        self.busy = self.jobs.try_send(job).is_ok();
    }

    /// Takes in what was read. Gives the incidents of which more is known now.
    pub(super) fn learn(&mut self, done: Done) -> BTreeSet<IncidentId> {
        self.busy = false;
        self.due = Instant::now() + PAUSE_MIN.max(done.took * REST);
        let mut ids = BTreeSet::new();
        for (id, known) in done.reports {
            self.known.insert(id, known);
            ids.insert(id);
        }
        ids
    }
}

impl Done {
    /// How many reports are complete, and how many are not.
    pub(super) fn counts(&self) -> [(&'static str, u64); 2] {
        let whole = |known: &&Known| known.read.status == Coverage::Complete;
        let complete = self.reports.values().filter(whole).count() as u64;
        let partial = self.reports.len() as u64 - complete;
        [("complete", complete), ("partial", partial)]
    }
}

fn work(jobs: &Receiver<Job>, orders: &Sender<Order>) {
    while let Ok(job) = jobs.recv() {
        let begun = Instant::now();
        let reports = job.run();
        let took = begun.elapsed();
        if orders
            .send(Order::Breaches(Done { reports, took }))
            .is_err()
        {
            return;
        }
    }
}

impl Job {
    fn run(self) -> BTreeMap<IncidentId, Known> {
        let (key, tables) = (self.set_up.front.key.clone(), self.set_up.tables.clone());
        let mut examiner = Examiner::new(key, self.issuers, tables, &self.incidents);
        let asked: Vec<_> = examiner.asked().cloned().collect();
        let needles = Needles::new(&asked);
        match self.view.find(|stretch| may_hold(&asked, stretch)) {
            Err(error) => {
                let reason = format!("the index of positions cannot be read: {error}");
                examiner.miss(&reason, (Time::EARLIEST, Time::LATEST));
            }
            Ok(places) => {
                if let Some(known_from) = places.known_from {
                    let reason = format!("the index of positions begins at {known_from}");
                    examiner.miss(&reason, (Time::EARLIEST, known_from.plus_ms(-1)));
                }
                let held = &self.held;
                for generation in &places.generations {
                    look_at(&mut examiner, &self.set_up, held, generation, &needles);
                }
            }
        }
        let then: BTreeMap<IncidentId, (BreachStep, Time)> = self
            .incidents
            .into_iter()
            .map(|incident| (incident.id, (incident.steps.breach, incident.updated)))
            .collect();
        let steps = examiner.finish(|id| then.get(&id).map(|(step, _)| step.clone()));
        let reports = steps.into_iter().filter_map(|(id, read)| {
            let (then, updated) = then.get(&id)?.clone();
            let known = Known {
                read,
                then,
                updated,
            };
            Some((id, known))
        });
        reports.collect()
    }
}

/// Reads stretches of one generation wherever it is now.
fn look_at(
    examiner: &mut Examiner,
    set_up: &SetUp,
    held: &[(GenerationId, File)],
    (stretches, ends): &(Vec<Stretch>, Vec<Position>),
    needles: &Needles,
) {
    let Some(first) = ends.iter().min_by_key(|end| end.offset_bytes) else {
        return;
    };
    let now = wall();
    let wanted = Wanted {
        source: &first.source,
        stretches,
        ends,
        needles,
        now: Some(now),
        workers: WORKERS,
    };
    let ours = held.iter().find(|(id, _)| *id == first.id);
    let ours = ours.and_then(|(_, file)| Some(Again::of(file.try_clone().ok()?, &first.source)));
    let mut reason = format!("lines of {} are gone", first.source.0);
    for mut log in ours.into_iter().chain(Again::find(first)) {
        let manner = Manner::of(&mut log, &first.source, set_up, now);
        let looked =
            manner.and_then(|manner| look_through(examiner, &set_up.front, log, manner, &wanted));
        match looked {
            Ok(Looked::Whole) => return,
            Ok(Looked::Partly) => break,
            Ok(Looked::NotAtAll) => {}
            Err(error) => reason = format!("{} cannot be read again: {error}", first.source.0),
        }
    }
    let times = stretches.iter().filter_map(Stretch::times);
    if let Some(times) = times.reduce(|(a, b), (c, d)| (a.min(c), b.max(d))) {
        examiner.miss(&reason, times);
    }
}
