//! Who belongs to a session beside its holder, and whose session it is.

use super::*;
use crate::domain::finding::Level;

const BACKEND: &str = "axios/1.7.9";
/// Ashburn, in a hosting network of the documentation.
const CLOUD: &str = "198.51.100.130";
const ANOTHER_INSTANCE: &str = "198.51.100.131";
/// Tokyo, at home.
const FAR: &str = "203.0.113.100";

/// People whose first page a backend in the cloud renders.
fn served(kit: &mut Kit, people: i64) {
    for person in 0..people {
        let (sub, at_s) = (format!("person{person}"), person * 60);
        let token = token_of(&sub, &sub, at_s);
        kit.line(at_s, LISBON, BROWSER, &token, 200);
        kit.line(at_s + 1, CLOUD, BACKEND, &token, 200);
        kit.line(at_s + 30, LISBON, BROWSER, &token, 200);
    }
}

/// A backend in the cloud that first calls after twenty minutes.
fn served_late(kit: &mut Kit, backend: &str) {
    let token = token_of("late", "late", 0);
    for at_s in [3600, 4200, 4790] {
        kit.line(at_s, LISBON, BROWSER, &token, 200);
    }
    kit.line(4800, CLOUD, backend, &token, 200);
    kit.line(4900, LISBON, BROWSER, &token, 200);
    kit.line(4901, CLOUD, backend, &token, 200);
}

#[test]
fn a_backend_that_serves_people_may_join_a_session_late() {
    rests_on!(SessionUsualCompanion);
    let mut kit = kit();
    served(&mut kit, 8);
    served_late(&mut kit, BACKEND);
    assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
}

#[test]
fn a_person_whose_first_page_was_not_found_holds_the_session_that_a_backend_was_let_into() {
    rests_on!(DriftDimensions, "tool_on_browser_session");
    let mut kit = kit();
    let token = token_of("early", "early", 0);
    kit.line(0, LISBON, BROWSER, &token, 404);
    kit.line(1, CLOUD, BACKEND, &token, 200);
    for at_s in [180, 340] {
        kit.line(at_s, LISBON, BROWSER, &token, 200);
        kit.line(at_s + 1, CLOUD, BACKEND, &token, 200);
    }
    assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
    // A thief is no holder for having asked first for what is not there.
    kit.line(400, FAR, TOOL, &token, 200);
    assert!(kit.found("tool_on_browser_session"), "{:?}", kit.rules());
}

#[test]
fn an_edge_that_writes_down_what_its_gateway_does_too_is_nobody() {
    rests_on!(DriftDimensions, "tool_on_browser_session");
    for ends in [[LISBON, CLOUD], [CLOUD, LISBON]] {
        let mut kit = kit();
        let token = token_of("edge", "edge", 0);
        for at_s in [0, 60, 120, 3600] {
            for end in ends {
                kit.line(at_s, end, BROWSER, &token, 200);
            }
        }
        // Many more of its addresses.
        for number in 0..12 {
            let at_s = 3700 + 5 * number;
            kit.line(at_s, LISBON, BROWSER, &token, 200);
            kit.line(
                at_s,
                &format!("198.51.100.{}", 131 + number),
                BROWSER,
                &token,
                200,
            );
        }
        assert!(
            kit.engine.incidents().is_empty(),
            "{ends:?}: {:?}",
            kit.rules()
        );
        kit.line(3800, CLOUD, TOOL, &token, 200);
        assert!(kit.found("tool_on_browser_session"), "{:?}", kit.rules());
    }
}

#[test]
fn who_comes_to_a_cloud_later_than_an_edge_would_is_somebody() {
    rests_on!(DriftDimensions, "browser_from_hosting");
    let mut kit = kit();
    let token = token_of("edge", "edge", 0);
    for at_s in [0, 60] {
        kit.line(at_s, LISBON, BROWSER, &token, 200);
    }
    kit.line(61, CLOUD, BROWSER, &token, 200);
    assert!(kit.found("browser_from_hosting"), "{:?}", kit.rules());
}

#[test]
fn whoever_tried_a_token_long_before_its_session_began_is_no_part_of_it() {
    rests_on!(DriftDimensions, "tool_on_browser_session");
    let mut kit = kit();
    let token = token_of("early", "early", 0);
    kit.line(0, CLOUD, BACKEND, &token, 404);
    for at_s in [60, 120, 180] {
        kit.line(at_s, LISBON, BROWSER, &token, 200);
    }
    kit.line(400, CLOUD, BACKEND, &token, 200);
    assert!(kit.found("tool_on_browser_session"), "{:?}", kit.rules());
}

/// A large service, whose sessions mostly have no backend.
fn crowd(kit: &mut Kit, people: i64) {
    for person in 0..people {
        let sub = format!("other{person}");
        kit.line(person, LISBON, BROWSER, &token_of(&sub, &sub, person), 200);
    }
}

