//! Wake-ups: file notifications that shorten the tailer's wait.
//!
//! In: the same paths and globs the tailer has. Out: [`Hint`]s.
//! Does not know: what changed for good; a hint may be wrong, late or missing, and costs only latency.
//! Source: inotify(7); `notify`'s documentation on lost events (`need_rescan`).

use super::discover::is_glob;
use super::tail::Hint;
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Hints that wait; beyond that one look at everything is cheaper than the list.
const HINTS_MAX: usize = 1024;

/// Watches the folders of the sources.
pub struct Wake {
    watcher: RecommendedWatcher,
    patterns: Vec<OsString>,
    /// The folders that are watched, and which folder that was then.
    watched: BTreeMap<PathBuf, u64>,
    sender: SyncSender<Hint>,
    hints: Receiver<Hint>,
    overflown: Arc<AtomicBool>,
    /// Folders that could not be watched: their files are only polled.
    unwatched: usize,
}

impl Wake {
    /// Watches the folders that `patterns` lead to. Fails when the system gives no notifications at all.
    pub fn new(patterns: &[OsString]) -> notify::Result<Self> {
        let (sender, hints) = sync_channel(HINTS_MAX);
        let overflown = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&overflown);
        let changes = sender.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            for hint in hints_of(event) {
                send(&changes, hint, &flag);
            }
        })?;
        let mut wake = Self {
            watcher,
            patterns: patterns.to_vec(),
            watched: BTreeMap::new(),
            sender,
            hints,
            overflown,
            unwatched: 0,
        };
        wake.renew();
        Ok(wake)
    }

    /// Watches folders that are new, were made anew, or could not be watched before. Gives how many are only polled.
    pub fn renew(&mut self) -> usize {
        self.unwatched = 0;
        for folder in folders(&self.patterns) {
            // A folder that is not there is no want of watches.
            let Ok(metadata) = fs::metadata(&folder) else {
                self.watched.remove(&folder);
                continue;
            };
            if self.watched.get(&folder) == Some(&metadata.ino()) {
                continue;
            }
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(folder, metadata.ino())),
                Err(_) => self.unwatched += 1,
            }
        }
        self.unwatched
    }

    /// Ends a wait from another thread.
    pub fn bell(&self) -> Bell {
        Bell(self.sender.clone())
    }

    /// How many folders are only polled.
    pub fn unwatched(&self) -> usize {
        self.unwatched
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

/// Ends the wait for hints, from any thread.
#[derive(Clone, Debug)]
pub struct Bell(SyncSender<Hint>);

impl Bell {
    /// Never waits. Whoever has hints waiting is about to wake anyway.
    pub fn ring(&self) {
        // A file without a name: nothing is looked at for it.
        let _ = self.0.try_send(Hint::Grown(PathBuf::new()));
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
    fn t49_an_overflow_of_the_systems_queue_is_a_look_at_everything() {
        let lost = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert_eq!(hints_of(Ok(lost)), [Hint::All]);
        assert_eq!(hints_of(Err(notify::Error::generic("gone"))), [Hint::All]);
    }

    #[test]
    fn t42_a_folder_that_is_made_anew_is_watched_again() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        let mut wake = Wake::new(&[logs.join("*.log").into()]).unwrap();
        for _ in 0..2 {
            fs::create_dir(&logs).unwrap();
            assert_eq!(wake.renew(), 0);
            fs::write(logs.join("a.log"), "one\n").unwrap();
            let hints = wake.wait(Duration::from_secs(10));
            assert!(!hints.is_empty());
            fs::remove_dir_all(&logs).unwrap();
            wake.renew();
        }
    }

    #[test]
    fn a_line_that_is_written_wakes_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fs::write(&path, "one\n").unwrap();
        let wake = Wake::new(&[folder.path().join("*.log").into()]).unwrap();
        fs::write(&path, "two\n").unwrap();
        let hints = wake.wait(Duration::from_secs(10));
        assert!(hints.contains(&Hint::Grown(path)), "{hints:?}");
    }
}
