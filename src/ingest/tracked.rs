//! One file that is followed: the open descriptor and the place reached in it.
//!
//! In: looks at times the tailer chooses. Out: [`Look`]: a batch of whole lines, nothing new, or the generation's end.
//! Does not know: other files, names, rotation schemes.

use super::fault::ReadFault;
use super::generation::{Extent, FileKey, Generation, GenerationId, Position, Print, read_range};
use super::lines::{self, CHUNK_BYTES, Cut, LINE_BYTES_MAX};
use super::{archive, open};
use crate::domain::line::{Chunk, Source};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Between looks at a file that grows: a quarter second is what a missed notification costs.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Between looks at a file that rests.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Lines that were read, and where.
#[derive(Debug)]
pub struct Batch {
    /// The source's name in evidence.
    pub source: Source,
    /// Their place.
    pub extent: Extent,
    /// The lines.
    pub chunk: Chunk,
}

pub(super) enum Look {
    Nothing,
    Batch(Batch),
    /// Bytes without a line were passed: a hole, or the rest of a line that is too long.
    Passed,
    /// The file no longer holds the generation; that many bytes of it had been seen and not read.
    Ended(u64),
}

pub(super) struct Tracked {
    pub(super) file: File,
    pub(super) position: Position,
    /// Nobody opens it any more to write to it, since then: it was renamed, is a copy, or has no name.
    pub(super) detached: Option<Instant>,
    /// No name leads here: only our descriptor keeps it.
    pub(super) nameless: bool,
    /// Nobody wants it any more: it goes when it is read to its end.
    pub(super) leaving: bool,
    /// It is what an archive held.
    pub(super) unpacked: bool,
    /// How long a beginning of the generation the journal was told: it is told again when that has grown.
    pub(super) told: Option<usize>,
    next_look: Option<Instant>,
    pause: Duration,
    size_bytes: u64,
    changed: (i64, i64),
    settled: bool,
    pub(super) grown: Instant,
}

impl Tracked {
    pub(super) fn new(file: File, position: Position, now: Instant) -> Self {
        Self {
            file,
            position,
            detached: None,
            nameless: false,
            leaving: false,
            unpacked: false,
            told: None,
            next_look: None,
            pause: PAUSE_MIN,
            size_bytes: 0,
            changed: (0, 0),
            settled: false,
            grown: now,
        }
    }

    /// True when its disk space is only ours.
    pub(super) fn is_held(&self) -> bool {
        self.nameless && !self.unpacked
    }

    /// True when the last look found nothing more.
    pub(super) fn is_read(&self) -> bool {
        self.next_look.is_some()
    }

    /// True when it holds too little to tell what it is: an archive of that name may come to stand in it.
    pub(super) fn is_unbegun(&self) -> bool {
        self.position.offset_bytes == 0 && !self.position.generation.header().tells()
    }

    /// True when the file still holds what was read of it.
    pub(super) fn is_intact(&self) -> io::Result<bool> {
        let Position {
            generation,
            offset_bytes,
            anchor,
            ..
        } = &self.position;
        generation.is_held_by(&self.file, *offset_bytes, *anchor)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next_look.is_none_or(|at| at <= now)
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Takes the key that the system gives the file now: an overlay file system gives another birth time when it
    /// copies a file up.
    pub(super) fn know_key(&mut self) {
        if let Ok(metadata) = self.file.metadata() {
            self.position.generation.held_in(&metadata);
        }
    }

    /// True when its last known name still leads to it.
    pub(super) fn has_name(&self) -> bool {
        let named = fs::metadata(self.position.path());
        named.is_ok_and(|named| FileKey::of(&named) == self.position.generation.key())
    }

    /// Stands under this name now.
    pub(super) fn name(&mut self, path: &Path) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        self.position.named(path);
        self.position.generation.held_in(&metadata);
        Ok(())
    }

    /// Goes on in another file that holds the same.
    pub(super) fn move_to(&mut self, path: &Path, file: File) -> io::Result<()> {
        self.file = file;
        self.settled = false;
        self.wake();
        self.name(path)
    }

    /// Makes the next look come at once.
    pub(super) fn wake(&mut self) {
        self.next_look = None;
        self.pause = PAUSE_MIN;
    }

