//! The JOSE header: what it names, and what is wrong or remarkable about it.
//!
//! In: the header's bytes, and the issuer that the payload names. Out: [`Header`] and its
//! [`HeaderMarks`].
//! Does not know: keys, signatures.
//! Source: RFC 7515, sections 4 and 10.12; RFC 8725, sections 2.1, 2.9, 3.10; RFC 9449, section
//! 4.2.

use super::claims::{into_text, text};
use crate::domain::token::HeaderMarks;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// Longer key ids than this are no names: thumbprints are 43 characters (RFC 7638), ARNs and key
/// URLs under 128.
const KID_BYTES_MAX: usize = 128;

/// What a `kid` has in it that tries to be a path, a shell command, a string's end or an escape.
/// Slash, plus, colon and at sign are not here: base64, URLs, ARNs and mail addresses are honest
/// key ids.
const KID_PIECES: [&str; 14] = [
    "../", "..\\", "%2e%2e", "%00", "/dev/", "/proc/", "/etc/", "'", "\"", "`", "|", "$(", "<",
    "\\",
];

/// Words of SQL that turn a `kid` with spaces into a query. A space alone does not: people name
/// keys `Key 1`.
const KID_WORDS: [&str; 8] = [
    "select", "union", "from", "where", "insert", "drop", "sleep", "or",
];

/// `alg`, `kid`, `typ`, and perhaps one more.
const MEMBERS_USUAL: usize = 4;

/// A header, as far as anyone needs it.
#[derive(Default)]
pub(super) struct Header {
    pub(super) alg: Option<String>,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    /// True for JWE (RFC 7516, section 4.1.2).
    pub(super) encrypted: bool,
    /// `jku` and `x5u`.
    key_urls: Vec<String>,
    has_jwk: bool,
    crit_unknown: bool,
    malformed: bool,
}

/// The members of the header.
struct Members<'b> {
    members: Vec<(Cow<'b, str>, Value)>,
    /// True when a name stands there twice, which RFC 7515, section 4 forbids.
    repeated: bool,
}

impl<'b> Members<'b> {
    /// The members, if the bytes are one JSON object, nested at most as deep as serde_json allows (128).
    fn parse(bytes: &'b [u8]) -> Option<Self> {
        let Object(members) = serde_json::from_slice(bytes).ok()?;
        let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let repeated = names.windows(2).any(|pair| pair[0] == pair[1]);
        Some(Self { members, repeated })
    }

    /// The value of a member; of several, the last.
    fn get(&self, name: &str) -> Option<&Value> {
        let mut members = self.members.iter().rev();
        members
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// A member's text, which is gone from it then.
    fn take_text(&mut self, name: &str) -> Option<String> {
        let mut members = self.members.iter_mut().rev();
        let (_, value) = members.find(|(known, _)| known == name)?;
        into_text(value.take())
    }
}

/// The members of a JSON object in their order, each as often as it stands there.
struct Object<'b>(Vec<(Cow<'b, str>, Value)>);

