//! More stories of somebody who did not know how anything is judged: whole offices, backends and builds, that show
//! what they are only by what they do again and again.
//!
//! In: the stage. Out: uses of tokens, some of them a thief's.
//! Does not know: rules.

use super::benign::{Benign, quiet};
use super::outside::{AMAZON, DUBLIN, FRANKFURT, MICROSOFT, any};
use super::scene::Scene;
use super::thefts::{Theft, theft};
use crate::support::population::{DAY_MS, HOUR_MS, MINUTE_MS, Net, Person, Session, Style, agents};
use serde_json::json;
use std::net::IpAddr;

pub(super) static QUIET: &[Benign] = &[
    quiet("build between clouds", build_between_clouds),
    quiet("Opera's own VPN", opera_vpn),
    quiet("company's own VPN", company_vpn),
    quiet("short tokens, parallel requests", short_tokens),
    quiet("kiosk", kiosk),
    quiet("traveller", traveller),
    quiet("relay for the browser only", relay_beside_app),
    quiet("desktop program and browser", desktop_program),
    quiet("scaled service", scaled_service),
    quiet("home over a carrier", home_over_carrier),
    quiet("VPN for IPv4 only", vpn_for_v4),
    quiet("VPN in spells of five minutes", vpn_in_spells),
    quiet("house of phones and computers", household),
    quiet("service of hourly tokens", hourly_service),
    quiet("two browsers on one machine", two_browsers),
    quiet("laptop wakes in another town each day", wandering_laptop),
    // Once three people's sessions went over both lines, what was told before is known to be nothing.
    quiet("office on two providers for days", office_on_two_lines),
    quiet("backend joins late", late_backend),
    // It cannot be told from a script in the page that tells a thief of every request, who is logged out by a person.
    Benign {
        name: "backend that only joins late",
        tell: only_late_backend,
        raised_percent_max: 100,
    },
];

pub(super) static THEFTS: &[Theft] = &[
    theft("service's token in another cloud", service_robbed, 100),
    // A desktop in a cloud, or a company's new way out, begins in the same way.
    theft("phishing proxy only, several victims", proxy_only, 0),
    theft("proxies all over the world, same agent", rotating, 100),
];

/// Thefts whose truth a population does not tell by itself: who is who, and whose backend it is.
pub(super) static THEFTS_ALONE: &[Theft] = &[
    // Of two people in a session whose subject has no past, the first is taken for the holder.
    theft("comes first, other client", comes_first, 50),
    theft("late backend's office robbed", office_robbed, 100),
];

/// Another person of the same town and office.
fn colleague(scene: &mut Scene<'_>, like: &Person) {
    let mut person = Person::new(scene.world, &mut scene.rng);
    person.city = like.city.clone();
    person.office = like.office;
    person.phone_net = like.phone_net.clone();
    let homes: Vec<Net> = like
        .city
        .of("residential", true)
        .into_iter()
        .cloned()
        .collect();
    let home = scene.rng.pick(&homes);
    person.home_asn = home.asn;
    person.home = home.address(&mut scene.rng);
    scene.me = person;
}

/// One token of a pipeline: it builds in one cloud, tests in the next and is released from a third.
fn build_between_clouds(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let mut session = scene.session(start_ms);
    session.sub = format!("pipeline-{}", session.sid);
    session.extra = json!({"azp": "pipeline", "client_id": "pipeline"});
    let google = any(scene, 396_982, &["34.107.9.0", "35.187.9.0"]);
    let jobs = [
        (
            any(scene, MICROSOFT, &["20.30.9.0", "20.55.3.0"]),
            "curl/8.5.0",
        ),
        (any(scene, AMAZON, &FRANKFURT), "python-requests/2.32.3"),
        (google, "Go-http-client/2.0"),
        (any(scene, AMAZON, &DUBLIN), "node-fetch/1.0"),
    ];
    for (job, (runner, agent)) in jobs.into_iter().enumerate() {
        for step in 0..3 {
            let at_ms = start_ms + job as i64 * 6 * MINUTE_MS + step * 20_000;
            let token = Some(session.token(at_ms));
            scene.send(at_ms, runner, agent, "POST", "/api/releases", 201, token);
        }
    }
}

