//! Subjects and addresses replaced by keyed hashes, for results that leave the house.
//!
//! In: records. Out: the same records in which neither stands, in no field and in no sentence.
//! Does not know: who reads them.

use crate::domain::ids::{IdKey, SubjectId};
use crate::domain::incident::Incident;
use crate::sinks::ndjson::Record;
use serde_json::Value;
use std::collections::BTreeSet;

/// Fields whose values are subjects or addresses, alone or in a list.
const FIELDS: &[&str] = &["subject", "sub", "ip", "ips", "other_subjects"];

/// What replaces names.
#[derive(Clone, Debug)]
pub(crate) struct Pseudonyms {
    key: IdKey,
}

impl Pseudonyms {
    /// Pseudonyms under an installation's key: the same name always gets the same one.
    pub(crate) fn new(key: IdKey) -> Self {
        Self { key }
    }

    /// The record without names.
    pub(crate) fn record(&self, record: &Record<'_>) -> Value {
        let mut value = serde_json::to_value(record).unwrap_or_default();
        self.replace_all(&mut value);
        value
    }

    /// The incident without names.
    pub(crate) fn incident(&self, incident: &Incident) -> Incident {
        let mut value = serde_json::to_value(incident).unwrap_or_default();
        // An address field must stay an address, so those are blanked and not replaced.
        if let Some(ips) = value.pointer_mut("/suspect/ips") {
            let names = ips.take();
            let mut found = BTreeSet::new();
            collect(&names, true, &mut found);
            found.iter().for_each(|name| self.replace(&mut value, name));
            value["suspect"]["ips"] = Value::Array(Vec::new());
        }
        self.replace_all(&mut value);
        serde_json::from_value(value).unwrap_or_else(|_| incident.clone())
    }

    fn replace_all(&self, value: &mut Value) {
        let mut names = BTreeSet::new();
        collect(value, false, &mut names);
        // Longer names first: one may be part of another.
        let mut names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.iter().for_each(|name| self.replace(value, name));
    }

    fn replace(&self, value: &mut Value, name: &str) {
        match value {
            Value::String(text) if text.contains(name) => {
                let pseudonym = SubjectId::of(&self.key, &[name.as_bytes()]).to_string();
                *text = text.replace(name, &pseudonym);
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item, name)),
            Value::Object(fields) => {
                fields
                    .values_mut()
                    .for_each(|field| self.replace(field, name));
            }
            _ => {}
        }
    }
}

/// Gathers the names that stand in fields for names.
fn collect(value: &Value, named: bool, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if named => {
            names.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, named, names)),
        Value::Object(fields) => {
            for (field, value) in fields {
                collect(value, FIELDS.contains(&field.as_str()), names);
            }
        }
        _ => {}
    }
}
