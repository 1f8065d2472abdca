//! The model against the published implementation's numbers, and the bounds of what is kept.

use super::super::population::ERA_SEEN;
use super::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The values of a feature from their texts, finest first.
fn values<const N: usize>(texts: [&str; N]) -> Values {
    let mut values = [FORGOTTEN; LEVELS];
    for (value, text) in values.iter_mut().zip(texts) {
        *value = value_of(text);
    }
    values
}

fn at(text: &str) -> Time {
    let timestamp: jiff::Timestamp = format!("{}Z", text.replace(' ', "T")).parse().unwrap();
    Time::from_ms(timestamp.as_millisecond()).unwrap()
}

fn rows(name: &str) -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/risk");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let rows = text.lines().skip(1);
    rows.map(|row| row.split(',').map(str::to_owned).collect())
        .collect()
}

#[test]
fn the_reference_mode_gives_the_scores_of_the_published_implementation() {
    let mut expected: BTreeMap<(String, usize), f64> = BTreeMap::new();
    for row in rows("scores.csv") {
        expected.insert(
            (row[1].clone(), row[2].parse().unwrap()),
            row[3].parse().unwrap(),
        );
    }
    let model = &Model::REFERENCE;
    let mut population = Population::default();
    let mut subjects: BTreeMap<String, Habits> = BTreeMap::new();
    let (mut compared, mut worst) = (0, 0.0_f64);
    for row in rows("logins.csv") {
        let [
            time,
            user,
            address,
            country,
            asn,
            agent,
            browser,
            os,
            device,
        ] = &row[..]
        else {
            panic!("{row:?}")
        };
        let seen = Seen {
            network: Some(values([address, asn, country])),
            client: Some(values([agent, browser, os, device])),
        };
        let habits = subjects.entry(user.clone()).or_default();
        let number = habits.seen as usize + 1;
        if let Some(score) = expected.get(&(user.clone(), number)) {
            let ours = risk(habits, &population, seen, at(time), model).unwrap();
            worst = worst.max((ours / score - 1.0).abs());
            compared += 1;
        }
        population.learn(seen, habits);
        habits.learn(seen, at(time), model);
    }
    assert_eq!(compared, 300);
    assert!(worst < 1e-9, "differs by {worst:e}");
}

const DAY_MS: i64 = 86_400_000;

fn seen(network: [&str; 3], client: [&str; 4]) -> Seen {
    Seen {
        network: Some(values(network)),
        client: Some(values(client)),
    }
}

/// A town of twenty who log in once a day: half with each of two providers, a quarter with each of four programs.
fn town(days: i64) -> (Vec<Habits>, Population, Time) {
    let mut population = Population::default();
    let mut people = vec![Habits::default(); 20];
    let start = at("2026-05-04T08:00:00");
    for day in 0..days {
        for (who, habits) in people.iter_mut().enumerate() {
            let seen = of_person(who);
            population.learn(seen, habits);
            habits.learn(seen, start.plus_ms(day * DAY_MS), &Model::OURS);
        }
    }
    (people, population, start.plus_ms(days * DAY_MS))
}

fn of_person(who: usize) -> Seen {
    let (address, asn) = (format!("192.0.2.{who}"), ["64500", "64501"][who % 2]);
    let version = ["Chrome 126", "Firefox 127", "Safari 17", "Edge 126"][who % 4];
    let agent = format!("Mozilla/5.0 {version}");
    seen(
        [&address, asn, "PT"],
        [&agent, version, "Windows", "browser"],
    )
}

#[test]
fn what_is_usual_scores_low_what_is_new_high_and_the_more_so_the_more_is_known() {
    let foreign = seen(
        ["203.0.113.9", "64510", "JP"],
        ["curl/8", "curl 8", "", "tool"],
    );
    let of = |days, seen| {
        let (people, population, now) = town(days);
        risk(&people[0], &population, seen, now, &Model::OURS).unwrap()
    };
    assert!(of(20, of_person(0)) < 0.1, "{}", of(20, of_person(0)));
    // Somebody else of the same provider and with the same program: a device that is new, at most.
    assert!(of(20, of_person(4)) < 1.0, "{}", of(20, of_person(4)));
    assert!(of(20, foreign) > 100.0, "{}", of(20, foreign));
    assert!(of(40, foreign) > 2.0 * of(20, foreign));
    let network_alone = Seen {
        client: of_person(0).client,
        ..foreign
    };
    assert!(of(20, network_alone) < 20.0, "{}", of(20, network_alone));
}

