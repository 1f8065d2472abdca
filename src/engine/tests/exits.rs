//! Ways out that people have in common, and backends that become known for what they are.

use super::*;
use crate::domain::finding::Level;

const BACKEND: &str = "axios/1.7.9";
/// Ashburn, in a hosting network of the documentation.
const CLOUD: &str = "198.51.100.130";
/// Tokyo, at home: as far away as a company's tunnel may end.
const FAR: &str = "203.0.113.100";
const HOUR_S: i64 = 3600;

/// People's sessions that begin at an address, two each.
fn begin_at(kit: &mut Kit, exit: &str, people: i64) {
    for nth in 0..2 * people {
        let (sub, at_s) = (format!("colleague{}", nth % people), nth * 60);
        let token = token_of(&sub, &format!("{sub} {nth}"), at_s);
        kit.line(at_s, exit, BROWSER, &token, 200);
    }
}

/// Somebody who goes on at an address within a minute, with a program.
fn goes_on_at(kit: &mut Kit, at_s: i64, to: &str, program: &str) {
    let token = token_of("traveller", &format!("trip{at_s}"), at_s);
    kit.line(at_s, LISBON, BROWSER, &token, 200);
    kit.line(at_s + 30, LISBON, BROWSER, &token, 200);
    kit.line(at_s + 60, to, program, &token, 200);
    kit.line(at_s + 90, to, program, &token, 200);
}

#[test]
fn who_goes_on_where_three_peoples_sessions_begin_is_nobody_new() {
    rests_on!(DriftDimensions, "tool_on_browser_session");
    let mut kit = kit();
    begin_at(&mut kit, FAR, 3);
    goes_on_at(&mut kit, HOUR_S, FAR, BROWSER);
    assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
    // The place is excused, and nothing else is.
    goes_on_at(&mut kit, 2 * HOUR_S, FAR, TOOL);
    assert!(kit.found("tool_on_browser_session"), "{:?}", kit.rules());
}

#[test]
fn a_way_out_that_becomes_known_takes_back_what_was_said_of_it() {
    rests_on!(TravelSpeedKmh, "impossible_travel");
    let mut kit = kit();
    goes_on_at(&mut kit, 0, FAR, BROWSER);
    assert!(kit.found("impossible_travel"), "{:?}", kit.rules());
    let level = |kit: &Kit| kit.engine.incidents().iter().map(|i| i.level).max();
    assert_eq!(level(&kit), Some(Level::Medium));
    begin_at(&mut kit, FAR, 2);
    assert_eq!(level(&kit), Some(Level::Medium));
    begin_at(&mut kit, FAR, 3);
    assert!(level(&kit) <= Some(Level::Informational));
}

/// The traveller signs in at an address on some days.
fn signs_in_at(kit: &mut Kit, exit: &str, program: &str, days: impl IntoIterator<Item = i64>) {
    for day in days {
        let at_s = day * 24 * HOUR_S;
        let token = token_of("traveller", &format!("day{day}{program}"), at_s);
        kit.line(at_s, exit, program, &token, 200);
    }
}

#[test]
fn where_a_person_signs_in_on_two_days_was_nobody_else_before() {
    rests_on!(TravelSpeedKmh, "impossible_travel");
    let other = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0";
    let next = FAR.replace(".100", ".101");
    for (at, program, days, is_own) in [
        (FAR, BROWSER, 1..3, true),
        (FAR, BROWSER, 1..2, false),
        (FAR, other, 1..3, false),
        (&*next, BROWSER, 1..3, false),
    ] {
        let mut kit = kit();
        goes_on_at(&mut kit, 0, FAR, BROWSER);
        let level = |kit: &Kit| kit.engine.incidents().iter().map(|i| i.level).max();
        assert_eq!(level(&kit), Some(Level::Medium));
        signs_in_at(&mut kit, at, program, days.clone());
        let taken_back = level(&kit) <= Some(Level::Informational);
        assert_eq!(taken_back, is_own, "{at} {program} {days:?}");
    }
}

