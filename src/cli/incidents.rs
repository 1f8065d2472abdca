//! The command line of `incidents`: what the daemon found and did, and a person's word about it.
//!
//! In: arguments. Out: [`Incidents`].
//! Does not know: the store.

use super::{ConfigFile, Output, level, time};
use crate::domain::finding::Level;
use crate::domain::ids::IncidentId;
use crate::domain::incident::State;
use crate::domain::time::Time;
use clap::{Args, Subcommand};

/// `incidents`: what the daemon found and did.
#[derive(Clone, Debug, Subcommand)]
pub enum Incidents {
    /// Lists incidents, newest first
    #[command(after_help = "Example:\n  tokentrip incidents list --level high --since 2026-05-04")]
    List {
        #[command(flatten)]
        #[allow(missing_docs, reason = "its own words are the help")]
        config: ConfigFile,
        /// Only this level and above
        #[arg(long, value_parser = level, value_name = "LEVEL")]
        level: Option<Level>,
        /// Only those of this subject
        #[arg(long)]
        subject: Option<String>,
        /// Only those in this state: open, acknowledged, contained, resolved or false_positive
        #[arg(long, value_parser = state, value_name = "STATE")]
        state: Option<State>,
        /// Only those seen at or after this time (RFC 3339, or a date in UTC)
        #[arg(long, value_parser = time, value_name = "TIME")]
        since: Option<Time>,
        /// What to write; pretty on a terminal, ndjson in a pipe
        #[arg(long, value_enum, value_name = "FORM")]
        output: Option<Output>,
    },
    /// Shows one incident with its four steps
    #[command(after_help = "Example:\n  tokentrip incidents show i-00000000000000000001")]
    Show {
        /// The incident: `i-` and 20 digits
        #[arg(value_parser = incident)]
        id: IncidentId,
        #[command(flatten)]
        #[allow(missing_docs, reason = "its own words are the help")]
        config: ConfigFile,
        /// What to write; pretty on a terminal, ndjson in a pipe
        #[arg(long, value_enum, value_name = "FORM")]
        output: Option<Output>,
    },
    /// Lets the actions that wait for a person go ahead
    #[command(after_help = "\
Examples:
  tokentrip incidents approve i-00000000000000000001
  tokentrip incidents approve --since 15m")]
    Approve(Range),
    /// Takes back what can be taken back: denials, and calls that were not made yet
    #[command(after_help = "\
Examples:
  tokentrip incidents undo i-00000000000000000001
  tokentrip incidents undo --since 15m")]
    Undo(Range),
    /// Tries again what was given up: calls and messages that failed for good
    #[command(after_help = "\
Examples:
  tokentrip incidents replay i-00000000000000000001
  tokentrip incidents replay --since 1h")]
    Replay(Range),
    /// Says that somebody looks at an incident
    #[command(after_help = "Example:\n  tokentrip incidents acknowledge i-00000000000000000001")]
    Acknowledge(Decision),
    /// Closes an incident
    #[command(after_help = "\
Example:
  tokentrip incidents resolve i-00000000000000000001 --false-positive")]
    Resolve {
        #[command(flatten)]
        #[allow(missing_docs, reason = "its own words are the help")]
        decision: Decision,
        /// It was no theft
        #[arg(long)]
        false_positive: bool,
    },
}

/// A person's word about one incident.
#[derive(Clone, Debug, Args)]
pub struct Decision {
    /// The incident: `i-` and 20 digits
    #[arg(value_parser = incident)]
    pub id: IncidentId,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
    /// Who decides, for the audit
    #[arg(long, env = "USER", default_value = "unknown", value_name = "NAME")]
    pub by: String,
}

/// A person's word about one incident, or about all of a time.
#[derive(Clone, Debug, Args)]
pub struct Range {
    /// The incident: `i-` and 20 digits
    #[arg(value_parser = incident, required_unless_present = "since", conflicts_with = "since")]
    pub id: Option<IncidentId>,
    /// All incidents seen in this time until now, as `15m`, or since a moment (RFC 3339, or a date in UTC)
    #[arg(long, value_parser = moment, value_name = "TIME")]
    pub since: Option<Moment>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
    /// Who decides, for the audit
    #[arg(long, env = "USER", default_value = "unknown", value_name = "NAME")]
    pub by: String,
}

/// A moment, or how long ago it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So many milliseconds ago.
    Ago(i64),
    /// Then.
    At(Time),
}

fn moment(text: &str) -> Result<Moment, String> {
    let units = [
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let ago = units.iter().find_map(|(unit, ms)| {
        let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
        Some(i64::from(count) * ms)
    });
    match ago {
        Some(ms) => Ok(Moment::Ago(ms)),
        None => time(text)
            .map(Moment::At)
            .map_err(|why| format!("{why}, or a time as 15m")),
    }
}

fn state(word: &str) -> Result<State, String> {
    let known = "one of open, acknowledged, contained, resolved, false_positive";
    State::of_name(word).ok_or_else(|| known.to_owned())
}

pub(super) fn incident(text: &str) -> Result<IncidentId, String> {
    text.parse()
        .map_err(|()| "write it as `incidents list` shows it, i-…".to_owned())
}
