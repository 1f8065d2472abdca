//! Reading many files at once and giving their lines in one order: that of event time.
//!
//! In: [`Stream`]s, a number of workers. Out: every line, prepared, to one consumer on the caller's thread.
//! Does not know: what the consumer does. The order depends on the files alone, never on the number of workers.

use super::streams::Stream;
use crate::app::stamps::hold_back;
use crate::domain::line::{Chunk, SkipReason, Source};
use crate::domain::time::Time;
use crate::engine::FORESEEN;
use crate::engine::ahead::Ahead;
use crate::engine::prepare::{Front, Prepared, PreparedChunk, Reading};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Chunks of one file that are read ahead of the engine, beside one for each worker. More hides longer hiccups, and
/// what is read falls out of the cache before it is judged.
const AHEAD: usize = 1;

/// Who takes the lines.
pub(crate) trait Consumer {
    /// Hears which lines are likely to come next.
    fn foresee(&self, lines: &[Result<Prepared<'_>, SkipReason>]);

    /// Takes one line, or the reason why there is none.
    fn line(&mut self, source: &Source, line: &Result<Prepared<'_>, SkipReason>);

    /// Hears that a file could not be read further.
    fn fault(&mut self, source: &Source, error: &io::Error);

    /// Hears that so many lines of a file had a stamp from the future, and were given the time of the line before.
    fn held_back(&mut self, source: &Source, lines: u64);

    /// Sees the lines of a chunk together before they are given; its file has come to the time `before`.
    fn chunk(&mut self, _source: &Source, _chunk: &PreparedChunk, _before: Time) {}

    /// Hears how far the work has come, now and then.
    fn progress(&mut self, bytes: u64);
}

/// A file of which the next chunk is wanted. The chunk that was given last is thrown away by who made it, whose cache
/// and whose memory it comes from.
type Order = (usize, Option<PreparedChunk>);

type Arrival = (usize, u64, io::Result<Option<PreparedChunk>>);

/// Reads `streams` with `workers` threads, which also look `ahead` at tokens, and gives their lines to `consumer` in
/// order of event time; lines of one file keep their order, and of two at the same millisecond the file named first
/// goes first.
pub(crate) fn merge(
    streams: &[Stream],
    front: &Front,
    ahead: Option<&Ahead>,
    workers: usize,
    consumer: &mut dyn Consumer,
) {
    let (orders, inbox) = channel::<Order>();
    let (results, arrivals) = channel::<Arrival>();
    let inbox = Mutex::new(inbox);
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            let (inbox, results) = (&inbox, results.clone());
            scope.spawn(move || work(streams, (front, ahead), inbox, &results));
        }
        drop(results);
        let mut merger = Merger {
            streams,
            orders,
            arrivals,
            lanes: BTreeMap::new(),
            ahead: workers.max(1) + AHEAD,
        };
        merger.run(consumer);
    });
}

fn work(
    streams: &[Stream],
    how: (&Front, Option<&Ahead>),
    inbox: &Mutex<Receiver<Order>>,
    results: &Sender<Arrival>,
) {
    loop {
        let order = match inbox.lock() {
            Ok(inbox) => inbox.recv(),
            Err(_) => return,
        };
        let Ok((index, spent)) = order else { return };
        let stream = &streams[index];
        if let Some(spent) = spent {
            stream.take_back(spent.into_owner());
        }
        let (sequence, chunk) = stream.next_chunk();
        let prepared = chunk.and_then(|chunk| {
            let prepared = chunk.map(|(reading, chunk)| prepare(how, &reading, chunk));
            prepared.transpose()
        });
        if results.send((index, sequence, prepared)).is_err() {
            return;
        }
    }
}

/// A panic in here would be a mistake of ours; it must not leave the consumer waiting for a chunk that never comes.
fn prepare(
    (front, ahead): (&Front, Option<&Ahead>),
    reading: &Reading,
    chunk: Chunk,
) -> io::Result<PreparedChunk> {
    let prepare = || {
        let mut prepared = front.chunk(reading, chunk);
        ahead
            .into_iter()
            .for_each(|ahead| ahead.look(&mut prepared));
        prepared
    };
    std::panic::catch_unwind(AssertUnwindSafe(prepare))
        .map_err(|_| io::Error::other("a chunk could not be parsed; please report this"))
}

/// One open file: the chunk at hand, and those that arrived before their turn.
#[derive(Default)]
struct Lane {
    chunk: Option<PreparedChunk>,
    position: usize,
    next: u64,
    early: BTreeMap<u64, io::Result<Option<PreparedChunk>>>,
    /// Event time it has come to: a late line does not turn its clock back.
    clock: Time,
}

