//! The claims of a token, whatever JSON or gateway they came from.
//!
//! In: the payload's bytes, or fields that a gateway logged. Out: [`Claims`].
//! Does not know: headers, signatures, which claims are true.
//! Source: RFC 7519, sections 2 (NumericDate) and 4; RFC 9068, section 2.2; RFC 8693, section 4.3;
//! OpenID Connect Front-Channel Logout 1.0, section 3 (`sid`). Vendors' names: Okta `cid` and
//! `scp`, Entra `appid`, `scp` and `uti`, Cognito `origin_jti`.

use crate::domain::possession::Confirmation;
use crate::domain::time::Time;
use crate::domain::token::Claim;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
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
    /// `tid` (Entra ID), else `tenant`, `tenant_id`, `org_id` (Auth0).
    pub(super) tenant: Option<String>,
    pub(super) auth_time: Option<i64>,
    pub(super) origin_jti: Option<String>,
    pub(super) iat: Option<i64>,
    pub(super) nbf: Option<i64>,
    pub(super) exp: Option<i64>,
    /// `cnf`, and what the OWASP cheat sheet binds a token to.
    pub(super) confirmation: Confirmation,
    pub(super) amr: Option<String>,
}

impl Claims {
    /// The claims of a payload, if it is a JSON object. A member that stands there twice counts as
    /// most validators read it: the last one.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let payload = std::str::from_utf8(payload).ok()?;
        let said: Said = serde_json::from_str(payload).ok()?;
        Some(said.claims())
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
            tenant: None,
            auth_time: second(Claim::AuthTime),
            origin_jti: text(Claim::OriginJti),
            iat: second(Claim::Iat),
            nbf: second(Claim::Nbf),
            exp: second(Claim::Exp),
            confirmation: Confirmation {
                jkt: text(Claim::CnfJkt).map(Into::into),
                x5t_s256: text(Claim::CnfX5t).map(Into::into),
                cookie_sha256: None,
            },
            amr: text(Claim::Amr),
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

/// The same, without a copy of a string that is not needed any more.
pub(super) fn into_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        other => text(&other),
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

/// What is read of a payload: a claim of which several names are known has one slot each, best first.
#[derive(Default)]
struct Said {
    claims: Claims,
    azp: [Option<String>; 4],
    jti: [Option<String>; 2],
    scope: [Option<String>; 2],
    tenant: [Option<String>; 4],
}

impl Said {
    fn member<'de, A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error> {
        let text = match name {
            Name::AuthTime => return second_in(&mut self.claims.auth_time, map),
            Name::Iat => return second_in(&mut self.claims.iat, map),
            Name::Nbf => return second_in(&mut self.claims.nbf, map),
            Name::Exp => return second_in(&mut self.claims.exp, map),
            Name::Cnf => return self.bound(map),
            Name::UserFingerprint => {
                let text = into_text(map.next_value()?);
                self.claims.confirmation.cookie_sha256 = text.map(Into::into);
                return Ok(());
            }
            Name::Other => return map.next_value::<Skipped>().map(drop),
            Name::Iss => &mut self.claims.iss,
            Name::Sub => &mut self.claims.sub,
            Name::Aud => &mut self.claims.aud,
            Name::Sid => &mut self.claims.sid,
            Name::Amr => &mut self.claims.amr,
            Name::OriginJti => &mut self.claims.origin_jti,
            Name::Azp => &mut self.azp[0],
            Name::ClientId => &mut self.azp[1],
            Name::Cid => &mut self.azp[2],
            Name::Appid => &mut self.azp[3],
            Name::Jti => &mut self.jti[0],
            Name::Uti => &mut self.jti[1],
            Name::Scope => &mut self.scope[0],
            Name::Scp => &mut self.scope[1],
            Name::Tid => &mut self.tenant[0],
            Name::Tenant => &mut self.tenant[1],
            Name::TenantId => &mut self.tenant[2],
            Name::OrgId => &mut self.tenant[3],
        };
        *text = into_text(map.next_value()?);
        Ok(())
    }

    fn bound<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let cnf: Value = map.next_value()?;
        let member = |name: &str| cnf.get(name).and_then(Value::as_str).map(Into::into);
        self.claims.confirmation.jkt = member("jkt");
        self.claims.confirmation.x5t_s256 = member("x5t#S256");
        Ok(())
    }

    fn claims(self) -> Claims {
        Claims {
            azp: self.azp.into_iter().flatten().next(),
            jti: self.jti.into_iter().flatten().next(),
            scope: self.scope.into_iter().flatten().next(),
            tenant: self.tenant.into_iter().flatten().next(),
            ..self.claims
        }
    }
}

fn second_in<'de, A: MapAccess<'de>>(slot: &mut Option<i64>, map: &mut A) -> Result<(), A::Error> {
    *slot = second(&map.next_value()?);
    Ok(())
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Said;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
                let mut said = Said::default();
                while let Some(name) = map.next_key()? {
                    said.member(name, &mut map)?;
                }
                Ok(said)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A value that nobody needs, read like one that is kept: what is no JSON is refused wherever it stands, and so is what
/// is nested too deep, which serde's own `IgnoredAny` lets pass.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// The members that are read. What else a payload holds is skipped, not kept.
#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    Iss,
    Sub,
    Aud,
    Azp,
    ClientId,
    Cid,
    Appid,
    Jti,
    Uti,
    Sid,
    Scope,
    Scp,
    AuthTime,
    OriginJti,
    Iat,
    Nbf,
    Exp,
    Cnf,
    Amr,
    Tid,
    Tenant,
    TenantId,
    OrgId,
    #[serde(rename = "userFingerprint")]
    UserFingerprint,
    #[serde(other)]
    Other,
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
