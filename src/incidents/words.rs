//! What people read first: the title, what to do next, what else it could be.
//!
//! In: a [`Case`]. Out: sentences.
//! Does not know: sinks; the exact commands are those of the contract.

use super::case::{Case, Key};
use super::excuses::Excuse;
use super::sides::{client_words, place_words};
use super::text::duration;
use crate::domain::context::{ClientKind, Context, NetworkKind};
use crate::domain::finding::Dimension;
use crate::domain::incident::Alternative;

/// Explanations shown: the likeliest benign ones.
const ALTERNATIVES_MAX: usize = 4;

/// One sentence: what happened.
pub(super) fn title(case: &Case) -> String {
    let Some(suspect) = case.suspect.first() else {
        return case.says.1.clone();
    };
    let place = place_words(suspect);
    match &case.key {
        Key::Sender(_) => format!(
            "somebody in {place} sends tokens that are refused: {}",
            case.says.1
        ),
        Key::Gateway(issuer, host) => {
            format!(
                "{host} has a fault with tokens of {issuer}: {}",
                case.says.1
            )
        }
        _ if case.excused.is_some() => no_theft(case),
        _ if case.accepted_forgery => {
            format!(
                "a forged token let somebody in {place} into {}",
                account(case)
            )
        }
        _ => theft(case, suspect),
    }
}

fn no_theft(case: &Case) -> String {
    let why = match case.excused {
        Some(Excuse::Lines) => Some("two lines of one router, over which several people go"),
        Some(Excuse::Ways) => Some("two ways of one program, which sends part of each page by one"),
        Some(Excuse::Exit) => {
            Some("a line of its holder's and a way out that several people share")
        }
        Some(Excuse::Backend) => Some("its holder's line and a backend of several people"),
        Some(Excuse::Own) => Some("a line of its holder's and another at which they sign in, too"),
        Some(Excuse::Keys) | None => None,
    };
    let ends = case.victim.first().zip(case.suspect.first());
    if let Some(((a, b), why)) = ends.zip(why) {
        return format!("no theft: {} and {} are {why}", a.prefix(), b.prefix());
    }
    if let Some((suspect, why)) = case.suspect.first().zip(why) {
        return format!("no theft: {} is one of {why}", suspect.prefix());
    }
    format!(
        "no forgery: the keys at hand are not those that {} signs with",
        case.issuer.as_deref().unwrap_or("the issuer")
    )
}

fn theft(case: &Case, suspect: &Context) -> String {
    let whose = match &case.subject {
        Some(subject) => format!("{subject}'s session"),
        None => "a session without subject".to_owned(),
    };
    let there = place_words(suspect);
    let Some(victim) = case.victim.first() else {
        return format!("{whose} is used from {there}: {}", case.says.1);
    };
    let here = place_words(victim);
    let mut title = if here != there {
        match case.gap_s.filter(|gap_s| *gap_s >= 0.0) {
            Some(gap_s) => format!(
                "{whose} was used from {there} {} after {here}",
                duration(gap_s)
            ),
            None => format!("{whose} was used from {there} and from {here}"),
        }
    } else if victim.prefix() != suspect.prefix() {
        format!("{whose} was used from two networks in {there}")
    } else {
        format!("{whose} was used by two clients in one network in {there}")
    };
    if case.score.highest().contains_key(&Dimension::Theft) {
        // The proof says more than the client does.
        title.push_str(&format!(": {}", case.says.1));
        return title;
    }
    if let (Some(mine), Some(other)) = (&victim.client, &suspect.client) {
        let (mine_words, other_words) = (client_words(mine), client_words(other));
        if mine_words != other_words {
            title.push_str(&format!(
                "; the client changed from {mine_words} to {other_words}"
            ));
        } else {
            title.push_str(&format!("; the client is the same {other_words}"));
        }
    }
    title
}

fn account(case: &Case) -> String {
    match &case.subject {
        Some(subject) => format!("{subject}'s account"),
        None => "an account".to_owned(),
    }
}

