//! What the thread of lines does for step 3: it remembers what stands where, and lets it be read again.
//!
//! In: what was fed, what was read again. Out: the index of positions, incidents that are shown again.
//! Does not know: how lines are read again (see [`crate::app::watch::breaches`]).

use super::Line;
use crate::app::Error;
use crate::app::watch::Order;
use crate::app::watch::breaches::Done;
use crate::domain::time::Time;
use crate::engine::prepare::PreparedChunk;
use crate::ingest::generation::Extent;
use crate::ingest::index::PositionIndex;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// How long the end waits for what is being read again.
const END: Duration = Duration::from_secs(2);

impl Line {
    /// Remembers what stands in lines that were fed, of a log that had come to the time `before`.
    pub(super) fn place(&mut self, extent: &Extent, chunk: &PreparedChunk, before: Time) {
        let mut start_bytes = extent.start_bytes;
        for line in chunk.borrow_dependent().iter().flatten() {
            self.sketcher.see(line.event.time, line.event.client);
            // The first piece of a wrapped line can stand in what was fed before.
            start_bytes = start_bytes.min(line.line.offset_bytes);
        }
        let stretch = self
            .sketcher
            .stretch(start_bytes, extent.end_bytes, extent.number, before);
        let follower = &self.follower;
        let placed = self.index.add(extent, stretch, || follower.end_of(extent));
        match (&placed, self.unplaced) {
            (Err(error), false) => {
                warn!(%error, "positions cannot be written: reports on breaches will be partial")
            }
            (Ok(()), true) => info!("positions are written again"),
            _ => {}
        }
        self.unplaced = placed.is_err();
    }

    /// Lets logs be read again for the incidents that changed, when that is due.
    pub(super) fn read_again(&mut self) {
        if self.breaches.is_due() {
            self.begin_reading();
        }
    }

    fn begin_reading(&mut self) {
        let held = self.follower.held();
        let held = held.filter_map(|(id, file)| Some((id, file.try_clone().ok()?)));
        let held = held.collect();
        let (engine, set_up) = (&self.engine, &self.set_up);
        let (issuers, view) = (self.issuers.clone(), self.index.view());
        self.breaches.begin(engine, set_up, issuers, view, held);
    }

    /// Takes in what was read again: the incidents are told anew.
    pub(super) fn was_read(&mut self, done: Done) {
        for (coverage, count) in done.counts() {
            self.shared.metrics.breach_reports(coverage, count);
        }
        let ids = self.breaches.learn(done);
        debug!(incidents = ids.len(), "logs were read again");
        self.engine.show_again(&ids);
    }

    /// Reads again what is to be read, before the end, but does not wait long.
    pub(super) fn finish_reading(&mut self, inbox: &Receiver<Order>) -> Result<(), Error> {
        let deadline = Instant::now() + END;
        while self.breaches.is_open() {
            if self.breaches.is_idle() {
                self.begin_reading();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(left) {
                Ok(Order::Breaches(done)) => {
                    self.was_read(done);
                    self.answer()?;
                }
                // Nothing else is of use any more.
                Ok(_) => {}
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Begins the index anew where somebody took the state folder away.
    pub(super) fn place_anew(&mut self) {
        let open = self.index.open().clone();
        self.index = PositionIndex::new(self.state.folder(), open);
    }

    /// Forgets what is too old.
    pub(super) fn forget_places(&mut self) {
        let days = u64::from(self.set_up.config.privacy.retention_days);
        self.index.forget(Duration::from_secs(days * 86_400));
        self.shared.metrics.index(self.index.bytes() as f64);
    }
}
