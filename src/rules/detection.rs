//! The detection of a rule: what must be true of a view.
//!
//! In: the `detection:` map. Out: [`Expr`], or every mistake in it.
//! Does not know: what a rule is called or how bad it is.
//! Source: Sigma specification v2, "Detection",
//! <https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html#detection>.

use super::condition::{self, Condition};
use super::matcher::Matcher;
use super::modifier::{self, Modifiers};
use super::yaml::{Key, Kind, Node};
use crate::domain::facts::Fact;
use crate::domain::mistake::{Mistake, nearest};
use crate::domain::usage::{Field, Value, View};
use std::ops::Range;

/// SigmaHQ's largest rule has a tenth of these.
const SELECTIONS_MAX: usize = 200;

/// What must be true.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Test),
}

/// One test of one field.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) subject: Subject,
    pub(super) matcher: Matcher,
}

/// What a test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Field(Field),
    /// A field that no access log has: it is never there.
    Unknown,
    /// Keywords: any text of the request.
    Request,
}

/// The fields in which keywords are looked for: all that a client wrote into the request line and its headers.
pub(super) const REQUEST_FIELDS: [Field; 5] = [
    Field::Uri,
    Field::UserAgent,
    Field::Referer,
    Field::Host,
    Field::User,
];

impl Expr {
    /// True when the view is as the rule says.
    pub(super) fn holds(&self, view: &View<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(view)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(view)),
            Self::Not(part) => !part.holds(view),
            Self::Test(test) => test.holds(view),
        }
    }

    /// Every test, in the order of the rule.
    pub(super) fn tests(&self) -> Vec<&Test> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::tests).collect(),
            Self::Not(part) => part.tests(),
            Self::Test(test) => vec![test],
        }
    }
}

impl Test {
    fn holds(&self, view: &View<'_>) -> bool {
        let fits = |field: &Field| self.matcher.holds(&view.value(*field), view);
        match self.subject {
            Subject::Field(field) => fits(&field),
            Subject::Unknown => self.matcher.holds(&Value::Absent, view),
            Subject::Request => REQUEST_FIELDS.iter().any(fits),
        }
    }
}

/// What reading a detection found beside the detection itself.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) mistakes: Vec<Mistake>,
    /// Fields that no access log has, and where they stand.
    pub(super) unknown_fields: Vec<(String, Range<usize>)>,
}

/// Reads a detection. Mistakes and unknown fields go to `remarks`; with mistakes the result means nothing.
pub(super) fn compile(detection: &Node, remarks: &mut Remarks) -> Option<Expr> {
    let is_selection = |key: &Key| !matches!(key.name.as_str(), "condition" | "timeframe");
    let selections: Vec<&(Key, Node)> = detection
        .entries()
        .iter()
        .filter(|(key, _)| is_selection(key))
        .collect();
    if selections.is_empty() || selections.len() > SELECTIONS_MAX {
        let message = format!("a detection has 1 to {SELECTIONS_MAX} selections");
        remarks
            .mistakes
            .push(Mistake::at(detection.span.clone(), message));
        return None;
    }
    if let Some(timeframe) = detection.get("timeframe") {
        let message = "`timeframe` left Sigma with version 2: write a correlation document instead";
        remarks
            .mistakes
            .push(Mistake::at(timeframe.span.clone(), message));
    }
    let mut compiled = Vec::with_capacity(selections.len());
    for (_, node) in &selections {
        compiled.push(selection(node, remarks));
    }
    let Some(condition) = detection.get("condition") else {
        let message = "the detection has no `condition`";
        remarks
            .mistakes
            .push(Mistake::at(detection.span.clone(), message));
        return None;
    };
    let names: Vec<&str> = selections
        .iter()
        .map(|(key, _)| key.name.as_str())
        .collect();
    let mut conditions = Vec::new();
    for node in condition.elements() {
        match conditioned(node, &names) {
            Ok(condition) => conditions.push(expr(&condition, &compiled)),
            Err(mistake) => remarks.mistakes.push(mistake),
        }
    }
    Some(joined(conditions, Expr::Any))
}

fn conditioned(node: &Node, names: &[&str]) -> Result<Condition, Mistake> {
    let Some(text) = node.text() else {
        let message = format!("expected a condition, not {}", node.noun());
        return Err(Mistake::at(node.span.clone(), message));
    };
    condition::parse(text, names).map_err(|wrong| {
        // A condition of several lines is shown whole: its text is no longer what stands in the file.
        let start = (node.span.start + wrong.at).min(node.span.end);
        let span = match node.span.len() == text.len() {
            true => start..(start + wrong.length.max(1)).min(node.span.end),
            false => node.span.clone(),
        };
        let known = wrong
            .name
            .and_then(|name| nearest(&name, names.iter().copied()));
        let label = known.map(|name| format!("did you mean `{name}`?"));
        Mistake::at(span, wrong.message).label(label.unwrap_or_default())
    })
}

fn expr(condition: &Condition, selections: &[Expr]) -> Expr {
    let all = |parts: &[Condition]| parts.iter().map(|part| expr(part, selections)).collect();
    match condition {
        Condition::All(parts) => Expr::All(all(parts)),
        Condition::Any(parts) => Expr::Any(all(parts)),
        Condition::Not(part) => Expr::Not(Box::new(expr(part, selections))),
        Condition::Selection(index) => selections[*index].clone(),
    }
}

