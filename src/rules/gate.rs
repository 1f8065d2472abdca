//! The gate: what must be there before any rule needs to be asked.
//!
//! In: the tests of all rules. Out: [`Gate`], which says of a line whether a rule could hold.
//! Does not know: what the rules say. It lets too much through rather than too little.
//! Source: Aho and Corasick, "Efficient string matching", CACM 18(6), 1975.

use super::detection::{Expr, Subject, Test};
use super::matcher::{Compare, Matcher};
use crate::domain::event::AccessEvent;
use crate::domain::facts::{Fact, FactKind, FactSet, Facts};
use crate::domain::usage::Field;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

/// What a rule needs: it can hold only where one of these is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// One of these facts is there.
    pub(super) facts: FactSet,
    /// One of these stands in a text of the request; lower case.
    pub(super) literals: Vec<String>,
    /// The status is one of these.
    pub(super) statuses: Vec<u16>,
    /// Nothing: the rule must see every line.
    pub(super) always: bool,
}

impl Need {
    /// What an expression needs.
    pub(super) fn of(expr: &Expr) -> Self {
        match expr {
            Expr::All(parts) => parts
                .iter()
                .map(Self::of)
                .min_by_key(Self::cost)
                .unwrap_or_else(Self::always),
            Expr::Any(parts) => parts.iter().map(Self::of).fold(Self::default(), Self::or),
            Expr::Not(_) => Self::always(),
            Expr::Test(test) => Self::of_test(test),
        }
    }

    /// True when the rule looks at facts only and none of those it needs is there.
    pub(super) fn misses(&self, present: FactSet) -> bool {
        let facts_only = !self.always && self.literals.is_empty() && self.statuses.is_empty();
        facts_only && !self.facts.meets(present)
    }

    /// To be asked at every line.
    pub(super) fn always() -> Self {
        Self {
            always: true,
            ..Self::default()
        }
    }

    fn or(mut self, other: Self) -> Self {
        self.facts = self.facts.union(other.facts);
        self.literals.extend(other.literals);
        self.statuses.extend(other.statuses);
        self.always |= other.always;
        self
    }

    /// How many quiet lines it wakes, roughly: to choose among the parts that must all hold.
    fn cost(&self) -> usize {
        if self.always {
            return usize::MAX;
        }
        let facts = Fact::ALL.iter().filter(|fact| self.facts.contains(**fact));
        let facts: usize = facts.map(|fact| commonness(*fact)).sum();
        // A literal of four letters is rare in a request, a shorter one is not.
        let common = |literal: &String| if literal.len() < 4 { 500 } else { 2 };
        let literals: usize = self.literals.iter().map(common).sum();
        facts + literals + 100 * self.statuses.len()
    }

    fn of_test(test: &Test) -> Self {
        // Absence and falsehood can hold where nothing is.
        let needs_nothing = matches!(test.matcher, Matcher::Exists(false))
            || matches!(
                (&test.matcher, test.subject),
                (Matcher::Exists(_), Subject::Unknown)
            );
        match test.subject {
            _ if needs_nothing => Self::always(),
            // What is never there fits nothing but its absence.
            Subject::Unknown => Self::default(),
            Subject::Request => Self::of_text(test, true),
            Subject::Field(Field::Fact(fact)) => {
                let mut need = Self::default();
                need.facts.insert(fact);
                need
            }
            Subject::Field(Field::Status) => Self::of_status(&test.matcher),
            Subject::Field(field) => {
                let is_text = TEXTS.iter().any(|(text, _)| *text == field);
                Self::of_text(test, is_text || field == Field::Uri)
            }
        }
    }

    fn of_status(matcher: &Matcher) -> Self {
        match matcher {
            Matcher::Number(Compare::Equal, status) if (0.0..1000.0).contains(status) => Self {
                statuses: vec![*status as u16],
                ..Self::default()
            },
            _ => Self::always(),
        }
    }

