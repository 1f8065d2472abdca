//! Gin, the web framework of Go: `[GIN] 2026/05/04 - 10:11:12 | 200 | 1.2ms | 192.0.2.1 | GET "/path"`.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: the zone of its times, which is the server's; colours, which it writes on terminals.
//! Source: gin-gonic/gin `logger.go`, `defaultLogFormatter`. Its client is what forwarding headers say where its
//! `TrustedProxies` are set, and by default everywhere.

use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::search::split_at_first;
use super::text::{Unit, unescape};
use super::{Format, LineFormat, time};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "gin",
    aliases: &[],
    about: "[GIN] time | status | latency | client | method \"path\"",
    open: |_| Arc::new(Gin),
};

struct Gin;

impl LineFormat for Gin {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let begun = line.strip_prefix("[GIN] ").ok_or(SkipReason::Malformed)?;
        let mut fields = Fields::new(line, event);
        let mut rest = begun;
        let mut column = || {
            let (column, behind) = split_at_first(b'|', rest).ok_or(SkipReason::Malformed)?;
            rest = behind;
            Ok(column.trim_ascii())
        };
        let stamp = column()?;
        let columns = [
            (Slot::Status, column()?),
            (Slot::Duration(Unit::Seconds), column()?),
            (Slot::Client, column()?),
        ];
        let (date, clock) = stamp.split_once(" - ").ok_or(SkipReason::BadTime)?;
        let read = time::read(&format!("{date} {clock}"));
        fields.set_time(read.ok_or(SkipReason::BadTime)?);
        let mut set = |slot: Slot, value: &'a str| {
            let at = value.as_ptr() as usize - line.as_ptr() as usize;
            let value = match slot {
                Slot::Target => unescape(value),
                _ => value.into(),
            };
            fields.set(Meaning::of(slot), || "extra".into(), at, value);
        };
        for (slot, column) in columns {
            set(slot, column);
        }
        let (method, target) = split_at_first(b'"', rest).ok_or(SkipReason::Malformed)?;
        set(Slot::Method, method.trim_ascii());
        // The rest of a line that was cut is no less of a path; errors stand on lines of their own.
        let target = target.trim_ascii_end();
        set(Slot::Target, target.strip_suffix('"').unwrap_or(target));
        fields.finish()
    }
}
