//! The request that a gateway asks about, from what it passes on.
//!
//! In: [`Question`]. Out: [`AccessEvent`] with every place in which a token may stand.
//! Does not know: what is denied, or over which protocol the gateway asks.
//! Source: `X-Original-URI` of nginx' documentation, `X-Forwarded-Uri` of Traefik and Caddy; RFC 6750, section 2.

use crate::domain::event::{AccessEvent, Carrier, CarrierKind, Text};
use axum::http::{HeaderMap, HeaderValue, header};
use std::borrow::Cow;
use std::net::IpAddr;

/// Headers whose value is a credential, with a scheme before it or without.
const CREDENTIAL_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-access-token",
    "x-forwarded-access-token",
    "x-auth-token",
    "x-amzn-oidc-data",
    "x-amzn-oidc-accesstoken",
    "cf-access-jwt-assertion",
    "x-goog-iap-jwt-assertion",
    "x-ms-token-aad-access-token",
    "sec-websocket-protocol",
];

/// Headers in which a gateway says which address it asks about, its own before others'.
const URI_HEADERS: [&str; 2] = ["x-original-uri", "x-forwarded-uri"];

/// What a gateway passes on of a request.
pub(super) struct Question<'a> {
    /// Who asks.
    pub(super) peer: Option<IpAddr>,
    /// The method of the question, which is the request's unless a header says otherwise.
    pub(super) method: &'a str,
    /// The address of the request, where the question itself holds it; else empty.
    pub(super) uri: &'a str,
    /// The header fields of the request, and those that the gateway added.
    pub(super) headers: &'a HeaderMap,
}

/// The request that a gateway asks about.
pub(super) fn event_of<'a>(question: &Question<'a>) -> AccessEvent<'a> {
    let (headers, own) = (question.headers, question.uri);
    let asked: Vec<Cow<'_, str>> = URI_HEADERS
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .chain((!own.is_empty()).then_some(Cow::Borrowed(own)))
        .collect();
    let mut event = AccessEvent {
        peer: question.peer,
        client: question.peer,
        chain: chain(headers),
        method: text(headers, "x-original-method")
            .or_else(|| text(headers, "x-forwarded-method"))
            .or(Some(Cow::Borrowed(question.method))),
        host: text(headers, "x-forwarded-host").or_else(|| text(headers, "host")),
        referer: text(headers, "referer"),
        user_agent: text(headers, "user-agent"),
        language: text(headers, "accept-language"),
        request_id: text(headers, "x-request-id"),
        ..AccessEvent::default()
    };
    event.carriers.extend(headers.iter().filter_map(carrier));
    let encoded = asked.iter().map(AsRef::as_ref).chain(cookies(headers));
    event.carriers.extend(encoded.flat_map(decoded));
    // A client may send such a header too, so whichever is not the gateway's is looked at as well.
    let mut asked = asked.into_iter();
    if let Some(uri) = asked.next() {
        let (path, query) = split(uri);
        (event.path, event.query) = (Some(path), query);
    }
    for uri in asked {
        let (path, query) = split(uri);
        let parts = [("path", Some(path)), ("query", query)];
        event
            .carriers
            .extend(parts.into_iter().filter_map(|(name, part)| {
                Some(Carrier {
                    kind: CarrierKind::Field,
                    name: name.into(),
                    text: part?,
                })
            }));
    }
    event
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Text<'a> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// The hops that proxies wrote down, the last one last: a client that sends a field of its own stands before them.
fn chain(headers: &HeaderMap) -> Text<'_> {
    let mut fields = headers.get_all("x-forwarded-for").into_iter();
    let first = String::from_utf8_lossy(fields.next()?.as_bytes());
    Some(fields.fold(first, |chain, field| {
        let field = String::from_utf8_lossy(field.as_bytes());
        Cow::Owned(format!("{chain}, {field}"))
    }))
}

/// The header as a place where a token may stand; `None` where none can.
fn carrier<'a>((name, value): (&'a header::HeaderName, &'a HeaderValue)) -> Option<Carrier<'a>> {
    let kind = match name.as_str() {
        "cookie" => CarrierKind::Cookie,
        name if CREDENTIAL_HEADERS.contains(&name) => CarrierKind::Header,
        "referer" | "user-agent" | "x-original-uri" | "x-forwarded-uri" => return None,
        // How a token begins: base64url of `{"`.
        _ if memchr::memmem::find(value.as_bytes(), b"eyJ").is_some() => CarrierKind::Field,
        _ => return None,
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    Some(Carrier {
        kind,
        name: Cow::Borrowed(name.as_str()),
        text,
    })
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
}

/// The values of a query or of cookies with their percent-encoding undone. Applications undo it, so
/// a denied token whose first letter is written `%65` would still work behind the gateway.
fn decoded<'a>(pairs: &str) -> Vec<Carrier<'a>> {
    if !pairs.contains('%') {
        return Vec::new();
    }
    let query = pairs
        .split_once('?')
        .map_or(pairs, |(_, query)| query)
        .replace(';', "&");
    // The address is only there because a query alone cannot be read.
    let Ok(url) = reqwest::Url::parse(&format!("http://localhost/?{query}")) else {
        return Vec::new();
    };
    let carrier = |(name, text): (Cow<'_, str>, Cow<'_, str>)| Carrier {
        kind: CarrierKind::Field,
        name: Cow::Owned(name.into_owned()),
        text: Cow::Owned(text.into_owned()),
    };
    url.query_pairs().map(carrier).collect()
}

/// Path and query of an address that may be whole (`https://host/path?query`).
fn split(uri: Cow<'_, str>) -> (Cow<'_, str>, Text<'_>) {
    match uri {
        Cow::Borrowed(uri) => match uri.split_once('?') {
            Some((path, query)) => (Cow::Borrowed(path), Some(Cow::Borrowed(query))),
            None => (Cow::Borrowed(uri), None),
        },
        Cow::Owned(uri) => match uri.split_once('?') {
            Some((path, query)) => (
                Cow::Owned(path.to_owned()),
                Some(Cow::Owned(query.to_owned())),
            ),
            None => (Cow::Owned(uri), None),
        },
    }
}
