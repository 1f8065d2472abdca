//! A vendor's file, checked: its keys, how it knows its callers, and the calls of each step.
//!
//! In: TOML. Out: [`Vendor`], or every [`Mistake`] in it. What a file can say is in `providers/README.md`.
//! Does not know: who calls, with which values.

use super::credential::{Body, Credential};
use super::document::Document;
use super::reader::Reader;
use super::template::{Address, Pointer, Template};
use crate::domain::mistake::Mistake;
use crate::outbound::options::{Key, Takes, interned};
use reqwest::Method;
use reqwest::header::HeaderName;
use std::collections::BTreeMap;

/// A vendor's file, ready to be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Vendor {
    /// Its name for people.
    pub title: String,
    /// Where its calls are documented.
    pub page: String,
    /// What a `[[provider]]` of it is given.
    pub(super) keys: Vec<VendorKey>,
    pub(super) credentials: BTreeMap<String, Credential>,
    pub(super) answers: Vec<Rule>,
    pub(super) operations: BTreeMap<(&'static str, &'static str), Operation>,
}

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VendorKey {
    pub(super) name: &'static str,
    pub(super) takes: KeyKind,
    pub(super) example: String,
    /// What it is unless it is given.
    pub(super) default: Option<Template>,
    pub(super) optional: bool,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyKind {
    Text,
    Url,
    Secret,
}

/// The calls of one step on one kind of target, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    pub(super) calls: Vec<Call>,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) address: Address,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) body: Body,
    pub(super) done: Vec<u16>,
    pub(super) already_done: Vec<u16>,
    pub(super) already_done_if: Option<Pointer>,
    pub(super) answers: Vec<Rule>,
    pub(super) keep: Vec<(String, Pointer)>,
    /// What it does, for people, where the address does not say it.
    pub(super) says: Option<Template>,
    pub(super) each: Option<String>,
    pub(super) at_most_once: bool,
    pub(super) sessions: Option<Pointer>,
    pub(super) credential: Option<String>,
}

/// What an answer means that its status alone does not tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) status: u16,
    pub(super) at: Option<Pointer>,
    pub(super) holds: String,
    pub(super) means: Meaning,
    pub(super) why: Option<String>,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Meaning {
    Done,
    AlreadyDone,
    Retry,
    Failed,
    Impossible,
}

impl Operation {
    /// True when doing it twice is as good as once.
    pub(super) fn repeatable(&self) -> bool {
        !self.calls.iter().any(|call| call.at_most_once)
    }

    /// True when one of its calls sends this value.
    pub(super) fn sends(&self, value: &str) -> bool {
        let mut names = self.calls.iter().flat_map(Call::names);
        names.any(|name| name == value)
    }
}

impl Call {
    fn names(&self) -> Vec<&str> {
        self.address.names().chain(self.body.names()).collect()
    }
}

impl Vendor {
    /// Reads a file.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            vec![Mistake::at(span, error.message())]
        })?;
        Reader::read_all(text, document)
    }

    /// The keys that a `[[provider]]` of it takes.
    pub fn keys(&self) -> Vec<Key> {
        let key = |key: &VendorKey| {
            let takes = match key.takes {
                KeyKind::Text => Takes::Text,
                KeyKind::Url => Takes::Url,
                KeyKind::Secret => Takes::Secret([
                    key.name,
                    interned(&format!("{}_file", key.name)),
                    interned(&format!("{}_env", key.name)),
                ]),
            };
            let needed = key.default.is_none() && !key.optional;
            let example = format!("\"{}\"", key.example);
            let example = if needed { interned(&example) } else { "" };
            Key::needed(key.name, takes, example)
        };
        self.keys.iter().map(key).collect()
    }

    /// True when it acts on people and their tokens, so that it must be told whose.
    pub fn needs_issuer(&self) -> bool {
        self.operations
            .keys()
            .any(|(_, target)| *target != "address")
    }

    /// The calls of a step on a kind of target.
    pub(super) fn operation(&self, step: &str, target: &str) -> Option<&Operation> {
        let mut operations = self.operations.iter();
        let found = operations.find(|((of, on), _)| *of == step && *on == target);
        found.map(|(_, operation)| operation)
    }

    /// Every step with the kinds of target it is for, as `revoke sid`.
    pub fn abilities(&self) -> Vec<String> {
        let shown = self.operations.keys();
        shown
            .map(|(step, target)| format!("{step} {target}"))
            .collect()
    }
}
