//! Checks a token's signature against the keys of its issuer, now and as they once were.
//!
//! In: [`RawToken`], its decoded [`Token`], [`Issuers`]. Out: [`Verdict`].
//! Does not know: time of day, the network. Expiry and the other claims are facts for detectors,
//! not verdicts.
//! Source: RFC 7515, section 5.2; RFC 8725, sections 2.1, 3.1 and 3.2; RFC 7518, section 3.1.

use super::base64;
use super::keys::{KeySet, PublishedKey, algorithm};
use crate::domain::time::Time;
use crate::domain::token::{Credential, RawToken, Shape, Token, Verdict};
use jsonwebtoken::Algorithm;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Key sets kept of one issuer. Providers rotate between daily and yearly, and a token lives for
/// hours: eight sets reach back for a week at the fastest.
const SETS_MAX: usize = 8;

/// Keys tried on one token whose header names none. Bounds the work that an attacker can ask for.
const TRIES_MAX: usize = 20;

/// What an issuer may use when nothing is configured: every algorithm that is registered (RFC 7518,
/// section 3.1, RFC 8037, RFC 8812, RFC 9864). Those that cannot be checked here make tokens
/// unverifiable and no forgeries. HS* needs a shared secret among the keys that the operator gave;
/// without one it is key confusion.
const ALGORITHMS_DEFAULT: [&str; 16] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K",
    "EdDSA", "Ed25519", "Ed448", "HS256", "HS384", "HS512",
];

/// An algorithm was configured that cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no algorithm that can be checked; there are RS256, RS384, RS512, PS256, PS384, \
     PS512, ES256, ES384, EdDSA, HS256, HS384 and HS512"
)]
pub struct UnknownAlgorithm(pub String);

/// The configured issuers with all their keys. Cloning it is cheap, so threads can each hold one.
#[derive(Clone, Debug, Default)]
pub struct Issuers {
    issuers: BTreeMap<Arc<str>, Arc<Issuer>>,
    /// Whom the tokens of an issuer may be for, where that is configured.
    audiences: Texts,
    /// Ids that were planted to be stolen.
    honeytokens: Texts,
}

/// What is configured of an issuer's tokens, by issuer.
type Texts = BTreeMap<Arc<str>, Arc<[Box<str>]>>;

#[derive(Clone, Debug)]
struct Issuer {
    algorithms: Vec<Box<str>>,
    /// The newest first.
    sets: VecDeque<Fetched>,
}

/// A key set and when it was seen to be the issuer's.
#[derive(Clone, Debug)]
struct Fetched {
    set: Arc<KeySet>,
    first: Time,
    last: Time,
}

/// What a header says of the key: all that verification needs of a token beside its text.
struct Signed<'a> {
    alg: Option<&'a str>,
    kid: Option<&'a str>,
    issued_s: Option<i64>,
    expires_s: Option<i64>,
}

