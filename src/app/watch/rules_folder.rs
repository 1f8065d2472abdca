//! Notices that somebody changed the rules.
//!
//! In: the folder. Out: an [`Order::Rules`] after a change.
//! Does not know: whether the new rules are any good.

use super::Order;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};

/// Files looked at: as many as a folder of rules may hold.
const FILES_MAX: usize = 4000;

/// The rules' folder as it was last seen.
pub(super) struct RulesFolder {
    folder: Option<PathBuf>,
    seen: Vec<(PathBuf, Option<SystemTime>, u64)>,
}

impl RulesFolder {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let seen = folder.as_deref().map(look).unwrap_or_default();
        Self { folder, seen }
    }

    /// Looks again and again, for as long as somebody takes the orders.
    pub(super) async fn watch(mut self, every: Duration, orders: Sender<Order>) {
        let Some(folder) = self.folder.clone() else {
            return;
        };
        loop {
            tokio::time::sleep(every).await;
            let asked = folder.clone();
            let Ok(seen) = tokio::task::spawn_blocking(move || look(&asked)).await else {
                return;
            };
            if seen != self.seen {
                self.seen = seen;
                if orders.send(Order::Rules).is_err() {
                    return;
                }
            }
        }
    }
}

/// Names, times and sizes of the rule files, in order; of one file, when the rules stand in one.
fn look(folder: &Path) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let mut seen = Vec::new();
    if let Some(file) = folder.metadata().ok().filter(Metadata::is_file) {
        seen.push((folder.to_owned(), file.modified().ok(), file.len()));
        return seen;
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten().take(FILES_MAX) {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() && seen.len() < FILES_MAX {
                folders.push(entry.path());
            } else {
                seen.push((entry.path(), metadata.modified().ok(), metadata.len()));
            }
        }
    }
    seen.sort();
    seen
}
