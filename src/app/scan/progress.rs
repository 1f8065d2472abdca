//! The progress bar of a long scan.
//!
//! In: bytes and lines done. Out: a bar on stderr when that is a terminal and the work is long.
//! Does not know: what the lines say.

use crate::cli;
use crate::ingest::discover::Found;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// Less than this is read before anybody could look.
const BYTES_MIN: u64 = 32 << 20;

/// How often a second the bar is drawn.
const DRAWS_PER_S: u8 = 10;

/// The bar, or nothing.
pub(in crate::app) struct Progress(ProgressBar);

impl Progress {
    pub(in crate::app) fn new(when: cli::Progress, found: &[Found]) -> Self {
        let total: u64 = found.iter().map(|file| file.size_bytes).sum();
        // What comes through a pipe has no size, and may be long.
        let long = total >= BYTES_MIN || found.iter().any(|file| file.size_bytes == 0);
        let shown = when == cli::Progress::Auto && long && std::io::stderr().is_terminal();
        if !shown {
            return Self(ProgressBar::hidden());
        }
        let packed = found.iter().any(|file| {
            [".gz", ".zst", ".bz2", ".xz"]
                .iter()
                .any(|ending| file.source.0.ends_with(ending))
        });
        // Bytes are counted unpacked; against the packed size a bar would run over.
        let bar = if packed || total == 0 {
            ProgressBar::no_length()
        } else {
            ProgressBar::new(total)
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S));
        let template = if bar.length().is_some() {
            "{bar:30} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left"
        } else {
            "{spinner} {binary_bytes}  {binary_bytes_per_sec}  {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(in crate::app) fn advance(&self, bytes: u64, lines: u64) {
        if !self.0.is_hidden() {
            self.0.inc(bytes);
            self.0.set_message(format!("{lines} lines"));
        }
    }

    /// Runs something that writes to the terminal beside the bar.
    pub(in crate::app) fn suspend(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }

    pub(in crate::app) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
