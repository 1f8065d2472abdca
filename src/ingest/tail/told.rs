//! What is told of files that cannot be followed now: once for each reason, for as long as it lasts.
//!
//! In: what the system answered. Out: [`TailFault`]s that are new, and all that stand.
//! Does not know: what is done about them.

use super::{Obstacle, Polled, TailFault, Tailer};
use std::path::Path;
use std::time::{Duration, Instant};

/// What was not met again for so long is over: every file and folder is looked at more often.
const OVER: Duration = Duration::from_secs(5);

/// Something that was told.
pub(super) struct Told {
    obstacle: Obstacle,
    reason: String,
    /// When it was met last.
    met: Instant,
}

impl Tailer {
    /// What keeps files from being followed now, and where.
    pub fn faults(&self) -> impl Iterator<Item = (&Path, Obstacle)> {
        let told = self.told.iter();
        told.map(|(path, told)| (path.as_path(), told.obstacle))
    }

    pub(super) fn tell(
        &mut self,
        path: &Path,
        obstacle: Obstacle,
        reason: &str,
        now: Instant,
        polled: &mut Polled,
    ) {
        let told = Told {
            obstacle,
            reason: reason.to_owned(),
            met: now,
        };
        let before = self.told.insert(path.to_owned(), told);
        if before.is_none_or(|before| before.reason != reason) {
            polled.faults.push(TailFault {
                path: path.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }

    /// Forgets what is over.
    pub(super) fn forget_told(&mut self, now: Instant) {
        self.told
            .retain(|_, told| now.saturating_duration_since(told.met) < OVER);
    }
}