/// Five people's days in an office whose connections leave over two providers, whichever is free.
fn office_on_two_lines(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let second = scene.neighbour();
    let start_ms = scene.start_ms;
    for person in 0..5 {
        if person > 0 {
            colleague(scene, &me);
        }
        for day in 0..3 {
            let from_ms = start_ms + day * DAY_MS + scene.rng.between(0, 60) * MINUTE_MS;
            let session = scene.session_of(Style::Sid, from_ms);
            let desktop = scene.me.desktop.clone();
            for turn in 0..12 {
                let line = if scene.rng.chance(50) {
                    me.office
                } else {
                    second
                };
                let at_ms = from_ms + turn * 4 * MINUTE_MS;
                scene.browse(&session, line, &desktop, at_ms, 3, 2);
            }
        }
    }
}

/// Pages of ten people that one backend renders; an eleventh opens such a page only after a while.
fn late_backend(scene: &mut Scene<'_>) {
    let server = any(scene, AMAZON, &FRANKFURT);
    served_people(scene, server, 10);
    let session = scene.session(scene.start_ms + DAY_MS);
    let me = scene.me.clone();
    let from_ms = scene.start_ms + DAY_MS;
    scene.browse(&session, me.home, &me.desktop, from_ms, 20, 8);
    for page in 0..5 {
        let at_ms = from_ms + (21 + page * 2) * MINUTE_MS;
        let token = Some(session.token(at_ms));
        scene.send(
            at_ms,
            me.home,
            &me.desktop,
            "GET",
            "/report",
            200,
            token.clone(),
        );
        scene.send(
            at_ms + 400,
            server,
            BACKEND,
            "GET",
            "/api/report",
            200,
            token,
        );
    }
}

/// A page that few people open, and only late in their sessions: its backend is never there from the start.
fn only_late_backend(scene: &mut Scene<'_>) {
    let server = any(scene, AMAZON, &FRANKFURT);
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    scene.browse(&session, me.home, &me.desktop, start_ms, 20, 8);
    for page in 0..4 {
        let at_ms = start_ms + (21 + page * 3) * MINUTE_MS;
        let token = Some(session.token(at_ms));
        let (home, desktop) = (me.home, &me.desktop);
        scene.send(at_ms, home, desktop, "GET", "/export", 200, token.clone());
        for call in 0..3 {
            let at_ms = at_ms + 300 + call * scene.rng.between(200, 1500);
            let token = token.clone();
            scene.send(at_ms, server, BACKEND, "GET", "/api/export", 200, token);
        }
    }
}

const BACKEND: &str = "axios/1.7.9";

/// People whose first page a backend renders with their token.
fn served_people(scene: &mut Scene<'_>, server: IpAddr, people: i64) {
    let start_ms = scene.start_ms;
    let me = scene.me.clone();
    for person in 0..people {
        scene.me = Person::new(scene.world, &mut scene.rng);
        let from_ms = start_ms + person * 9 * MINUTE_MS;
        let session = scene.session_of(Style::Sid, from_ms);
        let (home, desktop) = (scene.me.home, scene.me.desktop.clone());
        for page in 0..4 {
            let at_ms = from_ms + page * 3 * MINUTE_MS;
            let token = Some(session.token(at_ms));
            scene.send(at_ms, home, &desktop, "GET", "/report", 200, token.clone());
            scene.send(
                at_ms + 400,
                server,
                BACKEND,
                "GET",
                "/api/report",
                200,
                token,
            );
        }
    }
    scene.me = me;
}

/// A browser with a VPN of its own, switched on for some pages.
fn opera_vpn(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let opera = format!("{} OPR/110.0.0.0", agents::chrome(agents::WINDOWS, 124));
    let session = scene.session(start_ms);
    scene.browse(&session, me.home, &opera, start_ms, 15, 6);
    let exit = any(scene, 205_016, &["77.111.246.0", "77.111.247.0"]);
    scene.browse(&session, exit, &opera, start_ms + 16 * MINUTE_MS, 12, 5);
    scene.browse(&session, me.home, &opera, start_ms + 30 * MINUTE_MS, 8, 4);
}

