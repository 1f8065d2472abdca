//! The command line of what a newcomer needs once: a log to look at, a configuration, logs without tokens.
//!
//! In: arguments. Out: their types. Does not know: what the commands do.

use super::{ConfigFile, Progress};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// `parse`: lines as events.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example: is this how my gateway writes?
  head access.log | tokentrip parse --format '$remote_addr [$time_local] \"$request\" $status' -")]
pub struct Parse {
    /// Files, folders, patterns; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// `auto`, a format's name, or the gateway's own log_format string
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
}

/// `scrub`: logs without tokens.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Every token is replaced by keyed hashes of itself, its session and its subject, so that
`tokentrip scan` still follows it and nobody can use it. Lines, their order and packing (gzip,
zstd) stay as they are.

Examples:
  tokentrip scrub access.log > access.scrubbed.log
  tokentrip scrub --in-place --config /etc/tokentrip/tokentrip.toml '/var/log/nginx/*.gz'")]
pub struct Scrub {
    /// Files, folders, patterns; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// Where to write: a file, or a folder for several; standard output when there is one input
    #[arg(long, value_name = "PATH", conflicts_with = "in_place")]
    pub to: Option<PathBuf>,
    /// Replaces the files themselves
    #[arg(long)]
    pub in_place: bool,
    /// Writes over files that are already there
    #[arg(long, requires = "to")]
    pub force: bool,
    /// The secret that keys the hashes, made when missing; that of the state folder when --config is given, else one
    /// for this run alone
    #[arg(long, env = "TOKENTRIP_SCRUB_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
    /// When to show progress; `auto` is on a terminal
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub progress: Progress,
}

/// `init`: from a log to a configuration.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Nothing is changed but the new file; logs are only read.

Examples:
  tokentrip init
  tokentrip init --to /etc/tokentrip/tokentrip.toml /var/log/nginx/access.log")]
pub struct Init {
    /// Logs, folders, patterns; the usual places of gateways when there is none
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// The configuration to write; never over one that is there
    #[arg(long, value_name = "FILE", default_value = "tokentrip.toml")]
    pub to: PathBuf,
}

/// `doctor`: is everything there?
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Exit status: 0 all is well, 1 something should be better, 2 something cannot work.

Example:
  tokentrip doctor --config /etc/tokentrip/tokentrip.toml")]
pub struct Doctor {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
}
