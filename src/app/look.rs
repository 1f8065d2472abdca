//! A look at some lines of a log: can they be read, do they show tokens, whose addresses are they?
//!
//! In: lines, and how they are read. Out: [`Look`], the counts.
//! Does not know: earlier lines, keys, rules. Nothing is judged.

use crate::domain::event::AccessEvent;
use crate::domain::ids::IdKey;
use crate::domain::line::{RawLine, SkipReason};
use crate::domain::time::Time;
use crate::domain::token::{Form, Shape};
use crate::engine::prepare::Reading;
use crate::formats::client_address::settle;
use crate::tokens::decode::decode;
use crate::tokens::locate::locate;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// More issuers than any sample of an honest log names.
const ISSUERS_MAX: usize = 8;

/// What some lines of a log show.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Lines that are no comments and not empty.
    pub(super) lines: u64,
    /// Those that are requests.
    pub(super) events: u64,
    /// Requests that show a token, by how much of it.
    pub(super) forms: BTreeMap<&'static str, u64>,
    /// Who issued those tokens.
    pub(super) issuers: BTreeSet<String>,
    /// Requests by client, as the proxies that are trusted so far let it be known.
    clients: BTreeMap<IpAddr, u64>,
    /// Requests with a forwarding header.
    pub(super) chains: u64,
    /// Event time of the newest.
    pub(super) newest: Option<Time>,
}

impl Look {
    /// Looks at lines.
    pub(super) fn at<'a>(
        reading: &Reading,
        lines: impl IntoIterator<Item = RawLine<'a>>,
        key: &IdKey,
    ) -> Self {
        let mut look = Self::default();
        let mut parser = reading.parser.clone();
        for line in lines {
            match parser.parse(line.text) {
                Ok(event) => look.event(reading, event, key),
                Err(SkipReason::Empty | SkipReason::Comment) => {}
                Err(_) => look.lines += 1,
            }
            parser.follow(line.text);
        }
        look
    }

    fn event(&mut self, reading: &Reading, mut event: AccessEvent<'_>, key: &IdKey) {
        self.lines += 1;
        self.events += 1;
        self.newest = self.newest.max(Some(event.time));
        settle(&mut event, &reading.trusted);
        self.chains += u64::from(event.chain.is_some());
        if let Some(client) = event.client {
            *self.clients.entry(client).or_default() += 1;
        }
        let credentials = locate(&mut event, key);
        for credential in credentials.iter() {
            let Ok(token) = decode(credential, key) else {
                continue;
            };
            let form = match &credential.shape {
                Shape::Scrubbed(_) => Form::Hash,
                _ => token.form,
            };
            *self.forms.entry(form.name()).or_default() += 1;
            let issuer = token.issuer.as_deref();
            if let Some(issuer) = issuer.filter(|_| self.issuers.len() < ISSUERS_MAX) {
                self.issuers.insert(issuer.to_owned());
            }
        }
    }

    /// How many requests show a token in that form.
    pub(super) fn of(&self, form: Form) -> u64 {
        self.forms.get(form.name()).copied().unwrap_or_default()
    }

    /// True when no request shows a token, claims or a hash.
    pub(super) fn is_blind(&self) -> bool {
        self.forms.is_empty()
    }

    /// The one private address behind all requests, when there are enough to tell.
    pub(super) fn only_client(&self, requests_min: u64) -> Option<IpAddr> {
        let mut clients = self.clients.iter();
        let (client, requests) = clients.next()?;
        let alone = clients.next().is_none() && *requests >= requests_min;
        (alone && is_private(*client)).then_some(*client)
    }

    /// `raw 12, claims 3`, or `no tokens`.
    pub(super) fn shown_forms(&self) -> String {
        if self.is_blind() {
            return "no tokens, claims or hashes".to_owned();
        }
        let shown = self.forms.iter().map(|(form, count)| {
            let words = match *form {
                "raw" => "whole tokens",
                "unsigned" => "tokens without signature",
                "encrypted" => "encrypted tokens",
                "claims" => "claims",
                _ => "hashes",
            };
            format!("{count} {words}")
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// An address of a network of one's own: RFC 1918, RFC 4193, and this machine.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}
