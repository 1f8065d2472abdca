//! From a Sigma document to a rule.
//!
//! In: one YAML document and its name. Out: a [`Rule`], or every mistake in it.
//! Does not know: the other documents.
//! Source: Sigma specification v2, <https://sigmahq.io/sigma-specification/>; our own keys stand under `tokentrip:`.

use super::combined::{self, Filter};
use super::correlation::Correlation;
use super::detection::{self, Remarks, field_names};
use super::gate::Need;
use super::names::{
    CAUSES, CONFIDENCES, STATUSES, TEST_KEYS, cause_name, confidence_name, expectation,
    status_name, test_keys_name,
};
use super::rule::{Response, Rule, RuleTest, Service, Step4};
use super::says::Template;
use super::test_log::expand;
use super::yaml::{Kind, Node};
use crate::domain::finding::{Confidence, Dimension, Level};
use crate::domain::incident::Cause;
use crate::domain::mistake::{Mistake, nearest};
use std::ops::Range;
use std::sync::Arc;

/// What a document is.
pub(super) enum Document {
    /// A rule that is judged.
    Rule(Box<Rule>),
    /// What narrows rules.
    Filter(Filter),
    /// Something that is not judged, and why.
    Unjudged(&'static str),
}

/// Keys under `tokentrip:`.
const OWN_KEYS: &[&str] = &[
    "confidence",
    "dimension",
    "response",
    "runbook",
    "says",
    "score",
    "step4",
    "tests",
];

/// Reads documents of one file.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) mistakes: Vec<Mistake>,
    /// What is worth knowing and is no mistake, with its place.
    pub(super) notes: Vec<(Range<usize>, String)>,
}

impl Reader {
    /// Reads one document; mistakes and notes are kept in the reader.
    pub(super) fn read(&mut self, node: &Node, name: &str) -> Option<Document> {
        if !matches!(node.kind, Kind::Map(_)) {
            let message = format!("expected a rule, not {}", node.noun());
            self.wrong(node, message);
            return None;
        }
        if let Some(correlation) = node.get("correlation") {
            let correlation = combined::correlation(correlation, &mut self.mistakes)?;
            let rule = self.correlation(node, name, correlation);
            return rule.map(Document::Rule);
        }
        if let Some(action) = node.get("action") {
            let message = "`action` left Sigma with version 2: write the rule out whole";
            self.wrong(action, message);
            return None;
        }
        match self.service(node)? {
            Some(service) => match node.get("filter") {
                Some(filter) => self.filter(filter, service).map(Document::Filter),
                None => self.rule(node, name, service).map(Document::Rule),
            },
            None => Some(Document::Unjudged(
                "its log source is no access log: not judged",
            )),
        }
    }

    fn wrong(&mut self, node: &Node, message: impl Into<String>) {
        self.mistakes.push(Mistake::at(node.span.clone(), message));
    }

    fn missing(&mut self, node: &Node, key: &str) {
        let message = format!("the rule has no `{key}`");
        self.mistakes.push(Mistake::at(node.span.clone(), message));
    }

    /// The service the log source means; `Some(None)` for logs that are not ours.
    fn service(&mut self, node: &Node) -> Option<Option<Service>> {
        let Some(source) = node.get("logsource") else {
            self.missing(node, "logsource");
            return None;
        };
        let part = |key| source.get(key).and_then(Node::text);
        match (part("category"), part("product"), part("service")) {
            (_, Some("tokentrip"), Some("token_use")) => Some(Some(Service::TokenUse)),
            (_, Some("tokentrip"), _) => {
                let message = "the log source of `tokentrip` is `service: token_use`";
                self.wrong(source, message);
                None
            }
            (_, _, Some("error" | "apache-error" | "nginx-error")) => Some(None),
            (Some("webserver" | "proxy"), _, _)
            | (None, _, Some("nginx" | "apache"))
            | (None, Some("nginx" | "apache"), _) => Some(Some(Service::Webserver)),
            _ => Some(None),
        }
    }

    fn rule(&mut self, node: &Node, name: &str, service: Service) -> Option<Box<Rule>> {
        let ours = service == Service::TokenUse;
        let before = self.mistakes.len();
        let detection = node.get("detection");
        let Some(detection) = detection else {
            self.missing(node, "detection");
            return None;
        };
        let detection = self.detection(|remarks| detection::compile(detection, remarks), ours)?;
        let rule = self.metadata(node, name, service, ours, detection);
        (self.mistakes.len() == before).then(|| Box::new(rule))
    }

