//! Subjects and addresses replaced by keyed hashes, for results that leave the house.
//!
//! In: records. Out: the same records in which neither stands, in no field and in no sentence.
//! Does not know: who reads them.

use crate::domain::ids::{IdKey, SubjectId};
use crate::domain::incident::Incident;
use crate::sinks::ndjson::Record;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Fields whose values are subjects or addresses, alone or in a list.
const NAMES: &[&str] = &["subject", "sub", "ip", "ips", "other_subjects"];

/// Fields whose values are words, ids and times of our own. A subject called `high` or `05` must not change them.
const OURS: &[&str] = &[
    "attack",
    "cause",
    "children",
    "confidence",
    "coverage",
    "country",
    "dimension",
    "findings",
    "first",
    "first_seen",
    "id",
    "kind",
    "last",
    "last_legitimate_use",
    "last_seen",
    "level",
    "live_until",
    "opened",
    "parent",
    "prior",
    "provenance",
    "rule",
    "session",
    "sessions",
    "side",
    "state",
    "time",
    "token",
    "type",
    "updated",
    "verdict",
];

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
        self.value(record)
    }

    /// Anything without names.
    pub(crate) fn value(&self, value: &impl Serialize) -> Value {
        let mut value = serde_json::to_value(value).unwrap_or_default();
        // What somebody read says who he is as well as his name does.
        if let Some(breach) = value
            .pointer_mut("/steps/breach")
            .and_then(Value::as_object_mut)
        {
            breach.remove("objects");
        }
        self.replace_all(&mut value);
        value
    }

    /// The incident without names.
    ///
    /// # Panics
    /// Never: what is replaced is text and stays text.
    pub(crate) fn incident(&self, incident: &Incident) -> Incident {
        // Sentences lose the addresses, too; fields that can only hold addresses are emptied.
        let mut value = self.value(incident);
        if let Some(ips) = value.pointer_mut("/suspect/ips") {
            *ips = Value::Array(Vec::new());
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove("journey");
        }
        serde_json::from_value(value).expect("an incident is one under other names, too")
    }

    /// A sentence without the addresses in it.
    pub(crate) fn sentence(&self, text: &str) -> String {
        let words = text.split(' ').map(|word| {
            let bare = word.trim_matches(|c: char| !c.is_ascii_hexdigit() && c != ':');
            match bare.trim_end_matches(':').parse::<IpAddr>() {
                Ok(_) => replace(word, bare.trim_end_matches(':'), &self.name(bare)),
                Err(_) => word.to_owned(),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// What a name is replaced by.
    pub(crate) fn name(&self, name: &str) -> String {
        SubjectId::of(&self.key, &[name.as_bytes()]).to_string()
    }

    /// Replaces the names that stand in a value, wherever in it they stand.
    pub(crate) fn replace_all(&self, value: &mut Value) {
        let mut names = BTreeSet::new();
        collect(value, false, &mut names);
        // Longer names first: one may be part of another.
        let mut names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        for name in names {
            let pseudonym = self.name(&name);
            replace_in(value, &name, &pseudonym);
            // In the path of a provider's call.
            let encoded = percent_encoded(&name);
            if encoded != name {
                replace_in(value, &encoded, &pseudonym);
            }
        }
    }
}

fn replace_in(value: &mut Value, name: &str, pseudonym: &str) {
    match value {
        Value::String(text) if text.contains(name) => *text = replace(text, name, pseudonym),
        Value::Array(items) => {
            items
                .iter_mut()
                .for_each(|item| replace_in(item, name, pseudonym));
        }
        Value::Object(fields) => {
            let fields = fields.iter_mut();
            let theirs = fields.filter(|(field, _)| !OURS.contains(&field.as_str()));
            theirs.for_each(|(_, field)| replace_in(field, name, pseudonym));
        }
        _ => {}
    }
}

/// The text with the name replaced wherever it stands as a whole word: `al` is no part of `also`.
fn replace(text: &str, name: &str, pseudonym: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut shown_to = 0;
    for (start, _) in text.match_indices(name) {
        let end = start + name.len();
        let before = text[..start].chars().next_back();
        let after = text[end..].chars().next();
        let cut = |outside: Option<char>, inside: Option<char>| {
            outside.is_some_and(char::is_alphanumeric) && inside.is_some_and(char::is_alphanumeric)
        };
        if cut(before, name.chars().next()) || cut(after, name.chars().next_back()) {
            continue;
        }
        replaced.push_str(&text[shown_to..start]);
        replaced.push_str(pseudonym);
        shown_to = end;
    }
    replaced.push_str(&text[shown_to..]);
    replaced
}

/// As in a segment of a URL: everything but RFC 3986's unreserved characters (section 2.3) is encoded.
fn percent_encoded(name: &str) -> String {
    let encode = |byte: &u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.as_bytes().iter().map(encode).collect()
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
                collect(value, NAMES.contains(&field.as_str()), names);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn without_names(mut value: Value) -> Value {
        Pseudonyms::new(IdKey::public([0; 32])).replace_all(&mut value);
        value
    }

    #[test]
    fn a_short_name_is_replaced_where_it_is_a_word_and_nowhere_else() {
        let shown = without_names(json!({
            "subject": "al",
            "level": "al",
            "title": "al's session was also used: ask al, not sal or al2",
        }));
        let al = shown["subject"].as_str().unwrap();
        assert!(al.starts_with("u-"), "{al}");
        assert_eq!(shown["level"], "al");
        assert_eq!(
            shown["title"],
            format!("{al}'s session was also used: ask {al}, not sal or al2")
        );
    }

    #[test]
    fn a_name_is_found_in_the_path_of_a_call_where_it_is_encoded() {
        let shown = without_names(json!({
            "subject": "zoë+a@example.com",
            "calls": ["POST /users/zo%C3%AB%2Ba%40example.com/logout"],
        }));
        let name = shown["subject"].as_str().unwrap();
        assert_eq!(shown["calls"][0], format!("POST /users/{name}/logout"));
    }

    #[test]
    fn a_sentence_loses_its_addresses() {
        let pseudonyms = Pseudonyms::new(IdKey::public([0; 32]));
        let shown = pseudonyms.sentence("a.log: 192.0.2.10 and (2001:db8::1) at 10:06:40 are 67 %");
        assert!(
            !shown.contains("192.0.2") && !shown.contains("2001"),
            "{shown}"
        );
        assert!(
            shown.starts_with("a.log: u-") && shown.ends_with(") at 10:06:40 are 67 %"),
            "{shown}"
        );
    }
}