/// A member's name, borrowed unless it was escaped.
#[derive(Deserialize)]
struct Named<'b>(#[serde(borrow)] Cow<'b, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsObject;
        impl<'de> Visitor<'de> for AsObject {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(MEMBERS_USUAL);
                while let Some((Named(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(AsObject)
    }
}

impl Header {
    /// Reads the header. One that is no JSON object is empty and malformed.
    pub(super) fn parse(bytes: Option<&[u8]>) -> Self {
        let Some(mut members) = bytes.and_then(Members::parse) else {
            return Self {
                malformed: true,
                ..Self::default()
            };
        };
        let alg = members.take_text("alg");
        Self {
            malformed: members.repeated || alg.is_none(),
            kid: members.take_text("kid"),
            typ: members.take_text("typ"),
            encrypted: members.get("enc").is_some(),
            key_urls: ["jku", "x5u"]
                .into_iter()
                .filter_map(|name| members.get(name))
                .map(|url| text(url).unwrap_or_default())
                .collect(),
            has_jwk: members.get("jwk").is_some(),
            crit_unknown: members.get("crit").is_some_and(|crit| !is_known_crit(crit)),
            alg,
        }
    }

    /// A header of which a gateway logged only these members.
    pub(super) fn told(alg: Option<String>, kid: Option<String>, typ: Option<String>) -> Self {
        Self {
            alg,
            kid,
            typ,
            ..Self::default()
        }
    }

    /// What is wrong or remarkable, for a token that says it is of this issuer.
    ///
    /// Certificates (`x5c`, `x5t`) in the header are honest and common, so they are no mark. `jku`
    /// and `x5u` are one unless they stay on the issuer's own host over https: SAP and Cloud
    /// Foundry send that with every token. A `jwk` belongs into DPoP proofs and nowhere else.
    pub(super) fn marks(&self, issuer: Option<&str>) -> HeaderMarks {
        let is_proof = self.typ.as_deref() == Some("dpop+jwt");
        HeaderMarks {
            alg_none: self.alg.as_deref().is_some_and(is_none),
            injection: self.kid.as_deref().is_some_and(is_injection)
                || self.key_urls.iter().any(|url| !stays_at(url, issuer))
                || (self.has_jwk && !is_proof)
                || self.crit_unknown,
            malformed: self.malformed,
        }
    }
}

fn is_none(alg: &str) -> bool {
    let alg = alg.trim();
    alg.is_empty() || alg.eq_ignore_ascii_case("none")
}

fn is_injection(kid: &str) -> bool {
    // Nearly every key id is a plain name or a thumbprint, and nothing below is found in one.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:=".contains(&byte);
    if kid.len() <= KID_BYTES_MAX && kid.bytes().all(is_plain) {
        return false;
    }
    let lower = kid.to_ascii_lowercase();
    let mut words = lower.split_ascii_whitespace();
    kid.len() > KID_BYTES_MAX
        || kid.chars().any(char::is_control)
        || KID_PIECES.iter().any(|piece| lower.contains(piece))
        || (lower.contains(' ') && words.any(|word| KID_WORDS.contains(&word)))
}

/// RFC 7797 defines `b64`; no other extension is one that validators of access tokens know.
fn is_known_crit(crit: &Value) -> bool {
    matches!(crit.as_array().map(Vec::as_slice), Some([only]) if only == "b64")
}

/// True for an https URL on the very host of the issuer, in a spelling that no parser reads
/// otherwise.
fn stays_at(url: &str, issuer: Option<&str>) -> bool {
    let host = |url: &str| {
        let authority = url
            .strip_prefix("https://")?
            .split(['/', '?', '#'])
            .next()?;
        let plain = !authority.is_empty() && !authority.contains(['@', '\\', '%']);
        plain.then(|| authority.to_ascii_lowercase())
    };
    issuer
        .and_then(host)
        .is_some_and(|at| host(url) == Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(header: &str) -> HeaderMarks {
        Header::parse(Some(header.as_bytes())).marks(Some("https://idp.example.com/"))
    }

    #[test]
    fn an_ordinary_header_has_no_marks() {
        for header in [
            r#"{"alg":"RS256","typ":"at+jwt","kid":"2026-05"}"#,
            r#"{"alg":"RS256","kid":"Key 1","x5t":"abc","x5c":["MIIB"]}"#,
            r#"{"alg":"ES256","kid":"did:key:z6Mk/+=#key@example.com"}"#,
            r#"{"alg":"RS256","jku":"https://idp.example.com/keys?v=1"}"#,
            r#"{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC"}}"#,
            r#"{"alg":"ES256","crit":["b64"],"b64":true}"#,
        ] {
            assert_eq!(marks(header), HeaderMarks::default(), "{header}");
        }
    }

    #[test]
    fn alg_none_is_seen_in_any_spelling() {
        for alg in ["none", "None", "nOnE", "NONE", "", " none "] {
            let marks = marks(&format!(r#"{{"alg":"{alg}"}}"#));
            assert!(marks.alg_none && !marks.malformed, "{alg}");
        }
    }

    #[test]
    fn a_header_that_is_none_is_malformed() {
        for header in [
            "",
            "{",
            "[]",
            "1",
            r#"{"typ":"JWT"}"#,
            r#"{"alg":5,"alg":null}"#,
            r#"{"alg":"RS256","alg":"none"}"#,
            r#"{"alg":"RS256","x":1,"x":2}"#,
        ] {
            assert!(marks(header).malformed, "{header}");
        }
        assert!(Header::parse(None).marks(None).malformed);
    }

    #[test]
    fn a_header_that_steers_the_key_look_up_is_an_injection() {
        let long = "k".repeat(KID_BYTES_MAX + 1);
        for kid in [
            "../../dev/null",
            "..\\\\x",
            "/dev/null",
            "%2E%2E%2Fkey",
            "a\\u0000b",
            "a\\nb",
            "x' OR '1'='1",
            "x union select 1",
            "a|cat",
            "$(id)",
            &long,
        ] {
            let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
            assert!(marks(&header).injection, "{header}");
        }
        for member in [
            r#""jku":"https://evil.example.net/keys""#,
            r#""jku":"https://idp.example.com@evil.example.net/""#,
            r#""x5u":"http://idp.example.com/cert""#,
            r#""jku":7"#,
            r#""jwk":{"kty":"oct"}"#,
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
        ] {
            let header = format!(r#"{{"alg":"RS256",{member}}}"#);
            assert!(marks(&header).injection, "{header}");
        }
    }
}
