//! Time and memory of a program, as Linux counts them.
//!
//! In: a command. Out: [`Cost`].
//! Does not know: what it runs.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Linux counts a process's time in hundredths, whatever the kernel's own clock: `USER_HZ`, proc(5).
const TICKS_PER_S: f64 = 100.0;

/// What a run took: time of user and system, time of the clock, memory at most.
pub(crate) struct Cost {
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    pub(crate) peak_kb: u64,
}

/// Runs a program to its end; `None` when it is not installed. Its peak memory is what was seen of it last, a few
/// milliseconds before the end.
pub(crate) fn run(command: &mut Command) -> io::Result<Option<Cost>> {
    run_fed(command.stdin(Stdio::null()), |_| Ok(()))
}

/// The same of three runs, the one that took least: whatever else goes on meanwhile makes a run slower and never quicker.
pub(crate) fn quickest(command: &mut Command) -> io::Result<Option<Cost>> {
    let mut best: Option<Cost> = None;
    for _ in 0..3 {
        let Some(cost) = run(command)? else {
            return Ok(None);
        };
        if best.as_ref().is_none_or(|best| cost.wall_s < best.wall_s) {
            best = Some(cost);
        }
    }
    Ok(best)
}

/// The same for a program that reads what `feed` writes.
pub(crate) fn run_fed(
    command: &mut Command,
    feed: impl FnOnce(Option<ChildStdin>) -> io::Result<()> + Send,
) -> io::Result<Option<Cost>> {
    let (before, begun) = (own_times()?.children_s, Instant::now());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let stdin = child.stdin.take();
    let peak_kb = thread::scope(|scope| {
        let feeding = scope.spawn(|| feed(stdin));
        let mut peak_kb = 0;
        while child.try_wait()?.is_none() {
            peak_kb = peak_kb.max(peak_of(&child.id().to_string()));
            thread::sleep(Duration::from_millis(5));
        }
        feeding.join().expect("who feeds does not panic")?;
        io::Result::Ok(peak_kb)
    })?;
    Ok(Some(Cost {
        cpu_s: own_times()?.children_s - before,
        wall_s: begun.elapsed().as_secs_f64(),
        peak_kb,
    }))
}

/// Parses every line into a `Value` and does nothing with it, in this process.
pub(crate) fn values(log: &Path) -> io::Result<Cost> {
    let (before, begun) = (own_times()?.own_s, Instant::now());
    let mut reader = BufReader::with_capacity(1 << 18, File::open(log)?);
    let mut line = Vec::new();
    let mut objects = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        let value: serde_json::Value = serde_json::from_slice(&line)?;
        objects += usize::from(value.is_object());
        line.clear();
    }
    assert!(objects > 0, "the log holds objects");
    let cpu_s = own_times()?.own_s - before;
    Ok(Cost {
        cpu_s,
        wall_s: begun.elapsed().as_secs_f64(),
        peak_kb: peak_of("self"),
    })
}

struct Times {
    own_s: f64,
    children_s: f64,
}

/// User and system time of this process, and of its children that ended: fields 14 to 17 of proc(5), `stat`.
fn own_times() -> io::Result<Times> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|f| f.parse().unwrap_or(0.0))
        .collect();
    let seconds = |range: std::ops::Range<usize>| fields[range].iter().sum::<f64>() / TICKS_PER_S;
    Ok(Times {
        own_s: seconds(0..2),
        children_s: seconds(2..4),
    })
}

/// Most memory that a process held; 0 when it is gone.
fn peak_of(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
