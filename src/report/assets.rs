//! What pages are made of: style, scripts, the land of the Earth. The report has it inline, the console serves it.
//!
//! In: files of this folder. Out: texts, and their hashes for a Content Security Policy.
//! Does not know: pages. The scripts are pieces of one program without modules, so that they can stand in one file.

use data_encoding::BASE64;
use std::sync::LazyLock;

/// Natural Earth's land as the path of an SVG (`data/README.md`).
const LAND: &str = include_str!("data/land.txt");

/// What report and console share, in the order of need.
const SHARED: [&str; 5] = [
    include_str!("assets/dom.js"),
    include_str!("assets/map.js"),
    include_str!("assets/timeline.js"),
    include_str!("assets/incident.js"),
    include_str!("assets/list.js"),
];

/// The style sheet of report and console.
pub fn style() -> &'static str {
    include_str!("assets/style.css").trim()
}

/// The script of a report.
pub fn report_script() -> &'static str {
    static SCRIPT: LazyLock<String> = LazyLock::new(|| program(include_str!("assets/report.js")));
    &SCRIPT
}

/// A program of the shared pieces and what comes after them.
pub fn program(last: &str) -> String {
    let land = LAND.trim();
    let shared = SHARED.concat();
    format!("(() => {{\n\"use strict\";\nconst LAND = \"{land}\";\n{shared}{last}}})();")
}

/// The hash by which a policy names a text.
pub fn hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    BASE64.encode(digest.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_land_is_a_path_and_nothing_else() {
        let path = |c: char| c.is_ascii_digit() || " -Mlz".contains(c);
        assert!(LAND.trim().chars().all(path));
        assert!(LAND.len() < 40_000);
    }

    #[test]
    fn no_script_parses_markup_or_reaches_out() {
        let console = crate::http::console_script();
        for (name, script) in [("report", report_script()), ("console", console)] {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "setAttribute(\"on",
                "srcdoc",
                "javascript:",
                "</script",
            ] {
                assert!(!script.contains(word), "{name}: {word}");
            }
        }
        for word in [
            "fetch(",
            "XMLHttpRequest",
            "WebSocket",
            "EventSource",
            "localStorage",
        ] {
            assert!(!report_script().contains(word), "{word}");
        }
    }
}
