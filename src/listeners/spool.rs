//! The spool: what a listener received, in files that are followed like any other log.
//!
//! In: messages. Out: `<name>.log` in the state folder and, older, `<name>.log.1` …; a message a line.
//! Does not know: who sent them. A restart, a replay and a breach report read the spool as they read logs, so what was
//! received is journalled like other lines.
//!
//! Room is bounded twice: what waits to be written, and what is kept on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// How long one file is written: what is kept is kept for [`FILES_MAX`] of these at most.
const FILE_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Files kept, the one that is written included: a quarter of a gigabyte, or a week.
const FILES_MAX: u32 = 8;

/// Between looks whether the file is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a line feed inside a message becomes, as rsyslog writes control characters.
const LINE_FEED: &[u8] = b"#012";

/// The files of one listener.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    file: File,
    bytes: u64,
    begun: Instant,
    looked: Instant,
}

impl Spool {
    /// Goes on writing to `path`, behind what is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let mut file = open_file(path)?;
        let mut bytes = file.metadata()?.len();
        // A line that a crash tore must not run into the next.
        if bytes > 0 && !ends_line(path)? {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
            begun: Instant::now(),
            looked: Instant::now(),
        })
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            if self.is_gone() {
                *self = Self::open(&self.path)?;
            }
        }
        if self.bytes >= FILE_BYTES_MAX || (self.bytes > 0 && self.begun.elapsed() >= FILE_AGE_MAX)
        {
            self.turn()?;
        }
        if let Err(error) = self.file.write_all(lines) {
            // Half a line would swallow the beginning of the next one.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// True when somebody took the file away: what is written to it would be lost.
    fn is_gone(&self) -> bool {
        let there = fs::metadata(&self.path).map(|metadata| metadata.ino());
        there.ok() != self.file.metadata().map(|metadata| metadata.ino()).ok()
    }

    /// Waits until everything written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Renames the file and begins a new one; the oldest is removed.
    fn turn(&mut self) -> io::Result<()> {
        self.sync()?;
        let older = |nth: u32| PathBuf::from(format!("{}.{nth}", self.path.display()));
        for nth in (1..FILES_MAX - 1).rev() {
            match fs::rename(older(nth), older(nth + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, older(1))?;
        self.file = open_file(&self.path)?;
        self.bytes = 0;
        self.begun = Instant::now();
        Ok(())
    }
}

/// Adds a message as a line.
pub(super) fn push_line(lines: &mut Vec<u8>, message: &[u8]) {
    let mut parts = message.split(|byte| *byte == b'\n');
    lines.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        lines.extend_from_slice(LINE_FEED);
        lines.extend_from_slice(part);
    }
    lines.push(b'\n');
}

fn open_file(path: &Path) -> io::Result<File> {
    // Messages may hold tokens.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

fn ends_line(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let file = File::open(path)?;
    let mut last = [0];
    file.read_exact_at(&mut last, file.metadata()?.len().saturating_sub(1))?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line_even_behind_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool/udp.log");
        let mut lines = Vec::new();
        push_line(&mut lines, b"<1>a\nb");
        Spool::open(&path).unwrap().write(&lines).unwrap();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"torn")
            .unwrap();
        Spool::open(&path).unwrap().write(b"<2>c\n").unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "<1>a#012b\ntorn\n<2>c\n"
        );
    }

    #[test]
    fn a_spool_that_is_taken_away_is_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool/udp.log");
        let mut spool = Spool::open(&path).unwrap();
        spool.write(b"one\n").unwrap();
        fs::remove_dir_all(folder.path().join("spool")).unwrap();
        spool.looked -= LOOK_EVERY;
        spool.write(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn the_files_of_a_spool_are_bounded_in_number_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tcp.log");
        let mut spool = Spool::open(&path).unwrap();
        let lines = vec![b'\n'; 1 << 20];
        for _ in 0..FILES_MAX + 3 {
            spool.bytes = FILE_BYTES_MAX;
            spool.write(&lines).unwrap();
        }
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, FILES_MAX as usize);
        assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
    }
}
