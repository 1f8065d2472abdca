//! Apache's log of TLS connections, as httpd's own `ssl.conf` and `httpd-ssl.conf` write it.
//!
//! In: a line. Out: [`AccessEvent`] without a status, which this log does not have.
//! Does not know: other orders; a `LogFormat` string describes these.
//! Source: Apache httpd 2.4, `docs/conf/extra/httpd-ssl.conf`: `CustomLog … "%t %h %{SSL_PROTOCOL}x %{SSL_CIPHER}x
//! \"%r\" %b"`.
//!
//! Read as anything else, the bytes would be taken for a status. Every request also has its line in the access log.

use super::cut::{Cutter, Value};
use super::fields::Fields;
use super::names::{Meaning, Slot};
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memchr;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "apache_ssl_request",
    aliases: &["ssl_request_log"],
    about: "[time] client TLS-version cipher \"request\" bytes, of Apache's ssl_request_log",
    open: |_| Arc::new(SslRequest),
};

struct SslRequest;

impl LineFormat for SslRequest {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        let mut cut = Cutter::new(line, 0);
        let time = cut.bracketed().ok_or(SkipReason::Malformed)?;
        let mut word = || cut.word().ok_or(SkipReason::Malformed);
        let (client, protocol, cipher) = (word()?, word()?, word()?);
        if !is_protocol(protocol.text) || memchr(b'"', cipher.text.as_bytes()).is_some() {
            return Err(SkipReason::Malformed);
        }
        let request = cut.quoted_until(are_bytes).ok_or(SkipReason::Malformed)?;
        let bytes = cut.word();
        let mut fields = Fields::new(line, event);
        let mut set = |slot: Slot, value: Value<'a>| {
            let text = value.text.into();
            fields.set(Meaning::of(slot), || "extra".into(), value.at, text);
        };
        set(Slot::Time, time);
        set(Slot::Remote, client);
        set(Slot::Request, request);
        if let Some(bytes) = bytes {
            set(Slot::Bytes, bytes);
        }
        fields.finish()
    }
}

/// `TLSv1.3`, `SSLv3`. Where a request without TLS has `-`, others have who asked, and a status behind.
fn is_protocol(text: &str) -> bool {
    text.starts_with("TLSv") || text.starts_with("SSLv")
}

/// True for the last number of a line.
fn are_bytes(behind: &[u8]) -> bool {
    match behind {
        [b' ', b'-'] => true,
        [b' ', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
