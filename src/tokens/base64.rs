//! Base64url as RFC 7515 wants it, and as lenient servers take it.
//!
//! In: one part of a token. Out: its bytes.
//! Does not know: what the bytes mean.
//! Source: RFC 4648, sections 3.5, 4 and 5; RFC 7515, section 2.

use data_encoding::{BASE64URL_NOPAD, Encoding, Specification};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Takes the other alphabet and bits that the last character does not need. Servers that take them
/// too would let a token pass under another spelling, so every spelling must give the same bytes,
/// and with them the same id.
static LAX: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    specification.translate.from.push_str("+/");
    specification.translate.to.push_str("-_");
    specification.check_trailing_bits = false;
    specification.encoding().unwrap_or(BASE64URL_NOPAD)
});

/// The bytes of a part in any spelling a server may take: either alphabet, with or without padding.
/// No white space.
pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    strict(part).or_else(|| LAX.decode(part.trim_end_matches('=').as_bytes()).ok())
}

/// The bytes of a part in the one spelling of RFC 7515.
pub(super) fn strict(part: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(part.as_bytes()).ok()
}

/// The one spelling of what `part` holds; borrowed when it is spelled so already.
pub(super) fn respelled(part: &str) -> Option<Cow<'_, str>> {
    if strict(part).is_some() {
        return Some(Cow::Borrowed(part));
    }
    Some(Cow::Owned(BASE64URL_NOPAD.encode(&decode(part)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_gives_the_same_bytes() {
        let bytes = Some(vec![0xfb, 0xff, 0xbe, 0x01]);
        for spelling in ["-_--AQ", "+/++AQ", "-_--AQ==", "+/++AR=", "-_--AX"] {
            assert_eq!(decode(spelling), bytes, "{spelling}");
            assert_eq!(respelled(spelling).as_deref(), Some("-_--AQ"));
        }
        assert_eq!(strict("-_--AX"), None);
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["A", "AB CD", "AB\nCD", "A=BC", "\u{e9}", "AB*D"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
