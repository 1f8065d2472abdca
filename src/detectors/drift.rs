//! Drift: in what a use differs from the context its session is bound to.
//!
//! In: a use's context and the session's binding. Out: `drift.*`, with the count of independent dimensions.
//! Does not know: which difference matters. Unknown is not different; what moves by nature excuses place and network,
//! never the client; a place or network the subject has known for a day is no difference.
//! Source: signals that Elastic's and Okta's published rules compare, with the guards that their users asked for.

use super::{Detector, Look};
use crate::domain::context::{Client, ClientKind, Context, NetworkKind};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::session::{apart, same_network};

pub(super) static DETECTOR: Detector = Detector {
    name: "drift",
    facts: &[
        Fact::DriftPlace,
        Fact::DriftCountry,
        Fact::DriftNetwork,
        Fact::DriftPrefix,
        Fact::DriftHosting,
        Fact::DriftClient,
        Fact::DriftClientDowngrade,
        Fact::DriftTool,
        Fact::DriftJa4,
        Fact::DriftLanguage,
        Fact::DriftDimensions,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some((session, bound)) = look.elsewhere() else {
        return;
    };
    if companion(look, session.first_seen.apart_s(look.usage.event.time)) {
        return;
    }
    let (here, bound) = (look.usage.context, &*bound.context);
    place_and_network(look, here, bound, facts);
    program(look, here, bound, facts);
    let same_version = |a: &Client, b: &Client| a.same_program(b) && a.version == b.version;
    let alike = here
        .client
        .as_ref()
        .zip(bound.client.as_ref())
        .is_some_and(|(a, b)| same_version(a, b));
    facts.flag(
        Fact::DriftJa4,
        alike && different(&ja4_stable(here), &ja4_stable(bound)),
    );
    facts.flag(
        Fact::DriftLanguage,
        different(&here.language, &bound.language),
    );
    let dimensions = [
        &[Fact::DriftPlace, Fact::DriftNetwork, Fact::DriftHosting][..],
        &[Fact::DriftClient, Fact::DriftClientDowngrade],
        &[Fact::DriftJa4],
        &[Fact::DriftLanguage],
    ]
    .iter()
    .filter(|dimension| dimension.iter().any(|&fact| facts.is(fact)))
    .count();
    facts.set(Fact::DriftDimensions, dimensions as f64);
}

fn place_and_network(look: &Look<'_>, here: &Context, bound: &Context, facts: &mut Facts) {
    let (a, b) = (here.address.to_canonical(), bound.address.to_canonical());
    facts.flag(
        Fact::DriftPrefix,
        a.is_ipv4() == b.is_ipv4() && here.prefix() != bound.prefix(),
    );
    if [here, bound]
        .iter()
        .any(|context| context.network_kind().moves_by_nature())
    {
        return;
    }
    let time = look.usage.event.time;
    let known =
        |test: &dyn Fn(&crate::sessions::subject::Subject) -> bool| look.subject.is_some_and(test);
    let here_known = here
        .place
        .as_ref()
        .is_some_and(|p| known(&|s| s.familiar_place(p, time)));
    if !here_known {
        facts.flag(Fact::DriftPlace, apart(here, bound) == Some(true));
        let countries = here.place.as_ref().zip(bound.place.as_ref());
        facts.flag(
            Fact::DriftCountry,
            countries.is_some_and(|(a, b)| a.country != b.country),
        );
    }
    let asn_known = here
        .network
        .as_ref()
        .is_some_and(|n| known(&|s| s.familiar_network(n.asn, time)));
    if !asn_known && same_network(here, bound) == Some(false) {
        facts.flag(Fact::DriftNetwork, true);
        let hosting = |context: &Context| context.network_kind() == NetworkKind::Hosting;
        facts.flag(Fact::DriftHosting, hosting(here) && !hosting(bound));
    }
}

fn program(look: &Look<'_>, here: &Context, bound: &Context, facts: &mut Facts) {
    let (Some(new), Some(old)) = (&here.client, &bound.client) else {
        return;
    };
    if new.same_program(old) {
        facts.flag(Fact::DriftClientDowngrade, new.major() < old.major());
        return;
    }
    // An internal hop carries its caller's token under its own name; nobody outside has a private address.
    if !global(here) && global(bound) {
        return;
    }
    // One phone shows as the app's own stack and as its web view.
    let stacks = [new.kind, old.kind];
    let one_phone = stacks.contains(&ClientKind::App)
        && (new.os == old.os || new.os.is_empty() || old.os.is_empty())
        && !stacks.contains(&ClientKind::Tool)
        && !facts.is(Fact::DriftNetwork)
        && !facts.is(Fact::DriftPlace);
    let familiar = look
        .subject
        .is_some_and(|s| s.familiar_client(&new.name, &new.os, look.usage.event.time));
    if one_phone || familiar {
        return;
    }
    facts.flag(Fact::DriftClient, true);
    let by_hand = matches!(old.kind, ClientKind::Browser | ClientKind::App);
    facts.flag(Fact::DriftTool, by_hand && new.kind == ClientKind::Tool);
}

/// How soon after a session's first use a server that forwards its token shows up beside it: it is called by the page
/// that the login loads. A thief needs longer to get the token and try it.
const COMPANION_S_MAX: f64 = 20.0;

/// True for a server that has taken part in the session from its first moments: a backend that renders pages or
/// forwards the browser's token, not somebody who came later.
fn companion(look: &Look<'_>, age_s: f64) -> bool {
    let here = look.usage.context;
    let server = matches!(here.client_kind(), ClientKind::Tool | ClientKind::Unknown)
        && matches!(
            here.network_kind(),
            NetworkKind::Hosting | NetworkKind::Unknown
        );
    let known = look.session.and_then(|session| {
        let (_, visit) = session.visit(look.key)?;
        Some(visit.first.apart_s(session.first_seen) <= COMPANION_S_MAX)
    });
    server && known.unwrap_or(age_s <= COMPANION_S_MAX)
}

/// The parts of a JA4 that one browser version keeps: `a` without the count of extensions, which resumption
/// changes, and `b`, the ciphers. TCP and QUIC differ in the first letter and are not compared.
/// Source: FoxIO, JA4 technical details.
fn ja4_stable(context: &Context) -> Option<(String, String)> {
    let mut parts = context.ja4.as_deref()?.split('_');
    let (a, b) = (parts.next()?, parts.next()?);
    let stable: String = a
        .char_indices()
        .filter(|(i, _)| !(6..8).contains(i))
        .map(|(_, c)| c)
        .collect();
    Some((stable, b.to_owned()))
}

fn different<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

/// True for an address that the Internet routes.
fn global(context: &Context) -> bool {
    match context.address.to_canonical() {
        std::net::IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared)
        }
        std::net::IpAddr::V6(v6) => {
            !(v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local())
        }
    }
}
