//! The gates that ask whether an incident may be acted on at all.
//!
//! In: an [`Incident`], the [`Policy`], the [`Situation`]. Out: the gate that forbids, and those that ask for a person.
//! Does not know: targets, providers, budgets.
//! Source: log-driven responders that were turned against their users: CVE-2007-4321, CVE-2009-0362, CVE-2013-7176.

use super::{LEEWAY_MS, Policy, Situation, expires_s};
use crate::domain::action::Mode;
use crate::domain::incident::Incident;
use crate::domain::token::Provenance;
use std::net::IpAddr;

/// An older event is for a person to judge: a first start on last night's log must not log people out. A clock that
/// is ahead of ours by as much is wrong.
const EVENT_AGE_S_MAX: f64 = 600.0;

/// A gate and its reason.
type Gate<'a> = (&'static str, &'a str);

/// The first gate that forbids any action.
pub(super) fn forbidden(incident: &Incident, policy: &Policy) -> Option<Gate<'static>> {
    let modes = [
        policy.deny,
        policy.revoke,
        policy.password,
        policy.ask,
        policy.block,
        policy.risk,
        policy.mfa,
    ];
    let observe = |mode: &Mode| policy.mode_for(incident, *mode) == Mode::Observe;
    if modes.iter().all(observe) {
        return Some(("mode", "observe: nothing is done"));
    }
    if incident.subject.is_none() {
        return Some(("subject", "nobody's account was entered"));
    }
    if !incident.actionable {
        let reason = "acting asks for two independent dimensions or a theft proof, in one use";
        return Some(("actionable", reason));
    }
    let believed = match incident.provenance {
        Provenance::Verified => true,
        Provenance::Accepted => policy.act_on_accepted,
        Provenance::Claimed | Provenance::Presumed | Provenance::Unverifiable => false,
    };
    if !believed {
        return Some(("provenance", "the suspect's token was not verified"));
    }
    if expired(incident) {
        return Some((
            "expired",
            "the token had expired before the suspect used it",
        ));
    }
    let ips = &incident.suspect.ips;
    let home = |ip: &IpAddr| policy.home.iter().any(|network| network.contains(ip));
    if !ips.is_empty() && ips.iter().all(home) {
        return Some((
            "home",
            "the suspect's addresses are all in one's own networks",
        ));
    }
    None
}

/// The gates that ask for a person.
pub(super) fn doubts<'a>(incident: &Incident, situation: &Situation<'a>) -> Vec<Gate<'a>> {
    let mut doubts = Vec::new();
    let suspect = &incident.suspect;
    if situation.paused {
        doubts.push(("paused", "actions are paused"));
    }
    if suspect.last_seen.apart_s(situation.now) > EVENT_AGE_S_MAX {
        doubts.push(("stale", "the event is more than 10 minutes from now"));
    }
    if !suspect.ips.is_empty() && suspect.ips.iter().all(is_shared) {
        let reason = "the suspect's addresses are private or shared by many";
        doubts.push(("shared_address", reason));
    }
    if let Some(doubt) = situation.doubt {
        doubts.push(("doubt", doubt));
    }
    doubts
}

/// The suspect's addresses that may be blocked: none of one's own, none that is private or shared, and none at all
/// where the rightful holder uses the same network, for then the two may have the same address tomorrow.
pub(super) fn blockable(incident: &Incident, policy: &Policy) -> Vec<IpAddr> {
    let suspect = &incident.suspect;
    let Some(victim) = &incident.victim else {
        return Vec::new(); // who is who is uncertain
    };
    let same = |network| victim.networks.contains(network);
    if suspect.networks.iter().any(same) {
        return Vec::new();
    }
    let own = |ip: &IpAddr| policy.home.iter().any(|network| network.contains(ip));
    let ips = suspect.ips.iter().map(IpAddr::to_canonical);
    ips.filter(|ip| !own(ip) && !is_shared(ip)).collect()
}

/// True when every token at stake had expired when the suspect last used one.
fn expired(incident: &Incident) -> bool {
    let targets = &incident.steps.revoke.targets;
    let mut ends = targets.iter().filter_map(expires_s).peekable();
    let last_s = incident.suspect.last_seen.as_s();
    ends.peek().is_some() && ends.all(|end_s| end_s.saturating_add(LEEWAY_MS / 1000) < last_s)
}

/// Addresses that say nothing about who is there: RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193, loopback,
/// link-local.
fn is_shared(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let carrier_grade = a == 100 && b & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || carrier_grade
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
