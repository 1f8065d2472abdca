//! Two thousand random lives of a log against a model that knows where every line is.
//!
//! A life is a schedule of writes, partial writes, rotations by rename and by copy, truncation, deletion, compression,
//! late writers, crashes at any byte of the journal, and restarts. The engine is a list of lines, its finding is every
//! line; its memory goes through real snapshots and its order through a real journal.
//!
//! Held in the end: every line of which a copy was there to be read has its finding, no line was fed twice into one memory,
//! and what is missing was destroyed unread, with a gap to say so where the file had been followed.
//! `TOKENTRIP_SEED=n cargo test --lib t60_model` runs one life and tells it.

use super::*;
use flate2::{Compression, write::GzEncoder};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::time::SystemTime;

const LIVES: u64 = 2000;
const STEPS: usize = 40;
/// Rotated files that are kept.
const KEPT: usize = 4;

type Content = usize;
type LineNumber = u32;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What the disk holds, and what became of every line.
struct Life {
    seed: u64,
    dice: Dice,
    folder: tempfile::TempDir,
    pattern: &'static str,
    now: Instant,
    clock: SystemTime,
    written: LineNumber,
    /// A line whose end is not written yet, in the log.
    partial: Option<(LineNumber, usize)>,
    names: BTreeMap<String, Content>,
    lines: Vec<BTreeSet<LineNumber>>,
    /// Of a copy the content that it is of.
    copies: BTreeMap<Content, Content>,
    /// Contents that a server may still have open after a rename; those that end in a torn line.
    renamed: BTreeSet<Content>,
    torn: BTreeSet<Content>,
    /// Contents that only the daemon's descriptor keeps.
    unlinked: BTreeSet<Content>,
    /// Contents that the daemon has open or has read since its start.
    looked: BTreeSet<Content>,
    /// Lines of contents that are gone, unless they were found before.
    destroyed: BTreeMap<LineNumber, Content>,
    daemon: Option<Daemon>,
    stored: BTreeMap<LineNumber, u64>,
    gaps: Vec<Gap>,
    synced_bytes: u64,
    story: Vec<String>,
}

struct Daemon {
    follower: Follower,
    /// The engine: every line that it was fed, and how often.
    memory: BTreeMap<LineNumber, u32>,
    findings: Vec<(LineNumber, u64)>,
}

impl Life {
    fn new(seed: u64) -> Self {
        // Everything is synced very often: a memory file system where there is one.
        let shared = Path::new("/dev/shm");
        let folder = if shared.is_dir() {
            tempfile::tempdir_in(shared).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        fs::create_dir(folder.path().join("state")).unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed) | 1);
        let pattern = ["access.log", "access.log*"][dice.roll(2) as usize];
        let mut life = Self {
            seed,
            dice,
            folder,
            pattern,
            now: Instant::now(),
            clock: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            written: 0,
            partial: None,
            names: BTreeMap::new(),
            lines: Vec::new(),
            copies: BTreeMap::new(),
            renamed: BTreeSet::new(),
            torn: BTreeSet::new(),
            unlinked: BTreeSet::new(),
            looked: BTreeSet::new(),
            destroyed: BTreeMap::new(),
            daemon: None,
            stored: BTreeMap::new(),
            gaps: Vec::new(),
            synced_bytes: 0,
            story: Vec::new(),
        };
        life.create("access.log");
        life.start();
        life
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    /// Gives a file the next time of a clock of its own: a test is faster than the ticks of a file system's clock.
    fn touch(&mut self, name: &str) {
        self.clock += Duration::from_secs(1);
        let file = OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.set_modified(self.clock).unwrap();
    }

    fn create(&mut self, name: &str) {
        File::create(self.path(name)).unwrap();
        self.touch(name);
        self.names.insert(name.to_owned(), self.lines.len());
        self.lines.push(BTreeSet::new());
    }

    fn append(&mut self, name: &str, text: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.touch(name);
    }

