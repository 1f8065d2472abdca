//! Travel: how fast a session would have had to move between two uses.
//!
//! In: a use's reference place, and the session's visits elsewhere. Out: `travel.distance_km`, `travel.elapsed_s`,
//! `travel.speed_kmh`.
//! Does not know: what speed is suspicious (a rule says so), nor VPN names (see [`crate::context`]).
//! Source: great-circle distance, Sinnott, "Virtues of the Haversine", Sky & Telescope 68(2), 1984.

use super::{Detector, Look};
use crate::domain::context::{Context, NetworkKind};
use crate::domain::facts::{Fact, Facts};
use crate::domain::time::Time;
use crate::sessions::device::{
    hosted, is_carrier, is_phone, one_country_by_carrier, one_fleet, one_program, places_apart,
    same_build, same_network, two_families,
};
use crate::sessions::session::{Session, Visit};

/// Uses closer in time than this say nothing about speed: logs are written when a request ends, so two requests can
/// swap by their duration. One minute covers the slowest answers of ordinary services.
const ELAPSED_S_MIN: f64 = 60.0;

pub(super) static DETECTOR: Detector = Detector {
    name: "travel",
    facts: &[
        Fact::TravelDistanceKm,
        Fact::TravelElapsedS,
        Fact::TravelSpeedKmh,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some(session) = look.changed_session() else {
        return;
    };
    let Some(here) = look.usage.context.reference_place() else {
        return; // an unknown place, a relay or a satellite is no place to travel from or to
    };
    let time = look.usage.event.time;
    if look.is_companions(session) || look.answers(session) {
        return; // a server that forwards the holder's token does not travel with them
    }
    // Both ends known for a day or more: the subject lives in two places, or in one that tables move.
    let familiar = |place| look.subject.is_some_and(|s| s.familiar_place(place, time));
    let fastest = session
        .visits
        .iter()
        .filter(|visit| visit.accepted > 0 && !session.accompanies(visit))
        .filter(|visit| !session.foreruns(visit, look.usage.context, time))
        .filter(|visit| !carried(look, session, &visit.context))
        .filter_map(|visit| {
            let there = visit.context.reference_place()?;
            if !places_apart(here, there) || (familiar(here) && familiar(there)) {
                return None;
            }
            let distance_km = here.distance_km_at_least(there);
            let elapsed_s = elapsed_s(visit, time);
            Some((distance_km * 3600.0 / elapsed_s, distance_km, elapsed_s))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((speed_kmh, distance_km, elapsed_s)) = fastest {
        facts.set(Fact::TravelDistanceKm, distance_km.round());
        facts.set(Fact::TravelElapsedS, elapsed_s.round());
        facts.set(Fact::TravelSpeedKmh, speed_kmh.round());
    }
}

/// True when the address moved and nobody need have: one carrier's gateways, one program's servers, one line's other
/// address family, a phone between Wi-Fi and a carrier, or one that roams, whose carrier routes it through home while
/// the Wi-Fi is where it is. For the last the session must have been in both networks before, or its subject with this
/// program before it began: the first arrival has to be possible.
fn carried(look: &Look<'_>, session: &Session, there: &Context) -> bool {
    let here: &Context = look.usage.context;
    let programs = here.client.as_ref().zip(there.client.as_ref());
    let one = programs.is_none_or(|(a, b)| one_program(a, b));
    let carriers = [here, there].map(is_carrier);
    let phones = is_phone(here) && is_phone(there);
    let been_here = session
        .visits
        .iter()
        .any(|visit| visit.accepted > 0 && same_network(&visit.context, here) == Some(true));
    let since = session.first_seen();
    let been_here = been_here || look.subject.is_some_and(|s| s.was_with(here, since));
    let same = same_network(here, there) == Some(true) && carriers == [true; 2];
    let roams = phones && been_here && carriers.contains(&true);
    let hands_over = (phones || tethers(here, there)) && one_country_by_carrier(here, there);
    let twins = two_families(here, there);
    one_fleet(here, there) || one && (same || roams || hands_over || twins)
}

/// True for one browser at a line of people's and behind a phone's carrier: a computer goes through its owner's phone,
/// and the carrier's gateway is anywhere in the country.
fn tethers(here: &Context, there: &Context) -> bool {
    let kinds = [here, there].map(Context::network_kind);
    same_build(here, there)
        && kinds.contains(&NetworkKind::Mobile)
        && !hosted(here)
        && !hosted(there)
}

/// Time from a visit to this use. Lines can come hours late, and then the visit may lie round the use: the nearer end
/// of it counts, which can only make the traveller slower.
fn elapsed_s(visit: &Visit, time: Time) -> f64 {
    visit
        .last
        .apart_s(time)
        .min(visit.first.apart_s(time))
        .max(ELAPSED_S_MIN)
}
