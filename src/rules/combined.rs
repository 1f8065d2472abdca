//! From correlation and filter documents to what they say, and from rules apart to rules together.
//!
//! In: one YAML document; all rules that were read. Out: [`Correlation`]s joined to the rules they name, filters
//! added to the rules they narrow, or every mistake.
//! Does not know: how hits are kept.
//! Source: Sigma correlation rules specification v2.1; Sigma filters specification v2.1,
//! <https://sigmahq.io/sigma-specification/specification/sigma-filters-specification.html>.

use super::correlation::{Correlation, HITS_MAX, Kind, Part, TIMESPAN_MS_MAX};
use super::detection::{self, Expr, Remarks};
use super::gate::Need;
use super::matcher::Compare;
use super::rule::{Rule, Service};
use super::yaml::{Kind as Yaml, Node};
use crate::domain::mistake::{Mistake, nearest};
use crate::domain::usage::Field;
use std::ops::Range;
use std::sync::Arc;

/// The kinds of correlation, as documents name them.
const KINDS: [(&str, Kind); 4] = [
    ("event_count", Kind::EventCount),
    ("value_count", Kind::ValueCount),
    ("temporal", Kind::Temporal),
    ("temporal_ordered", Kind::TemporalOrdered),
];

const COMPARISONS: [(&str, Compare); 5] = [
    ("lt", Compare::Less),
    ("lte", Compare::LessOrEqual),
    ("eq", Compare::Equal),
    ("gte", Compare::GreaterOrEqual),
    ("gt", Compare::Greater),
];

/// Rules that one correlation can name: SigmaHQ's name two or three.
const PARTS_MAX: usize = 64;

/// Narrows rules: it is joined to each by *and*.
#[derive(Debug)]
pub(super) struct Filter {
    /// The rules, by name or id; `None` for all of its log source.
    pub(super) rules: Option<Vec<(String, Range<usize>)>>,
    pub(super) service: Service,
    pub(super) expr: Expr,
}

/// Reads a `correlation:` map.
pub(super) fn correlation(node: &Node, mistakes: &mut Vec<Mistake>) -> Option<Correlation> {
    let before = mistakes.len();
    let kind = word(node, "type", &KINDS, mistakes);
    let parts = parts(node, mistakes);
    let timespan_ms = timespan(node, mistakes);
    let (conditions, counted) = conditions(node, kind, mistakes);
    let generate = matches!(
        node.get("generate").map(|generate| &generate.kind),
        Some(Yaml::Bool(true))
    );
    let counted = counted.as_deref().map(Field::of_name);
    let parts = parts.into_iter().map(|part| Part {
        counted: counted.flatten(),
        ..part
    });
    let correlation = Correlation {
        kind: kind?,
        parts: parts.collect(),
        timespan_ms: timespan_ms?,
        conditions,
        generate,
    };
    (mistakes.len() == before).then_some(correlation)
}

fn parts(node: &Node, mistakes: &mut Vec<Mistake>) -> Vec<Part> {
    let rules = node.get("rules").map(Node::elements).unwrap_or_default();
    if rules.is_empty() || rules.len() > PARTS_MAX {
        let message = format!("a correlation names 1 to {PARTS_MAX} `rules`");
        mistakes.push(Mistake::at(node.span.clone(), message));
    }
    let groups = node.get("group-by").map(Node::elements).unwrap_or_default();
    let mut parts = Vec::new();
    for rule in rules {
        let Some(named) = rule.text() else {
            mistakes.push(expected(rule, "a rule's name or id"));
            continue;
        };
        let mut group_by = Vec::new();
        for group in groups {
            match group.text() {
                Some(name) => group_by.push(Field::of_name(aliased(node, name, named))),
                None => mistakes.push(expected(group, "a field's name")),
            }
        }
        parts.push(Part {
            named: named.into(),
            group_by,
            counted: None,
        });
    }
    parts
}

/// What a rule's own events call a field that the correlation groups by.
fn aliased<'n>(node: &'n Node, name: &'n str, rule: &str) -> &'n str {
    let alias = node.get("aliases").and_then(|aliases| aliases.get(name));
    let field = alias.and_then(|alias| alias.get(rule)).and_then(Node::text);
    field.unwrap_or(name)
}

