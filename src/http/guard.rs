//! Who may read incidents, and who may decide about them.
//!
//! In: the head of a request. Out: nothing, or the [`Fault`] that refuses it.
//! Does not know: what is behind.
//! Source: Fetch Metadata, <https://www.w3.org/TR/fetch-metadata/>; RFC 6750, section 2.1.

use super::fault::Fault;
use axum::http::{HeaderMap, StatusCode, header};
use std::net::IpAddr;
use std::sync::Arc;

/// Who may decide, by name, with the digests of what they must show.
#[derive(Clone, Default)]
pub(super) struct Approvers(Vec<(Arc<str>, blake3::Hash)>);

impl Approvers {
    pub(super) fn new(secrets: &[(String, String)]) -> Self {
        let digest = |secret: &String| blake3::hash(secret.as_bytes());
        let each = secrets
            .iter()
            .map(|(name, secret)| (name.as_str().into(), digest(secret)));
        Self(each.collect())
    }

    /// Who decides.
    ///
    /// # Errors
    /// When the page of another site sent it, or no approver's secret is shown.
    pub(super) fn who(&self, headers: &HeaderMap) -> Result<Arc<str>, Fault> {
        if is_cross_site(headers) {
            let hint = "decisions are not for the pages of other sites";
            return Err(Fault::new(
                StatusCode::FORBIDDEN,
                "a request of another site",
                hint,
            ));
        }
        // All are compared, so that the time tells nothing.
        let shown = shown(headers).map(blake3::hash);
        let mut named = None;
        for (name, digest) in &self.0 {
            if Some(*digest) == shown {
                named = Some(Arc::clone(name));
            }
        }
        named.ok_or_else(|| {
            let hint = "send `Authorization: Bearer` with the secret of an [[approver]]";
            Fault::new(
                StatusCode::UNAUTHORIZED,
                "only a named approver decides",
                hint,
            )
        })
    }
}

/// What a request shows as a bearer token.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let shown = headers.get(header::AUTHORIZATION)?;
    shown.as_bytes().strip_prefix(b"Bearer ")
}

/// What a viewer must show; only its digest is kept.
#[derive(Clone)]
pub(super) struct Viewer(blake3::Hash);

impl Viewer {
    pub(super) fn new(secret: &str) -> Self {
        Self(blake3::hash(secret.as_bytes()))
    }

    /// Takes the same time whatever is shown: digests are compared, and in constant time.
    pub(super) fn is(&self, headers: &HeaderMap) -> bool {
        shown(headers).is_some_and(|secret| blake3::hash(secret) == self.0)
    }
}

/// Lets pass whom the page of no other site sent, and who shows the secret, if there is one.
pub(super) fn admit(headers: &HeaderMap, viewer: Option<&Viewer>) -> Result<(), Fault> {
    if is_cross_site(headers) {
        let hint = "incidents are not for the pages of other sites";
        return Err(Fault::new(
            StatusCode::FORBIDDEN,
            "a request of another site",
            hint,
        ));
    }
    match viewer {
        Some(viewer) if !viewer.is(headers) => {
            let hint = "send `Authorization: Bearer` with the viewer secret of [server]";
            Err(Fault::new(
                StatusCode::UNAUTHORIZED,
                "viewers must show a secret",
                hint,
            ))
        }
        // A site can give its own name the address 127.0.0.1 and is then no other site; but it
        // cannot make the browser ask for an address.
        None if !is_asked_by_address(headers) => {
            let hint = "without a viewer secret, ask for localhost or an address";
            Err(Fault::new(
                StatusCode::FORBIDDEN,
                "a request for a name that is not ours",
                hint,
            ))
        }
        _ => Ok(()),
    }
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return true;
    }
    let origin = headers
        .get(header::ORIGIN)
        .map(|value| value.to_str().unwrap_or_default());
    let own = |origin: &str| {
        origin
            .split_once("://")
            .is_some_and(|(_, rest)| Some(rest) == host(headers))
    };
    origin.is_some_and(|origin| !own(origin))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

fn is_asked_by_address(headers: &HeaderMap) -> bool {
    let Some(host) = host(headers) else {
        return true; // HTTP/1.0, which no browser speaks
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}
