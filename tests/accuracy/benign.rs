//! Stories of everyday life. Nothing in them is worth a person's time.

use super::scene::Scene;
use super::thefts::vpn;
use crate::support::population::{HOUR_MS, ISSUER, MINUTE_MS, Net, Person, Session, Style, agents};
use serde_json::json;

/// A story, and how many incidents a hundred scenes may raise.
pub(super) struct Benign {
    pub(super) name: &'static str,
    pub(super) tell: fn(&mut Scene<'_>),
    pub(super) raised_percent_max: usize,
}

pub(super) const fn quiet(name: &'static str, tell: fn(&mut Scene<'_>)) -> Benign {
    Benign {
        name,
        tell,
        raised_percent_max: 0,
    }
}

pub(super) static ALL: &[Benign] = &[
    quiet("an ordinary day", ordinary),
    quiet("VPN on and off", vpn_toggled),
    quiet("VPN in an unknown hosting network, near", vpn_unknown),
    quiet("Wi-Fi and mobile", wifi_and_mobile),
    quiet("carrier NAT", carrier_nat),
    quiet("mobile network wanders", mobile_wanders),
    quiet("a flight", flight),
    quiet("browser update", browser_update),
    quiet("dual stack", dual_stack),
    quiet("privacy relay", privacy_relay),
    quiet("security proxy moves", security_proxy),
    quiet("office NAT", office_nat),
    quiet("many devices", many_devices),
    quiet("backend forwards", backend_forwards),
    quiet("API clients", api_clients),
    quiet("link unfurler", unfurler),
    quiet("support impersonation", impersonation),
    quiet("expired retries", expired_retries),
    quiet("jti not unique", jti_not_unique),
    quiet("clock skew", clock_skew),
    quiet("copy as cURL", copy_as_curl),
    quiet("monitoring", monitoring),
    quiet("long polls", long_polls),
    quiet("app and web view", app_and_view),
    quiet("eSIM roaming", esim_roaming),
    quiet("commute by train", commute),
    quiet("logout and another tab", logout_and_tab),
    quiet("download link in a URL", download_link),
];

fn ordinary(scene: &mut Scene<'_>) {
    scene.at_home(None);
}

fn vpn_toggled(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let me = scene.me.clone();
    let exit = vpn(scene);
    let at_ms = scene.start_ms + 30 * MINUTE_MS;
    scene.browse(&session, exit, &me.desktop, at_ms, 12, 6);
    scene.browse(&session, me.home, &me.desktop, at_ms + 13 * MINUTE_MS, 8, 4);
    let other = vpn(scene);
    scene.browse(&session, other, &me.desktop, at_ms + 22 * MINUTE_MS, 8, 4);
}

/// A company's own VPN server, rented in the user's country.
fn vpn_unknown(scene: &mut Scene<'_>) {
    let near = scene.world.city(&mut scene.rng, "hosting", None);
    scene.me.city = near.clone();
    let homes = near.of("residential", true);
    scene.me.home = scene.rng.pick(&homes).address(&mut scene.rng);
    let exit = scene
        .rng
        .pick(&near.of("hosting", true))
        .address(&mut scene.rng);
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    // It is on from the login.
    scene.browse(&session, exit, &me.desktop, start_ms, 20, 8);
    scene.browse(
        &session,
        me.home,
        &me.desktop,
        start_ms + 22 * MINUTE_MS,
        10,
        4,
    );
}

fn wifi_and_mobile(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let cell = me.phone_net.address(&mut scene.rng);
    for turn in 0..4 {
        let at_ms = start_ms + turn * 8 * MINUTE_MS;
        let ip = if turn % 2 == 0 { me.home } else { cell };
        scene.browse(&session, ip, &me.phone, at_ms, 7, 4);
    }
}

fn carrier_nat(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    for turn in 0..10 {
        let ip = me.phone_net.address(&mut scene.rng);
        scene.browse(
            &session,
            ip,
            &me.phone,
            start_ms + turn * 3 * MINUTE_MS,
            3,
            2,
        );
    }
}

