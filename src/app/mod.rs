//! SHELL: one file per subcommand; the only place threads and runtimes are started.
//!
//! In: arguments. Out: an exit code: 0 nothing at or above `--fail-on`, 1 something, 2 error.
//! Does not know: how anything is done; each file says what it calls.

mod breach;
mod doctor;
mod drill;
mod error;
mod exceptions;
mod gateways;
mod geo;
mod incidents;
mod init;
mod look;
mod parse;
mod pretty;
mod pseudonyms;
mod receivers;
mod replay;
mod rule_run;
mod rules;
mod scan;
mod scrub;
mod set_up;
mod side_by_side;
mod stamps;
mod stderr;
mod watch;
mod whatif;

pub use error::Error;

use crate::cli::{Cli, Command, Geo, Rules};
use crate::outbound::now;
use crate::tokens::verify::install_crypto;
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Nothing to report.
const DONE: u8 = 0;

/// The exit code of a test that is not as expected.
const UNEXPECTED: u8 = 1;

/// The exit code of an error.
const FAILED: u8 = 2;

/// Runs the command that the arguments ask for; the first of them is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    stderr::mask_panics();
    match Cli::try_parse_from(arguments) {
        Ok(cli) => run_command(cli),
        Err(error) if error.use_stderr() => {
            let text = error.render();
            let terminal = io::stderr().is_terminal();
            stderr::say(&if terminal {
                text.ansi().to_string()
            } else {
                text.to_string()
            });
            ExitCode::from(FAILED)
        }
        Err(help) => {
            // A pipe that is closed has seen enough of it.
            let _ = help.print();
            ExitCode::SUCCESS
        }
    }
}

fn run_command(cli: Cli) -> ExitCode {
    install_crypto();
    let color = cli.color;
    let outcome = match cli.command {
        Command::Scan(options) => scan::run(&options, color),
        Command::Whatif(options) => whatif::run(&options, color),
        Command::Parse(options) => parse::command(&options),
        Command::Watch(options) => watch::run(&options),
        Command::Incidents(ask) => incidents::run(&ask, color),
        Command::Pause(file) => incidents::pause(&file, true),
        Command::Resume(file) => incidents::pause(&file, false),
        Command::Drill(ask) => drill::run(&ask),
        Command::Forget(ask) => incidents::forget(&ask),
        Command::Init(options) => init::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Scrub(options) => scrub::run(&options),
        Command::Rules(ask) => about_rules(&ask),
        Command::Geo(ask) => about_places(&ask),
        Command::Completions { shell } => {
            let mut out = io::stdout();
            clap_complete::generate(shell, &mut Cli::command(), "tokentrip", &mut out);
            Ok(DONE)
        }
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            stderr::say(&error.to_string());
            ExitCode::from(FAILED)
        }
    }
}

fn about_rules(ask: &Rules) -> Result<u8, Error> {
    let out: &mut dyn Write = &mut io::stdout().lock();
    match ask {
        Rules::Check(folder) => {
            rules::check(folder.rules.as_deref(), out).map_err(Error::shown)?;
        }
        Rules::List { fields: true, .. } => rules::list_fields(out).map_err(Error::shown)?,
        Rules::List { rules: folder, .. } => {
            let read = rules::read(folder.rules.as_deref()).map_err(Error::shown)?;
            rules::list(&read, out).map_err(Error::shown)?;
        }
        Rules::Explain {
            rule,
            rules: folder,
        } => {
            let read = rules::read(folder.rules.as_deref()).map_err(Error::shown)?;
            rules::explain(&read, rule, out).map_err(Error::shown)?;
        }
        Rules::Test {
            only,
            rules: folder,
        } => {
            let read = rules::read(folder.rules.as_deref()).map_err(Error::shown)?;
            let passed = rules::test(&read, only, &rule_run::run, out).map_err(Error::shown)?;
            return Ok(if passed { DONE } else { UNEXPECTED });
        }
    }
    Ok(DONE)
}

fn about_places(ask: &Geo) -> Result<u8, Error> {
    let out = &mut io::stdout().lock();
    match ask {
        Geo::Info { addresses, config } => {
            let tables = set_up::SetUp::tables(config.config.as_deref())?;
            geo::info(&tables, now(), out).map_err(Error::shown)?;
            geo::look_up(&tables, addresses, out).map_err(Error::shown)?;
        }
        Geo::Use { files } => geo::use_files(files, out).map_err(Error::shown)?,
        Geo::Build(ask) => geo::build(&geo::Build::asked(ask), out).map_err(Error::shown)?,
    }
    Ok(DONE)
}
