//! Decodes a credential by hand, so that what is broken or forged becomes a fact and not an error.
//!
//! In: [`Credential`]. Out: [`Token`], or the [`DecodeFault`] that says why it is none.
//! Does not know: keys of issuers. Nothing here makes a claim true.
//! Source: RFC 7515, sections 3.1 and 7.1; RFC 7516, section 7.1; RFC 7519, section 7.2.

use super::base64;
use super::claims::Claims;
use super::header::Header;
use crate::domain::ids::{Digest, IdKey, SessionId, SubjectId, TokenId};
use crate::domain::possession::Confirmation;
use crate::domain::scrubbed::Scrubbed;
use crate::domain::token::{Claim, Common, Credential, Form, HeaderMarks, Shape, Token};
use std::borrow::Cow;
use std::sync::Arc;

/// Longest header as written. Certificate chains in `x5c` make the longest honest ones, of 2 to 6
/// KiB.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Longest payload as written. Servers refuse requests with more than 8 to 64 KiB of headers.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Longest text kept of one claim. Ids of issuers are far shorter; a scope list may reach a few
/// hundred bytes. What is cut here still counts whole in the ids and digests.
const CLAIM_BYTES_MAX: usize = 1024;

/// The `typ` of a DPoP proof, which shows that somebody holds a key and is no token (RFC 9449, section 4.2).
const PROOF_TYPE: &str = "dpop+jwt";

/// Methods of authentication with a second factor, a key or a device (RFC 8176, section 2; `fido` and `webauthn` as
/// providers write them).
const STRONG: [&str; 12] = [
    "mfa", "mca", "otp", "sms", "hwk", "swk", "pop", "sc", "face", "fpt", "fido", "webauthn",
];

/// Why a credential is no token. Closed, without any content, to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeFault {
    /// One part, or a first part that is empty.
    NotCompact,
    /// The header is longer than 8 KiB.
    HeaderTooLong,
    /// The payload is longer than 64 KiB.
    PayloadTooLong,
    /// The payload is no base64 in either alphabet: cut, redacted, or never a token.
    PayloadNotBase64,
    /// A DPoP proof.
    Proof,
    /// The payload is no JSON object: a signed cookie, a nested token, or never a token.
    PayloadNotObject,
}

/// Decodes a credential. The same header and payload give the same [`TokenId`] however they or the
/// signature are spelled, so that a re-encoded copy is the same token.
///
/// - Two parts, or an empty signature, are [`Form::Unsigned`], except under `alg` none, where that
///   is the whole token.
/// - Five parts are [`Form::Encrypted`]: there are no claims to see.
/// - A broken header before a payload of claims is a token with [`HeaderMarks::malformed`].
/// - A machine's token whose `sub` is its client id has that as its subject; without `sub` there is
///   no subject.
pub fn decode(credential: &Credential<'_>, key: &IdKey) -> Result<Token, DecodeFault> {
    match &credential.shape {
        Shape::Raw(raw) => decode_raw(raw.expose(), key),
        Shape::Claims(told) => Ok(decode_told(told, None, key)),
        Shape::Hash(hash, told) => Ok(decode_told(told, Some(hash), key)),
        Shape::Scrubbed(ids) => Ok(decode_scrubbed(*ids, key)),
    }
}

/// A token of which only ids are left: those it had when it was scrubbed.
fn decode_scrubbed(ids: Scrubbed, key: &IdKey) -> Token {
    let parts = Parts {
        id: ids.token,
        payload: Digest(key.hash("payload", &[&ids.token.get().to_be_bytes()])),
        form: Form::Hash,
        header: Header::default(),
        marks: ids.header,
        claims: Claims {
            sub: ids.subject.map(|subject| subject.to_string()),
            ..Claims::default()
        },
    };
    Token {
        session: ids.session,
        subject: ids.subject,
        ..token(parts, key)
    }
}

