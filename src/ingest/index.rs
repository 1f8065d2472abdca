//! The index of positions: what stood where in the logs that were followed, on the disk.
//!
//! In: stretches in the order in which they were fed. Out: those that may hold what somebody looks for, each with what
//! its file is found again by, wherever that is now.
//! Does not know: what is looked for; the lines themselves: the logs hold those.
//!
//! A stretch is written when it is a megabyte long: less than a thousandth of the log. Files are closed at eight
//! megabytes, and the oldest go first, when they are too old or too many. What is lost of them makes a report partial
//! and nothing else, so a disk that is full stops nothing.

use super::framed;
use super::generation::{Extent, GenerationId, Position};
use super::stretch::{Stretch, in_order};
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const MAGIC: &[u8; 8] = b"ttindex1";

/// How long a stretch becomes: what is read again for one use, in a millisecond or two.
const STRETCH_BYTES: u64 = 1 << 20;

/// When the next file begins: what is read at once to look something up.
const SEGMENT_BYTES: u64 = 8 << 20;

/// What all files may take: the places in more than a hundred gigabytes of logs.
const INDEX_BYTES_MAX: u64 = 128 << 20;

/// Stretches that may still grow, one for each file that is written to. Beyond, the one that begins first ends.
const OPEN_MAX: usize = 4096;

/// A stretch, and what its file is found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// What stands in it.
    pub stretch: Stretch,
    /// The generation, and the bytes before the end of the stretch.
    pub end: Position,
}

/// The stretches that may still grow: for the caller's memory, so that they survive a restart.
pub type Open = BTreeMap<GenerationId, Placed>;

/// Writes the index.
pub struct PositionIndex {
    folder: PathBuf,
    open: Open,
    segment: Option<Segment>,
    next_number: u64,
}

struct Segment {
    number: u64,
    file: File,
    bytes: u64,
}

impl PositionIndex {
    /// Goes on in the state folder, with the stretches that were open. Nothing is read or written yet.
    pub fn new(folder: &Path, open: Open) -> Self {
        let last = segments(folder).pop().map(|(number, _)| number);
        Self {
            folder: folder.to_owned(),
            open,
            segment: None,
            next_number: last.map_or(0, |number| number + 1),
        }
    }

    /// Takes in the stretch that was fed. `end` says what its file is found by.
    ///
    /// # Errors
    /// When the disk takes nothing; the stretch is lost then.
    pub fn add(
        &mut self,
        extent: &Extent,
        stretch: Stretch,
        end: impl FnOnce() -> Option<Position>,
    ) -> io::Result<()> {
        match self.open.get_mut(&extent.generation) {
            Some(open) if stretch.start_bytes <= open.stretch.end_bytes + STRETCH_BYTES => {
                open.stretch.join(stretch);
                open.end.moved_to(extent);
            }
            _ => {
                self.close(extent.generation)?;
                let Some(end) = end() else { return Ok(()) };
                let placed = Placed { stretch, end };
                self.open.insert(extent.generation, placed);
            }
        }
        let is_full = |open: &Placed| open.stretch.bytes() >= STRETCH_BYTES;
        if self.open.get(&extent.generation).is_some_and(is_full) {
            self.close(extent.generation)?;
        }
        while self.open.len() > OPEN_MAX {
            let Some(oldest) = self.open.keys().next().copied() else {
                break;
            };
            self.close(oldest)?;
        }
        Ok(())
    }

    fn close(&mut self, generation: GenerationId) -> io::Result<()> {
        match self.open.remove(&generation) {
            Some(placed) => self.write(&placed),
            None => Ok(()),
        }
    }

