//! `[[provider]]` and `[[sink]]`: who acts, and who is told.
//!
//! In: the sections. Out: [`Provider`]s and [`Sink`]s, with [`Secret`]s that are still where they
//! were.
//! Does not know: what a provider or a sink does with them.

use super::issuers::secure_url;
use super::reader::Section;
use super::values::word_of;
use crate::domain::finding::Level;
use crate::domain::mistake::Mistake;
use std::path::PathBuf;

/// Who acts.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Its name in metrics and in the audit: as configured, else the kind.
    pub name: String,
    /// The issuer whose tokens it answers for; `None` for all.
    pub issuer: Option<String>,
    /// What it is.
    pub kind: ProviderKind,
}

/// What a provider is, with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderKind {
    /// A Keycloak server, by its Admin REST API.
    Keycloak {
        /// Where it is, without `/realms/…`.
        base_url: String,
        /// The realm of the subjects.
        realm: String,
        /// A confidential client with a service account that may manage users.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
    /// A signed call to a service of one's own (Standard Webhooks).
    Webhook {
        /// Where to call.
        url: String,
        /// The key of the signature.
        secret: Secret,
    },
}

/// Who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Sink {
    /// Its name in metrics: as configured, else the kind.
    pub name: String,
    /// Incidents below this are not sent.
    pub level_min: Level,
    /// What it is.
    pub kind: SinkKind,
}

/// What a sink is, with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkKind {
    /// A signed call (Standard Webhooks).
    Webhook {
        /// Where to call.
        url: String,
        /// The key of the signature.
        secret: Secret,
    },
    /// A file that incidents are appended to, one JSON object a line.
    File {
        /// The file.
        path: PathBuf,
    },
}

/// Where a secret is. It is read when it is used, so that a changed one needs no restart, and is
/// never kept here.
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
                let text = std::fs::read_to_string(file).map_err(unreadable)?;
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

type Read<T> = fn(&Section<'_>) -> Option<T>;

const PROVIDERS: &[(&str, Read<ProviderKind>)] = &[
    ("keycloak", read_keycloak),
    ("webhook", read_webhook_provider),
];

const SINKS: &[(&str, Read<SinkKind>)] =
    &[("webhook", read_webhook_sink), ("file", read_file_sink)];

pub(super) fn read_providers(root: &Section<'_>) -> Vec<Provider> {
    root.sections("provider")
        .iter()
        .filter_map(read_provider)
        .collect()
}

pub(super) fn read_sinks(root: &Section<'_>) -> Vec<Sink> {
    root.sections("sink").iter().filter_map(read_sink).collect()
}

fn read_provider(section: &Section<'_>) -> Option<Provider> {
    let (name, read) = kind(section, PROVIDERS)?;
    let issuer = section.text("issuer").map(|given| given.value);
    let kind = read(section);
    section.end();
    Some(Provider {
        name,
        issuer,
        kind: kind?,
    })
}

fn read_sink(section: &Section<'_>) -> Option<Sink> {
    let (name, read) = kind(section, SINKS)?;
    let levels = Level::ALL.map(|level| (level.name(), level));
    // What is below is not worth a person's time, by the meaning of the levels.
    let level_min = section.word("level_min", &levels).unwrap_or(Level::Medium);
    let kind = read(section);
    section.end();
    Some(Sink {
        name,
        level_min,
        kind: kind?,
    })
}

/// The name of a receiver and how to read the rest of it. Without a kind nothing can be said about
/// the other keys.
fn kind<T: Copy>(section: &Section<'_>, kinds: &[(&str, T)]) -> Option<(String, T)> {
    let first = kinds.first().map_or("", |(kind, _)| kind);
    let given = section.required("kind", &format!("\"{first}\""))?;
    let read = section.parse(&given, |text| word_of(text, "kind", kinds))?;
    let name = section
        .text("name")
        .map_or(given.value, |given| given.value);
    Some((name, read))
}

fn read_keycloak(section: &Section<'_>) -> Option<ProviderKind> {
    let base_url = url(section, "base_url", "\"https://keycloak.example.com\"");
    let realm = section.required("realm", "\"main\"");
    let client_id = section.required("client_id", "\"tokentrip\"");
    let client_secret = secret(
        section,
        ["client_secret", "client_secret_file", "client_secret_env"],
    );
    Some(ProviderKind::Keycloak {
        base_url: base_url?.trim_end_matches('/').to_owned(),
        realm: realm?.value,
        client_id: client_id?.value,
        client_secret: client_secret?,
    })
}

fn read_webhook_provider(section: &Section<'_>) -> Option<ProviderKind> {
    let (url, secret) = read_webhook(section)?;
    Some(ProviderKind::Webhook { url, secret })
}

fn read_webhook_sink(section: &Section<'_>) -> Option<SinkKind> {
    let (url, secret) = read_webhook(section)?;
    Some(SinkKind::Webhook { url, secret })
}

fn read_webhook(section: &Section<'_>) -> Option<(String, Secret)> {
    let url = url(section, "url", "\"https://hooks.example.com/tokentrip\"");
    let secret = secret(section, ["secret", "secret_file", "secret_env"]);
    Some((url?, secret?))
}

fn read_file_sink(section: &Section<'_>) -> Option<SinkKind> {
    let given = section.required("path", "\"/var/log/tokentrip/incidents.ndjson\"")?;
    Some(SinkKind::File {
        path: section.located(&given.value),
    })
}

fn url(section: &Section<'_>, key: &'static str, example: &str) -> Option<String> {
    let given = section.required(key, example)?;
    section.parse(&given, secure_url)
}

/// The secret under one of three keys: written out, which is refused; in a file; in a variable.
fn secret(section: &Section<'_>, keys: [&'static str; 3]) -> Option<Secret> {
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
