//! Leaks: tokens where others can read them, and what happened to them afterwards.
//!
//! In: where the token stands in this request, and whether it was readable before. Out: `leak.url`, `leak.referer`,
//! `leak.used_after`, `leak.used_nearby`, `leak.raw_in_log`.
//! Does not know: who read it.
//! Source: RFC 6750, section 5.3 (do not pass bearer tokens in page URLs); RFC 9700, section 4.3.2.

use super::{Detector, Look};
use crate::domain::context::{Context, NetworkKind};
use crate::domain::facts::{Fact, Facts};
use crate::domain::token::{CredentialPlace, Form};
use crate::sessions::device::{is_carrier, is_phone, one_device};
use crate::sessions::habits::Seen;
use crate::sessions::session::Visit;
use std::net::IpAddr;

/// Who reads a link as it is sent uses it at once; in a quarter of an hour hardly any line is given another address.
const NEARBY_S_MAX: f64 = 900.0;

pub(super) static DETECTOR: Detector = Detector {
    name: "leaks",
    facts: &[
        Fact::LeakUrl,
        Fact::LeakReferer,
        Fact::LeakUsedAfter,
        Fact::LeakUsedNearby,
        Fact::LeakRawInLog,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let place = look.usage.place;
    let in_url = matches!(place, CredentialPlace::Query | CredentialPlace::Path);
    facts.flag(Fact::LeakUrl, in_url);
    facts.flag(Fact::LeakReferer, place == CredentialPlace::Referer);
    // A token that nobody signed is no use to who reads it.
    let token = look.usage.token;
    let raw = token.form == Form::Raw && !token.header.alg_none;
    facts.flag(Fact::LeakRawInLog, raw);
    let Some(leaked) = look.entry.leaked().map(|leak| leak.time) else {
        return;
    };
    let Some(session) = look.changed_session() else {
        return;
    };
    let here = look.usage.context;
    // Everywhere the session was before the leak is its holder's; what came after may be the finder's. A token that
    // nobody had used when it leaked, as the one in a mail's link, is whose it was first.
    let before = || {
        let visits = session.visits.iter();
        visits.filter(|visit| visit.first <= leaked)
    };
    let same = |visit: &Visit| visit.key == look.key || one_device(&visit.context, here);
    let own = match before().next() {
        Some(_) => before().any(same),
        None => session.bound().any(same),
    };
    let after = look.usage.event.time > leaked && place.presents() && look.standing.accepted;
    facts.flag(Fact::LeakUsedAfter, after && !own);
    // A line at home keeps its address for days: another line of the provider, so soon, is a neighbour's.
    let soon = look.usage.event.time.since_s(leaked) <= NEARBY_S_MAX;
    let nearby = || {
        let elsewhere = |visit: &Visit| is_another_line(look, &visit.context);
        before().next().is_some() && before().all(elsewhere)
    };
    facts.flag(Fact::LeakUsedNearby, after && own && soon && nearby());
}

/// The part of an address that a line has for itself: /24 of IPv4, /56 of IPv6 (RIPE BCOP 690, section 4.2).
fn line_of(context: &Context) -> u128 {
    match context.address.ip() {
        IpAddr::V4(v4) => u128::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => v6.to_bits() >> 72,
    }
}

/// True where a use comes from another line of one provider than this: both addresses fixed and of one family, on
/// different lines, and neither program a phone's.
fn is_another_line(look: &Look<'_>, there: &Context) -> bool {
    let here: &Context = look.usage.context;
    let kind = here.network_kind();
    let homes = matches!(kind, NetworkKind::Residential | NetworkKind::Hosting)
        && !is_carrier(there)
        && !is_carrier(here);
    let alike = there.network_kind() == kind && !is_phone(there) && !is_phone(here);
    let family = |end: &Context| end.address.ip().is_ipv4();
    alike
        && family(there) == family(here)
        && line_of(there) != line_of(here)
        && (homes || leaves_a_known_line(look, there))
}

/// True when the subject has had that address for a day or longer, and not this one. Where a carrier has all lines of a
/// country, that tells a line at home from one whose address comes and goes.
fn leaves_a_known_line(look: &Look<'_>, there: &Context) -> bool {
    let known = |context: &Context| {
        let habits = look.subject.map(|subject| &subject.habits);
        habits?.knows_address(Seen::of(context, None), look.usage.event.time)
    };
    known(there) == Some(true) && known(look.usage.context) == Some(false)
}
