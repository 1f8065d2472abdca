//! Our verdicts beside those of another implementation of Sigma, over rules and requests that nobody wrote.
//!
//! What the two read differently on purpose is left out, each with its reason: see [`Item`].

use super::*;
use crate::domain::facts::Facts;
use crate::domain::time::Time;
use crate::domain::usage::{Field, Value};
use data_encoding::BASE64;
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

/// One line of a selection.
#[derive(Clone, Debug)]
struct Item {
    line: String,
    /// The other one takes letters of base64 that hold bits of what follows for the value's own, so it misses some.
    /// Then it must find nothing that we do not.
    misses: bool,
}

fn item(line: String) -> Item {
    Item {
        line,
        misses: false,
    }
}

fn list(values: &[String]) -> String {
    let quoted: Vec<String> = (values.iter())
        .map(|value| format!("'{}'", value.replace('\'', "''")))
        .collect();
    format!("[{}]", quoted.join(", "))
}

fn text_field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "cs-uri-stem",
        "cs-uri-query",
        "cs-user-agent",
        "cs-host",
        "c-uri",
    ])
}

/// Never empty and never `-`, which for a web log mean that nothing is there.
fn texts(pattern: &'static str) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(pattern, 1..4)
}

/// Plain text, at each place, in each case.
fn plain() -> impl Strategy<Value = Item> {
    let places = ["", "|contains", "|startswith", "|endswith"];
    let (place, all) = (prop::sample::select(places.to_vec()), any::<bool>());
    (
        text_field(),
        place,
        any::<bool>(),
        all,
        texts("[aAbB1/\u{e9}]{1,4}"),
    )
        .prop_map(|(field, place, cased, all, values)| {
            let cased = if cased { "|cased" } else { "" };
            let all = if all { "|all" } else { "" };
            item(format!("'{field}{place}{cased}{all}': {}", list(&values)))
        })
}

/// Wildcards; not beside `startswith` and `endswith`, where the other one forgets at which end the text stands.
fn wild() -> impl Strategy<Value = Item> {
    let place = prop::sample::select(vec!["", "|contains"]);
    (
        text_field(),
        place,
        texts(r"[aAb/]{0,2}([*?]|\\\*|\\\?)[aAb/]{0,2}[*?]?"),
    )
        .prop_map(|(field, place, values)| item(format!("'{field}{place}': {}", list(&values))))
}

fn expression() -> impl Strategy<Value = Item> {
    let flags = prop::sample::select(vec!["", "|i", "|m", "|s", "|i|s"]);
    let expressions = [
        "^/a",
        "b+$",
        "[aA]b",
        "a.b",
        "(?:ab|ba)",
        "^.{2,4}$",
        r"\d",
        "b/?a",
    ];
    (
        text_field(),
        flags,
        prop::sample::select(expressions.to_vec()),
    )
        .prop_map(|(field, flags, text)| item(format!("'{field}|re{flags}': '{text}'")))
}

fn number() -> impl Strategy<Value = Item> {
    let field = prop::sample::select(vec!["sc-status", "sc-bytes"]);
    let compare = prop::sample::select(vec!["", "|lt", "|lte", "|gt", "|gte", "|neq", "|contains"]);
    let numbers = prop::sample::select(vec![0, 2, 20, 200, 201, 404, 500]);
    (field, compare, numbers).prop_map(|(f, compare, n)| item(format!("'{f}{compare}': {n}")))
}

