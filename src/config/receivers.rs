//! `[[provider]]`, `[[sink]]` and `[[mirror]]`: who acts, who is told, and who gets a copy of the denylist.
//!
//! In: the sections, and the keys that each kind asks for. Out: [`Provider`]s, [`Sink`]s and [`Mirror`]s with
//! [`Options`], whose secrets are still where they were.
//! Does not know: what a provider or a sink does with them.

use super::issuers::secure_url;
use super::reader::Section;
use super::values::word_of;
use crate::domain::finding::Level;
use crate::domain::mistake::{Mistake, render};
use crate::outbound::Secret;
use crate::outbound::options::{Key, Options, Takes, Value};
use crate::response::mirrors;
use crate::response::providers::http::Vendor;
use crate::response::providers::{self, Make};
use crate::sinks;
use std::path::Path;
use std::sync::Arc;

/// Who acts.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Its name in metrics and in the audit: as configured, else the kind.
    pub name: String,
    /// The issuer whose tokens it answers for; `None` for all.
    pub issuer: Option<String>,
    /// What it is: one of [`providers::ALL`].
    pub kind: &'static str,
    /// The file that describes it, where it is no code.
    pub vendor: Option<Arc<Vendor>>,
    /// What it needs.
    pub options: Options,
}

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its name in metrics: as configured, else the kind.
    pub name: String,
    /// Incidents below this are not sent.
    pub level_min: Level,
    /// Each incident is sent, however many there are at once.
    pub every_incident: bool,
    /// What it is: one of [`sinks::ALL`].
    pub kind: &'static str,
    /// What it needs.
    pub options: Options,
}

/// Who gets a copy of the denylist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Its name in metrics: as configured, else the kind.
    pub name: String,
    /// What it is: one of [`mirrors::ALL`].
    pub kind: &'static str,
    /// What it needs.
    pub options: Options,
}

pub(super) fn read_providers(root: &Section<'_>) -> Vec<Provider> {
    let kinds: Vec<_> = providers::ALL
        .iter()
        .map(|kind| (kind.name, *kind))
        .collect();
    let sections = root.sections("provider");
    sections
        .iter()
        .filter_map(|section| read_provider(section, &kinds))
        .collect()
}

fn read_provider(
    section: &Section<'_>,
    kinds: &[(&'static str, &'static providers::Kind)],
) -> Option<Provider> {
    let (name, kind) = kind(section, kinds)?;
    let issuer = section.text("issuer").map(|given| given.value);
    let mut keys = kind.keys.to_vec();
    let vendor = match kind.make {
        Make::Code(_) => None,
        // A test reads every file that comes with the program.
        Make::File(_) => Some(kind.vendor().ok().flatten()?),
        Make::Named => Some(Arc::new(vendor_file(section)?)),
    };
    if let Some(vendor) = &vendor {
        keys.extend(vendor.keys());
        if vendor.needs_issuer() && issuer.is_none() {
            // Another issuer's `sub` may be another person's here.
            section.missing("issuer", "\"https://idp.example.com/\"");
        }
    }
    let options = options(section, &keys);
    section.end();
    Some(Provider {
        name,
        issuer,
        kind: kind.name,
        vendor,
        options: options?,
    })
}

/// A vendor's file of the user's own. Its mistakes are shown as the configuration's are.
fn vendor_file(section: &Section<'_>) -> Option<Vendor> {
    let Some(given) = section.path("file") else {
        section.missing("file", "\"vendor.toml\"");
        return None;
    };
    let read = std::fs::read_to_string(&given.value)
        .map_err(|error| format!("cannot read {}: {error}", given.value.display()));
    let read = read.and_then(|text| read_vendor(&text, &given.value));
    read.map_err(|why| section.mistake(&given.origin, why, "", VENDOR_HELP))
        .ok()
}

/// Where it stands what a vendor's file can say.
const VENDOR_HELP: &str = "src/response/providers/README.md says what such a file can say";

fn read_vendor(text: &str, file: &Path) -> Result<Vendor, String> {
    Vendor::parse(text).map_err(|mistakes| {
        let shown = render(&mistakes, &file.display().to_string(), text);
        format!("the vendor's file has mistakes:\n{}", shown.trim_end())
    })
}

