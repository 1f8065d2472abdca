//! Drift: in what a use differs from the context its session is bound to.
//!
//! In: a use's context and the session's binding. Out: `drift.*`, with the count of independent dimensions; for a
//! server that answers the person, `session.answers` in their place.
//! Does not know: which difference matters. Unknown is not different; what moves by nature excuses place and network,
//! never the client; a place or network the subject has known for a day is no difference.
//! Source: signals that Elastic's and Okta's published rules compare, with the guards that their users asked for.

use super::{Detector, Look};
use crate::domain::context::{Client, ClientKind, Context, NetworkKind};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::device::{
    apart, is_persons, one_device, one_fleet, one_system, same_network, two_devices, two_families,
};
use crate::sessions::subject::Subject;

pub(super) static DETECTOR: Detector = Detector {
    name: "drift",
    facts: &[
        Fact::DriftPlace,
        Fact::DriftCountry,
        Fact::DriftNetwork,
        Fact::DriftPrefix,
        Fact::DriftHosting,
        Fact::DriftOutside,
        Fact::DriftClient,
        Fact::DriftDevice,
        Fact::DriftClientDowngrade,
        Fact::DriftTool,
        Fact::DriftJa4,
        Fact::DriftLanguage,
        Fact::DriftDimensions,
        Fact::SessionAnswers,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some((session, bound)) = look.elsewhere() else {
        return;
    };
    let (here, bound) = (look.usage.context, &bound.context);
    if look.is_companions(session) {
        return;
    }
    if !look.answers(session) {
        return differences(look, here, bound, facts);
    }
    // What differs is what differs between any backend and its person: said once, and held against nobody until a use
    // answers nobody. A backend that several people have is theirs, and needs no word.
    let mut drift = Facts::default();
    differences(look, here, bound, &mut drift);
    let elsewhere = [
        Fact::DriftPlace,
        Fact::DriftNetwork,
        Fact::DriftPrefix,
        Fact::DriftHosting,
    ];
    let other = drift.is(Fact::DriftClient) && elsewhere.iter().any(|&fact| drift.is(fact));
    facts.flag(Fact::SessionAnswers, other && !look.serves_people);
}

fn differences(look: &Look<'_>, here: &Context, bound: &Context, facts: &mut Facts) {
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
    let (a, b) = (here.address.ip(), bound.address.ip());
    let lines_differ = match a.is_ipv4() == b.is_ipv4() {
        // A hop inside hands on what came from anywhere.
        true if here.is_internal() && !bound.is_internal() => false,
        true => here.prefix() != bound.prefix(),
        // The two families of one line stand in one network.
        false => same_network(here, bound) == Some(false),
    };
    facts.flag(Fact::DriftPrefix, lines_differ);
    let time = look.usage.event.time;
    let known = |test: &dyn Fn(&Subject) -> bool| look.subject.is_some_and(test);
    let asn_known = here
        .network
        .as_ref()
        .is_some_and(|n| known(&|s| s.familiar_network(n.asn, time)));
    let outside = !here.is_internal() && here.network.is_some();
    facts.flag(
        Fact::DriftOutside,
        bound.is_internal() && outside && !asn_known,
    );
    if [here, bound]
        .iter()
        .any(|context| context.network_kind().moves_by_nature())
        || one_fleet(here, bound)
    {
        return;
    }
    let here_known = here
        .place
        .as_ref()
        .is_some_and(|p| known(&|s| s.familiar_place(p, time)));
    if !here_known {
        let moved = apart(here, bound) == Some(true) && !two_families(here, bound);
        facts.flag(Fact::DriftPlace, moved);
        let countries = here.place.as_ref().zip(bound.place.as_ref());
        facts.flag(
            Fact::DriftCountry,
            countries.is_some_and(|(a, b)| a.country != b.country),
        );
    }
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
    // A person's programs are known by their names: of two phones with one, the other is another's. Nor is it the
    // person's own browser that comes from a country or a network of servers where they never were.
    let other_phone = new.name == old.name && new.other_model(old);
    let known = |subject: &Subject| {
        let time = look.usage.event.time;
        let network = here.network.as_ref();
        let lines = two_devices(here, bound)
            || network.is_some_and(|network| subject.familiar_network(network.asn, time));
        subject.familiar_client(&new.name, &new.os, time) && lines
    };
    let familiar = !other_phone && look.subject.is_some_and(known);
    // One phone shows as the app's own stack and as its web view; an internal hop under its own name.
    if familiar || one_device(here, bound) || is_holders_other(look, here, bound) {
        return;
    }
    facts.flag(Fact::DriftClient, true);
    let (a, b) = (here.address.ip(), bound.address.ip());
    // Two programs behind one address are one person's all day: an emulated phone, a virtual machine.
    let apart = a != b && a.is_ipv4() == b.is_ipv4();
    let persons = is_persons(here) && is_persons(bound);
    let other = other_phone || !one_system(new, old);
    facts.flag(Fact::DriftDevice, apart && persons && other);
    let by_hand = matches!(old.kind, ClientKind::Browser | ClientKind::App);
    facts.flag(Fact::DriftTool, by_hand && new.kind == ClientKind::Tool);
}

/// True for a browser or an app that was at the very address that its session is bound to: whoever tried a token with a
/// command line at first goes on with a browser, and takes that elsewhere.
fn is_holders_other(look: &Look<'_>, here: &Context, bound: &Context) -> bool {
    let Some(new) = here.client.as_ref().filter(|_| is_persons(here)) else {
        return false;
    };
    let visits = look.session.iter().flat_map(|session| &session.visits);
    let mut own = visits.filter(|visit| visit.accepted > 0 && !visit.suspect);
    own.any(|visit| {
        let client = visit.context.client.as_ref();
        visit.context.line() == bound.line() && client.is_some_and(|old| new.same_program(old))
    })
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
