//! A made-up log: one hour at a gateway, always the same.
//!
//! In: a number of lines. Out: lines of nginx, as JSON (about 850 bytes) or combined, with tokens of 439, of 45,000 sessions
//! of 50,000 users; a few tokens are stolen. Signatures are random, unless they are asked for. Between the lines may stand others
//! with forged tokens.
//! Does not know: what is done with it.

#![allow(
    dead_code,
    reason = "each benchmark is a crate of its own and uses a part"
)]

use data_encoding::BASE64URL_NOPAD;
use std::fmt::Write;

/// Accounts.
pub(crate) const USERS: usize = 50_000;
/// Sessions, each with one token.
pub(crate) const SESSIONS: usize = 45_000;
/// Every session with a multiple of this number is stolen in the second half of the hour.
const STOLEN_EVERY: usize = 5_000;
/// 2026-05-04T10:00:00Z.
const BEGIN_S: u64 = 1_777_888_800;
const HOUR_S: u64 = 3_600;
/// The key of `tests/fixtures/keys` that signs, where somebody signs.
pub(crate) const SIGNED_BY: &str = "p-256";
/// Bytes of scope that make a signed token about as long as the others.
const FILLING: usize = 60;
/// As long as an access token with a session, a scope and a few claims of the application.
const TOKEN_BYTES: usize = 439;

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
     Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/126.0.6478.71 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
];

const PATHS: [&str; 8] = [
    "/api/v1/orders",
    "/api/v1/orders/8731?page=2",
    "/api/v1/products?category=garden&sort=price",
    "/api/v1/basket",
    "/api/v1/profile",
    "/api/v1/search?q=watering+can",
    "/api/v1/messages/unread",
    "/api/v1/recommendations?limit=12",
];

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
pub(crate) struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// Whose a session is.
fn user(session: usize) -> usize {
    session * 7_919 % USERS
}

/// The claims of a session's token, filled up so that every token is as long as the others.
pub(crate) fn claims(session: usize, filling: usize) -> String {
    let user = user(session);
    let issued = BEGIN_S - 600 + session as u64 % 500;
    format!(
        concat!(
            r#"{{"iss":"https://id.example.com","sub":"user-{:06}","aud":"shop-api","sid":"{:016x}","#,
            r#""jti":"{:016x}","iat":{},"exp":{},"scope":"{:x<filling$}"}}"#
        ),
        user,
        session,
        session * 31 + 7,
        issued,
        issued + 36_000,
        "openid profile orders:read ",
        filling = filling
    )
}

/// The token of a session.
pub(crate) fn token(session: usize) -> String {
    unfit(session, "2026-05")
}

/// A token with a signature that fits no key.
fn unfit(session: usize, kid: &str) -> String {
    let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#);
    let header = BASE64URL_NOPAD.encode(header.as_bytes());
    let mut random = Random::new(session as u64);
    let signature: Vec<u8> = (0..64).map(|_| random.below(256) as u8).collect();
    let signature = BASE64URL_NOPAD.encode(&signature);
    let payload_chars = TOKEN_BYTES - header.len() - signature.len() - 2;
    let filling =
        payload_chars * 3 / 4 - claims(session, 0).len() + "openid profile orders:read ".len();
    let payload = BASE64URL_NOPAD.encode(claims(session, filling).as_bytes());
    format!("{header}.{payload}.{signature}")
}

/// Lines one after the other, in order of time.
pub(crate) struct Traffic {
    tokens: Vec<String>,
    random: Random,
    lines: usize,
    next: usize,
    combined: bool,
    once: bool,
    /// From how many networks forged tokens come; 0 for none.
    forgers: usize,
}

impl Traffic {
    /// That many lines in one hour.
    pub(crate) fn new(lines: usize) -> Self {
        Self::of_sessions(lines, SESSIONS)
    }

    /// The same of so many sessions, of which no more than [`SESSIONS`] are open at a time.
    pub(crate) fn of_sessions(lines: usize, sessions: usize) -> Self {
        Self {
            tokens: (0..sessions).map(token).collect(),
            random: Random::new(1),
            lines,
            next: 0,
            combined: false,
            once: false,
            forgers: 0,
        }
    }

    /// The same with tokens that `sign` makes of their claims.
    pub(crate) fn signed(self, sign: impl Fn(&str) -> String) -> Self {
        let sessions = 0..self.tokens.len();
        Self {
            tokens: sessions
                .map(|session| sign(&claims(session, FILLING)))
                .collect(),
            ..self
        }
    }

    /// Behind each line, another with a token that nobody has seen and that fits no key, refused, from one network of so
    /// many.
    pub(crate) fn with_forged(self, forgers: usize) -> Self {
        Self {
            lines: self.lines * 2,
            forgers,
            ..self
        }
    }

