//! AWS Application Load Balancer, and the classic one.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: headers, of which the log holds the user agent alone.
//! Source: AWS, "Access logs for your Application Load Balancer",
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>, and "Access
//! logs for your Classic Load Balancer",
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html>. New fields are
//! added at the end.

use super::client_address::without_port;
use super::cut::{Cutter, Value};
use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::text::{Unit, holds_token, split_request, unescape};
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
const MIDDLE: [Option<Slot>; 10] = [
    None, // balancer
    Some(Slot::Remote),
    None,                                // target
    None,                                // request processing time
    Some(Slot::Duration(Unit::Seconds)), // target processing time, nearly all of it
    None,                                // response processing time
    Some(Slot::Status),
    None, // target's status
    None, // received
    Some(Slot::Bytes),
];

/// Fields behind those that are looked at, for tokens alone.
const EXTRAS_MAX: usize = 32;

impl LineFormat for Alb {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut fields = Fields::new(line, event);
        let mut set = |slot: Slot, value: Option<Value<'a>>| {
            if let Some(value) = value {
                let text = match slot {
                    Slot::Method | Slot::Target | Slot::Request => value.text.into(),
                    Slot::Remote => without_port(value.text).into(),
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
            let value = cut.word().ok_or(SkipReason::Malformed)?;
            if let Some(slot) = slot {
                set(slot, Some(value));
            }
        }
        if !cut.rest().starts_with('"') {
            return Err(SkipReason::Malformed);
        }
        let request = cut.quoted_until(|behind| behind.starts_with(b" \""));
        let request = request.ok_or(SkipReason::Malformed)?;
        // The balancer puts scheme and host before what the client sent.
        match split_request(request.text) {
            (Some(method), target) => {
                let part = |text| Some(Value { text, ..request });
                set(Slot::Method, part(method));
                set(Slot::Target, part(target));
            }
            (None, _) => set(Slot::Request, Some(request)),
        }
        set(Slot::UserAgent, cut.value());
        // Cipher, protocol, and of typed balancers the target group before the trace.
        let before_trace = if is_typed { 3 } else { 2 };
        for _ in 0..before_trace {
            cut.value();
        }
        if is_typed {
            set(Slot::RequestId, cut.value());
        }
        if holds_token(cut.rest()) {
            (0..EXTRAS_MAX).for_each(|_| set(Slot::Other, cut.value()));
        }
        fields.finish()
    }
}
