//! What stood where in the files of a scan, and their lines again for the incidents that were found.
//!
//! In: the chunks of all files as they are judged. Out: incidents whose third step is complete, or says what is
//! missing.
//! Does not know: how lines are judged. The index is that of [`stretch`](crate::ingest::stretch), in memory.

use super::streams::Stream;
use crate::app::breach::{Looked, Needles, Wanted, look_through, may_hold};
use crate::app::set_up::SetUp;
use crate::domain::incident::Incident;
use crate::domain::line::Source;
use crate::domain::time::Time;
use crate::engine::examine::Examiner;
use crate::engine::prepare::{Front, PreparedChunk};
use crate::ingest::lines::LINE_BYTES_MAX;
use crate::ingest::stretch::{Sketcher, Stretch, in_order};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Memory of the index: the networks in some twenty gigabytes of logs. Beyond, only times are known.
const INDEX_BYTES_MAX: usize = 64 << 20;

/// How long a stretch becomes: some twenty lines, so that little is read for nothing. It doubles with every part of the
/// memory that is filled: stretches of a long log are longer.
const STRETCH_BYTES: u64 = 16 << 10;
const PART_BYTES: usize = 8 << 20;

/// The index of one scan.
#[derive(Default)]
pub(super) struct Places {
    sketcher: Sketcher,
    /// Of each file that can be read again.
    stretches: BTreeMap<Source, Vec<Stretch>>,
    bytes: usize,
}

impl Places {
    /// Nothing was read yet of these.
    pub(super) fn of(streams: &[Stream]) -> Self {
        let kept = streams.iter().filter(|stream| stream.is_kept());
        Self {
            stretches: kept
                .map(|stream| (stream.source.clone(), Vec::new()))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes in a chunk of a file that has come to the time `before`.
    pub(super) fn add(&mut self, source: &Source, chunk: &PreparedChunk, before: Time) {
        let Some(mut stretches) = self.stretches.remove(source) else {
            return;
        };
        let long_bytes = self.long_bytes();
        // Where the first line begins, its number, where the last begins.
        let mut span: Option<(u64, u64, u64)> = None;
        for line in chunk.borrow_dependent().iter().flatten() {
            let (offset, number) = (line.line.offset_bytes, line.line.number);
            let (start, first, last) = match span {
                Some((start, first, _)) if offset >= start + long_bytes => {
                    self.take(&mut stretches, (start, first, offset), before);
                    (offset, number, offset)
                }
                Some((start, first, last)) => (start.min(offset), first.min(number), last),
                None => (offset, number, offset),
            };
            span = Some((start, first, last.max(offset)));
            self.sketcher.see(line.event.time, line.event.client);
        }
        if let Some((start, first, last)) = span {
            self.take(&mut stretches, (start, first, last + 1), before);
        }
        self.stretches.insert(source.clone(), stretches);
    }

    fn long_bytes(&self) -> u64 {
        let filled = self.bytes.min(INDEX_BYTES_MAX) / PART_BYTES;
        STRETCH_BYTES << filled
    }

    /// Adds what was sketched, from a place to a place, to the stretches of its file.
    fn take(
        &mut self,
        stretches: &mut Vec<Stretch>,
        (start, first, end): (u64, u64, u64),
        before: Time,
    ) {
        let long_bytes = self.long_bytes();
        let mut next = self.sketcher.stretch(start, end, first, before);
        if let Some(open) = stretches.last_mut() {
            // The last line of one ends where the next begins.
            open.end_bytes = open.end_bytes.max(start);
            if open.bytes() < long_bytes {
                self.bytes -= open.weight();
                open.join(next);
                self.bytes += open.weight();
                return;
            }
        }
        if self.bytes > INDEX_BYTES_MAX {
            next.forget_networks();
        }
        self.bytes += next.weight();
        stretches.push(next);
    }

    /// Reads again, on so many threads, for these incidents, what their suspects did.
    pub(super) fn complete(
        self,
        streams: &[Stream],
        set_up: &SetUp,
        workers: usize,
        incidents: &mut [Incident],
    ) {
        let issuers = Arc::new(set_up.issuers.clone());
        let (key, tables) = (set_up.front.key.clone(), set_up.tables.clone());
        let mut examiner = Examiner::new(key, issuers, tables, incidents);
        let asked: Vec<_> = examiner.asked().cloned().collect();
        let needles = Needles::new(&asked);
        let mut read = false;
        for stream in streams {
            let stretches = self.stretches.get(&stream.source).map(Vec::as_slice);
            let mut stretches = stretches.unwrap_or_default().to_vec();
            if let Some(last) = stretches.last_mut() {
                last.end_bytes += LINE_BYTES_MAX as u64;
            }
            stretches.retain(|stretch| may_hold(&asked, stretch));
            if !stretches.is_empty() {
                let stretches = in_order(stretches);
                let wanted = Wanted {
                    source: &stream.source,
                    stretches: &stretches,
                    ends: &[],
                    needles: &needles,
                    now: None,
                    workers,
                };
                read |= again(&mut examiner, &set_up.front, stream, &wanted);
            }
        }
        // Where nothing can be read again, what was counted stands.
        if read {
            examiner.complete(incidents);
        }
    }
}

/// Reads stretches of a file again. False for one that cannot be.
fn again(examiner: &mut Examiner, front: &Front, stream: &Stream, wanted: &Wanted<'_>) -> bool {
    let Some((log, manner)) = stream.again() else {
        return false;
    };
    let looked = log.and_then(|log| look_through(examiner, front, log, manner, wanted));
    let times = wanted.stretches.iter().filter_map(Stretch::times);
    let times = times.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
    match (looked, times) {
        (Ok(Looked::Whole), _) | (_, None) => {}
        (Ok(Looked::Partly | Looked::NotAtAll), Some(times)) => {
            examiner.miss(&format!("{} has changed", stream.source.0), times);
        }
        (Err(error), Some(times)) => {
            let reason = format!("{} cannot be read again: {error}", stream.source.0);
            examiner.miss(&reason, times);
        }
    }
    true
}
