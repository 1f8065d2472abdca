//! Azure Monitor: resource logs in `records`, and the tables of container logs.
//!
//! In: a line of JSON (Event Hubs: `{"records":[…]}`; a storage account or an export: one record). Out: what a record
//! says as text, else the record itself, for a format to read.
//! Does not know: the records of gateways (Application Gateway, Front Door): those are formats.
//! Source: Microsoft, "Azure resource logs: common schema"; "ContainerLogV2"; "AppServiceConsoleLogs".

use super::{Around, Entry, Wrapper, stamp};
use crate::domain::time::Time;
use serde_json::{Map, Value};

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "azure",
    about: "Azure Monitor records (Event Hubs), container and console logs",
    peel,
};

/// Where a record has its line: AKS, the console of an App Service, and the tables of Container Insights.
const TEXT: [&[&str]; 5] = [
    &["properties", "log"],
    &["properties", "Log"],
    &["resultDescription"],
    &["LogMessage"],
    &["LogEntry"],
];

/// What a record has beside its line.
const MARKS: [&str; 3] = ["resourceId", "TimeGenerated", "ContainerId"];

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    let is_record = MARKS.iter().any(|mark| line.contains(mark));
    if !is_record && !line.contains("\"records\"") {
        return false;
    }
    let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(line) else {
        return false;
    };
    if let Some(Value::Array(records)) = object.remove("records") {
        entries.extend(records.into_iter().map(|record| {
            let written = time_of(&record);
            let text = text_of(&record).unwrap_or_else(|| record.to_string());
            Entry::whole(text, written)
        }));
        return true;
    }
    let record = Value::Object(object);
    let text = text_of(&record).filter(|_| MARKS.iter().any(|mark| record.get(*mark).is_some()));
    let known = text.is_some();
    entries.extend(text.map(|text| Entry::whole(text, time_of(&record))));
    known
}

fn text_of(record: &Value) -> Option<String> {
    let at = |path: &&[&str]| {
        let found = path
            .iter()
            .try_fold(record, |value, name| value.get(*name))?;
        match found {
            Value::String(text) => Some(text.clone()),
            // LogMessage is dynamic: a line of JSON arrives as an object.
            Value::Object(_) => Some(found.to_string()),
            _ => None,
        }
    };
    // App Service's records of requests hold an object as text.
    let packed = || {
        record
            .get("properties")?
            .as_str()
            .filter(|text| text.starts_with('{'))
    };
    TEXT.iter()
        .find_map(at)
        .or_else(|| packed().map(str::to_owned))
}

fn time_of(record: &Value) -> Option<Time> {
    let time = record.get("time").or_else(|| record.get("TimeGenerated"))?;
    stamp::rfc3339(time.as_str()?)
}
