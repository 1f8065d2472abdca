//! Reading sections of the configuration without stopping at the first mistake.
//!
//! In: a TOML table with positions, and variables. Out: [`Section`]s, whose values are in `values`;
//! every mistake. The keys that were asked for are the keys there are: what is left over is
//! unknown.
//! Does not know: which sections and keys exist.

use super::Environment;
use crate::domain::mistake::{Mistake, nearest};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What all variables begin with.
const PREFIX: &str = "TOKENTRIP";

/// What is known to every section: where the file is, the variables, and the mistakes so far.
pub(super) struct Reader<'e> {
    folder: PathBuf,
    environment: &'e Environment,
    variables: RefCell<BTreeSet<String>>,
    mistakes: RefCell<Vec<Mistake>>,
}

/// One table of the configuration, which may be in the file, in variables, in both or in neither.
pub(super) struct Section<'r> {
    reader: &'r Reader<'r>,
    table: Option<&'r DeTable<'r>>,
    /// As mistakes name it: `[server]`; empty at the root.
    title: String,
    variable: String,
    span: Option<Range<usize>>,
    known: RefCell<Vec<&'static str>>,
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    File(Range<usize>),
    Variable(String),
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// A value as it was given, before anyone asked for its type.
pub(super) enum Raw<'r> {
    File(&'r Spanned<DeValue<'r>>),
    Variable(&'r str),
}

impl<'e> Reader<'e> {
    pub(super) fn new(folder: &Path, environment: &'e Environment) -> Self {
        Self {
            folder: folder.to_owned(),
            environment,
            variables: RefCell::default(),
            mistakes: RefCell::default(),
        }
    }

    pub(super) fn push(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    pub(super) fn is_clean(&self) -> bool {
        self.mistakes.borrow().is_empty()
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }

    pub(super) fn root<'r>(&'r self, table: &'r DeTable<'r>) -> Section<'r> {
        Section {
            reader: self,
            table: Some(table),
            title: String::new(),
            variable: PREFIX.to_owned(),
            span: None,
            known: RefCell::default(),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.borrow_mut().insert(name.to_owned());
        self.environment.get(name).map(String::as_str)
    }

    /// Complains about variables that are almost a key's. Others are left alone: Kubernetes gives
    /// every pod near a service called tokentrip a `TOKENTRIP_PORT` and its like.
    pub(super) fn variables_end(&self) {
        let known = self.variables.borrow();
        let ours = |name: &&String| name.starts_with(PREFIX) && !known.contains(*name);
        for name in self.environment.keys().filter(ours) {
            if let Some(meant) = nearest(name, known.iter().map(String::as_str)) {
                self.push(
                    Mistake::outside(format!("unknown variable `{name}`"))
                        .help(format!("did you mean `{meant}`?")),
                );
            }
        }
    }
}

impl<'r> Section<'r> {
    /// True when neither the file nor a variable says anything here.
    pub(super) fn is_absent(&self) -> bool {
        let under = format!("{}_", self.variable);
        self.table.is_none() && !any_under(self.reader.environment, &under)
    }

