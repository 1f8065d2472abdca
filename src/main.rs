//! The `tokentrip` command.
fn main() {}