pub(super) fn decode_raw(text: &str, key: &IdKey) -> Result<Token, DecodeFault> {
    let mut parts = text.splitn(5, '.');
    let header_text = parts.next().filter(|part| !part.is_empty());
    let (Some(header_text), Some(second)) = (header_text, parts.next()) else {
        return Err(DecodeFault::NotCompact);
    };
    let (third, fourth, fifth) = (parts.next(), parts.next(), parts.next());
    if header_text.len() > HEADER_BYTES_MAX {
        return Err(DecodeFault::HeaderTooLong);
    }
    let header_bytes = base64::decode(header_text);
    let header = Header::parse(header_bytes.as_deref());
    // What cannot be decoded is its own only spelling.
    let header_bytes = header_bytes.unwrap_or_else(|| header_text.as_bytes().to_vec());
    let encrypted = fifth.and(fourth).filter(|_| header.encrypted);
    let payload_text = encrypted.unwrap_or(second);
    if payload_text.len() > PAYLOAD_BYTES_MAX {
        return Err(DecodeFault::PayloadTooLong);
    }
    let payload = base64::decode(payload_text).ok_or(DecodeFault::PayloadNotBase64)?;
    let claims = match encrypted {
        Some(_) => Claims::default(),
        None => Claims::parse(&payload).ok_or(DecodeFault::PayloadNotObject)?,
    };
    if header
        .typ
        .as_deref()
        .is_some_and(|typ| typ.eq_ignore_ascii_case(PROOF_TYPE))
    {
        return Err(DecodeFault::Proof);
    }
    let marks = header.marks(claims.iss.as_deref());
    let form = match encrypted {
        Some(_) => Form::Encrypted,
        None if third.is_none_or(str::is_empty) && !marks.alg_none => Form::Unsigned,
        None => Form::Raw,
    };
    let id = TokenId::of(key, &[&header_bytes, &payload]);
    let payload = key.digest("payload", &[&payload]);
    Ok(token(
        Parts {
            id,
            payload,
            form,
            header,
            marks,
            claims,
        },
        key,
    ))
}

