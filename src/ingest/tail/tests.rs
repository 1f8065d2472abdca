//! The scenarios of following, on real files with a clock of their own.

use super::*;
use std::fs::{self, OpenOptions};
use std::io::Write;

mod content;
mod rotation;
mod system;

/// A folder of logs, a tailer on it, and a clock.
struct Bench {
    folder: tempfile::TempDir,
    tailer: Tailer,
    now: Instant,
    lines: Vec<String>,
    gaps: Vec<Gap>,
    faults: Vec<TailFault>,
    positions: Positions,
    extents: Vec<(Extent, Vec<String>)>,
}

fn texts(chunk: &Chunk) -> Vec<String> {
    chunk.lines().map(|line| line.text.to_owned()).collect()
}

impl Bench {
    fn new(pattern: &str, start: StartAt) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tailer = Tailer::new(vec![folder.path().join(pattern).into()], start);
        Self {
            folder,
            tailer,
            now: Instant::now(),
            lines: Vec::new(),
            gaps: Vec::new(),
            faults: Vec::new(),
            positions: Positions::default(),
            extents: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn copytruncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
        let file = OpenOptions::new()
            .write(true)
            .open(self.path(from))
            .unwrap();
        file.set_len(0).unwrap();
    }

    /// Lets so many seconds pass and polls until nothing is left.
    fn poll_after(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        loop {
            let polled = self.tailer.poll(self.now, 1 << 20);
            for position in &polled.opened {
                self.positions.open(position);
            }
            for batch in polled.batches {
                self.positions.advance(&batch.extent);
                self.lines.extend(texts(&batch.chunk));
                self.extents.push((batch.extent, texts(&batch.chunk)));
            }
            self.gaps.extend(polled.gaps);
            self.faults.extend(polled.faults);
            if !polled.more {
                break;
            }
        }
    }

    fn poll(&mut self) {
        self.poll_after(3);
    }

    /// A new process that has only what was written down.
    fn restart(&mut self, positions: Positions) {
        self.tailer = Tailer::new(self.tailer.patterns.clone(), StartAt::End);
        let gaps = self.tailer.resume(positions, self.now);
        self.gaps.extend(gaps);
    }

    #[track_caller]
    fn saw(&mut self, expected: &[&str]) {
        self.poll();
        assert_eq!(self.lines, expected);
        assert_eq!(self.gaps, []);
    }
}
