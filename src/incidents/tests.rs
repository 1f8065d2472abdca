//! Whole stories through [`Incidents`]: who joins whom, what is shown, what stays bounded.

use super::samples::{BERLIN, LISBON, TOKYO, Use, Where, at, context, finding, report, token};
use super::{Incidents, Report};
use crate::domain::context::Context;
use crate::domain::finding::{Dimension, Level};
use crate::domain::incident::{Incident, Target};
use crate::domain::token::{Provenance, Token, Verdict};
use crate::domain::usage::TokenUse;
use Dimension::{Client, Fault, Network, Place, Theft, Time, Volume};
use std::sync::Arc;

mod days;

/// A use by `from` of a token, what rules said about it, and how the report differs from the plain
/// one.
fn tell(
    incidents: &mut Incidents,
    usage: &TokenUse<'_>,
    says: &[(Dimension, u32)],
    edit: impl Fn(&mut Report<'_>),
) {
    let home = context(LISBON);
    for (dimension, points) in says {
        let finding = finding(usage, *dimension, *points);
        let mut report = report(&finding, usage, Some(&home));
        edit(&mut report);
        incidents.record(&report);
    }
    if incidents.suspects(usage.context.prefix()) {
        incidents.note(usage);
    }
}

/// A theft by `from` at `time_s`: verified, answered 200.
fn theft(
    incidents: &mut Incidents,
    sub: &str,
    from: Where,
    time_s: i64,
    says: &[(Dimension, u32)],
) {
    let (token, context) = (token(sub, 1), Arc::new(context(from)));
    let made = Use::at(time_s, "/api/orders/17", 200);
    tell(incidents, &made.of(&token, &context), says, |_| ());
}

const STRONG: &[(Dimension, u32)] = &[(Place, 60), (Client, 40)];

fn only(incidents: &Incidents) -> Incident {
    let mut all = incidents.finish();
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn a_theft_tells_both_sides_the_steps_and_the_command() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, STRONG);
    theft(&mut incidents, "alice", TOKYO, 1001, &[]);
    let shown = only(&incidents);
    assert_eq!(
        shown.title,
        "alice's session was used from Tokyo, JP (hosting) 4 minutes after Lisbon, PT; \
         the client changed from Safari 17 on Mac OS X to python-requests 2"
    );
    assert_eq!((shown.level, shown.score), (Level::High, 100));
    assert!(shown.actionable && shown.suspect_active);
    assert_eq!(shown.provenance, Provenance::Verified);
    assert_eq!(shown.suspect.requests, 2);
    assert_eq!(
        shown.steps.breach.paths,
        [("/api/orders/{id}".to_owned(), 2)]
    );
    assert_eq!(
        shown.live_until.as_deref(),
        Some("1970-01-01T01:00:00.000Z")
    );
    assert_eq!(
        shown.steps.revoke.calls,
        [
            "DELETE /admin/realms/shop/sessions/sid%20of%20alice (Keycloak)",
            "POST /admin/realms/shop/users/alice/logout (Keycloak)"
        ]
    );
    assert!(shown.steps.password.needed);
    assert!(shown.next.contains("end the session now (step 2)"));
}

#[test]
fn one_strong_dimension_alerts_and_does_not_act() {
    let mut incidents = Incidents::default();
    theft(
        &mut incidents,
        "alice",
        TOKYO,
        1000,
        &[(Place, 60), (Network, 30), (Volume, 50)],
    );
    let shown = only(&incidents);
    assert!(!shown.actionable);
    assert!(shown.next.starts_with("Ask alice"));
}

#[test]
fn a_weak_case_is_not_shown_and_is_forgotten_after_an_hour() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, &[(Network, 30)]);
    assert!(incidents.finish().is_empty() && incidents.changed().is_empty());
    assert!(incidents.suspects(context(TOKYO).prefix()));
    incidents.tick(at(1000 + 3601));
    assert!(!incidents.suspects(context(TOKYO).prefix()));
}

#[test]
fn an_hour_of_silence_opens_another_that_names_the_first() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, STRONG);
    theft(&mut incidents, "alice", TOKYO, 1000 + 3600, STRONG);
    assert_eq!(incidents.finish().len(), 1);
    theft(&mut incidents, "alice", TOKYO, 1000 + 7201, STRONG);
    let all = incidents.finish();
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].prior, [all[0].id]);
}

#[test]
fn a_suspect_that_shares_nothing_with_the_first_opens_another() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, STRONG);
    theft(&mut incidents, "alice", BERLIN, 1001, STRONG);
    assert_eq!(incidents.finish().len(), 2);
}

#[test]
fn the_same_script_at_another_host_is_the_same_suspect() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, STRONG);
    let elsewhere = (
        "192.0.2.99",
        TOKYO.1,
        (64_502, "OTHER HOSTING", TOKYO.2.2),
        TOKYO.3,
    );
    theft(&mut incidents, "alice", elsewhere, 1001, STRONG);
    assert_eq!(only(&incidents).suspect.ips.len(), 2);
}

