//! AWS Application Load Balancer, and the classic one.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: headers, of which the log holds the user agent alone.
//! Source: AWS, "Access logs for your Application Load Balancer",
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>, and "Access
//! logs for your Classic Load Balancer",
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html>. New fields are
//! added at the end.

use super::cut::{Cutter, Value};
use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::text::{Unit, unescape};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "aws_alb",
    aliases: &["alb", "aws_elb", "elb"],
    about: "type time balancer client:port target:port … status … \"request\" \"user agent\" …",
    open: |_| Arc::new(Alb),
};

struct Alb;

/// What stands first; the classic balancer begins with the time.
const TYPES: [&str; 7] = ["http", "https", "h2", "grpcs", "ws", "wss", "tcp"];

/// The fields from the balancer's name to the bytes sent.
const MIDDLE: [Slot; 10] = [
    Slot::Other, // balancer
    Slot::Remote,
    Slot::Other,                   // target
    Slot::Other,                   // request processing time
    Slot::Duration(Unit::Seconds), // target processing time, nearly all of it
    Slot::Other,                   // response processing time
    Slot::Status,
    Slot::Other, // target's status
    Slot::Other, // received
    Slot::Bytes,
];

/// The fields behind cipher, protocol and target group.
const END: [Slot; 2] = [Slot::RequestId, Slot::Other];

/// Fields behind those that are looked at, for tokens alone.
const EXTRAS_MAX: usize = 32;

impl LineFormat for Alb {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        let mut set = |slot: Slot, value: Option<Value<'a>>| {
            if let Some(value) = value {
                let text = match slot {
                    Slot::Request => value.text.into(),
                    _ => unescape(value.text),
                };
                fields.set(Meaning::of(slot), || "extra".into(), value.at, text);
            }
        };
        let mut cut = Cutter::new(line, 0);
        let first = cut.word().ok_or(SkipReason::Malformed)?;
        let is_typed = TYPES.contains(&first.text);
        let time = if is_typed { cut.word() } else { Some(first) };
        let time = time.filter(|time| time.text.ends_with('Z') && time.text.contains('T'));
        set(Slot::Time, Some(time.ok_or(SkipReason::Malformed)?));
        for slot in MIDDLE {
            set(slot, Some(cut.word().ok_or(SkipReason::Malformed)?));
        }
        if !cut.rest().starts_with('"') {
            return Err(SkipReason::Malformed);
        }
        set(
            Slot::Request,
            cut.quoted_until(|behind| behind.starts_with(b" \"")),
        );
        set(Slot::UserAgent, cut.value());
        let before_end = if is_typed { 3 } else { 2 };
        (0..before_end).for_each(|_| set(Slot::Other, cut.value()));
        if is_typed {
            END.into_iter().for_each(|slot| set(slot, cut.value()));
        }
        (0..EXTRAS_MAX).for_each(|_| set(Slot::Other, cut.value()));
        fields.finish()
    }
}