    /// One line of each session.
    pub(crate) fn once(sessions: usize) -> Self {
        Self {
            once: true,
            ..Self::of_sessions(sessions, sessions)
        }
    }

    /// The same requests in the combined format, with the Authorization header behind it.
    pub(crate) fn combined(self) -> Self {
        Self {
            combined: true,
            ..self
        }
    }

    /// Appends the next line with its line feed to `text`; false when there is none.
    pub(crate) fn write_line(&mut self, text: &mut String) -> bool {
        if self.next == self.lines {
            return false;
        }
        if self.forgers > 0 && !self.next.is_multiple_of(2) {
            self.write_forged(text);
            self.next += 1;
            return true;
        }
        let session = match self.once {
            true => self.next,
            false => self.over() + self.random.below(self.tokens.len().min(SESSIONS)),
        };
        let late = self.next * 2 > self.lines;
        let stolen = late && session.is_multiple_of(STOLEN_EVERY) && self.random.below(2) == 0;
        // Who has many sessions has them all at home.
        let many = self.once || self.tokens.len() > USERS;
        let home = if many { user(session) } else { session };
        let (address, agent) = match stolen {
            true => ("203.0.113.66".to_owned(), "python-requests/2.32.3"),
            false => (address(home), AGENTS[home % AGENTS.len()]),
        };
        let second = self.next as u64 * HOUR_S / self.lines as u64;
        self.write(text, session, second, &address, agent);
        self.next += 1;
        true
    }

    /// Sessions that are over. Of more than there are at a time, the oldest end while new ones begin.
    fn over(&self) -> usize {
        self.tokens.len().saturating_sub(SESSIONS) * self.next / self.lines
    }

    fn write_forged(&mut self, text: &mut String) {
        let (nth, second) = (self.next / 2, self.next * HOUR_S as usize / self.lines);
        let network = nth % self.forgers;
        let written = writeln!(
            text,
            concat!(
                r#"{{"time_iso8601":"2026-05-04T{:02}:{:02}:{:02}+00:00","remote_addr":"198.{}.{}.9","#,
                r#""request_method":"GET","request_uri":"/api/v1/orders","host":"api.example.com","#,
                r#""status":"401","body_bytes_sent":"31","request_time":"0.001","#,
                r#""http_user_agent":"python-requests/2.32.3","http_accept_language":"pt-PT","#,
                r#""http_authorization":"Bearer {}"}}"#
            ),
            10 + second / 3_600,
            second / 60 % 60,
            second % 60,
            18 + network / 256 % 2,
            network % 256,
            unfit(SESSIONS + nth, SIGNED_BY)
        );
        written.expect("a string grows");
    }

    fn write(
        &mut self,
        text: &mut String,
        session: usize,
        second: u64,
        address: &str,
        agent: &str,
    ) {
        let path = PATHS[self.random.below(PATHS.len())];
        let status = if self.random.below(50) == 0 { 404 } else { 200 };
        let bytes = 500 + self.random.below(9_000);
        let took_ms = self.random.below(200);
        let (hour, minute, second) = (10 + second / 3_600, second / 60 % 60, second % 60);
        let token = &self.tokens[session];
        let written = if self.combined {
            writeln!(
                text,
                concat!(
                    r#"{} - - [04/May/2026:{:02}:{:02}:{:02} +0000] "GET {} HTTP/1.1" {} {} "-" "{}" "#,
                    r#""Bearer {}""#
                ),
                address, hour, minute, second, path, status, bytes, agent, token
            )
        } else {
            writeln!(
                text,
                concat!(
                    r#"{{"time_iso8601":"2026-05-04T{:02}:{:02}:{:02}+00:00","remote_addr":"{}","#,
                    r#""request_method":"GET","request_uri":"{}","host":"api.example.com","#,
                    r#""status":"{}","body_bytes_sent":"{}","request_time":"0.{:03}","#,
                    r#""http_user_agent":"{}","http_accept_language":"pt-PT","#,
                    r#""http_authorization":"Bearer {}"}}"#
                ),
                hour, minute, second, address, path, status, bytes, took_ms, agent, token
            )
        };
        written.expect("a string grows");
    }
}

/// Networks in which people live, in five countries: what is looked up there is what real logs look up.
const HOMES: [[u8; 2]; 5] = [[24, 0], [79, 192], [84, 128], [86, 128], [90, 0]];

/// Where a session is at home: hardly two in one network, every third on IPv6.
fn address(session: usize) -> String {
    if session.is_multiple_of(3) {
        return format!("2001:db8:{:x}:{:x}::17", session >> 4, session);
    }
    let [a, b] = HOMES[session % HOMES.len()];
    let (b, c) = (usize::from(b) + session / 256 % 16, session % 256);
    format!("{a}.{b}.{c}.{}", session % 250 + 1)
}
