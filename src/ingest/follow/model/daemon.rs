//! The daemon of a life: it starts, reads, answers, takes snapshots, and loses its power.
//!
//! In: a [`Life`]. Out: what the engine was fed and what the store holds.
//! Does not know: why the files are as they are.

use super::*;

impl Life {
    pub(super) fn start(&mut self) {
        let patterns = self.patterns.iter().map(|name| self.path(name).into());
        let opened = Follower::open(&self.state(), patterns.collect(), Vec::new(), self.now);
        let (follower, left) = opened.unwrap();
        self.gaps.extend(left.gaps);
        let memory = left
            .memory
            .map(|bytes| postcard::from_bytes(&bytes).unwrap());
        let mut daemon = Daemon {
            follower,
            memory: memory.unwrap_or_default(),
            findings: Vec::new(),
        };
        for record in left.records {
            let Fed::Lines(extent) = record else { continue };
            match daemon.follower.reread(&extent) {
                Ok(chunk) => daemon.feed(&chunk),
                Err(gap) => self.gaps.extend(gap),
            }
        }
        self.daemon = Some(daemon);
        self.looked.clear();
        self.answer();
        self.snapshot();
    }

    pub(super) fn poll(&mut self, answered: bool) {
        self.now += Duration::from_secs(3 + self.dice.roll(40));
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        loop {
            let polled = daemon.follower.poll(self.now, 64 << 10);
            polled
                .batches
                .iter()
                .for_each(|batch| daemon.feed(&batch.chunk));
            self.gaps.extend(polled.gaps);
            if !polled.more {
                break;
            }
        }
        // What holds no line under a rotated name is not kept open: it may be a copy that is being made.
        for (name, content) in &self.names {
            let judged = LOGS.contains(&name.as_str()) || !self.lines[*content].is_empty();
            match judged {
                true => self.looked.insert(*content),
                false => self.looked.remove(content),
            };
        }
        if answered {
            self.answer();
            self.unlinked.clear();
        }
    }

    pub(super) fn answer(&mut self) {
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        assert!(
            daemon.follower.sync(self.now),
            "{:?}",
            daemon.follower.trouble()
        );
        for (line, offset) in daemon.findings.drain(..) {
            let stored = *self.stored.entry(line).or_insert(offset);
            assert_eq!(stored, offset, "line {line} has two ids");
        }
        self.synced_bytes = self.journal_bytes();
    }

    pub(super) fn journal(&self) -> PathBuf {
        let epoch = self
            .daemon
            .as_ref()
            .map_or(0, |daemon| daemon.follower.epoch);
        self.state().join(format!("journal-{epoch}"))
    }

    pub(super) fn journal_bytes(&self) -> u64 {
        fs::metadata(self.journal()).map_or(0, |metadata| metadata.len())
    }

    pub(super) fn snapshot(&mut self) {
        let now = self.now;
        if let Some(daemon) = &mut self.daemon {
            let memory = postcard::to_stdvec(&daemon.memory).unwrap();
            assert!(
                daemon.follower.snapshot(memory, now),
                "{:?}",
                daemon.follower.trouble()
            );
        }
        self.synced_bytes = self.journal_bytes();
    }

    /// The power fails: of what was not synced any part may be on the disk.
    pub(super) fn crash(&mut self) {
        let (journal, bytes) = (self.journal(), self.journal_bytes());
        if self.daemon.take().is_some() && bytes > self.synced_bytes {
            let kept = self.synced_bytes + self.dice.roll(bytes - self.synced_bytes + 1);
            let file = OpenOptions::new().write(true).open(journal).unwrap();
            file.set_len(kept).unwrap();
        }
        for content in std::mem::take(&mut self.unlinked) {
            self.destroy(content);
        }
        self.looked.clear();
    }
}

impl Daemon {
    fn feed(&mut self, chunk: &Chunk) {
        for line in chunk.lines() {
            let number = line
                .text
                .strip_prefix("line ")
                .and_then(|rest| rest.strip_suffix('.'));
            let Some(number) = number.filter(|number| number.len() == 6) else {
                continue;
            };
            let number = number.parse().unwrap();
            *self.memory.entry(number).or_default() += 1;
            self.findings.push((number, line.offset_bytes));
        }
    }
}
