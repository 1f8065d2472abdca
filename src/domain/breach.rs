//! Step 3 of an incident: what the suspect touched.
//!
//! In: what `incidents` counted, or found when the logs were read again. Out: [`BreachStep`], exactly as the NDJSON
//! contract shows it.
//! Does not know: logs, or who the suspect is.

use super::ids::TokenId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Step 3: what the suspect touched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BreachStep {
    /// `complete`, or `partial` with the reason.
    pub status: Coverage,
    /// Uses by the suspect.
    pub requests: u64,
    /// Uses with a method that writes.
    pub writes: u64,
    /// Response bytes.
    pub bytes: u64,
    /// Answers 401 and 403.
    pub denied: u64,
    /// Path templates with how often, most first, at most 50.
    pub paths: Vec<(String, u64)>,
    /// Other subjects the suspect presented tokens of, at most 100.
    pub other_subjects: Vec<Arc<str>>,
    /// How many of those there are.
    pub other_subjects_count: u64,
    /// What stood in the paths where templates say `{id}`; only known once the logs were read again, and never sent
    /// to a sink.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Objects>,
    /// How many different objects there are, listed or not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub objects_count: u64,
    /// The tokens that the suspect presented, at most 50; only known once the logs were read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenId>,
    /// How many of those there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens_count: u64,
    /// The gateway's ids of the requests, the first 100; only known once the logs were read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_ids: Vec<String>,
    /// The logs that the uses stand in, with how many; only known once they were read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<(Arc<str>, u64)>,
}

/// The objects behind one template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// The template, as in `paths`.
    pub path: String,
    /// What stood in the places of its `{id}`, several joined by `/`; at most 100. What may itself be a secret is
    /// counted and not listed.
    pub ids: Vec<String>,
    /// How many different ones there are.
    pub count: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Whether a breach report saw everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "coverage", rename_all = "snake_case")]
pub enum Coverage {
    /// All of it.
    #[default]
    Complete,
    /// Something is missing.
    Partial {
        /// Why.
        reason: String,
    },
}

impl Coverage {
    /// Complete when nothing is missing.
    pub fn without<'r>(missing: impl IntoIterator<Item = &'r str>) -> Self {
        let reasons: Vec<&str> = missing.into_iter().collect();
        match reasons.as_slice() {
            [] => Self::Complete,
            reasons => Self::Partial {
                reason: reasons.join("; "),
            },
        }
    }
}
