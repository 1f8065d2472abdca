//! Tokens that a container runtime split with their line, in one piece again.
//!
//! In: lines, some of which are pieces of longer ones (`P` of the kubelet's log, 16 KiB of Docker's json-file).
//! Out: the same lines, each such token moved as a whole to where it begins, so that it is found there.
//! Does not know: what a token is beyond `eyJ`, or what becomes of it.
//! Source: as [`crate::wrappers`], of which only these two split lines.

use std::borrow::Cow;
use std::ops::Range;

/// Lines at the end of a buffer that are looked through for one that goes on behind it.
const LAST_LINES_MAX: usize = 8;

/// A line of a container's log: where what the container wrote stands in it, and whether that goes on in another.
struct Piece<'a> {
    stream: &'a [u8],
    payload: Range<usize>,
    goes_on: bool,
}

/// The piece that a line is, if it is one.
fn piece(line: &[u8]) -> Option<Piece<'_>> {
    of_kubelet(line).or_else(|| of_docker(line))
}

/// `2026-05-04T10:11:12.345678901Z stdout P …`
fn of_kubelet(line: &[u8]) -> Option<Piece<'_>> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let (time, stream, tags) = (words.next()?, words.next()?, words.next()?);
    let goes_on = match tags.split(|byte| *byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    let start = time.len() + stream.len() + tags.len() + 3;
    matches!(stream, b"stdout" | b"stderr").then_some(Piece {
        stream,
        payload: start.min(line.len())..line.len(),
        goes_on,
    })
}

/// `{"log":"…","stream":"stdout","time":"…"}`: what ends a line of the container ends in `\n`.
fn of_docker(line: &[u8]) -> Option<Piece<'_>> {
    const OPENING: &[u8] = br#"{"log":""#;
    const STREAM: &[u8] = br#"","stream":""#;
    let rest = line.strip_prefix(OPENING)?;
    // A quote inside is escaped.
    let length = memchr::memmem::find(rest, STREAM)?;
    let (payload, behind) = rest.split_at_checked(length)?;
    let stream = behind.strip_prefix(STREAM)?;
    Some(Piece {
        stream: stream.split(|byte| *byte == b'"').next()?,
        payload: OPENING.len()..OPENING.len() + length,
        goes_on: !payload.ends_with(br"\n"),
    })
}

/// True for bytes of which tokens consist, also in a URL.
fn is_of_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.=%".contains(byte)
}

/// Where whole lines are best cut: not between two pieces of one.
pub(super) fn end_of_lines(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    let mut continued: Vec<&[u8]> = Vec::new();
    let mut cut = end;
    for _ in 0..LAST_LINES_MAX {
        let Some(line) = bytes.get(..end).and_then(|lines| lines.strip_suffix(b"\n")) else {
            break;
        };
        let start = memchr::memrchr(b'\n', line).map_or(0, |at| at + 1);
        if let Some(piece) = piece(line.get(start..).unwrap_or_default()) {
            if piece.goes_on && !continued.contains(&piece.stream) {
                cut = start;
            }
            continued.push(piece.stream);
        }
        end = start;
    }
    // A line of nothing but pieces does not end in what is held at once.
    if cut == 0 { bytes.len() } else { cut }
}

/// A piece whose line goes on: its stream, where its payload ends, and where the token at the end of that begins.
struct Open<'a> {
    stream: &'a [u8],
    end: usize,
    run: Vec<u8>,
}

