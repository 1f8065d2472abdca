//! The state folder: one daemon's, and nobody else's.
//!
//! In: the folder's path. Out: [`State`]: the folder locked, and the installation's [`IdKey`].
//! Does not know: what is kept in it (see [`super::journal`], [`super::snapshot`]).
//! Source: flock(2).

use crate::domain::ids::IdKey;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

const KEY_BYTES: usize = 64;

/// Why a state folder cannot be used. Every message says what to do.
#[derive(Debug, Error)]
pub enum StateFault {
    /// The folder or a file in it cannot be made, read or written.
    #[error("cannot use {}: {error}\n  = make it writable for this user, or set [state] folder", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another daemon has it.
    #[error("{} is in use by another tokentrip (pid {pid})\n  = stop that one, or give each its own [state] folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Who holds it, as written in the lock file.
        pid: String,
    },
    /// The key file is not what was written.
    #[error("{} holds {bytes} bytes, not {KEY_BYTES}\n  = restore it from a backup; without it ids change: then remove it", path.display())]
    KeyLength {
        /// The key file.
        path: PathBuf,
        /// How many bytes it has.
        bytes: usize,
    },
    /// Others can read the key.
    #[error("{} can be read by others\n  = chmod 600 {}", path.display(), path.display())]
    KeyOpen {
        /// The key file.
        path: PathBuf,
    },
}

/// A state folder that is ours until this is dropped.
pub struct State {
    folder: PathBuf,
    id_key: IdKey,
    /// What the key is made of, for a folder that somebody took away.
    key_bytes: [u8; KEY_BYTES],
    // Held locked for as long as it lives; the system lets go when the process ends, however it ends.
    lock: File,
}

impl State {
    /// Opens the folder, makes it when it is missing, locks it, and reads or draws the installation's key.
    pub fn open(folder: &Path) -> Result<Self, StateFault> {
        make(folder)?;
        let lock = lock(folder)?;
        let key_bytes = key_bytes(&folder.join("key"))?;
        Ok(Self {
            id_key: id_key_of(&key_bytes),
            key_bytes,
            folder: folder.to_owned(),
            lock,
        })
    }

    /// Makes the folder anew when somebody took it away, with the same key, and locks it. True when it was gone.
    ///
    /// # Errors
    /// When it cannot be made, or another daemon has it by now.
    pub fn restore(&mut self) -> Result<bool, StateFault> {
        let path = self.folder.join("lock");
        let there = fs::metadata(&path).map(|metadata| metadata.ino());
        let ours = self.lock.metadata().map(|metadata| metadata.ino());
        if there.is_ok_and(|there| ours.is_ok_and(|ours| ours == there)) {
            return Ok(false);
        }
        make(&self.folder)?;
        self.lock = lock(&self.folder)?;
        let key = self.folder.join("key");
        if !key.exists() {
            write_key(&key, &self.key_bytes).map_err(|error| fault(&key, error))?;
        }
        Ok(true)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The key of this installation's ids.
    pub fn id_key(&self) -> &IdKey {
        &self.id_key
    }
}

/// The key in a file of its own; drawn and written when it is missing.
pub fn key_in(path: &Path) -> Result<IdKey, StateFault> {
    id_key(path)
}

/// The key of an installation, for a reader that changes nothing; `None` where there is none yet.
pub fn existing_key(folder: &Path) -> Result<Option<IdKey>, StateFault> {
    let path = folder.join("key");
    if path.exists() {
        id_key(&path).map(Some)
    } else {
        Ok(None)
    }
}

fn make(folder: &Path) -> Result<(), StateFault> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| fault(folder, error))
}

fn fault(path: &Path, error: io::Error) -> StateFault {
    StateFault::Io {
        path: path.to_owned(),
        error,
    }
}

fn lock(folder: &Path) -> Result<File, StateFault> {
    let path = folder.join("lock");
    let failed = |error| fault(&path, error);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // For the message only: a lock file without a pid in it is still locked.
            let _ = (&file).take(20).read_to_string(&mut pid);
            return Err(StateFault::Locked {
                path: folder.to_owned(),
                pid: pid.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // For the message only: a full disk keeps nobody from holding the folder.
    let _ = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

fn id_key(path: &Path) -> Result<IdKey, StateFault> {
    key_bytes(path).map(|bytes| id_key_of(&bytes))
}

fn id_key_of(key: &[u8; KEY_BYTES]) -> IdKey {
    let (mut id, mut probe) = ([0; 32], [0; 32]);
    id.copy_from_slice(&key[..32]);
    probe.copy_from_slice(&key[32..]);
    IdKey::new(id, probe)
}

fn key_bytes(path: &Path) -> Result<[u8; KEY_BYTES], StateFault> {
    let failed = |error| fault(path, error);
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => draw_key(path).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(StateFault::KeyOpen {
            path: path.to_owned(),
        });
    }
    bytes
        .as_slice()
        .try_into()
        .map_err(|_| StateFault::KeyLength {
            path: path.to_owned(),
            bytes: bytes.len(),
        })
}

fn draw_key(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    write_key(path, &bytes)?;
    Ok(bytes)
}

/// Writes the key whole or not at all.
fn write_key(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t63_a_second_daemon_is_refused_and_told_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a/b");
        let state = State::open(&folder).unwrap();
        let said = State::open(&folder).err().unwrap().to_string();
        assert!(
            said.contains(&format!("pid {}", std::process::id())),
            "{said}"
        );
        let id = state.id_key().hash("test", &[]);
        drop(state);
        let again = State::open(&folder).unwrap();
        assert_eq!(again.id_key().hash("test", &[]), id, "the key persists");
    }

    #[test]
    fn a_folder_that_is_taken_away_is_made_again_with_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        let mut state = State::open(&folder).unwrap();
        assert!(!state.restore().unwrap());
        let key = fs::read(folder.join("key")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(state.restore().unwrap());
        assert!(!state.restore().unwrap());
        assert_eq!(fs::read(folder.join("key")).unwrap(), key);
        assert!(matches!(
            State::open(&folder),
            Err(StateFault::Locked { .. })
        ));
    }

    #[test]
    fn a_key_that_is_short_or_open_to_others_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        drop(State::open(folder.path()).unwrap());
        let key = folder.path().join("key");
        fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
        let said = State::open(folder.path()).err().unwrap().to_string();
        assert!(said.contains("chmod 600"), "{said}");
        fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(&key, "short").unwrap();
        let said = State::open(folder.path()).err().unwrap().to_string();
        assert!(said.contains("5 bytes, not 64"), "{said}");
    }
}
