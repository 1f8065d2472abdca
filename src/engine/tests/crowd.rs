//! Networks' own histories, and what a week of quiet teaches.

use super::*;

/// New York, at home.
const OFFICE: &str = "203.0.113.10";

/// An exit of a VPN service.
const EXIT: &str = "198.51.100.70";

/// Room for a company.
fn company(fast_path: bool) -> Kit {
    let limits = Limits {
        sessions: 2000,
        tokens: 2000,
        subjects: 2000,
        ..settings().limits
    };
    let settings = Settings {
        limits,
        fast_path,
        ..settings()
    };
    kit_of(settings, Issuers::default())
}

/// Ten sessions of each colleague in the office, over two days and as many minutes as it takes.
fn colleagues(kit: &mut Kit, people: i64) {
    for session in 0..12 {
        for person in 0..people {
            let at_s = session * DAY_S / 4 + person * 60;
            let (sub, sid) = (format!("p{person}"), format!("p{person}-{session}"));
            let token = token_of(&sub, &sid, at_s);
            kit.line(at_s, OFFICE, BROWSER, &token, 200);
        }
    }
}

/// Somebody at home in Lisbon, who is in the office a day later.
fn visits_the_office(kit: &mut Kit) {
    let mut claims = claims("alice", "alice", "alice");
    claims["exp"] = (T0 + 9 * DAY_S).into();
    let token = mint(&claims, "rsa-2048");
    kit.line(4 * DAY_S, LISBON, BROWSER, &token, 200);
    kit.line(5 * DAY_S, OFFICE, BROWSER, &token, 200);
}

#[test]
fn where_colleagues_are_at_home_is_less_news_also_after_a_restart() {
    rests_on!(DriftDimensions, NovelAddress, "country_change");
    let mut lonely = company(true);
    colleagues(&mut lonely, 2);
    visits_the_office(&mut lonely);
    assert!(lonely.found("country_change"), "{:?}", lonely.rules());
    let mut office = company(true);
    colleagues(&mut office, 40);
    let snapshot = office.engine.snapshot().unwrap();
    let mut again = company(true);
    again.engine.restore(&snapshot).unwrap();
    for kit in [&mut office, &mut again] {
        visits_the_office(kit);
        assert!(!kit.found("country_change"), "{:?}", kit.rules());
    }
}

/// Eight people at home, then all behind one exit, forty seconds apart, and each once more.
fn crowd(kit: &mut Kit, day: i64) {
    let tokens: Vec<String> = (0..8)
        .map(|person| {
            token_of(
                &format!("u{person}"),
                &format!("{day}-{person}"),
                day * DAY_S,
            )
        })
        .collect();
    for (round, from) in [(0, LISBON), (1, EXIT), (2, EXIT)] {
        for (person, token) in tokens.iter().enumerate() {
            let at_s = day * DAY_S + round * 320 + person as i64 * 40;
            kit.line(at_s, from, BROWSER, token, 200);
        }
    }
}

#[test]
fn all_of_a_crowd_at_one_exit_are_told_of_and_not_where_they_come_every_day() {
    rests_on!(DriftDimensions, SourceSubjects10m, "many_at_vpn_exit");
    for fast_path in [true, false] {
        let mut kit = company(fast_path);
        let early = token_of("early", "early", 0);
        kit.line(0, LISBON, BROWSER, &early, 200);
        crowd(&mut kit, 2);
        let mut subjects = kit.subjects();
        subjects.sort();
        assert_eq!(subjects.len(), 8, "{subjects:?}");
    }
    let mut usual = company(true);
    for day in 0..4 {
        crowd(&mut usual, day);
    }
    assert!(!usual.found("many_at_vpn_exit"), "{:?}", usual.rules());
}

#[test]
fn who_was_known_before_a_session_began_in_the_cloud_is_its_holder() {
    rests_on!(TravelSpeedKmh, "impossible_travel");
    const CLOUD: &str = "198.51.100.130";
    let mut kit = company(true);
    let morning = token_of("alice", "morning", 0);
    kit.line(0, LISBON, BROWSER, &morning, 200);
    let noon = token_of("alice", "noon", 14_400);
    kit.line(14_400, CLOUD, BROWSER, &noon, 200);
    kit.line(14_500, LISBON, BROWSER, &noon, 200);
    let incidents = kit.engine.incidents();
    let suspects: Vec<String> = (incidents.iter())
        .flat_map(|incident| &incident.suspect.ips)
        .map(ToString::to_string)
        .collect();
    assert_eq!(suspects, [CLOUD], "{:?}", kit.rules());
}

/// A session of two months whose token a tool elsewhere tried on its first day, with its holder's uses on later ones;
/// when its subject was last learned to be at home, in days.
fn learned_at(holder: &[i64], thief: &[i64]) -> i64 {
    let mut kit = company(true);
    let mut claims = claims("alice", "alice", "alice");
    claims["exp"] = (T0 + 60 * DAY_S).into();
    let token = mint(&claims, "rsa-2048");
    let both = holder.iter().map(|day| (*day, LISBON, BROWSER));
    let both = both.chain(thief.iter().map(|day| (*day, TOKYO, TOOL)));
    let mut uses: Vec<_> = both.collect();
    uses.sort_unstable();
    for (day, from, agent) in uses {
        kit.line(day * DAY_S, from, agent, &token, 200);
    }
    assert_eq!(kit.engine.incidents().is_empty(), thief.is_empty());
    let subjects = &mut kit.engine.state.stores.subjects;
    let known = subjects.values_mut().next().unwrap();
    assert_eq!(known.networks.len(), 1, "a thief teaches nothing");
    (known.networks[0].last.as_s() - T0) / DAY_S
}

#[test]
fn a_robbed_session_teaches_again_when_its_suspect_was_silent_for_a_week() {
    rests_on!(DriftDimensions);
    assert_eq!(learned_at(&[0, 2, 5], &[]), 5);
    assert_eq!(learned_at(&[0, 2, 5], &[1]), 0);
    assert_eq!(learned_at(&[0, 2, 5, 9], &[1]), 9);
    assert_eq!(learned_at(&[0, 2, 5, 9], &[1, 3]), 0);
}
