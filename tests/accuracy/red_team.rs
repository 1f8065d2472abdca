//! The thief who knows the tool, and the one who wants to use it against his victim. What is not seen is said as
//! plainly as what is.
//!
//! In: stories, each told several times. Out: whether incidents about the victim came of it, and whether one of them
//! would log the victim out.
//! Does not know: rules.

use super::outside::split_tunnel;
use super::scene::Scene;
use super::thefts::{self, other_client, tool};
use super::{Keys, crimes, judge};
use crate::support::population::{
    DAY_MS, HOUR_MS, Log, MINUTE_MS, Rng, Session, Shown, Style, World, sign,
};
use serde_json::json;
use std::net::IpAddr;
use tokentrip::domain::finding::Level;
use tokentrip::domain::incident::Incident;
use tokentrip::tokens::verify::install_crypto;

/// Times each story is told.
const TOLD: u64 = 6;

struct Case {
    name: &'static str,
    tell: fn(&mut Scene<'_>),
    seen: bool,
}

const fn seen(name: &'static str, tell: fn(&mut Scene<'_>)) -> Case {
    Case {
        name,
        tell,
        seen: true,
    }
}

const fn hidden(name: &'static str, tell: fn(&mut Scene<'_>)) -> Case {
    Case {
        name,
        tell,
        seen: false,
    }
}

fn told(name: &str) -> fn(&mut Scene<'_>) {
    let mut all = thefts::ALL.iter().chain(crimes::ALL);
    all.find(|theft| theft.name == name).unwrap().tell
}

fn drives_slowly(scene: &mut Scene<'_>) {
    told("far away, same agent, idle")(scene);
}

fn neighbours_line(scene: &mut Scene<'_>) {
    told("same city, same client")(scene);
}

fn behind_a_decoy(scene: &mut Scene<'_>) {
    told("cookie behind a decoy token")(scene);
}

fn starts_from_a_phishing_proxy(scene: &mut Scene<'_>) {
    told("phishing proxy first")(scene);
}

/// The victim's browser at another address of the victim's own provider: a router that was given a new one.
fn own_provider(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let (asn, home) = (scene.me.home_asn, scene.me.home);
    let city = scene.me.city.clone();
    let nets = city.of("residential", true);
    let own = nets.iter().find(|net| net.asn == asn && net.holds(home));
    let ip = own.unwrap_or(&nets[0]).address(&mut scene.rng);
    let at_ms = scene.start_ms + 35 * MINUTE_MS;
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 5);
}

