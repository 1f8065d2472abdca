//! The reference work: one log, every line judged by every rule, beside what else could be done with it.
//!
//! `cargo bench --bench reference` prints one table: lines a second of CPU time (user and system), CPU and wall time, and
//! peak memory, of the same lines as JSON, combined, gzip and zstd, each the quickest of three runs; then the start-up,
//! and, where valgrind is there, the instructions that one more line costs, which repeat on a busy machine too and are
//! held to a bound.
//! `cargo bench --bench reference -- --instructions` counts those alone; it fails beyond the bound, or without valgrind.
//! `cargo bench --bench reference -- --state` tells what the state of a session takes, alone: it writes two logs, of as many
//! sessions as lines are asked for and of a tenth.
//! `cargo bench --bench reference -- --forged` puts as many lines with distinct forged tokens, refused, between signed ones,
//! with the issuer's key configured: from one network, and from 512. It fails when they take longer than other lines would.
//! `cargo bench --bench reference -- --growth` tells what a line costs in logs of as many lines, of ten times and of fifty
//! times as many, which are piped and never stand on a disk; and where there are more tokens. It takes minutes.
//! `TOKENTRIP_BENCH_LINES` says how many lines (1,000,000). Programs that are not installed are named and left out.

#[path = "../../tests/support/mint.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "it is for tests, which use more of it"
)]
mod mint;
#[path = "../traffic/mod.rs"]
mod traffic;

mod cost;
mod forged;
mod growth;

use cost::{Cost, quickest, run, values};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use traffic::Traffic;

/// Address and token are the 8th and the 44th piece between quotes.
const LAST_ADDRESS_PER_TOKEN: &str = r#"{ last[$44] = $8 } END { print length(last) }"#;

/// In the combined log, the 1st piece before a space and the 8th between quotes.
const LAST_ADDRESS_PER_TOKEN_COMBINED: &str =
    r#"{ split($1, who, " "); last[$8] = who[1] } END { print length(last) }"#;

/// Lines of the two logs whose difference tells what a line costs beside start-up and first uses.
const COUNTED_LINES: [usize; 2] = [10_000, 20_000];

/// Few enough to have begun, all of them, long before the shorter log ends.
const COUNTED_SESSIONS: usize = 500;

/// Instructions that one more line of a log may cost. About 8,500 were counted, without link-time optimisation; the rest
/// is for compilers and processors, which differ. What breaks it is a new pass over every line.
const INSTRUCTIONS_PER_LINE_MAX: u64 = 10_500;

fn main() -> io::Result<ExitCode> {
    let lines = std::env::var("TOKENTRIP_BENCH_LINES").ok();
    let lines: usize = lines
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let mut table = Table {
        out: io::stdout().lock(),
        lines,
        missing: Vec::new(),
    };
    if std::env::args().any(|argument| argument == "--instructions") {
        let within = table.instructions()? && table.missing.is_empty();
        table.end()?;
        return Ok(exit_code(within));
    }
    if std::env::args().any(|argument| argument == "--state") {
        table.state()?;
        return Ok(ExitCode::SUCCESS);
    }
    if std::env::args().any(|argument| argument == "--forged") {
        let within = table.forged()?;
        return Ok(exit_code(within));
    }
    if std::env::args().any(|argument| argument == "--growth") {
        table.growth()?;
        return Ok(ExitCode::SUCCESS);
    }
    let json = written("json", || Traffic::new(lines), lines)?;
    let combined = written("combined", || Traffic::new(lines).combined(), lines)?;
    table.head("JSON", &json)?;
    for jobs in ["1", "2"] {
        table.child(
            &format!("tokentrip scan --jobs {jobs}"),
            &mut scan(jobs, &json),
        )?;
    }
    table.child("tokentrip scan, on one core", &mut on_one_core(&json))?;
    table.row("serde_json::Value", values(&json)?)?;
    table.peer("mawk", &["-F\"", LAST_ADDRESS_PER_TOKEN], &json)?;
    table.peer("rg", &["-c", "203\\.0\\.113\\.66"], &json)?;
    table.peer("wc", &["-l"], &json)?;
    for (packer, pack, unpack, ending) in [
        ("pigz", &["-1", "-k", "-f"][..], "-dc", "log.gz"),
        ("zstd", &["-1", "-k", "-f", "-q"], "-dc", "log.zst"),
    ] {
        let packed = json.with_extension(ending);
        if !packed.exists() && run(Command::new(packer).args(pack).arg(&json))?.is_none() {
            table.missing.push(packer);
            continue;
        }
        table.peer(packer, &[unpack], &packed)?;
        table.child(
            &format!("tokentrip scan, {ending}"),
            &mut scan("2", &packed),
        )?;
    }
    table.head("combined", &combined)?;
    table.child("tokentrip scan --jobs 1", &mut scan("1", &combined))?;
    table.peer(
        "mawk",
        &["-F\"", LAST_ADDRESS_PER_TOKEN_COMBINED],
        &combined,
    )?;
    table.peer("rg", &["-c", "203\\.0\\.113\\.66"], &combined)?;
    table.lines = 1;
    let first = written("json", || Traffic::new(1), 1)?;
    table.head("one line, which is the start-up", &first)?;
    table.child("tokentrip scan --jobs 1", &mut scan("1", &first))?;
    let within = table.instructions()?;
    table.end()?;
    Ok(exit_code(within))
}

