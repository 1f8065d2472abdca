//! What stood where in the files of a scan, and their lines again for the incidents that were found.
//!
//! In: the chunks of all files as they are judged. Out: incidents whose third step is complete, or says what is
//! missing.
//! Does not know: how lines are judged. The index is that of [`stretch`](crate::ingest::stretch), in memory.

use crate::app::breach::{Looked, Needles, Wanted, look_through, may_hold};
use crate::app::set_up::SetUp;
use crate::domain::ids::IncidentId;
use crate::domain::incident::Incident;
use crate::domain::line::Source;
use crate::domain::time::Time;
use crate::engine::examine::Examiner;
use crate::engine::prepare::PreparedChunk;
use crate::ingest::again::Again;
use crate::ingest::discover::{Found, Input};
use crate::ingest::lines::LINE_BYTES_MAX;
use crate::ingest::stretch::{Sketcher, Stretch, in_order};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Memory of the index: the networks in some twenty gigabytes of logs. Beyond, only times are known.
const INDEX_BYTES_MAX: usize = 64 << 20;

/// How long a stretch becomes: as a chunk, so that it holds little that is read for nothing.
const STRETCH_BYTES: u64 = 256 << 10;

/// The index of one scan.
#[derive(Default)]
pub(super) struct Places {
    sketcher: Sketcher,
    stretches: BTreeMap<Source, Vec<Stretch>>,
    bytes: usize,
}

impl Places {
    /// Takes in a chunk of a file that has come to the time `before`.
    pub(super) fn add(&mut self, source: &Source, chunk: &PreparedChunk, before: Time) {
        let mut span: Option<(u64, u64, u64)> = None;
        for line in chunk.borrow_dependent().iter().flatten() {
            self.sketcher.see(line.event.time, line.event.client);
            let (offset, number) = (line.line.offset_bytes, line.line.number);
            let (start, first, end) = span.unwrap_or((offset, number, offset));
            span = Some((start.min(offset), first.min(number), end.max(offset)));
        }
        let Some((start, number, last)) = span else {
            return;
        };
        let next = self.sketcher.stretch(start, last + 1, number, before);
        if !self.stretches.contains_key(source) {
            self.stretches.insert(source.clone(), Vec::new());
        }
        let Some(stretches) = self.stretches.get_mut(source) else {
            return;
        };
        let open = stretches.last_mut();
        if let Some(open) = open {
            // The last line of one ends where the next begins.
            open.end_bytes = open.end_bytes.max(start);
            if open.bytes() < STRETCH_BYTES {
                self.bytes -= open.weight();
                open.join(next);
                self.bytes += open.weight();
                return;
            }
        }
        let mut next = next;
        if self.bytes > INDEX_BYTES_MAX {
            next.forget_networks();
        }
        self.bytes += next.weight();
        stretches.push(next);
    }

    /// Reads again, for these incidents, what their suspects did.
    pub(super) fn complete(self, found: &[Found], set_up: &SetUp, incidents: &mut [Incident]) {
        let issuers = Arc::new(set_up.issuers.clone());
        let (key, tables) = (set_up.front.key.clone(), set_up.tables.clone());
        let mut examiner = Examiner::new(key, issuers, tables, incidents);
        let asked: Vec<_> = examiner.asked().cloned().collect();
        let needles = Needles::new(&asked);
        let mut read = false;
        for file in found {
            let stretches = self.stretches.get(&file.source).map(Vec::as_slice);
            let mut stretches = stretches.unwrap_or_default().to_vec();
            if let Some(last) = stretches.last_mut() {
                last.end_bytes += LINE_BYTES_MAX as u64;
            }
            stretches.retain(|stretch| may_hold(&asked, stretch));
            if !stretches.is_empty() {
                let stretches = in_order(stretches);
                read |= again(&mut examiner, set_up, file, &stretches, &needles);
            }
        }
        // Where nothing can be read again, what was counted stands.
        if !read {
            return;
        }
        let counted: BTreeMap<IncidentId, _> = incidents
            .iter()
            .map(|incident| (incident.id, incident.steps.breach.clone()))
            .collect();
        let mut steps = examiner.finish(|id| counted.get(&id).cloned());
        for incident in incidents {
            if let Some(step) = steps.remove(&incident.id) {
                incident.suspect.requests = step.requests;
                incident.steps.breach = step;
            }
        }
    }
}

/// Reads stretches of a file again. False for one that cannot be.
fn again(
    examiner: &mut Examiner,
    set_up: &SetUp,
    file: &Found,
    stretches: &[Stretch],
    needles: &Needles,
) -> bool {
    let Input::File(path) = &file.input else {
        return false;
    };
    let wanted = Wanted {
        source: &file.source,
        stretches,
        ends: &[],
        needles,
        now: None,
    };
    let looked = Again::open(path, &file.source)
        .and_then(|log| look_through(examiner, set_up, log, &wanted));
    let times = stretches.iter().filter_map(Stretch::times);
    let times = times.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
    match (looked, times) {
        (Ok(Looked::Whole), _) | (_, None) => {}
        (Ok(Looked::Partly | Looked::NotAtAll), Some(times)) => {
            examiner.miss(&format!("{} has changed", file.source.0), times);
        }
        (Err(error), Some(times)) => {
            let reason = format!("{} cannot be read again: {error}", file.source.0);
            examiner.miss(&reason, times);
        }
    }
    true
}
