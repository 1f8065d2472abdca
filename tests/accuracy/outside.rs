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
pub(super) const FRANKFURT: [&str; 3] = ["3.64.9.0", "3.64.11.0", "3.66.9.0"];
pub(super) const DUBLIN: [&str; 2] = ["52.48.9.0", "52.49.3.0"];
pub(super) const AMAZON: u32 = 16509;
pub(super) const MICROSOFT: u32 = 8075;

pub(super) static QUIET: &[Benign] = &[
    quiet("backend with many addresses", many_addressed_backend),
    quiet("a build's scripts", build_scripts),
    quiet("backend beside a VPN's exits", backend_beside_exits),
    quiet("mail filter opens the link first", mail_filter),
    quiet("dual stack, placed apart", families_apart),
    quiet("phone between home and carrier", phone_hands_over),
    quiet("a chat asks for the link first", chat_asks_first),
    quiet("part of each page through a tunnel", split_tunnel),
    quiet("a phone signs the computer in", signed_in_by_phone),
    quiet("logout, and the script goes on", script_after_logout),
];

pub(super) static THEFTS: &[Theft] = &[
    theft("phone hands over, thief far", phone_robbed, 100),
    theft("satellite, older version elsewhere", satellite_robbed, 100),
    theft(
        "backend beside, thief's tool in another cloud",
        robbed_beside_backend,
        100,
    ),
];

pub(super) fn any(scene: &mut Scene<'_>, asn: u32, bases: &[&str]) -> IpAddr {
    let base = *scene.rng.pick(bases);
    Net::new(asn, base).address(&mut scene.rng)
}

/// Pages that a function in a cloud renders: each call comes from whichever instance is free.
fn with_backend(scene: &mut Scene<'_>, session: &Session, pages: i64) {
    let me = scene.me.clone();
    let agent = *scene.rng.pick(&["node", "undici", "axios/1.7.9"]);
    for page in 0..pages {
        let at_ms = scene.start_ms + page * 2 * MINUTE_MS;
        let token = Some(session.token(at_ms));
        let server = any(scene, AMAZON, &FRANKFURT);
        scene.send(
            at_ms,
            server,
            agent,
            "GET",
            "/api/orders",
            200,
            token.clone(),
        );
        scene.send(
            at_ms + 1200,
            me.home,
            &me.desktop,
            "GET",
            "/api/me",
            200,
            token,
        );
    }
}

fn many_addressed_backend(scene: &mut Scene<'_>) {
    let session = scene.session(scene.start_ms);
    with_backend(scene, &session, 14);
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

/// A thief with the same phone abroad, while its holder walks in and out of the house.
fn phone_robbed(scene: &mut Scene<'_>) {
    let session = on_the_phone(scene);
    let ip = scene.far("residential", 2500.0);
    let at_ms = scene.start_ms + scene.rng.between(12, 20) * MINUTE_MS;
    let phone = scene.me.phone.clone();
    scene.thief(&session, ip, &phone, at_ms, 6);
}

/// A thief's script beside a backend's: the same kind of program, and not where the backend is.
fn robbed_beside_backend(scene: &mut Scene<'_>) {
    let session = scene.session(scene.start_ms);
    with_backend(scene, &session, 14);
    let ip = scene.far("hosting", 1500.0);
    let agent = *scene
        .rng
        .pick(&["python-requests/2.32.3", "curl/8.5.0", "Go-http-client/1.1"]);
    let at_ms = scene.start_ms + scene.rng.between(9, 25) * MINUTE_MS;
    scene.thief(&session, ip, agent, at_ms, 5);
}

/// A link that the service made: the chat's server asks for it before anybody opened it.
fn chat_asks_first(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let at_ms = scene.start_ms + 12 * MINUTE_MS;
    let target = format!("/share/report?token={}", session.token(at_ms));
    let ip = any(scene, MICROSOFT, &["20.30.9.0", "52.112.90.0"]);
    let bot = "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5";
    for turn in 0..2 {
        let at_ms = at_ms + turn * MINUTE_MS;
        scene.send(at_ms, ip, bot, "GET", &target, 200, None);
    }
}

/// Each page asks two hosts; one of them is reached through the company, in another country.
pub(super) fn split_tunnel(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.session_of(Style::Sid, scene.start_ms);
    let company = scene.far("corporate", 800.0);
    for page in 0..10 {
        let at_ms = scene.start_ms + page * 90_000;
        for part in 0..4 {
            let ip = if part % 2 == 0 { me.home } else { company };
            let at_ms = at_ms + part * 300;
            let token = Some(session.token(at_ms));
            scene.send(at_ms, ip, &me.desktop, "GET", "/api/orders", 200, token);
        }
    }
}

/// The code on the screen is scanned: the session begins on the phone and goes on on the computer.
fn signed_in_by_phone(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let (start_ms, elsewhere) = (scene.start_ms, scene.neighbour());
    let session = scene.session_of(Style::Sid, start_ms);
    let token = Some(session.token(start_ms));
    let own = token.clone();
    scene.send(
        start_ms,
        elsewhere,
        &me.phone,
        "POST",
        "/api/devices",
        201,
        own,
    );
    scene.send(
        start_ms + 5000,
        me.home,
        &me.desktop,
        "GET",
        "/api/me",
        200,
        token,
    );
    scene.browse(&session, me.home, &me.desktop, start_ms + MINUTE_MS, 20, 12);
}

/// A token was copied into a script before its holder logged out.
fn script_after_logout(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(Some(Style::Sid));
    let at_ms = scene.start_ms + 2 * MINUTE_MS;
    let token = session.token(at_ms);
    let own = Some(token.clone());
    scene.send(at_ms, me.home, &me.desktop, "POST", "/logout", 204, own);
    for turn in 1..5 {
        let (at_ms, token) = (at_ms + turn * 20_000, Some(token.clone()));
        scene.send(
            at_ms,
            me.home,
            "curl/8.7.1",
            "GET",
            "/api/orders",
            200,
            token,
        );
    }
}
