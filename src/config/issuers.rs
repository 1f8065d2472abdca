//! `[[issuer]]`: whose tokens are protected, with what keys, on which paths.
//!
//! In: the section. Out: [`Issuer`]s, none twice. Does not know: key sets, or how to fetch one.
//! Source: RFC 7517 (JWKS), RFC 7518, section 3.1 (algorithms), RFC 8725, section 3.1 (a closed
//! list of them).

use super::reader::{Given, Section};
use super::values::word_of;
use crate::domain::mistake::Mistake;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// One issuer of tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    /// The `iss` claim, compared letter by letter.
    pub issuer: String,
    /// Where its keys are; without them tokens of this issuer are not verified.
    pub jwks: Option<Jwks>,
    /// The algorithms it signs with. Empty: whatever its keys are made for.
    pub algorithms: Vec<Algorithm>,
    /// The `aud` values that are ours. Empty: any.
    pub audiences: Vec<String>,
    /// Ids (`jti`, `sid`, `sub`, `kid`) that were planted where a thief would look. Nobody else uses them.
    pub honeytokens: Vec<String>,
    /// Path prefixes behind which the gateway lets only valid tokens pass.
    pub protected_paths: Vec<String>,
    /// Path prefixes of login pages, beside the usual ones.
    pub login_paths: Vec<String>,
    /// Path prefixes of token endpoints, beside the usual ones.
    pub token_paths: Vec<String>,
    /// Path prefixes of logout, beside the usual ones.
    pub logout_paths: Vec<String>,
}

/// Where a key set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// A file that was there when the configuration was read.
    File(PathBuf),
    /// An `https` address, or `http` on loopback.
    Url(String),
}

/// A signature algorithm of RFC 7518, section 3.1, or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in their RFCs")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// Every algorithm that can be verified, with its name in `alg`.
    pub const ALL: [(&'static str, Self); 12] = [
        ("HS256", Self::HS256),
        ("HS384", Self::HS384),
        ("HS512", Self::HS512),
        ("RS256", Self::RS256),
        ("RS384", Self::RS384),
        ("RS512", Self::RS512),
        ("PS256", Self::PS256),
        ("PS384", Self::PS384),
        ("PS512", Self::PS512),
        ("ES256", Self::ES256),
        ("ES384", Self::ES384),
        ("EdDSA", Self::EdDSA),
    ];

    /// The algorithm's name in `alg`.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, algorithm)| *algorithm == self);
        known.map_or("", |(name, _)| name)
    }
}

pub(super) fn read(root: &Section<'_>) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for section in root.sections("issuer") {
        let given = section.required("issuer", "\"https://idp.example.com/\"");
        let issuer = read_one(&section, given.as_ref().map(|given| given.value.clone()));
        let (Some(issuer), Some(given)) = (issuer, given) else {
            continue;
        };
        if issuers.iter().any(|known| known.issuer == issuer.issuer) {
            let message = format!("issuer `{}` is there twice", issuer.issuer);
            section.mistake(
                &given.origin,
                message,
                "",
                "put its keys and paths into one [[issuer]]",
            );
        } else {
            issuers.push(issuer);
        }
    }
    issuers
}

fn read_one(section: &Section<'_>, issuer: Option<String>) -> Option<Issuer> {
    let jwks = section.text("jwks").and_then(|given| jwks(section, given));
    let algorithms = section.parsed_list("algorithms", algorithm);
    let texts = |name| {
        let given = section.texts(name).into_iter();
        given.map(|given| given.value).collect()
    };
    let audiences = texts("audiences");
    let honeytokens = texts("honeytokens");
    let protected_paths = section.parsed_list("protected_paths", path_prefix);
    let login_paths = section.parsed_list("login_paths", path_prefix);
    let token_paths = section.parsed_list("token_paths", path_prefix);
    let logout_paths = section.parsed_list("logout_paths", path_prefix);
    section.end();
    Some(Issuer {
        issuer: issuer?,
        jwks,
        algorithms,
        audiences,
        honeytokens,
        protected_paths,
        login_paths,
        token_paths,
        logout_paths,
    })
}

fn jwks(section: &Section<'_>, given: Given<String>) -> Option<Jwks> {
    if given.value.contains("://") {
        return section.parse(&given, secure_url).map(Jwks::Url);
    }
    let path = Given {
        value: section.located(&given.value),
        origin: given.origin,
    };
    section
        .existing(path, Path::is_file, "file")
        .map(Jwks::File)
}

fn algorithm(text: &str) -> Result<Algorithm, Mistake> {
    if text.eq_ignore_ascii_case("none") {
        return Err(
            Mistake::outside("`none` is no signature: anybody could write such a token")
                .help("name the algorithms the issuer signs with; see RFC 8725, section 3.1"),
        );
    }
    word_of(text, "algorithm", &Algorithm::ALL)
}

fn path_prefix(text: &str) -> Result<String, Mistake> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(Mistake::outside(format!("`{text}` is no path")).help("a path begins with `/`, as `/api/`"))
}

/// An address that nobody on the way can read or change: `https`, or `http` that stays on this
/// machine.
pub(super) fn secure_url(text: &str) -> Result<String, Mistake> {
    let wrong = |why: &str| Mistake::outside(format!("`{}` {why}", without_user(text)));
    let url = reqwest::Url::parse(text).map_err(|error| {
        wrong(&format!("is no URL: {error}")).help("as `https://idp.example.com/…`")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            wrong("has a user or a password in it").help("secrets come from a file or a variable")
        );
    }
    match url.scheme() {
        "https" => Ok(text.to_owned()),
        "http" if is_loopback(&url) => Ok(text.to_owned()),
        "http" => Err(wrong("is not protected on the way")
            .label("use `https`")
            .help(
                "`http` is allowed on loopback only: what travels here decides who is locked out",
            )),
        _ => Err(wrong("is neither https nor http")),
    }
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn without_user(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://…{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    }
}
