//! What others do to the files of a life: they write, rotate, copy, cut, delete and compress.
//!
//! In: a [`Life`]. Out: files on the disk, and what the model knows of them.
//! Does not know: the daemon.

use super::*;

impl Life {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(super) fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    /// Gives a file the next time of a clock of its own: a test is faster than the ticks of a file system's clock.
    pub(super) fn touch(&mut self, name: &str) {
        self.clock += Duration::from_secs(1);
        let file = OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.set_modified(self.clock).unwrap();
    }

    pub(super) fn create(&mut self, name: &str) {
        File::create(self.path(name)).unwrap();
        self.touch(name);
        self.names.insert(name.to_owned(), self.lines.len());
        self.lines.push(BTreeSet::new());
    }

    pub(super) fn append(&mut self, name: &str, text: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.touch(name);
    }

    pub(super) fn write_line(&mut self, name: &str) {
        // The rest of a line whose beginning stands there, or a whole one.
        let begun = self.partial.remove(name);
        let (number, rest) = match begun {
            Some((number, begun)) => (number, line_of(number)[begun..].to_owned()),
            None => (self.next_number(), String::new()),
        };
        let rest = if rest.is_empty() {
            line_of(number)
        } else {
            rest
        };
        self.append(name, &rest);
        let content = self.names[name];
        self.lines[content].insert(number);
    }

    pub(super) fn write_partial(&mut self) {
        if !self.partial.contains_key(self.log) {
            let number = self.next_number();
            let line = line_of(number);
            let cut = 1 + self.dice.roll(line.len() as u64 - 3) as usize;
            self.append(self.log, &line[..cut]);
            self.partial.insert(self.log, (number, cut));
        }
    }

    /// The log goes on in another file: what was begun stays torn, and counts as no line.
    pub(super) fn tear(&mut self) {
        if self.partial.remove(self.log).is_some() {
            self.torn.insert(self.names[self.log]);
        }
    }

    pub(super) fn next_number(&mut self) -> LineNumber {
        self.written += 1;
        self.written - 1
    }

    /// Nothing keeps this content any more but, perhaps, the daemon.
    pub(super) fn unlink(&mut self, content: Content, readable: bool) {
        if self.names.values().any(|other| *other == content) {
            return;
        }
        if readable && self.daemon.is_some() && self.looked.contains(&content) {
            self.unlinked.insert(content);
        } else {
            self.destroy(content);
        }
    }

    pub(super) fn destroy(&mut self, content: Content) {
        let kept = |content: Content, line: &LineNumber| self.lines[content].contains(line);
        let elsewhere = |line: &LineNumber| {
            let mut others = self.names.values().chain(&self.unlinked);
            others.any(|other| *other != content && kept(*other, line))
        };
        let gone: Vec<_> = self.lines[content]
            .iter()
            .filter(|line| !elsewhere(line) && !self.stored.contains_key(line))
            .copied()
            .collect();
        self.destroyed
            .extend(gone.into_iter().map(|line| (line, content)));
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(content) = self.names.remove(name) {
            fs::remove_file(self.path(name)).unwrap();
            self.unlink(content, true);
        }
    }

    /// A rotated name of the log.
    pub(super) fn rotated(&self, number: usize) -> String {
        format!("{}.{number}", self.log)
    }

    /// Makes room for the first rotated name, as logrotate does.
    pub(super) fn shift(&mut self) {
        for packed in ["", ".gz", ".zst"] {
            self.remove(&format!("{}{packed}", self.rotated(KEPT)));
            for number in (1..KEPT).rev() {
                let (from, to) = (number, number + 1);
                let from = format!("{}{packed}", self.rotated(from));
                if let Some(content) = self.names.remove(&from) {
                    let to = format!("{}{packed}", self.rotated(to));
                    fs::rename(self.path(&from), self.path(&to)).unwrap();
                    self.names.insert(to, content);
                }
            }
        }
    }

    pub(super) fn rotate(&mut self) {
        self.shift();
        self.tear();
        if let Some(content) = self.names.remove(self.log) {
            fs::rename(self.path(self.log), self.path(&self.rotated(1))).unwrap();
            self.names.insert(self.rotated(1), content);
            self.renamed.insert(content);
        }
        self.create(self.log);
    }

    /// Copies, onto a new name or over an archive that is there, and truncates.
    pub(super) fn copytruncate(&mut self, over: bool) {
        if !over {
            self.shift();
        }
        self.tear();
        let copied = self.lines[self.names[self.log]].clone();
        let copy = fs::read(self.path(self.log)).unwrap();
        // As `cp` does: an archive that is there keeps its inode.
        fs::write(self.path(&self.rotated(1)), copy).unwrap();
        self.touch(&self.rotated(1));
        self.copies.insert(self.lines.len(), self.names[self.log]);
        self.lines.push(copied);
        let before = self.names.insert(self.rotated(1), self.lines.len() - 1);
        if let Some(before) = before {
            // What came late into a file that was read to its end and is then written over, nobody can know of.
            self.untold.extend(self.renamed.get(&before));
            self.unlink(before, false);
        }
        self.truncate();
    }

    pub(super) fn truncate(&mut self) {
        self.tear();
        let file = OpenOptions::new()
            .write(true)
            .open(self.path(self.log))
            .unwrap();
        file.set_len(0).unwrap();
        self.touch(self.log);
        self.lines.push(BTreeSet::new());
        let before = self.names.insert(self.log.to_owned(), self.lines.len() - 1);
        if let Some(before) = before {
            self.unlink(before, false);
        }
    }

    pub(super) fn recreate(&mut self) {
        self.tear();
        self.remove(self.log);
        self.create(self.log);
    }

    pub(super) fn compress(&mut self, number: usize) {
        let plain = self.rotated(number);
        let Some(content) = self.names.get(&plain).copied() else {
            return;
        };
        let taken = |ending| self.names.contains_key(&format!("{plain}{ending}"));
        if taken(".gz") || taken(".zst") {
            return;
        }
        let bytes = fs::read(self.path(&plain)).unwrap();
        let modified = fs::metadata(self.path(&plain)).unwrap().modified().unwrap();
        let zstd = self.dice.roll(2) == 0;
        let packed = format!("{plain}{}", if zstd { ".zst" } else { ".gz" });
        let file = File::create(self.path(&packed)).unwrap();
        let file = if zstd {
            let mut encoder = zstd::Encoder::new(file, 1).unwrap();
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        } else {
            let mut encoder = GzEncoder::new(file, Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        };
        file.set_modified(modified).unwrap();
        self.names.insert(packed, content);
        self.remove(&plain);
    }

    /// The log is removed; who writes to it next makes it anew.
    pub(super) fn delete(&mut self) {
        self.tear();
        self.remove(self.log);
    }
}