impl Lane {
    /// Gives lines of the chunk at hand until the clock comes to a time that is `late`: that time, or `None` when the
    /// chunk is at its end. Lines without an event have no time and go with those before them.
    fn give(
        &mut self,
        source: &Source,
        late: impl Fn(Time) -> bool,
        consumer: &mut dyn Consumer,
    ) -> Option<Time> {
        let lines = self.chunk.as_ref()?.borrow_dependent();
        for line in lines.get(self.position..)? {
            if self.position.is_multiple_of(FORESEEN) {
                let until = lines.len().min(self.position + FORESEEN);
                consumer.foresee(&lines[self.position..until]);
            }
            if let Ok(prepared) = line {
                self.clock = self.clock.max(prepared.event.time);
                if late(self.clock) {
                    return Some(self.clock);
                }
            }
            consumer.line(source, line);
            self.position += 1;
        }
        None
    }
}

struct Merger<'a> {
    streams: &'a [Stream],
    orders: Sender<Order>,
    arrivals: Receiver<Arrival>,
    lanes: BTreeMap<usize, Lane>,
    ahead: usize,
}

impl Merger<'_> {
    fn run(&mut self, consumer: &mut dyn Consumer) {
        let mut waiting: Vec<usize> = (0..self.streams.len()).collect();
        waiting.sort_by_key(|&index| (self.streams[index].first, index));
        let mut waiting = waiting.into_iter().peekable();
        let mut heads: BinaryHeap<Reverse<(Time, usize)>> = BinaryHeap::new();
        loop {
            // Open what begins before the earliest line at hand.
            while let Some(&index) = waiting.peek() {
                let first = self.streams[index].first;
                if heads.peek().is_some_and(|Reverse((time, _))| *time < first) {
                    break;
                }
                waiting.next();
                self.open(index);
                if let Some(time) = self.head(index, consumer) {
                    heads.push(Reverse((time, index)));
                }
            }
            let Some(Reverse((_, index))) = heads.pop() else {
                return;
            };
            let next_file = waiting
                .peek()
                .map(|&index| (self.streams[index].first, index));
            let limit = [heads.peek().map(|Reverse(head)| *head), next_file];
            let limit = limit.into_iter().flatten().min();
            let late = |time| limit.is_some_and(|limit| (time, index) > limit);
            if let Some(time) = self.drain(index, late, consumer) {
                heads.push(Reverse((time, index)));
            }
        }
    }

    fn open(&mut self, index: usize) {
        self.lanes.insert(index, Lane::default());
        for _ in 0..self.ahead {
            self.order(index, None);
        }
    }

    fn order(&self, index: usize, spent: Option<PreparedChunk>) {
        // Workers live as long as the scope, so an order that cannot be sent means that one of them died: the
        // missing chunk is then noticed by who waits for it.
        let _ = self.orders.send((index, spent));
    }

    /// The event time of the next event of a file; lines without one are given at once.
    fn head(&mut self, index: usize, consumer: &mut dyn Consumer) -> Option<Time> {
        self.drain(index, |_| true, consumer)
    }

    /// Gives lines of one file until its clock comes to a time that is `late`: that time, or `None` at the file's end.
    fn drain(
        &mut self,
        index: usize,
        late: impl Fn(Time) -> bool,
        consumer: &mut dyn Consumer,
    ) -> Option<Time> {
        let source = &self.streams[index].source;
        loop {
            let lane = self.lanes.get_mut(&index)?;
            if let Some(time) = lane.give(source, &late, consumer) {
                return Some(time);
            }
            if !self.refill(index, consumer) {
                return None;
            }
        }
    }

    /// Brings the next chunk of a file; false at its end.
    fn refill(&mut self, index: usize, consumer: &mut dyn Consumer) -> bool {
        loop {
            let Some(lane) = self.lanes.get_mut(&index) else {
                return false;
            };
            let next = lane.next;
            let Some(arrived) = lane.early.remove(&next) else {
                let Ok((other, sequence, chunk)) = self.arrivals.recv() else {
                    return false;
                };
                if let Some(lane) = self.lanes.get_mut(&other) {
                    lane.early.insert(sequence, chunk);
                }
                continue;
            };
            lane.next += 1;
            match arrived {
                Ok(Some(mut chunk)) => {
                    let clock = lane.clock;
                    let held = chunk.with_dependent_mut(|_, lines| hold_back(lines, clock, None));
                    if held > 0 {
                        consumer.held_back(&self.streams[index].source, held);
                    }
                    consumer.chunk(&self.streams[index].source, &chunk, clock);
                    consumer.progress(chunk.borrow_owner().byte_len());
                    let spent = lane.chunk.replace(chunk);
                    lane.position = 0;
                    self.order(index, spent);
                    return true;
                }
                Ok(None) => {
                    self.lanes.remove(&index);
                    return false;
                }
                Err(error) => {
                    consumer.fault(&self.streams[index].source, &error);
                    self.order(index, None);
                }
            }
        }
    }
}
