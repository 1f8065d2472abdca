//! CORE: Sigma documents, compiled, and the gate in front of them.
//!
//! In: the text of rule files; a [`View`]. Out: [`RuleSet`], and the [`Rule`]s that hold.
//! Does not know: files, how facts are measured, what becomes of a finding.
//! Source: Sigma specification v2, <https://sigmahq.io/sigma-specification/>.

mod combined;
mod condition;
mod correlation;
mod detection;
mod document;
mod embedded;
mod exception;
mod gate;
mod matcher;
mod modifier;
mod moment;
mod names;
mod rule;
mod says;
pub mod test_log;
mod tuning;
mod yaml;

pub use correlation::{Correlation, Hit, Seen, add as add_hit};
pub use embedded::ALL;
pub use exception::{Exception, Net, Parties, Times};
pub use gate::Gate;
pub use rule::{Response, Rule, RuleTest, Service, Status, Step4, TestKeys};
pub use tuning::Tuning;

use crate::domain::facts::{Fact, FactKind};
use crate::domain::mistake::{Mistake, render};
use crate::domain::usage::View;
use combined::Filter;
use document::{Document, Reader};
use gate::Need;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// All rules of SigmaHQ for web logs are a few dozen; a set this large is a mistaken folder.
const RULES_MAX: usize = 2000;

/// Rules, ready to judge. Replaced whole when rules change.
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    notes: Vec<Note>,
    gate: Gate,
    /// By fact: the fast path asks at every line.
    thresholds: Vec<Vec<f64>>,
    exceptions: Vec<Exception>,
}

/// The mistakes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The file's name.
    pub file: String,
    /// What is wrong with it.
    pub mistakes: Vec<Mistake>,
    text: String,
}

/// Each with line, excerpt and advice.
impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(&self.mistakes, &self.file, &self.text))
    }
}

/// Something about a file that is worth knowing and is no mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "note: {}:{}: {}", self.file, self.line, self.message)
    }
}

impl RuleSet {
    /// The rules that come with the program.
    ///
    /// # Errors
    /// When one of them is wrong, which a test of the program excludes.
    pub fn embedded() -> Result<Self, Vec<RuleFault>> {
        let document = |(name, text): &(&str, &str)| (format!("rules/{name}.yml"), (*text).into());
        Self::load(&ALL.iter().map(document).collect::<Vec<_>>())
    }

    /// The same without their own tests, which are two thirds of their text: for who judges lines.
    ///
    /// # Errors
    /// As [`Self::embedded`].
    pub fn embedded_without_tests() -> Result<Self, Vec<RuleFault>> {
        let document = |(name, text): &(&str, &str)| {
            // They stand last in each, as a test says.
            let text = text
                .split_once("\n    tests:\n")
                .map_or(*text, |(judged, _)| judged);
            (format!("rules/{name}.yml"), text.to_owned())
        };
        Self::load(&ALL.iter().map(document).collect::<Vec<_>>())
    }

    /// The rules of these files, each given by name and text. A file may hold several documents.
    ///
    /// # Errors
    /// Every mistake of every file.
    pub fn load(files: &[(String, String)]) -> Result<Self, Vec<RuleFault>> {
        let mut loading = Loading::default();
        for (file, text) in files {
            loading.file(file, text);
        }
        loading.combine();
        let gate = loading.gate();
        match gate {
            Some(gate) if loading.faults.is_empty() => {
                let thresholds = thresholds(&loading.rules);
                Ok(Self {
                    rules: loading.rules,
                    notes: loading.notes,
                    gate,
                    thresholds,
                    exceptions: Vec::new(),
                })
            }
            _ => Err(loading.faults),
        }
    }

    /// Every rule, in the order of the files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of that name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| &*rule.name == name)
    }

    /// Changes a rule as the installation wishes.
    ///
    /// # Errors
    /// Why it cannot be changed so, in words that follow the rule's name; `None` when there is no rule of that name.
    pub fn tune(&mut self, name: &str, tuning: &Tuning) -> Result<(), Option<String>> {
        let rule = self.rules.iter_mut().find(|rule| &*rule.name == name);
        rule.ok_or(None)?.tune(tuning).map_err(Some)?;
        self.thresholds = thresholds(&self.rules);
        Ok(())
    }

    /// What the installation knows about its own, in place of what was known before.
    pub fn except(&mut self, exceptions: Vec<Exception>) {
        self.exceptions = exceptions;
    }

    /// The first exception that explains a rule's finding.
    pub fn explained(
        &self,
        rule: &Rule,
        view: &View<'_>,
        parties: Parties<'_>,
    ) -> Option<&Exception> {
        let mut exceptions = self.exceptions.iter();
        exceptions.find(|exception| exception.explains(rule, view, parties))
    }

    /// What is worth knowing about the files and is no mistake.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What must be there before [`Self::judge`] needs to be asked.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The numbers that rules compare a counter with, lowest first: rules change their answer only where it
    /// reaches one of them.
    pub fn thresholds(&self, counter: Fact) -> &[f64] {
        self.thresholds
            .get(counter as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// Adds to `hits` the rules that hold for a view, in the order of the files.
    pub fn judge<'r>(&'r self, view: &View<'_>, hits: &mut Vec<&'r Rule>) {
        let present = view.facts.present();
        let holds =
            |rule: &&Rule| rule.is_judged() && !rule.need.misses(present) && rule.holds(view);
        hits.extend(self.rules.iter().filter(holds));
    }
}