/// A person at home over an hour, in a session of their own.
fn at_home(kit: &mut Kit) -> String {
    let token = token_of("late", "late", 0);
    for at_s in [3600, 4200, 4790] {
        kit.line(at_s, LISBON, BROWSER, &token, 200);
    }
    token
}

/// The person asks for a page, which takes the backend's calls.
fn page(kit: &mut Kit, at_s: i64, token: &str) {
    kit.line(at_s, LISBON, BROWSER, token, 200);
    for (call, from) in [(0, CLOUD), (1, CLOUD), (5, ANOTHER_INSTANCE)] {
        kit.line(at_s + 1 + call, from, BACKEND, token, 200);
    }
}

#[test]
fn a_backend_of_few_among_many_may_join_late_where_it_answers_its_person() {
    rests_on!(DriftDimensions, "tool_on_browser_session");
    let mut kit = kit();
    served(&mut kit, 8);
    crowd(&mut kit, 5000);
    let token = at_home(&mut kit);
    for at_s in [4800, 4900, 5000] {
        page(&mut kit, at_s, &token);
    }
    assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
    // Whoever goes on alone is no backend.
    kit.line(5100, CLOUD, BACKEND, &token, 200);
    assert!(kit.found("tool_on_browser_session"), "{:?}", kit.rules());
}

#[test]
fn a_page_that_is_not_found_is_a_question_too() {
    rests_on!(DriftDimensions, "tool_on_browser_session");
    for fast_path in [true, false] {
        let mut kit = kit();
        kit.engine.settings.fast_path = fast_path;
        served(&mut kit, 8);
        crowd(&mut kit, 5000);
        let token = at_home(&mut kit);
        for at_s in [4800, 4900, 5000] {
            kit.line(at_s, LISBON, BROWSER, &token, 404);
            kit.line(at_s + 1, CLOUD, BACKEND, &token, 200);
            kit.line(at_s + 60, LISBON, BROWSER, &token, 200);
        }
        assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
        // What was refused asks for nothing.
        kit.line(5100, LISBON, BROWSER, &token, 401);
        kit.line(5101, CLOUD, BACKEND, &token, 200);
        assert!(kit.found("tool_on_browser_session"), "{:?}", kit.rules());
    }
}

#[test]
fn what_comes_with_each_page_from_elsewhere_is_the_holders_other_way() {
    rests_on!(SessionUsualCompanion, TravelSpeedKmh, "impossible_travel");
    let mut kit = kit();
    let token = token_of("alice", "alice", 0);
    let pages = |kit: &mut Kit, from_s: i64, token: &str| {
        for page in 0..8 {
            for part in 0..4 {
                let from = if part % 2 == 0 { LISBON } else { FAR };
                kit.line(from_s + page * 60 + part / 2, from, BROWSER, token, 200);
            }
        }
    };
    pages(&mut kit, 0, &token);
    // It was told, and is taken back; in the next session it is known.
    assert!(kit.found("impossible_travel"), "{:?}", kit.rules());
    assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
    let told = kit.rules().len();
    pages(&mut kit, 3600, &token_of("alice", "alice2", 3600));
    assert_eq!(kit.rules().len(), told, "{:?}", kit.rules());
}

#[test]
fn who_works_by_himself_beside_the_holders_pages_takes_no_way_of_theirs() {
    let mut kit = kit();
    let token = token_of("alice", "alice", 0);
    for second in 0..300 {
        if second % 60 < 2 {
            kit.line(second, LISBON, BROWSER, &token, 200);
        }
        if second > 70 {
            kit.line(second, FAR, BROWSER, &token, 200);
        }
    }
    let incidents = kit.engine.incidents();
    assert_eq!(incidents.len(), 1, "{:?}", kit.rules());
    // The very browser, elsewhere at the same time: nothing tells it from a tunnel for certain.
    let incident = &incidents[0];
    assert!(!incident.actionable && incident.level == Level::Medium);
}

#[test]
fn an_unknown_server_that_answers_the_person_is_told_and_logs_nobody_out() {
    rests_on!(
        DriftDimensions,
        "server_answers_browser",
        "tool_on_browser_session"
    );
    let mut kit = kit();
    let token = at_home(&mut kit);
    for at_s in [4800, 4900, 5000, 5100] {
        page(&mut kit, at_s, &token);
    }
    let incidents = kit.engine.incidents();
    assert_eq!(incidents.len(), 1);
    assert!(incidents[0].suspect.ips.contains(&CLOUD.parse().unwrap()));
    let rules: Vec<_> = incidents[0].rules.keys().map(|rule| &**rule).collect();
    assert_eq!(rules, ["server_answers_browser"]);
    // Two minutes after the person's last request, it answers nobody.
    kit.line(5230, CLOUD, BACKEND, &token, 200);
    assert!(kit.found("tool_on_browser_session"));
}

