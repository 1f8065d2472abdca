//! Recovery: finds what was not read of a generation whose file was cut, renamed or packed.
//!
//! In: a [`Position`] and the names where its bytes may be now. Out: a file that is followed from there.
//! Does not know: why the generation is looked for.

use super::{Gap, Obstacle, Positions, Tailer, gap};
use crate::ingest::generation::{Extent, HEADER_BYTES_MAX, Position, Verdict};
use crate::ingest::tracked::Tracked;
use crate::ingest::{archive, open};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

impl Tailer {
    /// Goes on where another process stopped. Every generation is looked for under its name, its rotated names and all
    /// names that are followed; what is gone is a gap. Files that appeared meanwhile are read from their beginning.
    pub fn resume(&mut self, positions: Positions, now: Instant) -> Vec<Gap> {
        self.from_end.clear();
        self.next_id = positions.next_id;
        self.known = positions.known;
        self.homes = positions.files.values().map(Position::home).collect();
        let names = self.all_names(now);
        let mut gaps = Vec::new();
        for (_, position) in positions.files {
            if position.offset_bytes == 0 && !position.generation.header().tells() {
                continue; // It is found as a file that turns up.
            }
            if self.recover(&position, &names, now) || position.offset_bytes == 0 {
                continue;
            }
            // It may have been renamed or packed since the names were looked up: others were unpacked meanwhile.
            let names = self.all_names(now);
            if !self.recover(&position, &names, now) {
                // Archives are thrown away in the end.
                gaps.extend((!position.done).then(|| gap(&position, None)));
                self.known.close(position);
            }
        }
        gaps
    }

    fn all_names(&mut self, now: Instant) -> BTreeSet<PathBuf> {
        let listed = self.listed(now, &mut super::Polled::default());
        listed.into_values().map(|found| found.path).collect()
    }

    /// The generation of the file at `at` no longer stands in it up to the end of `extent`: goes on in a copy or an
    /// archive that holds it. False when there is none.
    pub(super) fn move_to_copy(&mut self, at: usize, extent: &Extent) -> bool {
        let mut wanted = self.files[at].position.clone();
        (wanted.offset_bytes, wanted.anchor) = (extent.end_bytes, extent.anchor);
        let Some((path, file)) = self.find(&wanted, &self.beside()) else {
            return false;
        };
        self.files[at].move_to(&path, file).is_ok()
    }

    /// The file at `at` was truncated or rewritten under us. What was not read of it may live on in a copy.
    pub(super) fn end_generation(
        &mut self,
        at: usize,
        lost_bytes: u64,
        now: Instant,
        polled: &mut super::Polled,
    ) {
        let old = self.files[at].position.clone();
        let told = self.files[at].told;
        let id = self.take_id();
        let is_home = self.homes.contains(&old.path());
        // Nobody wrote to it since it was read to its end: then nothing can be lost with it.
        let is_done = old.done;
        if !is_home {
            // An archive that is written over is judged anew, by what comes to stand in it.
            self.files.remove(at);
            self.next_discovery = None;
            polled.more = true;
        } else if let Err(error) = self.files[at].begin_again(id) {
            let obstacle = Obstacle::of(&error);
            self.tell(&old.path(), obstacle, &error.to_string(), now, polled);
            self.files[at].rest(now);
        }
        if self.recover(&old, &self.beside(), now) {
            let copies = self.files.iter_mut();
            let copy = copies.filter(|file| file.position.id == old.id);
            copy.for_each(|file| file.told = told);
            return;
        }
        let begun = old.offset_bytes > 0;
        if lost_bytes > 0 || (begun && !is_done) {
            polled
                .gaps
                .push(gap(&old, Some(lost_bytes).filter(|&lost| lost > 0)));
        }
        if begun {
            self.known.close(old);
        }
    }

    /// Finds the generation of `position` under one of `names` and follows it there.
    fn recover(&mut self, position: &Position, names: &BTreeSet<PathBuf>, now: Instant) -> bool {
        let Some((path, file)) = self.find(position, names) else {
            return false;
        };
        let mut tracked = Tracked::new(file, position.clone(), now);
        tracked.told = Some(position.generation.header().len());
        // A copy is followed as the file it is: its key is not the original's, which may live on.
        if tracked.name(&path).is_err() {
            return false;
        }
        self.files.push(tracked);
        self.files.sort_by_key(|file| file.position.id);
        true
    }

    /// The file under one of `names` that holds the generation of `position` up to its place: itself, else a copy, else
    /// what an archive holds.
    fn find(&self, position: &Position, names: &BTreeSet<PathBuf>) -> Option<(PathBuf, File)> {
        let own = BTreeSet::from([position.path(), position.home()]);
        let mut candidates: Vec<_> = names
            .union(&own)
            .filter_map(|path| Some((path, open::regular(path).ok()?)))
            .collect();
        let newest =
            |metadata: &fs::Metadata| metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        candidates.sort_by_key(|(_, (_, metadata))| std::cmp::Reverse(newest(metadata)));
        let (offset, anchor) = (position.offset_bytes, position.anchor);
        let is_same = |file: &File| {
            let verdict = position.generation.matches(file, offset, anchor);
            matches!(verdict, Ok(Verdict::Same))
        };
        // A file of which nothing was read is read from its beginning, wherever it is: as a file that turns up.
        let is_held = |file: &File| {
            let held = position.generation.is_copied_in(file, offset, anchor);
            matches!(held, Ok(true))
        };
        let files = || candidates.iter().map(|(path, (file, _))| (path, file));
        let found = files()
            .find(|(_, file)| is_same(file))
            .or_else(|| files().find(|(_, file)| is_held(file)))
            .and_then(|(path, file)| Some(((*path).clone(), file.try_clone().ok()?)));
        found.or_else(|| {
            candidates.iter().find_map(|(path, _)| {
                let head = packed_head(path).ok()??;
                let begins = position.generation.header().begins(&head);
                let file = begins.then(|| self.unpacked(path))?.ok()?;
                is_held(&file).then(|| ((*path).clone(), file))
            })
        })
    }

    /// What an archive holds, in a file without a name that ends with us.
    pub(super) fn unpacked(&self, path: &Path) -> io::Result<File> {
        let mut plain = tempfile::tempfile_in(&self.scratch)?;
        io::copy(&mut archive::open(path)?.reader, &mut plain)?;
        Ok(plain)
    }
}

/// The first bytes of what an archive holds, as far as it is written; `None` for a file that is no archive.
pub(in crate::ingest) fn packed_head(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let opened = archive::open(path)?;
    if opened.packing == archive::Packing::Plain {
        return Ok(None);
    }
    let mut head = Vec::new();
    let read = opened.reader.take(HEADER_BYTES_MAX).read_to_end(&mut head);
    // An archive that is still being written breaks off; what came before counts.
    let _ = read;
    Ok(Some(head))
}
