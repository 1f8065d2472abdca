//! Finds the credentials that an event shows.
//!
//! In: [`AccessEvent`] with its carriers. Out: [`Credentials`], each with the digest that probes
//! the tables.
//! Does not know: what a token says. A text that looks like a token and is none is for
//! [`super::decode`] to refuse.
//! Source: RFC 6750, section 2 (header, form, query), RFC 9449, section 7.1 (DPoP), RFC 7515,
//! section 7.1, and RFC 7516, section 7.1 (compact serialisations).

use super::pairs::{Split, may_hold_pairs, pairs};
use super::possession::cookie_sha256;
use super::told::Told;
use crate::domain::bytes::has_any;
use crate::domain::event::{AccessEvent, Carrier, CarrierKind, EventKind};
use crate::domain::ids::IdKey;
use crate::domain::mask;
use crate::domain::scrubbed::Scrubbed;
use crate::domain::token::{Credential, CredentialPlace, Credentials, RawToken, Shape};
use memchr::{memchr, memchr_iter, memchr3};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::mem;
use std::ops::Range;

/// Distinct credentials taken from one event. Real requests have one to three; more are an attack
/// on the tables.
pub const CREDENTIALS_MAX: usize = 8;

/// Longest text after `Bearer` that is taken for a token though it does not begin like one. Servers
/// refuse longer headers (nginx: 8 KiB a line, `large_client_header_buffers`), so nothing longer
/// was ever a credential.
const BROKEN_BYTES_MAX: usize = 16 * 1024;

/// Schemes before a token, with the space after them, in lower case.
const SCHEMES: [&[u8]; 4] = [b"bearer ", b"dpop ", b"token ", b"jwt "];

/// The credentials that an event shows, every distinct one once. The carriers are used up: what
/// they held is in the credentials now, and nowhere else in the event.
///
/// A token found in one request twice keeps the place that leaks most (query and path), since that
/// is what has to be told; a mention in the Referer or the user agent stays beside a presentation.
pub fn locate<'a>(event: &mut AccessEvent<'a>, key: &IdKey) -> Credentials<'a> {
    let mut found = Found {
        key,
        credentials: Credentials::new(),
        dpop: false,
    };
    if event.kind == EventKind::Note {
        found.mentions(event);
        return found.credentials;
    }
    let mut told = Told::default();
    for carrier in mem::take(&mut event.carriers) {
        match carrier.kind {
            CarrierKind::Header => found.in_value(carrier, CredentialPlace::Header),
            CarrierKind::Cookie => {
                if let Some(hash) = cookie_sha256(&carrier.text) {
                    event.possession.get_or_insert_default().cookie_sha256 = Some(hash);
                }
                found.in_cookies(&carrier);
            }
            CarrierKind::Field => found.in_value(carrier, CredentialPlace::Field),
            CarrierKind::Claim(claim) => told.claim(claim, carrier),
            CarrierKind::Hash => told.hash(carrier),
        }
    }
    if found.dpop {
        event.possession.get_or_insert_default().dpop_scheme = true;
    }
    if let Some(query) = &event.query {
        found.in_query(query);
    }
    for (text, place, name) in [
        (&event.path, CredentialPlace::Path, "path"),
        (&event.referer, CredentialPlace::Referer, "referer"),
        (&event.user_agent, CredentialPlace::Stray, "user_agent"),
    ] {
        if let Some(text) = text {
            found.in_text(text, place, Cow::Borrowed(name));
        }
    }
    found.add_told(told);
    found.credentials
}

/// What was found so far.
struct Found<'a, 'k> {
    key: &'k IdKey,
    credentials: Credentials<'a>,
    /// A header's scheme is DPoP.
    dpop: bool,
}

