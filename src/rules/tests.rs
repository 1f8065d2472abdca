//! Rules from outside: text in, verdicts out.

use super::*;
use crate::domain::event::AccessEvent;
use crate::domain::facts::Facts;
use crate::domain::line::Source;
use proptest::prelude::*;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod oracle;
mod sigmahq;

/// A request as a log shows it; `Default` is one that nobody would look at.
#[derive(Clone, Debug)]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    agent: Option<&'a str>,
    status: u16,
    facts: Facts,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            method: "GET",
            path: "/",
            query: None,
            agent: Some("Mozilla/5.0"),
            status: 200,
            facts: Facts::default(),
        }
    }
}

impl Request<'_> {
    /// The names of the rules that hold, and whether the gate would have woken them.
    fn judged(&self, rules: &RuleSet) -> (Vec<String>, bool) {
        let event = AccessEvent {
            method: Some(Cow::Borrowed(self.method)),
            path: Some(Cow::Borrowed(self.path)),
            query: self.query.map(Cow::Borrowed),
            user_agent: self.agent.map(Cow::Borrowed),
            status: self.status,
            ..AccessEvent::default()
        };
        let source = Source("access.log".into());
        let view = View {
            event: &event,
            usage: None,
            other: None,
            facts: &self.facts,
            source: &source,
            offset_bytes: 0,
        };
        let mut hits = Vec::new();
        rules.judge(&view, &mut hits);
        let gate = rules.gate();
        let woken = gate.wakes(&self.facts, gate.text_hit(&event));
        (
            hits.iter().map(|rule| rule.name.to_string()).collect(),
            woken,
        )
    }
}

/// A plain web rule with this detection.
fn web_rule(detection: &str) -> String {
    format!("title: t\nlogsource: {{category: webserver}}\ndetection:\n{detection}")
}