/// A company's server in a hosting network of its country. Most log in through it and go on without it; on the third
/// day somebody switches it on in the middle.
fn company_vpn(scene: &mut Scene<'_>) {
    let near = scene.world.city(&mut scene.rng, "hosting", None);
    scene.me.city = near.clone();
    let exit = scene
        .rng
        .pick(&near.of("hosting", true))
        .address(&mut scene.rng);
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    for person in 0..6 {
        colleague(scene, &me);
        let (home, desktop) = (scene.me.home, scene.me.desktop.clone());
        for day in 0..3 {
            let from_ms = start_ms + day * DAY_MS + person * 7 * MINUTE_MS;
            let session = scene.session_of(Style::Sid, from_ms);
            let first = if day == 0 { home } else { exit };
            scene.browse(&session, first, &desktop, from_ms, 20, 6);
            scene.browse(&session, home, &desktop, from_ms + 25 * MINUTE_MS, 20, 5);
            if day == 2 {
                scene.browse(&session, exit, &desktop, from_ms + 50 * MINUTE_MS, 20, 5);
            }
        }
    }
}

/// A page of one application asks for many things at once, over both families of addresses, and renews its token every
/// five minutes.
fn short_tokens(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let mut session = scene.session_of(Style::Sid, start_ms);
    session.life_s = 300;
    for page in 0..16 {
        let at_ms = start_ms + page * 100_000;
        for part in 0..6 {
            let at_ms = at_ms + part * 45;
            let old = at_ms - i64::from(part % 2 == 1) * 20_000;
            let token = Some(session.token(old.max(start_ms)));
            scene.send(
                at_ms,
                me.home,
                &me.desktop,
                "GET",
                "/api/orders",
                200,
                token,
            );
        }
    }
}

/// One machine, many people, each for some minutes.
fn kiosk(scene: &mut Scene<'_>) {
    let hall = scene.me.office;
    let agent = agents::chrome(agents::LINUX, 122);
    let start_ms = scene.start_ms;
    for person in 0..9 {
        scene.me = Person::new(scene.world, &mut scene.rng);
        let me = scene.me.clone();
        let day_ms = start_ms - DAY_MS;
        let own = scene.session_of(Style::Sid, day_ms);
        scene.browse(&own, me.home, &me.phone, day_ms, 20, 4);
        let from_ms = start_ms + person * 4 * MINUTE_MS;
        let session = scene.session(from_ms);
        scene.browse(&session, hall, &agent, from_ms, 3, 4);
    }
}

/// Home, the airport, the aeroplane's satellite, a hotel and the local carrier, in one session of two days.
fn traveller(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(Some(Style::Sid));
    let there = scene
        .world
        .city(&mut scene.rng, "residential", Some((&me.city, 1500.0)));
    let hours = 1 + (there.km_to(&me.city) / 780.0) as i64;
    let cell = me.phone_net.address(&mut scene.rng);
    let start_ms = scene.start_ms;
    scene.browse(
        &session,
        cell,
        &me.desktop,
        start_ms + 90 * MINUTE_MS,
        15,
        4,
    );
    let plane = any(scene, 22_351, &["98.97.30.0"]);
    let aloft_ms = start_ms + 3 * HOUR_MS;
    scene.browse(&session, plane, &me.desktop, aloft_ms, 50, 5);
    let landed_ms = aloft_ms + hours * HOUR_MS + 40 * MINUTE_MS;
    let hotel = scene
        .rng
        .pick(&there.of("residential", true))
        .address(&mut scene.rng);
    for evening in 0..2 {
        let at_ms = landed_ms + evening * DAY_MS;
        scene.browse(&session, hotel, &me.desktop, at_ms, 50, 7);
    }
}

/// A phone whose browser leaves through a relay while the app of the same session does not.
fn relay_beside_app(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let view = agents::iphone(17);
    for turn in 0..10 {
        let at_ms = start_ms + turn * 2 * MINUTE_MS;
        scene.browse(&session, me.home, agents::APP_IOS, at_ms, 1, 1);
        let exit = any(scene, 36_183, &["172.224.226.0", "172.225.40.0"]);
        scene.browse(&session, exit, &view, at_ms + 50_000, 1, 1);
    }
}

/// A program on the desktop opens pages of its session in the browser of the same machine.
fn desktop_program(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let electron = format!(
        "{} Shop/4.2.1 Electron/30.0.1",
        agents::chrome(agents::WINDOWS, 124).replace(" Safari/537.36", "")
    ) + " Safari/537.36";
    let edge = agents::edge(agents::WINDOWS, 125);
    scene.browse(&session, me.office, &electron, start_ms, 12, 6);
    scene.browse(&session, me.office, &edge, start_ms + 13 * MINUTE_MS, 6, 3);
    scene.browse(
        &session,
        me.office,
        &electron,
        start_ms + 20 * MINUTE_MS,
        12,
        6,
    );
}

