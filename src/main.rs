//! The `tokentrip` command. Everything it can do is in [`tokentrip::app`].

use clap::Parser;
use std::process::ExitCode;
use tokentrip::cli::Cli;

fn main() -> ExitCode {
    tokentrip::app::run(Cli::parse())
}
