//! The `tokentrip` command. Everything it can do is in [`tokentrip::app`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tokentrip::app::run(std::env::args_os())
}
