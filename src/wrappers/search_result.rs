//! What a search gave of a log that was stored elsewhere: hits of Elasticsearch and OpenSearch, events of Splunk.
//!
//! In: a line of JSON, as export tools write it: one hit or event. Out: the stored document, or the raw line.
//! Does not know: what is in a document: the event of a shipper is another wrapper.
//! Source: Elastic, "Search API" (`hits.hits`); elasticdump, "data"; Splunk, "search/jobs/export" (`output_mode=json`).

use super::{Around, Entry, Wrapper};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(super) static WRAPPER: Wrapper = Wrapper {
    name: "search_result",
    about: "hits of Elasticsearch and OpenSearch, events of Splunk, one a line",
    peel,
};

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, rename = "_source")]
    document: Option<&'a RawValue>,
    #[serde(borrow, rename = "_raw")]
    raw: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "_raw")]
    raw: Cow<'a, str>,
}

fn peel<'a>(line: &'a str, _: &mut Around<'_>, entries: &mut Vec<Entry<'a>>) -> bool {
    // Most JSON is no such result: do not read all of it to find that out.
    if !line.starts_with('{') || !(line.contains("\"_source\"") || line.contains("\"_raw\"")) {
        return false;
    }
    let Ok(found) = serde_json::from_str::<Found<'_>>(line) else {
        return false;
    };
    let document = found.document.map(RawValue::get);
    let document = document.filter(|document| document.starts_with('{'));
    let raw = || found.raw.or(found.result.map(|event| event.raw));
    let text = document.map(Cow::Borrowed).or_else(raw);
    let known = text.is_some();
    entries.extend(text.map(|text| Entry::whole(text, None)));
    known
}
