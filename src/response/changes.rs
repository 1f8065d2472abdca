//! What changes in the denylist, for those who keep a copy of it.
//!
//! In: [`Change`]s, as they happen. Out: the same to everybody who asked for them, in order, bounded.
//! Does not know: who keeps a copy, or where. Whoever falls behind is told so, and copies everything anew.

use super::denylist::Origin;
use crate::domain::incident::Target;
use crate::domain::time::Time;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Changes that wait for one copy: ten thousand thefts at once are a few thousand entries a second, and a copy that is
/// further behind is written anew faster.
const WAITING_MAX: usize = 16_384;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something is denied, or for longer.
    Denied {
        /// What.
        target: Target,
        /// Until when.
        until: Time,
        /// By whom.
        origin: Origin,
    },
    /// A denial was taken back.
    Undone {
        /// Of what.
        target: Target,
    },
    /// A denial ended with what it denied.
    Expired {
        /// Of what.
        target: Target,
    },
}

/// The changes from one moment on.
#[derive(Debug)]
pub struct Changes {
    queue: Receiver<Change>,
    behind: Arc<AtomicBool>,
}

impl Changes {
    /// Waits for changes and gives those that are there; `None` when some are missing, so that everything has to be
    /// copied, or when there will be no more.
    pub async fn next(&mut self) -> Option<Vec<Change>> {
        let mut changes = Vec::new();
        let count = self.queue.recv_many(&mut changes, WAITING_MAX).await;
        let missing = self.behind.swap(false, Ordering::AcqRel);
        (count > 0 && !missing).then_some(changes)
    }

    /// Forgets what waits: everything is about to be copied.
    pub fn clear(&mut self) {
        self.behind.store(false, Ordering::Release);
        while self.queue.try_recv().is_ok() {}
    }
}

/// Everybody who asked for changes.
#[derive(Debug, Default)]
pub(super) struct Feeds(Mutex<Vec<(Sender<Change>, Arc<AtomicBool>)>>);

impl Feeds {
    pub(super) fn open(&self) -> Changes {
        let (sender, queue) = channel(WAITING_MAX);
        let behind = Arc::<AtomicBool>::default();
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.push((sender, Arc::clone(&behind)));
        Changes { queue, behind }
    }

    pub(super) fn tell(&self, change: impl FnOnce() -> Change) {
        self.tell_some(|| Some(change()));
    }

    /// Never waits.
    pub(super) fn tell_some(&self, change: impl FnOnce() -> Option<Change>) {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.retain(|(sender, _)| !sender.is_closed());
        if feeds.is_empty() {
            return;
        }
        let Some(change) = change() else { return };
        for (sender, behind) in feeds.iter() {
            if sender.try_send(change.clone()).is_err() {
                behind.store(true, Ordering::Release);
            }
        }
    }
}
