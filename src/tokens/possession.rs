//! Whether a request shows the key that its token is bound to.
//!
//! In: a token with its `cnf`, the proofs in the event. Out: [`Fits`].
//! Does not know: whether the gateway asks for a proof, or what a wrong one means.
//! Source: RFC 9449, sections 4.2, 4.3 and 7.1 (DPoP); RFC 7638 (thumbprints); RFC 8705, section 3.1 (certificates);
//! RFC 9440 (`Client-Cert`); Envoy, "x-forwarded-client-cert".

use super::base64;
use super::keys::{KeySet, algorithm};
use crate::domain::bytes::has_any;
use crate::domain::event::AccessEvent;
use crate::domain::ids::IdKey;
use crate::domain::possession::{Confirmation, Fit, Fits, Possession};
use crate::domain::token::{Credential, CredentialPlace, Shape};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use memchr::memmem;
use serde_json::Value;

/// Servers refuse longer headers (nginx: 8 KiB a line); a chain of certificates may take two.
const PROOF_BYTES_MAX: usize = 16 * 1024;

/// The cookie of the OWASP cheat sheet is `__Secure-Fgp`; the value goes on to the next `;`.
const COOKIE: &[u8] = b"Fgp=";

/// What the request shows of the key that the token is bound to.
pub fn fits(
    credential: &Credential<'_>,
    bound: &Confirmation,
    event: &AccessEvent<'_>,
    key: &IdKey,
) -> Fits {
    let shown = event.possession.as_deref();
    let mut fits = Fits {
        certificate: certificate(bound, shown),
        cookie: cookie(bound, shown),
        ..Fits::default()
    };
    let Some(jkt) = bound.jkt.as_deref() else {
        return fits;
    };
    let scheme = shown.is_some_and(|shown| shown.dpop_scheme);
    let text = shown.and_then(|shown| shown.proof.as_deref());
    let Some(proof) = text.and_then(Proof::parse) else {
        // Only a header tells its scheme, and only whole text whether a proof came with it.
        let bare = credential.place == CredentialPlace::Header && !scheme && text.is_none();
        fits.dpop = if bare { Fit::Missing } else { Fit::Unknown };
        return fits;
    };
    let token = match &credential.shape {
        Shape::Raw(raw) => Some(raw.expose()),
        Shape::Claims(_) | Shape::Hash(..) | Shape::Scrubbed(_) => None,
    };
    fits.dpop = proof.fit(jkt, token, event);
    fits.target = proof.target(event);
    fits.proof = proof.id().map(|id| {
        let parts = [jkt, id].join("\u{0}");
        key.short_digest_of(parts.as_bytes())
    });
    fits
}

/// The hash of the cookie that tokens may be bound to, where there is one among the cookies.
pub(super) fn cookie_sha256(cookies: &str) -> Option<[u8; 32]> {
    let at = memmem::find(cookies.as_bytes(), COOKIE)? + COOKIE.len();
    let value = cookies.get(at..)?.split(';').next()?.trim();
    (!value.is_empty()).then(|| sha256(value.as_bytes()))
}

fn cookie(bound: &Confirmation, shown: Option<&Possession<'_>>) -> Fit {
    let Some(expected) = bound.cookie_sha256.as_deref() else {
        return Fit::Unknown;
    };
    let Some(found) = shown.and_then(|shown| shown.cookie_sha256) else {
        return Fit::Unknown;
    };
    same(hexadecimal(expected) == Some(found.to_vec()))
}

fn certificate(bound: &Confirmation, shown: Option<&Possession<'_>>) -> Fit {
    let Some(expected) = bound.x5t_s256.as_deref().and_then(base64::decode) else {
        return Fit::Unknown;
    };
    let Some(shown) = shown else {
        return Fit::Missing;
    };
    let told = shown.certificate_sha256.as_deref().and_then(hexadecimal);
    let found = told.or_else(|| shown.certificate.as_deref().and_then(certificate_sha256));
    match found {
        Some(found) => same(found == expected),
        None if shown.certificate.is_some() || shown.certificate_sha256.is_some() => Fit::Unknown,
        None => Fit::Missing,
    }
}

fn same(is: bool) -> Fit {
    if is { Fit::Fits } else { Fit::Differs }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// A hash in hexadecimal digits, with colons or without.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let text = text.get(..128).unwrap_or(text);
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    (bytes.len() == 32).then_some(bytes)
}