/// The lines with each split token where it begins.
pub(super) fn mended(lines: &[u8]) -> Cow<'_, [u8]> {
    let mut open: Vec<Open<'_>> = Vec::new();
    // What is moved, and where to.
    let mut moves: Vec<(usize, Range<usize>)> = Vec::new();
    let mut at = 0;
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let Some(piece) = piece(line) else {
            continue;
        };
        let text = line.get(piece.payload.clone()).unwrap_or_default();
        let head = text.iter().take_while(|byte| is_of_token(byte)).count();
        let payload = start + piece.payload.start..start + piece.payload.end;
        let waits = open.iter().position(|open| open.stream == piece.stream);
        let before = waits.map(|at| open.swap_remove(at));
        if let Some(mut before) = before.filter(|before| !before.run.is_empty()) {
            before
                .run
                .extend_from_slice(text.get(..head).unwrap_or_default());
            if memchr::memmem::find(&before.run, b"eyJ").is_some() && head > 0 {
                moves.push((before.end, payload.start..payload.start + head));
                if piece.goes_on && head == text.len() {
                    open.push(before); // all of it is the token's, which goes on
                    continue;
                }
            }
        }
        if piece.goes_on {
            let tail = text
                .iter()
                .rev()
                .take_while(|byte| is_of_token(byte))
                .count();
            open.push(Open {
                stream: piece.stream,
                end: payload.end,
                run: text.get(text.len() - tail..).unwrap_or_default().to_vec(),
            });
        }
    }
    match moves.is_empty() {
        true => Cow::Borrowed(lines),
        false => Cow::Owned(moved(lines, moves)),
    }
}

/// The bytes with some of them moved forward.
fn moved(lines: &[u8], moves: Vec<(usize, Range<usize>)>) -> Vec<u8> {
    // Each place, with what comes there, or how far what stood there is left out.
    let mut changes: Vec<(usize, Option<Range<usize>>, usize)> = Vec::new();
    for (to, from) in moves {
        changes.push((from.start, None, from.end));
        changes.push((to, Some(from), to));
    }
    changes.sort_by_key(|(at, ..)| *at);
    let mut out = Vec::with_capacity(lines.len());
    let mut copied = 0;
    for (at, comes, goes_on) in changes {
        out.extend_from_slice(lines.get(copied..at).unwrap_or_default());
        out.extend_from_slice(comes.and_then(|from| lines.get(from)).unwrap_or_default());
        copied = goes_on;
    }
    out.extend_from_slice(lines.get(copied..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_split_token_stands_where_it_begins() {
        let time = "2026-05-04T10:11:12.345678901Z";
        for (pieces, whole) in [
            (
                ["GET /?t=eyJab", "c.d.e HTTP/1.1"],
                ["GET /?t=eyJabc.d.e", " HTTP/1.1"],
            ),
            (
                ["GET /?t=e", "yJabc.d.e HTTP/1.1"],
                ["GET /?t=eyJabc.d.e", " HTTP/1.1"],
            ),
            (
                ["GET /?t=eyJabc.d.e ", "HTTP/1.1"],
                ["GET /?t=eyJabc.d.e ", "HTTP/1.1"],
            ),
            (
                ["GET /?t=abc", "def HTTP/1.1"],
                ["GET /?t=abc", "def HTTP/1.1"],
            ),
            (["", "eyJabc.d.e"], ["", "eyJabc.d.e"]),
        ] {
            let kubelet = |[first, last]: [&str; 2]| {
                format!("{time} stdout P {first}\n{time} stderr F other\n{time} stdout F {last}\n")
            };
            assert_eq!(text(&mended(kubelet(pieces).as_bytes())), kubelet(whole));
            let docker = |[first, last]: [&str; 2]| {
                let ends = format!(r#"","stream":"stdout","time":"{time}"}}"#);
                format!("{{\"log\":\"{first}{ends}\n{{\"log\":\"{last}\\n{ends}\n")
            };
            assert_eq!(text(&mended(docker(pieces).as_bytes())), docker(whole));
        }
    }

    #[test]
    fn a_token_over_three_pieces_is_one_again() {
        let lines = "T stdout P a eyJ\nT stdout P abc\nT stdout F .d.e f\n";
        let whole = "T stdout P a eyJabc.d.e\nT stdout P \nT stdout F  f\n";
        assert_eq!(text(&mended(lines.as_bytes())), whole);
    }

    #[test]
    fn lines_are_not_parted_from_what_they_go_on_with() {
        for (lines, end) in [
            ("T stdout F a\nT stdout P b\n", 13),
            ("T stdout F a\nT stdout P b\nT stderr F c\n", 13),
            ("T stdout P a\nT stdout F b\n", 26),
            ("T stdout P a\n", 13),
            ("a\nb\n", 4),
            ("", 0),
        ] {
            assert_eq!(end_of_lines(lines.as_bytes()), end, "{lines}");
        }
    }
}