/// One sentence: what to do. A scan keeps nothing that a command could show later, so it speaks of the
/// steps, which every output has.
pub(super) fn next(case: &Case) -> String {
    match &case.key {
        Key::Sender(prefix) => {
            format!("Nothing is lost: block {prefix} at the edge if it goes on.")
        }
        Key::Gateway(_, host) => format!("Mend the token check of {host} (step 4)."),
        _ if case.excused == Some(Excuse::Keys) => {
            "Nothing to do for this account: see the incident about the issuer's keys.".to_owned()
        }
        _ if case.excused == Some(Excuse::Ways) => {
            "Nothing to do for this account; name the tunnel's exit under [places] home.".to_owned()
        }
        _ if case.excused == Some(Excuse::Exit) => {
            "Nothing to do for this account; name the address under [places] home.".to_owned()
        }
        _ if case.excused == Some(Excuse::Own) => {
            "Nothing to do, unless somebody else knows the password of this account: ask its holder."
                .to_owned()
        }
        _ if case.excused == Some(Excuse::Backend) => {
            "Nothing to do for this account; write an exception for the backend's network and program."
                .to_owned()
        }
        _ if case.excused == Some(Excuse::Lines) => {
            "Nothing to do for this account; name the lines under [places] home.".to_owned()
        }
        _ if case.causes.is_planted() => {
            "Find out who read the place where the token was planted, and what else lay there; deny it (step 2)."
                .to_owned()
        }
        _ if case.accepted_forgery => {
            "Fix the token verification at the gateway now (step 4), then deny the token (step 2)."
                .to_owned()
        }
        _ if case.actionable() => {
            "Deny the token and end the session now (step 2), then see to the password (step 1)."
                .to_owned()
        }
        _ => {
            let whom = case.subject.as_deref().unwrap_or("the holder");
            let whom = if case.machine {
                "the owner of the service"
            } else {
                whom
            };
            format!("Ask {whom} whether this was them; if not, do steps 1 and 2 now.")
        }
    }
}

/// Benign explanations and how to check each.
pub(super) fn alternatives(case: &Case) -> Vec<Alternative> {
    let mut found = match &case.key {
        Key::Sender(_) => vec![
            alternative(
                "a scanner or a penetration test that you ordered",
                "ask who runs one, and from which addresses",
            ),
            alternative(
                "a client that still holds an old token",
                "look for a sign-in from the same address just after",
            ),
        ],
        Key::Gateway(..) => vec![
            alternative(
                "clocks of gateway and issuer are apart",
                "compare both with a time server",
            ),
            alternative(
                "a path that needs no token answers as it always does",
                "ask for it without a token; leave it out of protected_paths",
            ),
        ],
        _ => theft_alternatives(case),
    };
    found.truncate(ALTERNATIVES_MAX);
    found
}

fn theft_alternatives(case: &Case) -> Vec<Alternative> {
    if case.accepted_forgery {
        return vec![alternative(
            "the key set that is configured here is old or another issuer's",
            "fetch the issuer's key set and compare the kid",
        )];
    }
    let whom = case.subject.as_deref().unwrap_or("the holder");
    let mut found = Vec::new();
    let Some(suspect) = case.suspect.first() else {
        return found;
    };
    if suspect.client_kind() == ClientKind::Bot {
        found.push(alternative(
            "a mail filter or a chat opened a link that holds the token",
            "look for the address among the ranges that the service publishes",
        ));
    }
    match suspect.network_kind() {
        NetworkKind::Vpn | NetworkKind::Relay | NetworkKind::Corporate => found.push(alternative(
            &format!("{whom} switched on a VPN, a relay or a company proxy"),
            &format!("ask {whom}; look whether other people of yours come from there"),
        )),
        NetworkKind::Mobile | NetworkKind::Satellite => found.push(alternative(
            &format!("{whom} changed from a fixed line to a phone or a satellite link"),
            "look whether the two networks alternate for days",
        )),
        NetworkKind::Hosting => found.push(alternative(
            "one of your own servers forwards the token (server-side rendering, a backend, a \
             health check)",
            "look whether the address is yours; if so, name it in trusted_proxies or places.home",
        )),
        NetworkKind::Residential | NetworkKind::Unknown => {}
    }
    if suspect.client_kind() == ClientKind::Tool {
        found.push(alternative(
            &format!("{whom} copied the token into a script of their own"),
            &format!("ask {whom}; give them a key made for scripts"),
        ));
    }
    found.push(alternative(
        &format!("{whom} travelled, or somebody they trust uses the account"),
        &format!("ask {whom} over another channel whether place, time and client are theirs"),
    ));
    found
}

pub(super) fn alternative(explanation: &str, check: &str) -> Alternative {
    Alternative {
        explanation: explanation.to_owned(),
        check: check.to_owned(),
    }
}