/// Makes the one crypto provider of the process the default of `jsonwebtoken`. Idempotent; the
/// program calls it first.
pub fn install_crypto() {
    // The error says that somebody did it before.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

impl Issuers {
    /// Adds an issuer, or changes what it may use and keeps its keys. `issuer` is compared with
    /// `iss` to the letter (RFC 7519, section 4.1.1). Without `algorithms` it may use whatever its
    /// keys are made for.
    pub fn configure(&mut self, issuer: &str, algorithms: &[&str]) -> Result<(), UnknownAlgorithm> {
        if let Some(unknown) = algorithms.iter().find(|name| algorithm(name).is_none()) {
            return Err(UnknownAlgorithm((*unknown).to_owned()));
        }
        let algorithms = match algorithms {
            [] => ALGORITHMS_DEFAULT.as_slice(),
            named => named,
        };
        let sets = self
            .issuers
            .get(issuer)
            .map(|known| known.sets.clone())
            .unwrap_or_default();
        let algorithms = algorithms.iter().map(|name| (*name).into()).collect();
        self.issuers
            .insert(issuer.into(), Arc::new(Issuer { algorithms, sets }));
        Ok(())
    }

    /// Takes a key set that was the issuer's at `fetched_at`; earlier sets stay, so that rotated
    /// keys still verify. True when it changes what is known: when it does, tokens judged
    /// [`Verdict::Unverifiable`] are worth another look. False for an issuer that is not
    /// configured.
    pub fn learn(&mut self, issuer: &str, set: KeySet, fetched_at: Time) -> bool {
        let Some(known) = self.issuers.get_mut(issuer) else {
            return false;
        };
        Arc::make_mut(known).learn(set, fetched_at);
        true
    }

    /// Says whom an issuer's tokens may be for. Without any, they may be for everybody.
    pub fn expect_audiences(&mut self, issuer: &str, audiences: &[String]) {
        keep(&mut self.audiences, issuer, audiences);
    }

    /// True when the token names audiences, its issuer's are configured, and none of them is among them. Several
    /// audiences stand in one text with spaces between.
    pub fn is_foreign_audience(&self, token: &Token) -> bool {
        let expected = token.issuer.as_deref().and_then(|i| self.audiences.get(i));
        let Some((expected, named)) = expected.zip(token.audience.as_deref()) else {
            return false;
        };
        let own = |name: &str| expected.iter().any(|audience| **audience == *name);
        !own(named) && !named.split(' ').any(own)
    }

    /// Says which ids of an issuer's tokens were planted: `jti`, `sid`, `sub` or `kid`.
    pub fn plant_honeytokens(&mut self, issuer: &str, ids: &[String]) {
        keep(&mut self.honeytokens, issuer, ids);
    }

    /// True when an id of the token was planted. Nobody has a reason to present it, so it needs no signature: who makes
    /// up a token round such an id has read the place where it was laid.
    pub fn is_honeytoken(&self, token: &Token) -> bool {
        let planted = token
            .issuer
            .as_deref()
            .and_then(|i| self.honeytokens.get(i));
        let ids = [&token.jti, &token.sid, &token.sub, &token.kid];
        let mut ids = ids.into_iter().flatten();
        planted.is_some_and(|planted| ids.any(|id| planted.contains(id)))
    }

    /// True when the issuer is configured.
    pub fn is_configured(&self, issuer: &str) -> bool {
        self.issuers.contains_key(issuer)
    }

    /// The configured issuers, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.issuers.keys().map(AsRef::as_ref)
    }
}

/// Nothing is kept of an issuer for which nothing is given.
fn keep(texts: &mut Texts, issuer: &str, given: &[String]) {
    if !given.is_empty() {
        let given = given.iter().map(|text| text.as_str().into()).collect();
        texts.insert(issuer.into(), given);
    }
}

/// What can be said of the signature of a token, in whatever shape the log shows it.
pub fn judge(credential: &Credential<'_>, token: &Token, issuers: &Issuers) -> Verdict {
    let issuer = token.issuer.as_deref();
    match &credential.shape {
        Shape::Raw(raw) => verify(raw, token, issuers),
        _ if issuer.is_some_and(|issuer| issuers.is_configured(issuer)) => Verdict::NoSignature,
        _ => Verdict::NotConfigured,
    }
}

/// What the signature says. Pure: the same token and keys give the same verdict.
///
/// A signature spelled in lax base64 still counts, since the gateway may have taken it; header and
/// payload are checked as they are written, as every validator does.
pub fn verify(raw: &RawToken<'_>, token: &Token, issuers: &Issuers) -> Verdict {
    let issuer = token.issuer.as_deref().unwrap_or_default();
    match issuers.issuers.get(issuer) {
        None => Verdict::NotConfigured,
        Some(issuer) => issuer.judge(
            raw.expose(),
            &Signed {
                alg: token.alg.as_deref(),
                kid: token.kid.as_deref(),
                issued_s: token.issued_s,
                expires_s: token.expires_s,
            },
        ),
    }
}

impl Issuer {
    fn learn(&mut self, set: KeySet, fetched_at: Time) {
        if let Some(same) = self.sets.iter_mut().find(|known| *known.set == set) {
            same.first = same.first.min(fetched_at);
            same.last = same.last.max(fetched_at);
        } else {
            self.sets.push_front(Fetched {
                set: Arc::new(set),
                first: fetched_at,
                last: fetched_at,
            });
        }
        self.sets
            .make_contiguous()
            .sort_by_key(|known| std::cmp::Reverse(known.last));
        self.sets.truncate(SETS_MAX);
    }

    fn judge(&self, text: &str, signed: &Signed<'_>) -> Verdict {
        let name = signed.alg.unwrap_or_default();
        if name.starts_with("HS") && self.publishes_only_asymmetric_keys() {
            return Verdict::KeyConfusion;
        }
        if !self.algorithms.iter().any(|allowed| **allowed == *name) {
            return Verdict::AlgorithmNotAllowed;
        }
        let Some((message, signature)) = split(text) else {
            return Verdict::NoSignature;
        };
        match algorithm(name) {
            Some(alg) => self.check(message, signature, alg, signed),
            None => Verdict::Unverifiable,
        }
    }

