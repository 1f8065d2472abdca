//! Syslog: `<134>May  4 10:11:12 host nginx: line` and `<134>1 2026-05-04T10:11:12Z host nginx 7 - - line`.
//!
//! In: a message as it was sent, or as a daemon wrote it to a file (without `<134>`, perhaps with an RFC 3339 time, as
//! rsyslog does by default). Out: the text behind the header.
//! Does not know: facilities, structured data, or how messages are framed on a wire.
//! Source: RFC 3164, section 4; RFC 5424, section 6; HAProxy's `format short` is a priority and the text.

use super::{Around, Entry, Wrapper, stamp};
use crate::domain::clock::Clock;
use crate::domain::time::Time;

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "syslog",
    about: "RFC 3164 and RFC 5424, as sent or as rsyslog and syslog-ng store them",
    peel,
};

fn peel<'a>(line: &'a str, around: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    let entry = match priority(line) {
        Some(rest) => Some(
            rfc5424(rest)
                .or_else(|| rfc3164(rest, around.clock))
                .unwrap_or((None, rest)),
        ),
        None => stored(line, around.clock),
    };
    let known = entry.is_some();
    entries.extend(entry.map(|(written, text)| Entry::whole(text, written)));
    known
}

/// What follows `<0>` to `<191>`.
fn priority(line: &str) -> Option<&str> {
    let (digits, rest) = line.strip_prefix('<')?.split_once('>')?;
    let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (plain && digits.parse::<u16>().ok()? <= 191).then_some(rest)
}

type Message<'a> = (Option<Time>, &'a str);

/// Behind the priority: version, time, host, application, process, message id, structured data, message.
fn rfc5424(text: &str) -> Option<Message<'_>> {
    let rest = text.strip_prefix("1 ")?;
    let (time, mut rest) = rest.split_once(' ')?;
    let written = match time {
        "-" => None,
        time => Some(stamp::rfc3339(time)?),
    };
    let mut bare = false;
    for _ in 0..4 {
        let (word, behind) = rest.split_once(' ')?;
        (bare, rest) = (word == "-", behind);
    }
    // Heroku's drains have no structured data, and nothing in its place.
    let rest = after_structured_data(rest).or_else(|| bare.then_some(rest))?;
    let text = rest.strip_prefix(' ').unwrap_or(rest);
    Some((written, text.strip_prefix('\u{feff}').unwrap_or(text)))
}

/// Behind `-` or `[id name="value"]…`; inside quotes a backslash hides `"`, `\` and `]`.
fn after_structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest);
    }
    let mut rest = text;
    while rest.starts_with('[') {
        rest = rest.get(end_of_element(rest)?..)?;
    }
    (rest.len() < text.len()).then_some(rest)
}

fn end_of_element(text: &str) -> Option<usize> {
    let (mut quoted, mut hidden) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if hidden => hidden = false,
            b'\\' if quoted => hidden = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Behind the priority: time, perhaps a host, perhaps a tag, message.
fn rfc3164<'a>(text: &'a str, clock: &Clock) -> Option<Message<'a>> {
    let (written, rest) = stamp::rfc3164(text, clock).or_else(|| iso(text))?;
    Some((Some(written), after_tag(rest).unwrap_or(rest)))
}

fn iso(text: &str) -> Option<(Time, &str)> {
    let (time, rest) = text.split_once(' ')?;
    let precise = time.len() >= "2026-05-04T10:11:12Z".len();
    Some((stamp::rfc3339(time).filter(|_| precise)?, rest))
}

/// Without a priority only host and tag tell a stored message from a line that begins with its time.
fn stored<'a>(line: &'a str, clock: &Clock) -> Option<Message<'a>> {
    let (written, rest) = stamp::rfc3164(line, clock).or_else(|| iso(line))?;
    // `heroku logs` names the process alone.
    if rest
        .split(' ')
        .next()
        .is_some_and(|word| word.ends_with("]:"))
    {
        return Some((Some(written), tagged(rest)?));
    }
    let (host, rest) = rest.split_once(' ')?;
    if host.is_empty() || host.starts_with(['"', '[', '{']) {
        return None;
    }
    // rsyslog leaves two spaces where a message has no tag, as Fastly's have none.
    let untagged = || {
        rest.strip_prefix(' ')
            .filter(|text| text.trim_start().starts_with('{'))
    };
    Some((Some(written), tagged(rest).or_else(untagged)?))
}

/// Behind `tag: ` or `host tag: `: nginx with `nohostname` and HAProxy without `log-send-hostname` name no host.
fn after_tag(text: &str) -> Option<&str> {
    tagged(text).or_else(|| {
        let (host, rest) = text.split_once(' ')?;
        let plain = !host.starts_with(['"', '[', '{']);
        plain.then(|| tagged(rest).unwrap_or(rest))
    })
}

/// Behind `nginx: ` or `haproxy[123]: `. An address that a line may begin with is no tag: behind its colons there is
/// no space.
fn tagged(text: &str) -> Option<&str> {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/');
    let name = text.bytes().take_while(|b| is_part(b)).count();
    let rest = text.get(name..).filter(|_| (1..=64).contains(&name))?;
    let rest = match rest.strip_prefix('[') {
        Some(rest) => {
            let process = rest.bytes().take_while(is_part).count();
            rest.get(process..)?.strip_prefix(']')?
        }
        None => rest,
    };
    let rest = rest.strip_prefix(':')?;
    match rest.strip_prefix(' ') {
        Some(text) => Some(text),
        None => rest.is_empty().then_some(rest),
    }
}
