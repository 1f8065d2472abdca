//! More stories of everyday life: the rarer habits that people and their networks have. Each was named by somebody whom
//! a detection of this kind had woken for nothing.

use super::benign::{Benign, quiet};
use super::scene::Scene;
use super::thefts::vpn;
use crate::support::population::{HOUR_MS, MINUTE_MS, Net, Style, agents};

pub(super) static ALL: &[Benign] = &[
    quiet("edge and mesh log it twice", logged_twice),
    // Until the second line shows within two minutes, or is known for a day, it looks as two holders do.
    Benign {
        name: "two lines in one office",
        tell: two_lines,
        raised_percent_max: 40,
    },
    quiet("Tor", tor),
    quiet("cloud desktop", cloud_desktop),
    quiet("tethered laptop", tethered),
    quiet("desktop site on a phone", desktop_site),
    quiet("device emulation", emulation),
    quiet("satellite", satellite),
    quiet("new provider at home", new_provider),
    quiet("new phone from a backup", new_phone),
    quiet("several tabs refresh", several_tabs),
    quiet("export job with the user's token", export_job),
    quiet("VPN all day, several exits", vpn_exits),
    quiet("commuting abroad", cross_border),
    quiet("shared tablet", shared_tablet),
    quiet("back from sleep", back_from_sleep),
    quiet("conference Wi-Fi", conference),
    quiet("v6 privacy addresses", v6_privacy),
    quiet("system update", system_update),
    quiet("browser extension", extension),
];

/// A gateway and a mesh behind it write one request each: the mesh sees the gateway.
fn logged_twice(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let mesh = "10.42.0.7".parse().unwrap();
    for turn in 0..12 {
        let at_ms = start_ms + turn * 2 * MINUTE_MS;
        for (ip, late_ms) in [(me.home, 0), (mesh, 3)] {
            let token = Some(session.token(at_ms));
            let at_ms = at_ms + late_ms;
            scene.send(at_ms, ip, &me.desktop, "GET", "/api/me", 200, token);
        }
    }
}

/// A router that spreads connections over two providers.
fn two_lines(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let other = scene.neighbour();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    for turn in 0..20 {
        let ip = if scene.rng.chance(50) {
            me.office
        } else {
            other
        };
        let at_ms = start_ms + turn * MINUTE_MS;
        scene.browse(&session, ip, &me.desktop, at_ms, 1, 1);
    }
}

/// Another exit every ten minutes, always in a network of servers.
fn tor(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let agent = agents::firefox(agents::WINDOWS, 115);
    for turn in 0..5 {
        let exit = scene.far("hosting", 0.0);
        let at_ms = start_ms + turn * 10 * MINUTE_MS;
        scene.browse(&session, exit, &agent, at_ms, 9, 4);
    }
}

fn cloud_desktop(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let ip = scene.far("hosting", 0.0);
    let agent = agents::edge(agents::WINDOWS, 124);
    scene.browse(&session, ip, &agent, start_ms, 120, 14);
}

fn tethered(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(Some(Style::Sid));
    for turn in 0..4 {
        let cell = me.phone_net.address(&mut scene.rng);
        let ip = if turn % 2 == 0 { cell } else { me.home };
        let at_ms = scene.start_ms + (30 + turn * 20) * MINUTE_MS;
        scene.browse(&session, ip, &me.desktop, at_ms, 18, 5);
    }
}

/// "Request desktop site": the same phone calls itself a computer.
fn desktop_site(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let other = match me.ios {
        true => agents::safari(17),
        false => agents::chrome(agents::LINUX, 124),
    };
    scene.browse(&session, me.home, &me.phone, start_ms, 10, 5);
    let at_ms = start_ms + 11 * MINUTE_MS;
    scene.browse(&session, me.home, &other, at_ms, 5, 3);
    let at_ms = start_ms + 18 * MINUTE_MS;
    scene.browse(&session, me.home, &me.phone, at_ms, 10, 5);
}

