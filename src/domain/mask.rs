//! Hides tokens in text that is about to be shown.
//!
//! In: any text that came from a log. Out: the same text with every run that could be a JWT
//! replaced by `[token]`, or where those runs are.
//! Does not know: whether a run is a whole or a valid token. It hides too much rather than too
//! little: cut tokens, padded and percent-encoded ones, and whatever is glued to their end.
//! Source: RFC 7519, section 3; RFC 4648, sections 4 and 5.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

/// What stands in place of a token.
const MASK: &str = "[token]";

/// A run this long after the first three letters is hidden: shorter ones hold no secret and may be
/// a word.
const RUN_LENGTH_MIN: usize = 8;

/// Fewer bytes are never taken for a token.
pub const TOKEN_BYTES_MIN: usize = 3 + RUN_LENGTH_MIN;

/// Characters of a token that are compared together: two registers of the smallest processor.
const PLAIN_AT_ONCE: usize = 32;

/// The text with every run that could be a token replaced by `[token]`; borrowed when there is
/// none.
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut runs = runs(text).peekable();
    if runs.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut shown_to = 0;
    for run in runs {
        // A run begins and ends with ASCII, so the slices are there.
        masked.push_str(text.get(shown_to..run.start).unwrap_or_default());
        masked.push_str(MASK);
        shown_to = run.end;
    }
    masked.push_str(text.get(shown_to..).unwrap_or_default());
    Cow::Owned(masked)
}

/// Where the runs that could be tokens stand, in order and apart from each other. Each is longer
/// than a token where characters that a token may have follow it at once.
pub fn runs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    runs_in_bytes(text.as_bytes(), RUN_LENGTH_MIN)
}

/// The same for bytes of any kind, and for runs that go on for at least `length_min` after their first three letters.
pub fn runs_in_bytes(bytes: &[u8], length_min: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut from = 0;
    iter::from_fn(move || {
        // Every opening has `y` or `w` second, which are rarer in logs than the `e` before them.
        while let Some(at) = memchr::memchr2(b'y', b'w', bytes.get(from..)?) {
            let second = from + at;
            from = second + 1;
            let Some(start) = second.checked_sub(1) else {
                continue;
            };
            if let Some(end) =
                opening(bytes, start).and_then(|opening| opening.end(bytes, start, length_min))
            {
                from = end;
                return Some(start..end);
            }
        }
        None
    })
}

/// How the base64url of a JSON object can begin.
#[derive(Clone, Copy)]
enum Opening {
    /// `{"` and a letter, as practically every header and payload does.
    Letter,
    /// White space after the brace, or a member name that begins with a digit. `key`, `they` and
    /// `view` end like this, so it counts only where a word begins and when two parts are long.
    Rare,
}

fn opening(bytes: &[u8], start: usize) -> Option<Opening> {
    match bytes.get(start..start + 3)? {
        b"eyJ" => Some(Opening::Letter),
        b"eyA" | b"eyI" | b"ewo" | b"ew0" | b"ewk" if begins_word(bytes, start) => {
            Some(Opening::Rare)
        }
        _ => None,
    }
}

/// True unless a letter or digit stands before; those of a percent-encoded byte do not count.
fn begins_word(bytes: &[u8], start: usize) -> bool {
    match bytes.get(..start).unwrap_or_default() {
        [.., b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => true,
        [.., before] => !before.is_ascii_alphanumeric(),
        [] => true,
    }
}

impl Opening {
    /// Where the run that began at `start` ends, if it is to be hidden.
    fn end(self, bytes: &[u8], start: usize, length_min: usize) -> Option<usize> {
        let run = bytes.get(start..)?;
        let length = run_length(run);
        let hidden = match self {
            Self::Letter => length >= 3 + length_min,
            Self::Rare => long_parts(run.get(..length)?) >= 2,
        };
        hidden.then_some(start + length)
    }
}

/// How long the characters of a token go on.
fn run_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let rest = bytes.get(length..).unwrap_or_default();
        let plain = plain_length(rest);
        length += plain;
        match rest.get(plain..).and_then(unit) {
            Some(escaped) => length += escaped.length,
            None => return length,
        }
    }
}

/// True for a text of nothing but characters of a token, as they are.
pub fn is_plain_run(bytes: &[u8]) -> bool {
    plain_length(bytes) == bytes.len()
}

