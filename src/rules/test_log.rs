//! The logs of rules' own tests: log lines in which tokens are described and minted when the test runs, so that no
//! token stands in a rule.
//!
//! In: `${jwt {"sub":"bob"}}` among log lines. Out: the lines with tokens in them, signed with a published key.
//! Does not know: log formats, what a rule makes of it.
//! Source: RFC 7515, section 3.1 and appendix A.1 and A.3, whose example keys are used.

use super::rule::TestKeys;
use crate::domain::mistake::Mistake;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};

/// The issuer of the minted tokens.
pub const ISSUER: &str = "https://idp.example.com/";

/// How a token to mint begins.
const OPENING: &str = "${jwt ";

/// How a DPoP proof to mint begins.
const PROOF_OPENING: &str = "${dpop ";

/// The key pair of RFC 8037, appendix A.1, which signs proofs. Its thumbprint is
/// `kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k` (appendix A.3).
const PROOF_KEY: (&str, &str) = (
    "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
);

/// The key pair of RFC 8032, section 7.1, test 2, for proofs by somebody else.
const OTHER_PROOF_KEY: (&str, &str) = (
    "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs",
    "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
);

/// The key of RFC 7515, appendix A.1: it signs the tokens.
const SECRET: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

/// The key set to configure for [`ISSUER`] in a rule's test; `None` for none.
pub fn key_set(keys: TestKeys) -> Option<String> {
    let key = match keys {
        TestKeys::None => return None,
        TestKeys::Symmetric => json!({"kty": "oct", "alg": "HS256", "k": SECRET}),
        // RFC 7515, appendix A.3.
        TestKeys::Asymmetric => json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }),
    };
    let mut key = key;
    key["kid"] = json!("test");
    key["use"] = json!("sig");
    Some(json!({ "keys": [key] }).to_string())
}

/// The log with every token minted.
///
/// A token is `${jwt CLAIMS}`, `${jwt CLAIMS HEADER}`, `${jwt CLAIMS forged}` or `${jwt CLAIMS unsigned}`, claims and
/// header as JSON objects. They are put over defaults: issuer [`ISSUER`], subject `alice`, session `s1`, id `a1`,
/// valid on 4 May 2026 from 8 to 20 o'clock UTC; HS256. `null` takes a default away. Times may be written as RFC 3339.
///
/// A DPoP proof is `${dpop CLAIMS}`, by the key with the thumbprint of RFC 8037, appendix A.3, or by another key,
/// `${dpop CLAIMS other}`.
///
/// # Errors
/// The first token that is not described like this, with its place in the log.
pub fn expand(log: &str) -> Result<String, Mistake> {
    let mut lines = String::with_capacity(log.len() * 2);
    let mut at = 0;
    while let Some((before, opening)) = log.get(at..).and_then(next_opening) {
        let start = at + before.len();
        let after = start + opening.len();
        let wrong = |message: String| Mistake::at(start..after, message);
        let text = log.get(after..).unwrap_or_default();
        let minted = match opening == OPENING {
            true => mint(text),
            false => proof(text),
        };
        let (token, length) = minted.map_err(wrong)?;
        lines.push_str(before);
        lines.push_str(&token);
        at = after + length;
    }
    lines.push_str(log.get(at..).unwrap_or_default());
    Ok(lines)
}

/// What stands before the next description, and how that begins.
fn next_opening(rest: &str) -> Option<(&str, &'static str)> {
    let openings = [OPENING, PROOF_OPENING].into_iter();
    let found = openings.filter_map(|opening| Some((rest.find(opening)?, opening)));
    let (at, opening) = found.min()?;
    Some((rest.get(..at)?, opening))
}

/// The DPoP proof that `text` describes up to its `}`, and how long the description is.
fn proof(text: &str) -> Result<(String, usize), String> {
    let (claims, length) = object(text)?;
    let rest = text.get(length..).unwrap_or_default();
    let (secret, public) = match rest.starts_with(" other}") {
        true => OTHER_PROOF_KEY,
        false => PROOF_KEY,
    };
    let end = rest.strip_prefix(" other").unwrap_or(rest);
    if !end.starts_with('}') {
        return Err("expected `}` or `other` after the claims".into());
    }
    let header = json!({
        "typ": "dpop+jwt", "alg": "EdDSA",
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": public},
    });
    let all_claims = json!({
        "jti": "p1", "htm": "GET", "htu": "https://api.example.com/api/orders",
        "iat": 1_777_888_800,
    });
    let header = over(header, &Map::new());
    let unsigned = format!("{}.{}", part(&header), part(&over(all_claims, &claims)));
    let bytes = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes());
    let pair = bytes(secret).ok().zip(bytes(public).ok());
    let pair = pair.and_then(|(secret, public)| {
        Ed25519KeyPair::from_seed_and_public_key(&secret, &public).ok()
    });
    let pair = pair.ok_or("the key of proofs cannot be read")?;
    let signature = BASE64URL_NOPAD.encode(pair.sign(unsigned.as_bytes()).as_ref());
    let length = length + rest.len() - end.len() + 1;
    Ok((format!("{unsigned}.{signature}"), length))
}

