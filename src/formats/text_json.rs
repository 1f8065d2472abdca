//! Text, then one JSON object: what loggers for people write, as Caddy's console encoder does.
//!
//! In: a line. Out: [`AccessEvent`] of the object, with the time that the text says where the object has none.
//! Does not know: what the text says otherwise.
//! Source: Caddy, "log", `format console`, <https://caddyserver.com/docs/caddyfile/directives/log>; Uber's zap, console
//! encoder.

use super::{Format, LineFormat, json, loose};
use crate::domain::clock::Stamp;
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memchr;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "text_json",
    aliases: &["caddy_console"],
    about: "text with a time, then one JSON object: Caddy's console",
    open: |names| {
        Arc::new(TextJson {
            object: (json::FORMAT.open)(names),
        })
    },
};

struct TextJson {
    object: Arc<dyn LineFormat>,
}

/// More text than anybody writes before an object.
const TEXT_BYTES_MAX: usize = 512;

impl LineFormat for TextJson {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let begins = memchr(b'{', line.as_bytes()).filter(|at| (1..TEXT_BYTES_MAX).contains(at));
        let (text, object) = line.split_at(begins.ok_or(SkipReason::Malformed)?);
        self.object.parse(object.trim_end(), event)?;
        if event.stamp == Stamp::Absent {
            let said = loose::time_before(text);
            (event.time, event.stamp) = said.ok_or(SkipReason::NoTime)?;
        }
        Ok(())
    }
}