/// A developer looks at the site as a phone would.
fn emulation(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let phone = agents::iphone(16);
    for turn in 0..3 {
        let at_ms = scene.start_ms + (8 + turn * 6) * MINUTE_MS;
        scene.browse(&session, me.home, &phone, at_ms, 2, 2);
    }
}

fn satellite(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let me = scene.me.clone();
    let stations = [
        Net::new(14593, "143.105.10.0"),
        Net::new(14593, "98.97.30.0"),
        Net::new(14593, "145.224.70.0"),
    ];
    for turn in 0..8 {
        let ip = scene.rng.pick(&stations).clone().address(&mut scene.rng);
        let at_ms = start_ms + turn * 6 * MINUTE_MS;
        scene.browse(&session, ip, &me.desktop, at_ms, 5, 3);
    }
}

/// The line was switched over: another provider from one day to the next, in a session that lives on.
fn new_provider(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(Some(Style::Sid));
    let other = scene.neighbour();
    let at_ms = scene.start_ms + scene.rng.between(2, 16) * HOUR_MS;
    scene.browse(&session, other, &me.desktop, at_ms, 60, 8);
    scene.browse(&session, other, &me.desktop, at_ms + 20 * HOUR_MS, 60, 8);
}

/// The app's tokens moved with the backup to the next model.
fn new_phone(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session_of(Style::Sid, start_ms);
    let (old, new) = match me.ios {
        true => (agents::iphone(16), agents::iphone(17)),
        false => (agents::android(124), agents::android(125)),
    };
    scene.browse(&session, me.home, &old, start_ms, 20, 6);
    let at_ms = start_ms + 3 * HOUR_MS;
    let cell = me.phone_net.address(&mut scene.rng);
    scene.browse(&session, cell, &new, at_ms, 20, 6);
    scene.browse(&session, me.home, &new, at_ms + HOUR_MS, 20, 6);
}

/// Tabs renew their tokens within the same second: several tokens of one session live at once.
fn several_tabs(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let mut session = scene.session_of(Style::Sid, start_ms);
    session.life_s = 300;
    for turn in 0..30 {
        let at_ms = start_ms + turn * MINUTE_MS;
        for tab in 0..2 {
            // One tab still uses the token of a minute ago.
            let token = Some(session.token(at_ms - tab * MINUTE_MS));
            let path = "/api/messages";
            scene.send(
                at_ms + tab * 900,
                me.home,
                &me.desktop,
                "GET",
                path,
                200,
                token,
            );
        }
    }
}

/// A worker of the service's own fetches pages for a report while the person waits.
fn export_job(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let worker = "10.30.1.9".parse().unwrap();
    let at_ms = scene.start_ms + 12 * MINUTE_MS;
    scene.browse(&session, worker, "python-requests/2.32.3", at_ms, 3, 6);
    let at_ms = scene.start_ms + 16 * MINUTE_MS;
    scene.browse(&session, me.home, &me.desktop, at_ms, 6, 3);
}

fn vpn_exits(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session_of(Style::Sid, start_ms);
    for turn in 0..5 {
        let exit = vpn(scene);
        let at_ms = start_ms + turn * 70 * MINUTE_MS;
        scene.browse(&session, exit, &me.desktop, at_ms, 60, 6);
    }
    let at_ms = start_ms + 6 * HOUR_MS;
    scene.browse(&session, me.home, &me.desktop, at_ms, 30, 5);
}

/// Home in one country, work in the next, an hour and a half by train.
fn cross_border(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let near: Vec<_> = scene
        .world
        .cities
        .iter()
        .filter(|city| city.country != me.city.country && city.km_to(&me.city) < 300.0)
        .filter(|city| !city.of("residential", true).is_empty())
        .cloned()
        .collect();
    let there = match near.is_empty() {
        true => me.city.clone(),
        false => scene.rng.pick(&near).clone(),
    };
    let work = scene
        .rng
        .pick(&there.of("residential", true))
        .address(&mut scene.rng);
    let session = scene.at_home(Some(Style::Sid));
    let at_ms = scene.start_ms + 150 * MINUTE_MS;
    scene.browse(&session, work, &me.desktop, at_ms, 300, 12);
    let at_ms = at_ms + 420 * MINUTE_MS;
    scene.browse(&session, me.home, &me.desktop, at_ms, 60, 6);
}

