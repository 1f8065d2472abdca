//! The reference work: one log, every line judged by every rule, beside what else could be done with it.
//!
//! `cargo bench --bench reference` prints one table: lines a second of CPU time (user and system) and peak memory.
//! `TOKENTRIP_BENCH_LINES` says how many lines (1,000,000). Programs that are not installed are left out.

mod traffic;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use traffic::Traffic;

/// Linux counts a process's time in hundredths, whatever the kernel's own clock: `USER_HZ`, proc(5).
const TICKS_PER_S: f64 = 100.0;

/// Address and token are the 8th and the 44th piece between quotes.
const LAST_ADDRESS_PER_TOKEN: &str = r#"{ last[$44] = $8 } END { print length(last) }"#;

fn main() -> io::Result<()> {
    let lines = std::env::var("TOKENTRIP_BENCH_LINES").ok();
    let lines: usize = lines
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let log = written(lines)?;
    let bytes = fs::metadata(&log)?.len();
    let mut out = io::stdout().lock();
    writeln!(out, "{lines} lines, {} bytes each\n", bytes / lines as u64)?;
    writeln!(
        out,
        "{:<28} {:>13} {:>8} {:>9}",
        "", "lines/CPU s", "CPU s", "peak MB"
    )?;
    let mut row = |name: &str, cost: Cost| {
        let speed = lines as f64 / cost.cpu_s.max(0.01);
        let memory = cost.peak_kb as f64 / 1024.0;
        writeln!(
            out,
            "{name:<28} {speed:>13.0} {:>8.2} {memory:>9.1}",
            cost.cpu_s
        )
    };
    let tokentrip = env!("CARGO_BIN_EXE_tokentrip");
    for jobs in ["1", "2"] {
        let mut scan = Command::new(tokentrip);
        scan.args(["scan", "--output", "ndjson", "--jobs", jobs])
            .arg(&log);
        row(&format!("tokentrip scan --jobs {jobs}"), child(&mut scan)?)?;
    }
    row("serde_json::Value", values(&log)?)?;
    let others: [(&str, &[&str]); 4] = [
        ("mawk", &["-F\"", LAST_ADDRESS_PER_TOKEN]),
        ("rg", &["-c", "203\\.0\\.113\\.66"]),
        ("wc", &["-l"]),
        ("pigz", &["-1", "-k", "-f"]),
    ];
    for (program, arguments) in others {
        match child(Command::new(program).args(arguments).arg(&log)) {
            Ok(cost) => row(&format!("{program} {}", arguments[0]), cost)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let packed = log.with_extension("log.gz");
    if packed.exists() {
        row(
            "pigz -dc",
            child(Command::new("pigz").arg("-dc").arg(&packed))?,
        )?;
        let mut scan = Command::new(tokentrip);
        scan.args(["scan", "--output", "ndjson", "--jobs", "2"])
            .arg(&packed);
        row("tokentrip scan, gzip", child(&mut scan)?)?;
    }
    Ok(())
}

/// The log in the build folder, made when it is not there.
fn written(lines: usize) -> io::Result<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("reference-{lines}.log"));
    if path.exists() {
        return Ok(path);
    }
    let part = path.with_extension("part");
    let mut file = BufWriter::new(File::create(&part)?);
    let (mut traffic, mut line) = (Traffic::new(lines), String::new());
    while traffic.write_line(&mut line) {
        file.write_all(line.as_bytes())?;
        line.clear();
    }
    file.into_inner()?.sync_all()?;
    fs::rename(&part, &path)?;
    Ok(path)
}

struct Cost {
    cpu_s: f64,
    peak_kb: u64,
}

/// Runs a program to its end. Its peak memory is what was seen of it last, a few milliseconds before the end.
fn child(command: &mut Command) -> io::Result<Cost> {
    let before = own_times()?.children_s;
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak_kb = 0;
    while child.try_wait()?.is_none() {
        peak_kb = peak_kb.max(peak_of(&child.id().to_string()));
        thread::sleep(Duration::from_millis(5));
    }
    let cpu_s = own_times()?.children_s - before;
    Ok(Cost { cpu_s, peak_kb })
}

/// Parses every line into a `Value` and does nothing with it, in this process.
fn values(log: &Path) -> io::Result<Cost> {
    let before = own_times()?.own_s;
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
