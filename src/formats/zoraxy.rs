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
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memmem;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "zoraxy",
    aliases: &[],
    about: "[time] [router:…] [origin:host] [client: …] [useragent: …] method target status",
    open: |_| Arc::new(Zoraxy),
};

struct Zoraxy;

/// Behind the time.
const ROUTER: &str = "] [router:";

/// Labels and what they are, in their order.
const LABELS: [(&str, Slot, &str); 3] = [
    ("] [origin:", Slot::Host, "] ["),
    ("] [client: ", Slot::Remote, "] ["),
    ("] [useragent: ", Slot::UserAgent, ""),
];

impl LineFormat for Zoraxy {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        let mut set = |slot: Slot, value: &'a str| {
            let at = value.as_ptr() as usize - line.as_ptr() as usize;
            fields.set(Meaning::of(slot), || "extra".into(), at, value.into());
        };
        let labels = memmem::find(line.as_bytes(), ROUTER.as_bytes());
        let (stamps, labels) = line.split_at(labels.ok_or(SkipReason::Malformed)?);
        let (_, time) = stamps.rsplit_once('[').ok_or(SkipReason::Malformed)?;
        set(Slot::Time, time);
        // Three words from the end: method, target, status.
        let mut words = labels.rsplitn(4, ' ');
        for slot in [Slot::Status, Slot::Target, Slot::Method] {
            set(slot, words.next().ok_or(SkipReason::Malformed)?);
        }
        let mut rest = words.next().and_then(|rest| rest.strip_suffix(']'));
        for (label, slot, end) in LABELS {
            let (_, behind) = rest
                .and_then(|r| r.split_once(label))
                .ok_or(SkipReason::Malformed)?;
            let length = if end.is_empty() {
                None
            } else {
                behind.find(end)
            };
            let value = behind.get(..length.unwrap_or(behind.len()));
            set(slot, value.unwrap_or_default());
            rest = behind.get(length.unwrap_or(behind.len())..);
        }
        fields.finish()
    }
}
