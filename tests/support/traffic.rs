//! A gateway that writes thousands of lines a second for a hundredth of a core, with thefts among them.
//!
//! In: files, a rate, an end. Out: the files grown, what was stolen and when its last line was written.
//! Does not know: anything of the crate. Lines are made once; their time and their request's id are written over.

use super::logs::{BROWSER, OTHER_BROWSER, claims, line};
use super::mint::mint;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between writes: what a gateway's buffer holds for at this rate.
const TICK: Duration = Duration::from_millis(10);

/// People who only work.
const PEOPLE: usize = 400;

/// A line that is complete but for when it happened.
struct Template {
    bytes: Vec<u8>,
    time_at: usize,
    id_at: usize,
}

impl Template {
    fn new(client: &str, agent: &str, path: &str, token: &str) -> Self {
        let text = line(1_000_000_000, client, agent, path, token);
        let behind = |name: &str| text.find(name).unwrap() + name.len();
        Self {
            time_at: behind("\"msec\":\""),
            id_at: behind("\"request_id\":\""),
            bytes: text.into_bytes(),
        }
    }

    fn write(&self, out: &mut Vec<u8>, time: Duration, serial: u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let (seconds, ms) = (time.as_secs(), u64::from(time.subsec_millis()));
        digits(&mut out[start + self.time_at..][..10], seconds);
        digits(&mut out[start + self.time_at + 11..][..3], ms);
        digits(&mut out[start + self.id_at..][..20], serial);
    }
}

fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// What one run is to be.
pub(crate) struct Plan {
    /// Lines a second, in all files together.
    pub(crate) lines_per_s: usize,
    /// Thefts a second.
    pub(crate) thefts_per_s: usize,
    /// How long.
    pub(crate) length: Duration,
}

/// One theft: whose token, and when the thief's last line had been written.
#[derive(Clone, Debug)]
pub(crate) struct Theft {
    /// Whose token.
    pub(crate) subject: String,
    /// The thief's address.
    pub(crate) thief: String,
    /// Just before the write of the thief's first line.
    pub(crate) written: SystemTime,
}

/// What a run gave.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Lines in all files.
    pub(crate) lines: u64,
    /// Bytes in all files.
    pub(crate) bytes: u64,
    /// All thefts, in their order.
    pub(crate) thefts: Vec<Theft>,
    /// What the thread took of a core.
    pub(crate) core_share: f64,
}

/// A log that somebody rotates while it is written.
struct Log {
    path: PathBuf,
    file: File,
    looked: Instant,
}

impl Log {
    fn open(path: &Path) -> Self {
        let file = File::options().append(true).create(true).open(path);
        Self {
            path: path.to_owned(),
            file: file.unwrap(),
            looked: Instant::now(),
        }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}.{ending}", self.path.display()).replace("/logs/", "/flags/"))
    }

    /// Does what the rotation asks of a server: opens its log again (`reopen`), or writes nothing while it is copied
    /// and cut (`hold`), which no writer of the real world does and without which lines are destroyed unread. False
    /// while nothing is to be written.
    fn may_write(&mut self) -> bool {
        if self.looked.elapsed() >= TICK {
            self.looked = Instant::now();
            let reopen = self.beside("reopen");
            if reopen.exists() {
                *self = Self::open(&self.path);
                fs::remove_file(reopen).unwrap();
            }
            let named = fs::metadata(&self.path).map(|named| named.ino());
            if named.is_ok_and(|named| named != self.file.metadata().unwrap().ino()) {
                *self = Self::open(&self.path);
            }
        }
        let hold = self.beside("hold").exists();
        if hold {
            // From here on nothing is written until the flag is gone.
            let held = self.beside("held");
            if !held.exists() {
                File::create(held).unwrap();
            }
        }
        !hold
    }
}

