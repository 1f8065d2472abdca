//! An issuer's published keys.
//!
//! In: a JWK set or a single JWK as JSON. Out: [`KeySet`], or the [`KeyFault`] that says why it is
//! none.
//! Does not know: where the bytes came from, or which algorithms an issuer may use (see
//! [`super::verify`]).
//! Source: RFC 7517; RFC 7518, sections 3.2 (key length of HMAC), 3.3 (RSA of 2048 bits), 6; RFC
//! 8037, section 2; Nemec et al., "The Return of Coppersmith's Attack", ACM CCS 2017 (weak RSA
//! keys).

use super::base64;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use std::fmt;

/// Largest key set. Big providers publish under 10 KiB.
const SET_BYTES_MAX: usize = 1024 * 1024;

/// Most keys in a set. Providers publish two to ten; every key without `kid` may be tried on every
/// token.
const KEYS_MAX: usize = 200;

/// RSA moduli shorter than this are refused (RFC 7518, section 3.3), longer than the second cost
/// too much to check.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Keys of one issuer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeySet {
    pub(super) keys: Vec<PublishedKey>,
    skipped: usize,
}

/// Why bytes are no key set. Without any content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// More than 1 MiB.
    #[error("the key set is larger than 1 MiB")]
    TooLarge,
    /// Not JSON, or neither a JWK set nor a JWK.
    #[error("this is neither a JWK set (an object with `keys`) nor a single JWK")]
    NotKeys,
    /// More than 200 keys.
    #[error("the key set has more than 200 keys")]
    TooMany,
    /// Every key was skipped.
    #[error(
        "none of the keys can check signatures here (RSA of 2048 bits, P-256, P-384, Ed25519, oct)"
    )]
    NoneUsable,
}

impl KeySet {
    /// Reads a JWK set, or one JWK. Keys that cannot check signatures here are skipped and counted:
    /// other types and curves, `use` or `key_ops` for something else, an `alg` that does not fit,
    /// weak or broken material. Private members are not kept.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFault> {
        if bytes.len() > SET_BYTES_MAX {
            return Err(KeyFault::TooLarge);
        }
        let json: Value = serde_json::from_slice(bytes).map_err(|_| KeyFault::NotKeys)?;
        let jwks = match &json {
            Value::Object(members) if members.contains_key("kty") => std::slice::from_ref(&json),
            Value::Object(members) => members
                .get("keys")
                .and_then(Value::as_array)
                .ok_or(KeyFault::NotKeys)?,
            _ => return Err(KeyFault::NotKeys),
        };
        if jwks.len() > KEYS_MAX {
            return Err(KeyFault::TooMany);
        }
        let mut keys: Vec<_> = jwks.iter().filter_map(PublishedKey::parse).collect();
        let skipped = jwks.len() - keys.len();
        let doubtful: Vec<bool> = keys
            .iter()
            .map(|key| key.is_doubtful_among(&keys))
            .collect();
        for (key, doubtful) in keys.iter_mut().zip(doubtful) {
            key.doubtful = doubtful;
        }
        if keys.is_empty() && skipped > 0 {
            return Err(KeyFault::NoneUsable);
        }
        Ok(Self { keys, skipped })
    }

    /// How many keys can check signatures.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when there is no key, which is what an issuer publishes who has withdrawn them all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys were skipped.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// True when one of the keys is called this.
    pub fn names(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

/// One key that can check signatures.
#[derive(Clone)]
pub(super) struct PublishedKey {
    pub(super) kid: Option<Box<str>>,
    material: Material,
    /// The only algorithm the key is for, where it says so.
    alg: Option<Algorithm>,
    decoding: DecodingKey,
    /// Nothing verifies by it, and nothing is a forgery for its sake.
    pub(super) doubtful: bool,
}

/// A key is compared by what it is, and never shows itself: it may be a shared secret.
impl PartialEq for PublishedKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.kid, &self.material, self.alg) == (&other.kid, &other.material, other.alg)
    }
}

impl fmt::Debug for PublishedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishedKey({:?}, material hidden)", self.kid)
    }
}

/// What a key is made of.
#[derive(Clone, PartialEq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { point: Vec<u8> },
    P384 { point: Vec<u8> },
    Ed25519 { point: Vec<u8> },
    Secret { bytes: Vec<u8> },
}

impl PublishedKey {
    fn parse(jwk: &Value) -> Option<Self> {
        let jwk = jwk.as_object()?;
        if !is_for_signatures(jwk) {
            return None;
        }
        let material = Material::parse(jwk)?;
        let alg = match jwk.get("alg") {
            None => None,
            Some(alg) => Some(algorithm(alg.as_str()?).filter(|alg| material.fits(*alg))?),
        };
        Some(Self {
            kid: text(jwk, "kid").map(Into::into),
            decoding: material.decoding(),
            material,
            alg,
            doubtful: false,
        })
    }