#[test]
fn a_server_that_answers_nine_people_late_is_told_of_once() {
    rests_on!(DriftDimensions, "server_answers_browser");
    let mut kit = kit();
    for person in 0..9 {
        let (sub, at_s) = (format!("person{person}"), person * 60);
        let token = token_of(&sub, &sub, at_s);
        for wait_s in [0, 600, 700] {
            kit.line(at_s + wait_s, LISBON, BROWSER, &token, 200);
        }
        for wait_s in [800, 900] {
            page(&mut kit, at_s + wait_s, &token);
        }
    }
    let incidents = kit.engine.incidents();
    let told: std::collections::BTreeSet<_> = incidents
        .iter()
        .filter_map(|i| i.subject.as_deref())
        .collect();
    assert!(told.contains("person0") && told.len() == 1, "{told:?}");
}

#[test]
fn a_command_line_answers_nobody_nor_does_who_comes_ten_seconds_later() {
    rests_on!(DriftDimensions, "tool_on_browser_session");
    for (tool, after_s) in [("curl/8.5.0", 1), (TOOL, 10)] {
        let mut kit = kit();
        let token = at_home(&mut kit);
        kit.line(4790 + after_s, CLOUD, tool, &token, 200);
        assert!(kit.found("tool_on_browser_session"), "{tool}");
    }
}

#[test]
fn a_tool_that_serves_nobody_may_not_join_late_nor_one_whose_person_is_away() {
    rests_on!(DriftDimensions, "tool_on_browser_session");
    for (people, tool) in [(7, BACKEND), (8, TOOL)] {
        let mut kit = kit();
        served(&mut kit, people);
        served_late(&mut kit, tool);
        assert!(kit.found("tool_on_browser_session"), "{people} {tool}");
    }
    let mut kit = kit();
    served(&mut kit, 8);
    let token = token_of("away", "away", 0);
    kit.line(3600, LISBON, BROWSER, &token, 200);
    kit.line(3600 + 2400, CLOUD, BACKEND, &token, 200);
    assert!(kit.found("tool_on_browser_session"));
}

#[test]
fn a_build_goes_from_cloud_to_cloud_while_it_is_young_and_its_subject_has_no_other_place() {
    // Ashburn and Tokyo.
    let clouds = [("2001:db8:304::5", "curl/8.5.0"), ("2001:db8:300::5", TOOL)];
    let mut kit = kit();
    let build = token_of("build", "b1", 0);
    for (nth, (cloud, tool)) in clouds.into_iter().enumerate() {
        kit.line(nth as i64 * 300, cloud, tool, &build, 200);
    }
    assert!(kit.engine.incidents().is_empty(), "{:?}", kit.rules());
    // A home is no cloud.
    kit.line(900, LISBON, TOOL, &build, 200);
    assert!(!kit.engine.incidents().is_empty());
}

#[test]
fn who_is_at_home_is_not_blamed_for_the_stranger_who_came_first() {
    rests_on!(TravelSpeedKmh, "impossible_travel");
    let mut kit = kit();
    for day in 0..2 {
        let sid = format!("own{day}");
        let own = token_of("alice", &sid, day * DAY_S);
        for at_s in [0, 60, 120] {
            kit.line(day * DAY_S + at_s, LISBON, BROWSER, &own, 200);
        }
    }
    let taken = token_of("alice", "s9", 2 * DAY_S);
    kit.line(2 * DAY_S, FAR, BROWSER, &taken, 200);
    kit.line(2 * DAY_S + 60, FAR, BROWSER, &taken, 200);
    kit.line(2 * DAY_S + 300, LISBON, BROWSER, &taken, 200);
    kit.line(2 * DAY_S + 360, FAR, BROWSER, &taken, 200);
    let incidents = kit.engine.incidents();
    let suspects: Vec<_> = incidents.iter().flat_map(|i| &i.suspect.ips).collect();
    assert_eq!(suspects, [&FAR.parse::<IpAddr>().unwrap()]);
    assert!(incidents[0].victim.is_some());
}

#[test]
fn of_somebody_without_a_past_the_first_place_is_the_holders() {
    rests_on!(TravelSpeedKmh, "impossible_travel");
    let mut kit = kit();
    let taken = token_of("alice", "s9", 0);
    kit.line(0, FAR, BROWSER, &taken, 200);
    kit.line(300, LISBON, BROWSER, &taken, 200);
    let incidents = kit.engine.incidents();
    assert_eq!(
        incidents[0].suspect.ips,
        [LISBON.parse::<IpAddr>().unwrap()]
    );
}
