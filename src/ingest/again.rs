//! Reading again: some stretches of a log, wherever its bytes are now.
//!
//! In: a file by its path, or a generation by its [`Position`], under its own name, a rotated one, or in an archive.
//! Out: the lines of [`Stretch`]es, in order.
//! Does not know: what is looked for in them.

use super::fault::ReadFault;
use super::generation::{Position, Print};
use super::lines::{self, ChunkReader, LINE_BYTES_MAX};
use super::records::{self, Records};
use super::stretch::Stretch;
use super::tail::{home_of, packed_head};
use super::{archive, open};
use crate::domain::line::{Chunk, Source};
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much of a beginning says how a log is read.
const HEAD_BYTES: u64 = 256 << 10;
/// Round a stretch of wrapped lines: the other pieces of its first and last line stand there.
pub const MARGIN_BYTES: u64 = LINE_BYTES_MAX as u64;
/// What stays of an archive that was read: the margins round two stretches that follow each other.
const KEPT_BYTES: usize = 2 * LINE_BYTES_MAX + HEAD_BYTES as usize;
/// Longer than stretches become that are asked for at once.
const RANGE_BYTES_MAX: u64 = 8 << 20;

/// A log that is read again.
pub struct Again {
    source: Source,
    bytes: Bytes,
}

enum Bytes {
    File(File),
    Stream(Stream),
}

/// What can only be read in order.
struct Stream {
    reader: Box<dyn Read + Send>,
    at: u64,
    /// The last bytes before that.
    kept: Vec<u8>,
}

impl Again {
    /// The file at `path`, as `scan` reads it.
    ///
    /// # Errors
    /// As [`archive::open`].
    pub fn open(path: &Path, source: &Source) -> io::Result<Self> {
        let (file, _) = open::regular(path)?;
        let mut head = Vec::new();
        (&file).take(HEAD_BYTES).read_to_end(&mut head)?;
        let is_plain = archive::packing_of(&head)? == archive::Packing::Plain;
        let bytes = match is_plain && !records::begin_document(&head) {
            true => Bytes::File(file),
            false => Bytes::stream(Records::new(archive::open(path)?.reader)),
        };
        Ok(Self {
            source: source.clone(),
            bytes,
        })
    }

    /// A file that is open.
    pub fn of(file: File, source: &Source) -> Self {
        Self {
            source: source.clone(),
            bytes: Bytes::File(file),
        }
    }

    /// What holds the generation of `end` up to its place, likeliest first: the file itself, a copy, an archive.
    pub fn find(end: &Position) -> impl Iterator<Item = Self> {
        let candidates = candidates(end);
        let end = end.clone();
        candidates
            .into_iter()
            .filter_map(move |path| Self::holding(&path, &end).ok().flatten())
    }

    fn holding(path: &Path, end: &Position) -> io::Result<Option<Self>> {
        let bytes = match packed_head(path)? {
            None => {
                let (file, _) = open::regular(path)?;
                let generation = &end.generation;
                if !generation.is_held_by(&file, end.offset_bytes, end.anchor)? {
                    return Ok(None);
                }
                Bytes::File(file)
            }
            Some(head) if end.generation.header().begins(&head) => {
                Bytes::stream(archive::open(path)?.reader)
            }
            Some(_) => return Ok(None),
        };
        Ok(Some(Self {
            source: end.source.clone(),
            bytes,
        }))
    }

    /// The first lines.
    ///
    /// # Errors
    /// When they cannot be read, or are no log.
    pub fn head(&mut self) -> io::Result<Chunk> {
        let mut bytes = self.bytes.range(0, HEAD_BYTES)?;
        lines::sniff(&bytes)?;
        if bytes.len() as u64 == HEAD_BYTES {
            let whole = memchr::memrchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1);
            bytes.truncate(whole);
        }
        Ok(lines::chunk_of(&self.source, bytes, 0, 1).0)
    }

    /// The lines of stretches, from the first to the last, and where they are `wrapped` those round them. Stretches are
    /// asked for in order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn lines(&mut self, stretches: &[Stretch], wrapped: bool) -> io::Result<Chunk> {
        let (Some(stretch), Some(last)) = (stretches.first(), stretches.last()) else {
            return Ok(Chunk::new(self.source.clone()));
        };
        let margin = if wrapped { MARGIN_BYTES } else { 0 };
        let start = stretch.start_bytes.saturating_sub(margin);
        let end = last.end_bytes.saturating_add(margin);
        let mut bytes = self.bytes.range(start, end.min(start + RANGE_BYTES_MAX))?;
        // A margin begins and ends somewhere.
        let before = (stretch.start_bytes - start) as usize;
        let first = match memchr::memchr(b'\n', &bytes[..before.min(bytes.len())]) {
            Some(at) => at + 1,
            None => before.min(bytes.len()),
        };
        let first = if start == 0 { 0 } else { first };
        if wrapped && bytes.len() as u64 == end - start {
            let whole = memchr::memrchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1);
            bytes.truncate(whole.max(first));
        }
        let passed = memchr::memchr_iter(b'\n', &bytes[first..before.clamp(first, bytes.len())]);
        let number = stretch.number.saturating_sub(passed.count() as u64);
        bytes.drain(..first);
        Ok(lines::chunk_of(&self.source, bytes, start + first as u64, number).0)
    }

    /// True when the bytes before a place that was read are those that `end` vouches for.
    pub fn vouches(&self, end: &Position) -> bool {
        match &self.bytes {
            Bytes::File(file) => {
                Print::anchor(file, end.offset_bytes).is_ok_and(|found| found == end.anchor)
            }
            Bytes::Stream(Stream { at, kept, .. }) => {
                let behind = at.checked_sub(end.offset_bytes);
                let upto = behind.and_then(|behind| kept.len().checked_sub(behind as usize));
                upto.is_some_and(|upto| Print::anchor_in(&kept[..upto]) == end.anchor)
            }
        }
    }

    /// All of it, in order.
    ///
    /// # Errors
    /// When it cannot be read from its beginning.
    pub fn whole(self) -> io::Result<ChunkReader<Box<dyn Read + Send>>> {
        let reader: Box<dyn Read + Send> = match self.bytes {
            Bytes::File(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
            Bytes::Stream(Stream { reader, at, kept }) => {
                if at != kept.len() as u64 {
                    return Err(io::Error::other("it was read in part"));
                }
                Box::new(io::Cursor::new(kept).chain(reader))
            }
        };
        Ok(ChunkReader::new(reader, self.source))
    }
}

