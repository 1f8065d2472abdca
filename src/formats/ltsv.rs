//! LTSV: `label:value` pairs between tabs.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: what most labels mean (those that LTSV has for itself stand here); whether the last value of a line
//! was cut.
//! Source: <http://ltsv.org/>, "Labels for Web server's log".
//!
//! The format has no escapes of its own: what nginx and Apache write as `\x09` is undone.

use super::client_address::last_hop;
use super::fields::Fields;
use super::names::{Meaning, Recall, Remembered, Slot};
use super::search::{first, first_of, split_at_first};
use super::text::{Unit, unescape};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "ltsv",
    aliases: &[],
    about: "label:value pairs between tabs",
    open: |names| Arc::new(Ltsv(Remembered::new(names))),
};

struct Ltsv(Remembered);

/// As many as a JSON line may have.
const PAIRS_MAX: usize = 512;

/// Labels that mean something else here than in other logs, or nothing there.
const LABELS: &[(&str, Slot)] = &[
    ("req", Slot::Request),
    ("uri", Slot::Target),
    ("forwardedfor", Slot::Chain),
    ("reqtime", Slot::Duration(Unit::Seconds)),
    ("reqtime_microsec", Slot::Duration(Unit::Microseconds)),
];

impl LineFormat for Ltsv {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        let mut recall = self.0.recall();
        // The specification's `host` is the remote one; many write the request's, which its client chooses, and the
        // remote one under another name.
        let (mut host, mut names_client) = (None, false);
        let mut at = 0;
        for index in 0.. {
            let rest = line.get(at..).unwrap_or_default();
            let (label, meaning) = match recall.next(rest.as_bytes()) {
                Some(named) => (
                    rest.get(..named.text.len() - 1).unwrap_or_default(),
                    named.meaning,
                ),
                None => self.label(rest, &mut recall).ok_or(SkipReason::Malformed)?,
            };
            if index >= PAIRS_MAX {
                return Err(SkipReason::TooComplex);
            }
            let begin = at + label.len() + 1;
            let (raw, escaped) = value(line.get(begin..).unwrap_or_default());
            let end = begin + raw.len();
            let value = match meaning.slot {
                Slot::Time => out_of_brackets(raw).into(),
                _ if escaped => unescape(raw),
                _ => raw.into(),
            };
            names_client |= matches!(meaning.slot, Slot::Remote | Slot::Client | Slot::Peer);
            if label == "host" && meaning.rank != u8::MAX && last_hop(raw).is_some() {
                host = Some((begin, value));
            } else {
                fields.set(meaning, || Cow::Borrowed(label), begin, value);
            }
            if end == line.len() {
                break;
            }
            at = end + 1;
        }
        if let Some((at, value)) = host {
            let slot = if names_client {
                Slot::Host
            } else {
                Slot::Remote
            };
            // The request's host has a name, if anything says it.
            let meaning = Meaning { slot, rank: 1 };
            fields.set(meaning, || Cow::Borrowed("host"), at, value);
        }
        fields.finish()?;
        self.learn(line);
        Ok(())
    }
}

impl Ltsv {
    /// The label that `rest` begins with, where it is not the one that is expected, and what it means.
    fn label<'a>(&self, rest: &'a str, recall: &mut Recall<'_>) -> Option<(&'a str, Meaning)> {
        let (label, _) = split_at_first(b':', rest).filter(|(label, _)| is_label(label))?;
        let meaning = recall.meaning(label).unwrap_or_else(|| self.meaning(label));
        Some((label, meaning))
    }

    fn meaning(&self, label: &str) -> Meaning {
        if let Some(meaning) = self.0.map.override_of(label) {
            return meaning;
        }
        let own = LABELS.iter().find(|(own, _)| *own == label);
        own.map_or_else(|| self.0.map.meaning(label), |(_, slot)| Meaning::of(*slot))
    }

    fn learn(&self, line: &str) {
        let pairs = line.split('\t').filter_map(|pair| {
            let (label, _) = pair.split_once(':')?;
            Some((label, pair.get(..=label.len())?, self.meaning(label)))
        });
        self.0.learn(pairs);
    }
}

/// The value that `rest` begins with, and whether an escape may be in it.
fn value(rest: &str) -> (&str, bool) {
    let bytes = rest.as_bytes();
    let end = first_of(b'\t', b'\\', bytes).unwrap_or(bytes.len());
    let escaped = bytes.get(end) == Some(&b'\\');
    let more = bytes.get(end..).filter(|_| escaped).unwrap_or_default();
    let end = end + first(b'\t', more).unwrap_or(more.len());
    (rest.get(..end).unwrap_or_default(), escaped)
}

/// Source: the grammar on the page named above.
fn is_label(label: &str) -> bool {
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !label.is_empty() && label.bytes().all(is_of_label)
}

/// `[04/May/2026:10:11:12 +0000]`, as Apache's `%t` writes it.
fn out_of_brackets(time: &str) -> &str {
    let inner = time
        .strip_prefix('[')
        .and_then(|time| time.strip_suffix(']'));
    inner.unwrap_or(time)
}
