//! Stories of theft. Each takes one person's token elsewhere.

use super::scene::Scene;
use crate::support::population::{
    HOUR_MS, MINUTE_MS, Net, Person, Session, Shown, Style, agents, sign,
};
use serde_json::json;
use std::net::IpAddr;

/// A story, how its logs show tokens, and how many scenes of a hundred must be found at least.
pub(super) struct Theft {
    pub(super) name: &'static str,
    pub(super) tell: fn(&mut Scene<'_>),
    pub(super) shown: Shown,
    pub(super) found_percent_min: usize,
}

pub(super) const fn theft(
    name: &'static str,
    tell: fn(&mut Scene<'_>),
    found_percent_min: usize,
) -> Theft {
    Theft {
        name,
        tell,
        shown: Shown::Header,
        found_percent_min,
    }
}

const fn shown(name: &'static str, shown: Shown, found_percent_min: usize) -> Theft {
    Theft {
        name,
        tell: far_other_client,
        shown,
        found_percent_min,
    }
}

pub(super) static ALL: &[Theft] = &[
    theft("far away, other client", far_other_client, 100),
    theft("far away, same agent, active", far_same_agent, 100),
    theft("far away, same agent, idle", far_same_agent_idle, 0),
    theft(
        "same country, other ISP and client",
        same_country_other_client,
        100,
    ),
    theft("hosting, same agent", hosting_same_agent, 100),
    // Some of these servers stand in a network of VPN exits, of which the person may have switched one on.
    theft("hosting near, same agent", hosting_near_same_agent, 90),
    theft("tool elsewhere", tool_elsewhere, 100),
    theft("tool on the neighbour's line", tool_near, 100),
    theft("tool against an app", tool_against_app, 100),
    theft("idle, other client", idle_other_client, 100),
    theft("one request", one_request, 100),
    theft("three requests while active", three_requests, 100),
    theft(
        "thief first, victim returns",
        before_the_victim_returns,
        100,
    ),
    theft("victim on the phone, thief far", phone_far, 100),
    theft("after logout", after_logout, 100),
    // Where one carrier has all lines and phones of a town or a country, a neighbour's line can be the person's next.
    theft("leaked in URL", leaked_in_url, 90),
    theft("leaked in Referer", leaked_in_referer, 95),
    // Now and then the thief's line is one of a victim's own /24.
    theft("one thief, many victims", many_victims, 95),
    theft("one thief, many, same agents", many_victims_same_agent, 80),
    theft("alg none accepted", alg_none, 100),
    theft("claims altered", claims_altered, 100),
    theft("jti reuse by another subject", jti_reuse, 100),
    theft("expired accepted", expired_accepted, 100),
    theft("IPv6 thief", ipv6_thief, 100),
    theft("VPN, other client", vpn_other_client, 100),
    theft("VPN, same agent", vpn_same_agent, 0),
    theft("older version of the same browser", older_version, 100),
    theft("same city, other client", same_city_other_client, 100),
    theft("same city, same client", same_city_same_client, 0),
    theft("same city, same client, mixed", same_city_mixed, 50),
    shown("in a cookie", Shown::Cookie, 100),
    shown("claims only", Shown::Claims, 100),
    shown("hashed", Shown::Hash, 60),
];

/// Another browser on another system than the person's own.
pub(super) fn other_client(scene: &mut Scene<'_>, of: &str) -> String {
    loop {
        let agent = match scene.rng.between(0, 4) {
            0 => agents::chrome(agents::LINUX, 124),
            1 => agents::firefox(agents::WINDOWS, 125),
            2 => agents::edge(agents::WINDOWS, 124),
            _ => agents::chrome(agents::WINDOWS, 125),
        };
        let system = |agent: &str| agent.split([';', '(']).nth(1).map(str::to_owned);
        if system(&agent) != system(of) || agent.contains("Firefox") != of.contains("Firefox") {
            return agent;
        }
    }
}

/// While the victim is active: he goes on for a quarter of an hour after the thief came.
pub(super) fn goes_on(scene: &mut Scene<'_>, session: &Session) {
    let me = scene.me.clone();
    let from_ms = scene.start_ms + 28 * MINUTE_MS;
    scene.browse(session, me.home, &me.desktop, from_ms, 25, 8);
}

pub(super) fn during(scene: &mut Scene<'_>) -> i64 {
    scene.start_ms + scene.rng.between(18, 32) * MINUTE_MS
}

fn far_other_client(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.far("residential", 1500.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = during(scene);
    scene.thief(&session, ip, &agent, at_ms, 6);
    goes_on(scene, &session);
}

fn far_same_agent(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.far("residential", 1500.0);
    let at_ms = during(scene);
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 6);
    goes_on(scene, &session);
}

fn far_same_agent_idle(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let ip = scene.far("residential", 1500.0);
    let hours = scene.rng.between(3, 20);
    let at_ms = scene.start_ms + hours * HOUR_MS;
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 6);
}

fn same_country_other_client(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let here = scene.me.city.clone();
    let country: Vec<Net> = scene
        .world
        .cities
        .iter()
        .filter(|city| city.country == here.country)
        .flat_map(|city| city.of("residential", true).into_iter().cloned())
        .filter(|net| net.asn != scene.me.home_asn)
        .collect();
    let ip = match country.is_empty() {
        true => scene.neighbour(),
        false => scene.rng.pick(&country).clone().address(&mut scene.rng),
    };
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = during(scene);
    scene.thief(&session, ip, &agent, at_ms, 6);
}

fn hosting_same_agent(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.far("hosting", 600.0);
    let at_ms = during(scene);
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 6);
}