    fn of_text(test: &Test, is_searched: bool) -> Self {
        let Matcher::Text(shape) = &test.matcher else {
            return Self::always();
        };
        let literal = shape.literal();
        // Path and query are searched apart, so what stands across the `?` is searched in its longer part.
        let longest = literal.split('?').max_by_key(|part| part.len());
        match longest {
            Some(part) if is_searched && !part.is_empty() => Self {
                literals: vec![part.to_owned()],
                ..Self::default()
            },
            _ => Self::always(),
        }
    }
}

/// How common a fact is on quiet lines: the engine leaves flags unset there, but numbers are measured on most.
fn commonness(fact: Fact) -> usize {
    match (fact, fact.kind()) {
        (Fact::UseAccepted | Fact::UseRefused, _) => 1000,
        (Fact::TokenLifetimeS | Fact::SubjectKnownDays | Fact::SubjectKnownSessions, _) => 1000,
        (Fact::SessionAgeS | Fact::SessionIdleS | Fact::SessionRequests, _) => 1000,
        (_, FactKind::Counter) => 200,
        (_, FactKind::Number) => 20,
        (_, FactKind::Flag) => 1,
    }
}

/// How to get a text of a request.
type TextOf = for<'e> fn(&'e AccessEvent<'_>) -> Option<&'e str>;

/// The texts of a request that are searched.
const TEXTS: [(Field, TextOf); 7] = [
    (Field::Path, |event| event.path.as_deref()),
    (Field::Extension, |_| None), // part of the path
    (Field::Query, |event| event.query.as_deref()),
    (Field::UserAgent, |event| event.user_agent.as_deref()),
    (Field::Referer, |event| event.referer.as_deref()),
    (Field::Host, |event| event.host.as_deref()),
    (Field::User, |event| event.user.as_deref()),
];

/// What wakes any rule at all.
#[derive(Clone, Debug)]
pub struct Gate {
    facts: FactSet,
    needs_every_use: bool,
    needs_every_line: bool,
    statuses: Vec<u16>,
    literals: Option<AhoCorasick>,
}

impl Gate {
    /// The gate before rules with these needs; `true` beside those that look at lines without a token too.
    ///
    /// # Errors
    /// When the literals of all rules together are too many for one automaton.
    pub(super) fn new<'n>(needs: impl Iterator<Item = (&'n Need, bool)>) -> Result<Self, String> {
        let mut all = Need::default();
        let mut gate = Self {
            facts: FactSet::default(),
            needs_every_use: false,
            needs_every_line: false,
            statuses: Vec::new(),
            literals: None,
        };
        for (need, is_about_lines) in needs {
            gate.needs_every_line |= need.always && is_about_lines;
            gate.needs_every_use |= need.always && !is_about_lines;
            all = all.or(need.clone());
        }
        gate.facts = all.facts;
        gate.statuses = all.statuses;
        gate.statuses.sort_unstable();
        gate.statuses.dedup();
        if !all.literals.is_empty() {
            all.literals.sort_unstable();
            all.literals.dedup();
            let automaton = AhoCorasickBuilder::new()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .build(&all.literals);
            gate.literals = Some(automaton.map_err(|error| error.to_string())?);
        }
        Ok(gate)
    }

    /// The facts that wake rules.
    pub fn facts(&self) -> FactSet {
        self.facts
    }

    /// True when something in the request itself could make a rule hold: a text that a rule names, a status, or a
    /// rule that must see every line.
    pub fn text_hit(&self, event: &AccessEvent<'_>) -> bool {
        self.needs_every_line
            || self.statuses.binary_search(&event.status).is_ok()
            || self.literals.as_ref().is_some_and(|literals| {
                let mut texts = TEXTS.iter().filter_map(|(_, text)| text(event));
                // Letters beyond ASCII can fold into it, which the automaton does not know.
                texts.any(|text| !text.is_ascii() || literals.is_match(text))
            })
    }

    /// True when a rule must see every use of a token, whatever its facts.
    pub fn sees_every_use(&self) -> bool {
        self.needs_every_use
    }

    /// True when a rule could hold for a token's use with these facts.
    pub fn wakes(&self, facts: &Facts, text_hit: bool) -> bool {
        text_hit || self.needs_every_use || facts.present().meets(self.facts)
    }
}
