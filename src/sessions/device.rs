//! Whether two contexts can be one device's: what a person does by moving, and a network by itself.
//!
//! In: [`Context`]s. Out: answers; what is unknown is not different.
//! Does not know: sessions, times.

use crate::domain::context::{Client, ClientKind, Context, NetworkKind, Place, Prefix};

/// True for a program that no person drives in a network of servers, or in one that nobody knows. The networks of VPN
/// services rent servers to others, too.
pub fn is_server(context: &Context) -> bool {
    let program = matches!(
        context.client_kind(),
        ClientKind::Tool | ClientKind::Unknown
    );
    let network = matches!(
        context.network_kind(),
        NetworkKind::Hosting | NetworkKind::Vpn | NetworkKind::Unknown
    );
    program && network
}

/// True for a browser or an app.
pub fn is_persons(context: &Context) -> bool {
    matches!(context.client_kind(), ClientKind::Browser | ClientKind::App)
}

/// True when one device could be in both contexts at nearly the same time: the same program (or unknown), and the
/// same network, a dual stack, a hand-over between Wi-Fi and phone, or a network whose addresses move by nature.
pub fn one_device(a: &Context, b: &Context) -> bool {
    // An internal hop carries its caller's token under its own name; nobody outside has such an address.
    if [a, b].iter().any(|end| end.is_internal() && is_server(end)) {
        return true;
    }
    if let (Some(one), Some(other)) = (&a.client, &b.client)
        && !one_program(one, other)
        && !scripts(a, b)
    {
        return false;
    }
    if same_network(a, b) != Some(false) || one_fleet(a, b) {
        return true;
    }
    let kinds = [a.network_kind(), b.network_kind()];
    if kinds.iter().any(|kind| kind.moves_by_nature()) {
        return true;
    }
    // Many carriers have phones and fixed lines behind one number, so a phone is known by its system too.
    let phone = kinds.contains(&NetworkKind::Mobile) || is_phone(a) && is_phone(b);
    let hosted = kinds.contains(&NetworkKind::Hosting);
    phone && !hosted && (apart(a, b) != Some(true) || one_country_by_carrier(a, b))
}

/// True when both ends are in one country and a carrier stands at one: its gateway can be anywhere in the country.
pub fn one_country_by_carrier(a: &Context, b: &Context) -> bool {
    let countries = a.place.as_ref().zip(b.place.as_ref());
    let one = countries.is_some_and(|(a, b)| a.country == b.country);
    one && (is_carrier(a) || is_carrier(b))
}

/// Beyond this radius a place is a carrier's gateway, not its user's town: the median error of place tables on
/// mobile networks is 179 to 207 km (arXiv 2605.21937), and no network of phones is given less than 200.
const GATEWAY_RADIUS_KM: f32 = 200.0;

/// True for a network that phones use: known as one, or with a carrier's radius, or of a kind that nobody told.
pub fn is_carrier(context: &Context) -> bool {
    let wide = |place: &Place| place.radius_km >= GATEWAY_RADIUS_KM;
    matches!(
        context.network_kind(),
        NetworkKind::Mobile | NetworkKind::Unknown
    ) || context.place.as_deref().is_some_and(wide)
}

/// True when a phone sends the use. Libraries of apps (okhttp, Dart) name no system.
pub fn is_phone(context: &Context) -> bool {
    context
        .client
        .as_ref()
        .is_some_and(|client| match &*client.os {
            "iOS" | "Android" => true,
            os => os.is_empty() && client.kind == ClientKind::App,
        })
}

/// The same program, or two stacks of one phone: the app's own and its web view.
pub fn one_program(a: &Client, b: &Client) -> bool {
    let stacks = [a.kind, b.kind];
    a.same_program(b)
        || stacks.contains(&ClientKind::App)
            && !stacks.contains(&ClientKind::Tool)
            && !stacks.contains(&ClientKind::Bot)
            && (a.os == b.os || nameless_beside(a, b) || nameless_beside(b, a))
}

/// True for a program that names no system beside one that is a phone's or may be: the libraries of apps (okhttp,
/// Dart) name none, and no browser of a desktop is an app's web view.
fn nameless_beside(nameless: &Client, other: &Client) -> bool {
    nameless.os.is_empty()
        && (other.kind != ClientKind::Browser || matches!(&*other.os, "" | "iOS" | "Android"))
}

