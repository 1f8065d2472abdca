//! Identity of a file across renames, copies and truncations.
//!
//! In: open files. Out: [`Generation`], [`Verdict`], and the places in them that are kept: [`Position`], [`Extent`].
//! Does not know: names (they are labels), when to look.
//!
//! An inode number is no identity: it is used again, and `copytruncate` keeps it while the content changes. A
//! generation is device, inode and birth time, and a hash of the first bytes; a place in it carries a hash of the bytes
//! just before it. Blind spot: a rewrite with the same beginning and the same bytes before the place.
//! Source: inode(7); statx(2) for the birth time.

use crate::domain::line::Source;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How much of a file's beginning identifies it: two log lines, and more than a format's header lines.
pub(super) const HEADER_BYTES_MAX: u64 = 1024;

/// How many bytes before a place vouch for it: they hold a time and an address, so two files differ there.
const ANCHOR_BYTES_MAX: u64 = 256;

/// The number of a generation in one installation's state: small, never given twice.
pub type GenerationId = u32;

/// When the system says that a file last changed, and its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    size_bytes: u64,
    at: (i64, i64),
}

impl Change {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size_bytes: metadata.len(),
            at: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What the system says a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileKey {
    device: u64,
    inode: u64,
    /// Birth time since the epoch, where the file system knows it.
    born_ns: Option<u128>,
}

impl FileKey {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata
            .created()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            born_ns: born.map(|since| since.as_nanos()),
        }
    }
}

/// A fingerprint of a few bytes; they cannot be had back from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    bytes: u16,
    hash: u64,
    /// It is of a whole line at least, or of as much: less begins many files.
    whole: bool,
}

impl Print {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut first = [0; 8];
        blake3::Hasher::new()
            .update(bytes)
            .finalize_xof()
            .fill(&mut first);
        Self {
            bytes: bytes.len() as u16,
            hash: u64::from_le_bytes(first),
            whole: bytes.contains(&b'\n') || bytes.len() as u64 >= HEADER_BYTES_MAX,
        }
    }

    /// How many bytes it is of.
    pub(super) fn len(self) -> usize {
        usize::from(self.bytes)
    }

    /// True when a file can be told by this, whatever the system says that it is.
    pub(super) fn tells(self) -> bool {
        self.whole
    }

    /// True when `head` begins with the bytes that this is of, and can be told by them.
    pub(super) fn begins(self, head: &[u8]) -> bool {
        self.whole
            && head
                .get(..self.len())
                .is_some_and(|head| Self::of(head) == self)
    }

    fn header(file: &File, size_bytes: u64) -> io::Result<Self> {
        read_range(file, 0, size_bytes.min(HEADER_BYTES_MAX)).map(|bytes| Self::of(&bytes))
    }

    /// The fingerprint of what stands before `offset_bytes`.
    pub(super) fn anchor(file: &File, offset_bytes: u64) -> io::Result<Self> {
        let start = offset_bytes.saturating_sub(ANCHOR_BYTES_MAX);
        read_range(file, start, offset_bytes).map(|bytes| Self::of(&bytes))
    }

    /// The fingerprint of the end of `bytes`, which is all that stands there or more than an anchor needs.
    pub(super) fn anchor_in(bytes: &[u8]) -> Self {
        Self::of(&bytes[bytes.len().saturating_sub(ANCHOR_BYTES_MAX as usize)..])
    }
}

pub(super) fn read_range(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (end - start) as usize];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

/// What became of a generation, judged at a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Still there; it may have grown.
    Same,
    /// Another file.
    Rotated,
    /// The same file, shorter than the place.
    Truncated,
    /// The same file with other content.
    Rewritten,
}

/// One file from its creation or truncation to its end, whatever it is called meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    key: FileKey,
    header: Print,
}

