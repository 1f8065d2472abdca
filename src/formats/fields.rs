//! Fields to event: the one place where a format's (name, value) pairs become an [`AccessEvent`].
//!
//! In: [`Meaning`] and value of one field after the other. Out: [`AccessEvent`], or [`SkipReason`].
//! Does not know: how a line is cut into fields, or what a token looks like beyond `eyJ`.
//!
//! **Addresses.** `peer` is the connection's address (`realip_remote_addr`, `ClientAddr`, `request.remote_ip`), else
//! `remote_addr`. `client` is what the gateway itself resolved (`client_ip`, `ClientHost`), else `remote_addr`, else
//! the peer; [`super::client_address::settle`] goes on from there when proxies are configured.

use super::client_address::{last_hop, of_chain};
use super::names::{Meaning, Slot};
use super::request::{set_request, without_mark};
use super::text::{duration_ms, holds_token, is_between_elements, number, status, token_at};
use super::time;
use crate::domain::clock::Stamp;
use crate::domain::event::{AccessEvent, Carrier, CarrierKind, EventKind, Text};
use crate::domain::line::SkipReason;
use crate::domain::mask::TOKEN_BYTES_MIN;
use crate::domain::time::Time;
use crate::domain::token::Claim;
use std::borrow::Cow;
use std::net::IpAddr;

/// More carriers than any log has; the rest of the line is not looked at for credentials.
const CARRIERS_MAX: usize = 64;

/// An event in the making, filled where it stays: it is too large to be moved for nothing.
pub(super) struct Fields<'e, 'a> {
    line: &'a str,
    event: &'e mut AccessEvent<'a>,
    time: Text<'a>,
    date: Text<'a>,
    /// Both, where a format read them already.
    read: Option<(Time, Stamp)>,
    telling: Telling<'a>,
    request: Text<'a>,
    target: Text<'a>,
    remote: Option<IpAddr>,
    /// Where the chain of proxies ends in the line.
    chain_end: usize,
    /// Where the next token begins, as of the last field that asked; `usize::MAX` when there is none.
    jwt_next: Option<usize>,
    ranks: Ranks,
}

/// What an identity provider's or a service's line says of an event.
#[derive(Default)]
pub(super) struct Telling<'a> {
    /// What happened, in the provider's own word.
    pub(super) kind: Text<'a>,
    /// Why it failed.
    pub(super) failure: Text<'a>,
    /// What tokens were asked for with.
    pub(super) grant: Text<'a>,
}

/// The rank of what a slot holds, for the slots that several fields compete for.
#[derive(Default)]
struct Ranks {
    time: u8,
    remote: u8,
    peer: u8,
    client: u8,
    chain: u8,
    method: u8,
    target: u8,
    path: u8,
    host: u8,
    user_agent: u8,
    request_id: u8,
    user: u8,
    status: u8,
    bytes: u8,
    duration: u8,
}

/// Takes a better or equal field; says whether it did.
fn outranks(rank: &mut u8, new: u8) -> bool {
    let better = new >= *rank;
    if better {
        *rank = new;
    }
    better
}

impl<'e, 'a> Fields<'e, 'a> {
    /// Fills `event`, which is blank, from `line`.
    pub(super) fn new(line: &'a str, event: &'e mut AccessEvent<'a>) -> Self {
        Self {
            line,
            event,
            time: None,
            date: None,
            read: None,
            telling: Telling::default(),
            request: None,
            target: None,
            remote: None,
            chain_end: 0,
            jwt_next: None,
            ranks: Ranks::default(),
        }
    }

