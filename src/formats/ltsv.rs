//! LTSV: `label:value` pairs between tabs.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: what most labels mean; those that LTSV has for itself stand here.
//! Source: <http://ltsv.org/>, "Labels for Web server's log".
//!
//! The format has no escapes of its own: what nginx and Apache write as `\x09` is undone.

use super::client_address::last_hop;
use super::fields::Fields;
use super::names::{Meaning, Remembered, Slot};
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
        let mut at = 0;
        for (index, pair) in line.split('\t').enumerate() {
            let Some((label, value)) = pair.split_once(':').filter(|(label, _)| is_label(label))
            else {
                return Err(SkipReason::Malformed);
            };
            if index >= PAIRS_MAX {
                return Err(SkipReason::TooComplex);
            }
            let begin = at + label.len() + 1;
            at += pair.len() + 1;
            let meaning = self.meaning(label, value, line);
            let value = match meaning.slot {
                Slot::Time => out_of_brackets(value).into(),
                _ => unescape(value),
            };
            fields.set(meaning, || Cow::Borrowed(label), begin, value);
        }
        fields.finish()?;
        self.0.learn(pairs(line).map(|(label, _)| label));
        Ok(())
    }
}

fn pairs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split('\t').filter_map(|pair| pair.split_once(':'))
}

impl Ltsv {
    fn meaning(&self, label: &str, value: &str, line: &str) -> Meaning {
        if let Some(meaning) = self.0.map.override_of(label) {
            return meaning;
        }
        // The specification's `host` is the remote one; many write the request's, which its client chooses, and the
        // remote one under another name.
        if label == "host" && last_hop(value).is_some() && !self.names_client(line) {
            return Meaning::of(Slot::Remote);
        }
        let own = LABELS.iter().find(|(own, _)| *own == label);
        own.map_or_else(|| self.0.meaning(label), |(_, slot)| Meaning::of(*slot))
    }

    /// True when a label other than `host` names an address of the client's.
    fn names_client(&self, line: &str) -> bool {
        pairs(line).any(|(label, _)| {
            let slot = self.0.meaning(label).slot;
            matches!(slot, Slot::Remote | Slot::Client | Slot::Peer)
        })
    }
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
