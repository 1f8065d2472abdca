//! Snapshots: a blob that is either wholly there or not at all.
//!
//! In: bytes and the journal epoch that follows them. Out: the newest whole ones.
//! Does not know: what the bytes mean. The one before the newest is kept, for when the newest is damaged.
//! Source: rename(2), fsync(2): a file is replaced safely by writing beside it, syncing, renaming, syncing the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"ttsnap\0\0";
/// Raised when what is inside changes its shape.
const VERSION: u32 = 21;
const SUM_BYTES: usize = 16;
const HEADER_BYTES: usize = MAGIC.len() + 4 + 8 + SUM_BYTES;

const NEWEST: &str = "snapshot";
const PREVIOUS: &str = "snapshot.previous";

/// Why a snapshot cannot be written or used.
#[derive(Debug, Error)]
pub enum SnapshotFault {
    /// The disk failed or is full.
    #[error("cannot use {}: {error}\n  = free space, or set [state] folder", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A later tokentrip wrote it; guessing would lose what it knew.
    #[error("{} was written by a newer tokentrip (format {version})\n  = run that one, or move the file away to start anew", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

/// A snapshot that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Restored {
    /// What was written.
    pub bytes: Vec<u8>,
    /// The journal that follows it.
    pub epoch: u64,
    /// True when the newest was damaged and this is the one before.
    pub is_previous: bool,
}

/// Writes a snapshot; the newest until now becomes the previous.
pub fn write(folder: &Path, epoch: u64, bytes: &[u8]) -> Result<(), SnapshotFault> {
    let path = folder.join(NEWEST);
    let replace = || -> io::Result<()> {
        let beside = folder.join("snapshot.new");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(&epoch.to_le_bytes())?;
        file.write_all(&checksum(epoch, bytes))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match fs::rename(&path, folder.join(PREVIOUS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::rename(&beside, &path)?,
        }
        File::open(folder)?.sync_all()
    };
    replace().map_err(|error| SnapshotFault::Io {
        path: path.clone(),
        error,
    })
}

/// The newest whole snapshot; `None` when there is none.
pub fn read(folder: &Path) -> Result<Option<Restored>, SnapshotFault> {
    for name in [NEWEST, PREVIOUS] {
        let path = folder.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(SnapshotFault::Io { path, error }),
        };
        match whole(&bytes) {
            Ok(Some((epoch, body))) => {
                return Ok(Some(Restored {
                    bytes: body.to_vec(),
                    epoch,
                    is_previous: name == PREVIOUS,
                }));
            }
            Ok(None) => {}
            Err(version) => return Err(SnapshotFault::Newer { path, version }),
        }
    }
    Ok(None)
}

/// Epoch and body of a snapshot; `None` when it is damaged, its version when that is newer than ours.
fn whole(bytes: &[u8]) -> Result<Option<(u64, &[u8])>, u32> {
    let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Ok(None);
    };
    let (Some(rest), true) = (header.strip_prefix(MAGIC), header.len() == HEADER_BYTES) else {
        return Ok(None);
    };
    let mut version = [0; 4];
    version.copy_from_slice(&rest[..4]);
    let mut epoch = [0; 8];
    epoch.copy_from_slice(&rest[4..12]);
    let (version, epoch) = (u32::from_le_bytes(version), u64::from_le_bytes(epoch));
    if version > VERSION {
        return Err(version);
    }
    let is_whole = version == VERSION && rest[12..] == checksum(epoch, body);
    Ok(is_whole.then_some((epoch, body)))
}

fn checksum(epoch: u64, body: &[u8]) -> [u8; SUM_BYTES] {
    let mut sum = [0; SUM_BYTES];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&epoch.to_le_bytes()).update(body);
    hasher.finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t65_a_damaged_snapshot_falls_back_to_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(read(folder).unwrap(), None);
        write(folder, 1, b"first").unwrap();
        write(folder, 2, b"second").unwrap();
        let newest = fs::read(folder.join(NEWEST)).unwrap();
        for at in MAGIC.len() + 4..newest.len() {
            let mut damaged = newest.clone();
            damaged[at] ^= 1;
            fs::write(folder.join(NEWEST), damaged).unwrap();
            let restored = read(folder).unwrap().unwrap();
            assert_eq!(
                (restored.bytes.as_slice(), restored.epoch),
                (&b"first"[..], 1)
            );
            assert!(restored.is_previous);
        }
        fs::write(folder.join(NEWEST), &newest[..10]).unwrap();
        assert_eq!(read(folder).unwrap().unwrap().epoch, 1);
    }

    #[test]
    fn t65_a_snapshot_of_a_newer_version_is_refused_and_not_guessed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1, b"first").unwrap();
        let path = folder.path().join(NEWEST);
        let mut bytes = fs::read(&path).unwrap();
        bytes[MAGIC.len()..][..4].copy_from_slice(&(VERSION + 1).to_le_bytes());
        fs::write(&path, bytes).unwrap();
        let said = read(folder.path()).unwrap_err().to_string();
        let newer = format!("newer tokentrip (format {})", VERSION + 1);
        assert!(said.contains(&newer), "{said}");
    }
}