impl Generation {
    /// The generation that `file` now holds.
    pub fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            key: FileKey::of(&metadata),
            header: Print::header(file, metadata.len())?,
        })
    }

    pub(super) fn key(&self) -> FileKey {
        self.key
    }

    /// The fingerprint of its first bytes.
    pub(super) fn header(&self) -> Print {
        self.header
    }

    /// Takes the key of the file that now holds the generation's bytes.
    pub(super) fn held_in(&mut self, metadata: &Metadata) {
        self.key = FileKey::of(metadata);
    }

    /// Lets the header grow with a file that was short when it was first seen.
    pub(super) fn grow(&mut self, file: &File, size_bytes: u64) -> io::Result<()> {
        if (self.header.len() as u64) < size_bytes.min(HEADER_BYTES_MAX) {
            self.header = Print::header(file, size_bytes)?;
        }
        Ok(())
    }

    /// True when `file` begins as this generation did.
    pub(super) fn begins(&self, file: &File) -> io::Result<bool> {
        let header = read_range(file, 0, self.header.len() as u64);
        match header {
            Ok(bytes) => Ok(Print::of(&bytes) == self.header),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether `file` is this generation, judged at the place `offset_bytes` that `anchor` vouches for.
    pub fn matches(&self, file: &File, offset_bytes: u64, anchor: Print) -> io::Result<Verdict> {
        let metadata = file.metadata()?;
        if FileKey::of(&metadata) != self.key {
            return Ok(Verdict::Rotated);
        }
        if metadata.len() < offset_bytes {
            return Ok(Verdict::Truncated);
        }
        if self.is_held_by(file, offset_bytes, anchor)? {
            Ok(Verdict::Same)
        } else {
            Ok(Verdict::Rewritten)
        }
    }

    /// True when `copy`, another file, holds this generation's bytes up to the place.
    pub(super) fn is_copied_in(&self, copy: &File, offset: u64, anchor: Print) -> io::Result<bool> {
        Ok(offset > 0 && self.header.tells() && self.is_held_by(copy, offset, anchor)?)
    }

    /// True when `file` holds this generation's bytes up to the place, be it the file itself or a copy.
    pub(super) fn is_held_by(&self, file: &File, offset: u64, anchor: Print) -> io::Result<bool> {
        if !self.begins(file)? {
            return Ok(false);
        }
        match Print::anchor(file, offset) {
            Ok(found) => Ok(found == anchor),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// How far a generation was read, so that another process can go on there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Its number.
    pub id: GenerationId,
    /// Its name in evidence.
    pub source: Source,
    /// The path it was last seen under, as bytes: names need not be UTF-8.
    path: Vec<u8>,
    /// The path that its server writes to, whatever a rotation calls it later.
    home: Vec<u8>,
    pub(super) generation: Generation,
    /// Everything before this was read.
    pub offset_bytes: u64,
    pub(super) anchor: Print,
    /// Of the line at the offset, from 1; 0 where counting started in the middle.
    pub number: u64,
    /// It was read to its end after its server had left it: nothing is lost with it.
    pub(super) done: bool,
}

impl Position {
    pub(super) fn path(&self) -> PathBuf {
        OsString::from_vec(self.path.clone()).into()
    }

    pub(super) fn home(&self) -> PathBuf {
        OsString::from_vec(self.home.clone()).into()
    }

    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.path == path.as_os_str().as_bytes()
    }

    /// Now ends where these lines do.
    pub(super) fn moved_to(&mut self, extent: &Extent) {
        (self.offset_bytes, self.anchor) = (extent.end_bytes, extent.anchor);
    }

    /// The generation, also where numbers were given twice: by a state that was restored from a backup.
    pub(super) fn identity(&self) -> (GenerationId, FileKey, u64) {
        let Generation { key, header } = &self.generation;
        (self.id, *key, header.hash)
    }

    pub(super) fn named(&mut self, path: &Path) {
        self.path = path.as_os_str().as_bytes().to_owned();
    }

    pub(super) fn new(id: GenerationId, home: &Path, path: &Path, generation: Generation) -> Self {
        let mut position = Self {
            id,
            source: super::discover::source_of(home),
            path: Vec::new(),
            home: home.as_os_str().as_bytes().to_owned(),
            generation,
            offset_bytes: 0,
            anchor: Print::of(&[]),
            number: 1,
            done: false,
        };
        position.named(path);
        position
    }
}

/// The place of one batch: enough to read the same lines again and to know that they are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The generation's number.
    pub generation: GenerationId,
    /// First byte.
    pub start_bytes: u64,
    /// Byte after the last.
    pub end_bytes: u64,
    /// Number of the first line; 0 when lines are not counted.
    pub number: u64,
    /// How many lines.
    pub lines: u32,
    pub(super) anchor: Print,
}