#[allow(clippy::ptr_arg, reason = "pieces of a borrowed text stay borrowed")]
impl<'a> Found<'a, '_> {
    /// All of a note: whatever token stands there was written down, and presented to nobody by this line.
    fn mentions(&mut self, event: &mut AccessEvent<'a>) {
        for carrier in mem::take(&mut event.carriers) {
            if !matches!(carrier.kind, CarrierKind::Claim(_) | CarrierKind::Hash) {
                self.in_text(&carrier.text, CredentialPlace::Stray, carrier.name);
            }
        }
        for (text, name) in [
            (&event.path, "path"),
            (&event.query, "query"),
            (&event.referer, "referer"),
            (&event.user_agent, "user_agent"),
        ] {
            if let Some(text) = text {
                self.in_text(text, CredentialPlace::Stray, Cow::Borrowed(name));
            }
        }
    }

    /// The value of a header, or of a field that may be one: nearly always a token alone, perhaps behind a scheme.
    fn in_value(&mut self, carrier: Carrier<'a>, place: CredentialPlace) {
        let text = &carrier.text;
        let after_scheme = scheme_length(text.as_bytes());
        let start = after_scheme.unwrap_or(0);
        let is_header = place == CredentialPlace::Header;
        self.dpop |= is_header && start > 0 && matches!(text.as_bytes(), [b'd' | b'D', ..]);
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        if rest.first() == Some(&b'~') {
            self.add_scrubbed(text, place, &carrier.name);
            return;
        }
        // More dots than a token has are as good as five. At memory speed, for this is where most tokens of most logs
        // stand.
        let dots = memchr_iter(b'.', rest).take(5).count();
        let alone = match is_header {
            true => memchr3(b' ', b',', b';', rest).is_none(),
            // It may be several things joined by whatever somebody chose.
            false => mask::is_plain_run(rest),
        };
        let whole = matches!(dots, 1 | 2 | 4) && opens_object(rest);
        // A broken token is a fact, too: what stands after a header's scheme in three parts counts whatever they hold.
        let broken = || is_header && after_scheme.is_some() && dots == 2 && is_broken_token(rest);
        if alone && (whole || broken()) {
            let token = cut(text, start..text.len());
            self.add_raw(token, place, carrier.name);
        } else {
            self.in_text(text, place, carrier.name);
        }
    }

    /// A Cookie header, or the value of one cookie.
    fn in_cookies(&mut self, carrier: &Carrier<'a>) {
        let text = &carrier.text;
        if !may_hold_pairs(text) {
            return;
        }
        let mut joins_left = CREDENTIALS_MAX;
        for (name, value) in pairs(text, b';') {
            let name = name.map_or(carrier.name.clone(), |name| cut(text, name));
            let value = cut(text, value);
            let begins = joins_left > 0 && opens_object(value.trim_start_matches('"').as_bytes());
            let split = Split::of(&name).filter(|_| begins);
            joins_left -= usize::from(split.is_some());
            match split.and_then(|split| Some((split.stem, split.joined(text)?))) {
                Some((stem, joined)) => {
                    let stem = Cow::Owned(stem.to_owned());
                    self.in_text(&Cow::Owned(joined), CredentialPlace::Cookie, stem);
                }
                None => self.in_text(&value, CredentialPlace::Cookie, name),
            }
        }
    }

    /// The query: every parameter, since applications call theirs as they like.
    fn in_query(&mut self, text: &Cow<'a, str>) {
        if !may_hold_pairs(text) {
            return;
        }
        for (name, value) in pairs(text, b'&') {
            let name = name.map_or(Cow::Borrowed("query"), |name| cut(text, name));
            self.in_text(&cut(text, value), CredentialPlace::Query, name);
        }
    }

    /// Any text: every run in it that could be a token.
    fn in_text(&mut self, text: &Cow<'a, str>, place: CredentialPlace, name: Cow<'a, str>) {
        // Everywhere but in pairs and headers, the usual beginning decides alone.
        let by_opening = !matches!(
            place,
            CredentialPlace::Cookie | CredentialPlace::Query | CredentialPlace::Header
        );
        if by_opening && !has_any(text.as_bytes(), [b'J', b'~']) {
            return; // nearly every text
        }
        if memchr(b'~', text.as_bytes()).is_some() {
            self.add_scrubbed(text, place, &name);
        }
        if by_opening && !has_usual_opening(text) {
            return;
        }
        for run in mask::runs(text) {
            if let Some(token) = token_in(cut(text, run), place) {
                self.add_raw(token, place, name.clone());
            }
        }
    }

    fn add_raw(&mut self, token: Cow<'a, str>, place: CredentialPlace, name: Cow<'a, str>) {
        let digest = self.key.digest_of(token.as_bytes());
        let known = self
            .credentials
            .iter_mut()
            .find(|known| known.digest == digest && known.place.presents() == place.presents());
        match known {
            Some(known) if matches!(place, CredentialPlace::Query | CredentialPlace::Path) => {
                (known.place, known.name) = (place, name);
            }
            Some(_) => {}
            None => self.add(Credential {
                shape: Shape::Raw(RawToken::new(token)),
                place,
                name,
                digest,
            }),
        }
    }

    /// What `tokentrip scrub` left in the place of tokens.
    fn add_scrubbed(&mut self, text: &str, place: CredentialPlace, name: &Cow<'a, str>) {
        let mut rest = text;
        while let Some((range, ids)) = Scrubbed::find(rest) {
            let shown = rest.as_bytes().get(range.clone()).unwrap_or_default();
            let digest = self.key.digest_of(shown);
            let known = (self.credentials.iter())
                .any(|known| known.digest == digest && known.place.presents() == place.presents());
            if !known {
                self.add(Credential {
                    shape: Shape::Scrubbed(ids),
                    place,
                    name: name.clone(),
                    digest,
                });
            }
            rest = rest.get(range.end..).unwrap_or_default();
        }
    }

    fn add_told(&mut self, told: Told<'a>) {
        if let Some(credential) = told.credential(&self.credentials, self.key) {
            self.add(credential);
        }
    }

    /// Where there are too many, the sender's own go first: nobody can crowd out what the gateway read.
    fn add(&mut self, credential: Credential<'a>) {
        if self.credentials.len() < CREDENTIALS_MAX {
            self.credentials.push(credential);
            return;
        }
        let mut known = self.credentials.iter_mut().rev();
        if let Some(lesser) = known.find(|known| weight(known.place) < weight(credential.place)) {
            *lesser = credential;
        }
    }
}

