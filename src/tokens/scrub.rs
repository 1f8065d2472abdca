//! Takes the tokens out of a line of any log, whether or not it parses.
//!
//! In: the bytes of a line. Out: the same bytes, each token replaced by its ids ([`Scrubbed`]) and whatever only looks
//! like one by `~x-` and a hash. No `eyJ` is left.
//! Does not know: formats, so it goes by what stands around a token: in a path or query a slash ends it, elsewhere it
//! may be part of it.
//! Source: as [`crate::domain::mask`]; the pieces of split cookies as in [`super::pairs`].

use super::decode::decode_raw;
use super::locate::token_in;
use super::pairs::Split;
use crate::domain::ids::IdKey;
use crate::domain::mask::runs_in_bytes;
use crate::domain::scrubbed::Scrubbed;
use crate::domain::token::CredentialPlace;
use std::borrow::Cow;
use std::ops::Range;

/// How far before a token the beginning of its URL is looked for. Longer segments before a token are rare, and then
/// what follows a slash is only hidden too.
const URL_BYTES_MAX: usize = 256;

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubs {
    /// Tokens, replaced by their ids.
    pub tokens: u64,
    /// Cut or broken ones, and what only begins like one: replaced by a hash.
    pub remains: u64,
}

/// One place in a line, and what it shall hold.
struct Change {
    range: Range<usize>,
    /// `None` for the further piece of a split cookie, whose first piece has the ids.
    ids: Option<Result<Scrubbed, u128>>,
}

/// Adds `line` to `out` without its tokens.
pub fn scrub(line: &[u8], key: &IdKey, out: &mut Vec<u8>) -> Scrubs {
    let mut scrubs = Scrubs::default();
    // What is shorter than a token holds no secret, but then nobody could check by looking for `eyJ`.
    let mut runs = runs_in_bytes(line, 0).peekable();
    if runs.peek().is_none() {
        out.extend_from_slice(line);
        return scrubs;
    }
    let mut changes = Vec::new();
    for run in runs {
        changes.extend(change(line, run, key));
    }
    changes.sort_by_key(|change| (change.range.start, change.ids.is_some()));
    let mut copied = 0;
    for change in changes {
        if change.range.start < copied {
            continue; // inside a piece of a cookie that is gone already
        }
        out.extend_from_slice(line.get(copied..change.range.start).unwrap_or_default());
        copied = change.range.end;
        match change.ids {
            Some(Ok(ids)) => {
                scrubs.tokens += 1;
                out.extend_from_slice(ids.to_string().as_bytes());
            }
            Some(Err(hash)) => {
                scrubs.remains += 1;
                out.extend_from_slice(format!("~x-{hash:020x}").as_bytes());
            }
            None => out.push(b'~'),
        }
    }
    out.extend_from_slice(line.get(copied..).unwrap_or_default());
    scrubs
}

/// What becomes of one run: nearly always one change.
fn change(line: &[u8], run: Range<usize>, key: &IdKey) -> Vec<Change> {
    let in_url = stands_in_url(line, run.start);
    let end = match in_url {
        true => memchr::memchr(b'/', &line[run.clone()]).map_or(run.end, |at| run.start + at),
        false => run.end,
    };
    let range = run.start..end;
    let mut text = unescaped(&line[range.clone()]);
    let pieces = cookie_pieces(line, &range);
    // As far as none is missing; those after a gap are a secret, too.
    for piece in pieces.iter().map_while(Option::as_ref) {
        text.push_str(&String::from_utf8_lossy(&line[piece.clone()]));
    }
    let place = match in_url {
        true => CredentialPlace::Path,
        false => CredentialPlace::Field,
    };
    let token = token_in(Cow::Borrowed(&text), place);
    let token = token.and_then(|token| decode_raw(&token, key).ok());
    let ids = token.map(|token| Scrubbed::of(&token));
    let hash = || key.hash("remains of a token", &[text.as_bytes()]) >> 48;
    let first = Change {
        range,
        ids: Some(ids.ok_or_else(hash)),
    };
    let further = pieces
        .into_iter()
        .flatten()
        .map(|range| Change { range, ids: None });
    std::iter::once(first).chain(further).collect()
}