    /// True for one of two different keys of a type that have one name, where a token's header does not say which it
    /// means (RFC 7517, section 4.5), and for a shared secret in a set with public keys, where whoever can read these
    /// can read it (RFC 8725, section 3.2).
    fn is_doubtful_among(&self, others: &[Self]) -> bool {
        let kind = |key: &Self| std::mem::discriminant(&key.material);
        others.iter().any(|other| {
            let same_name = self.kid.is_some() && self.kid == other.kid;
            let is_namesake = kind(self) == kind(other) && self.material != other.material;
            same_name && is_namesake || self.is_secret() && !other.is_secret()
        })
    }

    /// True when a signature by `alg` can be this key's.
    pub(super) fn fits(&self, alg: Algorithm) -> bool {
        self.alg.is_none_or(|only| only == alg) && self.material.fits(alg)
    }

    /// True for a secret that the issuer shares with its verifiers.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.material, Material::Secret { .. })
    }

    /// True when `signature`, in base64url, is this key's over `message`.
    pub(super) fn signed(&self, message: &[u8], signature: &str, alg: Algorithm) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.decoding, alg).unwrap_or(false)
    }
}

impl Material {
    fn parse(jwk: &Map<String, Value>) -> Option<Self> {
        let bytes = |name| text(jwk, name).and_then(base64::decode);
        let curve = text(jwk, "crv");
        match (text(jwk, "kty")?, curve) {
            ("RSA", _) => {
                let (n, e) = (without_zeros(bytes("n")?), without_zeros(bytes("e")?));
                is_sound_rsa(&n, &e).then_some(Self::Rsa { n, e })
            }
            ("EC", Some("P-256")) => {
                let point = point(&bytes("x")?, &bytes("y")?, 32)?;
                Some(Self::P256 { point })
            }
            ("EC", Some("P-384")) => {
                let point = point(&bytes("x")?, &bytes("y")?, 48)?;
                Some(Self::P384 { point })
            }
            ("OKP", Some("Ed25519")) => {
                let point = bytes("x").filter(|x| x.len() == 32)?;
                Some(Self::Ed25519 { point })
            }
            // 32 bytes is what the weakest algorithm, HS256, asks for.
            ("oct", _) => {
                let bytes = bytes("k").filter(|secret| secret.len() >= 32)?;
                Some(Self::Secret { bytes })
            }
            _ => None,
        }
    }

    fn fits(&self, alg: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512};
        use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
        match self {
            Self::Rsa { .. } => matches!(alg, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Self::P256 { .. } => alg == ES256,
            Self::P384 { .. } => alg == ES384,
            Self::Ed25519 { .. } => alg == EdDSA,
            // A key at least as long as the hash: RFC 7518, section 3.2.
            Self::Secret { bytes } => match alg {
                HS256 => bytes.len() >= 32,
                HS384 => bytes.len() >= 48,
                HS512 => bytes.len() >= 64,
                _ => false,
            },
        }
    }

    fn decoding(&self) -> DecodingKey {
        match self {
            Self::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            Self::P256 { point } | Self::P384 { point } => DecodingKey::from_ec_der(point),
            Self::Ed25519 { point } => DecodingKey::from_ed_der(point),
            Self::Secret { bytes } => DecodingKey::from_secret(bytes),
        }
    }
}

/// The algorithm of that name, if it can be checked here. RFC 9864 names EdDSA by its curve.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "Ed25519" => Some(Algorithm::EdDSA),
        _ => name.parse().ok(),
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    jwk.get(name).and_then(Value::as_str)
}

/// `use` and `key_ops`, where they are there, must allow checking signatures (RFC 7517, sections
/// 4.2 and 4.3).
fn is_for_signatures(jwk: &Map<String, Value>) -> bool {
    let usage = jwk.get("use").is_none_or(|usage| usage == "sig");
    // A secret or a private key that signs also verifies.
    let operations = jwk.get("key_ops").is_none_or(|operations| {
        let operations = operations.as_array().map(Vec::as_slice).unwrap_or_default();
        operations
            .iter()
            .any(|one| one == "verify" || one == "sign")
    });
    usage && operations
}

/// An uncompressed point (SEC 1, section 2.3.3). Whether it is on the curve shows when it is used.
fn point(x: &[u8], y: &[u8], length: usize) -> Option<Vec<u8>> {
    (x.len() == length && y.len() == length).then(|| [&[4], x, y].concat())
}

fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.into_iter().skip(zeros).collect()
}

fn is_sound_rsa(n: &[u8], e: &[u8]) -> bool {
    let first_bits = n
        .first()
        .map_or(0, |first| 8 - first.leading_zeros() as usize);
    let bits = n.len().saturating_sub(1) * 8 + first_bits;
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    RSA_BITS.contains(&bits) && is_odd(n) && is_odd(e) && e != [1] && !is_roca(n)
}

/// True for a modulus of the kind that some Infineon chips made, whose key can be reckoned from it:
/// modulo each small prime it is a power of 65537. An honest modulus passes all of these by chance
/// once in 2^27 or less.
fn is_roca(n: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [
        11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
    ];
    PRIMES.iter().all(|prime| {
        let rest = n
            .iter()
            .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            let is_power = power == rest;
            power = power * (65_537 % prime) % prime;
            is_power
        })
    })
}
