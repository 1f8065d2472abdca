//! What each stage of the line can do in a second, on one core.
//!
//! `cargo bench --bench stages`; the `item/s` rows are lines, or tokens, addresses and user agents where the stage sees
//! those.
//! What each costs a whole log is in `cargo bench --bench reference`.

#[path = "../tests/support/mint.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a part of the tests, which use all of it"
)]
mod mint;
mod traffic;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use serde_json::json;
use std::sync::Arc;
use tokentrip::context::Surroundings;
use tokentrip::context::clients::Clients;
use tokentrip::context::tables::Tables;
use tokentrip::domain::event::{AccessEvent, Carrier, CarrierKind};
use tokentrip::domain::finding::Finding;
use tokentrip::domain::ids::IdKey;
use tokentrip::domain::line::{Chunk, Source};
use tokentrip::domain::time::Time;
use tokentrip::domain::token::{Credential, Shape, Verdict};
use tokentrip::engine::paths::Paths;
use tokentrip::engine::prepare::{Front, PreparedChunk, Reading};
use tokentrip::engine::{Engine, Input, Observation, Settings};
use tokentrip::formats::client_address::TrustedProxies;
use tokentrip::formats::{FieldMap, Parser};
use tokentrip::rules::RuleSet;
use tokentrip::sessions::Limits;
use tokentrip::sinks::ndjson::{self, Record};
use tokentrip::tokens::decode::decode;
use tokentrip::tokens::keys::KeySet;
use tokentrip::tokens::locate::locate;
use tokentrip::tokens::verify::{Issuers, install_crypto, verify};
use traffic::Traffic;

/// A few chunks: enough to leave the caches, few enough for many rounds.
const LINES: usize = 4_096;

fn main() {
    install_crypto();
    divan::main();
}

fn source() -> Source {
    Source("access.log".into())
}

/// The log, as bytes.
fn log(lines: usize) -> Vec<u8> {
    let (mut traffic, mut text) = (Traffic::new(lines), String::new());
    while traffic.write_line(&mut text) {}
    text.into_bytes()
}

fn front() -> Front {
    Front {
        key: IdKey::public([7; 32]),
        paths: Paths::new(Vec::new(), Vec::new()),
    }
}

fn reading() -> Reading {
    Reading {
        parser: Parser::json(FieldMap::default()),
        trusted: TrustedProxies::default(),
    }
}

fn prepared(lines: usize) -> PreparedChunk {
    front().chunk(&reading(), Chunk::split(source(), log(lines), 0, 1))
}

fn engine(fast_path: bool) -> Engine {
    let settings = Settings {
        key: front().key,
        limits: Limits::default(),
        protects: false,
        sightings: false,
        fast_path,
    };
    let rules =
        Arc::new(RuleSet::embedded().expect("the rules that come with the program are whole"));
    Engine::new(
        settings,
        rules,
        Arc::new(Issuers::default()),
        Tables::embedded(),
    )
}

fn observe(engine: &mut Engine, chunk: &PreparedChunk) -> Vec<Finding> {
    let mut out = Observation::default();
    for line in chunk.borrow_dependent().iter().flatten() {
        engine.observe(Input::Line(line), &mut out);
    }
    out.findings
}

/// An event that shows one token in its Authorization header.
fn event_with(token: &str) -> AccessEvent<'_> {
    let mut event = AccessEvent::default();
    event.carriers.push(Carrier {
        kind: CarrierKind::Header,
        name: "http_authorization".into(),
        text: token.into(),
    });
    event
}

fn credential(token: &str) -> Credential<'_> {
    let found = locate(&mut event_with(token), &front().key);
    found.into_iter().next().expect("the token is found")
}

#[divan::bench]
fn a_split(bencher: Bencher<'_, '_>) {
    let bytes = log(LINES);
    bencher
        .counter(ItemsCount::new(LINES))
        .with_inputs(|| bytes.clone())
        .bench_values(|bytes| Chunk::split(source(), bytes, 0, 1));
}

#[divan::bench]
fn b_parse(bencher: Bencher<'_, '_>) {
    let (text, reading) = (String::from_utf8(log(LINES)).expect("text"), reading());
    bencher.counter(ItemsCount::new(LINES)).bench(|| {
        for line in text.lines() {
            let _ = black_box(reading.parser.parse(black_box(line)));
        }
    });
}

#[divan::bench]
fn c_locate_and_digest(bencher: Bencher<'_, '_>) {
    let tokens: Vec<String> = (0..LINES)
        .map(|n| format!("Bearer {}", traffic::token(n)))
        .collect();
    let key = front().key;
    bencher
        .counter(ItemsCount::new(LINES))
        .with_inputs(|| {
            tokens
                .iter()
                .map(|token| event_with(token))
                .collect::<Vec<_>>()
        })
        .bench_refs(|events| {
            events
                .iter_mut()
                .map(|event| locate(event, &key).len())
                .sum::<usize>()
        });
}