#[test]
fn who_signs_in_where_a_tool_went_on_excuses_no_tool() {
    let mut kit = kit();
    goes_on_at(&mut kit, 0, FAR, TOOL);
    signs_in_at(&mut kit, FAR, TOOL, 1..4);
    signs_in_at(&mut kit, FAR, BROWSER, 1..4);
    let level = kit.engine.incidents().iter().map(|i| i.level).max();
    assert!(level > Some(Level::Informational));
}

#[test]
fn what_is_said_again_of_ones_own_place_is_excused_at_once_and_more_is_not() {
    rests_on!(DriftDimensions);
    let mut kit = kit();
    goes_on_at(&mut kit, 0, FAR, BROWSER);
    signs_in_at(&mut kit, FAR, BROWSER, 1..3);
    let open = |kit: &Kit| {
        let incidents = kit.engine.incidents();
        incidents
            .iter()
            .filter(|i| i.level > Level::Informational)
            .count()
    };
    goes_on_at(&mut kit, 72 * HOUR_S, FAR, BROWSER);
    assert_eq!(open(&kit), 0, "{:?}", kit.rules());
    goes_on_at(&mut kit, 96 * HOUR_S, FAR, TOOL);
    assert_eq!(open(&kit), 1, "{:?}", kit.rules());
}

#[test]
fn nobody_elses_address_in_the_same_street_is_a_way_out() {
    rests_on!(TravelSpeedKmh, "impossible_travel");
    let mut kit = kit();
    for person in 0..8 {
        let sub = format!("neighbour{person}");
        let (from, at_s) = (format!("203.0.113.{}", 101 + person), person * 60);
        kit.line(at_s, &from, BROWSER, &token_of(&sub, &sub, at_s), 200);
    }
    goes_on_at(&mut kit, HOUR_S, FAR, BROWSER);
    assert!(kit.found("impossible_travel"), "{:?}", kit.rules());
}

/// People whose first page a backend makes.
fn served(kit: &mut Kit, from_s: i64, people: std::ops::Range<i64>) {
    for person in people {
        let (sub, at_s) = (format!("person{person}"), from_s + person * 60);
        let token = token_of(&sub, &sub, at_s);
        kit.line(at_s, LISBON, BROWSER, &token, 200);
        kit.line(at_s + 1, CLOUD, BACKEND, &token, 200);
    }
}

/// A session that the backend joins after twenty minutes, while nobody asks.
fn joined_late(kit: &mut Kit, name: &str, at_s: i64) {
    let token = token_of(name, name, at_s);
    for later_s in [0, 600, 1190] {
        kit.line(at_s + later_s, LISBON, BROWSER, &token, 200);
    }
    kit.line(at_s + 1300, CLOUD, BACKEND, &token, 200);
    kit.line(at_s + 1400, LISBON, BROWSER, &token, 200);
}

#[test]
fn who_serves_three_others_is_told_and_logs_nobody_out_until_he_is_known() {
    let mut kit = kit();
    served(&mut kit, 0, 0..3);
    joined_late(&mut kit, "late", HOUR_S);
    let incidents = kit.engine.incidents();
    assert_eq!(incidents.len(), 1, "{:?}", kit.rules());
    // Two independent dimensions, and still no more than a question.
    assert_eq!(incidents[0].level, Level::Medium);
    served(&mut kit, 2 * HOUR_S, 3..8);
    assert!(
        kit.engine
            .incidents()
            .iter()
            .all(|incident| incident.level <= Level::Informational)
    );
}

#[test]
fn who_serves_nobody_else_is_no_backend_in_the_making() {
    rests_on!(DriftDimensions);
    let mut kit = kit();
    served(&mut kit, 0, 0..2);
    joined_late(&mut kit, "late", HOUR_S);
    assert!(kit.engine.incidents()[0].level > Level::Medium);
}

#[test]
fn a_known_backend_stays_known_however_many_sessions_it_is_in_from_the_start() {
    rests_on!(SessionUsualCompanion);
    let mut kit = kit();
    served(&mut kit, 0, 0..40);
    for number in 0..12 {
        joined_late(&mut kit, &format!("late{number}"), HOUR_S + 60 * number);
    }
    assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
}