/// One carrier's exits all over the country, minutes apart.
fn mobile_wanders(scene: &mut Scene<'_>) {
    let cities = scene.world.cities.iter();
    let all: Vec<(String, Net)> = cities
        .flat_map(|city| {
            let nets = city.of("mobile", true).into_iter();
            nets.map(|net| (city.country.clone(), net.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let (country, first) = scene.rng.pick(&all).clone();
    let same = |(other, net): &&(String, Net)| *other == country && net.asn == first.asn;
    let nets: Vec<Net> = all
        .iter()
        .filter(same)
        .map(|(_, net)| net.clone())
        .collect();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let phone = scene.me.phone.clone();
    for turn in 0..8 {
        let ip = scene.rng.pick(&nets).clone().address(&mut scene.rng);
        scene.browse(&session, ip, &phone, start_ms + turn * 4 * MINUTE_MS, 3, 2);
    }
}

fn flight(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(Some(Style::Sid));
    let there = scene
        .world
        .city(&mut scene.rng, "residential", Some((&me.city, 900.0)));
    let hours = 2.5 + there.km_to(&me.city) / 800.0;
    let landed_ms = scene.start_ms + 28 * MINUTE_MS + (hours * HOUR_MS as f64) as i64;
    let hotel = scene
        .rng
        .pick(&there.of("residential", true))
        .address(&mut scene.rng);
    scene.browse(&session, hotel, &me.desktop, landed_ms, 40, 8);
    let back_ms = landed_ms + (hours * HOUR_MS as f64) as i64 + 20 * HOUR_MS;
    scene.browse(&session, me.home, &me.desktop, back_ms, 20, 5);
}

fn browser_update(scene: &mut Scene<'_>) {
    scene.me.desktop = agents::chrome(agents::WINDOWS, 124);
    let session = scene.at_home(None);
    let me = scene.me.clone();
    let newer = agents::chrome(agents::WINDOWS, 125);
    let at_ms = scene.start_ms + 30 * MINUTE_MS;
    let ip = if scene.rng.chance(50) {
        me.home
    } else {
        me.office
    };
    scene.browse(&session, ip, &newer, at_ms, 20, 8);
}

fn dual_stack(scene: &mut Scene<'_>) {
    let cities: Vec<_> = scene
        .world
        .cities
        .iter()
        .filter(|city| {
            let v6 = city.of("residential", false);
            v6.iter()
                .any(|a| city.of("residential", true).iter().any(|b| a.asn == b.asn))
        })
        .collect();
    let city = (*scene.rng.pick(&cities)).clone();
    let v6 = city.of("residential", false);
    let twin = v6
        .iter()
        .find_map(|a| {
            let v4 = city.of("residential", true);
            let b = (*v4.iter().find(|b| b.asn == a.asn)?).clone();
            Some(((*a).clone(), b))
        })
        .unwrap();
    let (six, four) = (
        twin.0.address(&mut scene.rng),
        twin.1.address(&mut scene.rng),
    );
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let desktop = scene.me.desktop.clone();
    for turn in 0..24 {
        let ip = if turn % 2 == 0 { six } else { four };
        scene.browse(&session, ip, &desktop, start_ms + turn * MINUTE_MS, 1, 1);
    }
}

fn privacy_relay(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let me = scene.me.clone();
    let safari = if me.ios {
        agents::iphone(17)
    } else {
        agents::safari(17)
    };
    scene.browse(&session, me.home, &safari, start_ms, 5, 3);
    let exits = [
        Net::new(36183, "172.224.226.0"),
        Net::new(36183, "172.225.40.0"),
        Net::new(13335, "104.28.90.0"),
        Net::new(36183, "140.248.30.0"),
    ];
    for turn in 0..8 {
        let ip = scene.rng.pick(&exits[..3]).clone().address(&mut scene.rng);
        let at_ms = start_ms + (6 + turn * 3) * MINUTE_MS;
        scene.browse(&session, ip, &safari, at_ms, 3, 2);
    }
}

fn security_proxy(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let me = scene.me.clone();
    let exits = [
        Net::new(22616, "165.225.72.0"),
        Net::new(22616, "165.225.206.0"),
        Net::new(53813, "136.226.50.0"),
        Net::new(22616, "147.161.170.0"),
    ];
    for turn in 0..8 {
        let ip = scene.rng.pick(&exits).clone().address(&mut scene.rng);
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

fn office_nat(scene: &mut Scene<'_>) {
    let city = scene.me.city.clone();
    let office = scene.me.office;
    for _ in 0..8 {
        let mut person = Person::new(scene.world, &mut scene.rng);
        let homes = city.of("residential", true);
        person.home = scene.rng.pick(&homes).address(&mut scene.rng);
        scene.me = person;
        let session = scene.at_home(Some(Style::Sid));
        let at_ms = scene.start_ms + 60 * MINUTE_MS + scene.rng.between(0, 6) * MINUTE_MS;
        let desktop = scene.me.desktop.clone();
        scene.browse(&session, office, &desktop, at_ms, 40, 6);
    }
}

fn many_devices(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    scene.at_home(None);
    let start_ms = scene.start_ms;
    let far = scene.far("residential", 3000.0);
    let other = agents::firefox(agents::LINUX, 125);
    for (ip, agent) in [(far, me.phone.clone()), (me.office, other)] {
        // Without an id, two tokens of one second would be one.
        let since_ms = start_ms + scene.rng.between(0, 180) * 1000;
        let session = scene.session(since_ms);
        scene.browse(&session, ip, &agent, start_ms + 3 * MINUTE_MS, 25, 8);
    }
}

fn backend_forwards(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let private = "10.20.3.4".parse().unwrap();
    let server = if scene.rng.chance(50) {
        private
    } else {
        scene.far("hosting", 0.0)
    };
    let agent = *scene
        .rng
        .pick(&["node", "axios/1.7.2", "Go-http-client/2.0", "undici"]);
    scene.browse(&session, me.home, &me.desktop, start_ms, 1, 1);
    for page in 0..12 {
        let at_ms = start_ms + page * 2 * MINUTE_MS + 1500;
        let token = session.token(at_ms);
        scene.send(
            at_ms,
            server,
            agent,
            "GET",
            "/api/orders",
            200,
            Some(token.clone()),
        );
        let at_ms = at_ms + 2500;
        scene.send(
            at_ms,
            me.home,
            &me.desktop,
            "GET",
            "/api/me",
            200,
            Some(token),
        );
    }
}

fn api_clients(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let agent = *scene.rng.pick(&[
        "python-requests/2.32.3",
        "Go-http-client/1.1",
        "okhttp/4.12.0",
    ]);
    let city = scene.world.city(&mut scene.rng, "hosting", None);
    let net = (*scene.rng.pick(&city.of("hosting", true))).clone();
    let mut session = scene.session(start_ms);
    session.sub = format!("svc-{}", session.sid);
    session.extra = json!({"azp": session.sub, "client_id": session.sub});
    for turn in 0..6 {
        let ip = net.address(&mut scene.rng);
        scene.browse(&session, ip, agent, start_ms + turn * 6 * MINUTE_MS, 6, 4);
    }
}

fn unfurler(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let at_ms = scene.start_ms + 20 * MINUTE_MS;
    let target = format!("/share/report?token={}", session.token(at_ms));
    scene.send(at_ms, me.home, &me.desktop, "GET", &target, 200, None);
    let bots = [
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "WhatsApp/2.23.20.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko; Microsoft Preview; SkypeUriPreview) Chrome/120.0.0.0 Safari/537.36",
    ];
    let bot = *scene.rng.pick(&bots);
    let ip = scene.far("hosting", 500.0);
    scene.send(at_ms + 4000, ip, bot, "GET", &target, 200, None);
}

fn impersonation(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    scene.at_home(None);
    let mut session = scene.session(start_ms + 5 * MINUTE_MS);
    session.extra = json!({"act": {"sub": "support-7", "iss": ISSUER}});
    let desk = scene.far("corporate", 300.0);
    let agent = agents::edge(agents::WINDOWS, 125);
    scene.browse(&session, desk, &agent, start_ms + 5 * MINUTE_MS, 20, 8);
}

fn expired_retries(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let old = session.token(scene.start_ms);
    let at_ms = scene.start_ms + 5 * HOUR_MS;
    for (turn, ip) in [me.home, me.home, me.office, me.office]
        .into_iter()
        .enumerate()
    {
        let at_ms = at_ms + turn as i64 * 5 * MINUTE_MS;
        scene.send(
            at_ms,
            ip,
            &me.desktop,
            "GET",
            "/api/messages",
            401,
            Some(old.clone()),
        );
    }
}

fn jti_not_unique(scene: &mut Scene<'_>) {
    for _ in 0..6 {
        scene.me = Person::new(scene.world, &mut scene.rng);
        let start_ms = scene.start_ms;
        let mut session = scene.session_of(Style::Sid, start_ms);
        let counter = scene.rng.between(1, 3);
        session.extra = json!({"jti": counter.to_string()});
        let me = scene.me.clone();
        scene.browse(&session, me.home, &me.desktop, start_ms, 28, 8);
    }
}

fn clock_skew(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let skew_ms = scene.rng.between(-58, 58) * 1000;
    for request in 0..10 {
        let at_ms = start_ms + request * 3 * MINUTE_MS;
        let token = Some(session.token(at_ms));
        scene.send(
            at_ms + skew_ms,
            me.home,
            &me.desktop,
            "GET",
            "/api/me",
            200,
            token,
        );
    }
}

fn copy_as_curl(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let at_ms = scene.start_ms + 15 * MINUTE_MS;
    scene.browse(&session, me.home, "curl/8.5.0", at_ms, 4, 3);
}

fn monitoring(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let mut session = scene.session(start_ms);
    session.sub = format!("probe-{}@shop.example", session.sid);
    let agents = [
        "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
        "Datadog/Synthetics",
    ];
    let agent = *scene.rng.pick(&agents);
    let probes = [
        scene.far("hosting", 0.0),
        scene.far("hosting", 0.0),
        scene.far("hosting", 0.0),
    ];
    for minute in 0..30 {
        let ip = probes[minute as usize % 3];
        let at_ms = start_ms + minute * MINUTE_MS;
        scene.send(
            at_ms,
            ip,
            agent,
            "GET",
            "/api/health/deep",
            200,
            Some(session.token(at_ms)),
        );
    }
}

fn long_polls(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let cell = me.phone_net.address(&mut scene.rng);
    for turn in 0..8 {
        let at_ms = start_ms + turn * 4 * MINUTE_MS;
        let ip = if turn % 4 < 2 { me.home } else { cell };
        let token = Some(session.token(at_ms));
        scene.send(
            at_ms + 200_000,
            ip,
            &me.phone,
            "GET",
            "/api/events",
            200,
            token.clone(),
        );
        scene.last().duration_ms = 200_000;
        scene.send(at_ms, ip, &me.phone, "GET", "/api/me", 200, token);
    }
}

fn app_and_view(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let (app, view) = match me.ios {
        true => (agents::APP_IOS.to_owned(), agents::iphone_view(17)),
        false => (agents::APP_ANDROID.to_owned(), agents::android_view(125)),
    };
    let cell = me.phone_net.address(&mut scene.rng);
    for turn in 0..8 {
        let at_ms = start_ms + turn * 4 * MINUTE_MS;
        let ip = if turn < 4 { cell } else { me.home };
        scene.browse(&session, ip, &app, at_ms, 2, 2);
        scene.browse(&session, ip, &view, at_ms + 2 * MINUTE_MS, 2, 2);
    }
}

/// Abroad, between the hotel's Wi-Fi and the home carrier, which routes roaming traffic through home.
fn esim_roaming(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session: Session = scene.session_of(Style::Sid, start_ms);
    let cell = scene.world.city(&mut scene.rng, "mobile", None);
    let cell_ip = scene
        .rng
        .pick(&cell.of("mobile", true))
        .address(&mut scene.rng);
    scene.browse(&session, cell_ip, &me.phone, start_ms, 20, 6);
    let there = scene
        .world
        .city(&mut scene.rng, "residential", Some((&cell, 1500.0)));
    let hours = 2.5 + there.km_to(&cell) / 800.0;
    let landed_ms = start_ms + 20 * MINUTE_MS + (hours * HOUR_MS as f64) as i64;
    let hotel = scene
        .rng
        .pick(&there.of("residential", true))
        .address(&mut scene.rng);
    for turn in 0..6 {
        let ip = if turn % 2 == 0 { hotel } else { cell_ip };
        scene.browse(
            &session,
            ip,
            &me.phone,
            landed_ms + turn * 15 * MINUTE_MS,
            12,
            3,
        );
    }
}

fn commute(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let country = me.city.country.clone();
    let there: Vec<_> = scene
        .world
        .cities
        .iter()
        .filter(|city| city.country == country && city.km_to(&me.city) < 700.0)
        .cloned()
        .collect();
    let there = scene.rng.pick(&there).clone();
    let session = scene.at_home(Some(Style::Sid));
    let minutes = 45 + (there.km_to(&me.city) / 200.0 * 60.0) as i64;
    let nets = there.of("residential", true);
    let ip = match nets.is_empty() {
        true => me.office,
        false => scene.rng.pick(&nets).address(&mut scene.rng),
    };
    let at_ms = scene.start_ms + (28 + minutes) * MINUTE_MS;
    scene.browse(&session, ip, &me.desktop, at_ms, 40, 8);
}

fn logout_and_tab(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let at_ms = scene.start_ms + 29 * MINUTE_MS;
    let token = Some(session.token(at_ms));
    scene.send(
        at_ms,
        me.home,
        &me.desktop,
        "POST",
        "/logout",
        204,
        token.clone(),
    );
    for minute in [1, 2, 3] {
        let at_ms = at_ms + minute * MINUTE_MS;
        let status = if minute == 1 { 200 } else { 401 };
        scene.send(
            at_ms,
            me.home,
            &me.desktop,
            "GET",
            "/api/messages",
            status,
            token.clone(),
        );
    }
}

fn download_link(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    scene.browse(&session, me.home, &me.phone, start_ms, 10, 5);
    let at_ms = start_ms + 12 * MINUTE_MS;
    let target = format!("/files/7.pdf?token={}", session.token(at_ms));
    scene.send(at_ms, me.home, &me.phone, "GET", &target, 200, None);
    let cell = me.phone_net.address(&mut scene.rng);
    scene.browse(&session, cell, &me.phone, at_ms + 3 * MINUTE_MS, 10, 4);
}
