//! Access lines of a layout that nobody described: a time, a request in quotes, and a status behind it.
//!
//! In: a line. Out: [`AccessEvent`] with what stands where nearly everybody puts it: host, client and user before the
//! request, bytes, referer and user agent behind the status.
//! Does not know: where a time that is not there comes from; requests without quotes; whether the last value of a line
//! was cut, where no quotes stand round it.
//! Source: what nginx, Apache, lighttpd, Tomcat, uvicorn, Werkzeug, cPanel and others write after small changes: tabs
//! or several spaces, a time with fractions or as in RFC 3339, fields between the time and the request.
//!
//! The first time is taken, and the first request: what a client can choose stands behind them, but for a user's name.

use super::client_address::parse_hop;
use super::combined::Who;
use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::search::{first, first_of, first_where, split_at_first};
use super::text::{is_escaped, split_request, unescape};
use super::{Format, LineFormat, time};
use crate::domain::clock::Stamp;
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use crate::domain::time::Time;
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "loose",
    aliases: &["uvicorn", "werkzeug", "lighttpd", "cpanel"],
    about: "any line with a time, then a \"request\" in quotes, and a status behind it",
    open: |_| Arc::new(Anything),
};

struct Anything;

/// Quotes, brackets and words that are looked at for the beginning of a request and for a time.
const TRIES_MAX: usize = 8;

/// The longest stamp that anybody writes.
const TIME_BYTES_MAX: usize = 40;

/// Values behind the status that are looked at.
const VALUES_MAX: usize = 32;

/// A part of the line.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    quoted: bool,
    /// Where it begins, with what is around it.
    start: usize,
    /// Where the line goes on.
    end: usize,
}

/// A part of the line that is a time, as it was read.
type Moment<'a> = (Part<'a>, (Time, Stamp));

impl LineFormat for Anything {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let time = time_in_brackets(line).or_else(|| time_in_words(line));
        let from = time.map_or(0, |(time, _)| time.end);
        let request = request(line, from).ok_or(SkipReason::Malformed)?;
        let behind = line.get(request.end..).unwrap_or_default();
        if time_in_brackets(behind).is_some() || holds_request(request.text) {
            return Err(SkipReason::Malformed); // two lines, torn
        }
        let mut loose = Loose(Fields::new(line, event));
        if let Some((_, read)) = time {
            loose.0.set_time(read);
        }
        loose.who(line, time.map(|(time, _)| time), request.start);
        loose.set(Slot::Request, request);
        loose.answer(line, request.end);
        loose.0.finish()
    }
}

struct Loose<'e, 'a>(Fields<'e, 'a>);

impl<'a> Loose<'_, 'a> {
    fn set(&mut self, slot: Slot, part: Part<'a>) {
        let text = match slot {
            Slot::Request => Cow::Borrowed(part.text),
            _ => unescape(part.text),
        };
        let at = part.start + usize::from(part.quoted);
        self.0.set(Meaning::of(slot), || "extra".into(), at, text);
    }

    /// Host, client and user: before the time, else between it and the request. S3 names the owner and the bucket
    /// first, and whose address it was behind the time.
    fn who(&mut self, line: &'a str, time: Option<Part<'a>>, request: usize) {
        let (start, end) = time.map_or((request, request), |time| (time.start, time.end));
        let sides = [line.get(..start), line.get(end..request)].into_iter();
        let mut said = sides
            .flatten()
            .map(str::trim_ascii)
            .filter(|side| !side.is_empty());
        let (first, second) = (said.next().unwrap_or_default(), said.next());
        let begins = |side: &&str| side.split(' ').next().and_then(parse_hop).is_some();
        let names = |side: &str| {
            side.split([' ', '\t', ','])
                .take(TRIES_MAX)
                .any(|word| parse_hop(word).is_some())
        };
        let said = second
            .filter(begins)
            .filter(|_| !names(first))
            .unwrap_or(first);
        if memchr(b'\t', said.as_bytes()).is_none() {
            return self.set_who(Who::of(said), Cow::Borrowed);
        }
        let words: Vec<&str> = said.split_ascii_whitespace().take(TRIES_MAX).collect();
        self.set_who(Who::of(&words.join(" ")), |text| text.to_owned().into());
    }

    fn set_who<'t>(&mut self, who: Who<'t>, keep: impl Fn(&'t str) -> Cow<'a, str>) {
        if let Some(address) = who.address {
            self.0.set_remote(address);
        }
        for (slot, text) in [
            (Slot::Host, who.host.unwrap_or_default()),
            (Slot::Remote, who.address.map_or(who.client, |_| "")),
            (Slot::Chain, who.chain),
            (Slot::User, who.user.trim_matches(['-', ' ', '"'])),
        ] {
            self.0
                .set(Meaning::of(slot), || "extra".into(), 0, keep(text));
        }
    }

    /// Status, bytes, referer, user agent, and what else there is.
    fn answer(&mut self, line: &'a str, from: usize) {
        let (mut at, mut bare, mut quoted) = (from, 0, 0);
        for _ in 0..VALUES_MAX {
            let Some(value) = value(line, at) else { return };
            let is_whole = is_whole(line, value);
            if !is_whole {
                self.0.set_cut();
            }
            let slot = match (bare, quoted, value.quoted) {
                (0, 0, _) => Slot::Status,
                (1, 0, false) => Slot::Bytes,
                (_, 0, true) => Slot::Referer,
                (_, 1, true) => Slot::UserAgent,
                _ if !self.0.has_chain() && is_address_list(value.text) && is_whole => Slot::Chain,
                _ => Slot::Other,
            };
            bare += u8::from(!value.quoted || slot == Slot::Status);
            quoted += u8::from(value.quoted && slot != Slot::Status);
            self.set(slot, value);
            at = value.end;
        }
    }
}

