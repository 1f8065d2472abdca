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
use crate::ingest::lines::CHUNK_BYTES;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Chunks that are read ahead of the engine, beside one for each worker and one of each open file. More hides longer
/// hiccups, and what is read falls out of the cache before it is judged.
const AHEAD: usize = 1;

/// Of so many open files large chunks are read. Of more, smaller ones, so that all together take no more memory.
const LARGE_CHUNKS: usize = 16;

/// Smallest chunk that is worth a hand-over between threads.
const CHUNK_BYTES_MIN: usize = 8 << 10;

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

/// A wish for the next chunk of a file.
struct Order {
    index: usize,
    /// How large it may be.
    room: usize,
    /// The chunk that was given last: thrown away by who made it, whose cache and whose memory it comes from.
    spent: Option<PreparedChunk>,
}

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
            ordered_max: workers.max(1) + AHEAD,
            extra: 0,
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
        let Ok(order) = order else { return };
        let (index, stream) = (order.index, &streams[order.index]);
        if let Some(spent) = order.spent {
            stream.take_back(spent.into_owner());
        }
        let (sequence, chunk) = stream.next_chunk(order.room);
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
    /// Chunks that were ordered and are not at hand yet.
    ordered: usize,
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
    /// Chunks of one file that may be ordered.
    ordered_max: usize,
    /// Chunks that are ordered, beside one of each file; as many as of one file, at most.
    extra: usize,
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
        self.order(index, None);
    }

    /// Orders of a file what may be: one chunk of each, and more of those that are asked for most.
    fn order(&mut self, index: usize, mut spent: Option<PreparedChunk>) {
        let many = self.lanes.len().div_ceil(LARGE_CHUNKS).max(1);
        let room = (CHUNK_BYTES / many).max(CHUNK_BYTES_MIN);
        let Some(lane) = self.lanes.get_mut(&index) else {
            return;
        };
        while lane.ordered == 0
            || (lane.ordered < self.ordered_max && self.extra < self.ordered_max)
        {
            self.extra += usize::from(lane.ordered > 0);
            lane.ordered += 1;
            let spent = spent.take();
            // Workers live as long as the scope, so an order that cannot be sent means that one of them died: the
            // missing chunk is then noticed by who waits for it.
            let _ = self.orders.send(Order { index, room, spent });
        }
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
            lane.ordered -= 1;
            self.extra -= usize::from(lane.ordered > 0);
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
                    self.extra -= lane.ordered.saturating_sub(1);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::scan::streams::Wanted;
    use crate::domain::ids::IdKey;
    use crate::engine::paths::Paths;
    use crate::ingest::discover::{Found, Input};
    use std::fs;

    fn front() -> Front {
        Front {
            key: IdKey::public([3; 32]),
            paths: Paths::new(Vec::new(), Vec::new()),
        }
    }

    /// Logs of machines that all answer at the same time, line by line in turn.
    fn streams(folder: &std::path::Path, files: usize, lines: usize) -> Vec<Stream> {
        let log = |file: usize| -> String {
            let line = |number: usize| {
                let (minute, second) = (number / 60, number % 60);
                format!(
                    "192.0.2.{file} - - [04/May/2026:10:{minute:02}:{second:02} +0000] \"GET /{number} HTTP/1.1\" 200 1 \
                     \"-\" \"{}\"\n",
                    "x".repeat(1000)
                )
            };
            (0..lines).map(line).collect()
        };
        (0..files)
            .map(|file| {
                let path = folder.join(format!("{file:03}.log"));
                fs::write(&path, log(file)).unwrap();
                let found = Found {
                    source: Source(path.to_string_lossy().into()),
                    input: Input::File(path),
                    size_bytes: 0,
                };
                Stream::sniff(&found, &Wanted::default(), &front()).unwrap()
            })
            .collect()
    }

    #[derive(Default)]
    struct Seen(Vec<(Source, u64)>);

    impl Consumer for Seen {
        fn foresee(&self, _: &[Result<Prepared<'_>, SkipReason>]) {}

        fn line(&mut self, source: &Source, line: &Result<Prepared<'_>, SkipReason>) {
            let number = line.as_ref().unwrap().line.number;
            self.0.push((source.clone(), number));
        }

        fn fault(&mut self, source: &Source, error: &io::Error) {
            panic!("{source:?}: {error}");
        }

        fn held_back(&mut self, _: &Source, _: u64) {}

        fn progress(&mut self, _: u64) {}
    }

    #[test]
    fn the_order_of_lines_does_not_depend_on_workers_nor_on_how_much_is_read_at_once() {
        let folder = tempfile::tempdir().unwrap();
        for (files, lines) in [(1, 600), (3, 400), (40, 60)] {
            let in_order = (0..lines as u64).flat_map(|number| {
                (0..files).map(move |file| (file, number + 1)) // at the same second, the file named first
            });
            for workers in [1, 8] {
                let streams = streams(folder.path(), files, lines);
                let mut seen = Seen::default();
                merge(&streams, &front(), None, workers, &mut seen);
                let seen = seen.0.into_iter().map(|(source, number)| {
                    let file = streams.iter().position(|stream| stream.source == source);
                    (file.unwrap(), number)
                });
                assert!(
                    seen.eq(in_order.clone()),
                    "{files} files, {workers} workers"
                );
            }
        }
    }

    #[test]
    fn one_chunk_of_each_file_is_ahead_and_as_many_more_of_all_as_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let streams = streams(folder.path(), 40, 1);
        let ((orders, inbox), (_, arrivals)) = (channel(), channel());
        let mut merger = Merger {
            streams: &streams,
            orders,
            arrivals,
            lanes: BTreeMap::new(),
            ordered_max: 9,
            extra: 0,
        };
        merger.open(0);
        assert_eq!(inbox.try_iter().count(), 9);
        for index in 1..40 {
            merger.open(index);
        }
        let orders: Vec<_> = inbox.try_iter().collect();
        assert_eq!(orders.len() + 9, 40 + 9);
        let rooms = [0, 20, 38].map(|at| orders[at].room);
        assert_eq!(rooms, [CHUNK_BYTES, CHUNK_BYTES / 2, CHUNK_BYTES / 3]);
    }
}