/// Systems that one device shows, whichever page of it asks: a phone or a tablet in desktop mode calls itself a
/// computer of its maker's kind.
/// Source: Apple, "Desktop-class browsing in Safari" (iPadOS 13); Chromium, "Request desktop site" (`X11; Linux`).
const ONE_SYSTEM: [&[&str]; 2] = [
    &["iOS", "Mac OS X", "WatchOS"],
    &["Android", "Linux", "Ubuntu", "Chrome OS"],
];

/// True unless the two systems are known and no device shows both.
pub fn one_system(a: &Client, b: &Client) -> bool {
    let both = |systems: &&[&str]| [a, b].iter().all(|client| systems.contains(&&*client.os));
    a.os.is_empty()
        || b.os.is_empty()
        || a.os == b.os
        || ONE_SYSTEM.iter().any(both) && one_maker(a, b)
}

/// True when a browser in desktop mode can be the other: it stays itself, but that any of Apple's may call itself
/// Safari. Apps call themselves whatever they are called.
fn one_maker(a: &Client, b: &Client) -> bool {
    let ends = [a, b];
    let app = ends.iter().any(|end| end.kind == ClientKind::App);
    let safari = ends
        .iter()
        .any(|end| &*end.os == "Mac OS X" && &*end.name == "Safari");
    app || safari || maker(&a.name) == maker(&b.name)
}

/// A browser's name without what its editions add to it.
fn maker(name: &str) -> &str {
    let name = name.strip_prefix("Mobile ").unwrap_or(name);
    name.split([' ', '/']).next().unwrap_or_default()
}

/// Servers between which a token moves by design: the probes of one monitor, the regions of one program in one cloud,
/// and the exits of whatever a person hides behind (Tor, a VPN that no table knows, a desktop in a cloud). None of them
/// travels.
pub fn one_fleet(a: &Context, b: &Context) -> bool {
    let servers = hosted(a) && hosted(b);
    let programs = a.client.as_ref().zip(b.client.as_ref());
    let same = programs.is_some_and(|(a, b)| a.same_program(b));
    let hidden = is_persons(a) || a.client_kind() == ClientKind::Bot;
    servers && same && (hidden || same_network(a, b) == Some(true)) || scripts(a, b)
}

/// Two steps of one job: a build calls with curl here and with a library there, from wherever its cloud starts the next
/// runner. No person's session begins so.
fn scripts(a: &Context, b: &Context) -> bool {
    [a, b].iter().all(|end| is_errands(end)) && same_network(a, b) == Some(true)
}

/// True for a program that runs by itself in a network of servers.
pub fn is_errands(context: &Context) -> bool {
    context.client_kind() == ClientKind::Tool && hosted(context)
}

/// True when a session that is in both contexts in turns is in two hands. Two programs behind one address are one
/// person's all day: an extension, an emulated phone, a copied `curl` line.
pub fn two_hands(a: &Context, b: &Context) -> bool {
    a.prefix() != b.prefix() && !one_device(a, b)
}

/// True when the same program is seen through a VPN's exit and past it: one person who switches it on and off, or two.
/// Over the other family of addresses it says nothing: many tunnels take one family and leave the other outside.
pub fn past_a_vpn(a: &Context, b: &Context) -> bool {
    let exits = [a, b].map(|end| end.network_kind() == NetworkKind::Vpn);
    let families = [a, b].map(|end| end.address.ip().is_ipv4());
    // A hop of one's own sees whatever comes, through the exit or past it.
    let inside = a.is_internal() || b.is_internal();
    exits[0] != exits[1] && families[0] == families[1] && !inside
}

/// Whether two contexts are in one network; `None` when that is unknown.
pub fn same_network(a: &Context, b: &Context) -> Option<bool> {
    if a.prefix() == b.prefix() {
        return Some(true);
    }
    Some(a.network.as_ref()?.asn == b.network.as_ref()?.asn)
}

/// Distance beyond the error radii at which two places are told apart: neighbouring towns share exchanges, and place
/// tables move networks between them (arXiv 2605.21937, medians per network kind).
pub const APART_KM_MIN: f64 = 100.0;

/// Whether two contexts are surely in different places; `None` when either has no reference place.
pub fn apart(a: &Context, b: &Context) -> Option<bool> {
    Some(places_apart(a.reference_place()?, b.reference_place()?))
}

/// Whether two places are surely different.
pub fn places_apart(a: &Place, b: &Place) -> bool {
    a.distance_km_at_least(b) > APART_KM_MIN
}

