//! nginx Proxy Manager: its two formats, for proxied and for other hosts, and that of NPMplus; nginx's own for the
//! default host.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: fields of later versions, which may stand between brackets before the user agent.
//! Source: `log_format proxy` and `standard` in nginx-proxy-manager, `docker/rootfs/etc/nginx/nginx.conf`; `log_format
//! proxy` of NPMplus, `rootfs/usr/local/nginx/conf/nginx.conf`, which ends with a user agent without quotes.

use super::client_address::parse_hop;
use super::combined;
use super::cut::{Cutter, Value, is_status};
use super::fields::Fields;
use super::names::{FieldMap, Meaning, Slot};
use super::search::split_at_first;
use super::text::{Unit, unescape};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "nginx_proxy_manager",
    aliases: &["npm", "npmplus"],
    about: "[time] cache upstream status - method scheme host \"target\" [Client …] …",
    open: |names| Arc::new(NginxProxyManager::new(names)),
};

struct NginxProxyManager {
    combined: Arc<dyn LineFormat>,
}

/// Words before the hyphen: cache, status of each upstream, status.
const WORDS_MAX: usize = 16;

/// Fields in brackets.
const BRACKETS_MAX: usize = 16;

impl NginxProxyManager {
    fn new(names: &FieldMap) -> Self {
        Self {
            combined: (combined::FORMAT.open)(names),
        }
    }
}

impl LineFormat for NginxProxyManager {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let inside = line
            .strip_prefix('[')
            .and_then(|rest| split_at_first(b']', rest));
        let Some((time, _)) = inside.filter(|(_, behind)| behind.starts_with(' ')) else {
            return self.combined.parse(line, event);
        };
        let mut manager = Manager {
            fields: Fields::new(line, event),
            cut: Cutter::new(line, time.len() + 3),
        };
        let whole = Value {
            at: 1,
            text: time,
            quoted: false,
        };
        manager.set(Slot::Time, whole);
        if manager.second_is_address() {
            manager.plus()
        } else {
            manager.classic()
        }
    }
}

/// One line behind its time.
struct Manager<'e, 'a> {
    fields: Fields<'e, 'a>,
    cut: Cutter<'a>,
}

impl<'a> Manager<'_, 'a> {
    fn set(&mut self, slot: Slot, value: Value<'a>) {
        let text = match slot {
            Slot::UserAgent | Slot::Referer | Slot::Other => unescape(value.text),
            _ => value.text.into(),
        };
        let meaning = Meaning::of(slot);
        self.fields.set(meaning, || "extra".into(), value.at, text);
    }

    fn set_words(&mut self, slots: &[Slot]) -> Result<(), SkipReason> {
        for slot in slots {
            let word = self.cut.word().ok_or(SkipReason::Malformed)?;
            self.set(*slot, word);
        }
        Ok(())
    }

    fn second_is_address(&self) -> bool {
        let mut ahead = self.cut;
        ahead.word();
        let second = ahead.word();
        second.is_some_and(|word| parse_hop(word.text).is_some())
    }

    /// `host client seconds "request" status bytes sent referer user agent`.
    fn plus(mut self) -> Result<(), SkipReason> {
        let duration = Slot::Duration(Unit::Seconds);
        self.set_words(&[Slot::Host, Slot::Remote, duration])?;
        let request = self.cut.quoted_until(is_status);
        self.set(Slot::Request, request.ok_or(SkipReason::Malformed)?);
        self.set_words(&[Slot::Status, Slot::Bytes, Slot::Other, Slot::Referer])?;
        let agent = Value {
            text: self.cut.rest(),
            at: self.cut.skip(0),
            quoted: false,
        };
        self.set(Slot::UserAgent, agent);
        self.fields.finish()
    }

    /// `MISS 502, 200 200 - GET https host "target" [Client …] [Length …] … "user agent" "referer"`.
    fn classic(mut self) -> Result<(), SkipReason> {
        let status = self.status().ok_or(SkipReason::Malformed)?;
        self.set(Slot::Status, status);
        self.set_words(&[Slot::Method, Slot::Other, Slot::Host])?;
        let target = self.cut.quoted_until(|behind| behind.starts_with(b" ["));
        self.set(Slot::Target, target.ok_or(SkipReason::Malformed)?);
        for _ in 0..BRACKETS_MAX {
            let Some(field) = self.cut.bracketed() else {
                break;
            };
            let (label, text) = split_at_first(b' ', field.text).unwrap_or(("", field.text));
            let slot = match label {
                "Client" => Slot::Remote,
                "Length" => Slot::Bytes,
                _ => Slot::Other,
            };
            self.set(slot, Value { text, ..field });
        }
        for slot in [Slot::UserAgent, Slot::Referer] {
            if let Some(value) = self.cut.value() {
                self.set(slot, value);
            }
        }
        self.fields.finish()
    }

    /// The last word before the hyphen; what the upstreams answered stands before it.
    fn status(&mut self) -> Option<Value<'a>> {
        let mut last = None;
        for _ in 0..WORDS_MAX {
            let word = self.cut.word()?;
            if word.text == "-" && last.is_some_and(is_code) {
                return last;
            }
            last = Some(word);
        }
        None
    }
}

fn is_code(word: Value<'_>) -> bool {
    word.text.len() == 3 && word.text.bytes().all(|byte| byte.is_ascii_digit())
}
