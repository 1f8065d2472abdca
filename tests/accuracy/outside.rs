//! Stories that somebody wrote who did not know how anything is judged, and that were judged wrongly at first.
//!
//! In: the stage. Out: uses of a token, some of them a thief's.
//! Does not know: rules.

use super::benign::{Benign, quiet};
use super::scene::Scene;
use super::thefts::{Theft, theft};
use crate::support::population::{MINUTE_MS, Net, Session, Style, agents};
use serde_json::json;
use std::net::IpAddr;

/// Regions of Amazon and of Microsoft.
const DUBLIN: [&str; 2] = ["52.48.9.0", "52.49.3.0"];
const AMAZON: u32 = 16509;
const MICROSOFT: u32 = 8075;

pub(super) static QUIET: &[Benign] = &[
    quiet("a build's scripts", build_scripts),
    quiet("backend beside a VPN's exits", backend_beside_exits),
    quiet("mail filter opens the link first", mail_filter),
    quiet("dual stack, placed apart", families_apart),
    quiet("phone between home and carrier", phone_hands_over),
];

pub(super) static THEFTS: &[Theft] = &[theft(
    "satellite, older version elsewhere",
    satellite_robbed,
    100,
)];

fn any(scene: &mut Scene<'_>, asn: u32, bases: &[&str]) -> IpAddr {
    let base = *scene.rng.pick(bases);
    Net::new(asn, base).address(&mut scene.rng)
}

/// Pages that a server renders which is rented from a network of VPN exits.
fn backend_beside_exits(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.session(scene.start_ms);
    let server = any(scene, 137_409, &["64.64.99.0"]);
    for page in 0..12 {
        let at_ms = scene.start_ms + page * 2 * MINUTE_MS;
        let token = Some(session.token(at_ms));
        let own = token.clone();
        scene.send(at_ms, me.home, &me.desktop, "GET", "/api/me", 200, own);
        let later_ms = at_ms + 1500;
        scene.send(later_ms, server, "undici", "GET", "/api/orders", 200, token);
    }
}

/// One token of a build: curl, then a library, on one runner and then on another.
fn build_scripts(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let mut session = scene.session(start_ms);
    session.sub = format!("build-{}", session.sid);
    session.extra = json!({"azp": "build", "client_id": "build"});
    for job in 0..5 {
        let runner = any(scene, MICROSOFT, &["20.30.9.0", "20.55.3.0", "4.200.9.0"]);
        let steps = ["curl/8.5.0", "node-fetch/1.0", "python-requests/2.32.3"];
        for (step, agent) in steps.into_iter().enumerate() {
            let at_ms = start_ms + job * 9 * MINUTE_MS + step as i64 * 20_000;
            let token = Some(session.token(at_ms));
            scene.send(at_ms, runner, agent, "POST", "/api/releases", 201, token);
        }
    }
}

/// What a mail filter does with every link: it looks, from its own servers and under a browser's name.
fn mail_filter(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session_of(Style::Jti, start_ms);
    let link = format!("/verify?token={}", session.token(start_ms));
    let filters = [
        (
            any(scene, MICROSOFT, &["20.30.9.0"]),
            agents::edge(agents::WINDOWS, 120),
        ),
        (
            any(scene, AMAZON, &DUBLIN),
            agents::chrome(agents::WINDOWS, 100),
        ),
    ];
    for (turn, (ip, agent)) in filters.iter().enumerate() {
        let at_ms = start_ms + turn as i64 * 2500;
        scene.send(at_ms, *ip, agent, "GET", &link, 200, None);
    }
    for (minute, status) in [(7, 200), (8, 304), (9, 200)] {
        let at_ms = start_ms + minute * MINUTE_MS;
        scene.send(at_ms, me.home, &me.desktop, "GET", &link, status, None);
    }
}

/// One home with both families of addresses, of which tables put one into another town of the country.
fn families_apart(scene: &mut Scene<'_>) {
    let nets = |v4: bool| {
        let cities = scene.world.cities.iter();
        let of = move |city: &crate::support::population::City| {
            let nets = city.of("residential", v4).into_iter().cloned();
            let country = city.country.clone();
            nets.map(move |net| (country.clone(), net))
                .collect::<Vec<_>>()
        };
        cities.flat_map(of).collect::<Vec<_>>()
    };
    let (fours, sixes) = (nets(true), nets(false));
    let pairs: Vec<(Net, Net)> = fours
        .iter()
        .flat_map(|(country, four)| {
            let same = move |(other, six): &&(String, Net)| other == country && six.asn == four.asn;
            sixes
                .iter()
                .filter(same)
                .map(move |(_, six)| (four.clone(), six.clone()))
        })
        .collect();
    let (four, six) = scene.rng.pick(&pairs).clone();
    let (four, six) = (four.address(&mut scene.rng), six.address(&mut scene.rng));
    let session = scene.session(scene.start_ms);
    let desktop = scene.me.desktop.clone();
    for turn in 0..20 {
        let ip = if turn % 3 == 0 { six } else { four };
        let at_ms = scene.start_ms + turn * 90_000;
        scene.browse(&session, ip, &desktop, at_ms, 1, 1);
    }
}

/// Home, the carrier's gateway somewhere in the country, home again.
fn on_the_phone(scene: &mut Scene<'_>) -> Session {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let cell = me.phone_net.address(&mut scene.rng);
    for (turn, ip) in [me.home, cell, me.home, cell].into_iter().enumerate() {
        let at_ms = start_ms + turn as i64 * 8 * MINUTE_MS;
        scene.browse(&session, ip, &me.phone, at_ms, 7, 4);
    }
    session
}

fn phone_hands_over(scene: &mut Scene<'_>) {
    on_the_phone(scene);
}

/// From where nothing says where the holder is, to a line with an older browser.
fn satellite_robbed(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let dish = any(scene, 14593, &["143.105.10.0", "98.97.30.0"]);
    let newest = agents::chrome(agents::WINDOWS, 126);
    scene.browse(&session, dish, &newest, start_ms, 25, 8);
    let ip = scene.far("residential", 0.0);
    let older = agents::chrome(agents::WINDOWS, scene.rng.between(112, 125) as u32);
    let at_ms = start_ms + 27 * MINUTE_MS;
    scene.thief(&session, ip, &older, at_ms, 5);
}
