//! What a command says when it cannot go on: what was tried, on what, why it failed, what to do.
//!
//! In: the errors of every module. Out: [`Error`], shown on stderr before exit code 2.
//! Does not know: codes of its own; the words are the module's that failed.

use std::fmt;

/// Why a command cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    help: Option<String>,
}

impl Error {
    /// An error in words: what was tried, on what, and why it failed.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    /// An error whose text is already meant for people.
    pub fn shown(error: impl fmt::Display) -> Self {
        Self::new(error.to_string())
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Mistakes in files come as whole excerpts that begin with the word already.
        let prefix = if self.message.starts_with("error") {
            ""
        } else {
            "error: "
        };
        write!(f, "{prefix}{}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  = help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