/// How likely a gateway reads its token there.
fn weight(place: CredentialPlace) -> u8 {
    match place {
        CredentialPlace::Field => 4,
        CredentialPlace::Header => 3,
        CredentialPlace::Cookie => 2,
        CredentialPlace::Query | CredentialPlace::Path => 1,
        CredentialPlace::Referer | CredentialPlace::Stray => 0,
    }
}

/// Length of the scheme and the spaces after it.
fn scheme_length(text: &[u8]) -> Option<usize> {
    if let [b'B', b'e', b'a', b'r', b'e', b'r', b' ', next, ..] = text
        && *next != b' '
    {
        return Some(b"Bearer ".len()); // as nearly every client writes it
    }
    let scheme = SCHEMES.into_iter().find(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })?;
    let rest = text.get(scheme.len()..).unwrap_or_default();
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    Some(scheme.len() + spaces)
}

/// True for base64url whose first byte is the brace of a JSON object.
pub(super) fn opens_object(text: &[u8]) -> bool {
    matches!(
        text,
        [b'e', b'y', b'A' | b'I'..=b'L', ..] | [b'e', b'w', b'o' | b'0' | b'k', ..]
    )
}

/// True for parts that are base64 of either alphabet each, the first two of them not empty.
fn is_broken_token(text: &[u8]) -> bool {
    let is_base64 = |part: &[u8]| {
        let padding = part.iter().rev().take_while(|byte| **byte == b'=').count();
        part.iter()
            .take(part.len() - padding)
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_+/".contains(byte))
    };
    let mut parts = text.split(|byte| *byte == b'.').enumerate();
    text.len() <= BROKEN_BYTES_MAX
        && parts.all(|(index, part)| is_base64(part) && (index >= 2 || !part.is_empty()))
}

pub(super) fn has_usual_opening(text: &str) -> bool {
    // A capital J is rare outside tokens, and to look for one letter is cheaper than to get ready for three.
    let bytes = text.as_bytes();
    memchr_iter(b'J', bytes).any(|at| {
        bytes
            .get(..at)
            .is_some_and(|before| before.ends_with(b"ey"))
    })
}