    fn check(
        &self,
        message: &str,
        signature: &str,
        alg: Algorithm,
        signed: &Signed<'_>,
    ) -> Verdict {
        let named: Vec<&PublishedKey> = self
            .keys()
            .filter(|key| key.kid.is_some() && key.kid.as_deref() == signed.kid)
            .collect();
        if !named.is_empty() && !named.iter().any(|key| key.fits(alg)) {
            return Verdict::AlgorithmNotAllowed;
        }
        let is_named = !named.is_empty();
        let nameless = |key: &&PublishedKey| signed.kid.is_none() || key.kid.is_none();
        let candidates: Vec<&PublishedKey> = match is_named {
            true => named,
            false => self.keys().filter(nameless).collect(),
        };
        let mut fitting: Vec<&PublishedKey> = Vec::new();
        for key in candidates {
            // A key that stayed through rotations is in several sets and worth one try.
            if key.fits(alg) && !key.doubtful && !fitting.contains(&key) {
                fitting.push(key);
            }
        }
        let verified = is_canonical(message)
            && base64::respelled(signature).is_some_and(|signature| {
                fitting
                    .iter()
                    .take(TRIES_MAX)
                    .any(|key| key.signed(message.as_bytes(), &signature, alg))
            });
        let may_be = |key: &PublishedKey| signed.kid.is_none() || key.kid.as_deref() == signed.kid;
        let mut doubtful = self.keys().filter(|key| key.doubtful && key.fits(alg));
        match (verified, is_named || !fitting.is_empty()) {
            (true, _) => Verdict::Verified,
            (false, _) if doubtful.any(may_be) => Verdict::Unverifiable,
            // The key is the one that the header names: no later set will change that.
            (false, _) if is_named => Verdict::BadSignature,
            (false, _) if !self.saw_keys_while_it_lived(signed) => Verdict::Unverifiable,
            (false, true) => Verdict::BadSignature,
            (false, false) => Verdict::UnknownKey,
        }
    }

    /// Every key of every set once or more, the newest first.
    fn keys(&self) -> impl Iterator<Item = &PublishedKey> {
        self.sets.iter().flat_map(|fetched| &fetched.set.keys)
    }

    fn publishes_only_asymmetric_keys(&self) -> bool {
        self.keys().next().is_some() && !self.keys().any(PublishedKey::is_secret)
    }

    /// True when a key set was the issuer's at some time between the token's `iat` and its `exp`:
    /// issuers publish a key as long as tokens signed with it live, so the token's key would have
    /// been in that set. Fetched before `iat` only, a rotation may be in progress; after `exp`
    /// only, this is an old archive.
    fn saw_keys_while_it_lived(&self, signed: &Signed<'_>) -> bool {
        self.sets.iter().any(|fetched| {
            signed.issued_s.is_none_or(|iat| fetched.last.as_s() >= iat)
                && signed
                    .expires_s
                    .is_none_or(|exp| fetched.first.as_s() <= exp)
        })
    }
}

/// What is signed, and the signature; `None` where there is no signature.
fn split(text: &str) -> Option<(&str, &str)> {
    let (message, signature) = text.rsplit_once('.')?;
    let is_signed = message.bytes().filter(|byte| *byte == b'.').count() == 1;
    (is_signed && !signature.is_empty()).then_some((message, signature))
}