    /// Takes one field. `at` is where its value begins in the line; `name` is asked only for what becomes a carrier.
    /// An empty value or `-` is no value.
    #[inline]
    pub(super) fn set(
        &mut self,
        meaning: Meaning,
        name: impl FnOnce() -> Cow<'a, str>,
        at: usize,
        value: Cow<'a, str>,
    ) {
        if value.is_empty() || value == "-" {
            return;
        }
        let Meaning { slot, rank } = meaning;
        if slot == Slot::Other {
            let may_hold_token = match &value {
                value if value.len() < TOKEN_BYTES_MIN => false,
                Cow::Borrowed(text) => self.holds_jwt(at, text.len()),
                Cow::Owned(text) => holds_token(text),
            };
            if !may_hold_token {
                return; // most of what a line has
            }
        }
        let (event, ranks) = (&mut *self.event, &mut self.ranks);
        match slot {
            Slot::Time if outranks(&mut ranks.time, rank) => self.time = Some(value),
            Slot::Remote if outranks(&mut ranks.remote, rank) => self.remote = last_hop(&value),
            Slot::Peer if outranks(&mut ranks.peer, rank) => event.peer = last_hop(&value),
            Slot::Client if outranks(&mut ranks.client, rank) => event.client = last_hop(&value),
            Slot::Chain if outranks(&mut ranks.chain, rank) => self.set_chain(at, value),
            Slot::Method if outranks(&mut ranks.method, rank) => event.method = Some(value),
            Slot::Request => self.request = Some(value),
            Slot::Target if outranks(&mut ranks.target, rank) => self.target = Some(value),
            Slot::Path if outranks(&mut ranks.path, rank) => event.path = Some(value),
            Slot::Query => event.query = Some(value),
            Slot::Host if outranks(&mut ranks.host, rank) => event.host = Some(value),
            Slot::Referer => event.referer = Some(value),
            Slot::UserAgent if outranks(&mut ranks.user_agent, rank) => {
                event.user_agent = Some(value);
            }
            Slot::Language => event.language = Some(value),
            Slot::Ja4 => event.ja4 = Some(value),
            Slot::RequestId if outranks(&mut ranks.request_id, rank) => {
                event.request_id = Some(value);
            }
            Slot::User if outranks(&mut ranks.user, rank) => event.user = Some(value),
            Slot::Status if outranks(&mut ranks.status, rank) => event.status = status(&value),
            Slot::Bytes if outranks(&mut ranks.bytes, rank) => {
                event.bytes = number(&value).unwrap_or(0);
            }
            Slot::Duration(unit) if outranks(&mut ranks.duration, rank) => {
                event.duration_ms = duration_ms(&value, unit);
            }
            Slot::Date => self.date = Some(value),
            Slot::Kind => self.telling.kind = Some(value),
            Slot::Failure => self.telling.failure = Some(value).filter(|text| is_failure(text)),
            Slot::Grant => self.telling.grant = Some(value),
            Slot::Proof | Slot::Certificate | Slot::CertificateHash => {
                self.set_possession(slot, value);
            }
            slot => self.set_carrier(slot, name, value),
        }
    }

    /// Takes the time, from a format that read it already.
    pub(super) fn set_time(&mut self, read: (Time, Stamp)) {
        self.read = Some(read);
    }

    /// Takes the address that nginx calls `$remote_addr`, from a format that read it already.
    pub(super) fn set_remote(&mut self, address: IpAddr) {
        self.remote = Some(address);
    }

    /// Says that the line ends before its end. A forwarding header that another one may have outranked or gone on with
    /// is then none.
    pub(super) fn set_cut(&mut self) {
        self.event.cut = true;
        if self.ranks.chain < Meaning::of(Slot::Chain).rank || self.chain_goes_on() {
            self.forget_chain();
        }
    }

    /// Leaves the forwarding header out: it does not say who the client is.
    pub(super) fn forget_chain(&mut self) {
        self.event.chain = None;
    }

    /// True when the array in which the forwarding header stands does not end in the line.
    fn chain_goes_on(&self) -> bool {
        let (before, behind) = self
            .line
            .split_at_checked(self.chain_end)
            .unwrap_or_default();
        let is_inside = before.rfind('[') > before.rfind(']');
        is_inside && !behind.trim_start_matches(['"', ' ']).starts_with(']')
    }

    /// True when a forwarding header was taken.
    pub(super) fn has_chain(&self) -> bool {
        self.event.chain.is_some()
    }

    /// True when the gateway said who the client is.
    pub(super) fn has_client(&self) -> bool {
        self.event.client.is_some()
    }

    /// Takes a forwarding header. Of one that was sent more than once, JSON has an array: one chain (RFC 9110, section
    /// 5.3).
    fn set_chain(&mut self, at: usize, value: Cow<'a, str>) {
        let end = at + value.len();
        let between = self.line.get(self.chain_end..at).unwrap_or_default();
        self.event.chain = match self.event.chain.take() {
            Some(before) if is_between_elements(between) => {
                Some(format!("{before}, {value}").into())
            }
            _ => Some(value),
        };
        self.chain_end = end;
    }

    /// Takes a field in which a credential may stand.
    fn set_carrier(
        &mut self,
        slot: Slot,
        name: impl FnOnce() -> Cow<'a, str>,
        mut value: Cow<'a, str>,
    ) {
        let kind = match slot {
            Slot::Other => Some(CarrierKind::Field),
            Slot::Header => Some(CarrierKind::Header),
            Slot::Cookie => Some(CarrierKind::Cookie),
            Slot::Token => Some(CarrierKind::Field),
            Slot::Hash => Some(CarrierKind::Hash),
            Slot::Claim(claim) => Some(CarrierKind::Claim(claim)),
            Slot::IssuedId => {
                let (claim, id) = issued(value);
                value = id;
                claim.map(CarrierKind::Claim)
            }
            // What another field of the same kind outranks.
            _ => None,
        };
        if let Some(kind) = kind
            && self.event.carriers.len() < CARRIERS_MAX
        {
            let name = name();
            self.event.carriers.push(Carrier {
                kind,
                name,
                text: value,
            });
        }
    }

