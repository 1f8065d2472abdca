//! Requests as a gateway logs them.
//!
//! In: [`Request`]s. Out: the text of an access log in one of three shapes that gateways write.
//! Does not know: who makes the requests, and why.
//! Source: nginx `ngx_http_log_module` (`log_format`, `escape=json`, `combined`).

use super::people::{Device, Token};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::{Value, json};

/// One request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Unix time, seconds.
    pub(crate) at_s: i64,
    pub(crate) device: Device,
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) host: &'static str,
    pub(crate) referer: &'static str,
    pub(crate) token: Option<Token>,
}

/// How the gateway writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// nginx, `escape=json`, with the Authorization header: the log_format that Tokentrip asks for.
    Json,
    /// nginx `combined` with `"$http_authorization"` behind it.
    Combined,
    /// JSON with claims that the gateway decoded, and no token.
    Claims,
}

/// The log of these requests, in order of time.
pub(crate) fn text(mut requests: Vec<Request>, shape: Shape) -> String {
    requests.sort_by_key(|request| request.at_s);
    let numbered = requests.iter().zip(1..);
    numbered
        .map(|(request, number)| line(request, number, shape) + "\n")
        .collect()
}

fn line(request: &Request, number: u64, shape: Shape) -> String {
    match shape {
        Shape::Combined => combined(request),
        Shape::Json | Shape::Claims => json_line(request, number, shape),
    }
}

fn combined(request: &Request) -> String {
    let authorization = match &request.token {
        Some(token) => format!("Bearer {}", token.text),
        None => "-".to_owned(),
    };
    let referer = if request.referer.is_empty() {
        "-"
    } else {
        request.referer
    };
    format!(
        "{} - - [{}] \"{} {} HTTP/2.0\" {} {} \"{referer}\" \"{}\" \"{authorization}\"",
        request.device.address,
        utc(request).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        request.method,
        request.target,
        request.status,
        request.bytes,
        request.device.agent,
    )
}

fn utc(request: &Request) -> DateTime {
    Offset::UTC.to_datetime(Timestamp::from_second(request.at_s).unwrap())
}

fn json_line(request: &Request, number: u64, shape: Shape) -> String {
    let id = dice(request.at_s as u64 ^ number << 40);
    let mut fields: Vec<(&str, Value)> = vec![
        (
            "time_iso8601",
            json!(utc(request).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()),
        ),
        ("remote_addr", json!(request.device.address)),
        ("http_x_forwarded_for", json!("")),
        ("request_method", json!(request.method)),
        ("host", json!(request.host)),
        ("request_uri", json!(request.target)),
        ("status", json!(request.status)),
        ("body_bytes_sent", json!(request.bytes)),
        ("request_time", json!((id % 180 + 4) as f64 / 1000.0)),
        ("request_id", json!(format!("{id:016x}{:016x}", dice(id)))),
        ("http_referer", json!(request.referer)),
        ("http_user_agent", json!(request.device.agent)),
    ];
    let token = request.token.as_ref();
    match (shape, token) {
        (Shape::Claims, Some(token)) => {
            for (name, claim) in [
                ("jwt_claim_iss", "iss"),
                ("jwt_claim_sub", "sub"),
                ("jwt_claim_azp", "azp"),
                ("jwt_claim_sid", "sid"),
                ("jwt_claim_jti", "jti"),
                ("jwt_claim_iat", "iat"),
                ("jwt_claim_exp", "exp"),
            ] {
                fields.push((name, token.claims[claim].clone()));
            }
        }
        (Shape::Claims, None) => {}
        (_, token) => {
            let value = token.map_or(String::new(), |token| format!("Bearer {}", token.text));
            fields.push(("http_authorization", json!(value)));
        }
    }
    // Objects of serde_json sort their names; a gateway writes them as its log_format says.
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// A number that looks random and is the same every time.
/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014 (SplitMix64).
pub(crate) fn dice(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