    /// The table of that name, empty when there is none.
    pub(super) fn section(&self, key: &'static str) -> Section<'r> {
        let found = self.entry(key);
        let table = found.and_then(|value| self.as_table(value, key));
        self.child(key, table, found.map(Spanned::span))
    }

    /// The tables of the list of that name, then those that only variables give.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'r>> {
        let found = self.entry(key);
        let list = found.map(|value| match value.get_ref() {
            DeValue::Array(list) => Some(list),
            _ => {
                self.wrong_type(value.span(), key, "a list", &format!("write `[[{key}]]`"));
                None
            }
        });
        let tables = list.flatten().map_or(&[][..], |list| list);
        let mut sections: Vec<_> = tables
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let mut child = self.child(
                    key,
                    self.as_table(value, key),
                    Some(header_of(value.span(), key)),
                );
                child.title = format!("[[{key}]]");
                child.variable = format!("{}_{index}", child.variable);
                child
            })
            .collect();
        loop {
            let mut child = self.child(key, None, None);
            child.title = format!("[[{key}]]");
            child.variable = format!("{}_{}", child.variable, sections.len());
            if child.is_absent() {
                return sections;
            }
            sections.push(child);
        }
    }

    /// The tables under names that the user chooses. A variable can name one whose name is in small
    /// letters.
    pub(super) fn named(&self, keys: &[&str]) -> Vec<(String, Section<'r>)> {
        let in_file = self.table.into_iter().flat_map(|table| table.iter());
        let mut sections: Vec<_> = in_file
            .map(|(name, value)| {
                let table = self.as_table(value, name.get_ref());
                let child = self.child(name.get_ref(), table, Some(name.span()));
                (name.get_ref().to_string(), child)
            })
            .collect();
        let under = format!("{}_", self.variable);
        for variable in self.reader.environment.keys() {
            let rest = variable.strip_prefix(&under);
            let name = rest.and_then(|rest| {
                keys.iter()
                    .find_map(|key| rest.strip_suffix(&format!("_{}", key.to_uppercase())))
            });
            let Some(name) = name.map(str::to_lowercase) else {
                continue;
            };
            if !sections.iter().any(|(known, _)| *known == name) {
                let child = self.child(&name, None, None);
                sections.push((name, child));
            }
        }
        sections
    }

    /// Every entry of the table in the file.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'r Spanned<DeString<'r>>, &'r Spanned<DeValue<'r>>)> {
        self.table.into_iter().flat_map(|table| table.iter())
    }

    fn child(
        &self,
        key: &str,
        table: Option<&'r DeTable<'r>>,
        span: Option<Range<usize>>,
    ) -> Section<'r> {
        let title = match self.title.trim_matches(['[', ']']) {
            "" => format!("[{key}]"),
            parent => format!("[{parent}.{key}]"),
        };
        Section {
            reader: self.reader,
            table,
            title,
            variable: format!("{}_{}", self.variable, key.to_uppercase()),
            span,
            known: RefCell::default(),
        }
    }

    fn as_table(&self, value: &'r Spanned<DeValue<'r>>, key: &str) -> Option<&'r DeTable<'r>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value.span(), key, "a table", &format!("write `[{key}]`"));
        }
        table
    }

    fn entry(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'r>>> {
        self.known.borrow_mut().push(key);
        self.table?.get(key)
    }

    pub(super) fn raw(&self, key: &'static str) -> Option<(Raw<'r>, Origin)> {
        let in_file = self.entry(key);
        let name = format!("{}_{}", self.variable, key.to_uppercase());
        if let Some(text) = self.reader.variable(&name) {
            return Some((Raw::Variable(text), Origin::Variable(name)));
        }
        in_file.map(|value| (Raw::File(value), Origin::File(value.span())))
    }

    /// Says that `key` is not there and has to be.
    pub(super) fn missing(&self, key: &str, example: &str) {
        let mistake = match &self.span {
            Some(span) => Mistake::at(span.clone(), format!("{} has no `{key}`", self.title)),
            None => Mistake::outside(format!("{} has no `{key}`", self.variable)),
        };
        self.reader
            .push(mistake.help(format!("add `{key} = {example}`")));
    }

    /// The path, from the folder of the file when it is relative.
    pub(super) fn located(&self, path: &str) -> PathBuf {
        self.reader.folder.join(path)
    }

    /// True when a variable that a key names as the place of a secret is set.
    pub(super) fn names_variable(&self, name: &str) -> bool {
        self.reader.variable(name).is_some()
    }

    /// Adds a mistake where the value stands.
    pub(super) fn mistake(&self, origin: &Origin, message: String, label: &str, help: &str) {
        let mistake = match origin {
            Origin::File(span) => Mistake::at(span.clone(), message).label(label),
            Origin::Variable(name) if label.is_empty() => {
                Mistake::outside(format!("variable `{name}`: {message}"))
            }
            Origin::Variable(name) => {
                Mistake::outside(format!("variable `{name}`: {message}, {label}"))
            }
        };
        self.reader.push(mistake.help(help));
    }

    fn wrong_type(&self, span: Range<usize>, key: &str, expected: &str, help: &str) {
        self.mistake(
            &Origin::File(span),
            format!("`{key}` must be {expected}"),
            "",
            help,
        );
    }

    /// True when one of the keys says something.
    pub(super) fn has_any(&self, keys: &[&'static str]) -> bool {
        keys.iter().any(|key| self.raw(key).is_some())
    }

    /// Complains about a key that must not be used, with the reason.
    pub(super) fn forbid(&self, key: &'static str, message: &str, help: &str) {
        let known = self.known.borrow().len();
        if let Some((_, origin)) = self.raw(key) {
            self.mistake(&origin, message.to_owned(), "", help);
        } else {
            // Not one to suggest for a misspelt key.
            self.known.borrow_mut().truncate(known);
        }
    }

    /// Complains about every key that nobody asked for.
    pub(super) fn end(&self) {
        let known = self.known.borrow();
        let keys = self.table.into_iter().flat_map(|table| table.keys());
        for key in keys.filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let message = match self.title.as_str() {
                "" => format!("unknown section `{name}`"),
                title => format!("unknown key `{name}` in {title}"),
            };
            let mistake = Mistake::at(key.span(), message);
            let mut sorted = known.clone();
            sorted.sort_unstable();
            self.reader
                .push(match nearest(name, sorted.iter().copied()) {
                    Some(meant) => mistake.label(format!("did you mean `{meant}`?")),
                    None => mistake.help(format!("known are {}", sorted.join(", "))),
                });
        }
    }
}

fn any_under(environment: &Environment, prefix: &str) -> bool {
    let mut from = environment.range(prefix.to_owned()..);
    from.next()
        .is_some_and(|(name, _)| name.starts_with(prefix))
}

/// The span of a table in a list can cover all of it; its header is enough to show which one is
/// meant.
fn header_of(span: Range<usize>, key: &str) -> Range<usize> {
    span.start..span.end.min(span.start + "[[]]".len() + key.len())
}
