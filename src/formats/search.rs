//! Searches in what is mostly short: a value and what is around it.
//!
//! In: bytes. Out: where the first of one or two bytes stands.
//! Does not know: what is looked for.
//! Source: Mycroft, "Determine if a word has a zero byte", comp.arch, 1987.
//!
//! Most values are shorter than what it takes to call a vector search, so that one is left to look at what is longer.

use memchr::{memchr, memchr2};

/// Words that are looked at here.
const WORDS_MAX: usize = 2;

/// A byte in every byte of a word.
pub(super) const fn everywhere(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Marks the bytes of a word that are zero, in their highest bits; the lowest mark is exact, later ones may be false.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(everywhere(1)) & !word & everywhere(0x80)
}

/// The first marked byte of the first words, or how many bytes these are.
#[inline(always)]
fn in_words(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Result<usize, usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let words = words.get(..WORDS_MAX).unwrap_or(words);
    for (index, word) in words.iter().enumerate() {
        let found = marks(u64::from_le_bytes(*word));
        if found != 0 {
            return Ok(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    Err(words.len() * 8)
}

/// Where `byte` first stands.
#[inline]
pub(super) fn first(byte: u8, bytes: &[u8]) -> Option<usize> {
    match in_words(bytes, |word| zero_bytes(word ^ everywhere(byte))) {
        Ok(at) => Some(at),
        Err(seen) => memchr(byte, bytes.get(seen..)?).map(|at| seen + at),
    }
}

/// Where the first of two bytes stands.
#[inline]
pub(super) fn first_of(one: u8, other: u8, bytes: &[u8]) -> Option<usize> {
    let marks =
        |word: u64| zero_bytes(word ^ everywhere(one)) | zero_bytes(word ^ everywhere(other));
    match in_words(bytes, marks) {
        Ok(at) => Some(at),
        Err(seen) => memchr2(one, other, bytes.get(seen..)?).map(|at| seen + at),
    }
}

/// The first place of `byte` of which `is_it` is true.
#[inline]
pub(super) fn first_where(byte: u8, bytes: &[u8], is_it: impl Fn(usize) -> bool) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + first(byte, bytes.get(from..)?)?;
        if is_it(at) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Where a byte stands, for one that stands in many places: the places of a word are found at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Each<'a> {
    bytes: &'a [u8],
    byte: u8,
    /// Where the next word begins.
    next: usize,
    /// A mark for each place in the word before that one that was not come to yet, and perhaps more.
    marks: u64,
}

impl<'a> Each<'a> {
    /// The places of `byte` in `bytes`.
    #[inline]
    pub(super) fn of(byte: u8, bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            byte,
            next: 0,
            marks: 0,
        }
    }

    /// The first place at `from` or behind it. What is asked for next lies behind what was given.
    #[inline]
    pub(super) fn first_from(&mut self, from: usize) -> Option<usize> {
        let (words, rest) = self.bytes.as_chunks::<8>();
        loop {
            while self.marks != 0 {
                let at = self.next - 8 + self.marks.trailing_zeros() as usize / 8;
                self.marks &= self.marks - 1;
                if at >= from && self.bytes.get(at) == Some(&self.byte) {
                    return Some(at);
                }
            }
            let mut word = self.next.max(from) / 8;
            while let Some(bytes) = words.get(word)
                && self.marks == 0
            {
                self.marks = zero_bytes(u64::from_le_bytes(*bytes) ^ everywhere(self.byte));
                word += 1;
            }
            self.next = word * 8;
            if self.marks == 0 {
                let begin = from.max(words.len() * 8);
                let rest = rest.get(begin - words.len() * 8..)?;
                let at = rest.iter().position(|byte| *byte == self.byte)?;
                return Some(begin + at);
            }
        }
    }
}

/// The text before the first `byte`, and what stands behind that.
#[inline]
pub(super) fn split_at_first(byte: u8, text: &str) -> Option<(&str, &str)> {
    debug_assert!(byte.is_ascii());
    let at = first(byte, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_stands_first_is_found_wherever_it_stands(bytes in prop::collection::vec(b'a'..b'f', 0..60)) {
            let is = |wanted: &'static [u8]| bytes.iter().position(|byte| wanted.contains(byte));
            prop_assert_eq!(first(b'a', &bytes), is(b"a"));
            prop_assert_eq!(first_of(b'a', b'c', &bytes), is(b"ac"));
            let mut each = Each::of(b'a', &bytes);
            for from in [0, 3, 9, 30, 31, 59] {
                let behind = bytes.iter().skip(from).position(|byte| *byte == b'a');
                prop_assert_eq!(Each::of(b'a', &bytes).first_from(from), behind.map(|at| from + at));
            }
            let mut from = 0;
            for theirs in memchr::memchr_iter(b'a', &bytes) {
                prop_assert_eq!(each.first_from(from), Some(theirs));
                from = theirs + 1;
            }
            prop_assert_eq!(each.first_from(from), None);
            let second = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'b').nth(1);
            let seen = std::cell::Cell::new(0);
            let at = first_where(b'b', &bytes, |_| seen.replace(seen.get() + 1) == 1);
            prop_assert_eq!(at, second.map(|(at, _)| at));
        }
    }

    #[test]
    fn bytes_that_differ_in_one_bit_are_told_apart() {
        for at in 0..40 {
            let mut bytes = [b'#'; 40]; // one above the quote
            bytes[at] = b'"';
            assert_eq!(first(b'"', &bytes), Some(at));
            assert_eq!(first_of(b'\\', b'"', &bytes), Some(at));
            assert_eq!(first(b'!', &bytes), None);
        }
    }
}
