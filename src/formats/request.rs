//! A request line or a target, as it was logged, in the parts of an event.
//!
//! In: the request line and the target of a line, each as it stands there or unescaped. Out: method, path, query, and
//! of an absolute target scheme and host, in the [`AccessEvent`].
//! Does not know: where in the line they stood.
//! Source: RFC 9112, section 3.

use super::text::{Target, split_request, split_target};
use crate::domain::event::{AccessEvent, Scheme, Text};
use std::borrow::Cow;

/// The query behind its question mark.
#[cold]
pub(super) fn without_mark<'a>(query: &Cow<'a, str>) -> Cow<'a, str> {
    match query {
        Cow::Borrowed(query) => query.get(1..).unwrap_or_default().into(),
        Cow::Owned(query) => query.get(1..).unwrap_or_default().to_owned().into(),
    }
}

/// Method, path, query and, from an absolute target, host. The request line and the target are as the client sent
/// them, so they win over a path that the gateway rewrote. What is no HTTP request leaves all of itself as the path.
#[inline]
pub(super) fn set_request<'a>(event: &mut AccessEvent<'a>, request: Text<'a>, target: Text<'a>) {
    if let Some(request) = request {
        let (method, line_target) = split_cow(request);
        event.method = method.or(event.method.take());
        let target = target.unwrap_or(line_target);
        if event.method.is_none() {
            event.path = Some(target).filter(|target| !target.is_empty());
            event.query = None;
            return;
        }
        event.scheme = set_target(event, target);
    } else if let Some(target) = target {
        set_target(event, target);
    } else if event.query.is_none()
        && let Some(path) = event.path.take()
    {
        set_target(event, path);
    }
}

fn split_cow(request: Cow<'_, str>) -> (Text<'_>, Cow<'_, str>) {
    match request {
        Cow::Borrowed(request) => {
            let (method, target) = split_request(request);
            (method.map(Cow::Borrowed), Cow::Borrowed(target))
        }
        Cow::Owned(request) => {
            let (method, target) = split_request(&request);
            (
                method.map(|m| m.to_owned().into()),
                target.to_owned().into(),
            )
        }
    }
}

/// The scheme of a target whose host is the event's.
fn set_target<'a>(event: &mut AccessEvent<'a>, target: Cow<'a, str>) -> Option<Scheme> {
    match target {
        Cow::Borrowed(target) => set_parts(event, split_target(target), |part| part.into()),
        Cow::Owned(target) => {
            set_parts(event, split_target(&target), |part| part.to_owned().into())
        }
    }
}

fn set_parts<'a, 't>(
    event: &mut AccessEvent<'a>,
    target: Target<'t>,
    keep: impl Fn(&'t str) -> Cow<'a, str>,
) -> Option<Scheme> {
    event.path = Some(keep(target.path));
    if let Some(query) = target.query {
        event.query = Some(keep(query));
    }
    let (scheme, host) = target.origin?;
    if event.host.is_some() {
        return None;
    }
    event.host = Some(keep(host));
    Some(scheme)
}
