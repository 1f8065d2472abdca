//! What a kind of provider or sink asks of the configuration, and what it was given.
//!
//! In: [`Key`]s, which stand in the file of the kind that reads them. Out: [`Options`], which the configuration fills.
//! Does not know: TOML, or which kinds there are. So a new kind needs no line in the configuration's own code.

use super::{Endpoint, EndpointError, Secret};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One key of a `[[provider]]` or a `[[sink]]`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written; of a secret, the first of the names in [`Takes::Secret`].
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What a mistake suggests where it is missing, as TOML; empty for a key that may be left out.
    pub example: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// Text.
    Text,
    /// A list of text.
    Texts,
    /// An address that may be called: HTTPS, or HTTP on this machine.
    Url,
    /// A file, from the folder of the configuration where it is relative.
    Path,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A secret, of which only the place stands in the configuration: the names of the key that would hold it, which is
    /// refused, of its file and of its variable.
    Secret([&'static str; 3]),
}

impl Key {
    /// A key that must be there.
    pub const fn needed(name: &'static str, takes: Takes, example: &'static str) -> Self {
        Self {
            name,
            takes,
            example,
        }
    }

    /// A key that may be left out.
    pub const fn optional(name: &'static str, takes: Takes) -> Self {
        Self::needed(name, takes, "")
    }

    /// A secret that must be there.
    pub const fn secret(names: [&'static str; 3]) -> Self {
        Self::needed(names[0], Takes::Secret(names), "\"…\"")
    }
}

/// The same text for as long as the program runs: the names of keys that a file brings. There are as many as people
/// write into their files.
pub(crate) fn interned(text: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(text) {
        return known;
    }
    let text: &'static str = Box::leak(text.into());
    known.insert(text);
    text
}

/// What one key was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, a word or an address.
    Text(String),
    /// A list.
    Texts(Vec<String>),
    /// A file.
    Path(PathBuf),
    /// Where a secret is.
    Secret(Secret),
}

/// What the keys of one provider or sink were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(pub BTreeMap<&'static str, Value>);

/// Why nothing can be made of the options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A key is not there, or holds something of another kind.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// An address may not be called.
    #[error("`{0}`: {1}")]
    Endpoint(&'static str, EndpointError),
    /// A value is none that the key takes.
    #[error("`{0}`: {1}")]
    Wrong(&'static str, String),
}

impl Options {
    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list; none where there is no such list.
    pub fn texts(&self, key: &str) -> &[String] {
        match self.0.get(key) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// The text of a key that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn needed(&self, key: &'static str) -> Result<&str, OptionsError> {
        self.text(key).ok_or(OptionsError::Missing(key))
    }

    /// The address of a key that must be there.
    ///
    /// # Errors
    /// When it is not, or may not be called.
    pub fn endpoint(&self, key: &'static str) -> Result<Endpoint, OptionsError> {
        let text = self.needed(key)?;
        Endpoint::new(text).map_err(|error| OptionsError::Endpoint(key, error))
    }

    /// The file of a key that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn path(&self, key: &'static str) -> Result<&Path, OptionsError> {
        match self.0.get(key) {
            Some(Value::Path(path)) => Ok(path),
            _ => Err(OptionsError::Missing(key)),
        }
    }

    /// Where the secret of a key is, if it has one.
    pub fn secret(&self, key: &str) -> Option<Secret> {
        match self.0.get(key)? {
            Value::Secret(secret) => Some(secret.clone()),
            _ => None,
        }
    }

    /// Where the secret of a key that must be there is.
    ///
    /// # Errors
    /// When it is not.
    pub fn needed_secret(&self, key: &'static str) -> Result<Secret, OptionsError> {
        self.secret(key).ok_or(OptionsError::Missing(key))
    }
}