/// One request a day for more than a week, so that he is no news any more; then he begins.
fn trains_the_baseline(scene: &mut Scene<'_>) {
    let session = scene.at_home_for(12);
    let ip = scene.far("residential", 800.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let from = scene.log.requests.len();
    let me = scene.me.clone();
    for day in 1..9 {
        let at_ms = scene.start_ms + day * DAY_MS;
        let token = Some(session.token(at_ms));
        scene.send(at_ms, ip, &agent, "GET", "/api/me", 200, token);
        scene.browse(&session, me.home, &me.desktop, at_ms + 3 * HOUR_MS, 20, 4);
    }
    let at_ms = scene.start_ms + 9 * DAY_MS;
    scene.browse(&session, ip, &agent, at_ms, 10, 8);
    scene.charge(&session.sub, ip, from);
}

/// Thousands of invented sessions first, so that the real one might be forgotten.
fn fills_the_stores(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let ip = scene.far("hosting", 100.0);
    let agent = tool(scene);
    let at_ms = scene.start_ms + 30 * MINUTE_MS;
    for number in 0..2000 {
        let claims = json!({"iss": "https://id.shop.example/", "sub": format!("nobody{number}"),
            "sid": format!("made-up-{number}"), "exp": (at_ms + DAY_MS) / 1000});
        let token = sign(&json!({"alg": "RS256", "kid": "zz"}), &claims);
        scene.send(
            at_ms + number,
            ip,
            agent,
            "GET",
            "/api/me",
            401,
            Some(token),
        );
    }
    scene.thief(&session, ip, agent, at_ms + 2 * MINUTE_MS, 5);
}

/// One connection that is never asked anything again: the log has a single line, and it is no answer.
fn keeps_a_web_socket_open(scene: &mut Scene<'_>) {
    let session = scene.at_home(Some(Style::Sid));
    let ip = scene.far("residential", 1500.0);
    let agent = other_client(scene, &scene.me.desktop.clone());
    let at_ms = scene.start_ms + 25 * MINUTE_MS;
    let token = Some(session.token(at_ms));
    scene.send(at_ms, ip, &agent, "GET", "/api/socket", 101, token);
    scene.last().duration_ms = 10 * MINUTE_MS;
    scene.stolen(&session.sub, ip);
}

/// A weak sign at a time, with hours between: another browser behind the victim's own router.
fn waits_out_decay(scene: &mut Scene<'_>) {
    let session = scene.at_home_for(1);
    let home = scene.me.home;
    let agent = other_client(scene, &scene.me.desktop.clone());
    for turn in 1..4 {
        let at_ms = scene.start_ms + turn * 3 * HOUR_MS;
        scene.thief(&session, home, &agent, at_ms, 2);
    }
}

/// Sessions of three accounts of his own begin at his address, in turns, so that it counts as a way out.
fn makes_an_exit(scene: &mut Scene<'_>) -> (Session, IpAddr, i64) {
    let ip = loop {
        let ip = scene.far("residential", 1500.0);
        if ip.is_ipv4() {
            break ip;
        }
    };
    let mut own = scene.session_of(Style::Sid, scene.start_ms);
    for turn in 0..9 {
        own.sub = format!("thief{}", turn % 3);
        own.sid = format!("his-own-{turn}");
        own.start_ms = scene.start_ms - DAY_MS + turn * HOUR_MS;
        let agent = scene.me.desktop.clone();
        scene.browse(&own, ip, &agent, own.start_ms, 10, 3);
    }
    let session = scene.at_home(Some(Style::Sid));
    let at_ms = scene.start_ms + 40 * MINUTE_MS;
    (session, ip, at_ms)
}

fn makes_an_exit_and_copies_the_browser(scene: &mut Scene<'_>) {
    let (session, ip, at_ms) = makes_an_exit(scene);
    scene.thief(&session, ip, &scene.me.desktop.clone(), at_ms, 5);
}

fn makes_an_exit_for_another_browser(scene: &mut Scene<'_>) {
    let (session, ip, at_ms) = makes_an_exit(scene);
    let agent = other_client(scene, &scene.me.desktop.clone());
    scene.thief(&session, ip, &agent, at_ms, 5);
}

/// He has the password, too, and signs in at his own address on the two days after the theft.
fn signs_in(scene: &mut Scene<'_>, agent: &str) {
    let session = scene.at_home(Some(Style::Sid));
    let ip = scene.far("residential", 1500.0);
    scene.thief(&session, ip, agent, scene.start_ms + 40 * MINUTE_MS, 5);
    for day in 1..3 {
        let at_ms = scene.start_ms + day * DAY_MS;
        let own = scene.session_of(Style::Sid, at_ms);
        scene.browse(&own, ip, agent, at_ms, 10, 3);
    }
}

fn signs_in_with_the_victims_browser(scene: &mut Scene<'_>) {
    signs_in(scene, &scene.me.desktop.clone());
}

fn signs_in_with_another_browser(scene: &mut Scene<'_>) {
    let agent = other_client(scene, &scene.me.desktop.clone());
    signs_in(scene, &agent);
}

static THIEVES: &[Case] = &[
    seen(
        "hides a stolen cookie behind his own header token",
        behind_a_decoy,
    ),
    seen("trains the baseline for a week", trains_the_baseline),
    seen("fills stores with random sids", fills_the_stores),
    seen("starts from a phishing proxy", starts_from_a_phishing_proxy),
    seen(
        "makes his address a way out, for another browser",
        makes_an_exit_for_another_browser,
    ),
    seen(
        "has the password, too, and another browser",
        signs_in_with_another_browser,
    ),
    hidden(
        "makes his address a way out, for the victim's browser",
        makes_an_exit_and_copies_the_browser,
    ),
    // Told when it happens, and taken back: he could have changed the password.
    hidden(
        "has the password, too, and the victim's browser",
        signs_in_with_the_victims_browser,
    ),
    hidden("drives slowly, with the victim's browser", drives_slowly),
    hidden(
        "the victim's browser on another line of the town",
        neighbours_line,
    ),
    hidden(
        "the victim's browser on another line of the victim's provider",
        own_provider,
    ),
    hidden(
        "waits out decay behind the victim's own router",
        waits_out_decay,
    ),
    hidden(
        "keeps a WebSocket open and asks nothing else",
        keeps_a_web_socket_open,
    ),
];

fn incidents(tell: fn(&mut Scene<'_>), seed: u64, keys: Keys) -> (String, Vec<Incident>) {
    let world = World::read();
    let mut log = Log::default();
    let mut scene = Scene::new(&world, &mut log, Rng(seed).next());
    tell(&mut scene);
    let sub = scene.me.sub.clone();
    (sub, judge(log.text(false, Shown::Header), keys))
}

#[test]
fn of_the_thief_who_knows_the_tool_it_is_known_what_is_seen() {
    install_crypto();
    for case in THIEVES {
        let found = (0..TOLD).filter(|seed| {
            let (sub, incidents) = incidents(case.tell, 90_000 + seed, Keys::Known);
            incidents
                .iter()
                .any(|i| i.subject.as_deref() == Some(&*sub))
        });
        let share = found.count() * 100 / TOLD as usize;
        let right = if case.seen { share >= 80 } else { share <= 50 };
        assert!(right, "{}: seen in {share} of 100", case.name);
    }
}

/// Tokens that name the victim, from a tool in a server network.
fn sends(scene: &mut Scene<'_>, token: impl Fn(&Session, i64) -> String, status: u16) {
    let session = scene.at_home(Some(Style::Sid));
    let ip = scene.far("hosting", 1500.0);
    let agent = tool(scene);
    for turn in 0..6 {
        let at_ms = scene.start_ms + 3 * HOUR_MS + turn * MINUTE_MS;
        let token = Some(token(&session, at_ms));
        scene.send(at_ms, ip, agent, "GET", "/api/orders", status, token);
    }
}

fn wrong_signature(session: &Session, at_ms: i64) -> String {
    let token = session.token(at_ms);
    let (message, _) = token.rsplit_once('.').unwrap();
    let other = sign(&json!({"alg": "HS256", "kid": "k1"}), &json!({"at": at_ms}));
    format!("{message}.{}", other.rsplit_once('.').unwrap().1)
}

fn unsigned(session: &Session, at_ms: i64) -> String {
    let token = sign(&json!({"alg": "none"}), &session.claims(at_ms));
    format!("{}.", token.rsplit_once('.').unwrap().0)
}

/// From an archive that somebody shared: it was good once.
fn dead(session: &Session, _: i64) -> String {
    session.token(session.start_ms)
}

fn forged_refused(scene: &mut Scene<'_>) {
    sends(scene, wrong_signature, 401);
}

fn forged_where_everything_is_answered(scene: &mut Scene<'_>) {
    sends(scene, wrong_signature, 200);
}

fn unsigned_refused(scene: &mut Scene<'_>) {
    sends(scene, unsigned, 401);
}

fn dead_refused(scene: &mut Scene<'_>) {
    sends(scene, dead, 401);
}

fn dead_where_everything_is_answered(scene: &mut Scene<'_>) {
    sends(scene, dead, 200);
}

fn alive_refused(scene: &mut Scene<'_>) {
    sends(scene, Session::token, 403);
}

type Harm = (&'static str, fn(&mut Scene<'_>), bool);

/// What is sent, and whether the gateway refuses it.
static HARMS: &[Harm] = &[
    ("a wrong signature, refused", forged_refused, true),
    (
        "a wrong signature, answered",
        forged_where_everything_is_answered,
        false,
    ),
    ("no signature, refused", unsigned_refused, true),
    ("a dead token, refused", dead_refused, true),
    (
        "a dead token, answered",
        dead_where_everything_is_answered,
        false,
    ),
    ("a good token, refused", alive_refused, true),
];

#[test]
fn nobody_is_logged_out_because_somebody_sends_a_token_with_their_name() {
    install_crypto();
    for (name, tell, refused) in HARMS {
        for (seed, keys) in (0..TOLD).flat_map(|seed| [(seed, Keys::None), (seed, Keys::Known)]) {
            let (sub, incidents) = incidents(*tell, 95_000 + seed, keys);
            let about = incidents
                .iter()
                .filter(|i| i.subject.as_deref() == Some(&*sub));
            for incident in about {
                let rules = &incident.rules;
                assert!(
                    !incident.actionable,
                    "{name}: would act on the victim, {rules:?}"
                );
                let high = incident.level >= Level::High;
                assert!(
                    !(high && *refused),
                    "{name}: {:?}, {rules:?}",
                    incident.level
                );
            }
        }
    }
}

type Own = (&'static str, fn(&mut Scene<'_>));

