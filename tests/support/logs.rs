//! Access logs that tell a story in the invented world of documentation addresses.
//!
//! In: who asks for what, when. Out: lines as nginx writes them, and tokens of the story's people.
//! Does not know: anything of the crate.

use super::mint::mint;
use serde_json::{Value, json};

/// Whose tokens they are.
pub(crate) const ISSUER: &str = "https://idp.example.com/";
/// A person in Lisbon, at home.
pub(crate) const LISBON: &str = "192.0.2.10";
/// A rented machine in Tokyo.
pub(crate) const TOKYO: &str = "198.51.100.5";
/// What the person uses.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
/// What a thief may use.
pub(crate) const OTHER_BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0";
/// What a thief may use instead.
pub(crate) const TOOL: &str = "python-requests/2.32.3";
/// 2026-05-04T10:00:00Z.
pub(crate) const MORNING_S: i64 = 1_777_888_800;

/// Claims of a subject's token that was issued then, for eight hours.
pub(crate) fn claims(sub: &str, issued_s: i64) -> Value {
    json!({
        "iss": ISSUER, "sub": sub, "jti": format!("{sub}-{issued_s}"), "sid": format!("sid-{sub}"),
        "iat": issued_s, "nbf": issued_s, "exp": issued_s + 8 * 3600, "aud": "https://api.example.com",
    })
}

/// A subject's token of the morning.
pub(crate) fn token(sub: &str) -> String {
    mint(&claims(sub, MORNING_S - 600), "rsa-2048")
}

/// One request in nginx's JSON, with its line ending.
pub(crate) fn line(time_s: i64, client: &str, agent: &str, path: &str, token: &str) -> String {
    let line = json!({
        "msec": format!("{time_s}.000"), "remote_addr": client, "request_method": "GET",
        "request_uri": path, "status": "200", "body_bytes_sent": "512",
        "request_id": format!("{time_s:032x}"), "http_user_agent": agent,
        "http_authorization": format!("Bearer {token}"),
    });
    format!("{line}\n")
}

/// A subject works in Lisbon; four minutes later the same token is used by a tool in Tokyo.
pub(crate) fn theft(sub: &str, from_s: i64) -> String {
    let token = token(sub);
    let mut log = String::new();
    for step in 0..6 {
        log += &line(from_s + step * 30, LISBON, BROWSER, "/api/orders", &token);
    }
    for step in 0..3 {
        log += &line(from_s + 400 + step, TOKYO, TOOL, "/api/export", &token);
    }
    log
}