    /// Takes a proof of possession, which is no credential by itself.
    fn set_possession(&mut self, slot: Slot, value: Cow<'a, str>) {
        let possession = self.event.possession.get_or_insert_default();
        let place = match slot {
            Slot::Proof => &mut possession.proof,
            Slot::Certificate => &mut possession.certificate,
            _ => &mut possession.certificate_sha256,
        };
        *place = Some(value);
    }

    /// True when a token begins in this part of the line. One pass over the line serves all fields, which come in its
    /// order.
    #[inline(always)]
    fn holds_jwt(&mut self, at: usize, length: usize) -> bool {
        let next = match self.jwt_next {
            Some(next) if next >= at => next,
            _ => self.find_jwt(at),
        };
        next < at + length
    }

    /// Finds where the next token begins.
    #[cold]
    fn find_jwt(&mut self, at: usize) -> usize {
        let rest = self.line.as_bytes().get(at..).unwrap_or_default();
        let next = token_at(rest).map_or(usize::MAX, |found| at + found);
        self.jwt_next = Some(next);
        next
    }

    /// Completes the event.
    ///
    /// # Errors
    /// [`SkipReason::BadTime`] for a time that is none; [`SkipReason::Malformed`] and [`SkipReason::NoTime`] when there
    /// is nothing of a request. An event without a time is for the [`Parser`](super::Parser) to complete.
    pub(super) fn finish(&mut self) -> Result<(), SkipReason> {
        self.complete()
    }

    /// Completes the event as a note.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub(super) fn finish_note(&mut self) -> Result<(), SkipReason> {
        self.complete()?;
        self.event.kind = EventKind::Note;
        Ok(())
    }

    /// The completed event, and what the line says of it beside a request's fields.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub(super) fn finish_telling(
        &mut self,
    ) -> Result<(&mut AccessEvent<'a>, &Telling<'a>), SkipReason> {
        self.complete()?;
        Ok((self.event, &self.telling))
    }

    fn complete(&mut self) -> Result<(), SkipReason> {
        let event = &mut *self.event;
        let read = match (&self.time, &self.date) {
            _ if self.read.is_some() => Some(self.read),
            (Some(time), Some(date)) => Some(time::read_dated(date, time)),
            (Some(time), None) => Some(time::read(time)),
            // What is called a date has the time in it, too, or no time stands anywhere.
            (None, date) => date.as_ref().and_then(|date| time::read(date)).map(Some),
        };
        (event.time, event.stamp) = match read {
            Some(read) => read.ok_or(SkipReason::BadTime)?,
            None => (Time::default(), Stamp::Absent),
        };
        let of_chain = || of_chain(event.chain.as_deref()?);
        event.client = event
            .client
            .or(self.remote)
            .or(event.peer)
            .or_else(of_chain);
        event.peer = event.peer.or(self.remote).or(event.client);
        if let Some(query) = event.query.as_mut().filter(|query| query.starts_with('?')) {
            *query = without_mark(query); // `%q` of Apache
        }
        set_request(event, self.request.take(), self.target.take());
        if is_request(event) {
            Ok(())
        } else if self.time.is_some() || self.read.is_some() {
            Err(SkipReason::Malformed)
        } else {
            Err(SkipReason::NoTime)
        }
    }
}

/// What was issued under an id, and the id of the token in it. Okta writes `AT.` before the `jti` of a token, as the
/// token does, and `oar` and `RT.` before a refresh token; Kubernetes puts `JTI=` before it.
fn issued(id: Cow<'_, str>) -> (Option<Claim>, Cow<'_, str>) {
    if id.starts_with("AT.") {
        return (Some(Claim::Jti), id);
    }
    let is_refresh = id.starts_with("oar") || id.starts_with("RT.");
    match id {
        Cow::Borrowed(text) if text.starts_with("JTI=") => {
            (Some(Claim::Jti), Cow::Borrowed(&text["JTI=".len()..]))
        }
        id => (is_refresh.then_some(Claim::RefreshId), id),
    }
}

/// Zero (Entra), SUCCESS and ALLOW (Okta), `null` and `false` are no failures.
fn is_failure(text: &str) -> bool {
    !matches!(text, "0" | "null" | "false") && !text.starts_with("SUCCESS") && text != "ALLOW"
}

/// False for what an application writes into the same log between the requests.
fn is_request(event: &AccessEvent<'_>) -> bool {
    event.client.is_some()
        || event.status != 0
        || event.path.is_some()
        || event.method.is_some()
        || !event.carriers.is_empty()
}