/// True where another time and another request stand in what should be one.
fn holds_request(text: &str) -> bool {
    let time = time_in_brackets(text);
    let behind = time.and_then(|(time, _)| text.get(time.end..));
    behind.is_some_and(|behind| behind.trim_start().starts_with('"'))
}

/// False for what stands behind a quote that does not end: it was cut, and another address is left.
fn is_whole(line: &str, value: Part<'_>) -> bool {
    let end = value.start + 1 + value.text.len();
    !value.quoted || line.as_bytes().get(end) == Some(&b'"')
}

/// True for a forwarding header. An address with a port is an upstream's.
fn is_address_list(text: &str) -> bool {
    if first_of(b'.', b':', text.as_bytes()).is_none() {
        return false; // there is no address without
    }
    let first = split_at_first(b',', text).map_or(text, |(first, _)| first);
    let first = first.trim_ascii();
    let has_port = || first.contains("]:") || first.matches(':').count() == 1;
    parse_hop(first).is_some() && !has_port()
}

/// The value that begins at the next byte that is no space, in quotes or not.
fn value(line: &str, at: usize) -> Option<Part<'_>> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let bytes = line.as_bytes();
    let start = at
        + bytes
            .get(at..)?
            .iter()
            .take_while(|byte| is_space(byte))
            .count();
    let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
    let quoted = rest.first() == Some(&b'"');
    let ends =
        |end: usize| end > 0 && !is_escaped(rest, end) && rest.get(end + 1).is_none_or(is_space);
    let length = match quoted {
        true => first_where(b'"', rest, ends),
        false => first_of(b' ', b'\t', rest),
    };
    let length = length.unwrap_or(rest.len());
    let skipped = usize::from(quoted);
    Some(Part {
        text: line.get(start + skipped..start + length)?,
        quoted,
        start,
        end: (start + length + skipped).min(line.len()),
    })
}

/// The first brackets with a time in them.
fn time_in_brackets(line: &str) -> Option<Moment<'_>> {
    let bytes = line.as_bytes();
    memchr_iter(b'[', bytes).take(TRIES_MAX).find_map(|start| {
        let inside = bytes.get(start + 1..)?;
        let inside = inside.get(..TIME_BYTES_MAX).unwrap_or(inside);
        let length = memchr(b']', inside)?;
        let text = line.get(start + 1..start + 1 + length)?;
        let part = Part {
            text,
            quoted: false,
            start,
            end: start + length + 2,
        };
        read_time(text).map(|read| (part, read))
    })
}

/// When the text before something else was written, as it says itself.
pub(super) fn time_before(text: &str) -> Option<(Time, Stamp)> {
    let (_, read) = time_in_brackets(text).or_else(|| time_in_words(text))?;
    Some(read)
}

/// The first word, or two words, before any quote that are a time.
fn time_in_words(line: &str) -> Option<Moment<'_>> {
    let quote = memchr(b'"', line.as_bytes()).unwrap_or(line.len());
    let mut at = 0;
    for _ in 0..TRIES_MAX {
        let first = value(line, at).filter(|word| word.end <= quote)?;
        let second = value(line, first.end).filter(|word| word.end <= quote);
        let ends = second.iter().map(|second| second.end).chain([first.end]);
        let mut read = ends.filter_map(|end| {
            let text = line.get(first.start..end)?;
            Some((Part { text, end, ..first }, read_time(text)?))
        });
        if let Some(moment) = read.next() {
            return Some(moment);
        }
        at = first.end;
    }
    None
}

/// A number alone is no time here: it may be a process.
fn read_time(text: &str) -> Option<(Time, Stamp)> {
    first(b':', text.as_bytes()).and_then(|_| time::read(text))
}

/// The first text in quotes that is a request, or was refused as none, and has a status behind it.
fn request(line: &str, from: usize) -> Option<Part<'_>> {
    let mut at = from;
    for _ in 0..2 * TRIES_MAX {
        let part = value(line, at)?;
        let code = code_behind(line.as_bytes(), part.end.saturating_sub(1));
        let is_request = |code| code == b'4' || split_request(part.text).0.is_some();
        if part.quoted && code.is_some_and(is_request) {
            return Some(part);
        }
        at = part.end;
    }
    None
}

/// The first digit of a status behind a quote.
fn code_behind(bytes: &[u8], quote: usize) -> Option<u8> {
    let rest = bytes.get(quote + 1..)?;
    let spaces = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    let rest = rest.get(spaces..).filter(|_| spaces > 0)?;
    match rest.strip_prefix(b"\"").unwrap_or(rest) {
        [hundreds @ b'1'..=b'5', tens, ones, end @ ..]
            if tens.is_ascii_digit()
                && ones.is_ascii_digit()
                && matches!(end.first(), None | Some(b' ' | b'\t' | b'"' | b',')) =>
        {
            Some(*hundreds)
        }
        _ => None,
    }
}