/// The token at the start of a run: two, three or five parts, percent-encoding undone.
pub(super) fn token_in(run: Cow<'_, str>, place: CredentialPlace) -> Option<Cow<'_, str>> {
    let run = match place {
        // In a URL a slash is the next segment; base64 with slashes cannot stand there unescaped.
        CredentialPlace::Path | CredentialPlace::Query | CredentialPlace::Referer => {
            let end = memchr(b'/', run.as_bytes()).unwrap_or(run.len());
            cut(&run, 0..end)
        }
        _ => run,
    };
    let run = if memchr(b'%', run.as_bytes()).is_some() {
        Cow::Owned(percent_decoded(&run))
    } else {
        run
    };
    let dots: SmallVec<[usize; 6]> = memchr_iter(b'.', run.as_bytes()).take(6).collect();
    // Frameworks sign cookies by one more part at the end, which is not the token's.
    let end = match dots.as_slice() {
        [] => return None,
        [_] | [_, _] | [_, _, _, _] => run.len(),
        [_, _, third] => *third,
        [_, _, _, _, fifth, ..] => *fifth,
    };
    let second = dots[0] + 1..dots.get(1).copied().unwrap_or(end);
    (!second.is_empty()).then(|| cut(&run, 0..end))
}

/// Undoes percent-encoding, as often as it was done: in a run `%` begins nothing else.
fn percent_decoded(run: &str) -> String {
    let mut decoded = String::with_capacity(run.len());
    let mut rest = run;
    while let Some((plain, mut after)) = rest.split_once('%') {
        decoded.push_str(plain);
        while let Some(again) = after.strip_prefix("25") {
            after = again;
        }
        let code = after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.extend(code.map(char::from));
        rest = after.get(2..).unwrap_or_default();
    }
    decoded.push_str(rest);
    decoded
}

/// A piece of a text, borrowed where the text is.
#[inline]
fn cut<'a>(text: &Cow<'a, str>, range: Range<usize>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(range).unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::super::mint::{mint, unsigned};
    use super::*;
    use crate::domain::token::Claim;
    use proptest::prelude::*;
    use serde_json::json;

    fn key() -> IdKey {
        IdKey::public([3; 32])
    }

    fn token(sub: &str) -> String {
        mint(
            &json!({"iss": "https://idp.example.com/", "sub": sub}),
            "ed25519",
        )
    }

    fn carrier<'a>(kind: CarrierKind, name: &'a str, text: &'a str) -> Carrier<'a> {
        Carrier {
            kind,
            name: name.into(),
            text: text.into(),
        }
    }

    fn event<'a>(carriers: impl IntoIterator<Item = Carrier<'a>>) -> AccessEvent<'a> {
        AccessEvent {
            carriers: carriers.into_iter().collect(),
            ..AccessEvent::default()
        }
    }

    /// Where the credentials of an event stand, under which name, and what they are.
    fn found(mut event: AccessEvent<'_>) -> Vec<(CredentialPlace, String, String)> {
        let found = locate(&mut event, &key());
        assert!(event.carriers.is_empty());
        let shown = found.into_iter().map(|credential| {
            let text = match credential.shape {
                Shape::Raw(raw) => raw.expose().to_owned(),
                Shape::Claims(claims) => format!("{} claims", claims.len()),
                Shape::Hash(hash, claims) => format!("{hash} and {} claims", claims.len()),
                Shape::Scrubbed(ids) => ids.to_string(),
            };
            (credential.place, credential.name.into_owned(), text)
        });
        shown.collect()
    }

    fn in_header(text: &str) -> Vec<String> {
        let found = found(event([carrier(CarrierKind::Header, "authorization", text)]));
        found.into_iter().map(|(_, _, text)| text).collect()
    }

    #[test]
    fn a_token_in_a_header_is_found_after_any_scheme_or_none() {
        let token = token("alice");
        for scheme in [
            "Bearer ",
            "bearer ",
            "BEARER  ",
            "DPoP ",
            "Token ",
            "",
            "Basic, ",
            "Token token=",
        ] {
            assert_eq!(
                in_header(&format!("{scheme}{token}")),
                [token.as_str()],
                "{scheme}"
            );
        }
    }

    #[test]
    fn the_token_of_an_ordinary_header_is_borrowed_from_the_line() {
        let text = format!("Bearer {}", token("alice"));
        let mut event = event([carrier(CarrierKind::Header, "authorization", &text)]);
        let found = locate(&mut event, &key());
        let Shape::Raw(raw) = &found[0].shape else {
            panic!("raw")
        };
        assert!(std::ptr::eq(raw.expose(), &text[7..]));
    }

    #[test]
    fn several_tokens_in_one_header_are_several_credentials() {
        let (one, two) = (token("alice"), token("bob"));
        assert_eq!(
            in_header(&format!("Bearer {one}, Bearer {two}, Bearer {one}")),
            [one, two]
        );
    }

    #[test]
    fn a_broken_token_after_a_scheme_is_a_credential_and_other_secrets_are_none() {
        assert_eq!(
            in_header("Bearer x.eyJzdWIiOiJhIn0.y"),
            ["x.eyJzdWIiOiJhIn0.y"]
        );
        for text in [
            "Bearer opaque",
            "Basic dXNlcjpwYXNz",
            "Bearer REDACTED",
            "Bearer [REDACTED]",
            "Bearer eyJhbGciOiJ***",
            "Bearer eyJhbGciOiJub25lIn0",
            "Bearer",
            "",
            "-",
            "a.b.c",
            "Bearer ..",
        ] {
            assert!(in_header(text).is_empty(), "{text}");
        }
        let long = format!("Bearer x.{}.y", "a".repeat(BROKEN_BYTES_MAX));
        assert!(in_header(&long).is_empty());
    }

    #[test]
    fn two_and_five_parts_are_whole_and_a_framework_s_signature_is_cut_off() {
        let unsigned = unsigned(&json!({"alg": "RS256"}), &json!({"sub": "a"}));
        assert_eq!(
            in_header(&format!("Bearer {unsigned}")),
            [unsigned.as_str()]
        );
        assert_eq!(
            in_header("eyJlbmMiOiIifQ.a.b.c.d"),
            ["eyJlbmMiOiIifQ.a.b.c.d"]
        );
        let token = token("alice");
        let cookie = format!("theme=dark; session=s%3A{token}.c2lnbmF0dXJl; x=1");
        let found = found(event([carrier(CarrierKind::Cookie, "cookie", &cookie)]));
        assert_eq!(
            found,
            [(CredentialPlace::Cookie, "session".to_owned(), token)]
        );
    }

    #[test]
    fn a_cookie_in_pieces_is_one_token() {
        let token = token("alice");
        let (first, rest) = token.split_at(80);
        let (second, third) = rest.split_at(50);
        for (stem, names) in [
            ("auth", ["auth.0", "auth.1", "auth.2"]),
            (
                "appSession",
                ["appSession-0", "appSession-1", "appSession-2"],
            ),
            ("id_token", ["id_token_0", "id_token_1", "id_token_2"]),
            (
                ".AspNetCore.Cookies",
                [
                    ".AspNetCore.CookiesC1",
                    ".AspNetCore.CookiesC2",
                    ".AspNetCore.CookiesC3",
                ],
            ),
            (
                "__Secure-next-auth.session-token",
                [
                    "__Secure-next-auth.session-token.0",
                    "__Secure-next-auth.session-token.1",
                    "__Secure-next-auth.session-token.2",
                ],
            ),
        ] {
            let [a, b, c] = names;
            let cookie = format!(
                "{stem}=chunks-3; {c}={third}; x=1;{b}=\"{second}\"; {a}={first}; {b}=again"
            );
            let found = found(event([carrier(CarrierKind::Cookie, "cookie", &cookie)]));
            let expected = (CredentialPlace::Cookie, stem.to_owned(), token.clone());
            assert_eq!(found, [expected], "{stem}");
        }
    }

    #[test]
    fn a_cookie_without_one_of_its_pieces_is_a_token_that_was_cut() {
        let token = token("alice");
        let (first, second) = token.split_at(token.len() - 40);
        let (second, third) = second.split_at(20);
        for (cookie, expected) in [
            (
                format!("a.0={first}; a.2={third}"),
                ("a.0", first.to_owned()),
            ),
            (
                format!("a.3={third}; a.1={second}; a.0={first}"),
                ("a", format!("{first}{second}")),
            ),
        ] {
            let found = found(event([carrier(CarrierKind::Cookie, "cookie", &cookie)]));
            let (name, text) = expected;
            assert_eq!(found, [(CredentialPlace::Cookie, name.to_owned(), text)]);
        }
        let only_later = format!("a.1={second}; a.2={third}");
        assert!(found(event([carrier(CarrierKind::Cookie, "cookie", &only_later)])).is_empty());
    }

    #[test]
    fn what_is_joined_to_a_token_in_a_field_is_none_of_it() {
        let token = token("alice");
        for behind in [
            "", " x", ",x", ";x", "|x", "\"", "&x=1", "'", ")", "~x", "\u{e9}",
        ] {
            let text = format!("Bearer {token}{behind}");
            let event = event([carrier(CarrierKind::Field, "extra", &text)]);
            let shown = (CredentialPlace::Field, "extra".to_owned(), token.clone());
            assert_eq!(found(event), [shown], "{behind}");
        }
    }

    #[test]
    fn very_many_pieces_of_cookies_come_to_an_end() {
        let many: String = (0..50_000).map(|n| format!("a{n}.0=eyJ{n};")).collect();
        found(event([carrier(CarrierKind::Cookie, "cookie", &many)]));
    }

    #[test]
    fn the_value_of_one_cookie_needs_no_name() {
        let token = token("alice");
        let found = found(event([carrier(CarrierKind::Cookie, "cookie_auth", &token)]));
        assert_eq!(
            found,
            [(CredentialPlace::Cookie, "cookie_auth".to_owned(), token)]
        );
    }

    #[test]
    fn a_header_written_with_white_space_inside_is_found_in_cookies_and_queries_too() {
        let token = "eyAiYWxnIjogIm5vbmUiIH0.eyAic3ViIjogImFsaWNlIiB9.";
        let text = format!("a=b&t={token}");
        let mut event = event([]);
        event.query = Some(text.as_str().into());
        assert_eq!(
            found(event),
            [(CredentialPlace::Query, "t".to_owned(), token.to_owned())]
        );
    }

    #[test]
    fn a_token_in_a_url_or_a_stray_field_says_where_it_leaked() {
        let (a, b, c, d) = (token("a"), token("b"), token("c"), token("d"));
        let event = AccessEvent {
            path: Some(format!("/reset/{a}/now").into()),
            query: Some(format!("next=/x&access_token={}", b.replace('.', "%2e")).into()),
            referer: Some(format!("https://app.example.com/#id_token={c}").into()),
            user_agent: Some(format!("app/1 ({d})").into()),
            ..AccessEvent::default()
        };
        let places = [
            (CredentialPlace::Query, "access_token", b),
            (CredentialPlace::Path, "path", a),
            (CredentialPlace::Referer, "referer", c),
            (CredentialPlace::Stray, "user_agent", d),
        ];
        assert_eq!(
            found(event),
            places.map(|(place, name, token)| (place, name.to_owned(), token))
        );
    }

    #[test]
    fn one_token_twice_keeps_the_place_that_leaks_and_a_mention_stays_beside_it() {
        let token = token("alice");
        let (header, query) = (format!("Bearer {token}"), format!("t={token}"));
        let mut event = event([carrier(CarrierKind::Header, "authorization", &header)]);
        event.query = Some(query.as_str().into());
        event.referer = Some(query.as_str().into());
        let places: Vec<_> = found(event)
            .into_iter()
            .map(|(place, name, _)| (place, name))
            .collect();
        assert_eq!(
            places,
            [
                (CredentialPlace::Query, "t".to_owned()),
                (CredentialPlace::Referer, "referer".to_owned()),
            ]
        );
    }

    #[test]
    fn told_claims_are_one_credential_and_give_way_to_the_token_itself() {
        let told = || {
            [
                carrier(
                    CarrierKind::Claim(Claim::Iss),
                    "jwt_iss",
                    "https://idp.example.com/",
                ),
                carrier(CarrierKind::Claim(Claim::Sub), "jwt_sub", "alice"),
                carrier(CarrierKind::Claim(Claim::Sid), "jwt_sid", "-"),
            ]
        };
        let claims = (
            CredentialPlace::Field,
            "claims".to_owned(),
            "2 claims".to_owned(),
        );
        assert_eq!(found(event(told())), [claims]);
        let hash = carrier(CarrierKind::Hash, "jwt_hash", "5f3a");
        let hashed = (
            CredentialPlace::Field,
            "jwt_hash".to_owned(),
            "5f3a and 2 claims".to_owned(),
        );
        assert_eq!(found(event(told().into_iter().chain([hash]))), [hashed]);
        let token = token("alice");
        for (kind, place) in [
            (CarrierKind::Field, CredentialPlace::Field),
            (CarrierKind::Header, CredentialPlace::Header),
            (CarrierKind::Cookie, CredentialPlace::Cookie),
        ] {
            let raw = carrier(kind, "token", &token);
            let raw_wins = (place, "token".to_owned(), token.clone());
            assert_eq!(found(event(told().into_iter().chain([raw]))), [raw_wins]);
        }
        let nobody = carrier(CarrierKind::Claim(Claim::Alg), "jwt_alg", "RS256");
        assert!(found(event([nobody])).is_empty());
    }

    /// What the gateway says of the token that it let in, and what a thief sends beside it to hide that.
    #[test]
    fn no_decoy_hides_what_the_gateway_told() {
        let decoy = token("mallory");
        let scrubbed = {
            let mut line = Vec::new();
            super::super::scrub::scrub(decoy.as_bytes(), &key(), &mut line);
            String::from_utf8(line).unwrap()
        };
        assert!(scrubbed.starts_with("~t-"), "{scrubbed}");
        let many: Vec<String> = (0..20)
            .map(|n| format!("t{n}={}", token(&n.to_string())))
            .collect();
        let many = many.join("&");
        let cookies = many.replace('&', "; ");
        let bearer = format!("Bearer {decoy}");
        let broken = "Bearer x.eyJzdWIiOiJhIn0.y";
        for (kind, text) in [
            (CarrierKind::Header, bearer.as_str()),
            (CarrierKind::Header, broken),
            (CarrierKind::Cookie, decoy.as_str()),
            (CarrierKind::Cookie, scrubbed.as_str()),
            (CarrierKind::Cookie, cookies.as_str()),
        ] {
            let told = carrier(CarrierKind::Claim(Claim::Sub), "jwt_sub", "alice");
            let found = found(event([carrier(kind, "decoy", text), told]));
            assert!(found.iter().any(|(_, name, _)| name == "claims"), "{text}");
        }
        for text in [&decoy, &scrubbed, &many] {
            let query = format!("t={text}");
            for hashed in [false, true] {
                let told = match hashed {
                    true => carrier(CarrierKind::Hash, "claims", "5f3a"),
                    false => carrier(CarrierKind::Claim(Claim::Jti), "jwt_jti", "7"),
                };
                let mut event = event([told]);
                event.query = Some(query.as_str().into());
                event.referer = Some(query.as_str().into());
                event.path = Some(format!("/{query}").into());
                let found = found(event);
                assert!(found.iter().any(|(_, name, _)| name == "claims"), "{text}");
                assert!(found.len() <= CREDENTIALS_MAX);
            }
        }
    }

    #[test]
    fn no_crowd_of_cookies_hides_the_token_in_the_header() {
        let token = token("alice");
        let cookies: Vec<String> = (0..20).map(|n| format!("c{n}={token}{n}")).collect();
        let (cookies, header) = (cookies.join(";"), format!("Bearer {token}"));
        let found = found(event([
            carrier(CarrierKind::Cookie, "cookie", &cookies),
            carrier(CarrierKind::Header, "authorization", &header),
        ]));
        let headers = found.iter().filter(|one| one.0 == CredentialPlace::Header);
        assert_eq!((headers.count(), found.len()), (1, CREDENTIALS_MAX));
    }

    #[test]
    fn at_most_eight_credentials_come_from_one_event() {
        let many: Vec<String> = (0..20).map(|n| token(&n.to_string())).collect();
        assert_eq!(in_header(&many.join(",")).len(), CREDENTIALS_MAX);
    }

    proptest! {
        #[test]
        fn nothing_in_an_event_makes_locating_or_decoding_panic(
            texts in prop::collection::vec(
                r"((Bearer |eyJ|ew0|eyJhbGciOiJub25lIn0|eyJzdWIiOiJhIn0)?[A-Za-z0-9_.%=+/;& ,-]{0,20}\PC{0,2}){0,6}",
                8,
            ),
        ) {
            let kinds = [
                CarrierKind::Header, CarrierKind::Cookie, CarrierKind::Field, CarrierKind::Hash,
            ];
            let mut event = event(
                kinds.into_iter().zip(&texts).map(|(kind, text)| carrier(kind, "name", text)),
            );
            event.path = Some(texts[4].as_str().into());
            event.query = Some(texts[5].as_str().into());
            event.referer = Some(texts[6].as_str().into());
            event.user_agent = Some(texts[7].as_str().into());
            let found = locate(&mut event, &key());
            prop_assert!(found.len() <= CREDENTIALS_MAX);
            for credential in &found {
                let _ = decode(credential, &key());
            }
        }
    }
}