/// The hash of a certificate: told by Envoy (`Hash=…;Cert="…"`), or made of PEM, percent-encoded (nginx, load
/// balancers) or not, of base64 alone (Traefik), or of base64 between colons (RFC 9440).
fn certificate_sha256(text: &str) -> Option<Vec<u8>> {
    if text.len() > PROOF_BYTES_MAX {
        return None;
    }
    let part = |name: &str| {
        let mut parts = text.split([';', ',']);
        parts.find_map(|part| part.trim().strip_prefix(name))
    };
    if let Some(hash) = part("Hash=") {
        return hexadecimal(hash);
    }
    let text = part("Cert=").unwrap_or(text);
    let text = percent_decoded(text.trim_matches(['"', ':']));
    let inner = match text.split_once("-----BEGIN CERTIFICATE-----") {
        Some((_, after)) => after.split("-----END").next()?,
        // Traefik puts a comma between the certificates of a chain.
        None => text.split(',').next()?,
    };
    // nginx writes line ends of PEM as tabs, `\n` or nothing.
    let inner = inner.replace("\\n", "").replace("\\t", "");
    let digits: String = inner.chars().filter(|c| !c.is_whitespace()).collect();
    let der = BASE64.decode(digits.as_bytes()).ok()?;
    // A certificate is a SEQUENCE (RFC 5280, section 4.1).
    (der.first() == Some(&0x30)).then(|| sha256(&der).to_vec())
}

fn percent_decoded(text: &str) -> String {
    if !has_any(text.as_bytes(), [b'%']) {
        return text.to_owned();
    }
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) => {
                decoded.push(char::from(code));
                decoded.push_str(part.get(2..).unwrap_or_default());
            }
            None => decoded.push_str(part),
        }
    }
    decoded
}

/// A DPoP proof, taken apart.
struct Proof<'a> {
    message: &'a str,
    signature: &'a str,
    header: Value,
    claims: Value,
}