/// A server in the victim's own region: no travel that is too fast.
fn hosting_near_same_agent(scene: &mut Scene<'_>) {
    let near = scene.world.city(&mut scene.rng, "hosting", None);
    scene.me.city = near.clone();
    let homes = near.of("residential", true);
    scene.me.home = scene.rng.pick(&homes).address(&mut scene.rng);
    let session = scene.at_home(None);
    let ip = scene
        .rng
        .pick(&near.of("hosting", true))
        .address(&mut scene.rng);
    let at_ms = during(scene);
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 6);
}

pub(super) fn tool(scene: &mut Scene<'_>) -> &'static str {
    let index = scene.rng.between(0, agents::TOOLS.len() as i64) as usize;
    agents::TOOLS[index]
}

fn tool_elsewhere(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let kind = *scene.rng.pick(&["hosting", "residential", "mobile"]);
    let ip = scene.far(kind, 300.0);
    let (agent, at_ms) = (tool(scene), during(scene));
    scene.thief(&session, ip, agent, at_ms, 5);
}

fn tool_near(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.neighbour();
    let (agent, at_ms) = (tool(scene), during(scene));
    scene.thief(&session, ip, agent, at_ms, 5);
}

fn tool_against_app(scene: &mut Scene<'_>) {
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let me = scene.me.clone();
    let app = if me.ios {
        agents::APP_IOS
    } else {
        agents::APP_ANDROID
    };
    let ip = me.phone_net.address(&mut scene.rng);
    scene.browse(&session, ip, app, start_ms, 25, 8);
    let ip = scene.far("hosting", 300.0);
    let (agent, at_ms) = (tool(scene), during(scene));
    scene.thief(&session, ip, agent, at_ms, 5);
}

fn idle_other_client(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let ip = scene.far("residential", 400.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = scene.start_ms + scene.rng.between(3, 12) * HOUR_MS;
    scene.thief(&session, ip, &agent, at_ms, 6);
}

fn one_request(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.far("residential", 1500.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = during(scene);
    scene.thief(&session, ip, &agent, at_ms, 1);
}

fn three_requests(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.far("hosting", 600.0);
    let at_ms = during(scene);
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 3);
    goes_on(scene, &session);
}

/// The victim logs in and goes for a walk; the thief uses the token while he is away.
fn before_the_victim_returns(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    scene.browse(&session, me.home, &me.desktop, start_ms, 1, 2);
    let ip = scene.far("residential", 1500.0);
    scene.thief(&session, ip, &me.desktop, start_ms + 20 * MINUTE_MS, 4);
    scene.browse(
        &session,
        me.home,
        &me.desktop,
        start_ms + 40 * MINUTE_MS,
        15,
        5,
    );
}

fn phone_far(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let start_ms = scene.start_ms;
    let session = scene.session(start_ms);
    let ip = me.phone_net.address(&mut scene.rng);
    scene.browse(&session, ip, &me.phone, start_ms, 25, 8);
    let ip = scene.far("residential", 2500.0);
    let at_ms = during(scene);
    scene.thief(&session, ip, &me.phone, at_ms, 4);
}

fn after_logout(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let end_ms = scene.start_ms + 29 * MINUTE_MS;
    let status = *scene.rng.pick(&[200, 204, 302]);
    scene.send(
        end_ms,
        me.home,
        &me.desktop,
        "POST",
        "/auth/logout",
        status,
        Some(session.token(end_ms)),
    );
    let kind = *scene.rng.pick(&["residential", "hosting"]);
    let ip = scene.far(kind, 100.0);
    // What was stolen before the logout is used after it.
    let token = session.token(end_ms);
    for minute in [2, 4, 7] {
        let at_ms = end_ms + minute * MINUTE_MS;
        scene.send(
            at_ms,
            ip,
            &me.desktop,
            "GET",
            "/api/orders",
            200,
            Some(token.clone()),
        );
    }
    scene.stolen(&session.sub, ip);
}

fn leaked_in_url(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let at_ms = scene.start_ms + 20 * MINUTE_MS;
    let token = session.token(at_ms);
    let target = format!("/api/export?format=pdf&access_token={token}");
    scene.send(at_ms, me.home, &me.desktop, "GET", &target, 200, None);
    let ip = scene.neighbour();
    scene.send(
        at_ms + MINUTE_MS,
        ip,
        &me.desktop,
        "GET",
        "/api/me",
        200,
        Some(token.clone()),
    );
    scene.send(
        at_ms + 2 * MINUTE_MS,
        ip,
        &me.desktop,
        "GET",
        "/api/orders",
        200,
        Some(token),
    );
    scene.stolen(&session.sub, ip);
}

fn leaked_in_referer(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.at_home(None);
    let at_ms = scene.start_ms + 20 * MINUTE_MS;
    let token = session.token(at_ms);
    scene.send(
        at_ms,
        me.home,
        &me.desktop,
        "GET",
        "/assets/pixel.gif",
        200,
        None,
    );
    scene.last().referer = format!("https://shop.example/welcome?access_token={token}").into();
    let ip = scene.far("residential", 200.0);
    for minute in [3, 5] {
        let at_ms = at_ms + minute * MINUTE_MS;
        scene.send(
            at_ms,
            ip,
            &me.desktop,
            "GET",
            "/api/me",
            200,
            Some(token.clone()),
        );
    }
    scene.stolen(&session.sub, ip);
}

fn many(scene: &mut Scene<'_>, agent: Option<&str>, ip: IpAddr) {
    for victim in 0..7 {
        scene.me = Person::new(scene.world, &mut scene.rng);
        let session = scene.at_home(None);
        let at_ms = scene.start_ms + 31 * MINUTE_MS + victim * 40_000;
        let agent = agent.map_or_else(|| scene.me.desktop.clone(), str::to_owned);
        scene.thief(&session, ip, &agent, at_ms, 2);
    }
}

fn many_victims(scene: &mut Scene<'_>) {
    let kind = *scene.rng.pick(&["hosting", "residential"]);
    let ip = scene.far(kind, 0.0);
    many(scene, Some(&agents::chrome(agents::LINUX, 119)), ip);
}

fn many_victims_same_agent(scene: &mut Scene<'_>) {
    let ip = scene.far("hosting", 0.0);
    many(scene, None, ip);
}

fn alg_none(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let at_ms = during(scene);
    let forged = sign(
        &json!({"alg": "none", "typ": "JWT"}),
        &session.claims(at_ms),
    );
    let forged = format!("{}.", forged.rsplit_once('.').unwrap().0);
    accepted(scene, at_ms, &forged);
}

fn accepted(scene: &mut Scene<'_>, at_ms: i64, token: &str) {
    let ip = scene.far("residential", 50.0);
    let agent = tool(scene);
    for second in [0, 8, 31] {
        let token = Some(token.to_owned());
        scene.send(
            at_ms + second * 1000,
            ip,
            agent,
            "GET",
            "/api/me",
            200,
            token,
        );
    }
    let sub = scene.me.sub.clone();
    scene.stolen(&sub, ip);
}

fn claims_altered(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let at_ms = during(scene);
    let mut claims = session.claims(at_ms);
    claims["scope"] = json!("openid orders admin");
    let token = sign(&json!({"alg": "HS256", "kid": "k1"}), &claims);
    accepted(scene, at_ms, &token);
}

/// The attacker's own token with the victim's subject written into it.
fn jti_reuse(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Jti));
    let at_ms = scene.start_ms + 10 * MINUTE_MS;
    let own = session.claims(at_ms);
    let mut victim = own.clone();
    let name = format!("target{}@mail.example", scene.rng.next() % 1_000_000);
    victim["sub"] = json!(name);
    let token = sign(&json!({"alg": "HS256", "kid": "k1"}), &victim);
    scene.me.sub = name;
    accepted(scene, at_ms + 15 * MINUTE_MS, &token);
}