/// How many characters of a token stand there as they are. Tokens are long: most are compared many at a time.
fn plain_length(bytes: &[u8]) -> usize {
    let all_plain =
        |chunk: &&[u8; PLAIN_AT_ONCE]| chunk.iter().fold(true, |all, b| all & is_plain(*b));
    let (chunks, _) = bytes.as_chunks();
    let length = chunks.iter().take_while(all_plain).count() * PLAIN_AT_ONCE;
    let rest = bytes.get(length..).unwrap_or_default();
    length + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

/// Base64 of either alphabet, padding, or a dot: comparisons without branches, so that a compiler can make many of
/// them one.
fn is_plain(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit_or_near = byte.wrapping_sub(b'-') <= b'9' - b'-'; // `-`, `.`, `/` and the digits
    is_letter | is_digit_or_near | (byte == b'_') | (byte == b'=') | (byte == b'+')
}

/// Parts between dots, of a run of token characters, that are long enough to hold something.
fn long_parts(run: &[u8]) -> usize {
    let (mut at, mut part_length, mut long) = (0, 0, 0);
    while let Some(unit) = run.get(at..).and_then(unit) {
        at += unit.length;
        part_length = if unit.dot { 0 } else { part_length + 1 };
        long += usize::from(part_length == RUN_LENGTH_MIN);
    }
    long
}

/// One character of a token as written.
struct Unit {
    length: usize,
    dot: bool,
}

/// The token character that `rest` begins with: base64 of either alphabet, padding, a dot, or one
/// of these percent-encoded once or several times, or escaped by its code as in JSON (`\u002e`) or in nginx (`\x2E`).
fn unit(rest: &[u8]) -> Option<Unit> {
    let (&first, mut after) = rest.split_first()?;
    if first == b'\\' {
        let code = match after {
            [b'u' | b'U', b'0', b'0', a, b, ..] | [b'x' | b'X', a, b, ..] => [*a, *b],
            _ => return None,
        };
        let length = if matches!(after, [b'u' | b'U', ..]) {
            6
        } else {
            4
        };
        return of_code(code, length);
    }
    if first != b'%' {
        return is_plain(first).then_some(Unit {
            length: 1,
            dot: first == b'.',
        });
    }
    while let Some(again) = after.strip_prefix(b"25") {
        after = again;
    }
    let [a, b, ..] = *after else { return None };
    of_code([a, b], rest.len() - after.len() + 2)
}

/// The punctuation of tokens by its code in ASCII, in two hexadecimal digits.
fn of_code(code: [u8; 2], length: usize) -> Option<Unit> {
    let code = code.map(|digit| digit.to_ascii_uppercase());
    let is_token = matches!(&code, b"2E" | b"2D" | b"5F" | b"3D" | b"2B" | b"2F");
    is_token.then_some(Unit {
        length,
        dot: code == *b"2E",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

    fn check(text: &str, masked: &str) {
        assert_eq!(mask(text), masked);
    }

    #[test]
    fn what_is_shorter_than_a_token_is_none() {
        let token = &TOKEN[..TOKEN_BYTES_MIN];
        assert_eq!(runs(token).count(), 1);
        assert_eq!(runs(&token[1..]).count(), 0);
        assert_eq!(runs(&token[..TOKEN_BYTES_MIN - 1]).count(), 0);
    }

    #[test]
    fn a_token_is_hidden_wherever_it_stands() {
        check(&format!("Bearer {TOKEN}"), "Bearer [token]");
        check(
            &format!("/a?t={TOKEN}&b=1 {TOKEN}"),
            "/a?t=[token]&b=1 [token]",
        );
        check(&format!("\u{e9}{TOKEN}\u{e9}"), "\u{e9}[token]\u{e9}");
        check(&format!("x{TOKEN}"), "x[token]");
    }

    #[test]
    fn encoded_padded_and_cut_tokens_are_hidden_too() {
        check(&format!("t={}", TOKEN.replace('.', "%2E")), "t=[token]");
        check(&format!("t={};", TOKEN.replace('.', "%252e")), "t=[token];");
        check("eyJhbGciOiJIUzI1NiJ9==.eyJ+/", "[token]");
        check(&TOKEN.replace('.', r"\u002e"), "[token]");
        check(
            &format!(r"\x22{}\x22", TOKEN.replace('.', r"\x2E")),
            r"\x22[token]\x22",
        );
        check("eyJhbGciOiJI", "[token]");
        check("ewogICJhbGciOiAibm9uZSJ9.ewogICJzdWIiOjF9.", "[token]");
        check("t%3DeyAiYWxnIjoibm9uZSJ9.eyAic3ViIjoxfQ", "t%3D[token]");
    }

    #[test]
    fn words_and_cut_beginnings_stay_and_cost_no_allocation() {
        for text in [
            "",
            "ey",
            "eyJ",
            "eyJhbGc \u{2026}",
            "they key keyAccount.monkeyIsland",
            "%",
            "eyJ%",
        ] {
            assert!(matches!(mask(text), Cow::Borrowed(shown) if shown == text));
        }
    }

    fn is_token_character(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || b"-_.=+/".contains(&byte)
    }

    #[test]
    fn every_byte_is_told_apart_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_plain(byte), is_token_character(byte), "{byte:#x}");
            for at in 0..2 * PLAIN_AT_ONCE + 2 {
                let mut bytes = vec![b'a'; 2 * PLAIN_AT_ONCE + 2];
                bytes[at] = byte;
                let length = if is_plain(byte) { bytes.len() } else { at };
                assert_eq!(plain_length(&bytes), length, "{byte:#x} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_beginning_of_a_token_survives(
            text in r"(eyJ|ey|J|[A-Za-z0-9_.%=+/ -]{0,9}|%2[eE]|\PC{0,3}){0,12}"
        ) {
            let masked = mask(&text);
            let survives = masked.as_bytes().windows(3 + RUN_LENGTH_MIN).any(|window| {
                window.starts_with(b"eyJ") && window[3..].iter().all(|b| is_token_character(*b))
            });
            prop_assert!(!survives, "{masked}");
        }
    }
}
