//! Where a secret is, and what stands there.
//!
//! In: a file or a variable. Out: its text, read at each use, so that a changed one needs no restart. It is never kept.
//! Does not know: what the secret opens.

use crate::domain::action::Outcome;
use std::fs;
use std::path::PathBuf;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The file's text without the line ending.
    File(PathBuf),
    /// The variable's text.
    Variable(String),
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Its file cannot be read.
    #[error("cannot read the secret in {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Its variable is not set.
    #[error("variable `{0}` with the secret is not set")]
    Unset(String),
    /// There is nothing in it.
    #[error("the secret in {0} is empty")]
    Empty(String),
}

/// A call cannot be made without it; it may be back later.
impl From<SecretError> for Outcome {
    fn from(error: SecretError) -> Self {
        Self::Retry {
            after_s: None,
            why: error.to_string(),
        }
    }
}

impl Secret {
    /// The secret.
    ///
    /// # Errors
    /// When it is gone or empty.
    pub fn read(&self) -> Result<String, SecretError> {
        let (text, place) = match self {
            Self::File(file) => {
                let unreadable = |source| SecretError::Unreadable {
                    file: file.clone(),
                    source,
                };
                let text = fs::read_to_string(file).map_err(unreadable)?;
                (text, file.display().to_string())
            }
            Self::Variable(name) => {
                let text = std::env::var(name).map_err(|_| SecretError::Unset(name.clone()))?;
                (text, format!("variable `{name}`"))
            }
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(SecretError::Empty(place)),
            secret => Ok(secret.to_owned()),
        }
    }
}