pub(super) fn read_sinks(root: &Section<'_>) -> Vec<Sink> {
    let kinds: Vec<_> = sinks::ALL.iter().map(|kind| (kind.name, *kind)).collect();
    let levels = Level::ALL.map(|level| (level.name(), level));
    let sections = root.sections("sink");
    let read = |section: &Section<'_>| {
        let (name, kind) = kind(section, &kinds)?;
        // What is below is not worth a person's time, by the meaning of the levels.
        let level_min = section.word("level_min", &levels).unwrap_or(Level::Medium);
        let every_incident = section.flag("every_incident").unwrap_or(false);
        let options = options(section, kind.keys);
        section.end();
        Some(Sink {
            name,
            level_min,
            every_incident,
            kind: kind.name,
            options: options?,
        })
    };
    sections.iter().filter_map(read).collect()
}

pub(super) fn read_mirrors(root: &Section<'_>) -> Vec<Mirror> {
    let kinds: Vec<_> = mirrors::ALL.iter().map(|kind| (kind.name, *kind)).collect();
    let sections = root.sections("mirror");
    let read = |section: &Section<'_>| {
        let (name, kind) = kind(section, &kinds)?;
        let options = options(section, kind.keys);
        section.end();
        Some(Mirror {
            name,
            kind: kind.name,
            options: options?,
        })
    };
    sections.iter().filter_map(read).collect()
}

/// The name of a receiver and its kind. Without a kind nothing can be said about the other keys.
fn kind<K: Copy>(section: &Section<'_>, kinds: &[(&'static str, K)]) -> Option<(String, K)> {
    let first = kinds.first().map_or("", |(kind, _)| kind);
    let given = section.required("kind", &format!("\"{first}\""))?;
    let kind = section.parse(&given, |text| word_of(text, "kind", kinds))?;
    let name = section
        .text("name")
        .map_or(given.value, |given| given.value);
    Some((name, kind))
}

/// What the keys were given; every mistake in them is told, not the first alone.
fn options(section: &Section<'_>, keys: &[Key]) -> Option<Options> {
    let given: Vec<_> = keys.iter().map(|key| (key, value(section, key))).collect();
    let complete = |(key, value): &(&Key, Option<Value>)| value.is_some() || key.example.is_empty();
    let complete = given.iter().all(complete);
    let values = given
        .into_iter()
        .filter_map(|(key, value)| Some((key.name, value?)));
    complete.then(|| Options(values.collect()))
}

fn value(section: &Section<'_>, key: &Key) -> Option<Value> {
    let is_secret = matches!(key.takes, Takes::Secret(_));
    if !is_secret && !key.example.is_empty() && !section.has_any(&[key.name]) {
        section.missing(key.name, key.example);
    }
    match key.takes {
        Takes::Text => section.text(key.name).map(|given| Value::Text(given.value)),
        Takes::Texts => {
            let texts = section.texts(key.name).into_iter().map(|given| given.value);
            let texts: Vec<_> = texts.collect();
            (!texts.is_empty()).then_some(Value::Texts(texts))
        }
        Takes::Url => section.parsed(key.name, secure_url).map(Value::Text),
        Takes::Path => {
            let given = section.text(key.name)?;
            Some(Value::Path(section.located(&given.value)))
        }
        Takes::Word(words) => {
            let words: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
            let word = section.word(key.name, &words)?;
            Some(Value::Text(word.to_owned()))
        }
        Takes::Secret(names) => match key.example {
            "" => optional_secret(section, names).map(Value::Secret),
            _ => secret(section, names).map(Value::Secret),
        },
    }
}

/// The secret under one of three keys: written out, which is refused; in a file; in a variable.
pub(super) fn secret(section: &Section<'_>, keys: [&'static str; 3]) -> Option<Secret> {
    let found = optional_secret(section, keys);
    let [inline, file, _] = keys;
    if found.is_none() && !section.has_any(&keys) {
        section.missing(file, &format!("\"/etc/tokentrip/{inline}\""));
    }
    found
}

/// As [`secret`], where none is needed.
pub(super) fn optional_secret(section: &Section<'_>, keys: [&'static str; 3]) -> Option<Secret> {
    let [inline, file, env] = keys;
    let help =
        format!("put it into a file that only tokentrip can read, and name that as `{file}`");
    section.forbid(
        inline,
        "a secret does not belong into the configuration",
        &help,
    );
    let in_file = section.file(file).map(Secret::File);
    let variable = section.text(env).and_then(|given| {
        let unset = |name: &str| Mistake::outside(format!("variable `{name}` is not set"));
        let is_set = |name: &str| {
            let set = section.names_variable(name);
            set.then(|| Secret::Variable(name.to_owned()))
                .ok_or_else(|| unset(name))
        };
        section.parse(&given, is_set)
    });
    in_file.or(variable)
}