/// Writes to these files until the plan's end. A subject's lines stand in one file, the thief's a second behind its
/// holder's.
pub(crate) fn write(files: &[PathBuf], plan: &Plan) -> Written {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let issued_s = now().as_secs() as i64 - 600;
    let people: Vec<Template> = (0..PEOPLE)
        .map(|nth| {
            let address = format!("85.241.{}.{}", nth / 250, nth % 250 + 1);
            let token = mint(&claims(&format!("person-{nth}"), issued_s), "ed25519");
            Template::new(&address, BROWSER, "/api/orders", &token)
        })
        .collect();
    let mut logs: Vec<Log> = files.iter().map(|path| Log::open(path)).collect();
    let mut due: Vec<Vec<u8>> = vec![Vec::new(); logs.len()];
    let mut thieves: Vec<(Instant, usize, Template, Theft)> = Vec::new();
    let mut written = Written::default();
    let (begun, cpu) = (Instant::now(), cpu_of_this_thread());
    let (mut lines, mut thefts) = (0_usize, 0_usize);
    while begun.elapsed() < plan.length {
        let elapsed = begun.elapsed().as_secs_f64();
        let time = now();
        let wanted = (elapsed * plan.lines_per_s as f64) as usize;
        while lines < wanted {
            let log = lines % logs.len();
            people[lines % people.len()].write(&mut due[log], time, lines as u64);
            lines += 1;
        }
        let last = plan.length.as_secs_f64() - 3.0;
        while (thefts as f64) < elapsed.min(last) * plan.thefts_per_s as f64 {
            let (log, theft, holder, thief) = steal(thefts, logs.len(), issued_s);
            holder.write(&mut due[log], time, (1 << 40) + thefts as u64);
            holder.write(&mut due[log], time, (2 << 40) + thefts as u64);
            thieves.push((Instant::now() + Duration::from_secs(1), log, thief, theft));
            thefts += 1;
            lines += 2;
        }
        while let Some((_, log, thief, mut theft)) = thieves
            .first()
            .is_some_and(|(at, ..)| *at <= Instant::now())
            .then(|| thieves.remove(0))
        {
            thief.write(&mut due[log], time, (3 << 40) + written.thefts.len() as u64);
            theft.written = SystemTime::now();
            written.thefts.push(theft);
            lines += 1;
        }
        for (log, due) in logs.iter_mut().zip(&mut due) {
            if !due.is_empty() && log.may_write() {
                log.file.write_all(due).unwrap();
                written.bytes += due.len() as u64;
                due.clear();
            }
        }
        std::thread::sleep(TICK);
    }
    for (log, due) in logs.iter_mut().zip(&due) {
        while !log.may_write() {
            std::thread::sleep(TICK);
        }
        log.file.write_all(due).unwrap();
        written.bytes += due.len() as u64;
    }
    written.lines = lines as u64;
    written.core_share = (cpu_of_this_thread() - cpu) / begun.elapsed().as_secs_f64();
    written
}

fn steal(nth: usize, logs: usize, issued_s: i64) -> (usize, Theft, Template, Template) {
    let subject = format!("stolen-{nth}");
    let token = mint(&claims(&subject, issued_s), "ed25519");
    // A telephone company in Portugal and one in Japan; nobody shares an address or a network's prefix.
    let holder = format!("85.240.{}.{}", nth / 250 % 256, nth % 250 + 1);
    let thief = format!("126.{}.{}.7", nth % 250, nth / 250 % 250);
    let of_holder = Template::new(&holder, BROWSER, "/api/orders", &token);
    let of_thief = Template::new(&thief, OTHER_BROWSER, "/api/export", &token);
    let theft = Theft {
        subject,
        thief,
        written: SystemTime::now(),
    };
    (nth % logs, theft, of_holder, of_thief)
}

/// Seconds of processor time that this thread has used (proc_pid_stat(5): fields 14 and 15, in hundredths).
fn cpu_of_this_thread() -> f64 {
    cpu_of(Path::new("/proc/thread-self/stat"))
}

/// Seconds of processor time in a `stat` file of `/proc`.
pub(crate) fn cpu_of(stat: &Path) -> f64 {
    let stat = fs::read_to_string(stat).unwrap();
    let behind_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// Megabytes of memory that a process holds.
pub(crate) fn rss_mb(pid: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let row = status.lines().find(|row| row.starts_with("VmRSS:"))?;
    let kb: f64 = row.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb / 1024.0)
}
