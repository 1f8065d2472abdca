//! Envoy's default text format, and Istio's.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: custom text formats. JSON logs of both are read by [`super::json`].
//! Source: Envoy, "Access logging", default format string,
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>; Istio, "Envoy Access
//! Logs", <https://istio.io/latest/docs/tasks/observability/logs/access-log/>.
//!
//! Both write five quoted fields in a row: X-Forwarded-For, user agent, request id, authority, upstream host. What
//! stands before them differs by version, so everything is counted from there, and nothing in them is escaped. Envoy
//! appends its peer to X-Forwarded-For; Istio also writes it, fourth behind the quoted fields. A line of Istio that was
//! cut before it has no client; one that was cut right behind the quoted fields is like Envoy's own.

use super::client_address::parse_hop;
use super::cut::{Cutter, Value, is_status};
use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::text::Unit;
use super::{Format, LineFormat, time};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::{memchr, memmem, memrchr};
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "envoy",
    aliases: &["envoy_text", "istio"],
    about: "[time] \"request\" status flags … \"x-forwarded-for\" \"user agent\" \"id\" \"host\" \"upstream\"",
    open: |_| Arc::new(Envoy),
};

struct Envoy;

/// What ends the time and begins the request.
const OPENING: &[u8] = b"] \"";

/// Fields behind the row that are looked at; Istio has six.
const VALUES_MAX: usize = 32;

/// Where Istio writes its peer among them.
const PEER: usize = 3;

/// The quoted fields that stand in a row.
const ROW: [Slot; 5] = [
    Slot::Chain,
    Slot::UserAgent,
    Slot::RequestId,
    Slot::Host,
    Slot::Other,
];

impl LineFormat for Envoy {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let bracket = memmem::find(line.as_bytes(), OPENING).ok_or(SkipReason::Malformed)?;
        let begin = begin(line.get(..bracket).unwrap_or_default())?;
        let mut fields = Fields::new(line, event);
        let mut set = |slot: Slot, value: &Value<'a>| {
            fields.set(
                Meaning::of(slot),
                || "extra".into(),
                value.at,
                value.text.into(),
            );
        };
        let time = line.get(begin..bracket).unwrap_or_default();
        set(
            Slot::Time,
            &Value {
                at: begin,
                text: time,
                quoted: false,
            },
        );
        let mut cut = Cutter::new(line, bracket + 2);
        let request = cut.quoted_until(is_status).ok_or(SkipReason::Malformed)?;
        set(Slot::Request, &request);
        let status = cut.word().ok_or(SkipReason::Malformed)?;
        set(Slot::Status, &status);
        // Four numbers stand right before the row; a reason in quotes, further ahead.
        let mut numbers: [Option<Value<'a>>; 4] = [None; 4];
        let mut count = 0;
        while count < numbers.len() || !cut.rest().starts_with('"') {
            let value = cut.value().ok_or(SkipReason::Malformed)?;
            numbers.rotate_left(1);
            numbers[3] = Some(value);
            count = if is_count(&value) { count + 1 } else { 0 };
        }
        if let [_received, Some(sent), Some(duration), _upstream] = &numbers {
            set(Slot::Bytes, sent);
            set(Slot::Duration(Unit::Milliseconds), duration);
        }
        for (index, slot) in ROW.into_iter().enumerate() {
            let last = index + 1 == ROW.len();
            let value = cut.quoted_until(|behind| match last {
                true => matches!(behind.first(), None | Some(b' ')),
                false => behind.starts_with(b" \""),
            });
            let value = value.ok_or(SkipReason::Malformed)?;
            let is_cut = last && line.as_bytes().get(value.at + value.text.len()) != Some(&b'"');
            if is_cut || is_torn(value.text) {
                return Err(SkipReason::Malformed);
            }
            set(slot, &value);
        }
        let (mut is_istio, mut has_peer, mut last) = (false, false, 0);
        let values = std::iter::from_fn(|| cut.value()).take(VALUES_MAX);
        for (index, value) in values.enumerate() {
            let is_peer = index == PEER && parse_hop(value.text).is_some() && has_port(value.text);
            is_istio |= index == 0 && is_cluster(&value);
            has_peer |= is_peer;
            last = index;
            set(if is_peer { Slot::Remote } else { Slot::Other }, &value);
        }
        if is_istio && !has_peer && last <= PEER {
            fields.set_cut();
            fields.forget_chain();
        }
        fields.finish()
    }
}

/// Where the time begins: behind the first bracket, or behind one that stands after what a console put before it.
fn begin(before: &str) -> Result<usize, SkipReason> {
    if before.starts_with('[') {
        return Ok(1);
    }
    let bracket = memrchr(b'[', before.as_bytes()).filter(|_| !before.contains('"'));
    bracket.map(|at| at + 1).ok_or(SkipReason::Malformed)
}

/// True for the name of an upstream cluster, as Istio writes it behind the row.
fn is_cluster(value: &Value<'_>) -> bool {
    let begins = ["outbound", "inbound"].iter();
    let is_named = begins
        .into_iter()
        .any(|begin| value.text.starts_with(begin));
    !value.quoted && (is_named || value.text.ends_with("Cluster"))
}

/// True for `192.0.2.1:443` and `[2001:db8::1]:443`: an address without its port is the beginning of one.
fn has_port(node: &str) -> bool {
    let split = node.rsplit_once(':');
    split.is_some_and(|(address, port)| {
        let is_whole = address.ends_with(']') || !address.contains(':');
        is_whole && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// True when another line begins in what should be a value of the row.
fn is_torn(value: &str) -> bool {
    let bracket = memchr(b']', value.as_bytes());
    let begun = || {
        let end = memmem::find(value.as_bytes(), OPENING)?;
        let begin = memrchr(b'[', value.as_bytes().get(..end)?)? + 1;
        time::read(value.get(begin..end)?)
    };
    bracket.is_some() && begun().is_some()
}

/// A number, or that there is none. The reason before the numbers may have spaces, and be quoted or not.
fn is_count(value: &Value<'_>) -> bool {
    !value.quoted && (value.text == "-" || value.text.bytes().all(|byte| byte.is_ascii_digit()))
}
