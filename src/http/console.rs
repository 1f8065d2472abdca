//! `GET /`: the console. A page without data, its script and its style; the script asks the endpoints.
//!
//! In: nothing. Out: three files that are in the program. Does not know: incidents.
//! Source: Content Security Policy Level 3; Trusted Types, <https://www.w3.org/TR/trusted-types/>.

use crate::report::assets;
use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};
use std::sync::LazyLock;

/// Everything comes from here and nothing else runs; text never becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

pub(super) fn routes() -> Router {
    Router::new()
        .route("/", get(page))
        .route("/console.js", get(|| file("text/javascript", script())))
        .route("/console.css", get(|| file("text/css", style())))
        .route(
            "/console.svg",
            get(|| file("image/svg+xml", include_str!("console/icon.svg"))),
        )
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let kind = format!("{kind}; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text)
}

/// The console's script.
pub(crate) fn script() -> &'static str {
    static SCRIPT: LazyLock<String> =
        LazyLock::new(|| assets::program(include_str!("console/console.js")));
    &SCRIPT
}

fn style() -> &'static str {
    static STYLE: LazyLock<String> = LazyLock::new(|| {
        let own = include_str!("console/console.css");
        format!("{}\n{own}", assets::style())
    });
    &STYLE
}

async fn page() -> impl IntoResponse {
    let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    (policy, Html(markup().into_string()))
}

fn markup() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Tokentrip" }
                link rel="icon" href="/console.svg" type="image/svg+xml";
                link rel="stylesheet" href="/console.css";
                script src="/console.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip the list" }
                header.top-bar {
                    h1 { a href="#" { "Tokentrip" } }
                    div #tabs {}
                    p #state role="status" {}
                }
                div.columns {
                    nav.side aria-label="Incidents" {}
                    main #main {}
                }
                noscript { p { "The console needs scripts. `tokentrip incidents list` shows the same." } }
            }
        }
    }
}