fn exit_code(success: bool) -> ExitCode {
    if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn scan(jobs: &str, log: &Path) -> Command {
    let mut scan = Command::new(env!("CARGO_BIN_EXE_tokentrip"));
    scan.args(["scan", "--output", "ndjson", "--jobs", jobs])
        .arg(log);
    scan
}

/// Who parses and who judges are two threads, even of one job: what a second core is good for shows beside this.
fn on_one_core(log: &Path) -> Command {
    let scan = scan("1", log);
    let mut pinned = Command::new("taskset");
    let program = pinned.args(["--cpu-list", "0"]).arg(scan.get_program());
    program.args(scan.get_args());
    pinned
}

/// What is printed.
struct Table {
    out: io::StdoutLock<'static>,
    lines: usize,
    missing: Vec<&'static str>,
}

impl Table {
    fn head(&mut self, name: &str, log: &Path) -> io::Result<()> {
        let bytes = fs::metadata(log)?.len() / self.lines as u64;
        writeln!(self.out, "\n{name}: {} lines of {bytes} bytes", self.lines)?;
        writeln!(
            self.out,
            "{:<28} {:>13} {:>8} {:>8} {:>9}",
            "", "lines/CPU s", "CPU s", "wall s", "peak MB"
        )
    }

    fn row(&mut self, name: &str, cost: Cost) -> io::Result<()> {
        let speed = self.lines as f64 / cost.cpu_s.max(0.01);
        let memory = cost.peak_kb as f64 / 1024.0;
        let (cpu_s, wall_s) = (cost.cpu_s, cost.wall_s);
        writeln!(
            self.out,
            "{name:<28} {speed:>13.0} {cpu_s:>8.2} {wall_s:>8.2} {memory:>9.1}"
        )
    }

    fn child(&mut self, name: &str, command: &mut Command) -> io::Result<()> {
        match quickest(command)? {
            Some(cost) => self.row(name, cost),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Another program, if it is installed.
    fn peer(&mut self, program: &'static str, arguments: &[&str], log: &Path) -> io::Result<()> {
        match quickest(Command::new(program).args(arguments).arg(log))? {
            Some(cost) => self.row(&format!("{program} {}", arguments[0]), cost),
            None => {
                self.missing.push(program);
                Ok(())
            }
        }
    }

    /// Prints what one more session takes, with its token, context and network: beside tables, buffers and accounts, which
    /// both logs have alike.
    fn state(&mut self) -> io::Result<()> {
        let peak = |sessions| {
            let log = written("once", || Traffic::once(sessions), sessions)?;
            let cost = run(&mut scan("1", &log))?.ok_or(io::ErrorKind::NotFound)?;
            io::Result::Ok(cost.peak_kb * 1024)
        };
        let (few, more) = (self.lines / 10, self.lines);
        let of_more = peak(more)?;
        let each = of_more.saturating_sub(peak(few)?) / (more - few).max(1) as u64;
        let of_more = of_more / (1024 * 1024);
        writeln!(
            self.out,
            "state of one more session: {each} bytes; {more} sessions took {of_more} MB in all"
        )
    }

    /// Prints how many instructions one more line costs; false when they are too many.
    fn instructions(&mut self) -> io::Result<bool> {
        let [few, more] = COUNTED_LINES;
        let log = |lines| {
            let traffic = || Traffic::of_sessions(lines, COUNTED_SESSIONS);
            written("counted", traffic, lines)
        };
        let counted = [instructions_of(&log(few)?)?, instructions_of(&log(more)?)?];
        let [Some(of_few), Some(of_more)] = counted else {
            self.missing.push("valgrind");
            return Ok(true);
        };
        let per_line = of_more.saturating_sub(of_few) / (more - few) as u64;
        writeln!(
            self.out,
            "\ninstructions of one more line: {per_line}, at most {INSTRUCTIONS_PER_LINE_MAX}"
        )?;
        Ok(per_line <= INSTRUCTIONS_PER_LINE_MAX)
    }

    fn end(&mut self) -> io::Result<()> {
        self.missing.dedup();
        if !self.missing.is_empty() {
            writeln!(self.out, "\nnot installed: {}", self.missing.join(", "))?;
        }
        Ok(())
    }
}

/// Instructions of one scan, all threads; `None` without valgrind.
fn instructions_of(log: &Path) -> io::Result<Option<u64>> {
    let scan = scan("1", log);
    let mut counting = Command::new("valgrind");
    counting
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(scan.get_program())
        .args(scan.get_args())
        .stdout(Stdio::null());
    let said = match counting.output() {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let count = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    Ok(count.and_then(|count| count.trim().parse().ok()))
}

/// The log in the build folder, made when it is not there.
fn written(format: &str, traffic: impl FnOnce() -> Traffic, lines: usize) -> io::Result<PathBuf> {
    let name = format!("reference-{format}-{lines}.log");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        return Ok(path);
    }
    let part = path.with_extension("part");
    let mut file = BufWriter::new(File::create(&part)?);
    let (mut traffic, mut line) = (traffic(), String::new());
    while traffic.write_line(&mut line) {
        file.write_all(line.as_bytes())?;
        line.clear();
    }
    file.into_inner()?.sync_all()?;
    fs::rename(&part, &path)?;
    Ok(path)
}