    fn write(&mut self, placed: &Placed) -> io::Result<()> {
        let mut record = Vec::new();
        framed::push(placed, &mut record)
            .ok_or_else(|| io::Error::other("a stretch is too large"))?;
        let mut segment = match self.segment.take() {
            Some(segment) => segment,
            None => self.begin()?,
        };
        if let Err(error) = segment.file.write_all(&record) {
            // Half a record would hide those behind it; the next one begins another file.
            let _ = segment.file.set_len(segment.bytes);
            return Err(error);
        }
        segment.bytes += record.len() as u64;
        if segment.bytes < SEGMENT_BYTES {
            self.segment = Some(segment);
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<Segment> {
        let number = self.next_number;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(path_of(&self.folder, number))?;
        file.write_all(MAGIC)?;
        self.next_number += 1;
        self.shrink();
        Ok(Segment {
            number,
            file,
            bytes: MAGIC.len() as u64,
        })
    }

    /// Puts what was written on the disk, before a snapshot that does not hold it any more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&mut self) -> io::Result<()> {
        match &self.segment {
            Some(segment) => segment.file.sync_data(),
            None => Ok(()),
        }
    }

    /// What may still grow.
    pub fn open(&self) -> &Open {
        &self.open
    }

    /// Bytes on the disk.
    pub fn bytes(&self) -> u64 {
        let sizes = segments(&self.folder).into_iter();
        sizes.map(|(_, path)| size_of_file(&path)).sum()
    }

    /// Removes what was written longer ago than this.
    pub fn forget(&mut self, kept: Duration) {
        let now = SystemTime::now();
        for (number, path) in segments(&self.folder) {
            let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let is_old =
                written.is_ok_and(|at| now.duration_since(at).is_ok_and(|passed| passed > kept));
            let is_ours = self
                .segment
                .as_ref()
                .is_some_and(|ours| ours.number == number);
            if is_old && !is_ours {
                // What cannot be removed now is asked for again in an hour.
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Removes the oldest files where there are too many bytes.
    fn shrink(&self) {
        let mut files = segments(&self.folder);
        files.reverse();
        let mut bytes = SEGMENT_BYTES;
        for (_, path) in files {
            bytes += size_of_file(&path);
            if bytes > INDEX_BYTES_MAX {
                // As above.
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// The index as it is now, for another thread.
    pub fn view(&self) -> View {
        View {
            folder: self.folder.clone(),
            open: self.open.values().cloned().collect(),
            ends_before: self.next_number,
            last: self.segment.as_ref().map(|last| (last.number, last.bytes)),
        }
    }
}

/// The index at one moment.
pub struct View {
    folder: PathBuf,
    open: Vec<Placed>,
    /// The number of the next file.
    ends_before: u64,
    /// The file that is written to, and how long it was.
    last: Option<(u64, u64)>,
}

/// What was found in the index.
#[derive(Default)]
pub struct Places {
    /// Stretches of one generation, in order, and what vouches for the end of each.
    pub generations: Vec<(Vec<Stretch>, Vec<Position>)>,
    /// Places before this time are no longer known.
    pub known_from: Option<Time>,
}

impl View {
    /// Where what somebody looks for may stand.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn find(self, may_hold: impl Fn(&Stretch) -> bool) -> io::Result<Places> {
        let may_hold = |placed: &Placed| may_hold(&placed.stretch);
        let mut found: Vec<Placed> = Vec::new();
        let mut places = Places::default();
        for (at, (number, path)) in segments(&self.folder).into_iter().enumerate() {
            let mut bytes = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read?,
            };
            match self.last {
                _ if number >= self.ends_before => continue,
                Some((last, length)) if last == number => bytes.truncate(length as usize),
                _ => {}
            }
            let (mut placed, _) = framed::records::<Placed>(&bytes, MAGIC);
            if at == 0 && number > 0 {
                let times = placed.iter().filter_map(|placed| placed.stretch.times());
                places.known_from = times.map(|(first, _)| first).min();
            }
            placed.retain(may_hold);
            found.append(&mut placed);
        }
        found.extend(self.open.into_iter().filter(may_hold));
        let mut by_file: BTreeMap<_, Vec<Placed>> = BTreeMap::new();
        for placed in found {
            by_file
                .entry(placed.end.identity())
                .or_default()
                .push(placed);
        }
        for placed in by_file.into_values() {
            let (stretches, ends) = placed
                .into_iter()
                .map(|placed| (placed.stretch, placed.end))
                .unzip();
            places.generations.push((in_order(stretches), ends));
        }
        Ok(places)
    }
}

fn size_of_file(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("positions-{number}"))
}

/// The files, oldest first.
fn segments(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_name()?.to_str()?.strip_prefix("positions-")?;
            Some((name.parse().ok()?, path))
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests;
