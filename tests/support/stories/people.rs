//! Who makes requests: devices, logins, tokens.
//!
//! In: names, addresses of the example world, times. Out: [`Device`], [`Login`], [`Token`].
//! Does not know: logs.
//! Source: RFC 5737, RFC 3849 (addresses); RFC 9068 (claims of an access token).

use crate::support::mint::{mint, unsigned};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// Who signs every genuine token of the stories.
pub(crate) const ISSUER: &str = "https://idp.example.com/";

pub(crate) const CHROME_WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
     (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36";
pub(crate) const CHROME_WINDOWS_NEXT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
     (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36";
pub(crate) const CHROME_ANDROID: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 \
     (KHTML, like Gecko) Chrome/145.0.0.0 Mobile Safari/537.36";
pub(crate) const FIREFOX_LINUX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0";
pub(crate) const FIREFOX_WINDOWS: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:147.0) Gecko/20100101 Firefox/147.0";
pub(crate) const SAFARI_MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
     (KHTML, like Gecko) Version/18.3 Safari/605.1.15";
pub(crate) const SAFARI_IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) \
     AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148 Safari/604.1";
pub(crate) const REQUESTS: &str = "python-requests/2.32.3";
pub(crate) const GO: &str = "Go-http-client/2.0";
pub(crate) const PREVIEW: &str = "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)";

/// A program at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) address: &'static str,
    pub(crate) agent: &'static str,
}

impl Device {
    pub(crate) const fn new(address: &'static str, agent: &'static str) -> Self {
        Self { address, agent }
    }

    /// The same program at another address.
    pub(crate) const fn at(self, address: &'static str) -> Self {
        Self { address, ..self }
    }

    /// Another program at the same address.
    pub(crate) const fn with(self, agent: &'static str) -> Self {
        Self { agent, ..self }
    }
}

/// A token and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: Arc<str>,
    pub(crate) claims: Value,
}

/// Somebody signed in: a session at the issuer, out of which tokens come.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    user: &'static str,
    since_s: i64,
    life_s: i64,
}

impl Login {
    /// `user` (the part before `@example.com`) signs in; each token lives an hour.
    pub(crate) fn new(user: &'static str, since: &str) -> Self {
        Self {
            user,
            since_s: second(since),
            life_s: 3600,
        }
    }

    /// The same with tokens that live as long as this.
    pub(crate) fn with_tokens_of(self, life_s: i64) -> Self {
        Self { life_s, ..self }
    }

    /// The token that the user's client holds at this second: a new one whenever one ends.
    pub(crate) fn token(&self, at_s: i64) -> Token {
        let claims = self.claims(at_s);
        // A signature of Ed25519 is the same every time, and short.
        let text = mint(&claims, "ed25519").into();
        Token { text, claims }
    }

    /// A token of the same claims that nobody signed.
    pub(crate) fn token_with_alg_none(&self, at_s: i64) -> Token {
        let claims = self.claims(at_s);
        let text = unsigned(&json!({"alg": "none", "typ": "JWT"}), &claims) + ".";
        let text = text.into();
        Token { text, claims }
    }

    fn claims(&self, at_s: i64) -> Value {
        let turn = (at_s - self.since_s).div_euclid(self.life_s);
        let issued_s = self.since_s + turn * self.life_s;
        json!({
            "iss": ISSUER,
            "sub": format!("{}@example.com", self.user),
            "aud": "https://api.example.com",
            "azp": "shop-web",
            "sid": format!("{}-{}", self.user, self.since_s),
            "jti": format!("{}-{issued_s}", self.user),
            "iat": issued_s,
            "exp": issued_s + self.life_s,
        })
    }
}

/// The Unix time of `2026-03-02 09:00:12`, in UTC.
pub(crate) fn second(text: &str) -> i64 {
    let text = text.replace(' ', "T") + "Z";
    text.parse::<Timestamp>().unwrap().as_second()
}
