//! SHELL: the report of a scan: one HTML file that needs nothing else.
//!
//! In: [`Report`], what a scan found as JSON values, names replaced already where they should be. Out: a page in any
//! [`Write`]: no network, no storage, nothing inline that its own policy does not name by hash.
//! Does not know: logs, how anything was found. Everything from outside goes through [`embedded`], and the script makes
//! text of it and never markup.
//! Source: Content Security Policy Level 3, <https://www.w3.org/TR/CSP3/>; the HTML Standard, section 4.12.1.3, on what
//! may stand in a script element.

pub mod assets;
mod page;

use crate::domain::mask::mask;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Everything that a report shows.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was scanned, in a few words.
    #[serde(skip)]
    pub about: String,
    /// When it was made, RFC 3339.
    #[serde(skip)]
    pub made: String,
    /// The summary, as NDJSON shows it.
    pub summary: Value,
    /// The incidents, as NDJSON shows them, with their journeys.
    pub incidents: Vec<Value>,
    /// The findings of those, by id.
    pub findings: BTreeMap<String, Value>,
    /// Lines of evidence, by `file:offset`.
    pub lines: BTreeMap<String, String>,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// What the log could not show.
    pub blind_spots: Vec<BlindSpot>,
}

/// Something that a log could not show, and what would let it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlindSpot {
    /// What is missing.
    pub what: String,
    /// What cannot be seen without it.
    pub why: String,
    /// Where the snippet goes.
    pub r#where: String,
    /// What would show it; empty where there is none.
    pub snippet: String,
}

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write(to: &mut impl Write, report: &Report) -> io::Result<()> {
    let data = embedded(report)?;
    to.write_all(page::page(report, &data).into_string().as_bytes())
}

/// A value as JSON that can stand in a script element: no character of it can end the element or begin a comment, and
/// every token in it is masked.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn embedded(value: &impl Serialize) -> io::Result<String> {
    let text = serde_json::to_string(value).map_err(io::Error::other)?;
    let text = mask(&text);
    let mut escaped = String::with_capacity(text.len() + text.len() / 64);
    for character in text.chars() {
        // In JSON these stand in strings alone, where the escape means the same.
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            character => escaped.push(character),
        }
    }
    Ok(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hostile() -> Report {
        let evil = "</script><script>alert(1)</script><!--\u{2028}";
        Report {
            about: evil.to_owned(),
            made: "2026-05-04T10:00:00Z".to_owned(),
            summary: json!({"sources": [{"file": evil}]}),
            incidents: vec![json!({
                "id": "i-00000000000000000001", "level": "high", "title": evil, "next": evil,
                "subject": format!("eyJ{}", "hbGciOiJub25lIn0.eyJzdWIiOiJhIn0."),
            })],
            findings: BTreeMap::new(),
            lines: BTreeMap::from([("a:1".to_owned(), evil.to_owned())]),
            warnings: vec![evil.to_owned()],
            blind_spots: Vec::new(),
        }
    }

    fn page_of(report: &Report) -> String {
        let mut page = Vec::new();
        write(&mut page, report).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn nothing_from_a_log_ends_the_block_of_data_or_becomes_markup() {
        let page = page_of(&hostile());
        assert_eq!(page.matches("<script").count(), 2, "the data and ours");
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains("alert(1)</script>") && !page.contains("<!--"));
        assert!(!page.contains("hbGciOiJub25lIn0"), "a token is masked");
    }

    #[test]
    fn the_data_read_back_as_they_were() {
        let report = hostile();
        let page = page_of(&report);
        let (_, data) = page.split_once("id=\"data\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["incidents"][0]["title"], report.incidents[0]["title"]);
        assert_eq!(data["lines"]["a:1"], report.lines["a:1"]);
    }

    #[test]
    fn the_policy_names_what_is_inline_and_allows_nothing_else() {
        let page = page_of(&hostile());
        let hashes = [
            assets::hash(assets::style()),
            assets::hash(assets::report_script()),
        ];
        for hash in hashes {
            assert!(page.contains(&format!("'sha256-{hash}'")), "{hash}");
        }
        assert!(page.contains("default-src 'none'"));
        for outside in ["http://", "https://", "url(", "@import"] {
            let allowed = page.matches("http://www.w3.org/2000/svg").count();
            let found =
                page.matches(outside).count() - if outside == "http://" { allowed } else { 0 };
            assert_eq!(found, 0, "{outside}");
        }
        let handler = regex::Regex::new(r"<[^>]*\son\w+=").unwrap();
        assert!(!handler.is_match(page.split_once("<script").unwrap().0));
    }
}
