//! Errors as JSON: what is wrong and what to do.
//!
//! In: a status, words. Out: `{"error":…,"hint":…}`. Does not know: requests.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An answer that is none.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    error: String,
    hint: &'static str,
}

impl Fault {
    pub(super) fn new(status: StatusCode, error: impl Into<String>, hint: &'static str) -> Self {
        Self {
            status,
            error: error.into(),
            hint,
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = serde_json::json!({"error": self.error, "hint": self.hint});
        let mut response = json(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"tokentrip\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// A JSON answer with a line ending, for terminals.
pub(super) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    // Only maps with keys that are no text fail, and no answer has one.
    let text = serde_json::to_string(body).unwrap_or_default() + "\n";
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

pub(super) async fn not_found() -> Fault {
    let hint = "there are /metrics, /healthz, /readyz, /v1/check, /v1/incidents and the console at /; they can be at \
                different addresses";
    Fault::new(StatusCode::NOT_FOUND, "nothing is here", hint)
}
