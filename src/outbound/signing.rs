//! A private RSA key that signs JWTs: assertions to Google, security event tokens to their receivers.
//!
//! In: PEM text. Out: signed JWTs, and the public half as a JWK.
//! Does not know: claims, or where the key is kept. The key never shows itself.
//! Source: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518, section 3.3 (RS256), RFC 7638 (thumbprints), RFC 7468 (PEM).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Below that RS256 is not allowed (RFC 7518, section 3.3).
const MODULUS_BYTES_MIN: usize = 256;

/// A key that signs.
pub struct SigningKey {
    pair: RsaKeyPair,
    kid: String,
}

/// Why a text is no key to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// It is no PEM.
    #[error("it is no private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NoPem,
    /// It is no RSA key.
    #[error("it is no RSA key")]
    NoRsa,
    /// It is shorter than RS256 allows.
    #[error("an RSA key needs 2048 bits or more")]
    Short,
}

impl SigningKey {
    /// Reads a private key, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// When it is none that may sign.
    pub fn of_pem(pem: &str) -> Result<Self, SigningKeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes());
        let pair = match der.map_err(|_| SigningKeyError::NoPem)? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(SigningKeyError::NoRsa),
        };
        let pair = pair.map_err(|_| SigningKeyError::NoRsa)?;
        if pair.public_modulus_len() < MODULUS_BYTES_MIN {
            return Err(SigningKeyError::Short);
        }
        let (e, n) = parts(&pair);
        // The members in the order of their names, without white space.
        let thumbprint = digest(
            &SHA256,
            format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes(),
        );
        let kid = BASE64URL_NOPAD.encode(thumbprint.as_ref());
        Ok(Self { pair, kid })
    }

    /// The public half, with its thumbprint as `kid`.
    pub fn jwk(&self) -> Value {
        let (e, n) = parts(&self.pair);
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": n, "e": e})
    }

    /// A signed JWT of this type and with these claims; `None` when the system gives no random bytes. `kid` stands
    /// for the thumbprint where the receiver knows the key by another name.
    pub fn sign(&self, typ: &str, kid: Option<&str>, claims: &Value) -> Option<String> {
        let kid = kid.unwrap_or(&self.kid);
        let header = json!({"alg": "RS256", "typ": typ, "kid": kid}).to_string();
        let [header, claims] =
            [header, claims.to_string()].map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &random,
                signed.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
    }
}

/// Exponent and modulus.
fn parts(pair: &RsaKeyPair) -> (String, String) {
    let public = pair.public_key();
    let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let (e, n) = (public.exponent(), public.modulus());
    (
        part(e.big_endian_without_leading_zero()),
        part(n.big_endian_without_leading_zero()),
    )
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}