    pub(super) fn rest(&mut self, now: Instant) {
        self.position.done = self.detached.is_some();
        self.next_look = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Bytes seen and not read.
    pub(super) fn backlog_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.position.offset_bytes)
    }

    /// Bytes that are there and were not read, as the system says.
    pub(super) fn unread_bytes(&self) -> u64 {
        let there = self.file.metadata().map_or(0, |metadata| metadata.len());
        there.saturating_sub(self.position.offset_bytes)
    }

    /// Passes everything up to the last line end: what was there before anyone was interested.
    pub(super) fn skip_to_end(&mut self, size_bytes: u64) -> io::Result<()> {
        let start = size_bytes.saturating_sub(LINE_BYTES_MAX as u64);
        let bytes = read_range(&self.file, start, size_bytes)?;
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        self.position.anchor = Print::anchor(&self.file, start + whole as u64)?;
        self.position.offset_bytes = start + whole as u64;
        self.position.number = 0;
        Ok(())
    }

    /// The file now holds another generation, to be read from its beginning.
    pub(super) fn begin_again(&mut self, id: GenerationId) -> io::Result<()> {
        let generation = Generation::of(&self.file)?;
        let position = Position::new(id, &self.position.home(), &self.position.path(), generation);
        self.position = position;
        self.told = None;
        self.settled = false;
        self.size_bytes = 0;
        self.wake();
        Ok(())
    }

    /// Looks once and reads at most one batch. The bytes that vouch for the place and those that follow it come from
    /// one read, so a truncation between the two cannot go unseen.
    pub(super) fn look(&mut self, now: Instant) -> io::Result<Look> {
        let metadata = self.file.metadata()?;
        if self.is_settled(&metadata) {
            return Ok(Look::Nothing);
        }
        let size_bytes = metadata.len();
        if size_bytes < self.position.offset_bytes
            || !self.position.generation.begins(&self.file)?
        {
            return Ok(Look::Ended(self.backlog_bytes()));
        }
        let anchor_bytes = self.position.anchor.len();
        let mut bytes = self.read(anchor_bytes, CHUNK_BYTES)?;
        if matches!(
            Cut::of(&bytes[anchor_bytes.min(bytes.len())..]),
            Cut::Partial
        ) && bytes.len() == anchor_bytes + CHUNK_BYTES
        {
            bytes = self.read(anchor_bytes, LINE_BYTES_MAX)?;
        }
        if bytes.len() < anchor_bytes || Print::of(&bytes[..anchor_bytes]) != self.position.anchor {
            return Ok(Look::Ended(self.backlog_bytes()));
        }
        if size_bytes > self.size_bytes {
            self.grown = now;
        }
        self.size_bytes = size_bytes;
        self.position.generation.grow(&self.file, size_bytes)?;
        Ok(self.take(&bytes, anchor_bytes))
    }

    /// True when nothing changed since a look that found nothing. A change within the clock tick of that look would
    /// keep the time stamp, so the first unchanged look is a whole one.
    fn is_settled(&mut self, metadata: &Metadata) -> bool {
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        let same = changed == self.changed && metadata.len() == self.size_bytes;
        let settled = same && self.settled;
        self.settled = same;
        self.changed = changed;
        settled
    }

    fn read(&self, before_bytes: usize, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; before_bytes + bytes];
        let start = self.position.offset_bytes - before_bytes as u64;
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], start + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        Ok(buffer)
    }

    fn take(&mut self, bytes: &[u8], anchor_bytes: usize) -> Look {
        let fresh = &bytes[anchor_bytes..];
        // What stands before the place tells whether it is inside a line whose beginning was delivered.
        let inside_line = anchor_bytes > 0 && !matches!(bytes[anchor_bytes - 1], b'\n' | 0);
        if inside_line && !fresh.is_empty() {
            let end = memchr::memchr(b'\n', fresh);
            self.position.number += u64::from(end.is_some() && self.position.number > 0);
            self.pass(
                &bytes[..anchor_bytes + end.map_or(fresh.len(), |at| at + 1)],
                anchor_bytes,
            );
            return Look::Passed;
        }
        if !fresh.is_empty() && lines::leading_nuls(fresh) == fresh.len() {
            self.pass(bytes, anchor_bytes);
            return Look::Passed;
        }
        match Cut::of(fresh) {
            Cut::Partial => Look::Nothing,
            Cut::Lines(whole) | Cut::LongLine(whole) => {
                Look::Batch(self.batch(&bytes[..anchor_bytes + whole], anchor_bytes))
            }
        }
    }

    fn pass(&mut self, bytes: &[u8], anchor_bytes: usize) {
        self.position.offset_bytes += (bytes.len() - anchor_bytes) as u64;
        self.position.anchor = Print::anchor_in(bytes);
        self.settled = false;
    }

    fn batch(&mut self, bytes: &[u8], anchor_bytes: usize) -> Batch {
        let start_bytes = self.position.offset_bytes;
        let number = self.position.number;
        let fresh = bytes[anchor_bytes..].to_vec();
        let ends_line = fresh.ends_with(b"\n");
        let (chunk, _) = lines::chunk_of(&self.position.source, fresh, start_bytes, number);
        self.pass(bytes, anchor_bytes);
        self.pause = PAUSE_MIN;
        if number > 0 {
            self.position.number += chunk.len() as u64 - u64::from(!ends_line);
        }
        let extent = Extent {
            generation: self.position.id,
            start_bytes,
            end_bytes: self.position.offset_bytes,
            number,
            lines: chunk.len() as u32,
            anchor: self.position.anchor,
        };
        Batch {
            source: self.position.source.clone(),
            extent,
            chunk,
        }
    }

    /// The last line of a generation that ended without a line feed.
    pub(super) fn flush(&mut self) -> io::Result<Option<Batch>> {
        let anchor_bytes = self.position.anchor.len();
        let bytes = self.read(anchor_bytes, LINE_BYTES_MAX)?;
        let inside_line =
            anchor_bytes > 0 && !matches!(bytes.get(anchor_bytes - 1), Some(b'\n' | 0));
        if bytes.len() <= anchor_bytes || inside_line {
            return Ok(None);
        }
        Ok(Some(self.batch(&bytes, anchor_bytes)))
    }
}

/// Opens a file that could be followed; `None` for archives, whose lines were read when they were plain. A file that is
/// no log gives a [`ReadFault`] in the error.
pub(super) fn open_log(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let (file, metadata) = open::regular(path)?;
    let mut head = vec![0; metadata.len().min(1024) as usize];
    let read = file.read_at(&mut head, 0)?;
    let head = &head[..read];
    match archive::packing_of(head) {
        Ok(archive::Packing::Plain) => lines::sniff(head)?,
        Ok(_) | Err(ReadFault::Compression(..)) => return Ok(None),
        Err(fault) => return Err(fault.into()),
    }
    Ok(Some((file, metadata)))
}