/// One session of the household, used by whoever holds the tablet; somebody takes it along.
fn shared_tablet(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session_of(Style::Sid, start_ms);
    let tablet = agents::iphone(17).replace("iPhone; CPU iPhone OS", "iPad; CPU OS");
    scene.browse(&session, me.home, &tablet, start_ms, 30, 8);
    let at_ms = start_ms + 2 * HOUR_MS;
    scene.browse(&session, me.office, &tablet, at_ms, 30, 6);
    let at_ms = start_ms + 5 * HOUR_MS;
    scene.browse(&session, me.home, &tablet, at_ms, 30, 6);
}

/// A laptop wakes up elsewhere and first sends what it could not send before.
fn back_from_sleep(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(Some(Style::Sid));
    let old = session.token(scene.start_ms);
    let at_ms = scene.start_ms + 3 * HOUR_MS;
    for turn in 0..3 {
        let token = Some(old.clone().to_string());
        let at_ms = at_ms + turn * 400;
        scene.send(at_ms, me.office, &me.desktop, "GET", "/api/me", 401, token);
    }
    scene.browse(&session, me.office, &me.desktop, at_ms + 3000, 60, 8);
}

/// Everybody behind one address for an hour, with sessions that began at home.
fn conference(scene: &mut Scene<'_>) {
    let hall = scene.far("corporate", 0.0);
    let start_ms = scene.start_ms;
    for _ in 0..9 {
        scene.me = crate::support::population::Person::new(scene.world, &mut scene.rng);
        let me = scene.me.clone();
        let from_ms = start_ms + scene.rng.between(0, 20) * MINUTE_MS;
        let session = scene.session_of(Style::Sid, from_ms);
        scene.browse(&session, me.home, &me.desktop, from_ms, 20, 5);
        // Nobody comes from the other side of the world in less than a day and a half.
        let at_ms = start_ms + 36 * HOUR_MS + scene.rng.between(0, 30) * MINUTE_MS;
        scene.browse(&session, hall, &me.desktop, at_ms, 30, 5);
    }
}

/// A new address of the same /64 every while (RFC 8981), and now and then IPv4.
fn v6_privacy(scene: &mut Scene<'_>) {
    let six: Vec<Net> = scene
        .world
        .cities
        .iter()
        .flat_map(|city| city.of("residential", false))
        .cloned()
        .collect();
    let net = scene.rng.pick(&six).clone();
    let std::net::IpAddr::V6(base) = net.address(&mut scene.rng) else {
        return;
    };
    let prefix = base.to_bits() & !u128::from(u64::MAX);
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    for turn in 0..8 {
        let host = u128::from(scene.rng.next());
        let ip = std::net::Ipv6Addr::from_bits(prefix | host).into();
        let at_ms = start_ms + turn * 5 * MINUTE_MS;
        scene.browse(&session, ip, &me.desktop, at_ms, 4, 3);
    }
}

/// The phone's system update brings a newer browser, over night, in a session that lives on.
fn system_update(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session_of(Style::Sid, start_ms);
    scene.browse(&session, me.home, &agents::iphone(16), start_ms, 20, 5);
    let at_ms = start_ms + 14 * HOUR_MS;
    scene.browse(&session, me.office, &agents::iphone(17), at_ms, 20, 5);
}

/// An extension talks under the browser's name but with a fetch of its own, from the same machine.
fn extension(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    for turn in 0..6 {
        let at_ms = scene.start_ms + (3 + turn * 4) * MINUTE_MS;
        let token = Some(session.token(at_ms));
        let agent = "Mozilla/5.0";
        scene.send(at_ms, me.home, agent, "GET", "/api/messages", 200, token);
    }
}
