//! Zoraxy: its request log, a line of labelled brackets with the request behind them.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: bytes and queries of other versions. Stamps have no zone.
//! Source: Zoraxy, `src/mod/dynamicproxy/dpcore` and `src/mod/info/logger/trafficlog.go`,
//! <https://github.com/tobychui/zoraxy>.
//!
//! The user agent stands before the request and is not escaped, so the request is read from the end of the line, and
//! the client from its beginning: the host before it has no spaces.

use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::search::first_where;
use super::{Format, LineFormat, text};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memmem::Finder;
use std::sync::{Arc, LazyLock};

pub(super) static FORMAT: Format = Format {
    name: "zoraxy",
    aliases: &[],
    about: "[time] [router:…] [origin:host] [client: …] [useragent: …] method target status",
    open: |_| Arc::new(Zoraxy),
};

struct Zoraxy;

/// Behind the time.
static ROUTER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("] [router:"));

/// Labels and what they are, in their order.
static LABELS: LazyLock<[(Finder<'static>, Slot); 3]> = LazyLock::new(|| {
    [
        ("] [origin:", Slot::Host),
        ("] [client: ", Slot::Remote),
        ("] [useragent: ", Slot::UserAgent),
    ]
    .map(|(label, slot)| (Finder::new(label), slot))
});

impl LineFormat for Zoraxy {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        let mut set = |slot: Slot, value: &'a str| {
            let at = value.as_ptr() as usize - line.as_ptr() as usize;
            fields.set(Meaning::of(slot), || "extra".into(), at, value.into());
        };
        let labels = ROUTER.find(line.as_bytes()).ok_or(SkipReason::Malformed)?;
        let (stamps, labels) = line.split_at(labels);
        let (_, time) = stamps.rsplit_once('[').ok_or(SkipReason::Malformed)?;
        set(Slot::Time, time);
        // Three words from the end: method, target, status.
        let mut words = labels.rsplitn(4, ' ');
        let mut word = || words.next().ok_or(SkipReason::Malformed);
        let (status, target, method) = (word()?, word()?, word()?);
        // Of a line that was cut the last words are others.
        if text::status(status) == 0 || !method.bytes().all(text::is_token_byte) {
            return Err(SkipReason::Malformed);
        }
        set(Slot::Status, status);
        set(Slot::Target, target);
        set(Slot::Method, method);
        let mut rest = words.next().and_then(|rest| rest.strip_suffix(']'));
        for (label, slot) in &*LABELS {
            let behind = rest.and_then(|rest| behind(label, rest));
            let behind = behind.ok_or(SkipReason::Malformed)?;
            // The agent stands last, and may hold brackets.
            let length = match slot {
                Slot::UserAgent => behind.len(),
                _ => end_of(behind),
            };
            set(*slot, behind.get(..length).unwrap_or_default());
            rest = behind.get(length..);
        }
        fields.finish()
    }
}

/// What stands behind a label.
fn behind<'a>(label: &Finder<'_>, text: &'a str) -> Option<&'a str> {
    let at = label.find(text.as_bytes())?;
    text.get(at + label.needle().len()..)
}

/// Where `] [` ends a value, or the end of the text.
fn end_of(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = |at: usize| bytes[at..].starts_with(b"] [");
    first_where(b']', bytes, ends).unwrap_or(bytes.len())
}
