//! SHELL: one file per subcommand; the only place threads and runtimes are started.

pub mod geo;
pub mod parse;
pub mod pretty;
pub mod rules;