/// True when a path or query goes on until the token.
fn stands_in_url(line: &[u8], start: usize) -> bool {
    let before = &line[start.saturating_sub(URL_BYTES_MAX)..start];
    let ends = |byte: &u8| {
        matches!(
            byte,
            b' ' | b'\n' | b'"' | b'\'' | b';' | b',' | b'\t' | b'|'
        )
    };
    let mut back = before.iter().rev().take_while(|byte| !ends(byte));
    back.any(|byte| matches!(byte, b'/' | b'?' | b'&'))
}

/// A run without the escapes of JSON and nginx; those of URLs are [`token_in`]'s.
fn unescaped(run: &[u8]) -> String {
    let text = String::from_utf8_lossy(run);
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // The run holds whole escapes of ASCII alone: `u002E` or `x2E`.
        let digits = if part.starts_with(['u', 'U']) {
            3..5
        } else {
            1..3
        };
        let code = part
            .get(digits.clone())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.extend(code.map(char::from));
        plain.push_str(part.get(digits.end..).unwrap_or_default());
    }
    plain
}

/// Where the other pieces stand of a cookie that was split, if `first` is the value of the first.
fn cookie_pieces(line: &[u8], first: &Range<usize>) -> Vec<Option<Range<usize>>> {
    let Some(before) = line[..first.start].strip_suffix(b"=") else {
        return Vec::new();
    };
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let name_length = before.iter().rev().take_while(in_name).count();
    let name = str::from_utf8(&before[before.len() - name_length..]);
    let Some(split) = name.ok().and_then(Split::of) else {
        return Vec::new();
    };
    // The pieces come in any order.
    let start = memchr::memrchr2(b'"', b'\\', before).map_or(0, |at| at + 1);
    let end = memchr::memchr2(b'"', b'\\', &line[first.end..]);
    let header = start..end.map_or(line.len(), |at| first.end + at);
    let Ok(text) = str::from_utf8(&line[header.clone()]) else {
        return Vec::new();
    };
    let in_line = |piece: Range<usize>| start + piece.start..start + piece.end;
    let pieces = split.pieces(text).into_iter().skip(1);
    pieces.map(|piece| piece.map(in_line)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::mint::{mint, unsigned};
    use super::*;
    use crate::domain::event::{AccessEvent, Carrier, CarrierKind};
    use crate::domain::token::Token;
    use crate::tokens::decode::decode;
    use crate::tokens::locate::locate;
    use proptest::prelude::*;
    use serde_json::json;

    fn key() -> IdKey {
        IdKey::public([3; 32])
    }

    fn token() -> String {
        mint(
            &json!({"iss": "https://idp.example.com/", "sub": "alice", "sid": "s"}),
            "ed25519",
        )
    }

    fn scrubbed(line: &str) -> (String, Scrubs) {
        let mut out = Vec::new();
        let scrubs = scrub(line.as_bytes(), &key(), &mut out);
        (String::from_utf8(out).unwrap(), scrubs)
    }

    fn ids() -> String {
        scrubbed(&token()).0
    }

    /// The token in a field of that kind, as the engine would see it.
    fn seen(kind: CarrierKind, text: &str) -> Vec<Token> {
        let carrier = Carrier {
            kind,
            name: "x".into(),
            text: text.into(),
        };
        let mut event = AccessEvent {
            carriers: [carrier].into_iter().collect(),
            ..AccessEvent::default()
        };
        let found = locate(&mut event, &key());
        let tokens = found.iter().filter_map(|one| decode(one, &key()).ok());
        tokens.collect()
    }

    #[test]
    fn a_token_becomes_its_ids_wherever_it_stands() {
        let (token, ids) = (token(), ids());
        for (before, after) in [
            (r#"{"http_authorization":"Bearer "#, r#"","status":200}"#),
            ("GET /a?t=", "&b=1 HTTP/1.1"),
            ("GET /files/", "/next/segment?c=d HTTP/1.1"),
            (r"\x22", r"\x22 200"),
            ("no line at all ", ""),
            (r#"{"body":"{\"t\":\""#, r#"\"}"}"#),
        ] {
            let (line, scrubs) = scrubbed(&format!("{before}{token}{after}"));
            assert_eq!(line, format!("{before}{ids}{after}"));
            assert_eq!(
                scrubs,
                Scrubs {
                    tokens: 1,
                    remains: 0
                }
            );
        }
    }

    #[test]
    fn every_spelling_of_a_token_gives_the_same_ids() {
        let token = token();
        let cut = token.rsplit_once('.').unwrap().0.to_owned();
        for spelling in [
            cut.clone(),
            format!("{cut}."),
            format!("{token}="),
            token.replace('.', "%2E"),
            token.replace('.', "%252e"),
            token.replace('.', r"\u002e"),
            token.replace('.', r"\x2E"),
            format!("{token}.cookie_signature"),
        ] {
            assert_eq!(scrubbed(&spelling).0, ids(), "{spelling}");
        }
    }

    #[test]
    fn a_split_cookie_is_one_token_and_nothing_of_its_pieces_is_left() {
        let token = token();
        let (a, b) = token.split_at(60);
        let (b, c) = b.split_at(70);
        let ids = ids();
        for end in ["", "; last=1", "\" 200"] {
            let line = format!("a=b; session.0={a}; z=1; session.1={b}; session.2={c}{end}");
            let expected = format!("a=b; session.0={ids}; z=1; session.1=~; session.2=~{end}");
            assert_eq!(scrubbed(&line).0, expected);
            let line = format!("200 nC2={b}; z=1; nC1={a}; nC3={c}{end}");
            let expected = format!("200 nC2=~; z=1; nC1={ids}; nC3=~{end}");
            assert_eq!(scrubbed(&line).0, expected);
            let missing = scrubbed(&format!("s-2={c}; s-0={a}{end}"));
            assert!(missing.0.starts_with("s-2=~; s-0=~x-"), "{}", missing.0);
        }
    }

    #[test]
    fn the_engine_sees_the_token_session_and_subject_that_it_saw_before() {
        let token = token();
        for (kind, before) in [
            (CarrierKind::Header, "Bearer "),
            (CarrierKind::Header, ""),
            (CarrierKind::Cookie, "a=b; t="),
            (CarrierKind::Field, "x "),
        ] {
            let raw = seen(kind, &format!("{before}{token}"));
            let after = seen(kind, &scrubbed(&format!("{before}{token}")).0);
            let names = |tokens: &[Token]| {
                let one = |token: &Token| (token.id, token.session, token.subject);
                tokens.iter().map(one).collect::<Vec<_>>()
            };
            assert_eq!(after.len(), 1, "{kind:?} {before}");
            assert_eq!(names(&raw), names(&after), "{kind:?} {before}");
        }
    }

    #[test]
    fn what_only_begins_like_a_token_is_hidden_and_is_no_token() {
        let whole = unsigned(&json!({"alg": "HS256"}), &json!({"sub": "alice"}));
        for text in [
            "eyJ",
            "eyJhbGc…",
            "keyJob",
            "eyJhbGciOiJI",
            &whole[..whole.len() - 9],
        ] {
            let (line, scrubs) = scrubbed(&format!("Bearer {text}"));
            assert!(!line.contains("eyJ") && line.contains("~x-"), "{line}");
            assert_eq!(
                scrubs,
                Scrubs {
                    tokens: 0,
                    remains: 1
                }
            );
            assert!(seen(CarrierKind::Header, &line).is_empty());
        }
    }

    #[test]
    fn scrubbing_twice_changes_nothing_more() {
        let once = scrubbed(&format!("GET /?t={} eyJhb", token())).0;
        assert_eq!(scrubbed(&once), (once.clone(), Scrubs::default()));
    }

    proptest! {
        #[test]
        fn no_beginning_of_a_token_survives_and_no_bytes_panic(
            line in r#"(eyJ|eyA|\\u002e|%2E|\.0=|\.1=|; |[A-Za-z0-9_.%=+/" -]{0,9}|\PC{0,3}){0,20}"#,
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = &line.as_bytes()[cut.index(line.len() + 1)..];
            let mut out = Vec::new();
            scrub(bytes, &key(), &mut out);
            prop_assert!(memchr::memmem::find(&out, b"eyJ").is_none());
        }
    }
}