fn load(text: &str) -> RuleSet {
    let files = [("rules/rule.yml".to_owned(), text.to_owned())];
    RuleSet::load(&files).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn holds(detection: &str, request: &Request<'_>) -> bool {
    let (hits, woken) = request.judged(&load(&web_rule(detection)));
    assert!(woken || hits.is_empty(), "the gate slept: {detection}");
    !hits.is_empty()
}

fn faults(text: &str) -> String {
    let files = [("rules/rule.yml".to_owned(), text.to_owned())];
    let faults = RuleSet::load(&files).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

fn folder(path: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(folder(&path));
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    files
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules")
}

#[test]
fn maps_are_and_lists_are_or() {
    let request = Request {
        path: "/admin/x",
        ..Request::default()
    };
    let both =
        "  s:\n    cs-method: GET\n    cs-uri-stem|startswith: [/api, /admin]\n  condition: s\n";
    assert!(holds(both, &request));
    assert!(!holds(
        both,
        &Request {
            method: "PUT",
            ..request.clone()
        }
    ));
    let list = "  s:\n    - cs-method: PUT\n    - sc-status: 200\n  condition: s\n";
    assert!(holds(list, &request));
    assert!(!holds(
        list,
        &Request {
            status: 404,
            ..request.clone()
        }
    ));
    let all = "  s:\n    url.path|contains|all: [ADM, x]\n  condition: s\n";
    assert!(holds(all, &request));
    assert!(!holds(
        all,
        &Request {
            path: "/adm",
            ..request
        }
    ));
}

#[test]
fn nothing_numbers_and_keywords_are_read_as_sigma_says() {
    let request = Request {
        agent: None,
        query: Some("q=UNION+SELECT"),
        ..Request::default()
    };
    assert!(holds(
        "  s: {cs-user-agent: null}\n  condition: s\n",
        &request
    ));
    assert!(holds(
        "  s: {cs-user-agent: ''}\n  condition: s\n",
        &request
    ));
    assert!(holds(
        "  s: {cs-user-agent|exists: false}\n  condition: s\n",
        &request
    ));
    assert!(!holds(
        "  s: {cs-user-agent|exists: true}\n  condition: s\n",
        &request
    ));
    assert!(holds("  s: {sc-status: '2*'}\n  condition: s\n", &request));
    assert!(holds(
        "  s: {sc-status|lt: 300}\n  condition: s\n",
        &request
    ));
    assert!(holds("  k: [union+select, x]\n  condition: k\n", &request));
    assert!(!holds(
        "  k:\n    '|all': [union, x]\n  condition: k\n",
        &request
    ));
    assert!(holds(
        "  s: {cs-uri-query|re|i: 'union.s'}\n  condition: s\n",
        &request
    ));
    assert!(holds(
        "  s: {cs-uri|contains: '/?q'}\n  condition: s\n",
        &request
    ));
    assert!(holds(
        "  s: {cs-method|neq: POST}\n  condition: s\n",
        &request
    ));
    assert!(holds(
        "  s: {url.query|fieldref|contains: url.query}\n  condition: s\n",
        &request
    ));
    // The time of the request is 1970-01-01T00:00:00Z.
    assert!(holds(
        "  s: {'@timestamp|year': 1970, '@timestamp|hour|lt': 6, '@timestamp|month|neq': 2}\n  condition: s\n",
        &request
    ));
    assert!(!holds(
        "  s: {'@timestamp|hour|gte': 22}\n  condition: s\n",
        &request
    ));
    assert!(holds(
        "  s: {nobody.knows: null}\n  condition: s\n",
        &request
    ));
    assert!(!holds("  s: {nobody.knows: 1}\n  condition: s\n", &request));
}

#[test]
fn rules_are_the_same_without_their_own_tests() {
    let mut whole = RuleSet::embedded().unwrap();
    whole.rules.iter_mut().for_each(|rule| rule.tests.clear());
    let cut = RuleSet::embedded_without_tests().unwrap();
    assert_eq!(format!("{cut:?}"), format!("{whole:?}"));
}

#[test]
fn the_rules_that_come_with_the_program_load_and_are_complete() {
    let rules = RuleSet::embedded().unwrap_or_else(|faults| {
        panic!(
            "{}",
            faults.iter().map(ToString::to_string).collect::<String>()
        )
    });
    assert!(rules.rules().len() >= 22);
    for rule in rules.rules() {
        let finds = |expected| {
            rule.tests
                .iter()
                .any(|test| test.expects_finding == expected)
        };
        assert!(finds(true) && finds(false), "{} lacks a test", rule.name);
        assert!(
            !rule.references.is_empty() && !rule.attack.is_empty(),
            "{}",
            rule.name
        );
        assert!(!rule.falsepositives.is_empty(), "{}", rule.name);
        assert!(!rule.need.always, "{} would see every line", rule.name);
    }
    let folder = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"));
    assert_eq!(folder.len(), ALL.len(), "a rule is not in the list");
    assert!(ALL.is_sorted(), "the list is in the order of names");
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place_and_a_suggestion() {
    let text = std::fs::read_to_string(fixtures().join("mistakes.yml")).unwrap();
    let expected = std::fs::read_to_string(fixtures().join("mistakes.txt")).unwrap();
    assert_eq!(faults(&text), expected);
}

#[test]
fn what_is_not_judged_is_said_and_not_hidden() {
    let rules = load("title: t\nlogsource: {product: windows}\n");
    let notes: Vec<_> = rules.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["note: rules/rule.yml:1: its log source is no access log: not judged"]
    );
    assert!(rules.rules().is_empty());
}

#[test]
fn two_rules_of_one_name_or_id_are_a_mistake() {
    let text = web_rule("  s: {sc-status: 500}\n  condition: s\n");
    let text = format!("id: 6e0ed2f7-8f0f-4a51-8a8c-1b4c7d0d2f11\n{text}");
    let files = [
        ("a/x.yml".to_owned(), text.clone()),
        ("b/x.yml".to_owned(), text),
    ];
    let faults = RuleSet::load(&files).unwrap_err();
    assert_eq!(faults[0].mistakes.len(), 2);
}

#[test]
fn counters_tell_at_which_numbers_rules_turn() {
    let rules = load(&web_rule(
        "  a: {source.rejected_10m|gte: 50}\n  b: {source.rejected_10m|gt: 9}\n  condition: 1 of them\n",
    ));
    assert_eq!(rules.thresholds(Fact::SourceRejected10m), [10.0, 50.0]);
    assert_eq!(rules.thresholds(Fact::SessionRequests), [0.0; 0]);
}

/// Detections that need little, to find views in which the gate sleeps wrongly.
const SMALL: [&str; 10] = [
    "  s: {drift.tool: true}\n  f: {use.refused: true}\n  condition: s and not f\n",
    "  s: {drift.tool: false}\n  condition: s\n",
    "  s: {travel.speed_kmh|gt: 10}\n  t: {drift.place: true}\n  condition: s or t\n",
    "  s: {url.path|contains: ab}\n  t: {use.accepted: true}\n  condition: s and t\n",
    "  s: {cs-uri: '/a*?b'}\n  condition: s\n",
    "  s: {cs-uri|contains: 'a\\?b'}\n  condition: s\n",
    "  k: [aB, 'b?a']\n  condition: k\n",
    "  s: {sc-status: [401, 500]}\n  condition: s\n",
    "  s: {url.query|re: '^a'}\n  t: {drift.client: true}\n  condition: 1 of them\n",
    "  s: {cs-user-agent|endswith: k}\n  condition: not s\n",
];

proptest! {
    #[test]
    fn the_gate_never_sleeps_where_a_rule_holds(
        path in "/[abAB]{0,4}",
        query in proptest::option::of("[ab?]{0,4}"),
        agent in proptest::option::of("[abK\u{212a}]{0,3}"),
        status in prop_oneof![Just(200u16), Just(401), Just(500)],
        flags in proptest::collection::vec(
            prop_oneof![
                Just(Fact::DriftTool), Just(Fact::DriftPlace), Just(Fact::DriftClient),
                Just(Fact::UseAccepted), Just(Fact::UseRefused), Just(Fact::TravelSpeedKmh),
            ],
            0..4,
        ),
    ) {
        let mut facts = Facts::default();
        flags.into_iter().for_each(|fact| facts.set(fact, 20.0));
        let agent = agent.as_deref();
        let request = Request { method: "GET", path: &path, query: query.as_deref(), agent, status, facts };
        for detection in SMALL {
            let rules = load(&web_rule(detection));
            let (hits, woken) = request.judged(&rules);
            prop_assert!(woken || hits.is_empty(), "{detection}");
            let mut ungated = rules.clone();
            for rule in &mut ungated.rules {
                rule.need = Need::always();
            }
            prop_assert_eq!(hits, request.judged(&ungated).0);
        }
    }

    #[test]
    fn no_text_panics(text in r"([a-z]{1,5}(\|[a-z]{2,5})?: |\n|  |- |[a-z*?\\]{1,4}|'|\PC){0,40}") {
        let _ = RuleSet::load(&[("x.yml".into(), text.clone())]);
        let _ = RuleSet::load(&[("x.yml".into(), web_rule(&format!("  s:\n    {text}\n  condition: s")))]);
    }
}
