//! Lines of a flood that are read again: each counts, and no more of their tokens are decoded than are told apart.

use super::*;
use crate::domain::breach::BreachStep;
use crate::domain::line::{Chunk, Source};
use crate::engine::examine::Examiner;
use crate::engine::prepare::Reading;
use crate::formats::Parser;
use crate::formats::client_address::TrustedProxies;
use data_encoding::BASE64URL_NOPAD;

/// Tokens that are told apart for one incident.
const TOLD_APART: usize = 10_000;

/// A token of nobody in particular, that fits no key.
fn made_up(n: usize) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = part(&json!({"alg": "RS256", "kid": "rsa-2048"}));
    let claims = part(&claims(&format!("user-{n}"), "s1", &format!("j{n}")));
    format!("{header}.{claims}.AAAA")
}

fn line(n: usize, status: u16) -> String {
    let token = made_up(n);
    json!({
        "time": T0 + 1, "remote_addr": TOKYO, "request_method": "GET", "status": status,
        "request_uri": format!("/api/{}", ["items", "orders/4711"][n % 2]),
        "http_user_agent": TOOL, "http_authorization": format!("Bearer {token}"),
    })
    .to_string()
}

/// What is found for the only incident when these lines are read again.
fn read_again(kit: &Kit, lines: &[String], sums_alone: bool) -> BreachStep {
    let (incidents, issuers) = (kit.engine.incidents(), Arc::new(configured()));
    let mut examiner = Examiner::new(key(), issuers, Tables::embedded(), &incidents);
    let reading = Reading {
        parser: Parser::named("json").unwrap(),
        trusted: TrustedProxies::default(),
    };
    for lines in lines.chunks(100) {
        let bytes = lines.join("\n").into_bytes();
        let chunk = Chunk::split(Source("log".into()), bytes, 0, 1);
        let prepared = kit.front.chunk(&reading, chunk);
        for line in prepared.borrow_dependent().iter().flatten() {
            match sums_alone {
                true => examiner.count(line),
                false => drop(examiner.line(line)),
            }
        }
    }
    let step = |step: &Incident| step.steps.breach.clone();
    let mut steps = examiner.finish(|_| incidents.first().map(step));
    steps.remove(&incidents[0].id).unwrap()
}

#[test]
fn of_a_flood_every_line_counts_with_its_path_whether_its_token_is_told_apart_or_not() {
    rests_on!(SourceSubjects10m, "forgery_burst");
    let mut issuers = configured();
    issuers.learn(ISSUER, public_keys(), Time::LATEST);
    let mut kit = kit_with(issuers, false);
    for n in 0..150 {
        kit.raw_line("json", &line(n, 401));
    }
    assert_eq!(kit.engine.incidents().len(), 1);
    let mut lines: Vec<String> = (0..TOLD_APART + 150).map(|n| line(n, 401)).collect();
    // Let in, which is nothing that was asked for.
    lines.extend((0..10).map(|n| line(TOLD_APART + 200 + n, 200)));
    let [each, sums] = [false, true].map(|sums_alone| read_again(&kit, &lines, sums_alone));
    assert_eq!(each, sums);
    assert_eq!(sums.requests as usize, TOLD_APART + 150);
    assert_eq!(
        (sums.denied, sums.tokens_count),
        (sums.requests, TOLD_APART as u64)
    );
    let half = sums.requests / 2;
    let paths = [("/api/items", half), ("/api/orders/{id}", half)];
    assert_eq!(
        sums.paths,
        paths.map(|(path, count)| (path.to_owned(), count))
    );
}