/// True when header and payload are spelled as RFC 7515 wants them.
fn is_canonical(message: &str) -> bool {
    message
        .split('.')
        .all(|part| base64::strict(part).is_some())
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::super::locate::locate;
    use super::super::mint::{mint, mint_with, unsigned};
    use super::*;
    use crate::domain::event::{AccessEvent, Carrier, CarrierKind};
    use crate::domain::ids::IdKey;
    use crate::domain::token::{Form, Shape};
    use serde_json::{Value, json};

    const ISSUER: &str = "https://idp.example.com/";
    const PUBLIC: &[u8] = include_bytes!("../../tests/fixtures/keys/public.jwks.json");
    const SHARED: &[u8] = include_bytes!("../../tests/fixtures/keys/shared.jwks.json");
    const ISSUED_S: i64 = 1_777_889_000;

    fn claims() -> Value {
        json!({"iss": ISSUER, "sub": "alice", "jti": "7", "iat": ISSUED_S, "exp": ISSUED_S + 3600})
    }

    fn at(second: i64) -> Time {
        Time::from_ms(second * 1000).unwrap()
    }

    /// An issuer that published `sets` at these seconds after the token was issued.
    fn issuers(algorithms: &[&str], sets: &[(&[u8], i64)]) -> Issuers {
        let mut issuers = Issuers::default();
        issuers.configure(ISSUER, algorithms).unwrap();
        for (set, after_s) in sets {
            assert!(issuers.learn(ISSUER, KeySet::parse(set).unwrap(), at(ISSUED_S + after_s)));
        }
        issuers
    }

    /// The verdict over a token on its way through all of `tokens`, as in a Bearer header.
    fn verdict(token: &str, issuers: &Issuers) -> Verdict {
        let mut event = AccessEvent::default();
        event.carriers.push(Carrier {
            kind: CarrierKind::Header,
            name: "http_authorization".into(),
            text: format!("Bearer {token}").into(),
        });
        let key = IdKey::public([1; 32]);
        let found = locate(&mut event, &key);
        let decoded = decode(&found[0], &key).unwrap();
        let Shape::Raw(raw) = &found[0].shape else {
            panic!("a raw token");
        };
        verify(raw, &decoded, issuers)
    }

    #[test]
    fn a_planted_id_is_known_by_its_issuer_whatever_the_signature() {
        let mut issuers = issuers(&[], &[]);
        issuers.plant_honeytokens(ISSUER, &["planted".to_owned(), "p-256".to_owned()]);
        let planted = |claims: Value, kid: &str| {
            let mut event = AccessEvent::default();
            event.carriers.push(Carrier {
                kind: CarrierKind::Header,
                name: "http_authorization".into(),
                text: format!("Bearer {}", mint(&claims, kid)).into(),
            });
            let key = IdKey::public([7; 32]);
            let found = locate(&mut event, &key);
            issuers.is_honeytoken(&decode(&found[0], &key).unwrap())
        };
        let of = |issuer: &str, name: &str, value: &str| json!({"iss": issuer, name: value});
        for name in ["jti", "sid", "sub"] {
            assert!(planted(of(ISSUER, name, "planted"), "rsa-2048"), "{name}");
            assert!(!planted(of(ISSUER, name, "planted-too"), "rsa-2048"));
            let other = of("https://other.example/", name, "planted");
            assert!(!planted(other, "rsa-2048"));
        }
        assert!(!planted(of(ISSUER, "aud", "planted"), "rsa-2048"));
        assert!(planted(of(ISSUER, "sub", "alice"), "p-256"), "kid");
    }

    #[test]
    fn a_token_verifies_with_each_kind_of_key() {
        let asymmetric = issuers(&[], &[(PUBLIC, 5)]);
        for kid in ["rsa-2048", "p-256", "ed25519"] {
            let token = mint(&claims(), kid);
            assert_eq!(verdict(&token, &asymmetric), Verdict::Verified, "{kid}");
        }
        let token = mint(&claims(), "shared-secret");
        for algorithms in [&["HS256"][..], &[]] {
            let shared = issuers(algorithms, &[(SHARED, 5)]);
            assert_eq!(verdict(&token, &shared), Verdict::Verified);
        }
    }

    #[test]
    fn expiry_is_no_matter_of_the_signature() {
        let mut claims = claims();
        claims["exp"] = json!(1);
        let verdict = verdict(&mint(&claims, "p-256"), &issuers(&[], &[(PUBLIC, 5)]));
        assert_eq!(verdict, Verdict::Verified);
    }

    #[test]
    fn a_signature_in_another_spelling_is_the_same_signature_and_the_same_token() {
        let issuers = issuers(&[], &[(PUBLIC, 5)]);
        let token = mint(&claims(), "p-256");
        assert_eq!(verdict(&format!("{token}=="), &issuers), Verdict::Verified);
    }

    #[test]
    fn a_changed_payload_or_signature_is_a_bad_signature() {
        let issuers = issuers(&[], &[(PUBLIC, 5)]);
        let token = mint(&claims(), "p-256");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut other = claims();
        other["sub"] = json!("bob");
        let other = unsigned(&json!({"alg": "ES256", "kid": "p-256"}), &other);
        for forged in [format!("{other}.{signature}"), format!("{message}.AAAA")] {
            assert_eq!(verdict(&forged, &issuers), Verdict::BadSignature);
        }
    }

    #[test]
    fn a_public_key_used_as_a_secret_is_key_confusion() {
        let issuers = issuers(&[], &[(PUBLIC, 5)]);
        let header = json!({"alg": "HS256", "kid": "rsa-2048"});
        let token = mint_with(&header, &claims(), "shared-secret");
        assert_eq!(verdict(&token, &issuers), Verdict::KeyConfusion);
    }

    #[test]
    fn an_algorithm_that_the_issuer_or_the_key_does_not_use_is_not_allowed() {
        let strict = issuers(&["ES256"], &[(PUBLIC, 5)]);
        let token = mint(&claims(), "rsa-2048");
        assert_eq!(verdict(&token, &strict), Verdict::AlgorithmNotAllowed);
        let open = issuers(&[], &[(PUBLIC, 5)]);
        for alg in ["none", "NONE", "RS512", "ES256", "XX"] {
            let header = json!({"alg": alg, "kid": "rsa-2048"});
            let token = mint_with(&header, &claims(), "rsa-2048");
            assert_eq!(
                verdict(&token, &open),
                Verdict::AlgorithmNotAllowed,
                "{alg}"
            );
        }
    }

    #[test]
    fn an_algorithm_that_cannot_be_checked_here_is_no_forgery() {
        let header = json!({"alg": "ES512", "kid": "p-521"});
        let token = mint_with(&header, &claims(), "p-256");
        let issuers = issuers(&[], &[(PUBLIC, 5)]);
        assert_eq!(verdict(&token, &issuers), Verdict::Unverifiable);
    }

    #[test]
    fn an_unknown_key_is_a_forgery_only_if_keys_were_seen_while_the_token_lived() {
        let header = json!({"alg": "ES256", "kid": "unheard-of"});
        let token = mint_with(&header, &claims(), "p-256");
        for (after_s, expected) in [
            (-5, Verdict::Unverifiable),
            (5, Verdict::UnknownKey),
            (3600, Verdict::UnknownKey),
            (3601, Verdict::Unverifiable),
        ] {
            assert_eq!(
                verdict(&token, &issuers(&[], &[(PUBLIC, after_s)])),
                expected
            );
        }
        assert_eq!(verdict(&token, &issuers(&[], &[])), Verdict::Unverifiable);
        let around = issuers(&[], &[(PUBLIC, -5), (PUBLIC, 9999)]);
        assert_eq!(verdict(&token, &around), Verdict::UnknownKey);
    }

    #[test]
    fn a_rotated_key_still_verifies_until_eight_sets_later() {
        let token = mint(&claims(), "p-256");
        let mut issuers = issuers(&[], &[(PUBLIC, 0)]);
        for rotation in 1..=8 {
            assert_eq!(verdict(&token, &issuers), Verdict::Verified);
            let next = format!(
                r#"{{"kty":"OKP","crv":"Ed25519","kid":"{rotation}",
                    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#
            );
            let next = KeySet::parse(next.as_bytes()).unwrap();
            issuers.learn(ISSUER, next, at(ISSUED_S + rotation));
        }
        assert_eq!(verdict(&token, &issuers), Verdict::UnknownKey);
    }

    #[test]
    fn a_token_that_names_no_key_is_tried_on_all_that_fit() {
        let issuers = issuers(&[], &[(PUBLIC, 5)]);
        let token = mint_with(&json!({"alg": "RS256"}), &claims(), "rsa-2048");
        assert_eq!(verdict(&token, &issuers), Verdict::Verified);
        let token = mint_with(&json!({"alg": "ES256"}), &claims(), "ed25519");
        assert_eq!(verdict(&token, &issuers), Verdict::BadSignature);
    }

    #[test]
    fn without_a_signature_or_an_issuer_there_is_nothing_to_check() {
        let issuers = issuers(&[], &[(PUBLIC, 5)]);
        let unsigned = unsigned(&json!({"alg": "ES256", "kid": "p-256"}), &claims());
        assert_eq!(verdict(&unsigned, &issuers), Verdict::NoSignature);
        assert_eq!(
            verdict(&format!("{unsigned}."), &issuers),
            Verdict::NoSignature
        );
        let token = mint(&json!({"iss": "https://idp.example.org/"}), "p-256");
        assert_eq!(verdict(&token, &issuers), Verdict::NotConfigured);
    }

    #[test]
    fn an_algorithm_that_nobody_can_check_is_refused_at_set_up() {
        let refused = Issuers::default().configure(ISSUER, &["RS256", "ES521"]);
        assert_eq!(refused, Err(UnknownAlgorithm("ES521".to_owned())));
    }

    /// The vectors of a Wycheproof file, each with the keys of its group.
    fn wycheproof(file: &str) -> Vec<(Value, Value)> {
        let file: Value = serde_json::from_str(file).unwrap();
        let mut vectors = Vec::new();
        for group in file["testGroups"].as_array().unwrap() {
            let keys = group.get("public").unwrap_or(&group["private"]);
            let tests = group["tests"].as_array().unwrap();
            vectors.extend(tests.iter().map(|test| (keys.clone(), test.clone())));
        }
        vectors
    }

    /// The verdict over a Wycheproof vector. Its payloads are no claims, so only its header is
    /// decoded.
    fn wycheproof_verdict(
        keys: &Value,
        text: &str,
    ) -> Result<Verdict, super::super::keys::KeyFault> {
        let set = KeySet::parse(keys.to_string().as_bytes())?;
        let algorithms = ALGORITHMS_DEFAULT
            .iter()
            .chain(&["HS256", "HS384", "HS512"]);
        let mut issuer = Issuer {
            algorithms: algorithms.map(|name| (*name).into()).collect(),
            sets: VecDeque::new(),
        };
        issuer.learn(set, at(0));
        let header = text
            .split('.')
            .next()
            .and_then(base64::decode)
            .unwrap_or_default();
        let header: Value = serde_json::from_slice(&header).unwrap_or_default();
        let signed = Signed {
            alg: header["alg"].as_str(),
            kid: header["kid"].as_str(),
            issued_s: None,
            expires_s: None,
        };
        Ok(issuer.judge(text, &signed))
    }

    /// Vectors whose outcome here differs from the file's, and why.
    fn wycheproof_exception(file: &str, id: u64) -> Option<&'static str> {
        match (file, id) {
            ("signature", 346 | 350) => {
                Some("the JWK is for PS256 alone, and the token says PS384")
            }
            ("signature", 367 | 370) => {
                Some("in the file, the token is to the letter that of vector 357, which is valid")
            }
            ("signature", 372 | 373) => Some("a question mark is no base64url"),
            ("signature", 347 | 351) => Some("P-521 is not supported"),
            _ => None,
        }
    }

    #[test]
    fn wycheproof_vectors_are_judged_as_they_say() {
        let files = [
            (
                "signature",
                include_str!("../../tests/fixtures/wycheproof/json_web_signature_test.json"),
            ),
            (
                "key",
                include_str!("../../tests/fixtures/wycheproof/json_web_key_test.json"),
            ),
        ];
        let mut table: BTreeMap<String, u32> = BTreeMap::new();
        let mut wrong = Vec::new();
        let vectors = files.into_iter().flat_map(|(file, text)| {
            wycheproof(text)
                .into_iter()
                .map(move |(keys, test)| (file, keys, test))
        });
        for (file, keys, test) in vectors {
            let id = test["tcId"].as_u64().unwrap();
            let verdict = wycheproof_verdict(&keys, test["jws"].as_str().unwrap_or_default());
            let (verified, expected) =
                (verdict == Ok(Verdict::Verified), test["result"] == "valid");
            *table
                .entry(format!("{file}, {}: {verdict:?}", test["result"]))
                .or_default() += 1;
            if (verified != expected) != wycheproof_exception(file, id).is_some() {
                wrong.push((file, id, test["comment"].to_string(), verdict));
            }
        }
        for (outcome, count) in table {
            println!("{count:4}  {outcome}");
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_token_keeps_its_id_and_form_however_it_is_spelled() {
        let key = IdKey::public([1; 32]);
        let token = mint(&claims(), "ed25519");
        let decoded = |text: String| {
            let mut event = AccessEvent {
                query: Some(format!("t={text}").into()),
                ..Default::default()
            };
            decode(&locate(&mut event, &key)[0], &key).unwrap()
        };
        let plain = decoded(token.clone());
        assert_eq!(plain.form, Form::Raw);
        for spelled in [
            format!("{token}=="),
            token.replace('.', "%2E"),
            token.replace('-', "+"),
        ] {
            assert_eq!(decoded(spelled).id, plain.id);
        }
        assert_eq!(
            decoded(mint_with(
                &json!({"alg": "EdDSA", "typ": "JWT", "kid": "ed25519"}),
                &claims(),
                "p-256"
            ))
            .id,
            plain.id
        );
    }
}
