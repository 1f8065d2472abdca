//! Our verdicts beside those of another implementation of Sigma, over rules and requests that nobody wrote.
//!
//! What the two read differently on purpose is left out, each with its reason: see [`Item`].

mod made_up;

use super::*;
use crate::domain::facts::Facts;
use crate::domain::time::Time;
use crate::domain::usage::{Field, Value};
use data_encoding::BASE64;
use made_up::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::parse_sigma_yaml;
use serde_json::{Map, json};

/// Rules that are made, and requests that each is held against.
const RULES: usize = 1500;
const REQUESTS: usize = 6;

/// A request in which everything that rules look at can be there or not.
#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    path: String,
    query: Option<String>,
    agent: Option<String>,
    host: Option<String>,
    client: Option<&'static str>,
    status: u16,
    bytes: u64,
    time_ms: i64,
}

impl Asked {
    fn with_view<T>(&self, then: impl FnOnce(&View<'_>) -> T) -> T {
        let event = AccessEvent {
            method: Some(self.method.into()),
            path: Some(self.path.as_str().into()),
            query: self.query.as_deref().map(Into::into),
            user_agent: self.agent.as_deref().map(Into::into),
            host: self.host.as_deref().map(Into::into),
            client: self.client.map(|ip| ip.parse().unwrap()),
            status: self.status,
            bytes: self.bytes,
            time: Time::from_ms(self.time_ms).unwrap(),
            ..AccessEvent::default()
        };
        // A name without letters: the other one looks for keywords in every value.
        let source = Source("0".into());
        then(&View {
            event: &event,
            usage: None,
            other: None,
            facts: &Facts::default(),
            source: &source,
            offset_bytes: 0,
        })
    }

    /// The same as the other one takes it: every field under each of its names.
    fn json(&self) -> serde_json::Value {
        self.with_view(|view| {
            let mut object = Map::new();
            for field in Field::PLAIN {
                let value = match view.value(*field) {
                    Value::Absent => continue,
                    Value::Text(text) => json!(text),
                    Value::Number(number) => json!(number as i64),
                    Value::Flag => json!(true),
                };
                let names = std::iter::once(field.name()).chain(field.aliases().iter().copied());
                names.for_each(|name| drop(object.insert(name.to_owned(), value.clone())));
            }
            object.into()
        })
    }

    fn ours(&self, rules: &RuleSet) -> bool {
        self.with_view(|view| {
            let mut hits = Vec::new();
            rules.judge(view, &mut hits);
            !hits.is_empty()
        })
    }
}

/// The other one, with one rule.
fn other(yaml: &str) -> Option<Engine> {
    let collection = parse_sigma_yaml(yaml).ok()?;
    if !collection.errors.is_empty() {
        return None;
    }
    let mut engine = Engine::new();
    engine.add_collection(&collection).ok()?;
    Some(engine)
}

fn next<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

#[test]
fn another_implementation_comes_to_the_same_verdicts_on_made_up_rules_and_requests() {
    let mut runner = TestRunner::deterministic();
    let (rules, requests) = (detection(), request());
    let (mut compared, mut held, mut refused) = (0, 0, 0);
    for _ in 0..RULES {
        let (detection, misses) = next(&rules, &mut runner);
        let yaml =
            format!("title: t\nlogsource:\n    category: webserver\ndetection:\n{detection}");
        let ours = load(&yaml);
        let Some(other) = other(&yaml) else {
            refused += 1;
            continue;
        };
        for _ in 0..REQUESTS {
            let asked = next(&requests, &mut runner);
            let json = asked.json();
            let theirs = !other.evaluate(&JsonEvent::borrow(&json)).is_empty();
            let verdict = asked.ours(&ours);
            let only_missed = yaml.contains("base64offset") && (misses || !theirs);
            assert!(
                verdict == theirs || only_missed,
                "ours {verdict}, theirs {theirs}\n{yaml}\n{json:#}"
            );
            compared += 1;
            held += usize::from(verdict);
        }
    }
    assert!(
        refused * 6 < RULES,
        "the other one takes most: {refused} refused"
    );
    assert!(
        held * 10 > compared && held * 10 < compared * 9,
        "{held} of {compared} held"
    );
}

/// Every text of a rule's detection.
fn texts_of(value: &yaml::Node, texts: &mut Vec<String>) {
    match &value.kind {
        yaml::Kind::Text(text) => texts.push(text.clone()),
        yaml::Kind::List(elements) => elements.iter().for_each(|one| texts_of(one, texts)),
        yaml::Kind::Map(entries) => entries.iter().for_each(|(_, one)| texts_of(one, texts)),
        _ => {}
    }
}

/// A value of a rule as a request may hold it: wildcards become something.
fn filled(text: &str) -> String {
    text.replace(r"\*", "\0")
        .replace(['*', '?'], "x")
        .replace('\0', "*")
}

#[test]
fn another_implementation_comes_to_the_same_verdicts_on_the_rules_of_sigmahq() {
    let mut files = folder(&fixtures().join("sigmahq"));
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/sigmahq-web");
    if all.is_dir() {
        files = folder(&all);
    }
    let (mut compared, mut held, mut silent) = (0, 0, Vec::new());
    for (name, text) in &files {
        let ours = RuleSet::load(&[(name.clone(), text.clone())]);
        let ours = ours.unwrap_or_else(|faults| panic!("{}", faults[0]));
        let (false, Some(other)) = (ours.rules().is_empty(), other(text)) else {
            continue;
        };
        let mut texts = Vec::new();
        for document in yaml::parse(text).unwrap() {
            texts_of(document.get("detection").unwrap(), &mut texts);
        }
        let mut spoke = false;
        for value in texts.iter().map(|text| filled(text)) {
            let long: String = texts.iter().map(|text| filled(text)).collect();
            for query in [None, Some(value.clone()), Some(long)] {
                let asked = Asked {
                    method: if query.is_some() { "GET" } else { "POST" },
                    path: format!("/{}", value.trim_start_matches('/')),
                    agent: Some(value.clone()),
                    host: Some("shop.example.com".into()),
                    client: Some("192.0.2.1"),
                    status: 200,
                    bytes: 512,
                    time_ms: 0,
                    query,
                };
                let json = asked.json();
                let theirs = !other.evaluate(&JsonEvent::borrow(&json)).is_empty();
                assert_eq!(asked.ours(&ours), theirs, "{name}\n{json:#}");
                compared += 1;
                held += usize::from(theirs);
                spoke |= theirs;
            }
        }
        if !spoke {
            silent.push(name);
        }
    }
    assert!(
        compared > 300 && held * 10 > compared,
        "{held} of {compared} held; silent: {silent:?}"
    );
}
