//! What kind of path a request asks for.
//!
//! In: a path as logged, the configured lists. Out: [`PathClass`].
//! Does not know: hosts, methods, answers.

use crate::detectors::PathClass;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

/// Words in paths that end a session: OpenID Connect calls it `end_session_endpoint`, products call it these.
const LOGOUT: &[&str] = &[
    "logout",
    "log-out",
    "signout",
    "sign-out",
    "endsession",
    "end-session",
    "end_session",
];

/// Words in paths whose effects outlive a session: what account takeovers change first, after OWASP's ASVS 5.0,
/// chapter 6 (authentication factors) and the published account-takeover rules of API gateways.
const SENSITIVE: &[&str] = &[
    "password",
    "passwd",
    "/email",
    "/mfa",
    "2fa",
    "totp",
    "webauthn",
    "passkey",
    "recovery",
    "api-key",
    "api_key",
    "apikey",
    "/keys",
    "payment",
    "payout",
    "/transfer",
    "/iban",
    "withdraw",
    "/admin",
    "/roles",
    "permission",
];

/// The compiled lists.
#[derive(Clone, Debug)]
pub struct Paths {
    words: AhoCorasick,
    protected: Vec<String>,
    logout: Vec<String>,
}

impl Paths {
    /// Compiles the usual words beside the configured paths, which are prefixes.
    pub fn new(protected: Vec<String>, logout: Vec<String>) -> Self {
        let words = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(LOGOUT.iter().chain(SENSITIVE))
            .expect("two short lists of words compile");
        Self {
            words,
            protected,
            logout,
        }
    }

    /// True when protected paths are configured, so that any other path accepts nothing.
    pub fn protects(&self) -> bool {
        !self.protected.is_empty()
    }

    /// What kind of path it is.
    pub fn class(&self, path: &str) -> PathClass {
        let mut class = PathClass {
            protected: self
                .protected
                .iter()
                .any(|prefix| path.starts_with(prefix.as_str())),
            logout: self
                .logout
                .iter()
                .any(|prefix| path.starts_with(prefix.as_str())),
            sensitive: false,
        };
        // Hardly any path has one of the words, and to know that is far cheaper than to know which.
        if !self.words.is_match(path) {
            return class;
        }
        for found in self.words.find_overlapping_iter(path) {
            match found.pattern().as_usize() < LOGOUT.len() {
                true => class.logout = true,
                false => class.sensitive = true,
            }
        }
        class
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_known_without_configuration() {
        let paths = Paths::new(vec!["/api/".into()], vec!["/bye".into()]);
        let class = |path| paths.class(path);
        assert!(class("/auth/realms/x/protocol/openid-connect/Logout").logout);
        assert!(class("/bye").logout && !class("/goodbye").logout);
        assert!(
            class("/api/users/7/password").sensitive && class("/api/users/7/password").protected
        );
        assert_eq!(class("/assets/app.js"), PathClass::default());
    }
}
