//! Syslog, RFC 5424: over UDP or TCP on this machine, over TLS anywhere.
//!
//! In: an [`Incident`]. Out: one message; its text is CEF unless something else is chosen.
//! Does not know: whether the receiver kept it, for syslog has no answer: what was sent is taken for done.
//! Source: RFC 5424, section 6; RFC 5425 (TLS); RFC 6587, section 3.4.1 (octet counting); RFC 5426 (UDP).

use super::dialect::Dialect;
use super::{Event, Kind, Sink};
use crate::domain::action::{Alert, Outcome};
use crate::domain::finding::Level;
use crate::domain::incident::Incident;
use crate::outbound::Attempt;
use crate::outbound::options::{Key, OptionsError, Takes};
use crate::outbound::stream::{Peer, Stream};
use std::sync::Arc;

/// Security and authorisation messages.
const FACILITY: u8 = 10;

/// `kind = "syslog"`.
pub const KIND: Kind = Kind {
    name: "syslog",
    keys: &[
        Key::needed("address", Takes::Text, "\"tls://siem.example.com:6514\""),
        Key::optional("ca", Takes::Path),
        Dialect::KEY,
    ],
    make: |options, _| {
        let address = options.needed("address")?;
        let peer = Peer::new(address, options.path("ca").ok());
        Ok(Arc::new(Syslog {
            peer: peer.map_err(|why| OptionsError::Wrong("address", why))?,
            dialect: Dialect::of(options).unwrap_or(Dialect::Cef),
        }))
    },
};

#[derive(Debug)]
struct Syslog {
    peer: Peer,
    dialect: Dialect,
}

impl Sink for Syslog {
    fn body(&self, event: Event, incident: &Incident) -> String {
        let priority = FACILITY * 8 + severity(incident.level);
        let (time, id) = (incident.updated, event.name());
        let text = self.dialect.line(event, incident);
        // The receiver knows the host from the connection.
        format!("<{priority}>1 {time} - tokentrip - {id} - {text}")
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a> {
        Box::pin(async move {
            let frame = match self.peer.stream {
                Stream::Datagram => alert.body.clone(),
                Stream::Tcp | Stream::Tls => format!("{} {}", alert.body.len(), alert.body),
            };
            match self.peer.send(frame.as_bytes()).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Retry {
                    after_s: None,
                    why: error.to_string(),
                },
            }
        })
    }
}

/// RFC 5424, section 6.2.1.
fn severity(level: Level) -> u8 {
    match level {
        Level::Critical => 2,
        Level::High => 3,
        Level::Medium => 4,
        Level::Low => 5,
        Level::Informational => 6,
    }
}