/// A token of which a gateway logged claims, or a hash, or both.
fn decode_told(told: &[(Claim, Cow<'_, str>)], hash: Option<&str>, key: &IdKey) -> Token {
    let header_text = |wanted| {
        let (_, value) = told.iter().find(|(claim, _)| *claim == wanted)?;
        Some(value.to_string())
    };
    let header = Header::told(
        header_text(Claim::Alg),
        header_text(Claim::Kid),
        header_text(Claim::Typ),
    );
    let claims = Claims::told(told);
    let identity = told_identity(&claims);
    let identity: Vec<&[u8]> = identity.iter().map(|part| part.as_bytes()).collect();
    let (form, id) = match hash {
        Some(hash) => (Form::Hash, TokenId::of(key, &[b"hash", hash.as_bytes()])),
        None => (Form::Claims, TokenId::of(key, &identity)),
    };
    let marks = header.marks(claims.iss.as_deref());
    let payload = key.digest("payload", &identity);
    token(
        Parts {
            id,
            payload,
            form,
            header,
            marks,
            claims,
        },
        key,
    )
}

/// What tells one token from another where only claims are known.
fn told_identity(claims: &Claims) -> Vec<String> {
    let second = |second: Option<i64>| second.map(|s| s.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        "claims".to_owned(),
        text(&claims.iss),
        text(&claims.jti),
        text(&claims.sid),
        text(&claims.sub),
        second(claims.exp),
    ]
}

/// All that a token is made of.
struct Parts {
    id: TokenId,
    payload: Digest,
    form: Form,
    header: Header,
    marks: HeaderMarks,
    claims: Claims,
}

fn token(parts: Parts, key: &IdKey) -> Token {
    let Parts {
        id,
        payload,
        form,
        header,
        marks,
        claims,
    } = parts;
    let issuer = claims.iss.as_deref().unwrap_or_default().as_bytes();
    let subject = claims
        .sub
        .as_deref()
        .map(|sub| SubjectId::of(key, &[issuer, sub.as_bytes()]));
    let jti_key = (claims.iss.as_deref().zip(claims.jti.as_deref()))
        .map(|(iss, jti)| key.digest("jti", &[iss.as_bytes(), jti.as_bytes()]));
    Token {
        id,
        session: session(&claims, id, key),
        subject,
        form,
        common: Arc::new(Common {
            issuer: claims.iss.map(kept),
            audience: claims.aud.map(kept),
            client_id: claims.azp.map(kept),
            scope: claims.scope.map(kept),
            tenant: claims.tenant.map(kept),
            alg: header.alg.map(kept),
            kid: header.kid.map(kept),
            typ: header.typ.map(kept),
        }),
        sub: claims.sub.map(kept),
        jti: claims.jti.map(kept),
        sid: claims.sid.map(kept),
        issued_s: claims.iat,
        not_before_s: claims.nbf,
        expires_s: claims.exp,
        header: marks,
        payload,
        jti_key,
        confirmation: bound(claims.confirmation),
        strong: claims.amr.as_deref().map(is_strong),
    }
}

/// To what a token is bound, cut like other claims; `None` for nothing.
fn bound(found: Confirmation) -> Option<Box<Confirmation>> {
    let kept = |text: Option<Box<str>>| text.map(|text| kept(text.into_string()));
    let bound = Confirmation {
        jkt: kept(found.jkt),
        x5t_s256: kept(found.x5t_s256),
        cookie_sha256: kept(found.cookie_sha256),
    };
    (bound != Confirmation::default()).then(|| Box::new(bound))
}

/// True when one of the methods is more than something that the user knows (RFC 8176, section 2).
fn is_strong(amr: &str) -> bool {
    amr.split(' ').any(|method| STRONG.contains(&method))
}

/// The session: `sid`, else the refresh family, else `jti`, else the token alone. All are the
/// issuer's names, so the issuer is part of each.
fn session(claims: &Claims, id: TokenId, key: &IdKey) -> SessionId {
    let issuer = claims.iss.as_deref().unwrap_or_default();
    let of = |parts: &[&str]| {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        SessionId::of(key, &parts)
    };
    if let Some(sid) = claims.sid.as_deref() {
        return session_of_sid(issuer, sid, key);
    }
    let auth_time = claims.auth_time.map(|second| second.to_string());
    let family = claims.origin_jti.as_deref().or(auth_time.as_deref());
    if let Some((sub, family)) = claims.sub.as_deref().zip(family) {
        let client = claims.azp.as_deref().unwrap_or_default();
        return of(&[issuer, "family", sub, client, family]);
    }
    match claims.jti.as_deref() {
        Some(jti) => of(&[issuer, "jti", jti]),
        None => SessionId::of(key, &[&id.get().to_be_bytes()]),
    }
}

/// The session that an issuer calls `sid`.
pub fn session_of_sid(issuer: &str, sid: &str, key: &IdKey) -> SessionId {
    SessionId::of(key, &[issuer.as_bytes(), b"sid", sid.as_bytes()])
}

/// The text of a claim as it is kept: cut at a character's end when it is longer than any honest
/// one.
fn kept(mut text: String) -> Box<str> {
    text.truncate(text.floor_char_boundary(CLAIM_BYTES_MAX));
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::super::mint::{mint, unsigned};
    use super::*;
    use crate::domain::token::{CredentialPlace, RawToken};
    use data_encoding::BASE64URL_NOPAD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn key() -> IdKey {
        IdKey::public([3; 32])
    }

    fn credential(shape: Shape<'_>) -> Credential<'_> {
        Credential {
            shape,
            place: CredentialPlace::Header,
            name: "".into(),
            digest: Digest(0),
        }
    }

    fn decoded(text: &str) -> Result<Token, DecodeFault> {
        decode(&credential(Shape::Raw(RawToken::new(text.into()))), &key())
    }

    fn of_claims(claims: &Value) -> Token {
        decoded(&mint(claims, "ed25519")).unwrap()
    }

    #[test]
    fn the_proof_beside_a_bound_token_is_no_token() {
        let claims =
            json!({"jti": "p1", "htm": "GET", "htu": "https://api.example.com/", "iat": 10});
        for typ in ["dpop+jwt", "DPoP+JWT"] {
            let header = json!({"alg": "ES256", "typ": typ, "jwk": {"kty": "EC"}});
            let proof = format!("{}.c2ln", unsigned(&header, &claims));
            assert_eq!(decoded(&proof), Err(DecodeFault::Proof), "{typ}");
        }
    }

    #[test]
    fn a_token_is_decoded_with_all_its_names() {
        let token = of_claims(&json!({
            "iss": "https://idp.example.com/", "sub": "alice", "aud": "api", "azp": "web",
            "jti": "j1",
            "sid": "s1", "scope": "read write", "iat": 10, "nbf": 11, "exp": 12,
        }));
        let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or("").to_owned();
        assert_eq!(
            [
                &token.issuer,
                &token.sub,
                &token.audience,
                &token.client_id,
                &token.jti,
                &token.sid
            ]
            .map(text),
            [
                "https://idp.example.com/",
                "alice",
                "api",
                "web",
                "j1",
                "s1"
            ]
        );
        assert_eq!(
            [&token.scope, &token.alg, &token.kid, &token.typ].map(text),
            ["read write", "EdDSA", "ed25519", "JWT"]
        );
        assert_eq!(
            (token.issued_s, token.not_before_s, token.expires_s),
            (Some(10), Some(11), Some(12))
        );
        assert_eq!(
            (token.form, token.header),
            (Form::Raw, HeaderMarks::default())
        );
        assert!(token.subject.is_some() && token.jti_key.is_some());
    }

    #[test]
    fn the_session_is_the_sid_else_the_family_else_the_jti_else_the_token() {
        let session = |claims: Value| of_claims(&claims).session;
        let with_sid = session(json!({"iss": "i", "sid": "1", "sub": "a", "jti": "x"}));
        assert_eq!(
            with_sid,
            session(json!({"iss": "i", "sid": "1", "sub": "b", "jti": "y"}))
        );
        assert_ne!(with_sid, session(json!({"iss": "j", "sid": "1"})));
        let family =
            session(json!({"iss": "i", "sub": "a", "azp": "w", "auth_time": 5, "jti": "x"}));
        assert_eq!(
            family,
            session(json!({"iss": "i", "sub": "a", "azp": "w", "auth_time": 5, "jti": "y"}))
        );
        assert_ne!(
            family,
            session(json!({"iss": "i", "sub": "a", "azp": "w", "auth_time": 6}))
        );
        let origin = session(json!({"iss": "i", "sub": "a", "origin_jti": "o", "auth_time": 5}));
        assert_eq!(
            origin,
            session(json!({"iss": "i", "sub": "a", "origin_jti": "o", "auth_time": 9}))
        );
        let by_jti = session(json!({"iss": "i", "sub": "a", "jti": "x"}));
        assert_eq!(
            by_jti,
            session(json!({"iss": "i", "sub": "a", "jti": "x", "exp": 1}))
        );
        let alone = session(json!({"iss": "i", "sub": "a"}));
        assert_ne!(alone, session(json!({"iss": "i", "sub": "a", "exp": 1})));
    }

    #[test]
    fn a_machine_is_a_subject_by_its_client_id_as_sub_and_without_sub_there_is_none() {
        let machine = of_claims(&json!({"iss": "i", "sub": "job", "client_id": "job"}));
        assert!(machine.subject.is_some());
        let nameless = of_claims(&json!({"iss": "i", "client_id": "job"}));
        assert_eq!((nameless.subject, nameless.sub), (None, None));
    }

    #[test]
    fn the_form_says_how_much_of_the_token_is_there() {
        let rs256 = unsigned(&json!({"alg": "RS256"}), &json!({"sub": "a"}));
        let none = unsigned(&json!({"alg": "nOnE"}), &json!({"sub": "a"}));
        for (text, form) in [
            (rs256.clone(), Form::Unsigned),
            (format!("{rs256}."), Form::Unsigned),
            (format!("{rs256}.c2ln"), Form::Raw),
            (none.clone(), Form::Raw),
            (format!("{none}."), Form::Raw),
        ] {
            assert_eq!(decoded(&text).unwrap().form, form, "{text}");
        }
    }

    #[test]
    fn of_an_encrypted_token_only_the_header_is_known() {
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"dir","enc":"A256GCM","kid":"k"}"#);
        let token = decoded(&format!("{header}..aXY.Y2lwaGVy.dGFn")).unwrap();
        assert_eq!(
            (token.form, token.kid.as_deref()),
            (Form::Encrypted, Some("k"))
        );
        assert_eq!((&token.issuer, token.subject), (&None, None));
    }

    #[test]
    fn a_broken_header_before_claims_is_a_malformed_token() {
        let payload = BASE64URL_NOPAD.encode(br#"{"sub":"alice"}"#);
        for header in ["x", "bm9wZQ", "W10", "e30"] {
            let token = decoded(&format!("{header}.{payload}.c2ln")).unwrap();
            assert!(token.header.malformed, "{header}");
            assert_eq!(token.sub.as_deref(), Some("alice"));
        }
    }

    #[test]
    fn what_is_no_token_says_why() {
        let part = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
        let header = part(r#"{"alg":"none"}"#);
        let deep = format!(
            "{}{}",
            r#"{"a":"#.repeat(200),
            "1".to_owned() + &"}".repeat(200)
        );
        for (text, fault) in [
            (header.clone(), DecodeFault::NotCompact),
            (format!(".{header}."), DecodeFault::NotCompact),
            (format!("{header}.[cut]."), DecodeFault::PayloadNotBase64),
            (
                format!("{header}.{}.", part("[1]")),
                DecodeFault::PayloadNotObject,
            ),
            (
                format!("{header}.{}.", part(r#"{"a":1"#)),
                DecodeFault::PayloadNotObject,
            ),
            (
                format!("{header}.{}.", part(&deep)),
                DecodeFault::PayloadNotObject,
            ),
            (
                format!("{header}.{}.", part(&header)),
                DecodeFault::PayloadNotObject,
            ),
            (
                format!("{}.e30.", "a".repeat(HEADER_BYTES_MAX + 1)),
                DecodeFault::HeaderTooLong,
            ),
            (
                format!("{header}.{}.", "a".repeat(PAYLOAD_BYTES_MAX + 1)),
                DecodeFault::PayloadTooLong,
            ),
        ] {
            assert_eq!(decoded(&text), Err(fault));
        }
    }

    /// RFC 9449, section 4: the proof stands beside the token, names the request, and is new with each.
    #[test]
    fn a_dpop_proof_is_never_taken_for_the_token_beside_it() {
        for typ in ["dpop+jwt", "DPoP+JWT"] {
            let header = json!({"typ": typ, "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256"}});
            let claims =
                json!({"jti": "1", "htm": "GET", "htu": "https://api.example.com/", "iat": 1});
            let unsigned = unsigned(&header, &claims);
            let proof = format!("{}.c2ln", unsigned.trim_end_matches('.'));
            assert_eq!(decoded(&proof), Err(DecodeFault::Proof), "{proof}");
        }
    }

    #[test]
    fn told_claims_and_hashes_are_tokens_of_their_own_form() {
        let told = |jti: &'static str, sub: &'static str| {
            let claims = [
                (Claim::Iss, "i"),
                (Claim::Jti, jti),
                (Claim::Sub, sub),
                (Claim::Exp, "12.0"),
            ];
            claims
                .map(|(claim, value)| (claim, Cow::from(value)))
                .to_vec()
        };
        let of = |shape| decode(&credential(shape), &key()).unwrap();
        let claims = of(Shape::Claims(told("x", "a")));
        assert_eq!((claims.form, claims.expires_s), (Form::Claims, Some(12)));
        assert_eq!(claims.header, HeaderMarks::default());
        assert_eq!(claims.id, of(Shape::Claims(told("x", "a"))).id);
        let other = of(Shape::Claims(told("x", "b")));
        assert_eq!(claims.jti_key, other.jti_key);
        assert_ne!((claims.id, claims.payload), (other.id, other.payload));
        let hash = of(Shape::Hash("5f".into(), told("x", "a")));
        assert_eq!((hash.form, hash.sub.as_deref()), (Form::Hash, Some("a")));
        assert_ne!(hash.id, of(Shape::Hash("60".into(), told("x", "a"))).id);
    }

    #[test]
    fn a_huge_claim_is_cut_and_still_counts_whole() {
        let sub = |last: &str| "\u{e9}".repeat(CLAIM_BYTES_MAX) + last;
        let (one, two) = (
            of_claims(&json!({"sub": sub("1")})),
            of_claims(&json!({"sub": sub("2")})),
        );
        assert_eq!(one.sub.as_deref().map(str::len), Some(CLAIM_BYTES_MAX));
        assert_ne!(one.subject, two.subject);
    }

    proptest! {
        #[test]
        fn no_text_makes_decoding_panic(text in r"[A-Za-z0-9_.=+/-]{0,60}|\PC{0,40}") {
            let _ = decoded(&text);
        }

        #[test]
        fn no_header_or_payload_makes_decoding_panic(
            header in prop::collection::vec(any::<u8>(), 0..40),
            payload in r#"\{("(sub|exp|jti|iss|aud)":(-?[0-9]{1,25}(\.5)?(e[0-9]{1,3})?|"\PC{0,4}"|\[1\]|null),?){0,4}\}"#,
        ) {
            let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
            let _ = decoded(&format!("{}.{}.x", part(&header), part(payload.as_bytes())));
        }
    }
}
