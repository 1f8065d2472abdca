//! Values of keys, of the type that is asked for.
//!
//! In: a key of a [`Section`]. Out: a checked value, or `None` and a mistake that says what was
//! expected.
//! Does not know: which keys exist, or what they are for.

use super::reader::{Given, Origin, Raw, Section};
use crate::domain::mistake::{Mistake, nearest};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeString, DeValue};

impl<'r> Section<'r> {
    /// A value of any type that TOML and variables can give.
    fn typed<T: FromStr + Deserialize<'r>>(
        &self,
        key: &'static str,
        expected: &str,
    ) -> Option<Given<T>> {
        let (raw, origin) = self.raw(key)?;
        let value = match raw {
            Raw::Variable(text) => text.trim().parse().ok(),
            Raw::File(value) => {
                T::deserialize(toml::de::ValueDeserializer::from(value.clone())).ok()
            }
        };
        if value.is_none() {
            self.mistake(&origin, format!("`{key}` must be {expected}"), "", "");
        }
        value.map(|value| Given { value, origin })
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false").map(|given| given.value)
    }

    /// A number inside `range`.
    pub(super) fn number<T>(&self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + Deserialize<'r> + PartialOrd + Display,
    {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let given = self.typed::<T>(key, &expected)?;
        if range.contains(&given.value) {
            return Some(given.value);
        }
        self.mistake(&given.origin, format!("`{key}` must be {expected}"), "", "");
        None
    }

    /// Numbers under names that the user chooses. Names have dots, so no variable can set one.
    pub(super) fn numbers(&self) -> BTreeMap<String, f64> {
        let number = |(name, value): (&Spanned<DeString<'r>>, &Spanned<DeValue<'r>>)| {
            let name: &str = name.get_ref();
            let given = f64::deserialize(toml::de::ValueDeserializer::from(value.clone()));
            let given = given.ok().filter(|number| number.is_finite());
            if given.is_none() {
                let origin = Origin::File(value.span());
                self.mistake(&origin, format!("`{name}` must be a number"), "", "");
            }
            Some((name.to_owned(), given?))
        };
        self.entries().filter_map(number).collect()
    }

    /// Text that is not empty.
    pub(super) fn text(&self, key: &'static str) -> Option<Given<String>> {
        let given = self.typed::<String>(key, "text in quotes")?;
        if !given.value.trim().is_empty() {
            return Some(given);
        }
        self.mistake(
            &given.origin,
            format!("`{key}` is empty"),
            "",
            "leave it out instead",
        );
        None
    }

    /// Text that must be there.
    pub(super) fn required(&self, key: &'static str, example: &str) -> Option<Given<String>> {
        if !self.has_any(&[key]) {
            self.missing(key, example);
        }
        self.text(key)
    }

    /// A list of text; one text alone is a list of one.
    pub(super) fn texts(&self, key: &'static str) -> Vec<Given<String>> {
        let Some((raw, origin)) = self.raw(key) else {
            return Vec::new();
        };
        let values = match raw {
            Raw::Variable(text) => texts_of_variable(text, &origin),
            Raw::File(value) => texts_of_value(value),
        };
        values.unwrap_or_else(|| {
            self.mistake(
                &origin,
                format!("`{key}` must be a list of texts"),
                "",
                "write `[\"…\"]`",
            );
            Vec::new()
        })
    }

    /// A list of text that `parse` understands; `parse` says why it does not.
    pub(super) fn parsed_list<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Vec<T> {
        let texts = self.texts(key);
        texts
            .iter()
            .filter_map(|given| self.parse(given, &parse))
            .collect()
    }

    /// Text that `parse` understands; `parse` says why it does not.
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        self.text(key).and_then(|given| self.parse(&given, parse))
    }

    /// What `parse` makes of a text, its mistake moved to where the text stands.
    pub(super) fn parse<T>(
        &self,
        given: &Given<String>,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        let wrong = |wrong: Mistake| {
            self.mistake(&given.origin, wrong.message, &wrong.label, &wrong.help);
        };
        parse(&given.value).map_err(wrong).ok()
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.parsed(key, |text| word_of(text, key, words))
    }

    /// A path, relative ones from the folder of the file.
    pub(super) fn path(&self, key: &'static str) -> Option<Given<PathBuf>> {
        let Given { value, origin } = self.text(key)?;
        Some(Given {
            value: self.located(&value),
            origin,
        })
    }

    /// A file that is there.
    pub(super) fn file(&self, key: &'static str) -> Option<PathBuf> {
        let given = self.path(key)?;
        self.existing(given, Path::is_file, "file")
    }

    /// A folder that is there.
    pub(super) fn folder(&self, key: &'static str) -> Option<PathBuf> {
        let given = self.path(key)?;
        self.existing(given, Path::is_dir, "folder")
    }

    /// Files that are there.
    pub(super) fn files(&self, key: &'static str) -> Vec<PathBuf> {
        let located = self.texts(key).into_iter().map(|given| Given {
            value: self.located(&given.value),
            origin: given.origin,
        });
        located
            .filter_map(|given| self.existing(given, Path::is_file, "file"))
            .collect()
    }

    pub(super) fn existing(
        &self,
        given: Given<PathBuf>,
        is: fn(&Path) -> bool,
        what: &str,
    ) -> Option<PathBuf> {
        if is(&given.value) {
            return Some(given.value);
        }
        let message = format!("there is no {what} {}", given.value.display());
        let help = "relative paths start at the folder of the configuration";
        self.mistake(&given.origin, message, "", help);
        None
    }
}

/// The meaning of `text` among `words`.
pub(super) fn word_of<T: Copy>(text: &str, key: &str, words: &[(&str, T)]) -> Result<T, Mistake> {
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*meaning);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let wrong = Mistake::outside(format!("unknown {key} `{text}`"));
    Err(match nearest(text, known.iter().copied()) {
        Some(meant) => wrong.label(format!("did you mean `{meant}`?")),
        None => wrong.help(format!("one of {}", known.join(", "))),
    })
}

fn texts_of_value(value: &Spanned<DeValue<'_>>) -> Option<Vec<Given<String>>> {
    let given = |value: &Spanned<DeValue<'_>>| {
        let text = value.get_ref().as_str()?.to_owned();
        Some(Given {
            value: text,
            origin: Origin::File(value.span()),
        })
    };
    match value.get_ref() {
        DeValue::Array(list) => list.iter().map(given).collect(),
        _ => given(value).map(|one| vec![one]),
    }
}

fn texts_of_variable(text: &str, origin: &Origin) -> Option<Vec<Given<String>>> {
    let given = |value: &str| Given {
        value: value.to_owned(),
        origin: origin.clone(),
    };
    if text.trim_start().starts_with('[') {
        let list = DeValue::parse(text.trim()).ok()?;
        let list = texts_of_value(&list)?;
        return Some(list.iter().map(|one| given(&one.value)).collect());
    }
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    Some(parts.map(given).collect())
}
