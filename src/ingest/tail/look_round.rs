//! Looking round: which files are newly followed, which are passed over, which lost their name.
//!
//! In: the files that are listed now. Out: files that are followed or known.
//! Does not know: lines.

use super::known::{Kinship, kinship_of_archive, kinship_of_copy};
use super::names::Listed;
use super::recover::packed_head;
use super::{Obstacle, Polled, Tailer};
use crate::ingest::discover;
use crate::ingest::fault::ReadFault;
use crate::ingest::generation::{
    Change, FileKey, Generation, HEADER_BYTES_MAX, Position, Print, read_range,
};
use crate::ingest::tracked::{Tracked, open_log};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime};

/// How many unpacked archives are read at once: each costs its size on the disk of the state folder.
const UNPACKED_MAX: usize = 4;

/// What to do with a file that turned up.
enum Class {
    Follow(Box<Tracked>),
    /// Its lines were read, or are history.
    Pass(Print),
    /// It cannot be told yet.
    Later,
}

impl Tailer {
    /// Looks through the folders.
    pub(super) fn look_round(&mut self, now: Instant, polled: &mut Polled) {
        let first = !std::mem::replace(&mut self.known.looked, true);
        self.forget_told(now);
        let mut listed = self.listed(now, polled);
        self.files.iter_mut().for_each(Tracked::know_key);
        self.known.forget(&listed.keys().copied().collect());
        self.files.retain_mut(|file| {
            if file.leaving {
                return true;
            }
            let key = file.position.generation.key();
            let found = listed.get(&key);
            if found.is_none() && file.has_name() {
                return true; // Its folder could not be listed, for want of a descriptor or a right.
            }
            let written_to = found.is_some_and(|found| found.home.is_none());
            if found.is_some() && !written_to && file.is_unbegun() {
                return false;
            }
            file.nameless = found.is_none();
            if let Some(found) = listed.remove(&key) {
                file.position.named(&found.path);
            }
            match (written_to, file.detached) {
                (true, _) => (file.detached, file.position.done) = (None, false),
                (false, None) => {
                    file.detached = Some(now);
                    file.wake();
                }
                (false, Some(_)) => {}
            }
            true
        });
        let mut fresh: Vec<_> = listed
            .into_iter()
            .filter(|(key, found)| !self.known.is_passed(*key, Change::of(&found.metadata)))
            .collect();
        // Older files first, so that their lines come first; of two of one time the rotated one is older.
        let age = |found: &Listed| found.metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        fresh.sort_by_cached_key(|(_, found)| {
            (age(found), found.home.is_none(), found.path.clone())
        });
        for (key, found) in fresh {
            self.consider(key, &found, first, now, polled);
        }
        self.from_end.clear();
    }

    fn consider(
        &mut self,
        key: FileKey,
        found: &Listed,
        first: bool,
        now: Instant,
        polled: &mut Polled,
    ) {
        let change = Change::of(&found.metadata);
        match self.class(found, first, now) {
            Ok(Class::Follow(tracked)) => {
                self.told.remove(&found.path);
                self.files.push(*tracked);
            }
            Ok(Class::Pass(header)) => self.known.pass(key, header, change),
            Ok(Class::Later) => {}
            Err(error) => {
                if ReadFault::of(&error).is_some() || error.kind() == io::ErrorKind::InvalidInput {
                    self.known.pass(key, Print::default(), change);
                }
                if found.named {
                    let obstacle = Obstacle::of(&error);
                    self.tell(&found.path, obstacle, &error.to_string(), now, polled);
                }
            }
        }
    }

    fn class(&mut self, found: &Listed, first: bool, now: Instant) -> io::Result<Class> {
        let Some((file, metadata)) = open_log(&found.path)? else {
            return self.class_of_archive(found, first, now);
        };
        if let Some(position) = self.known.reopen(&file)? {
            let mut tracked = Tracked::new(file, position, now);
            tracked.position.named(&found.path);
            return Ok(Class::Follow(Box::new(tracked)));
        }
        let Some(home) = &found.home else {
            let mut tracked = self.begun(file, &found.path, &found.path, now)?;
            if self.begins_at_end(&found.path) {
                tracked.skip_to_end(metadata.len())?;
            }
            return Ok(Class::Follow(Box::new(tracked)));
        };
        let head = read_range(&file, 0, metadata.len().min(HEADER_BYTES_MAX))?;
        if !Print::of(&head).tells() {
            return Ok(Class::Later);
        }
        if (first && !found.named) || self.begins_at_end(home) {
            return Ok(Class::Pass(Print::of(&head)));
        }
        if let Some(class) =
            self.class_of_copy(home, &head, |known| kinship_of_copy(known, &file))?
        {
            return Ok(class);
        }
        let mut tracked = self.begun(file, home, &found.path, now)?;
        tracked.detached = Some(now);
        Ok(Class::Follow(Box::new(tracked)))
    }

    fn begins_at_end(&self, path: &Path) -> bool {
        let mut patterns = self.from_end.iter();
        patterns.any(|pattern| discover::covers(Path::new(pattern), path))
    }

    /// An archive beside a log that is followed. Its lines were read when they were plain, unless nobody knows its
    /// beginning: then it was rotated and packed between two looks.
    fn class_of_archive(&mut self, found: &Listed, first: bool, now: Instant) -> io::Result<Class> {
        let Some(head) = packed_head(&found.path)? else {
            return Ok(Class::Later);
        };
        let header = Print::of(&head);
        let Some(home) = found.home.as_ref().filter(|_| !first) else {
            return Ok(Class::Pass(header));
        };
        if head.is_empty() {
            return Ok(Class::Later);
        }
        if let Some(class) =
            self.class_of_copy(home, &head, |known| kinship_of_archive(known, &head))?
        {
            return Ok(class);
        }
        let unnamed = self.files.iter().filter(|file| file.unpacked).count();
        if unnamed >= UNPACKED_MAX {
            return Ok(Class::Later);
        }
        let file = self.unpacked(&found.path)?;
        let mut tracked = self.begun(file, home, &found.path, now)?;
        tracked.detached = Some(now);
        tracked.unpacked = true;
        Ok(Class::Follow(Box::new(tracked)))
    }

    /// Whether a file that begins with `head` holds what another one held.
    fn class_of_copy(
        &self,
        home: &Path,
        head: &[u8],
        kinship: impl Fn(&Tracked) -> io::Result<Kinship>,
    ) -> io::Result<Option<Class>> {
        let same_log = |known: &&Tracked| known.position.home() == home;
        for known in self.files.iter().filter(same_log) {
            match kinship(known)? {
                Kinship::None => {}
                Kinship::Read => return Ok(Some(Class::Pass(Print::of(head)))),
                // It is read from the original, or from here when the original is cut.
                Kinship::Unread => return Ok(Some(Class::Later)),
            }
        }
        Ok(self
            .known
            .begins(head)
            .then(|| Class::Pass(Print::of(head))))
    }

    fn begun(&mut self, file: File, home: &Path, path: &Path, now: Instant) -> io::Result<Tracked> {
        let generation = Generation::of(&file)?;
        let position = Position::new(self.take_id(), home, path, generation);
        Ok(Tracked::new(file, position, now))
    }
}
