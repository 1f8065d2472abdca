//! Names: which files the tailer follows now, and which are rotated names of another.
//!
//! In: the patterns and what the folders hold. Out: files newly followed, files that lost their name.
//! Does not know: what stands in the files, but for their beginnings.
//! Source: logrotate(8), `dateext`, `copytruncate`; rotatelogs(8).

use super::{Polled, StartAt, Tailer};
use crate::ingest::discover;
use crate::ingest::fault::ReadFault;
use crate::ingest::generation::{FileKey, Generation, Position};
use crate::ingest::tracked::{Tracked, open_log};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

impl Tailer {
    pub(super) fn discover(&mut self, now: Instant, polled: &mut Polled) {
        let mut found = HashMap::new();
        let mut order = Vec::new();
        for path in self.named(polled) {
            // A name that vanishes between two calls is a name that was not there.
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let key = FileKey::of(&metadata);
            if found.insert(key, path.clone()).is_none() {
                order.push(key);
            }
        }
        self.passed.retain(|key| found.contains_key(key));
        for file in &mut self.files {
            match found.remove(&file.position.generation.key()) {
                Some(path) => {
                    file.position.named(&path);
                    file.detached = None;
                }
                None if file.detached.is_none() => {
                    file.detached = Some(now);
                    file.wake();
                }
                None => {}
            }
        }
        for key in order {
            if let Some(path) = found.remove(&key).filter(|_| !self.passed.contains(&key)) {
                self.follow(key, &path, now, polled);
            }
        }
        self.start = StartAt::Beginning;
    }

    /// The paths that the patterns name now.
    pub(super) fn named(&mut self, polled: &mut Polled) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for pattern in self.patterns.clone() {
            match discover::expand(&pattern) {
                Ok(found) => paths.extend(found),
                Err(fault) => self.tell(Path::new(&pattern), &fault.to_string(), polled),
            }
        }
        paths
    }

    fn follow(&mut self, key: FileKey, path: &Path, now: Instant, polled: &mut Polled) {
        match self.start_following(path, now) {
            Ok(true) => {
                self.told.remove(path);
            }
            Ok(false) => {
                self.passed.insert(key);
            }
            Err(error) => {
                if ReadFault::of(&error).is_some() || error.kind() == io::ErrorKind::InvalidInput {
                    self.passed.insert(key);
                }
                self.tell(path, &error.to_string(), polled);
            }
        }
    }

    fn start_following(&mut self, path: &Path, now: Instant) -> io::Result<bool> {
        let Some((file, metadata)) = open_log(path)? else {
            return Ok(false);
        };
        if self
            .files
            .iter()
            .any(|known| is_copy_of(known, &file, path))
        {
            return Ok(false);
        }
        let position = Position::new(self.next_id, path, Generation::of(&file)?);
        let mut tracked = Tracked::new(file, position, now);
        if self.start == StartAt::End {
            tracked.skip_to_end(metadata.len())?;
        }
        self.take_id();
        self.files.push(tracked);
        Ok(true)
    }
}

/// True when `file` is what copytruncate made of a file that is followed: a rotated name and the same bytes.
fn is_copy_of(known: &Tracked, file: &fs::File, path: &Path) -> bool {
    let Position {
        generation,
        offset_bytes,
        anchor,
        ..
    } = &known.position;
    is_rotated_name(path, &known.position.path())
        && *offset_bytes > 0
        && generation
            .is_held_by(file, *offset_bytes, *anchor)
            .unwrap_or(false)
}

/// `access.log.1` and `access.log-20260504` are rotated names of `access.log`.
fn is_rotated_name(path: &Path, original: &Path) -> bool {
    let rest = path.as_os_str().as_encoded_bytes();
    let rest = rest.strip_prefix(original.as_os_str().as_encoded_bytes());
    rest.is_some_and(|rest| rest.starts_with(b".") || rest.starts_with(b"-"))
}

/// The files whose names are rotated names of `path`.
pub(super) fn siblings(path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut siblings: Vec<_> = paths.filter(|other| is_rotated_name(other, path)).collect();
    siblings.sort();
    siblings
}