#[test]
fn what_the_holder_does_is_not_counted_for_the_suspect() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, STRONG);
    theft(&mut incidents, "alice", LISBON, 1001, &[]);
    assert_eq!(only(&incidents).suspect.requests, 1);
}

fn forgery(incidents: &mut Incidents, time_s: i64, status: u16, accepted: bool) {
    let (token, from) = (token("alice", 1), Arc::new(context(TOKYO)));
    let made = Use::at(time_s, "/api", status);
    let usage = TokenUse {
        verdict: Verdict::BadSignature,
        provenance: Provenance::Claimed,
        ..made.of(&token, &from)
    };
    tell(incidents, &usage, &[(Theft, 100)], |report| {
        report.accepted_forgery = accepted;
        report.victim = None;
    });
}

#[test]
fn a_refused_forgery_is_its_senders_incident_and_never_its_victims() {
    let mut incidents = Incidents::default();
    for time_s in 0..100 {
        forgery(
            &mut incidents,
            1000 + time_s,
            if time_s % 2 == 0 { 401 } else { 302 },
            false,
        );
    }
    let shown = only(&incidents);
    assert_eq!(
        (shown.subject.as_deref(), shown.level),
        (None, Level::Medium)
    );
    assert!(!shown.actionable && shown.sessions.is_empty());
    assert!(shown.steps.revoke.targets.is_empty() && !shown.steps.password.needed);
    assert_eq!(shown.suspect.requests, 100);
    assert_eq!(shown.steps.breach.denied, 50);
}

#[test]
fn an_accepted_forgery_is_the_accounts_and_its_steps_speak_of_the_gateway() {
    let mut incidents = Incidents::default();
    forgery(&mut incidents, 1000, 200, true);
    let shown = only(&incidents);
    assert_eq!(shown.subject.as_deref(), Some("alice"));
    assert_eq!(shown.level, Level::Critical);
    assert!(!shown.actionable && !shown.steps.password.needed);
    assert!(matches!(
        shown.steps.revoke.targets[..],
        [Target::Token { .. }]
    ));
    assert!(shown.next.starts_with("Fix the token verification"));
}

fn refused(incidents: &mut Incidents, time_s: i64) {
    let (token, from) = (token("alice", 1), Arc::new(context(TOKYO)));
    let made = Use::at(time_s, "/api", 401);
    tell(
        incidents,
        &made.of(&token, &from),
        &[(Place, 60), (Client, 40)],
        |_| (),
    );
}

#[test]
fn a_refused_token_of_the_victim_is_a_matter_of_its_sender() {
    let mut incidents = Incidents::default();
    refused(&mut incidents, 1000);
    let shown = only(&incidents);
    assert_eq!(shown.subject, None);
    assert!(!shown.actionable && shown.steps.revoke.targets.is_empty());
}

#[test]
fn a_thief_who_is_refused_later_is_still_the_same_thief() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, STRONG);
    refused(&mut incidents, 1100);
    let shown = only(&incidents);
    assert_eq!((shown.steps.breach.denied, shown.suspect.requests), (1, 2));
}

#[test]
fn a_use_that_nobody_vouches_for_or_that_had_expired_never_justifies_acting() {
    let expired = Token {
        expires_s: Some(500),
        ..token("alice", 1)
    };
    let from = Arc::new(context(TOKYO));
    for (token, provenance, status, actionable) in [
        (token("alice", 1), Provenance::Verified, 200, true),
        (token("alice", 1), Provenance::Accepted, 200, true),
        (token("alice", 1), Provenance::Presumed, 200, false),
        (token("alice", 1), Provenance::Verified, 404, false),
        (expired, Provenance::Verified, 200, false),
    ] {
        let made = Use::at(1000, "/api", status);
        let usage = TokenUse {
            provenance,
            ..made.of(&token, &from)
        };
        let mut incidents = Incidents::default();
        tell(&mut incidents, &usage, STRONG, |_| ());
        assert_eq!(
            only(&incidents).actionable,
            actionable,
            "{provenance:?} {status}"
        );
    }
}

#[test]
fn a_broken_validator_is_one_incident_of_its_host_and_logs_nobody_out() {
    let mut incidents = Incidents::default();
    for sub in ["alice", "bob", "carol", "dave"] {
        theft(&mut incidents, sub, LISBON, 1000, &[(Fault, 95)]);
    }
    let shown = only(&incidents);
    assert_eq!(
        (shown.subject.as_deref(), shown.level),
        (None, Level::Medium)
    );
    assert!(!shown.actionable);
    assert_eq!(shown.rules.values().sum::<u64>(), 4);
    assert!(shown.title.starts_with("api.example.com has a fault"));
}

