//! What can stand in a vendor's file, as TOML gives it.
//!
//! In: TOML. Out: [`Document`], of which nothing is checked but names and types.
//! Does not know: what it means.

use super::vendor::{KeyKind, Meaning};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Calls by kind of target.
pub(super) type Targets = BTreeMap<String, Vec<CallDoc>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) title: String,
    pub(super) page: String,
    #[serde(default)]
    pub(super) keys: BTreeMap<String, KeyDoc>,
    #[serde(default)]
    pub(super) credential: BTreeMap<String, CredentialDoc>,
    #[serde(default)]
    pub(super) answers: Vec<AnswerDoc>,
    #[serde(default)]
    pub(super) revoke: Targets,
    #[serde(default)]
    pub(super) password: Targets,
    #[serde(default)]
    pub(super) ask: Targets,
    #[serde(default)]
    pub(super) block: Targets,
    #[serde(default)]
    pub(super) risk: Targets,
    #[serde(default)]
    pub(super) mfa: Targets,
    #[serde(default)]
    pub(super) undo: Targets,
    #[serde(default)]
    pub(super) list: Targets,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyDoc {
    pub(super) takes: KeyKind,
    #[serde(default)]
    pub(super) example: String,
    pub(super) default: Option<String>,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum CredentialDoc {
    Headers {
        headers: BTreeMap<String, String>,
    },
    Basic {
        user: String,
        password: String,
        #[serde(default)]
        encoded: bool,
    },
    Token {
        url: String,
        #[serde(default)]
        form: BTreeMap<String, String>,
        json: Option<toml::Value>,
        #[serde(default = "access_token")]
        at: String,
        headers: Option<BTreeMap<String, String>>,
    },
    ServiceAccount {
        url: String,
        account: String,
        scope: String,
        subject: Option<String>,
    },
    Sigv4 {
        access_key_id: String,
        secret: String,
        region: String,
        service: String,
    },
}

fn access_token() -> String {
    "/access_token".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallDoc {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) says: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) json: Option<toml::Value>,
    #[serde(default)]
    pub(super) form: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) done: Vec<u16>,
    #[serde(default)]
    pub(super) already_done: Vec<u16>,
    pub(super) already_done_if: Option<String>,
    #[serde(default)]
    pub(super) answers: Vec<AnswerDoc>,
    #[serde(default)]
    pub(super) keep: BTreeMap<String, String>,
    pub(super) each: Option<String>,
    pub(super) at_most_once: Option<bool>,
    pub(super) sessions: Option<String>,
    pub(super) credential: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerDoc {
    pub(super) status: u16,
    pub(super) at: Option<String>,
    #[serde(default)]
    pub(super) holds: String,
    pub(super) means: Meaning,
    pub(super) why: Option<String>,
}
