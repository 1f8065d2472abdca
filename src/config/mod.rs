//! File and environment become one trusted [`Config`].
//!
//! In: the text of `tokentrip.toml` and the environment. Out: [`Config`], or every [`Mistake`] at
//! once with file, line, column and advice. Whoever holds a `Config` need not check anything in it
//! again.
//! Does not know: what the parts of the program make of it; it is plain data.
//! Source: the contract's `tokentrip.toml`; TOML 1.1, <https://toml.io/en/v1.1.0>.
//!
//! Every key can also be set by a variable: `TOKENTRIP_`, then the section and the key in capitals,
//! with `_` between and numbers for the entries of a list (`TOKENTRIP_SERVER_LISTEN`,
//! `TOKENTRIP_SOURCE_0_PATH`). The variable wins. A list is written with commas, or as TOML in
//! brackets. Relative paths start at the folder of the file, or at the working folder when there is
//! no file.

mod exceptions;
mod issuers;
mod reader;
mod receivers;
mod response;
mod server;
mod sources;
mod values;

pub use crate::domain::action::Mode;
pub use crate::outbound::{Secret, SecretError};
pub use exceptions::{Allow, Network, Times, Travel};
pub use issuers::{Algorithm, Issuer, Jwks};
pub use receivers::{Mirror, Provider, Sink};
pub use response::{Override, Response, Rules};
pub use server::{Approver, Places, Privacy, Server, State};
pub use sources::{ReadFrom, Source};

use crate::domain::mistake::{Mistake, render};
use reader::Reader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The variables that may set keys: `TOKENTRIP_…` and those that keys name as the place of a
/// secret.
pub type Environment = BTreeMap<String, String>;

/// Everything that can be set, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it came from.
    pub file: Option<PathBuf>,
    /// `[[source]]`: what to read.
    pub sources: Vec<Source>,
    /// `[[issuer]]`: whose tokens are protected, no issuer twice.
    pub issuers: Vec<Issuer>,
    /// `[places]`: where addresses are.
    pub places: Places,
    /// `[rules]`: which rules judge.
    pub rules: Rules,
    /// `[[allow]]`: what nobody is to be told of.
    pub allows: Vec<Allow>,
    /// `[[travel]]`: journeys that were announced.
    pub travels: Vec<Travel>,
    /// `[response]`: what may be done.
    pub response: Response,
    /// `[[provider]]`: who acts.
    pub providers: Vec<Provider>,
    /// `[[sink]]`: who is told.
    pub sinks: Vec<Sink>,
    /// `[[mirror]]`: who gets a copy of the denylist.
    pub mirrors: Vec<Mirror>,
    /// `[server]`: where to listen.
    pub server: Server,
    /// `[[approver]]`: who may approve and undo over HTTP.
    pub approvers: Vec<Approver>,
    /// `[state]`: what is kept.
    pub state: State,
    /// `[privacy]`: what may leave.
    pub privacy: Privacy,
}

/// Why there is no configuration. Its text is meant for people as it is, and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error(
        "error: cannot read the configuration {file}: {source}\n  \
         = help: name another file with `--config`, or leave it out to run with the defaults"
    )]
    Unreadable {
        /// The file as it was named.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It was read and is wrong.
    #[error("{shown}")]
    Wrong {
        /// How many mistakes there are.
        count: usize,
        /// All of them, ready to be shown.
        shown: String,
    },
}

impl Config {
    /// The configuration in `file`, or the defaults without one, with the environment on top.
    ///
    /// # Errors
    /// When the file cannot be read, or with every mistake in it.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let unreadable = |file: &Path, source| ConfigError::Unreadable {
            file: file.display().to_string(),
            source,
        };
        let Some(file) = file else {
            return Self::of_text("", None, environment);
        };
        let bytes = std::fs::read(file).map_err(|error| unreadable(file, error))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable(file, std::io::Error::other("it is no UTF-8 text")))?;
        Self::of_text(&text, Some(file), environment)
    }

    /// The configuration of a text that stood in `file`, with the environment on top.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn of_text(
        text: &str,
        file: Option<&Path>,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let (document, errors) = toml::de::DeTable::parse_recoverable(text);
        let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
        let reader = Reader::new(folder, environment);
        for error in errors {
            let mistake = Mistake::at(error.span().unwrap_or(0..0), error.message());
            reader.push(mistake.help("the file is TOML: <https://toml.io>"));
        }
        let config = (reader.is_clean())
            .then(|| Self::read(&reader, document.get_ref(), file))
            .filter(|_| reader.is_clean());
        config.ok_or_else(|| {
            let mistakes = reader.into_mistakes();
            let shown_file = file.map_or("environment".into(), |file| file.display().to_string());
            ConfigError::Wrong {
                count: mistakes.len(),
                shown: render(&mistakes, &shown_file, &without_secrets(text)),
            }
        })
    }

    fn read(reader: &Reader<'_>, document: &toml::de::DeTable<'_>, file: Option<&Path>) -> Self {
        let root = reader.root(document);
        let mut config = Self {
            file: file.map(Path::to_owned),
            sources: sources::read(&root),
            issuers: issuers::read(&root),
            places: server::read_places(&root),
            rules: response::read_rules(&root),
            allows: exceptions::read_allows(&root),
            travels: exceptions::read_travels(&root),
            response: response::read(&root),
            providers: receivers::read_providers(&root),
            sinks: receivers::read_sinks(&root),
            mirrors: receivers::read_mirrors(&root),
            server: server::read(&root),
            approvers: server::read_approvers(&root),
            state: server::read_state(&root),
            privacy: server::read_privacy(&root),
        };
        root.end();
        reader.variables_end();
        let spools = config.state.folder.join("spool");
        for source in &mut config.sources {
            if let Some(listener) = &mut source.listen {
                listener.spool = spools.join(&listener.spool);
                source.path.clone_from(&listener.spool);
            }
        }
        config
    }
}

/// The variables of this process that are text.
pub fn environment_of_process() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The text with what follows a key like `secret = ` or `password = `, and what stands before `@`
/// in an address, made unreadable byte for byte, so that places stay where they are. It looks at
/// words and not at TOML, since the text may be broken.
fn without_secrets(text: &str) -> String {
    let lines = text.split('\n').map(|line| match secret_in(line) {
        Some(secret) => {
            let hidden = "*".repeat(secret.len());
            let (kept, rest) = line.split_at(secret.start);
            format!("{kept}{hidden}{}", &rest[secret.len()..])
        }
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn secret_in(line: &str) -> Option<std::ops::Range<usize>> {
    let lower = line.to_ascii_lowercase();
    let words = ["secret", "password", "token", "key"];
    if let Some(start) = words
        .iter()
        .filter_map(|word| secret_after(&lower, word))
        .min()
    {
        return Some(start..line.len());
    }
    let start = line.find("://")? + 3;
    let end = line.rfind('@').filter(|end| *end > start)?;
    Some(start..end)
}

/// Where the value begins that follows `word`, an optional quote and `=`.
fn secret_after(line: &str, word: &str) -> Option<usize> {
    line.match_indices(word).find_map(|(at, _)| {
        let rest = line.get(at + word.len()..)?;
        let value = rest
            .trim_start_matches(['"', '\'', ' ', '\t'])
            .strip_prefix('=')?;
        Some(line.len() - value.len() + (value.len() - value.trim_start().len()))
    })
}

#[cfg(test)]
mod tests;
