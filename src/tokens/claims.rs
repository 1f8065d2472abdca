//! The claims of a token, whatever JSON or gateway they came from.
//!
//! In: the payload's bytes, or fields that a gateway logged. Out: [`Claims`].
//! Does not know: headers, signatures, which claims are true.
//! Source: RFC 7519, sections 2 (NumericDate) and 4; RFC 9068, section 2.2; RFC 8693, section 4.3;
//! OpenID Connect Front-Channel Logout 1.0, section 3 (`sid`). Vendors' names: Okta `cid` and
//! `scp`, Entra `appid`, `scp` and `uti`, Cognito `origin_jti`.

use crate::domain::time::Time;
use crate::domain::token::Claim;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The last second that RFC 3339 can write. Later ones (milliseconds in place of seconds, "never"
/// as a huge number) are held here, so that nobody overflows when reckoning with them.
const SECOND_MAX: i64 = 253_402_300_799;

/// The claims that anyone here needs. All are optional, in every combination.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) iss: Option<String>,
    pub(super) sub: Option<String>,
    pub(super) aud: Option<String>,
    /// `azp`, else `client_id`, `cid`, `appid`.
    pub(super) azp: Option<String>,
    /// `jti`, else `uti`.
    pub(super) jti: Option<String>,
    pub(super) sid: Option<String>,
    /// `scope`, else `scp`.
    pub(super) scope: Option<String>,
    pub(super) auth_time: Option<i64>,
    pub(super) origin_jti: Option<String>,
    pub(super) iat: Option<i64>,
    pub(super) nbf: Option<i64>,
    pub(super) exp: Option<i64>,
}

impl Claims {
    /// The claims of a payload, if it is a JSON object. A member that stands there twice counts as
    /// most validators read it: the last one.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let members = Members::parse(payload)?;
        let first = |names: &[&str]| names.iter().find_map(|name| members.text(name));
        let second = |name| members.get(name).and_then(second);
        Some(Self {
            iss: members.text("iss"),
            sub: members.text("sub"),
            aud: members.text("aud"),
            azp: first(&["azp", "client_id", "cid", "appid"]),
            jti: first(&["jti", "uti"]),
            sid: members.text("sid"),
            scope: first(&["scope", "scp"]),
            auth_time: second("auth_time"),
            origin_jti: members.text("origin_jti"),
            iat: second("iat"),
            nbf: second("nbf"),
            exp: second("exp"),
        })
    }

    /// The claims that a gateway logged; of a claim logged twice, the first.
    pub(super) fn told(told: &[(Claim, Cow<'_, str>)]) -> Self {
        let text = |wanted| {
            let (_, value) = told.iter().find(|(claim, _)| *claim == wanted)?;
            Some(value.to_string())
        };
        let second = |wanted| text(wanted).and_then(|text| second_of_text(&text));
        Self {
            iss: text(Claim::Iss),
            sub: text(Claim::Sub),
            aud: text(Claim::Aud),
            azp: text(Claim::Azp),
            jti: text(Claim::Jti),
            sid: text(Claim::Sid),
            scope: text(Claim::Scope),
            auth_time: second(Claim::AuthTime),
            origin_jti: text(Claim::OriginJti),
            iat: second(Claim::Iat),
            nbf: second(Claim::Nbf),
            exp: second(Claim::Exp),
        }
    }
}

/// A claim as text: a string, a number as it is written, several joined by a space.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(several) => {
            let texts: Vec<String> = several.iter().filter_map(text).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

/// A NumericDate in whole seconds: fractions are cut off, numbers in quotes count, anything else is
/// no date.
fn second(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .map(held)
            .or_else(|| number.as_f64().and_then(second_of_float)),
        Value::String(text) => second_of_text(text),
        _ => None,
    }
}

fn second_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = text.parse().ok().map(held);
    whole.or_else(|| text.parse().ok().and_then(second_of_float))
}

fn second_of_float(second: f64) -> Option<i64> {
    // The cast saturates, and what it saturates at is held in range.
    second.is_finite().then(|| held(second.floor() as i64))
}

fn held(second: i64) -> i64 {
    let earliest_s = Time::default().plus_ms(i64::MIN).as_s();
    second.clamp(earliest_s, SECOND_MAX)
}

/// The members of one JSON object.
pub(super) struct Members {
    members: HashMap<String, Value>,
    /// True when a name stands there twice (RFC 7515, section 4, and RFC 7519, section 4 forbid
    /// it).
    pub(super) repeated: bool,
}

impl Members {
    /// The members, if the bytes are one JSON object, nested at most as deep as serde_json allows
    /// (128).
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(text)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut members, mut repeated) = (HashMap::new(), false);
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    repeated |= members.insert(name, value).is_some();
                }
                Ok(Members { members, repeated })
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(payload: &str) -> Claims {
        Claims::parse(payload.as_bytes()).expect("an object")
    }

    #[test]
    fn dates_have_a_defined_outcome_however_they_are_written() {
        for (written, read) in [
            ("1700000000", Some(1_700_000_000)),
            ("1700000000.9", Some(1_700_000_000)),
            ("1.7e9", Some(1_700_000_000)),
            ("\"1700000000\"", Some(1_700_000_000)),
            ("-1.5", Some(-2)),
            ("1700000000000", Some(SECOND_MAX)),
            ("18446744073709551615", Some(SECOND_MAX)),
            ("1e300", Some(SECOND_MAX)),
            ("-9223372036854775808", Some(-62_167_219_200)),
            ("\"tomorrow\"", None),
            ("\"NaN\"", None),
            ("null", None),
            ("[1700000000]", None),
        ] {
            assert_eq!(
                claims(&format!(r#"{{"exp":{written}}}"#)).exp,
                read,
                "{written}"
            );
        }
    }

    #[test]
    fn several_values_join_and_other_names_count() {
        let claims = claims(
            r#"{"aud":["a","b"],"scp":["read","write"],"cid":"app","uti":"u1",
                "sub":42,"sid":null}"#,
        );
        assert_eq!(claims.aud.as_deref(), Some("a b"));
        assert_eq!(claims.scope.as_deref(), Some("read write"));
        assert_eq!(claims.azp.as_deref(), Some("app"));
        assert_eq!(claims.jti.as_deref(), Some("u1"));
        assert_eq!(claims.sub.as_deref(), Some("42"));
        assert_eq!(claims.sid, None);
    }

    #[test]
    fn the_last_of_two_equal_members_counts() {
        assert_eq!(claims(r#"{"sub":"a","sub":"b"}"#).sub.as_deref(), Some("b"));
    }
}
