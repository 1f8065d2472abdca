//! Tuning: what an installation changes about a rule without editing it.
//!
//! In: a [`Tuning`]. Out: the changed rule, or why it cannot be changed so.
//! Does not know: where it was written.

use super::detection::{Expr, Subject};
use super::matcher::Matcher;
use super::rule::{Rule, Status};
use crate::domain::finding::Level;
use crate::domain::mistake::nearest;
use crate::domain::usage::Field;
use std::collections::{BTreeMap, BTreeSet};

/// What is different about one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tuning {
    /// It does not judge at all.
    pub disable: bool,
    /// Its findings are shown and counted, and nothing follows from them.
    pub shadow: bool,
    /// Another level.
    pub level: Option<Level>,
    /// Other points.
    pub score: Option<u32>,
    /// Other numbers to compare fields with, by the field's name.
    pub thresholds: BTreeMap<String, f64>,
}

impl Rule {
    /// Changes the rule.
    pub(super) fn tune(&mut self, tuning: &Tuning) -> Result<(), String> {
        if tuning.disable {
            self.status = Status::Unsupported;
        }
        self.is_shadow |= tuning.shadow;
        self.level = tuning.level.unwrap_or(self.level);
        self.score = tuning.score.unwrap_or(self.score);
        for (name, limit) in &tuning.thresholds {
            let field = self.compared(name)?;
            self.detection.compare_with(field, *limit);
        }
        Ok(())
    }

    /// The field of that name, when the rule compares it with one number.
    fn compared(&self, name: &str) -> Result<Field, String> {
        let limits: Vec<(Field, f64)> = (self.detection.tests().into_iter())
            .filter_map(|test| match (test.subject, &test.matcher) {
                (Subject::Field(field), Matcher::Number(_, limit)) => Some((field, *limit)),
                _ => None,
            })
            .collect();
        let fields: BTreeSet<&str> = limits.iter().map(|(field, _)| field.name()).collect();
        let wanted = Field::of_name(name);
        let mut same = limits.iter().filter(|(field, _)| Some(*field) == wanted);
        let Some((field, first)) = same.next() else {
            let names: Vec<&str> = fields.iter().copied().collect();
            return Err(match nearest(name, names.iter().copied()) {
                Some(near) => format!("compares no `{name}`: did you mean `{near}`?"),
                None if names.is_empty() => "compares no numbers".to_owned(),
                None => format!("compares no `{name}`: it compares {}", names.join(", ")),
            });
        };
        match same.all(|(_, limit)| limit == first) {
            true => Ok(*field),
            false => Err(format!(
                "compares `{name}` with several numbers: put a changed copy of it into a folder of rules"
            )),
        }
    }
}

impl Expr {
    fn compare_with(&mut self, field: Field, limit: f64) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts
                    .iter_mut()
                    .for_each(|part| part.compare_with(field, limit));
            }
            Self::Not(part) => part.compare_with(field, limit),
            Self::Test(test) => {
                if let (Subject::Field(own), Matcher::Number(_, number)) =
                    (test.subject, &mut test.matcher)
                    && own == field
                {
                    *number = limit;
                }
            }
        }
    }
}
