//! Lines that could not be read, a few for each reason: whoever looks for what is wrong wants to see one.
//!
//! In: lines as they were skipped. Out: their beginnings, without tokens, while the daemon runs.
//! Does not know: formats.

use crate::domain::line::SkipReason;
use crate::domain::mask::mask;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Kept of each reason: one may be an exception, three show what they have in common.
const KEPT_MAX: usize = 3;

/// Looked at of a line, for tokens to be hidden in.
const LOOKED_AT_BYTES: usize = 4 << 10;

/// Shown of a line: what it is can be seen at its beginning.
const SHOWN_CHARS: usize = 240;

/// The newest skipped lines by reason.
#[derive(Debug, Default)]
pub struct Samples(Mutex<BTreeMap<&'static str, VecDeque<String>>>);

impl Samples {
    /// Keeps the beginning of a skipped line, without its tokens.
    pub fn add(&self, reason: SkipReason, line: &str) {
        let looked_at = line.floor_char_boundary(LOOKED_AT_BYTES);
        let masked = mask(line.get(..looked_at).unwrap_or_default());
        let mut shown: String = masked.chars().take(SHOWN_CHARS).collect();
        if shown.len() < masked.len() || looked_at < line.len() {
            shown.push('…');
        }
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = samples.entry(reason.name()).or_default();
        if kept.contains(&shown) {
            return;
        }
        kept.truncate(KEPT_MAX - 1);
        kept.push_front(shown);
    }

    pub(super) fn get(&self) -> BTreeMap<&'static str, VecDeque<String>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::mint::mint;
    use serde_json::json;

    #[test]
    fn the_newest_are_kept_and_none_shows_a_token() {
        let samples = Samples::default();
        let token = mint(&json!({"sub": "alice"}), "p-256");
        for no in 0..9 {
            samples.add(SkipReason::Malformed, &format!("{no} Bearer {token}"));
        }
        samples.add(SkipReason::Malformed, "8 Bearer [token]");
        let long = format!("{}{token}", "é".repeat(LOOKED_AT_BYTES / 2 - 10));
        samples.add(SkipReason::TooLong, &long);
        let kept = samples.get();
        let expected = ["8 Bearer [token]", "7 Bearer [token]", "6 Bearer [token]"];
        assert_eq!(kept["malformed"], expected);
        let [long] = kept["too_long"].as_slices().0 else {
            panic!("one, and no more")
        };
        assert_eq!(long.chars().count(), SHOWN_CHARS + 1);
        assert!(!format!("{samples:?}").contains("eyJ"));
    }
}
