//! What a line costs in longer logs, and among more tokens.
//!
//! In: the table, which says how many lines the shortest log has. Out: rows of it.
//! Does not know: how a scan is measured.

use super::Table;
use super::cost::run_fed;
use super::traffic::{SESSIONS, Traffic};
use std::io::{self, BufWriter, Write};
use std::process::{Command, Stdio};

/// Times as many lines, and the sessions among them: a hundred times as many of these at last, which come and go as if people
/// signed in every half minute.
const STEPS: [(usize, usize); 4] = [
    (1, SESSIONS),
    (10, SESSIONS),
    (50, SESSIONS),
    (50, 5_000_000),
];

impl Table {
    /// Prints the time and memory of logs that grow.
    pub(crate) fn growth(&mut self) -> io::Result<()> {
        let lines_once = self.lines;
        let mut first_us = None;
        for (times, sessions) in STEPS {
            self.lines = lines_once * times;
            let mut traffic = Traffic::of_sessions(self.lines, sessions);
            let mut scan = Command::new(env!("CARGO_BIN_EXE_tokentrip"));
            scan.args(["scan", "--output", "ndjson", "--jobs", "1", "-"]);
            let cost = run_fed(scan.stdin(Stdio::piped()), |stdin| {
                let Some(stdin) = stdin else { return Ok(()) };
                let mut out = BufWriter::with_capacity(1 << 17, stdin);
                let mut line = String::new();
                while traffic.write_line(&mut line) {
                    out.write_all(line.as_bytes())?;
                    line.clear();
                }
                out.flush()
            })?;
            let cost = cost.ok_or(io::ErrorKind::NotFound)?;
            let each_us = cost.cpu_s * 1e6 / self.lines as f64;
            let more = each_us / *first_us.get_or_insert(each_us) - 1.0;
            writeln!(
                self.out,
                "{:>9} lines, {sessions:>7} tokens: {each_us:.2} µs of CPU a line ({:+.0} %), {} MB",
                self.lines,
                more * 100.0,
                cost.peak_kb / 1024
            )?;
        }
        Ok(())
    }
}