impl Bytes {
    fn stream(reader: impl Read + Send + 'static) -> Self {
        Self::Stream(Stream {
            reader: Box::new(reader),
            at: 0,
            kept: Vec::new(),
        })
    }

    /// The bytes from `start` to `end`, or as far as there are any.
    fn range(&mut self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::File(file) => range_of(file, start, end),
            Self::Stream(stream) => stream.range(start, end),
        }
    }
}

fn range_of(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let wanted = end.saturating_sub(start) as usize;
    let mut bytes = Vec::with_capacity(wanted);
    while bytes.len() < wanted {
        let at = start + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(wanted);
    Ok(bytes)
}

impl Stream {
    fn range(&mut self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        if start > self.at {
            self.skip_to(start)?;
        }
        // What was read before and is asked for again: the margin round another stretch.
        let back = self.at.saturating_sub(start) as usize;
        let from = self.kept.len().checked_sub(back);
        let from = from.ok_or_else(|| io::Error::other("stretches are read in order"))?;
        let mut bytes = self.kept[from..].to_vec();
        let wanted = end.saturating_sub(start) as usize;
        let missing = wanted.saturating_sub(bytes.len()) as u64;
        let known = bytes.len();
        let read = (&mut self.reader).take(missing).read_to_end(&mut bytes);
        let fresh = &bytes[known..];
        self.at += fresh.len() as u64;
        self.kept.extend_from_slice(fresh);
        let spare = self.kept.len().saturating_sub(KEPT_BYTES);
        self.kept.drain(..spare);
        // What an archive holds before the place where it is damaged counts.
        if let Err(error) = read
            && (fresh.is_empty() || ReadFault::of(&error).is_none())
        {
            return Err(error);
        }
        bytes.truncate(wanted);
        Ok(bytes)
    }

    fn skip_to(&mut self, start: u64) -> io::Result<()> {
        let far = (start - self.at).saturating_sub(KEPT_BYTES as u64);
        if far > 0 {
            self.at += io::copy(&mut (&mut self.reader).take(far), &mut io::sink())?;
            self.kept.clear();
        }
        let near = start.saturating_sub(self.at);
        self.at += (&mut self.reader).take(near).read_to_end(&mut self.kept)? as u64;
        let spare = self.kept.len().saturating_sub(KEPT_BYTES);
        self.kept.drain(..spare);
        Ok(())
    }
}

/// Where the bytes of a generation may be now, likeliest first.
fn candidates(end: &Position) -> Vec<PathBuf> {
    let home = end.home();
    let homes = BTreeSet::from([home.clone()]);
    let folder = home.parent().map(Path::to_owned).unwrap_or_default();
    let entries = match folder.as_os_str().is_empty() {
        true => fs::read_dir("."),
        false => fs::read_dir(&folder),
    };
    let mut beside: Vec<(SystemTime, PathBuf)> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| folder.join(entry.file_name()))
        .filter(|path| home_of(path, &homes).is_some())
        .map(|path| {
            let changed = fs::metadata(&path).and_then(|metadata| metadata.modified());
            (changed.unwrap_or(SystemTime::UNIX_EPOCH), path)
        })
        .collect();
    beside.sort();
    let mut candidates = vec![end.path(), home];
    candidates.extend(beside.into_iter().rev().map(|(_, path)| path));
    let mut seen = BTreeSet::new();
    candidates.retain(|path| seen.insert(path.clone()));
    candidates
}

#[cfg(test)]
mod tests;