/// A service with as many addresses as instances, which live for an hour, and one token all day.
fn scaled_service(scene: &mut Scene<'_>) {
    let mut session = service(scene, scene.start_ms);
    session.life_s = 24 * 3600;
    for turn in 0..40 {
        let instance = any(scene, AMAZON, &FRANKFURT);
        let at_ms = scene.start_ms + turn * 12 * MINUTE_MS;
        let token = Some(session.token(at_ms));
        scene.send(
            at_ms,
            instance,
            "Go-http-client/2.0",
            "POST",
            "/api/orders",
            201,
            token,
        );
    }
}

/// A laptop behind a carrier's router at home: every few minutes another of the gateway's addresses.
fn home_over_carrier(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    for turn in 0..12 {
        let ip = me.phone_net.address(&mut scene.rng);
        scene.browse(
            &session,
            ip,
            &me.desktop,
            start_ms + turn * 4 * MINUTE_MS,
            4,
            2,
        );
    }
}

/// A tunnel that takes IPv4 and leaves IPv6 outside: pages come over both.
fn vpn_for_v4(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let six: Vec<Net> = me
        .city
        .of("residential", false)
        .into_iter()
        .cloned()
        .collect();
    let Some(six) = six.first().map(|net| net.address(&mut scene.rng)) else {
        scene.at_home(None);
        return;
    };
    let exit = super::thefts::vpn(scene);
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    scene.browse(&session, six, &me.desktop, start_ms, 6, 3);
    for turn in 0..24 {
        let ip = if turn % 2 == 0 { exit } else { six };
        let at_ms = start_ms + 7 * MINUTE_MS + turn * 50_000;
        scene.browse(&session, ip, &me.desktop, at_ms, 0, 1);
    }
}

/// On for a film's trailer, off for the till, and so on.
fn vpn_in_spells(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    for turn in 0..8 {
        let ip = match turn % 2 {
            0 => me.home,
            _ => super::thefts::vpn(scene),
        };
        let at_ms = start_ms + turn * 5 * MINUTE_MS;
        scene.browse(&session, ip, &me.desktop, at_ms, 4, 5);
    }
}

/// Four people behind one address, with two devices each and sessions of their own.
fn household(scene: &mut Scene<'_>) {
    let first = scene.me.clone();
    let home = first.home;
    let start_ms = scene.start_ms;
    for person in 0..4 {
        colleague(scene, &first);
        let me = scene.me.clone();
        for (device, agent) in [&me.desktop, &me.phone].into_iter().enumerate() {
            let at_ms = start_ms + (person * 3 + device as i64) * MINUTE_MS;
            let session = scene.session(at_ms);
            scene.browse(&session, home, agent, at_ms, 25, 7);
            let cell = me.phone_net.address(&mut scene.rng);
            scene.browse(&session, cell, agent, at_ms + 40 * MINUTE_MS, 15, 4);
        }
    }
}

/// A service that asks for a token each hour, now in this zone of its cloud and now in that.
fn hourly_service(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let mut session = service(scene, start_ms);
    session.style = Style::Jti;
    session.life_s = 3600;
    for turn in 0..60 {
        let zone = if turn / 12 % 2 == 0 {
            &FRANKFURT[..]
        } else {
            &DUBLIN[..]
        };
        let instance = any(scene, AMAZON, zone);
        let at_ms = start_ms + turn * 8 * MINUTE_MS;
        let token = Some(session.token(at_ms));
        scene.send(
            at_ms,
            instance,
            "Java/17.0.11",
            "POST",
            "/api/orders",
            201,
            token,
        );
    }
}

/// A session that single sign-on shares between two browsers of one machine.
fn two_browsers(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session_of(Style::Sid, start_ms);
    let (one, other) = (
        agents::edge(agents::WINDOWS, 124),
        agents::firefox(agents::WINDOWS, 125),
    );
    for turn in 0..6 {
        let agent = if turn % 2 == 0 { &one } else { &other };
        scene.browse(
            &session,
            me.office,
            agent,
            start_ms + turn * 6 * MINUTE_MS,
            5,
            3,
        );
    }
}

