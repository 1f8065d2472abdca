//! What people read beside the results: errors, warnings, diagnostics, even what a panic says.
//!
//! In: text that may quote a path, an argument or a line. Out: the same on stderr, every token in it masked.
//! Does not know: why it is said.

use crate::domain::mask::mask;
use std::io::{self, Write};
use std::panic;

/// Says something on stderr. When even that fails there is nobody left to tell.
pub(crate) fn say(text: &str) {
    let _ = writeln!(Masked, "{text}");
}

/// Panics of the process are masked from now on: the message of one can quote the text it happened in.
pub(crate) fn mask_panics() {
    panic::set_hook(Box::new(|panic| say(&panic.to_string())));
}

/// Stderr without tokens. Every write must hold whole words: it is masked by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masked;

impl Write for Masked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        io::stderr().write_all(mask(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn write_fmt(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        // The default writes piece by piece, and a token could lie across two.
        self.write_all(text.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
