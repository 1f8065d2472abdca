//! Alternation: two holders take turns, where one holder would move once.
//!
//! In: the session's switches, which leave out what one device does by itself. Out: `session.switches_10m`,
//! `session.vpn_switches_10m`, `session.overlap_s`, `session.networks_1h`, `session.clients_1h`,
//! `session.countries_1h`.
//! Does not know: which of the two is the holder.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::domain::time::Time;
use crate::sessions::device::same_network;
use crate::sessions::moves::Switch;
use crate::sessions::session::Session;

/// Alternation is counted inside this window.
const WINDOW_S: f64 = 600.0;

/// Distinct networks, clients and countries are counted inside this window.
const DISTINCT_S: f64 = 3600.0;

pub(super) static DETECTOR: Detector = Detector {
    name: "alternation",
    facts: &[
        Fact::SessionSwitches10m,
        Fact::SessionVpnSwitches10m,
        Fact::SessionOverlapS,
        Fact::SessionNetworks1h,
        Fact::SessionClients1h,
        Fact::SessionCountries1h,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some(session) = look.changed_session() else {
        return;
    };
    let time = look.usage.event.time;
    distinct(look, session, time, facts);
    let Some((now, is_new)) = arrival(look, session) else {
        return;
    };
    let recent: Vec<Switch> = session
        .switches()
        .iter()
        .copied()
        .filter(|switch| (0.0..WINDOW_S).contains(&time.since_s(switch.time)))
        .chain(is_new.then_some(now))
        .collect();
    let returns = |vpn: bool| {
        let returns = recent.iter().enumerate().filter(|(index, switch)| {
            switch.vpn == vpn
                && recent[..*index]
                    .iter()
                    .any(|earlier| earlier.from == switch.to)
        });
        returns.count() as f64
    };
    if now.vpn {
        // Told at the end that came later: where the session began is its holder's.
        if session.bound().all(|bound| bound.key != look.key) {
            facts.set(Fact::SessionVpnSwitches10m, returns(true));
        }
        return;
    }
    facts.set(Fact::SessionSwitches10m, returns(false));
    if let Some(overlap_s) = overlap_s(&recent).filter(|_| two_networks(session, now)) {
        facts.set(Fact::SessionOverlapS, overlap_s);
    }
}

/// The switch that brought the session here, when it is one that counts, and whether this use makes it. What came here
/// first may have been answered in a way that says nothing, and is told of with the next.
fn arrival(look: &Look<'_>, session: &Session) -> Option<(Switch, bool)> {
    let (to, there) = session.visit(look.key)?;
    let time = look.usage.event.time;
    if to == session.current {
        let last = session.switches().last().filter(|last| last.to == to)?;
        return Some((*last, false));
    }
    let both = session.current()?.accepted > 0 && there.accepted > 0;
    let switch = session.switch(to, time)?;
    (time >= session.last_seen() && both).then_some((switch, true))
}

/// True when a switch leads to another network: two programs on one machine take turns all day.
fn two_networks(session: &Session, switch: Switch) -> bool {
    let end = |index: u8| session.visits.get(usize::from(index));
    let ends = end(switch.from).zip(end(switch.to));
    ends.is_some_and(|(a, b)| same_network(&a.context, &b.context) == Some(false))
}

/// Seconds from one side's arrival to the other's return, once both sides have come back: A, B, A, B.
fn overlap_s(recent: &[Switch]) -> Option<f64> {
    let newest = recent.last()?;
    let between = |switch: &&Switch| {
        (switch.from, switch.to) == (newest.from, newest.to)
            || (switch.to, switch.from) == (newest.from, newest.to)
    };
    let turns: Vec<&Switch> = recent.iter().filter(between).collect();
    // Three switches between two visits are four stays: A, B, A, B.
    (turns.len() >= 3).then(|| newest.time.since_s(turns[0].time).max(1.0))
}

fn distinct(look: &Look<'_>, session: &Session, time: Time, facts: &mut Facts) {
    let recent = || {
        let accepted = session.visits.iter().filter(|visit| visit.accepted > 0);
        let fresh = accepted.filter(|visit| visit.last.apart_s(time) <= DISTINCT_S);
        fresh
            .map(|visit| &visit.context)
            .chain([&**look.usage.context])
    };
    let still =
        |context: &&crate::domain::context::Context| !context.network_kind().moves_by_nature();
    let networks = recent()
        .filter(still)
        .filter_map(|c| c.network.as_ref().map(|n| n.asn));
    facts.set(Fact::SessionNetworks1h, count(networks));
    let countries = recent()
        .filter(still)
        .filter_map(|c| c.place.as_ref().map(|p| p.country));
    facts.set(Fact::SessionCountries1h, count(countries));
    let clients =
        recent().filter_map(|c| c.client.as_ref().map(|c| (c.name.clone(), c.os.clone())));
    facts.set(Fact::SessionClients1h, count(clients));
}

fn count<T: Ord>(items: impl Iterator<Item = T>) -> f64 {
    items.collect::<std::collections::BTreeSet<T>>().len() as f64
}