    /// A correlation is a rule without a detection of its own: only its hits make it hold.
    fn correlation(
        &mut self,
        node: &Node,
        name: &str,
        correlation: Correlation,
    ) -> Option<Box<Rule>> {
        let before = self.mistakes.len();
        let never = detection::Expr::Any(Vec::new());
        let ours = node.get("tokentrip").is_some();
        let mut rule = self.metadata(node, name, Service::Webserver, ours, never);
        rule.correlation = Some(correlation);
        (self.mistakes.len() == before).then(|| Box::new(rule))
    }

    fn filter(&mut self, node: &Node, service: Service) -> Option<Filter> {
        let ours = service == Service::TokenUse;
        self.detection(|remarks| combined::filter(node, service, remarks), ours)
    }

    /// Everything about a rule that is not its detection.
    fn metadata(
        &mut self,
        node: &Node,
        name: &str,
        service: Service,
        ours: bool,
        detection: detection::Expr,
    ) -> Rule {
        let title = self.text(node, "title", true);
        let id = self.text(node, "id", ours);
        self.check_id(node, &id);
        let level = self.choice(node, "level", Level::ALL, Level::name, ours);
        let level = level.unwrap_or(Level::Medium);
        let own = self.own(node, ours);
        let mut rule = Rule {
            name: name.into(),
            alias: Some(self.text(node, "name", false))
                .filter(|alias| !alias.is_empty())
                .map(Into::into),
            id: id.into(),
            correlation: None,
            feeds: Vec::new(),
            is_shadow: false,
            is_part: false,
            speaks: false,
            description: self.text(node, "description", ours),
            status: (self.choice(node, "status", STATUSES, status_name, false)).unwrap_or_default(),
            service,
            level,
            confidence: Confidence::default(),
            score: default_score(level),
            dimension: Dimension::Path,
            response: Response::Alert,
            step4: None,
            runbook: String::new(),
            falsepositives: self.texts(node, "falsepositives"),
            references: self.texts(node, "references"),
            attack: techniques(&self.texts(node, "tags")),
            tests: Vec::new(),
            says: Template::plain(&title),
            title: title.into(),
            need: Need::of(&detection),
            detection,
        };
        if let Some(own) = own {
            self.read_own(own, &mut rule, ours);
        }
        rule
    }

    /// What `compile` makes of a detection; what it remarks is kept.
    fn detection<T>(
        &mut self,
        compile: impl FnOnce(&mut Remarks) -> Option<T>,
        ours: bool,
    ) -> Option<T> {
        let mut remarks = Remarks::default();
        let compiled = compile(&mut remarks);
        self.mistakes.append(&mut remarks.mistakes);
        for (field, span) in remarks.unknown_fields {
            if !ours {
                let note = format!("no access log has the field `{field}`: it is never there");
                self.notes.push((span, note));
                continue;
            }
            let near = nearest(&field, field_names());
            let label = near.map(|near| format!("did you mean `{near}`?"));
            let mistake = Mistake::at(span, format!("unknown field `{field}`"))
                .label(label.unwrap_or_default())
                .help("`tokentrip rules list --fields` shows every field");
            self.mistakes.push(mistake);
        }
        compiled
    }