#[test]
fn a_first_day_makes_nobody_familiar() {
    let (mut people, population, now) = town(20);
    let foreign = seen(
        ["203.0.113.9", "64510", "JP"],
        ["x", "x 1", "Linux", "browser"],
    );
    let before = risk(&people[0], &population, foreign, now, &Model::OURS).unwrap();
    for _ in 0..5 {
        people[0].learn(foreign, now, &Model::OURS);
    }
    let after = |later| {
        risk(
            &people[0],
            &population,
            foreign,
            now.plus_ms(later),
            &Model::OURS,
        )
    };
    assert!(after(DAY_MS / 2).unwrap() > before / 2.0);
    assert!(after(DAY_MS).unwrap() < before / 10.0);
}

#[test]
fn what_is_unknown_is_left_out_and_nothing_known_gives_no_score() {
    let (people, population, now) = town(20);
    let nothing = Seen::default();
    assert_eq!(
        risk(&people[0], &population, nothing, now, &Model::OURS),
        None
    );
    let nobody = Habits::default();
    let score = risk(&nobody, &population, of_person(0), now, &Model::OURS);
    assert_eq!(score, None);
    let client_alone = Seen {
        network: None,
        ..of_person(0)
    };
    assert!(risk(&people[0], &population, client_alone, now, &Model::OURS).unwrap() < 1.0);
}

#[test]
fn a_subject_that_is_everywhere_keeps_its_bounds_and_its_networks() {
    let mut habits = Habits::default();
    let start = at("2026-05-04T08:00:00");
    for n in 0..2000 {
        let address = format!("198.51.100.{}", n % 250);
        let agent = format!("agent {n}");
        let seen = seen(
            [&address, "64500", "PT"],
            [&agent, &agent, "Linux", "browser"],
        );
        habits.learn(seen, start.plus_ms(n * 60_000), &Model::OURS);
    }
    for feature in [&habits.network, &habits.client] {
        assert!(feature.kept.len() <= Model::OURS.kept_max && feature.total < 256);
    }
    let elsewhere = values(["203.0.113.1", "64500", "PT"]);
    let later = minute(start.plus_ms(3 * DAY_MS));
    let [address, provider, ..] = habits.network.shares(elsewhere, later, &Model::OURS);
    assert!(
        address < 0.01 && provider > 0.8,
        "the provider outlives its addresses: {provider}"
    );
}

#[test]
fn a_full_era_is_forgotten_after_another() {
    let mut eras = Eras::default();
    let old = values(["a", "b", "c", "d"]);
    eras.young.learn(old, CLIENT_WEIGHTS);
    eras.young.total = ERA_SEEN;
    let new = values(["e", "f", "g", "h"]);
    eras.learn(new, CLIENT_WEIGHTS);
    assert!(eras.old.finest.get(old[0]).is_some() && eras.young.total == 1);
    eras.young.total = ERA_SEEN;
    eras.learn(new, CLIENT_WEIGHTS);
    assert!(eras.old.finest.get(old[0]).is_none());
}

#[test]
fn networks_that_move_by_nature_and_what_no_table_knows_tell_no_habits() {
    use crate::domain::context::{Country, Network, NetworkKind, Place};
    let mut context = Context {
        place: Some(Arc::new(Place {
            latitude: 38.7,
            longitude: -9.1,
            radius_km: 20.0,
            country: Country::new("PT").unwrap(),
            name: None,
        })),
        network: Some(Arc::new(Network {
            asn: 64500,
            organisation: "Example".into(),
            kind: NetworkKind::Residential,
        })),
        ..Context::of("2001:db8:1:2::7".parse().unwrap())
    };
    let home = Seen::of(&context, Some("curl/8"));
    assert!(home.network.is_some() && home.client.is_none());
    context.address = "2001:db8:1:2::8"
        .parse::<std::net::IpAddr>()
        .unwrap()
        .into();
    assert_eq!(Seen::of(&context, None), home, "a /64 is one line");
    if let Some(network) = &mut context.network {
        Arc::make_mut(network).kind = NetworkKind::Vpn;
    }
    assert_eq!(Seen::of(&context, None), Seen::default());
}