/// Two lines of one router: the same program, of one version and in one language, in the same place, and neither a
/// server's.
pub fn two_lines(bound: &Context, context: &Context) -> bool {
    one_build(bound, context) && apart(bound, context) == Some(false)
}

/// The two address families of one provider's line: tables place each by itself, and IPv6 with the least certainty, so
/// that one home can be in two towns of its country.
pub fn two_families(a: &Context, b: &Context) -> bool {
    let families = [a, b].map(|end| end.address.ip().is_ipv4());
    let countries = a.place.as_ref().zip(b.place.as_ref());
    families[0] != families[1]
        && same_network(a, b) == Some(true)
        && countries.is_some_and(|(a, b)| a.country == b.country)
        && one_build(a, b)
}

/// The same program of one version and in one language, and neither end a server's.
fn one_build(a: &Context, b: &Context) -> bool {
    !hosted(a) && !hosted(b) && same_build(a, b)
}

/// The same program of one version and in one language.
pub fn same_build(a: &Context, b: &Context) -> bool {
    let programs = a.client.as_ref().zip(b.client.as_ref());
    let languages = a.language.as_ref().zip(b.language.as_ref());
    programs.is_some_and(|(a, b)| one_program(a, b) && a.version == b.version)
        && languages.is_none_or(|(a, b)| a == b)
}

/// True in a network of servers.
pub fn hosted(context: &Context) -> bool {
    context.network_kind() == NetworkKind::Hosting
}

/// True where an edge can stand: in a network of servers, also one that exits of VPN services share.
pub fn may_be_edge(context: &Context) -> bool {
    matches!(
        context.network_kind(),
        NetworkKind::Hosting | NetworkKind::Vpn | NetworkKind::Relay
    )
}

/// A person's requests as an edge hands them on: the very program, from where an edge can stand.
pub fn is_echo(person: &Context, context: &Context) -> bool {
    may_be_edge(context)
        && !may_be_edge(person)
        && is_persons(person)
        && same_build(person, context)
}

/// True when one person may be at both ends, and no log could tell: two devices of theirs that share a session, on the
/// lines of people in one country; or one build of one program in one language, part of whose requests take another
/// way (split tunnelling, a phone that roams, an exit node at a friend's). Such a way ends in any network but one of
/// servers: there, a copied browser looks the same, and is what thieves have.
pub fn may_share(a: &Context, b: &Context) -> bool {
    let persons = [a, b]
        .iter()
        .all(|end| end.client.is_none() || is_persons(end));
    let known = a.client.is_some() && b.client.is_some();
    let one_way = hosted(a) == hosted(b) && (same_build(a, b) || !known);
    persons && (two_devices(a, b) || one_way)
}

/// Where two devices of one person can be: each on a line of people's, in one country.
pub fn two_devices(a: &Context, b: &Context) -> bool {
    let lines = [a, b]
        .iter()
        .all(|end| !matches!(end.network_kind(), NetworkKind::Hosting | NetworkKind::Vpn));
    let countries = a.place.as_ref().zip(b.place.as_ref());
    lines && countries.is_none_or(|(a, b)| a.country == b.country)
}

/// True for two devices of one person near each other: what is continued from a phone on a computer, by a code that is
/// scanned or a link that is opened.
pub fn two_devices_nearby(a: &Context, b: &Context) -> bool {
    let near = apart(a, b) != Some(true) || one_country_by_carrier(a, b);
    is_persons(a) && is_persons(b) && two_devices(a, b) && near
}

/// True for two addresses of one organisation: large ones have several networks.
pub fn same_owner(a: &Context, b: &Context) -> bool {
    let networks = a.network.as_ref().zip(b.network.as_ref());
    let named = networks
        .is_some_and(|(a, b)| !a.organisation.is_empty() && a.organisation == b.organisation);
    named || same_network(a, b) == Some(true)
}

/// The same place and program reached over the other address family.
pub fn twins(bound: &Context, context: &Context) -> bool {
    let families = [bound, context].map(|c| c.address.ip().is_ipv4());
    families[0] != families[1] && one_device(bound, context) && apart(bound, context) != Some(true)
}

/// The bound browser after an update: same prefix, same program, higher version.
pub fn updated(bound: &Context, context: &Context) -> bool {
    let (Some(old), Some(new)) = (&bound.client, &context.client) else {
        return false;
    };
    Prefix::of(bound.address.ip()) == Prefix::of(context.address.ip())
        && old.same_program(new)
        && new.major() > old.major()
}