fn network() -> impl Strategy<Value = Item> {
    let nets = [
        "192.0.2.0/24",
        "192.0.2.0/28",
        "0.0.0.0/0",
        "2001:db8::/32",
        "::/0",
        "203.0.113.7/32",
    ];
    prop::collection::vec(prop::sample::select(nets.to_vec()), 1..3).prop_map(|nets| {
        item(format!(
            "'c-ip|cidr': {}",
            list(&nets.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
        ))
    })
}

/// What is there and what is not. `neq` stands beside what is always there: of what is not, the other one says neither
/// that it equals nor that it differs.
fn presence() -> impl Strategy<Value = Item> {
    let tests = [
        "'cs-uri-query|exists': true",
        "'cs-user-agent|exists': false",
        "'nobody.knows|exists': false",
        "'cs-host': null",
        "'nobody.knows': null",
        "'cs-method|neq': 'get'",
        "'cs-method|neq|cased': 'get'",
        "'cs-method|neq': ['PUT', 'POST']",
        "'cs-uri-stem|neq|contains': 'ab'",
    ];
    prop::sample::select(tests.to_vec()).prop_map(|test| item(test.to_owned()))
}

fn reference() -> impl Strategy<Value = Item> {
    let place = prop::sample::select(vec!["", "|contains", "|startswith", "|endswith"]);
    (text_field(), place, any::<bool>(), text_field()).prop_map(|(field, place, cased, other)| {
        let cased = if cased { "|cased" } else { "" };
        item(format!("'{field}|fieldref{place}{cased}': '{other}'"))
    })
}

/// Dashes at the beginning of words, where both see one.
fn dashes() -> impl Strategy<Value = Item> {
    (text_field(), texts("(b )?-[ab]{1,2}"))
        .prop_map(|(field, values)| item(format!("'{field}|windash|contains': {}", list(&values))))
}

fn encoded() -> impl Strategy<Value = Item> {
    let ways = [
        "base64",
        "wide|base64",
        "utf16le|base64",
        "utf16be|base64",
        "utf16|base64",
        "base64offset",
    ];
    let way = prop::sample::select(ways.to_vec());
    (text_field(), way, texts("[ab]{2,4}")).prop_map(|(field, way, values)| Item {
        line: format!("'{field}|{way}|contains': {}", list(&values)),
        misses: way == "base64offset",
    })
}

fn moment() -> impl Strategy<Value = Item> {
    let parts = [
        ("minute", 11),
        ("hour", 10),
        ("day", 4),
        ("week", 19),
        ("month", 5),
        ("year", 2026),
    ];
    (prop::sample::select(parts.to_vec()), -1..2)
        .prop_map(|((part, n), off)| item(format!("'@timestamp|{part}': {}", n + off)))
}

/// With a letter that stands in no address, for the other one looks there, too. A plain list: under `'|all'` it looks
/// for a field without a name.
fn keywords() -> impl Strategy<Value = Item> {
    texts("a[ab]{0,2}").prop_map(|values| item(list(&values)))
}

fn items() -> impl Strategy<Value = Item> {
    prop_oneof![
        4 => plain(), 3 => wild(), 2 => expression(), 2 => number(), 1 => network(),
        2 => presence(), 1 => reference(), 1 => dashes(), 2 => encoded(), 1 => moment(),
    ]
}

/// Three selections (maps, a list of maps, keywords) and a condition over them. Wherever the other one may miss
/// something, no `not` stands in the condition.
fn detection() -> impl Strategy<Value = (String, bool)> {
    let conditions = [
        "s0",
        "s0 and s1",
        "s0 or s1",
        "1 of s*",
        "all of them",
        "1 of them",
        "any of s*",
        "not s0",
        "s0 and not s1",
        "(s0 or s1) and not s2",
        "not (s0 and s1)",
        "not 1 of s*",
        "not all of s*",
        "s0 or s1 and not s2",
        "s2 and s0",
    ];
    let third = prop_oneof![keywords(), items()];
    let pairs = prop::collection::vec(prop::collection::vec(items(), 1..3), 2);
    (
        pairs,
        third,
        prop::sample::select(conditions.to_vec()),
        any::<bool>(),
    )
        .prop_map(|(pairs, third, condition, listed)| {
            let misses = pairs
                .iter()
                .flatten()
                .chain([&third])
                .any(|item| item.misses);
            let mut text = String::new();
            for (index, pair) in pairs.iter().enumerate() {
                text += &format!("    s{index}:\n");
                // A key stands once in a map.
                let dash = if listed || is_twice(pair) { "- " } else { "" };
                for item in pair {
                    text += &format!("      {dash}{}\n", item.line);
                }
            }
            text += &format!("    s2:\n      {}\n", third.line);
            (
                format!("{text}    condition: {condition}\n"),
                misses && condition.contains("not"),
            )
        })
}

fn is_twice(pair: &[Item]) -> bool {
    let key = |item: &Item| item.line.split("': ").next().map(str::to_owned);
    pair.len() == 2 && key(&pair[0]) == key(&pair[1])
}

fn request() -> impl Strategy<Value = Asked> {
    let optional = |pattern: &'static str| prop::option::of(pattern);
    let hidden = ["ab", "abb", "ba", "aaab"].map(|text| BASE64.encode(text.as_bytes()));
    let wide = ["ab", "ba"].map(|text| {
        let units = text
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>();
        BASE64.encode(&units)
    });
    let paths: Vec<String> = hidden
        .into_iter()
        .chain(wide)
        .map(|text| format!("/{text}/b"))
        .collect();
    let path = prop_oneof![3 => "/[aAbB1/?*]{0,5}".prop_map(|p| p.replace(['?'], "")), 1 => prop::sample::select(paths)];
    (
        prop::sample::select(vec!["GET", "PUT"]),
        path,
        optional("[aAbB1=\u{e9}]{1,5}"),
        optional("(b )?[-/\u{2013}x][ab]{1,3}"),
        optional("[aAbB1]{1,3}"),
        prop::option::of(prop::sample::select(vec![
            "192.0.2.1",
            "192.0.2.200",
            "203.0.113.7",
            "2001:db8::1",
        ])),
        prop::sample::select(vec![200u16, 201, 404, 500]),
        prop::sample::select(vec![0u64, 2, 200, 2000]),
        prop::sample::select(vec![1_777_889_472_345i64, 1_777_889_412_000, 0]),
    )
        .prop_map(
            |(method, path, query, agent, host, client, status, bytes, time_ms)| Asked {
                method,
                path,
                query,
                agent,
                host,
                client,
                status,
                bytes,
                time_ms,
            },
        )
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