/// `90s`, `10m`, `1h`, `7d`, in milliseconds.
fn timespan(node: &Node, mistakes: &mut Vec<Mistake>) -> Option<i64> {
    let Some(value) = node.get("timespan") else {
        mistakes.push(Mistake::at(node.span.clone(), "it has no `timespan`"));
        return None;
    };
    let read = || {
        let text = value.text()?;
        let unit = text.chars().last()?;
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        let unit_ms = match unit {
            's' => 1000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            'w' => 7 * 86_400_000,
            'M' => 30 * 86_400_000,
            _ => return None,
        };
        let ms = number.checked_mul(unit_ms)?;
        (1..=TIMESPAN_MS_MAX).contains(&ms).then_some(ms)
    };
    let ms = read();
    if ms.is_none() {
        let mistake = Mistake::at(value.span.clone(), "expected a time span of up to 31 days");
        mistakes.push(mistake.help("write it as `90s`, `10m`, `1h` or `7d`"));
    }
    ms
}

/// What is asked of the count, and the field that `value_count` counts.
fn conditions(
    node: &Node,
    kind: Option<Kind>,
    mistakes: &mut Vec<Mistake>,
) -> (Vec<(Compare, f64)>, Option<String>) {
    let counts = matches!(kind, Some(Kind::EventCount | Kind::ValueCount));
    let Some(condition) = node.get("condition") else {
        if counts {
            mistakes.push(Mistake::at(node.span.clone(), "it has no `condition`"));
        }
        return (Vec::new(), None);
    };
    let mut read = Vec::new();
    for (key, value) in condition.entries() {
        if key.name == "field" {
            continue;
        }
        let known = COMPARISONS.iter().find(|(name, _)| *name == key.name);
        match (known, &value.kind) {
            (Some((_, compare)), Yaml::Number(limit))
                if (0.0..=HITS_MAX as f64).contains(limit) =>
            {
                read.push((*compare, *limit));
            }
            (Some((name, _)), _) => {
                let message = format!("`{name}` takes a number from 0 to {HITS_MAX}");
                mistakes.push(Mistake::at(value.span.clone(), message));
            }
            (None, _) => {
                let message = format!("unknown comparison `{}`", key.name);
                let mistake = Mistake::at(key.span.clone(), message);
                mistakes.push(mistake.help("`lt`, `lte`, `eq`, `gte` or `gt`"));
            }
        }
    }
    let others = condition.entries().iter();
    if others.filter(|(key, _)| key.name != "field").count() == 0 {
        let message = "the `condition` compares nothing: write a comparison, as `gte: 10`";
        mistakes.push(Mistake::at(condition.span.clone(), message));
    }
    let field = condition.get("field").and_then(Node::text);
    if kind == Some(Kind::ValueCount) && field.is_none() {
        let message = "`value_count` needs the `field` whose values it counts";
        mistakes.push(Mistake::at(condition.span.clone(), message));
    }
    (read, field.map(str::to_owned))
}

/// Reads a `filter:` map.
pub(super) fn filter(node: &Node, service: Service, remarks: &mut Remarks) -> Option<Filter> {
    let rules = match node.get("rules") {
        None => {
            let message = "a filter names the `rules` it narrows, or `any`";
            remarks
                .mistakes
                .push(Mistake::at(node.span.clone(), message));
            return None;
        }
        Some(rules) if rules.text() == Some("any") => None,
        Some(rules) => {
            let named = rules.elements().iter();
            let named = named.filter_map(|rule| Some((rule.text()?.to_owned(), rule.span.clone())));
            Some(named.collect())
        }
    };
    let own = Node {
        span: node.span.clone(),
        kind: Yaml::Map(
            node.entries()
                .iter()
                .filter(|(key, _)| key.name != "rules")
                .cloned()
                .collect(),
        ),
    };
    let expr = detection::compile(&own, remarks)?;
    Some(Filter {
        rules,
        service,
        expr,
    })
}

