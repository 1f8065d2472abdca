//! Looking for rare bytes in short texts.
//!
//! In: a text and the bytes that would matter. Out: whether one is there.
//! Does not know: what they mean. Long texts are for `memchr`, which takes as long to call as a short text to read.

/// Lanes of a vector on every processor that Rust's `x86_64` and `aarch64` stand for.
const LANES: usize = 16;

/// True when one of `wanted` is in `text`.
#[inline]
pub fn has_any<const N: usize>(text: &[u8], wanted: [u8; N]) -> bool {
    let Some(last) = text.last_chunk::<LANES>() else {
        return text.iter().any(|byte| wanted.contains(byte));
    };
    // The last lanes overlap those before them, so that no rest is left to be read one by one. Without iterators over
    // the lanes: those are vectors only where each of their calls is inlined.
    let mut marked = [0; LANES];
    let mut see = |piece: &[u8; LANES]| {
        for lane in 0..LANES {
            marked[lane] |= mark(piece[lane], wanted);
        }
    };
    see(last);
    text.as_chunks().0.iter().for_each(see);
    marked != [0; LANES]
}

/// All bits where `byte` is wanted. Written so that compilers make vectors of many.
#[inline]
fn mark<const N: usize>(byte: u8, wanted: [u8; N]) -> u8 {
    let mut is_wanted = false;
    for one in wanted {
        is_wanted |= byte == one;
    }
    if is_wanted { u8::MAX } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_find_what_a_plain_search_finds(text in "[a-cJ~é]{0,3}[a-cé]{0,60}[a-cJ~é]{0,3}") {
            let bytes = text.as_bytes();
            let has = bytes.iter().any(|byte| matches!(byte, b'J' | b'~'));
            prop_assert_eq!(has_any(bytes, [b'J', b'~']), has);
        }
    }
}