/// A map holds when all of its entries do, a list when any of its elements does.
fn selection(node: &Node, remarks: &mut Remarks) -> Expr {
    match &node.kind {
        Kind::Map(entries) => {
            let parts = entries
                .iter()
                .map(|(key, value)| entry(key, value, remarks));
            joined(parts.collect(), Expr::All)
        }
        Kind::List(elements) => {
            let parts = elements.iter().map(|element| match element.kind {
                Kind::List(_) => wrong(element, "a list in a list has no meaning", remarks),
                _ => selection(element, remarks),
            });
            joined(parts.collect(), Expr::Any)
        }
        Kind::Null => wrong(node, "the selection is empty", remarks),
        _ => keyword(node, remarks),
    }
}

fn keyword(node: &Node, remarks: &mut Remarks) -> Expr {
    let contains = Modifiers::parse(["contains"].into_iter());
    match contains.and_then(|contains| values(Subject::Request, &contains, node)) {
        Ok(expr) => expr,
        Err(message) => wrong(node, &message, remarks),
    }
}

fn entry(key: &Key, value: &Node, remarks: &mut Remarks) -> Expr {
    let mut parts = key.name.split('|');
    let name = parts.next().unwrap_or_default();
    let subject = subject(name, key, remarks);
    // Keywords are found inside: `'|all': [...]` is a list of keywords that must all be there.
    let found_inside = (subject == Subject::Request).then_some("contains");
    let modifiers = match Modifiers::parse(found_inside.into_iter().chain(parts)) {
        Ok(modifiers) => modifiers,
        Err(message) => {
            remarks.mistakes.push(modifier_mistake(key, message));
            return Expr::Any(Vec::new());
        }
    };
    let compiled = if modifiers.is_reference {
        reference(subject, &modifiers, value, remarks)
    } else {
        all_values(subject, &modifiers, value)
    };
    match compiled {
        Ok(expr) if modifiers.negated => Expr::Not(Box::new(expr)),
        Ok(expr) => expr,
        Err((node, message)) => wrong(node, &message, remarks),
    }
}

fn subject(name: &str, key: &Key, remarks: &mut Remarks) -> Subject {
    if name.is_empty() {
        return Subject::Request;
    }
    if let Some(field) = Field::of_name(name) {
        return Subject::Field(field);
    }
    let place = key_part(key, name);
    remarks.unknown_fields.push((name.to_owned(), place));
    Subject::Unknown
}

/// Where a part of a key stands; the whole key when it is quoted and cannot be told.
fn key_part(key: &Key, part: &str) -> Range<usize> {
    match key.name.find(part) {
        Some(at) if key.span.len() == key.name.len() => {
            key.span.start + at..key.span.start + at + part.len()
        }
        _ => key.span.clone(),
    }
}

fn modifier_mistake(key: &Key, message: String) -> Mistake {
    let named = message.split('`').nth(1).unwrap_or_default().to_owned();
    let known = nearest(&named, modifier::NAMES.iter().copied());
    let label = known.filter(|known| *known != named);
    let label = label.map(|name| format!("did you mean `{name}`?"));
    Mistake::at(key_part(key, &named), message).label(label.unwrap_or_default())
}

type Compiled<'n> = Result<Expr, (&'n Node, String)>;

fn all_values<'n>(subject: Subject, modifiers: &Modifiers, value: &'n Node) -> Compiled<'n> {
    let elements = value.elements();
    if elements.is_empty() {
        return Err((value, "the list is empty".into()));
    }
    let mut parts = Vec::with_capacity(elements.len());
    for element in elements {
        let part = values(subject, modifiers, element);
        parts.push(part.map_err(|message| (element, message))?);
    }
    let join = if modifiers.all { Expr::All } else { Expr::Any };
    Ok(joined(parts, join))
}

fn values(subject: Subject, modifiers: &Modifiers, value: &Node) -> Result<Expr, String> {
    let matchers = modifiers.matchers(value)?;
    let test = |matcher| Expr::Test(Test { subject, matcher });
    Ok(joined(matchers.into_iter().map(test).collect(), Expr::Any))
}

fn reference<'n>(
    subject: Subject,
    modifiers: &Modifiers,
    value: &'n Node,
    remarks: &mut Remarks,
) -> Compiled<'n> {
    let Some(name) = value.text() else {
        return Err((
            value,
            format!("expected a field's name, not {}", value.noun()),
        ));
    };
    let field = Field::of_name(name);
    if field.is_none() {
        remarks
            .unknown_fields
            .push((name.to_owned(), value.span.clone()));
    }
    let matcher = modifiers.reference(field);
    Ok(Expr::Test(Test { subject, matcher }))
}

/// Notes a mistake and gives an expression that never holds.
fn wrong(node: &Node, message: &str, remarks: &mut Remarks) -> Expr {
    remarks
        .mistakes
        .push(Mistake::at(node.span.clone(), message));
    Expr::Any(Vec::new())
}

fn joined(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

/// Every name a rule may use for a field.
pub(super) fn field_names() -> impl Iterator<Item = &'static str> {
    let plain = Field::PLAIN.iter().copied();
    let facts = Fact::ALL.iter().map(|fact| Field::Fact(*fact));
    plain
        .chain(facts)
        .flat_map(|field| std::iter::once(field.name()).chain(field.aliases().iter().copied()))
}