impl<'a> Proof<'a> {
    /// Nothing can be said of one that was cut or redacted.
    fn parse(text: &'a str) -> Option<Self> {
        if text.len() > PROOF_BYTES_MAX {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let object = |part| {
            let value: Value = serde_json::from_slice(&base64::decode(part)?).ok()?;
            value.is_object().then_some(value)
        };
        Some(Self {
            message,
            signature,
            header: object(header)?,
            claims: object(claims)?,
        })
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    fn id(&self) -> Option<&str> {
        self.claim("jti")
    }

    /// Whether the proof is of that key, for this method and token, and signed.
    fn fit(&self, jkt: &str, token: Option<&str>, event: &AccessEvent<'_>) -> Fit {
        let thumbprint = self.header.get("jwk").and_then(thumbprint);
        let method = self.claim("htm").zip(event.method.as_deref());
        let hash = self.claim("ath").zip(token);
        let hash = hash.map(|(hash, token)| (base64::decode(hash), sha256(token.as_bytes())));
        let differs = thumbprint.is_none_or(|thumbprint| thumbprint != jkt)
            || method.is_some_and(|(made_for, method)| made_for != method)
            || hash.is_some_and(|(hash, token)| hash.as_deref() != Some(&token[..]))
            || self.is_signed() == Some(false);
        same(!differs)
    }

    /// Whether the key in the header signed the proof; `None` for algorithms that cannot be checked here.
    fn is_signed(&self) -> Option<bool> {
        let alg = self.header.get("alg").and_then(Value::as_str)?;
        let alg = algorithm(alg)?;
        let set = serde_json::json!({ "keys": [self.header.get("jwk")?] }).to_string();
        let set = KeySet::parse(set.as_bytes()).ok()?;
        let key = set.keys.first().filter(|key| !key.is_secret())?;
        let message = self.message.as_bytes();
        Some(key.fits(alg) && key.signed(message, self.signature, alg))
    }

    /// Whether the proof was made for this address: scheme and port are the terminating proxy's matter, query and
    /// fragment are left out (RFC 9449, section 4.3).
    fn target(&self, event: &AccessEvent<'_>) -> Fit {
        let made_for = self.claim("htu").zip(event.path.as_deref());
        let Some((htu, path)) = made_for else {
            return Fit::Unknown;
        };
        let after = htu.split_once("://").map_or(htu, |(_, after)| after);
        let end = after.find('/').unwrap_or(after.len());
        let (authority, target) = after.split_at(end);
        let target = target.split(['?', '#']).next().unwrap_or_default();
        let name = |host: &str| {
            let host = host.rsplit_once(':').map_or(host, |(name, port)| {
                let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
                if is_port { name } else { host }
            });
            host.to_ascii_lowercase()
        };
        let hosts = event
            .host
            .as_deref()
            .is_none_or(|host| name(host) == name(authority));
        let root = |path: &str| {
            if path.is_empty() {
                "/".to_owned()
            } else {
                path.to_owned()
            }
        };
        same(hosts && root(target) == root(path))
    }
}

/// The thumbprint of a public key: its required members, in order, without spaces (RFC 7638, section 3).
fn thumbprint(jwk: &Value) -> Option<String> {
    let member = |name: &str| {
        let value = jwk.get(name)?.as_str()?;
        // Base64url and names of curves: nothing in them needs an escape.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        value
            .bytes()
            .all(plain)
            .then(|| format!("\"{name}\":\"{value}\""))
    };
    let names: &[&str] = match jwk.get("kty")?.as_str()? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let members: Option<Vec<String>> = names.iter().map(|name| member(name)).collect();
    let members = format!("{{{}}}", members?.join(","));
    Some(BASE64URL_NOPAD.encode(&sha256(members.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::super::mint::mint_with;
    use super::*;
    use crate::domain::ids::Digest;
    use crate::domain::token::RawToken;
    use proptest::prelude::*;
    use serde_json::json;

    /// RFC 8037, appendix A.3.
    const JKT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.e30.";

    fn jwk(kid: &str) -> Value {
        let set: Value =
            serde_json::from_slice(include_bytes!("../../tests/fixtures/keys/public.jwks.json"))
                .unwrap();
        let mut keys = set["keys"].as_array().unwrap().iter();
        keys.find(|key| key["kid"] == kid).unwrap().clone()
    }

    fn proof(kid: &str, alg: &str, claims: &Value) -> String {
        let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": jwk(kid)});
        mint_with(&header, claims, kid)
    }

    fn claims() -> Value {
        let ath = BASE64URL_NOPAD.encode(&sha256(TOKEN.as_bytes()));
        json!({"jti": "p1", "htm": "GET", "htu": "https://api.example.com/api", "ath": ath})
    }

    fn with(claims: &Value, name: &str, value: &str) -> Value {
        let mut claims = claims.clone();
        claims[name] = json!(value);
        claims
    }

    fn seen(possession: Option<Possession<'_>>, bound: &Confirmation) -> Fits {
        crate::tokens::verify::install_crypto();
        let event = AccessEvent {
            method: Some("GET".into()),
            path: Some("/api".into()),
            host: Some("API.example.com:443".into()),
            possession: possession.map(Box::new),
            ..AccessEvent::default()
        };
        let credential = Credential {
            shape: Shape::Raw(RawToken::new(TOKEN.into())),
            place: CredentialPlace::Header,
            name: "authorization".into(),
            digest: Digest(0),
        };
        fits(&credential, bound, &event, &IdKey::public([1; 32]))
    }

    fn bound() -> Confirmation {
        Confirmation {
            jkt: Some(JKT.into()),
            ..Confirmation::default()
        }
    }

    fn of_proof(text: String) -> Fits {
        let shown = Possession {
            proof: Some(text.into()),
            dpop_scheme: true,
            ..Possession::default()
        };
        seen(Some(shown), &bound())
    }

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        assert_eq!(thumbprint(&jwk("ed25519")).as_deref(), Some(JKT));
        assert_eq!(thumbprint(&json!({"kty": "EC", "x": "a\"b"})), None);
    }

    #[test]
    fn a_proof_fits_its_key_its_request_and_its_token() {
        let good = of_proof(proof("ed25519", "EdDSA", &claims()));
        assert_eq!((good.dpop, good.target), (Fit::Fits, Fit::Fits));
        assert!(good.proof.is_some());
        let other_key = of_proof(proof("p-256", "ES256", &claims()));
        assert_eq!(other_key.dpop, Fit::Differs);
        for (name, value) in [("htm", "POST"), ("ath", "AAAA")] {
            let fits = of_proof(proof("ed25519", "EdDSA", &with(&claims(), name, value)));
            assert_eq!(fits.dpop, Fit::Differs, "{name}");
        }
        let elsewhere = with(&claims(), "htu", "https://api.example.com/other");
        let elsewhere = of_proof(proof("ed25519", "EdDSA", &elsewhere));
        assert_eq!(
            (elsewhere.dpop, elsewhere.target),
            (Fit::Fits, Fit::Differs)
        );
        let query = with(&claims(), "htu", "https://api.example.com/api?page=2");
        assert_eq!(
            of_proof(proof("ed25519", "EdDSA", &query)).target,
            Fit::Fits
        );
    }

    #[test]
    fn a_proof_that_nobody_signed_is_nobody_s_and_one_that_was_cut_says_nothing() {
        let good = proof("ed25519", "EdDSA", &claims());
        let (message, _) = good.rsplit_once('.').unwrap();
        let unsigned = of_proof(format!("{message}.AAAA"));
        assert_eq!(unsigned.dpop, Fit::Differs);
        for cut in [&good[..good.len() / 2], "[redacted]", "a.b.c"] {
            assert_eq!(of_proof(cut.to_owned()).dpop, Fit::Unknown, "{cut}");
        }
    }

    #[test]
    fn a_bound_token_under_bearer_lacks_its_proof() {
        assert_eq!(seen(None, &bound()).dpop, Fit::Missing);
        let scheme = Possession {
            dpop_scheme: true,
            ..Possession::default()
        };
        assert_eq!(seen(Some(scheme), &bound()).dpop, Fit::Unknown);
        assert_eq!(seen(None, &Confirmation::default()), Fits::default());
    }

    #[test]
    fn a_certificate_is_read_in_every_form_that_gateways_write() {
        let der = [&[0x30, 0x82][..], &[7; 60]].concat();
        let digits = BASE64.encode(&der);
        let hash = sha256(&der);
        let bound = Confirmation {
            x5t_s256: Some(BASE64URL_NOPAD.encode(&hash).into()),
            ..Confirmation::default()
        };
        let pem = format!("-----BEGIN CERTIFICATE-----\n{digits}\n-----END CERTIFICATE-----\n");
        let escaped = pem
            .replace('\n', "%0A")
            .replace('+', "%2B")
            .replace(' ', "%20");
        let hex = data_encoding::HEXUPPER.encode(&hash);
        for text in [
            pem.clone(),
            pem.replace('\n', "\\n\t"),
            escaped.clone(),
            digits.clone(),
            format!(":{digits}:"),
            format!("By=spiffe://a;Hash={};Subject=\"CN=a\"", hex.to_lowercase()),
            format!("Subject=\"CN=a\";Cert=\"{escaped}\""),
        ] {
            let shown = Possession {
                certificate: Some(text.clone().into()),
                ..Possession::default()
            };
            assert_eq!(seen(Some(shown), &bound).certificate, Fit::Fits, "{text}");
        }
        let told = |hash: String| Possession {
            certificate_sha256: Some(hash.into()),
            ..Possession::default()
        };
        assert_eq!(seen(Some(told(hex.clone())), &bound).certificate, Fit::Fits);
        let other = hex.replace(['0', '1', '2'], "3");
        assert_eq!(seen(Some(told(other)), &bound).certificate, Fit::Differs);
        // nginx's own fingerprint is SHA-1, and says nothing of this hash.
        let sha1 = "5f".repeat(20);
        assert_eq!(seen(Some(told(sha1)), &bound).certificate, Fit::Unknown);
        assert_eq!(seen(None, &bound).certificate, Fit::Missing);
    }

    #[test]
    fn a_cookie_is_compared_by_its_hash() {
        let hash = cookie_sha256("a=b; __Secure-Fgp=secret ; c=d").unwrap();
        assert_eq!(hash, sha256(b"secret"));
        assert_eq!(cookie_sha256("a=b"), None);
        let bound = Confirmation {
            cookie_sha256: Some(data_encoding::HEXLOWER.encode(&hash).into()),
            ..Confirmation::default()
        };
        let shown = |cookie_sha256| Possession {
            cookie_sha256,
            ..Possession::default()
        };
        assert_eq!(seen(Some(shown(Some(hash))), &bound).cookie, Fit::Fits);
        assert_eq!(
            seen(Some(shown(Some([0; 32]))), &bound).cookie,
            Fit::Differs
        );
        assert_eq!(seen(Some(shown(None)), &bound).cookie, Fit::Unknown);
    }

    proptest! {
        #[test]
        fn no_proof_panics(text in r"[A-Za-z0-9_.%=;:-]{0,80}|\PC{0,40}") {
            let shown = Possession {
                proof: Some(text.as_str().into()),
                certificate: Some(text.as_str().into()),
                certificate_sha256: Some(text.as_str().into()),
                ..Possession::default()
            };
            let bound = Confirmation { x5t_s256: Some("AAAA".into()), ..bound() };
            let _ = seen(Some(shown), &bound);
            let _ = cookie_sha256(&text);
        }
    }
}