fn thresholds(rules: &[Rule]) -> Vec<Vec<f64>> {
    let of = |fact: &Fact| {
        if fact.kind() != FactKind::Counter {
            return Vec::new();
        }
        let all = rules.iter().flat_map(|rule| rule.thresholds(*fact));
        let mut all: Vec<f64> = all.collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    };
    Fact::ALL.iter().map(of).collect()
}

/// What was read so far.
#[derive(Default)]
struct Loading {
    rules: Vec<Rule>,
    notes: Vec<Note>,
    faults: Vec<RuleFault>,
    ids: BTreeMap<Arc<str>, String>,
    /// Where each correlation and each filter stands: they are joined to rules when all files were read.
    correlations: Vec<(usize, Place)>,
    filters: Vec<(Filter, Place)>,
}

/// Where a document stands.
#[derive(Clone)]
struct Place {
    file: String,
    text: String,
    span: Range<usize>,
}

impl Place {
    fn line(&self, at: usize) -> usize {
        let before = self.text.bytes().take(at);
        1 + before.filter(|byte| *byte == b'\n').count()
    }
}

impl Loading {
    fn file(&mut self, file: &str, text: &str) {
        let mut reader = Reader::default();
        match yaml::parse(text) {
            Ok(documents) if documents.is_empty() => {
                reader
                    .mistakes
                    .push(Mistake::outside(format!("{file} holds no rule")));
            }
            Ok(documents) => self.documents((file, text), &documents, &mut reader),
            Err(mistake) => reader.mistakes.push(mistake),
        }
        let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        self.notes
            .extend(reader.notes.into_iter().map(|(span, message)| Note {
                file: file.to_owned(),
                line: line(span.start),
                message,
            }));
        if !reader.mistakes.is_empty() {
            self.faults.push(RuleFault {
                file: file.to_owned(),
                mistakes: reader.mistakes,
                text: text.to_owned(),
            });
        }
    }

    fn documents(&mut self, (file, text): (&str, &str), nodes: &[yaml::Node], reader: &mut Reader) {
        let stem = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
        for (index, node) in nodes.iter().enumerate() {
            let name = match index {
                0 => stem.to_owned(),
                _ => format!("{stem}-{}", index + 1),
            };
            let place = || Place {
                file: file.to_owned(),
                text: text.to_owned(),
                span: node.span.clone(),
            };
            match reader.read(node, &name) {
                Some(Document::Rule(rule)) => {
                    if rule.correlation.is_some() {
                        self.correlations.push((self.rules.len(), place()));
                    }
                    self.add(*rule, file, node, reader);
                }
                Some(Document::Filter(filter)) => self.filters.push((filter, place())),
                Some(Document::Unjudged(why)) => reader.notes.push((node.span.clone(), why.into())),
                None => (),
            }
        }
    }

    fn add(&mut self, rule: Rule, file: &str, node: &yaml::Node, reader: &mut Reader) {
        if !rule.is_judged() {
            let status = "its status says that it is out of use: not judged";
            reader.notes.push((node.span.clone(), status.into()));
        }
        let twice = self.rules.iter().any(|other| other.name == rule.name);
        if twice {
            let message = format!("two rules are called `{}`", rule.name);
            reader
                .mistakes
                .push(Mistake::at(node.span.clone(), message));
        }
        if let Some(first) = self.ids.get(&rule.id).filter(|_| !rule.id.is_empty()) {
            let place = node.get("id").unwrap_or(node).span.clone();
            let message = format!("{first} has the same id");
            reader.mistakes.push(Mistake::at(place, message));
        }
        self.ids.insert(rule.id.clone(), file.to_owned());
        if self.rules.len() == RULES_MAX {
            let message = format!("more than {RULES_MAX} rules");
            reader
                .mistakes
                .push(Mistake::at(node.span.clone(), message));
            return;
        }
        self.rules.push(rule);
    }

    /// Joins correlations and filters to the rules they name.
    fn combine(&mut self) {
        for (filter, place) in std::mem::take(&mut self.filters) {
            for (name, span) in combined::narrow(&mut self.rules, &filter) {
                self.notes.push(Note {
                    line: place.line(span.start),
                    file: place.file.clone(),
                    message: format!(
                        "no rule is called `{name}`: the filter narrows nothing there"
                    ),
                });
            }
        }
        for (index, place) in std::mem::take(&mut self.correlations) {
            if let Err((message, near)) = combined::join(&mut self.rules, index) {
                let label = near.map(|near| format!("did you mean `{near}`?"));
                let mistake = Mistake::at(place.span, message).label(label.unwrap_or_default());
                self.faults.push(RuleFault {
                    file: place.file,
                    mistakes: vec![mistake],
                    text: place.text,
                });
                continue;
            }
            let rule = &self.rules[index];
            let named = rule.correlation.as_ref();
            let service = named.map(|named| combined::service_of(&self.rules, named));
            self.rules[index].service = service.unwrap_or(rule.service);
        }
    }

    fn gate(&mut self) -> Option<Gate> {
        let every = Need::always();
        let judged = self.rules.iter().filter(|rule| rule.is_judged());
        let needs = judged.map(|rule| {
            // What is counted must be seen each time, also where nothing else about it is new.
            let counted = rule.is_part && rule.service == Service::TokenUse;
            let need = if counted { &every } else { &rule.need };
            (need, rule.service == Service::Webserver)
        });
        match Gate::new(needs) {
            Ok(gate) => Some(gate),
            Err(message) => {
                self.faults.push(RuleFault {
                    file: "all files together".into(),
                    mistakes: vec![Mistake::outside(message)],
                    text: String::new(),
                });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
