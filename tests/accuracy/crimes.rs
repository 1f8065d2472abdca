//! More stories of theft: the slow, the late, the hidden, and the ones that begin before the log does.

use super::scene::Scene;
use super::thefts::{Theft, during, goes_on, other_client, theft, tool};
use crate::support::population::{HOUR_MS, MINUTE_MS, Net, Person, Session, Style, agents};
use std::net::IpAddr;

pub(super) static ALL: &[Theft] = &[
    theft("slow: one request an hour", slow, 100),
    theft("replayed hours later by a tool", late_tool, 100),
    theft("parallel, same country and client", parallel_near, 20),
    theft("phishing proxy first", phishing_proxy, 100),
    theft("cookie behind a decoy token", decoy, 100),
    theft("headless browser in hosting", headless, 100),
    theft("two places of the thief", two_places, 100),
    theft("on the victim's own Wi-Fi, other client", own_wifi, 0),
    theft("refused first, then accepted", refused_first, 100),
    theft("went for the password", password, 100),
    theft("mobile thief, other phone", mobile_thief, 60),
    theft("far, same agent, victim comes home", returns, 80),
];

fn slow(scene: &mut Scene<'_>) {
    let session = scene.at_home_for(1);
    let ip = scene.far("residential", 800.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let from = scene.log.requests.len();
    for hour in 1..9 {
        let at_ms = scene.start_ms + hour * HOUR_MS + scene.rng.between(0, 30) * MINUTE_MS;
        let token = Some(session.token(at_ms));
        scene.send(at_ms, ip, &agent, "GET", "/api/messages", 200, token);
    }
    scene.charge(&session.sub, ip, from);
}

fn late_tool(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let ip = scene.far("hosting", 100.0);
    let agent = tool(scene);
    let at_ms = scene.start_ms + scene.rng.between(4, 20) * HOUR_MS;
    scene.thief(&session, ip, agent, at_ms, 5);
}

/// Another provider of the country, some hundred kilometres off, while the victim goes on.
fn parallel_near(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let here = scene.me.city.clone();
    let nets: Vec<Net> = scene
        .world
        .cities
        .iter()
        .filter(|city| city.country == here.country)
        .flat_map(|city| city.of("residential", true).into_iter().cloned())
        .filter(|net| net.asn != scene.me.home_asn)
        .collect();
    let ip = match nets.is_empty() {
        true => scene.neighbour(),
        false => scene.rng.pick(&nets).address(&mut scene.rng),
    };
    scene.with_the_same_client_at(ip);
    let desktop = scene.me.desktop.clone();
    let at_ms = during(scene);
    scene.thief(&session, ip, &desktop, at_ms, 8);
    goes_on(scene, &session);
}

/// The victim logs in through the proxy of a fake site; its owner goes on with what he caught, elsewhere.
fn phishing_proxy(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let session: Session = scene.session_of(Style::Sid, start_ms);
    let proxy = scene.far("hosting", 0.0);
    let desktop = scene.me.desktop.clone();
    let from = scene.log.requests.len();
    scene.browse(&session, proxy, &desktop, start_ms, 3, 4);
    let ip = scene.far("residential", 1500.0);
    let agent = other_client(scene, &desktop);
    scene.browse(&session, ip, &agent, start_ms + 9 * MINUTE_MS, 15, 6);
    scene.charge(&session.sub, proxy, from);
    scene.charge(&session.sub, ip, from);
}

/// His own valid token in the header; the stolen one in the cookie.
fn decoy(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let thief = Person::new(scene.world, &mut scene.rng);
    let at_ms = during(scene);
    let mut own = scene.session_of(Style::Sid, at_ms);
    own.sub = thief.sub;
    let ip = scene.far("residential", 1500.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let from = scene.log.requests.len();
    for turn in 0..5 {
        let at_ms = at_ms + turn * MINUTE_MS;
        let token = Some(session.token(at_ms));
        scene.send(at_ms, ip, &agent, "GET", "/api/orders", 200, token);
        scene.last().decoy = Some(own.token(at_ms).into());
    }
    scene.charge(&session.sub, ip, from);
}

fn headless(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.far("hosting", 0.0);
    let agent = agents::chrome(agents::LINUX, 124).replace(" Chrome/", " HeadlessChrome/");
    let at_ms = during(scene);
    scene.thief(&session, ip, &agent, at_ms, 6);
}

fn two_places(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = during(scene);
    let first = scene.far("residential", 1000.0);
    let second = scene.far("hosting", 1000.0);
    scene.thief(&session, first, &agent, at_ms, 4);
    scene.thief(&session, second, &agent, at_ms + 13 * MINUTE_MS, 4);
}

/// Behind the same router, with another browser: a guest, a housemate, malware on another machine.
fn own_wifi(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let home = scene.me.home;
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = during(scene);
    scene.thief(&session, home, &agent, at_ms, 6);
}

/// Tries an old token, is refused, comes back with a fresh one.
fn refused_first(scene: &mut Scene<'_>) {
    let mut session = scene.session_of(Style::Sid, scene.start_ms);
    session.life_s = 600;
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    scene.browse(&session, me.home, &me.desktop, start_ms, 40, 12);
    let ip: IpAddr = scene.far("residential", 1000.0);
    let agent = other_client(scene, &me.desktop);
    let from = scene.log.requests.len();
    let at_ms = start_ms + 25 * MINUTE_MS;
    let old = Some(session.token(start_ms));
    scene.send(at_ms, ip, &agent, "GET", "/api/me", 401, old);
    let fresh = session.token(at_ms + MINUTE_MS);
    for turn in 1..5 {
        let at_ms = at_ms + turn * MINUTE_MS;
        let token = Some(fresh.clone());
        scene.send(at_ms, ip, &agent, "GET", "/api/orders", 200, token);
    }
    scene.charge(&session.sub, ip, from);
}

fn password(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.far("residential", 1000.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = during(scene);
    let from = scene.log.requests.len();
    for (turn, target) in ["/api/me", "/account/password", "/account/email"]
        .into_iter()
        .enumerate()
    {
        let at_ms = at_ms + turn as i64 * MINUTE_MS;
        let token = Some(session.token(at_ms));
        let method = if turn == 0 { "GET" } else { "POST" };
        scene.send(at_ms, ip, &agent, method, target, 200, token);
    }
    scene.charge(&session.sub, ip, from);
}

/// Both on phones: another model, another carrier, the same country or the next.
fn mobile_thief(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let cell = me.phone_net.address(&mut scene.rng);
    scene.browse(&session, cell, &me.phone, start_ms, 25, 8);
    let ip = scene.far("mobile", 300.0);
    let agent = match me.ios {
        true => agents::android(124),
        false => agents::iphone(17),
    };
    let at_ms = during(scene);
    scene.thief(&session, ip, &agent, at_ms, 5);
}

/// The thief works at night; in the morning the victim is where he was.
fn returns(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let me = scene.me.clone();
    let ip = scene.far("residential", 5000.0);
    let at_ms = scene.start_ms + scene.rng.between(2, 5) * HOUR_MS;
    scene.thief(&session, ip, &me.desktop, at_ms, 6);
    let back_ms = at_ms + scene.rng.between(1, 4) * HOUR_MS;
    scene.browse(&session, me.home, &me.desktop, back_ms, 40, 8);
}