/// Five towns in five days, a train's ride apart, in one session.
fn wandering_laptop(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(Some(Style::Sid));
    let towns: Vec<Net> = scene
        .world
        .cities
        .iter()
        .filter(|city| city.km_to(&me.city) < 1200.0)
        .flat_map(|city| city.of("residential", true).into_iter().cloned())
        .collect();
    for day in 1..5 {
        let hotel = scene.rng.pick(&towns).clone().address(&mut scene.rng);
        let at_ms = scene.start_ms + day * DAY_MS;
        scene.browse(&session, hotel, &me.desktop, at_ms, 60, 8);
        let cell = me.phone_net.address(&mut scene.rng);
        scene.browse(&session, cell, &me.desktop, at_ms + 12 * HOUR_MS, 30, 4);
    }
}

fn service(scene: &mut Scene<'_>, start_ms: i64) -> Session {
    let mut session = scene.session_of(Style::Sid, start_ms);
    session.sub = format!("svc-{}", session.sid);
    session.extra = json!({"azp": session.sub, "client_id": session.sub});
    session
}

/// The token of a service that has been in one place for a day, in another cloud.
fn service_robbed(scene: &mut Scene<'_>) {
    let mut session = service(scene, scene.start_ms);
    session.life_s = 3 * 24 * 3600;
    let home = any(scene, AMAZON, &FRANKFURT);
    for turn in 0..48 {
        let at_ms = scene.start_ms + turn * 30 * MINUTE_MS;
        let token = Some(session.token(at_ms));
        scene.send(
            at_ms,
            home,
            "Go-http-client/2.0",
            "POST",
            "/api/orders",
            201,
            token,
        );
    }
    let ip = any(scene, 24_940, &["65.108.9.0", "5.75.140.0"]);
    let agent = *scene.rng.pick(&["curl/8.5.0", "python-requests/2.31.0"]);
    let at_ms = scene.start_ms + scene.rng.between(24 * 60, 26 * 60) * MINUTE_MS;
    scene.thief(&session, ip, agent, at_ms, 5);
}

/// Six people log in through the proxy of a fake site within an hour, and its owner goes on right there.
fn proxy_only(scene: &mut Scene<'_>) {
    let proxy = scene.far("hosting", 0.0);
    let start_ms = scene.start_ms + DAY_MS;
    for victim in 0..6 {
        scene.me = Person::new(scene.world, &mut scene.rng);
        let me = scene.me.clone();
        let own_ms = scene.start_ms - 2 * DAY_MS;
        for day in 0..2 {
            let own = scene.session_of(Style::Sid, own_ms + day * DAY_MS);
            let from_ms = own_ms + day * DAY_MS;
            scene.browse(&own, me.home, &me.desktop, from_ms, 20, 4);
        }
        let at_ms = start_ms + victim * 8 * MINUTE_MS;
        let session = scene.session_of(Style::Sid, at_ms);
        scene.thief(&session, proxy, &me.desktop, at_ms, 6);
    }
}

/// Each request through another home of the world.
fn rotating(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let desktop = scene.me.desktop.clone();
    let from_ms = scene.start_ms + 3 * HOUR_MS;
    for turn in 0..6 {
        let ip = scene.far("residential", 1000.0);
        scene.thief(&session, ip, &desktop, from_ms + turn * 2 * MINUTE_MS, 1);
    }
}

/// Who took the token on its way uses it before its holder does.
fn comes_first(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let me = scene.me.clone();
    let session = scene.session_of(Style::Sid, start_ms);
    let ip = scene.far("residential", 1500.0);
    let agent = super::thefts::other_client(scene, &me.desktop);
    scene.thief(&session, ip, &agent, start_ms, 2);
    scene.browse(
        &session,
        me.home,
        &me.desktop,
        start_ms + 13 * MINUTE_MS,
        30,
        8,
    );
}

/// Where a backend joins sessions late, a thief's tool in another cloud is none.
fn office_robbed(scene: &mut Scene<'_>) {
    let server = any(scene, AMAZON, &FRANKFURT);
    served_people(scene, server, 10);
    scene.start_ms += DAY_MS;
    let session = scene.at_home(None);
    let ip = scene.far("hosting", 1500.0);
    let at_ms = scene.start_ms + 24 * MINUTE_MS;
    scene.thief(&session, ip, "python-requests/2.32.3", at_ms, 5);
}
