//! The page round the data.
//!
//! In: a [`Report`] and its data as JSON. Out: HTML. Without scripts it still says what was found and what to do.
//! Does not know: how incidents are drawn (`assets/`).

use super::{Report, assets};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

/// Incidents that a reader without scripts is shown.
const LISTED_MAX: usize = 1000;

/// The whole page.
pub(super) fn page(report: &Report, data: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(concat!("tokentrip ", env!("CARGO_PKG_VERSION")));
                title { "Tokentrip" }
                style { (PreEscaped(assets::style())) }
            }
            body {
                a.skip href="#main" { "Skip the list" }
                header.top-bar {
                    h1 { a href="#" { "Tokentrip" } }
                    p { (report.about) }
                    p { "made " time datetime=(report.made) { (report.made) } }
                }
                div.columns {
                    nav.side aria-label="Incidents" {}
                    main #main {}
                }
                noscript { (list(&report.incidents)) }
                script type="application/json" id="data" { (PreEscaped(data)) }
                script { (PreEscaped(assets::report_script())) }
            }
        }
    }
}

/// What is inline is named by its hash; nothing is fetched, sent, framed or parsed from text.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        assets::hash(assets::report_script()),
        assets::hash(assets::style()),
    )
}

/// The incidents for a reader whose browser runs no script.
fn list(incidents: &[Value]) -> Markup {
    let text = |incident: &Value, field: &str| {
        let text = incident[field].as_str().unwrap_or_default();
        crate::domain::mask::mask(text).into_owned()
    };
    html! {
        main {
            h2 { (incidents.len()) " incidents" }
            p { "The map, the timeline and the details need scripts, which this page brings along." }
            ol {
                @for incident in incidents.iter().take(LISTED_MAX) {
                    li {
                        p { strong { (text(incident, "level")) } " " (text(incident, "title")) }
                        p { (text(incident, "next")) }
                        p { code { (text(incident, "id")) } }
                    }
                }
            }
        }
    }
}