#[test]
fn one_thief_with_many_tokens_is_one_incident_each_and_a_parent() {
    let mut incidents = Incidents::default();
    for sub in ["alice", "bob"] {
        theft(&mut incidents, sub, TOKYO, 1000, STRONG);
    }
    assert_eq!(incidents.finish().len(), 2);
    theft(&mut incidents, "carol", TOKYO, 1010, STRONG);
    theft(&mut incidents, "dave", TOKYO, 1020, STRONG);
    incidents.tick(at(1020 + 3700));
    let all = incidents.finish();
    let parent = all
        .iter()
        .find(|incident| !incident.children.is_empty())
        .unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(parent.children.len(), 4);
    assert_eq!(
        parent.title,
        "one source in Tokyo, JP (hosting) uses the tokens of 4 accounts"
    );
    assert!(!parent.actionable);
    assert_eq!(parent.steps.breach.requests, 4);
    for child in all.iter().filter(|incident| incident.children.is_empty()) {
        assert_eq!(child.parent, Some(parent.id));
        assert_eq!(child.level, Level::Critical, "raised by one");
        assert_eq!(child.steps.breach.other_subjects_count, 3);
    }
}

#[test]
fn a_changed_incident_is_told_once_and_again_when_its_suspect_falls_silent() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, STRONG);
    assert!(incidents.changed()[0].suspect_active);
    assert!(incidents.changed().is_empty());
    incidents.tick(at(1300));
    assert!(incidents.changed().is_empty());
    incidents.tick(at(1601));
    assert!(!incidents.changed()[0].suspect_active);
}

#[test]
fn a_forged_token_that_names_a_session_is_not_counted_as_a_use_of_it() {
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", TOKYO, 1000, STRONG);
    forgery(&mut incidents, 1010, 401, false);
    let all = incidents.finish();
    let requests: Vec<_> = all
        .iter()
        .map(|incident| incident.suspect.requests)
        .collect();
    assert_eq!(requests, [1, 1]);
}

#[test]
fn who_only_went_between_two_lines_of_one_router_is_excused_when_that_becomes_known() {
    let lines = [context(LISBON).line(), context(BERLIN).line()];
    let turns = [(Network, 15), (Time, 60)];
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", BERLIN, 1000, &turns);
    // Another line, another distance, another deed: none of them is explained by it.
    theft(&mut incidents, "bob", TOKYO, 1000, &turns);
    theft(
        &mut incidents,
        "carol",
        BERLIN,
        1000,
        &[(Place, 60), (Time, 60)],
    );
    assert_eq!(incidents.finish().len(), 3);
    incidents.changed();
    incidents.excuse_lines(lines);
    let told = incidents.changed();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(
        (told[0].level, told[0].actionable),
        (Level::Informational, false)
    );
    assert!(
        told[0].title.contains("two lines of one router"),
        "{}",
        told[0].title
    );
    let left = incidents.finish().into_iter().filter_map(|i| i.subject);
    let left: std::collections::BTreeSet<_> = left.collect();
    assert_eq!(left, ["bob".into(), "carol".into()].into());
    // What comes after that is news again.
    theft(&mut incidents, "alice", BERLIN, 1100, &[(Client, 60)]);
    assert_eq!(incidents.finish().len(), 3);
}

#[test]
fn where_the_subject_signs_in_is_their_own_place_and_the_next_line_is_not() {
    let travel = [(Network, 15), (Place, 60)];
    let mut incidents = Incidents::default();
    theft(&mut incidents, "alice", BERLIN, 1000, &travel);
    // Whole tokens stand in the log, too, which says nothing of her.
    theft(&mut incidents, "alice", BERLIN, 1050, &[(Fault, 5)]);
    theft(&mut incidents, "bob", BERLIN, 1000, &travel);
    let alice = token("alice", 1).subject.unwrap();
    let berlin = context(BERLIN);
    for day in [0, 0, 1] {
        assert_eq!(incidents.finish().len(), 2, "before day {day}");
        incidents.excuse_own(alice, &berlin, at(1100 + day * 86_400));
    }
    let left = |incidents: &Incidents| {
        let left = incidents.finish().into_iter().filter_map(|i| i.subject);
        left.map(|subject| subject.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(left(&incidents), ["bob"]);
    // The same may be said again, now and in another case; of another address in that street it may not.
    theft(&mut incidents, "alice", BERLIN, 1200, &travel);
    theft(&mut incidents, "alice", BERLIN, 100_000, &travel);
    assert_eq!(left(&incidents), ["bob"]);
    let next = ("192.0.2.56", BERLIN.1, BERLIN.2, BERLIN.3);
    theft(&mut incidents, "alice", next, 100_100, &travel);
    assert_eq!(left(&incidents), ["bob", "alice"]);
}