    fn write_line(&mut self, name: &str) {
        // The rest of a line whose beginning stands there, or a whole one.
        let begun = if name == "access.log" {
            self.partial.take()
        } else {
            None
        };
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

    fn write_partial(&mut self) {
        if self.partial.is_none() {
            let number = self.next_number();
            let line = line_of(number);
            let cut = 1 + self.dice.roll(line.len() as u64 - 3) as usize;
            self.append("access.log", &line[..cut]);
            self.partial = Some((number, cut));
        }
    }

    /// The log goes on in another file: what was begun stays torn, and counts as no line.
    fn tear(&mut self) {
        if self.partial.take().is_some() {
            self.torn.insert(self.names["access.log"]);
        }
    }

    fn next_number(&mut self) -> LineNumber {
        self.written += 1;
        self.written - 1
    }

    /// Nothing keeps this content any more but, perhaps, the daemon.
    fn unlink(&mut self, content: Content, readable: bool) {
        if self.names.values().any(|other| *other == content) {
            return;
        }
        if readable && self.daemon.is_some() && self.looked.contains(&content) {
            self.unlinked.insert(content);
        } else {
            self.destroy(content);
        }
    }

    fn destroy(&mut self, content: Content) {
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

    fn remove(&mut self, name: &str) {
        if let Some(content) = self.names.remove(name) {
            fs::remove_file(self.path(name)).unwrap();
            self.unlink(content, true);
        }
    }

    /// Makes room for `access.log.1`, as logrotate does.
    fn shift(&mut self) {
        for packed in ["", ".gz"] {
            self.remove(&format!("access.log.{KEPT}{packed}"));
            for number in (1..KEPT).rev() {
                let (from, to) = (number, number + 1);
                let from = format!("access.log.{from}{packed}");
                if let Some(content) = self.names.remove(&from) {
                    let to = format!("access.log.{to}{packed}");
                    fs::rename(self.path(&from), self.path(&to)).unwrap();
                    self.names.insert(to, content);
                }
            }
        }
    }

    fn rotate(&mut self) {
        self.shift();
        self.tear();
        if let Some(content) = self.names.remove("access.log") {
            fs::rename(self.path("access.log"), self.path("access.log.1")).unwrap();
            self.names.insert("access.log.1".to_owned(), content);
            self.renamed.insert(content);
        }
        self.create("access.log");
    }

    /// Copies, onto a new name or over an archive that is there, and truncates.
    fn copytruncate(&mut self, over: bool) {
        if !over {
            self.shift();
        }
        self.tear();
        let copied = self.lines[self.names["access.log"]].clone();
        let copy = fs::read(self.path("access.log")).unwrap();
        // As `cp` does: an archive that is there keeps its inode.
        fs::write(self.path("access.log.1"), copy).unwrap();
        self.touch("access.log.1");
        self.copies
            .insert(self.lines.len(), self.names["access.log"]);
        self.lines.push(copied);
        let before = self
            .names
            .insert("access.log.1".to_owned(), self.lines.len() - 1);
        if let Some(before) = before {
            self.unlink(before, false);
        }
        self.truncate();
    }

    fn truncate(&mut self) {
        self.tear();
        let file = OpenOptions::new()
            .write(true)
            .open(self.path("access.log"))
            .unwrap();
        file.set_len(0).unwrap();
        self.touch("access.log");
        self.lines.push(BTreeSet::new());
        let before = self
            .names
            .insert("access.log".to_owned(), self.lines.len() - 1);
        if let Some(before) = before {
            self.unlink(before, false);
        }
    }

    fn recreate(&mut self) {
        self.tear();
        self.remove("access.log");
        self.create("access.log");
    }

    fn compress(&mut self, number: usize) {
        let plain = format!("access.log.{number}");
        let packed = format!("{plain}.gz");
        let Some(content) = self.names.get(&plain).copied() else {
            return;
        };
        if self.names.contains_key(&packed) {
            return;
        }
        let bytes = fs::read(self.path(&plain)).unwrap();
        let modified = fs::metadata(self.path(&plain)).unwrap().modified().unwrap();
        let mut encoder = GzEncoder::new(
            File::create(self.path(&packed)).unwrap(),
            Compression::fast(),
        );
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap().set_modified(modified).unwrap();
        self.names.insert(packed, content);
        self.remove(&plain);
    }

    fn start(&mut self) {
        let pattern = self.path(self.pattern).into();
        let opened = Follower::open(&self.state(), vec![pattern], StartAt::Beginning, self.now);
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

    fn poll(&mut self, answered: bool) {
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
            let judged = name == "access.log" || !self.lines[*content].is_empty();
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

    fn answer(&mut self) {
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

    fn journal(&self) -> PathBuf {
        let epoch = self
            .daemon
            .as_ref()
            .map_or(0, |daemon| daemon.follower.epoch);
        self.state().join(format!("journal-{epoch}"))
    }

    fn journal_bytes(&self) -> u64 {
        fs::metadata(self.journal()).map_or(0, |metadata| metadata.len())
    }

    fn snapshot(&mut self) {
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
    fn crash(&mut self) {
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

    fn step(&mut self) {
        let dice = self.dice.roll(22);
        let name = match dice {
            0..=15 => self.disturb(dice),
            16 => {
                self.crash();
                "crash"
            }
            17 => {
                self.poll(false);
                self.crash();
                "read and crash"
            }
            18 if self.daemon.is_some() => {
                self.snapshot();
                "snapshot"
            }
            _ => self.work(),
        };
        let told = format!(
            "{name}: {:?}, {} stored, {} gaps",
            self.names,
            self.stored.len(),
            self.gaps.len()
        );
        self.tell(told);
        self.fed_once();
    }

    fn work(&mut self) -> &'static str {
        if self.daemon.is_none() {
            self.start();
            return "start";
        }
        self.poll(true);
        "read"
    }

    /// What others do to the files.
    fn disturb(&mut self, dice: u64) -> &'static str {
        let renamed = |name: &Content| self.renamed.contains(name);
        let late = self.names.get("access.log.1").is_some_and(renamed);
        match dice {
            0..=5 => {
                let count = 1 + self.dice.roll(4);
                (0..count).for_each(|_| self.write_line("access.log"));
                "write"
            }
            6 => {
                self.write_partial();
                "write a part"
            }
            7 | 8 => {
                self.rotate();
                "rotate"
            }
            9 | 10 => {
                self.copytruncate(dice == 10);
                ["copy and truncate", "copy over an archive and truncate"][dice as usize - 9]
            }
            11 | 12 => {
                self.compress(dice as usize - 10);
                ["compress .1", "compress .2"][dice as usize - 11]
            }
            13 if self.dice.roll(3) == 0 => {
                self.truncate();
                "truncate"
            }
            14 if self.dice.roll(3) == 0 => {
                self.recreate();
                "delete and recreate"
            }
            15 if late => {
                if self.torn.remove(&self.names["access.log.1"]) {
                    self.append("access.log.1", "\n");
                }
                self.write_line("access.log.1");
                "write to the renamed file"
            }
            _ => self.work(),
        }
    }

    fn fed_once(&self) {
        let twice = |daemon: &Daemon| {
            daemon
                .memory
                .iter()
                .find(|(_, times)| **times > 1)
                .map(|(line, _)| *line)
        };
        let twice = self.daemon.as_ref().and_then(twice);
        assert_eq!(
            twice,
            None,
            "fed twice, seed {}:\n{}",
            self.seed,
            self.story.join("\n")
        );
    }

    fn end(mut self) -> (usize, usize) {
        self.crash();
        self.start();
        self.poll(true);
        self.poll(true);
        self.fed_once();
        let all = self.lines.iter().flatten().copied();
        let missing: BTreeSet<_> = all.filter(|line| !self.stored.contains_key(line)).collect();
        let story = self.story.join("\n");
        let unexplained: Vec<_> = missing
            .iter()
            .filter(|line| !self.destroyed.contains_key(line))
            .collect();
        assert!(
            unexplained.is_empty(),
            "lost {unexplained:?}, seed {}:\n{story}",
            self.seed
        );
        let followed = |content: &Content| {
            self.lines[*content]
                .iter()
                .any(|line| self.stored.contains_key(line))
        };
        let original = |line| {
            self.copies
                .get(&self.destroyed[line])
                .unwrap_or(&self.destroyed[line])
        };
        let contents: BTreeSet<_> = missing.iter().map(original).collect();
        let told = contents
            .into_iter()
            .filter(|content| followed(content))
            .count();
        assert!(
            self.gaps.len() >= told,
            "a loss is not told {missing:?} of {:?}, seed {}:\n{story}",
            self.destroyed,
            self.seed
        );
        (self.stored.len(), missing.len())
    }
}

fn line_of(number: LineNumber) -> String {
    format!("line {number:06}.\n")
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

fn live(seed: u64) -> (usize, usize) {
    let mut life = Life::new(seed);
    (0..STEPS).for_each(|_| life.step());
    life.end()
}

#[test]
fn t60_model_every_line_of_two_thousand_random_lives_is_found_once_or_is_a_told_gap() {
    let asked = std::env::var("TOKENTRIP_SEED")
        .ok()
        .and_then(|seed| seed.parse::<u64>().ok());
    let seeds: Vec<u64> = asked.map_or_else(|| (1..=LIVES).collect(), |seed| vec![seed]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let lives = |part: usize| {
        let seeds = seeds.iter().skip(part).step_by(threads);
        seeds
            .map(|seed| (*seed, std::panic::catch_unwind(|| live(*seed)).ok()))
            .collect::<Vec<_>>()
    };
    let ended: BTreeMap<u64, Option<(usize, usize)>> = std::thread::scope(|scope| {
        let lives = &lives;
        let running: Vec<_> = (0..threads)
            .map(|part| scope.spawn(move || lives(part)))
            .collect();
        running
            .into_iter()
            .flat_map(|lives| lives.join().unwrap())
            .collect()
    });
    let failed: Vec<_> = ended
        .iter()
        .filter(|(_, life)| life.is_none())
        .map(|(seed, _)| *seed)
        .collect();
    let (found, lost) = ended
        .values()
        .flatten()
        .fold((0, 0), |sum, life| (sum.0 + life.0, sum.1 + life.1));
    eprintln!(
        "{} lives: {found} lines found once, {lost} destroyed unread",
        ended.len()
    );
    assert!(failed.is_empty(), "again with TOKENTRIP_SEED=n: {failed:?}");
}