/// Narrows the rules that a filter names. Gives the names that are no rule's, to say so.
pub(super) fn narrow(rules: &mut [Rule], filter: &Filter) -> Vec<(String, Range<usize>)> {
    let mut unknown = filter.rules.clone().unwrap_or_default();
    for rule in rules.iter_mut() {
        let named = match &filter.rules {
            None => rule.service == filter.service && rule.correlation.is_none(),
            Some(names) => names.iter().any(|(name, _)| rule.answers_to(name)),
        };
        if !named {
            continue;
        }
        unknown.retain(|(name, _)| !rule.answers_to(name));
        rule.detection = Expr::All(vec![rule.detection.clone(), filter.expr.clone()]);
        rule.need = Need::of(&rule.detection);
    }
    unknown
}

/// Joins a correlation to the rules it names: each learns whom it feeds.
///
/// # Errors
/// The first name that is no rule's, or that leads back to the correlation itself.
pub(super) fn join(rules: &mut [Rule], index: usize) -> Result<(), (String, Option<String>)> {
    let Some(correlation) = rules.get(index).and_then(|rule| rule.correlation.clone()) else {
        return Ok(());
    };
    for (part, named) in correlation.parts.iter().enumerate() {
        let found = rules.iter().position(|rule| rule.answers_to(&named.named));
        let Some(found) = found else {
            let near = nearest(&named.named, rules.iter().map(|rule| &*rule.name));
            let near = near.map(str::to_owned);
            return Err((format!("no rule is called `{}`", named.named), near));
        };
        if found == index || feeds(rules, index, found) {
            return Err((format!("`{}` correlates itself", named.named), None));
        }
        rules[found].feeds.push((index, part));
        rules[found].is_part = true;
        rules[found].speaks |= correlation.generate;
    }
    Ok(())
}

/// True when hits of `from` come, over others, to `to`.
fn feeds(rules: &[Rule], from: usize, to: usize) -> bool {
    let mut seen = vec![false; rules.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            open.extend(rules[at].feeds.iter().map(|(next, _)| *next));
        }
    }
    false
}

fn word<T: Copy>(
    node: &Node,
    key: &str,
    words: &[(&str, T)],
    mistakes: &mut Vec<Mistake>,
) -> Option<T> {
    let value = node.get(key).unwrap_or(node);
    let text = node.get(key).and_then(Node::text);
    let found = words.iter().find(|(word, _)| Some(*word) == text);
    if found.is_none() {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{key}` is one of {}", names.join(", "));
        let near = text.and_then(|text| nearest(text, names.iter().copied()));
        let label = near.map(|near| format!("did you mean `{near}`?"));
        let mistake = Mistake::at(value.span.clone(), message);
        mistakes.push(mistake.label(label.unwrap_or_default()));
    }
    found.map(|(_, meaning)| *meaning)
}

fn expected(node: &Node, what: &str) -> Mistake {
    let message = format!("expected {what}, not {}", node.noun());
    Mistake::at(node.span.clone(), message)
}

/// The log sources of the rules that a correlation names: uses of tokens when one of them is.
pub(super) fn service_of(rules: &[Rule], correlation: &Correlation) -> Service {
    let named = |part: &Part| rules.iter().find(|rule| rule.answers_to(&part.named));
    let services = correlation.parts.iter().filter_map(named);
    match services
        .map(|rule| rule.service)
        .any(|service| service == Service::TokenUse)
    {
        true => Service::TokenUse,
        false => Service::Webserver,
    }
}

impl Rule {
    /// True for its name (that of its file, or the one it gives itself) and its id.
    fn answers_to(&self, name: &str) -> bool {
        *self.name == *name
            || (!name.is_empty() && *self.id == *name)
            || self.alias.as_deref() == Some(name)
    }
}

impl Correlation {
    /// The rules whose hits count, as the document names them.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<str>> {
        self.parts.iter().map(|part| &part.named)
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::RuleSet;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_mistake_in_a_correlation_or_a_filter_is_told_with_its_place() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules");
        let text = fs::read_to_string(folder.join("combined-mistakes.yml")).unwrap();
        let faults = RuleSet::load(&[("rules/combined.yml".to_owned(), text)]).unwrap_err();
        let shown: String = faults.iter().map(ToString::to_string).collect();
        let expected = folder.join("combined-mistakes.txt");
        if std::env::var_os("TOKENTRIP_BLESS").is_some() {
            fs::write(&expected, &shown).unwrap();
        }
        assert_eq!(shown, fs::read_to_string(expected).unwrap());
    }
}