fn expired_accepted(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let stolen = session.token(scene.start_ms + 10 * MINUTE_MS);
    let ip = scene.far("residential", 1500.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    for minute in [0, 3] {
        let at_ms = scene.start_ms + 3 * HOUR_MS + minute * MINUTE_MS;
        scene.send(
            at_ms,
            ip,
            &agent,
            "GET",
            "/api/me",
            200,
            Some(stolen.clone()),
        );
    }
    scene.stolen(&session.sub, ip);
}

fn ipv6_thief(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let here = scene.me.city.clone();
    let nets: Vec<Net> = scene
        .world
        .cities
        .iter()
        .filter(|city| city.km_to(&here) > 1500.0)
        .flat_map(|city| city.of("residential", false).into_iter().cloned())
        .collect();
    let ip = scene.rng.pick(&nets).clone().address(&mut scene.rng);
    let at_ms = during(scene);
    let agent = match scene.rng.chance(50) {
        true => other_client(scene, &scene.me.desktop.clone()),
        false => scene.me.desktop.clone(),
    };
    scene.thief(&session, ip, &agent, at_ms, 5);
}

/// Exits of commercial VPN services: M247, Datacamp.
pub(super) fn vpn(scene: &mut Scene<'_>) -> IpAddr {
    let exits = [
        Net::new(9009, "146.70.20.0"),
        Net::new(9009, "193.27.14.0"),
        Net::new(60068, "138.199.50.0"),
        Net::new(212_238, "156.146.40.0"),
    ];
    scene.rng.pick(&exits).clone().address(&mut scene.rng)
}

fn vpn_other_client(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = vpn(scene);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = during(scene);
    scene.thief(&session, ip, &agent, at_ms, 5);
}

fn vpn_same_agent(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = vpn(scene);
    let at_ms = during(scene);
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 8);
    goes_on(scene, &session);
}

fn older_version(scene: &mut Scene<'_>) {
    scene.me.desktop = agents::chrome(agents::WINDOWS, 125);
    let session = scene.at_home(None);
    let ip = scene.far("residential", 120.0);
    let at_ms = scene.start_ms + 45 * MINUTE_MS;
    let older = scene.rng.between(118, 124) as u32;
    scene.thief(
        &session,
        ip,
        &agents::chrome(agents::WINDOWS, older),
        at_ms,
        4,
    );
}

fn same_city_other_client(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.neighbour();
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = during(scene);
    scene.thief(&session, ip, &agent, at_ms, 5);
}

fn same_city_same_client(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.neighbour();
    let at_ms = scene.start_ms + 35 * MINUTE_MS;
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 5);
}

/// The same, while the victim goes on: two lines take turns.
fn same_city_mixed(scene: &mut Scene<'_>) {
    let session = scene.at_home(None);
    let ip = scene.neighbour();
    scene.with_the_same_client_at(ip);
    let at_ms = scene.start_ms + 20 * MINUTE_MS;
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 10);
    goes_on(scene, &session);
}