#[test]
fn a_backend_with_two_addresses_joins_no_session_late_that_it_is_in_from_the_start() {
    rests_on!(SessionUsualCompanion);
    let mut kit = kit();
    served(&mut kit, 0, 0..8);
    for person in 10..40 {
        let (sub, at_s) = (format!("person{person}"), HOUR_S + person * 600);
        let token = token_of(&sub, &sub, at_s);
        kit.line(at_s, LISBON, BROWSER, &token, 200);
        kit.line(at_s + 1, CLOUD, BACKEND, &token, 200);
        kit.line(at_s + 300, LISBON, BROWSER, &token, 200);
        kit.line(
            at_s + 400,
            &CLOUD.replace(".130", ".131"),
            BACKEND,
            &token,
            200,
        );
    }
    joined_late(&mut kit, "late", 24 * HOUR_S);
    assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
}

#[test]
fn one_server_that_answers_people_is_one_question_a_week() {
    rests_on!(DriftDimensions, "server_answers_browser");
    let mut kit = kit();
    let answered = |kit: &mut Kit, name: &str, at_s: i64| {
        let token = token_of(name, name, at_s);
        for page in 0..4 {
            kit.line(at_s + page * 90, LISBON, BROWSER, &token, 200);
            if page > 0 {
                kit.line(at_s + page * 90 + 1, CLOUD, BACKEND, &token, 200);
            }
        }
    };
    let told = |kit: &Kit| {
        let rules = kit.rules();
        rules
            .iter()
            .filter(|rule| **rule == *"server_answers_browser")
            .count()
    };
    for (nth, name) in ["ann", "ben", "cid"].iter().enumerate() {
        answered(&mut kit, name, nth as i64 * HOUR_S);
    }
    assert_eq!(told(&kit), 1, "{:?}", kit.rules());
    answered(&mut kit, "dan", 8 * 24 * HOUR_S);
    assert_eq!(told(&kit), 2, "{:?}", kit.rules());
}

#[test]
fn a_browser_that_was_beside_the_tool_that_began_is_the_holders_elsewhere_too() {
    rests_on!(DriftDimensions, "network_and_client_changed");
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0";
    for (then, is_other) in [(BROWSER, false), (firefox, true), (TOOL, true)] {
        let mut kit = kit();
        let token = token_of("developer", "developer", 0);
        kit.line(0, LISBON, "curl/8.9.1", &token, 200);
        kit.line(60, LISBON, BROWSER, &token, 200);
        kit.line(120, FAR, then, &token, 200);
        let told = kit.found("network_and_client_changed");
        assert_eq!(told, is_other, "{then}: {:?}", kit.rules());
    }
}

#[test]
fn a_tool_elsewhere_logs_nobody_out_whose_session_has_tools_at_home() {
    rests_on!(DriftDimensions, NovelAddress);
    for (at_home, to, acts) in [
        ("curl/8.9.1", FAR, false),
        (BROWSER, FAR, true),
        ("curl/8.9.1", CLOUD, true),
    ] {
        let mut issuers = configured();
        issuers.learn(ISSUER, public_keys(), Time::LATEST);
        let mut kit = kit_with(issuers, false);
        let token = token_of("developer", "developer", 0);
        for (at_s, from, program) in [
            (0, LISBON, BROWSER),
            (60, LISBON, at_home),
            (120, LISBON, BROWSER),
            (120 + 20 * HOUR_S, to, "PostmanRuntime/7.43.0"),
            (130 + 20 * HOUR_S, to, BROWSER),
        ] {
            let later = token_of("developer", "developer", at_s - at_s % HOUR_S);
            let token = if at_s < HOUR_S { &token } else { &later };
            kit.line(at_s, from, program, token, 200);
        }
        let incidents = kit.engine.incidents();
        let actionable = incidents.iter().any(|incident| incident.actionable);
        let level = incidents.iter().map(|incident| incident.level).max();
        assert_eq!(
            (level.is_some(), actionable),
            (true, acts),
            "{at_home} {to}: {:?}",
            kit.rules()
        );
    }
}
