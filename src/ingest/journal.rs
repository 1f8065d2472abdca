//! The journal: what the engine was fed, in which order.
//!
//! In: [`Fed`] records. Out: the same records after a crash; a torn end is cut off.
//! Does not know: what the engine does with them, nor the lines themselves: the logs hold those.
//!
//! One file per snapshot, `journal-<epoch>`, of [`framed`] records.

use super::framed;
use super::generation::{Extent, GenerationId, Position};
use crate::domain::presentation::Presentation;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// When a snapshot should be taken: a replay of so many records stays under a few seconds.
const FULL_BYTES: u64 = 64 << 20;

const MAGIC: &[u8; 8] = b"ttjour02";

/// Something the engine was fed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fed {
    /// A generation whose lines follow.
    Opened(Position),
    /// Lines that stand in a log.
    Lines(Extent),
    /// A generation was read to its end after its server had left it.
    Done(GenerationId),
    /// A key set that was fetched.
    Keys {
        /// Whose.
        issuer: String,
        /// As it was received.
        bytes: Vec<u8>,
        /// When.
        at: Time,
    },
    /// What was denied, in JSON.
    Revoked {
        /// The document.
        json: Vec<u8>,
    },
    /// Time passed on a silent log.
    Tick {
        /// To when.
        time: Time,
    },
    /// What a gateway asked about.
    Asked(Box<Presentation>),
    /// What is no longer denied, in JSON.
    Restored {
        /// The document.
        json: Vec<u8>,
    },
}

/// Why the journal cannot be kept.
#[derive(Debug, Error)]
pub enum JournalFault {
    /// The disk failed or is full.
    #[error("cannot write {}: {error}\n  = free space, or set [state] folder", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A record that no reader would take back.
    #[error("a record is larger than {} bytes", framed::RECORD_BYTES_MAX)]
    TooLarge,
}

/// An open journal.
pub struct Journal {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Journal {
    /// Begins the journal that follows the snapshot of `epoch`. One of the same epoch, which only a crash
    /// can leave, is continued after its last whole record.
    pub fn begin(folder: &Path, epoch: u64) -> Result<Self, JournalFault> {
        let path = path_of(folder, epoch);
        let fault = |error| JournalFault::Io {
            path: path.clone(),
            error,
        };
        let open = || -> io::Result<(File, u64)> {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&path)?;
            let (_, whole_bytes) = framed::read::<Fed>(&path, MAGIC)?;
            file.set_len(whole_bytes)?;
            if whole_bytes == 0 {
                file.write_all(MAGIC)?;
            }
            file.sync_all()?;
            File::open(folder)?.sync_all()?;
            Ok((file, whole_bytes.max(MAGIC.len() as u64)))
        };
        let (file, bytes) = open().map_err(fault)?;
        Ok(Self {
            folder: folder.to_owned(),
            path,
            file,
            bytes,
        })
    }

    /// Appends records; they are safe only after [`Self::sync`].
    pub fn append(&mut self, records: &[Fed]) -> Result<(), JournalFault> {
        let mut bytes = Vec::new();
        for record in records {
            framed::push(record, &mut bytes).ok_or(JournalFault::TooLarge)?;
        }
        if let Err(error) = self.file.write_all(&bytes) {
            // Half a record would hide what is appended later.
            let cut = self.file.set_len(self.bytes);
            return Err(self.fault(cut.err().unwrap_or(error)));
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Waits until everything appended is on the disk.
    pub fn sync(&mut self) -> Result<(), JournalFault> {
        self.file.sync_data().map_err(|error| self.fault(error))
    }

    /// True when it is time for a snapshot and the next epoch.
    pub fn is_full(&self) -> bool {
        self.bytes >= FULL_BYTES
    }

    /// True when the file is no longer where it was made: what is written to it is lost with the process.
    pub fn is_gone(&self) -> bool {
        let there = fs::metadata(&self.path).map(|metadata| metadata.ino());
        there.ok() != self.file.metadata().map(|metadata| metadata.ino()).ok()
    }

    /// Removes the journals before `epoch`, which no kept snapshot needs.
    pub fn prune(&self, epoch: u64) -> Result<(), JournalFault> {
        for (old, path) in epochs(&self.folder).map_err(|error| self.fault(error))? {
            if old < epoch {
                fs::remove_file(&path).map_err(|error| JournalFault::Io { path, error })?;
            }
        }
        Ok(())
    }

    fn fault(&self, error: io::Error) -> JournalFault {
        JournalFault::Io {
            path: self.path.clone(),
            error,
        }
    }
}

/// Everything that was fed since the snapshot of `epoch`, through all later journals, up to the first torn record.
pub fn read_all(folder: &Path, epoch: u64) -> Result<Vec<Fed>, JournalFault> {
    let fault = |path: &Path, error| JournalFault::Io {
        path: path.to_owned(),
        error,
    };
    let mut fed = Vec::new();
    for (at, path) in epochs(folder).map_err(|error| fault(folder, error))? {
        if at >= epoch {
            let read = framed::read(&path, MAGIC);
            fed.extend(read.map_err(|error| fault(&path, error))?.0);
        }
    }
    Ok(fed)
}

fn path_of(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("journal-{epoch}"))
}

fn epochs(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut epochs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let epoch = name.and_then(|name| name.strip_prefix("journal-")?.parse().ok());
        epochs.extend(epoch.map(|epoch| (epoch, path)));
    }
    epochs.sort();
    Ok(epochs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(range: std::ops::Range<i64>) -> Vec<Fed> {
        let time = |ms| Time::from_ms(ms).unwrap();
        range.map(|ms| Fed::Tick { time: time(ms) }).collect()
    }

    #[test]
    fn a_torn_end_is_cut_off_wherever_it_was_torn_and_appending_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut journal = Journal::begin(folder, 3).unwrap();
        journal.append(&ticks(0..3)).unwrap();
        journal.sync().unwrap();
        let whole = fs::read(path_of(folder, 3)).unwrap();
        for length in 0..whole.len() {
            fs::write(path_of(folder, 3), &whole[..length]).unwrap();
            let kept = read_all(folder, 3).unwrap();
            assert!(kept.len() < 3);
            let mut journal = Journal::begin(folder, 3).unwrap();
            journal.append(&ticks(7..8)).unwrap();
            assert_eq!(read_all(folder, 3).unwrap(), [kept, ticks(7..8)].concat());
        }
    }

    #[test]
    fn journals_are_read_from_an_epoch_on_and_old_ones_removed() {
        let folder = tempfile::tempdir().unwrap();
        for epoch in 9..12 {
            let mut journal = Journal::begin(folder.path(), epoch).unwrap();
            journal
                .append(&ticks(epoch as i64..epoch as i64 + 1))
                .unwrap();
            journal.prune(10).unwrap();
        }
        assert_eq!(read_all(folder.path(), 0).unwrap(), ticks(10..12));
        assert_eq!(read_all(folder.path(), 11).unwrap(), ticks(11..12));
    }
}
