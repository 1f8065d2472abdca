//! Names: which files matter now, and which of them are rotated names of another.
//!
//! In: the patterns and what the folders hold. Out: [`Listed`] files, each once.
//! Does not know: what stands in the files.
//! Source: logrotate(8): `dateext`, `extension`, `copytruncate`; rotatelogs(8).

use super::{Obstacle, Polled, Tailer};
use crate::ingest::discover::{self, DiscoverFault};
use crate::ingest::generation::FileKey;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What compressing programs add to a name.
const PACKED_ENDINGS: &[&[u8]] = &[b".gz", b".zst", b".bz2", b".xz", b".Z"];

/// A file under a name that matters.
pub(super) struct Listed {
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
    /// The name that it is a rotated name of.
    pub(super) home: Option<PathBuf>,
    /// A pattern covers it.
    pub(super) named: bool,
}

impl Tailer {
    /// What the patterns name now, and the rotated names beside it, also where no pattern covers them.
    pub(super) fn listed(
        &mut self,
        now: Instant,
        polled: &mut Polled,
    ) -> BTreeMap<FileKey, Listed> {
        let named: BTreeSet<PathBuf> = self.named(now, polled).into_iter().collect();
        self.learn_homes(&named);
        let mut listed: BTreeMap<FileKey, Listed> = BTreeMap::new();
        let beside = self.beside();
        for path in named.iter().chain(beside.difference(&named)) {
            // A name that vanishes between two calls is a name that was not there.
            let Ok(metadata) = fs::metadata(path) else {
                continue;
            };
            let found = Listed {
                path: path.clone(),
                home: home_of(path, &self.homes),
                named: named.contains(path),
                metadata,
            };
            if !found.metadata.is_file() && !found.named {
                continue;
            }
            let key = FileKey::of(&found.metadata);
            // Of several names of one file the one that is written to says what it is.
            let better = |known: &Listed| known.home.is_some() && found.home.is_none();
            if listed.get(&key).is_none_or(better) {
                listed.insert(key, found);
            }
        }
        listed
    }

    /// The paths that the patterns name now.
    fn named(&mut self, now: Instant, polled: &mut Polled) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for pattern in self.patterns.clone() {
            let path = Path::new(&pattern);
            match expanded(&pattern) {
                Ok(found) => {
                    self.told.remove(path);
                    paths.extend(found);
                }
                Err(fault) => {
                    let obstacle = obstacle(path, &fault);
                    self.tell(path, obstacle, &fault.to_string(), now, polled);
                }
            }
        }
        paths
    }

    /// The names that servers write to: those that are no rotated name of another. One that is missing between a rename
    /// and its successor stays one.
    fn learn_homes(&mut self, named: &BTreeSet<PathBuf>) {
        let followed = self.files.iter().map(|file| file.position.home());
        let mut all: BTreeSet<PathBuf> = followed.collect();
        all.extend(named.iter().cloned());
        all.extend(
            self.homes
                .iter()
                .filter(|home| home.parent().is_some_and(Path::is_dir))
                .cloned(),
        );
        self.homes = all
            .iter()
            .filter(|path| home_of(path, &all).is_none())
            .cloned()
            .collect();
    }

    /// All rotated names of the names that are followed.
    pub(super) fn beside(&self) -> BTreeSet<PathBuf> {
        let folders: BTreeSet<PathBuf> = self.homes.iter().map(|home| folder_of(home)).collect();
        let entries = folders
            .iter()
            .filter_map(|folder| Some((folder, fs::read_dir(folder).ok()?)))
            .flat_map(|(folder, entries)| {
                let entries = entries.flatten();
                entries.map(|entry| path_in(folder, &entry.file_name()))
            });
        entries
            .filter(|path| home_of(path, &self.homes).is_some())
            .collect()
    }
}

/// What a pattern names. A glob that finds nothing because its folder cannot be listed is a fault.
fn expanded(pattern: &OsStr) -> Result<Vec<PathBuf>, DiscoverFault> {
    let found = discover::expand(pattern)?;
    let fixed = || {
        let mut folders = Path::new(pattern).ancestors().skip(1);
        folders.find(|folder| !discover::is_glob(folder.as_os_str()))
    };
    match fixed().filter(|_| found.is_empty() && discover::is_glob(pattern)) {
        Some(folder) if !folder.as_os_str().is_empty() => match first_entry(folder) {
            Ok(()) => Ok(found),
            Err(error) => Err(DiscoverFault::Unreadable {
                path: folder.to_owned(),
                error,
            }),
        },
        _ => Ok(found),
    }
}

/// A disk that fails may say so only when a name is asked for.
fn first_entry(folder: &Path) -> io::Result<()> {
    fs::read_dir(folder)?.next().transpose().map(drop)
}

fn obstacle(path: &Path, fault: &DiscoverFault) -> Obstacle {
    match fault {
        DiscoverFault::Unreadable { path: at, error } => match Obstacle::of(error) {
            Obstacle::File if at != path || !folder_of(path).is_dir() => Obstacle::Folder,
            obstacle => obstacle,
        },
        _ => Obstacle::Content,
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// A relative name without a folder stays without one, so that both spellings of a path stay equal.
fn path_in(folder: &Path, name: &OsStr) -> PathBuf {
    folder.join(name)
}

/// The name of `homes` that `path` is a rotated name of: `access.log.1`, `access.log-20260504.gz`, `access.1.log` and
/// `access-20260504.log` are rotated names of `access.log`.
pub(in crate::ingest) fn home_of(path: &Path, homes: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    let folder = folder_of(path);
    let name = path.file_name()?.as_bytes();
    let ends = (1..name.len()).rev();
    let prefixes = ends
        .filter(|&end| matches!(name[end], b'.' | b'-'))
        .map(|end| name[..end].to_owned());
    prefixes
        .chain(without_number(name))
        .map(|name| path_in(&folder, OsStr::from_bytes(&name)))
        .find(|home| homes.contains(home))
}

/// `access-20260504.log.gz` without its number or date: `access.log`.
fn without_number(name: &[u8]) -> Option<Vec<u8>> {
    let plain = PACKED_ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(*ending))
        .unwrap_or(name);
    let (stem, ending) = plain.split_at(memchr::memrchr(b'.', plain)?);
    let is_number = |b: &u8| b.is_ascii_digit() || b"._-T:".contains(b);
    let run = stem.iter().rev().take_while(|b| is_number(b)).count();
    let number = &stem[stem.len() - run..];
    let at = number.iter().position(|b| b"._-".contains(b))?;
    let cut = stem.len() - run + at;
    let numbered = number[at..].iter().any(u8::is_ascii_digit);
    (cut > 0 && numbered).then(|| [&stem[..cut], ending].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t11_rotated_names_lead_to_the_name_that_is_written_to() {
        let homes = BTreeSet::from([PathBuf::from("/v/access.log"), PathBuf::from("/v/api.log")]);
        for (name, expected) in [
            ("/v/access.log.1", Some("/v/access.log")),
            ("/v/access.log.2.gz", Some("/v/access.log")),
            ("/v/access.log-20260504.gz", Some("/v/access.log")),
            ("/v/access.1.log", Some("/v/access.log")),
            ("/v/access-2026-05-04T10.log.zst", Some("/v/access.log")),
            ("/v/api.log.old", Some("/v/api.log")),
            ("/v/access.log", None),
            ("/v/access-error.log", None),
            ("/v/access2.log", None),
            ("/w/access.log.1", None),
            ("/v/.1.log", None),
        ] {
            let found = home_of(Path::new(name), &homes);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{name}");
        }
    }
}
