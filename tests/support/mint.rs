//! Makes tokens for tests and samples, signed with the published test keys.
//!
//! In: claims, a `kid` of `tests/fixtures/keys/private.jwks.json`. Out: a token in compact
//! serialisation.
//! Does not know: anything of the crate, so that what it makes is an independent witness.

use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
};
use aws_lc_rs::{hmac, rand};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

const PRIVATE_KEYS: &str = include_str!("../fixtures/keys/private.jwks.json");

/// A token with these claims, signed with the test key of that name (`rsa-2048`, `p-256`,
/// `ed25519`, `shared-secret`).
pub(crate) fn mint(claims: &Value, kid: &str) -> String {
    let header = json!({"alg": key(kid)["alg"], "typ": "JWT", "kid": kid});
    mint_with(&header, claims, kid)
}

/// The same with a header of the caller's own.
pub(crate) fn mint_with(header: &Value, claims: &Value, kid: &str) -> String {
    let message = unsigned(header, claims);
    let signature = sign(&key(kid), message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// Header and payload, no signature and no dot after them.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

fn key(kid: &str) -> Value {
    let set: Value = serde_json::from_str(PRIVATE_KEYS).unwrap();
    let keys = set["keys"].as_array().unwrap();
    keys.iter().find(|key| key["kid"] == kid).unwrap().clone()
}

fn sign(key: &Value, message: &[u8]) -> Vec<u8> {
    let part = |name: &str| {
        BASE64URL_NOPAD
            .decode(key[name].as_str().unwrap().as_bytes())
            .unwrap()
    };
    let random = rand::SystemRandom::new();
    match key["kty"].as_str().unwrap() {
        "RSA" => {
            let pair = RsaKeyPair::from_components(&KeyPairComponents {
                public_key: PublicKeyComponents {
                    n: part("n"),
                    e: part("e"),
                },
                d: part("d"),
                p: part("p"),
                q: part("q"),
                dP: part("dp"),
                dQ: part("dq"),
                qInv: part("qi"),
            })
            .unwrap();
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                .unwrap();
            signature
        }
        "EC" => {
            let point = [&[4][..], &part("x"), &part("y")].concat();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &part("d"), &point);
            pair.unwrap()
                .sign(&random, message)
                .unwrap()
                .as_ref()
                .to_vec()
        }
        "OKP" => {
            let pair = Ed25519KeyPair::from_seed_and_public_key(&part("d"), &part("x")).unwrap();
            pair.sign(message).as_ref().to_vec()
        }
        _ => {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, &part("k"));
            hmac::sign(&secret, message).as_ref().to_vec()
        }
    }
}
