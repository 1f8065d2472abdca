//! What commands print of containers' logs: `docker compose logs`, `docker logs --timestamps`, and `kubectl logs` with
//! `--prefix` or `--timestamps`.
//!
//! In: a line. Out: the container's line, with the time before it where there is one.
//! Does not know: colours, which these commands leave out of a pipe; several pods in one stream need no telling apart.
//! Source: Docker, "docker compose logs" (`web-1  | line`), "docker logs" (RFC3339Nano); Kubernetes, "kubectl logs".

use super::{Around, Entry, Wrapper, stamp};
use crate::domain::time::Time;

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "console",
    about: "docker compose logs, docker logs --timestamps, kubectl logs --prefix",
    peel,
};

/// Container names are shorter.
const NAME_BYTES_MAX: usize = 128;

/// A fraction of fewer digits may be a gateway's own; kubectl cuts the zeros of nanoseconds.
const FRACTION_DIGITS_MIN: usize = 7;

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    let named = compose(line).or_else(|| pod(line));
    let text = named.unwrap_or(line);
    let stamped = stamped(text);
    let known = named.is_some() || stamped.is_some();
    if known {
        let (written, text) = stamped.map_or((None, text), |(time, text)| (Some(time), text));
        entries.push(Entry::whole(text, written));
    }
    known
}

/// `web-1  | line`: names are filled up with spaces to the longest.
fn compose(line: &str) -> Option<&str> {
    let (name, text) = line.split_once('|')?;
    let padded = name.strip_suffix(' ')?.trim_end_matches(' ');
    is_name(padded).then(|| text.strip_prefix(' ').unwrap_or(text))
}

/// `[pod/web-5d8/nginx] line`.
fn pod(line: &str) -> Option<&str> {
    let (name, text) = line.strip_prefix("[pod/")?.split_once("] ")?;
    name.split('/').all(is_name).then_some(text)
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_part)
}

/// `2026-05-04T10:11:12.345678901Z line`.
fn stamped(text: &str) -> Option<(Time, &str)> {
    let (stamp, text) = text.split_once(' ')?;
    let (_, fraction) = stamp.split_once('.')?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let time = stamp::rfc3339(stamp).filter(|_| digits >= FRACTION_DIGITS_MIN)?;
    Some((time, text))
}