    fn own<'n>(&mut self, node: &'n Node, ours: bool) -> Option<&'n Node> {
        let own = node.get("tokentrip");
        if own.is_none() && ours {
            self.missing(node, "tokentrip");
        }
        for (key, _) in own.map(Node::entries).unwrap_or_default() {
            if OWN_KEYS.contains(&key.name.as_str()) {
                continue;
            }
            let near = nearest(&key.name, OWN_KEYS.iter().copied());
            let label = near.map(|near| format!("did you mean `{near}`?"));
            let mistake = Mistake::at(key.span.clone(), format!("unknown key `{}`", key.name));
            self.mistakes.push(mistake.label(label.unwrap_or_default()));
        }
        own
    }

    fn read_own(&mut self, own: &Node, rule: &mut Rule, ours: bool) {
        let confidence = self.choice(own, "confidence", CONFIDENCES, confidence_name, false);
        rule.confidence = confidence.unwrap_or_default();
        let dimension = self.choice(own, "dimension", Dimension::ALL, Dimension::name, ours);
        rule.dimension = dimension.unwrap_or(rule.dimension);
        let response = self.choice(own, "response", Response::ALL, Response::name, false);
        rule.response = response.unwrap_or_default();
        rule.score = self.score(own, ours).unwrap_or(rule.score);
        rule.runbook = self.text(own, "runbook", ours);
        let says = self.text(own, "says", ours);
        match (Template::parse(&says), own.get("says")) {
            (Ok(template), Some(_)) => rule.says = template,
            (Err(message), Some(node)) => self.wrong(node, message),
            (_, None) => (),
        }
        rule.step4 = own.get("step4").map(|step4| self.step4(step4));
        for test in own.get("tests").map(Node::elements).unwrap_or_default() {
            let test = self.test(test);
            rule.tests.push(test);
        }
    }

    fn score(&mut self, own: &Node, is_required: bool) -> Option<u32> {
        match own.get("score").map(|node| (node, &node.kind)) {
            Some((_, Kind::Number(score))) if (0.0..=100.0).contains(score) => Some(*score as u32),
            Some((node, _)) => {
                self.wrong(node, "expected a score from 0 to 100");
                None
            }
            None if is_required => {
                self.missing(own, "score");
                None
            }
            None => None,
        }
    }

    fn step4(&mut self, node: &Node) -> Step4 {
        let cause = self.choice(node, "cause", CAUSES, cause_name, true);
        Step4 {
            cause: cause.unwrap_or(Cause::InadequateMeasures),
            hint: self.text(node, "hint", true),
            fix: self.text(node, "fix", true),
        }
    }

    fn test(&mut self, node: &Node) -> RuleTest {
        let expect = self.choice(node, "expect", [true, false], expectation, true);
        if let Some((log, Err(mistake))) = node
            .get("log")
            .map(|log| (log, expand(log.text().unwrap_or_default())))
        {
            self.wrong(log, mistake.message);
        }
        let keys = self.choice(node, "keys", TEST_KEYS, test_keys_name, false);
        RuleTest {
            name: self.text(node, "name", true),
            expects_finding: expect.unwrap_or_default(),
            keys: keys.unwrap_or_default(),
            revoked: self.texts(node, "revoked"),
            log: self.text(node, "log", true),
        }
    }

    fn check_id(&mut self, node: &Node, id: &str) {
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        let hex = id
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        if let Some(node) = node.get("id").filter(|_| !hex || parts != [8, 4, 4, 4, 12]) {
            self.wrong(node, "expected a UUID");
        }
    }

    /// The text of a key; empty where it is missing.
    fn text(&mut self, node: &Node, key: &str, is_required: bool) -> String {
        match node.get(key).map(|value| (value, &value.kind)) {
            Some((_, Kind::Text(text))) => text.trim().to_owned(),
            Some((_, Kind::Number(number))) => number.to_string(),
            Some((value, _)) => {
                self.wrong(value, format!("expected text, not {}", value.noun()));
                String::new()
            }
            None => {
                if is_required {
                    self.missing(node, key);
                }
                String::new()
            }
        }
    }

    fn texts(&mut self, node: &Node, key: &str) -> Vec<String> {
        let Some(value) = node.get(key) else {
            return Vec::new();
        };
        let mut texts = Vec::new();
        for element in value.elements() {
            match &element.kind {
                Kind::Text(text) => texts.push(text.clone()),
                Kind::Null => (),
                _ => self.wrong(element, format!("expected text, not {}", element.noun())),
            }
        }
        texts
    }

    /// One of a few names.
    fn choice<T: Copy, const N: usize>(
        &mut self,
        node: &Node,
        key: &str,
        all: [T; N],
        name: fn(T) -> &'static str,
        is_required: bool,
    ) -> Option<T> {
        let Some(value) = node.get(key) else {
            if is_required {
                self.missing(node, key);
            }
            return None;
        };
        let chosen = all.into_iter().find(|one| value.text() == Some(name(*one)));
        if chosen.is_none() {
            let names: Vec<&str> = all.into_iter().map(name).collect();
            let near = value
                .text()
                .and_then(|text| nearest(text, names.iter().copied()));
            let label = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("expected one of {}", names.join(", "));
            let mistake = Mistake::at(value.span.clone(), message);
            self.mistakes.push(mistake.label(label.unwrap_or_default()));
        }
        chosen
    }
}

/// The score of a rule that names none: below what opens an incident, whatever its level, because it was not written
/// with stolen tokens in mind.
fn default_score(level: Level) -> u32 {
    match level {
        Level::Informational => 0,
        Level::Low => 10,
        Level::Medium => 20,
        Level::High | Level::Critical => 40,
    }
}

/// `attack.t1550.001` is technique T1550.001; tactics and other tags are none.
fn techniques(tags: &[String]) -> Vec<Arc<str>> {
    let technique = |tag: &String| {
        let number = tag.strip_prefix("attack.t")?;
        let digits = number
            .bytes()
            .all(|byte| byte == b'.' || byte.is_ascii_digit());
        digits.then(|| Arc::from(format!("T{number}")))
    };
    tags.iter().filter_map(technique).collect()
}
