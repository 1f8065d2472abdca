//! The way from many connections to one spool: bounded in bytes, counted at the end.
//!
//! In: messages. Out: lines in the spool, in batches, by one thread.
//! Does not know: where messages come from.

use super::spool::{Spool, push_line};
use super::{Count, Counter, ListenFault, Threads};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What may wait to be written: a second of the busiest gateways.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// What a waiting message costs beside its bytes.
const MESSAGE_COST_BYTES: usize = 64;

/// Bytes written at once.
const BATCH_BYTES: usize = 1 << 20;

/// How long a power failure may reach back; a killed process loses nothing that was written.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A message on its way. Its permit is its room, given back when it is written.
struct Waiting {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// Takes messages for one spool. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sender {
    name: Arc<str>,
    room: Arc<Semaphore>,
    queue: UnboundedSender<Waiting>,
    counter: Counter,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({})", self.name)
    }
}

impl Sender {
    /// Opens the spool and starts its thread.
    pub(super) fn start(
        name: &str,
        path: &Path,
        counter: Counter,
        threads: Threads,
    ) -> Result<Self, ListenFault> {
        let fault = |error| ListenFault::Spool {
            path: path.to_owned(),
            error,
        };
        let spool = Spool::open(path).map_err(fault)?;
        let (queue, waiting) = unbounded_channel();
        let (named, counts) = (Arc::<str>::from(name), Arc::clone(&counter));
        let of_thread = Arc::clone(&named);
        let work = move || write(spool, waiting, &of_thread, &counts);
        let writer = threads("spool", Box::new(work)).map_err(fault)?;
        Ok(Self {
            name: named,
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
            queue,
            counter,
            writer: Arc::new(Mutex::new(Some(writer))),
        })
    }

    /// Takes a message, or counts it as dropped when there is no room.
    pub(super) fn offer(&self, bytes: Vec<u8>) {
        match Arc::clone(&self.room).try_acquire_many_owned(cost(&bytes)) {
            Ok(room) => self.queue(bytes, room),
            Err(_) => self.dropped("full", 1),
        }
    }

    /// Takes a message as soon as there is room.
    pub(super) async fn send(&self, bytes: Vec<u8>) {
        // The room is never closed.
        if let Ok(room) = Arc::clone(&self.room)
            .acquire_many_owned(cost(&bytes))
            .await
        {
            self.queue(bytes, room);
        }
    }

    fn queue(&self, bytes: Vec<u8>, room: OwnedSemaphorePermit) {
        let waiting = Waiting { bytes, _room: room };
        if self.queue.send(waiting).is_err() {
            self.dropped("ending", 1);
        }
    }

    /// Counts what was not taken.
    pub(super) fn dropped(&self, reason: &'static str, count: u64) {
        (self.counter)(&self.name, Count::Dropped(reason), count);
    }

    /// Waits until everything is written. Others may hold clones, whose messages are then dropped and counted.
    pub(super) fn finish(self) {
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        // An empty message ends the queue.
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(0) {
            self.queue(Vec::new(), room);
        }
        if let Some(writer) = writer {
            // A panic there is a mistake of ours; the daemon ends anyway.
            let _ = writer.join();
        }
    }
}

fn cost(bytes: &[u8]) -> u32 {
    (bytes.len() + MESSAGE_COST_BYTES).min(WAITING_BYTES_MAX) as u32
}

fn write(mut spool: Spool, mut queue: UnboundedReceiver<Waiting>, name: &str, counter: &Counter) {
    let mut lines = Vec::new();
    let mut synced = Instant::now();
    let mut ended = false;
    while !ended {
        let Some(first) = queue.blocking_recv() else {
            break;
        };
        let (mut count, mut next) = (0, Some(first));
        while let Some(waiting) = next {
            ended |= waiting.bytes.is_empty();
            if !waiting.bytes.is_empty() {
                count += 1;
                push_line(&mut lines, &waiting.bytes);
            }
            next = (lines.len() < BATCH_BYTES)
                .then(|| queue.try_recv().ok())
                .flatten();
        }
        let counted = match spool.write(&lines) {
            Ok(()) => Count::Received,
            Err(_) => Count::Dropped("disk"),
        };
        counter(name, counted, count);
        lines.clear();
        if ended || synced.elapsed() >= SYNC_EVERY {
            synced = Instant::now();
            if spool.sync().is_err() {
                counter(name, Count::Dropped("disk"), 0);
            }
        }
    }
}