/// What one person does with a session of theirs, and a thief could do as well.
static OWN: &[Own] = &[
    ("a phone and a computer share a session", two_devices),
    ("two ways at random", two_ways),
    ("two ways, page by page", split_tunnel),
];

fn two_devices(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let carrier = me.phone_net.address(&mut scene.rng);
    let session = scene.session_of(Style::Sid, scene.start_ms);
    for turn in 0..14 {
        let (ip, agent) = match turn % 3 {
            1 => (carrier, &me.phone),
            _ => (me.home, &me.desktop),
        };
        let at_ms = scene.start_ms + turn * 80_000;
        let token = Some(session.token(at_ms));
        scene.send(at_ms, ip, agent, "GET", "/api/orders", 200, token);
    }
}

fn two_ways(scene: &mut Scene<'_>) {
    let me = scene.me.clone();
    let session = scene.session_of(Style::Sid, scene.start_ms);
    let company = scene.far("residential", 800.0);
    for turn in 0..20 {
        let ip = match scene.rng.chance(50) {
            true => company,
            false => me.home,
        };
        let at_ms = scene.start_ms + turn * 50_000;
        let token = Some(session.token(at_ms));
        scene.send(at_ms, ip, &me.desktop, "GET", "/api/orders", 200, token);
    }
}

#[test]
fn nobody_is_logged_out_for_a_second_device_or_a_second_way() {
    install_crypto();
    for (name, tell) in OWN {
        for seed in 0..TOLD {
            let (_, incidents) = incidents(*tell, 96_000 + seed, Keys::Known);
            for incident in &incidents {
                let (rules, level) = (&incident.rules, incident.level);
                assert!(!incident.actionable, "{name}: would act, {rules:?}");
                assert!(level <= Level::Medium, "{name}: {level:?}, {rules:?}");
            }
        }
    }
}