/// Parse, locate, digest, keys and kinds of path: all that parser threads do with a chunk.
#[divan::bench]
fn d_prepare(bencher: Bencher<'_, '_>) {
    let (bytes, front, reading) = (log(LINES), front(), reading());
    bencher
        .counter(ItemsCount::new(LINES))
        .with_inputs(|| Chunk::split(source(), bytes.clone(), 0, 1))
        .bench_values(|chunk| front.chunk(&reading, chunk));
}

/// Every use repeats the last of its session: the chunk is seen again and again.
#[divan::bench]
fn e_engine_on_repeats(bencher: Bencher<'_, '_>) {
    repeats(bencher, true);
}

#[divan::bench]
fn f_engine_on_repeats_without_fast_path(bencher: Bencher<'_, '_>) {
    repeats(bencher, false);
}

fn repeats(bencher: Bencher<'_, '_>, fast_path: bool) {
    // One session, one second: time does not run backwards when its lines come again.
    let line = log(1).repeat(LINES);
    let chunk = front().chunk(&reading(), Chunk::split(source(), line, 0, 1));
    let mut engine = engine(fast_path);
    bencher
        .counter(ItemsCount::new(LINES))
        .bench_local(|| observe(&mut engine, &chunk));
}

/// Nearly every line is the first of its session.
#[divan::bench]
fn g_engine_on_new_tokens(bencher: Bencher<'_, '_>) {
    let chunk = prepared(LINES);
    bencher
        .counter(ItemsCount::new(LINES))
        .with_inputs(|| engine(true))
        .bench_local_values(|mut engine| observe(&mut engine, &chunk));
}

#[divan::bench]
fn h_decode(bencher: Bencher<'_, '_>) {
    let (token, key) = (traffic::token(1), front().key);
    let credential = credential(&token);
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| decode(black_box(&credential), &key));
}

#[divan::bench(args = ["shared-secret", "rsa-2048", "p-256"])]
fn i_verify(bencher: Bencher<'_, '_>, kid: &str) {
    const ISSUER: &str = "https://id.example.com";
    let token = mint::mint(
        &json!({"iss": ISSUER, "sub": "anna", "iat": 1_777_888_800, "exp": 1_777_892_400}),
        kid,
    );
    let mut issuers = Issuers::default();
    issuers
        .configure(ISSUER, &["HS256", "RS256", "ES256"])
        .expect("known names");
    for set in [
        &include_bytes!("../tests/fixtures/keys/public.jwks.json")[..],
        &include_bytes!("../tests/fixtures/keys/shared.jwks.json")[..],
    ] {
        issuers.learn(
            ISSUER,
            KeySet::parse(set).expect("the test keys"),
            Time::LATEST,
        );
    }
    let credential = credential(&token);
    let decoded = decode(&credential, &front().key).expect("a token");
    let Shape::Raw(raw) = &credential.shape else {
        unreachable!("the whole token is there")
    };
    assert_eq!(verify(raw, &decoded, &issuers), Verdict::Verified);
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| verify(black_box(raw), &decoded, &issuers));
}

#[divan::bench]
fn j_places_and_networks(bencher: Bencher<'_, '_>) {
    let chunk = prepared(LINES);
    let addresses: Vec<_> = chunk
        .borrow_dependent()
        .iter()
        .flatten()
        .filter_map(|line| line.event.client)
        .collect();
    let tables = Tables::embedded();
    bencher.counter(ItemsCount::new(addresses.len())).bench(|| {
        for address in &addresses {
            black_box(tables.at(*address));
        }
    });
}

#[divan::bench(args = ["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"])]
fn k_user_agent(bencher: Bencher<'_, '_>, agent: &str) {
    Clients::warm_up();
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| Clients.identify(black_box(agent)));
}

/// A whole context, its parts looked up lately.
#[divan::bench]
fn l_context(bencher: Bencher<'_, '_>) {
    let chunk = prepared(LINES);
    let mut surroundings = Surroundings::new(Tables::embedded());
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        for line in chunk.borrow_dependent().iter().flatten() {
            black_box(surroundings.describe(&line.event));
        }
    });
}

#[divan::bench]
fn m_output(bencher: Bencher<'_, '_>) {
    let findings = observe(&mut engine(true), &prepared(LINES));
    let finding = findings.first().expect("raw tokens in a log are a finding");
    let mut line = Vec::new();
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        line.clear();
        ndjson::write(&mut line, black_box(&Record::Finding(finding)))
    });
}
