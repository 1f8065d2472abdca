//! Wake-ups: file notifications that shorten the tailer's wait.
//!
//! In: the same paths and globs the tailer has. Out: [`Hint`]s.
//! Does not know: what changed for good; a hint may be wrong, late or missing, and costs only latency.
//! Source: inotify(7); `notify`'s documentation on lost events (`need_rescan`).

use super::discover::is_glob;
use super::tail::Hint;
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Hints that wait; beyond that one look at everything is cheaper than the list.
const HINTS_MAX: usize = 1024;

/// Watches the folders of the sources.
pub struct Wake {
    // Watches for as long as it lives.
    _watcher: RecommendedWatcher,
    hints: Receiver<Hint>,
    overflown: Arc<AtomicBool>,
    /// Folders that could not be watched: their files are only polled.
    pub unwatched: Vec<PathBuf>,
}

impl Wake {
    /// Watches the folders that `patterns` lead to. Fails when the system gives no notifications at all.
    pub fn new(patterns: &[OsString]) -> notify::Result<Self> {
        let (sender, hints) = sync_channel(HINTS_MAX);
        let overflown = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&overflown);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                for hint in hints_of(event) {
                    send(&sender, hint, &flag);
                }
            })?;
        let mut unwatched = Vec::new();
        for folder in folders(patterns) {
            if watcher.watch(&folder, RecursiveMode::NonRecursive).is_err() {
                unwatched.push(folder);
            }
        }
        Ok(Self {
            _watcher: watcher,
            hints,
            overflown,
            unwatched,
        })
    }

    /// Waits for a hint, at most `timeout`, and gives all that have come.
    pub fn wait(&self, timeout: Duration) -> Vec<Hint> {
        let mut hints: Vec<_> = self.hints.recv_timeout(timeout).into_iter().collect();
        hints.extend(self.hints.try_iter().take(HINTS_MAX));
        if self.overflown.swap(false, Ordering::AcqRel) {
            hints.push(Hint::All);
        }
        hints.dedup();
        hints
    }
}

fn send(sender: &SyncSender<Hint>, hint: Hint, overflown: &AtomicBool) {
    if sender.try_send(hint).is_err() {
        overflown.store(true, Ordering::Release);
    }
}

fn hints_of(event: notify::Result<notify::Event>) -> Vec<Hint> {
    let Ok(event) = event else {
        return vec![Hint::All];
    };
    if event.need_rescan() {
        return vec![Hint::All];
    }
    match event.kind {
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
            vec![Hint::Names]
        }
        EventKind::Modify(_) => event.paths.into_iter().map(Hint::Grown).collect(),
        // Our own reading makes such events; answering them would never end.
        EventKind::Access(_) | EventKind::Any | EventKind::Other => Vec::new(),
    }
}

/// The folders where the names of `patterns` appear: a folder itself, a file's, or a glob's, when only its last
/// part is one; other globs are left to polling.
fn folders(patterns: &[OsString]) -> BTreeSet<PathBuf> {
    let folder = |pattern: &OsString| {
        let path = Path::new(pattern);
        if path.is_dir() {
            return Some(path.to_owned());
        }
        let parent = path
            .parent()
            .filter(|parent| !is_glob(parent.as_os_str()))?;
        let here = parent.as_os_str().is_empty();
        Some(if here {
            PathBuf::from(".")
        } else {
            parent.to_owned()
        })
    };
    patterns.iter().filter_map(folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_written_wakes_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, "one\n").unwrap();
        let wake = Wake::new(&[folder.path().join("*.log").into()]).unwrap();
        std::fs::write(&path, "two\n").unwrap();
        let hints = wake.wait(Duration::from_secs(10));
        assert!(hints.contains(&Hint::Grown(path)), "{hints:?}");
    }
}
