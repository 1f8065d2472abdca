//! Commands that look back at logs: `scan`, `whatif`.
//!
//! In: arguments. Out: their types. Does not know: what the commands do.

use super::{ConfigFile, RulesFolder, incident, level, time};
use crate::domain::finding::Level;
use crate::domain::ids::IncidentId;
use crate::domain::time::Time;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Logs, and how they are read.
#[derive(Clone, Debug, Args)]
pub struct Archive {
    /// Files, folders, patterns; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<OsString>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub rules: RulesFolder,
    /// `auto`, a format's name, or the gateway's own log_format string
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Judges only what was logged at or after this time (RFC 3339, or a date in UTC)
    #[arg(long, value_parser = time, value_name = "TIME")]
    pub since: Option<Time>,
    /// Judges only what was logged before this time
    #[arg(long, value_parser = time, value_name = "TIME")]
    pub until: Option<Time>,
    /// Threads that parse; as many as there are cores unless given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256), value_name = "N")]
    pub jobs: Option<u16>,
    /// When to show progress; `auto` is on a terminal
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub progress: Progress,
}

/// `scan`: looks through logs once.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Exit status: 0 nothing at or above --fail-on, 1 something, 2 error or nothing that could be judged.

Examples:
  tokentrip scan /var/log/nginx
  tokentrip scan --report report.html 'logs/**/*.gz'
  zcat old.gz | tokentrip scan --format nginx_combined --output ndjson -
  tokentrip scan --rules new-rules --summary /var/log/nginx      what a set of rules would find
  tokentrip scan --explain i-92d8fc1eccb36b237a85 /var/log/nginx each use of an incident's sessions")]
pub struct Scan {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub archive: Archive,
    /// What to write; pretty on a terminal, ndjson in a pipe
    #[arg(long, value_enum, value_name = "FORM")]
    pub output: Option<Output>,
    /// Also writes a report for people: one HTML page that needs no network
    #[arg(long, value_name = "FILE.html", conflicts_with = "explain")]
    pub report: Option<PathBuf>,
    /// Lowest level of a finding that makes the exit status 1
    #[arg(long, value_parser = level, default_value = "medium", value_name = "LEVEL")]
    pub fail_on: Level,
    /// Writes the summary alone: what was read, and of each rule its findings, subjects and incidents
    #[arg(long)]
    pub summary: bool,
    /// Shows each use of this incident's sessions, with the findings on it; reads the logs twice
    #[arg(long, value_parser = incident, value_name = "INCIDENT", conflicts_with_all = ["summary", "at_risk"])]
    pub explain: Option<IncidentId>,
    /// Lists what the suspect of an incident did in these logs: its id in the daemon's store, or a file with it
    #[arg(long, value_name = "INCIDENT", conflicts_with_all = ["since", "until", "summary", "explain", "at_risk", "report"])]
    pub around: Option<String>,
    /// Lists the tokens that still work, stood in a URL or a Referer, and were abused by nobody yet
    #[arg(long)]
    pub at_risk: bool,
    /// Replaces subjects and addresses by keyed hashes
    #[arg(long)]
    pub pseudonymise: bool,
    /// Judges every line in full, to compare and to measure
    #[arg(long, hide = true)]
    pub no_fast_path: bool,
}

/// `whatif`: what a measure would have prevented.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Each measure is counted by itself, and all of them together. Without any, the usual are compared.

Example:
  tokentrip whatif --lifetime 15m --bind client --rotate /var/log/nginx")]
pub struct Whatif {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub archive: Archive,
    /// Tokens die so long after they were issued: `90s`, `15m`, `8h`, `1d`; several are compared
    #[arg(long, value_parser = lifetime, value_name = "TIME")]
    pub lifetime: Vec<u32>,
    /// Sessions end where they leave the network or the program that they began in
    #[arg(long, value_enum, value_name = "TO")]
    pub bind: Vec<Bind>,
    /// A session's older tokens die a minute after a newer one was first used
    #[arg(long)]
    pub rotate: bool,
    /// What to write; pretty on a terminal, ndjson in a pipe
    #[arg(long, value_enum, value_name = "FORM")]
    pub output: Option<Output>,
}

/// What a session can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Bind {
    /// The autonomous system; where it is not known, the /24 or /64.
    Network,
    /// The program's family and its system.
    Client,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Ndjson,
}

/// When to show progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// On a terminal.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// Longer than a token should ever live.
const LIFETIME_S_MAX: u32 = 366 * 86_400;

/// `15m` in seconds.
fn lifetime(text: &str) -> Result<u32, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let seconds = units.iter().find_map(|(unit, unit_s)| {
        let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(*unit_s)
    });
    seconds
        .filter(|seconds| (1..=LIFETIME_S_MAX).contains(seconds))
        .ok_or_else(|| "write it as 90s, 15m, 8h or 1d, up to 366d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit_and_a_bound() {
        let read = |text| lifetime(text).ok();
        assert_eq!(
            [read("15m"), read("8h"), read("1d")],
            [Some(900), Some(28_800), Some(86_400)]
        );
        for wrong in ["", "15", "m", "0s", "-1m", "367d", "99999999999h", "1.5h"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