/// The token that `text` describes up to its `}`, and how long the description is.
fn mint(text: &str) -> Result<(String, usize), String> {
    let (claims, claims_length) = object(text)?;
    let mut length = claims_length;
    let mut rest = text.get(length..).unwrap_or_default();
    let mut header = Map::new();
    let mut signing = Signing::Right;
    if let Some(after) = rest.strip_prefix(" forged") {
        signing = Signing::Wrong;
        rest = after;
    } else if let Some(after) = rest.strip_prefix(" unsigned") {
        signing = Signing::Missing;
        rest = after;
    } else if rest.starts_with(" {") {
        let (given, header_length) = object(rest)?;
        header = given;
        rest = rest.get(header_length..).unwrap_or_default();
    }
    if !rest.starts_with('}') {
        return Err("expected `}`, a header, `forged` or `unsigned` after the claims".into());
    }
    length += text.len() - length - rest.len() + 1;
    Ok((token(&claims, &header, signing)?, length))
}

fn object(text: &str) -> Result<(Map<String, Value>, usize), String> {
    let mut objects = serde_json::Deserializer::from_str(text).into_iter();
    match objects.next() {
        Some(Ok(object)) => Ok((object, objects.byte_offset())),
        Some(Err(error)) => Err(format!("expected a JSON object: {error}")),
        None => Err("expected a JSON object".into()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signing {
    Right,
    Wrong,
    Missing,
}

fn token(
    claims: &Map<String, Value>,
    header: &Map<String, Value>,
    signing: Signing,
) -> Result<String, String> {
    let all_claims = json!({
        "iss": ISSUER, "sub": "alice", "sid": "s1", "jti": "a1",
        "iat": "2026-05-04T08:00:00Z", "exp": "2026-05-04T20:00:00Z",
    });
    let mut claims = over(all_claims, claims);
    for name in ["iat", "nbf", "exp", "auth_time"] {
        if let Some(Value::String(time)) = claims.get(name) {
            let time: jiff::Timestamp = time.parse().map_err(|_| format!("`{time}` is no time"))?;
            claims.insert(name.into(), time.as_second().into());
        }
    }
    let header = over(json!({"alg": "HS256", "typ": "JWT", "kid": "test"}), header);
    let unsigned = format!("{}.{}", part(&header), part(&claims));
    let is_none =
        matches!(header.get("alg"), Some(Value::String(alg)) if alg.eq_ignore_ascii_case("none"));
    if signing == Signing::Missing {
        return Ok(unsigned);
    }
    if is_none {
        return Ok(format!("{unsigned}."));
    }
    let mut secret = BASE64URL_NOPAD
        .decode(SECRET.as_bytes())
        .map_err(|error| error.to_string())?;
    if signing == Signing::Wrong {
        secret.reverse();
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let signature = hmac::sign(&key, unsigned.as_bytes());
    let signature = BASE64URL_NOPAD.encode(signature.as_ref());
    Ok(format!("{unsigned}.{signature}"))
}

/// The defaults with what is given put over them.
fn over(defaults: Value, given: &Map<String, Value>) -> Map<String, Value> {
    let Value::Object(mut all) = defaults else {
        return given.clone();
    };
    for (name, value) in given {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| !value.is_null());
    all
}

fn part(object: &Map<String, Value>) -> String {
    BASE64URL_NOPAD.encode(json!(object).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(token: &str, part: usize) -> Value {
        let part = token.split('.').nth(part).unwrap();
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn tokens_are_minted_where_they_stand() {
        let log = r#"a ${jwt {}} b ${jwt {"sub":"bob","exp":null,"iat":"1970-01-01T00:01:00Z"} {"kid":"k"}} c"#;
        let expanded = expand(log).unwrap();
        let words: Vec<&str> = expanded.split(' ').collect();
        assert_eq!((words[0], words[2], words[4]), ("a", "b", "c"));
        assert_eq!(decoded(words[1], 1)["sub"], "alice");
        assert_eq!(decoded(words[3], 1)["sub"], "bob");
        assert_eq!(decoded(words[3], 1)["iat"], 60);
        assert_eq!(decoded(words[3], 1)["exp"], Value::Null);
        assert_eq!(
            decoded(words[3], 0),
            json!({"alg": "HS256", "typ": "JWT", "kid": "k"})
        );
    }

    #[test]
    fn a_token_is_signed_as_described() {
        let parts = |log| {
            expand(log)
                .unwrap()
                .split('.')
                .map(str::len)
                .collect::<Vec<_>>()
        };
        let right = expand("${jwt {}}").unwrap();
        let wrong = expand("${jwt {} forged}").unwrap();
        assert_ne!(right, wrong);
        assert_eq!(
            right.rsplit_once('.').unwrap().0,
            wrong.rsplit_once('.').unwrap().0
        );
        assert_eq!(parts("${jwt {} unsigned}").len(), 2);
        assert_eq!(parts(r#"${jwt {} {"alg":"nOnE"}}"#)[2], 0);
    }

    #[test]
    fn what_is_no_description_is_shown_where_it_stands() {
        for log in [
            "x ${jwt ",
            "x ${jwt {}",
            "x ${jwt {} x}",
            "x ${jwt []}",
            r#"x ${jwt {"exp":"soon"}}"#,
        ] {
            let mistake = expand(log).unwrap_err();
            assert_eq!(mistake.span, Some(2..8), "{log}");
        }
    }

    proptest! {
        #[test]
        fn no_log_panics(log in r"(\$\{jwt |\{\}|\}|forged|\PC){0,20}") {
            let _ = expand(&log);
        }
    }
}
