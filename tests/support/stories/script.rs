//! What people do in a shop, written down shortly.
//!
//! In: a day, logins, devices, clock times. Out: [`Request`]s.
//! Does not know: formats, and which of it is theft.

use super::log::{Request, dice};
use super::people::{Device, Login, Token, second};

/// The gateway of the shop.
pub(crate) const API: &str = "api.example.com";

/// What a page of the shop asks for, with the usual size of the answer.
const PAGES: [(&str, &str, u64); 12] = [
    ("GET", "/api/me", 412),
    ("GET", "/api/orders", 5_120),
    ("GET", "/api/orders/{n}", 1_890),
    ("GET", "/api/cart", 640),
    ("POST", "/api/cart/items", 210),
    ("GET", "/api/products?page=2", 18_400),
    ("GET", "/api/products/{n}", 3_300),
    ("GET", "/api/messages", 2_048),
    ("GET", "/api/orders/{n}/invoice", 48_220),
    ("GET", "/api/recommendations", 7_300),
    ("PUT", "/api/cart/items/{n}", 210),
    ("GET", "/api/notifications", 318),
];

/// One day of requests.
#[derive(Debug)]
pub(crate) struct Day {
    /// `2026-03-02`.
    date: &'static str,
    pub(crate) requests: Vec<Request>,
}

impl Day {
    pub(crate) fn new(date: &'static str) -> Self {
        Self {
            date,
            requests: Vec::new(),
        }
    }

    /// Somebody signs in at this time of the day.
    pub(crate) fn login(&self, user: &'static str, time: &str) -> Login {
        Login::new(user, &format!("{} {time}", self.date))
    }

    /// The Unix time of a time of the day.
    pub(crate) fn second(&self, time: &str) -> i64 {
        second(&format!("{} {time}", self.date))
    }

    /// One request with the login's token of that moment, answered 200.
    pub(crate) fn get(&mut self, time: &str, device: Device, login: &Login, target: &str) {
        self.call(time, device, login, "GET", target, (200, 1_024));
    }

    /// One request with the login's token of that moment.
    pub(crate) fn call(
        &mut self,
        time: &str,
        device: Device,
        login: &Login,
        method: &'static str,
        target: &str,
        answer: (u16, u64),
    ) {
        let at_s = self.second(time);
        let token = login.token(at_s);
        self.present(at_s, device, Some(token), method, target, answer);
    }

    /// One request with this token, or with none.
    pub(crate) fn present(
        &mut self,
        at_s: i64,
        device: Device,
        token: Option<Token>,
        method: &'static str,
        target: &str,
        (status, bytes): (u16, u64),
    ) {
        self.requests.push(Request {
            at_s,
            device,
            method,
            target: target.to_owned(),
            status,
            bytes,
            host: API,
            referer: "",
            token,
        });
    }

    /// The page itself, which needs no token, and then requests of an ordinary visit from `from` on, some
    /// `pause_s` apart.
    pub(crate) fn visit(
        &mut self,
        from: &str,
        device: Device,
        login: &Login,
        requests: usize,
        pause_s: u64,
    ) {
        let begin_s = self.second(from);
        let page = ("GET", "/", (200, 14_220));
        self.present(begin_s - 1, device, None, page.0, page.1, page.2);
        self.browse(begin_s, device, login, requests, pause_s);
    }

    /// Requests of an ordinary visit that goes on.
    pub(crate) fn browse(
        &mut self,
        from_s: i64,
        device: Device,
        login: &Login,
        requests: usize,
        pause_s: u64,
    ) {
        let mut at_s = from_s;
        for _ in 0..requests {
            let throw = dice(at_s as u64);
            let (method, path, bytes) = PAGES[(throw >> 8) as usize % PAGES.len()];
            let target = path.replace("{n}", &(1_000 + (throw >> 20) % 9_000).to_string());
            let status = if method == "POST" { 201 } else { 200 };
            let answer = (status, bytes + (throw >> 40) % 64);
            let token = Some(login.token(at_s));
            self.present(at_s, device, token, method, &target, answer);
            at_s += (pause_s / 2 + throw % (pause_s + 1)).max(1) as i64;
        }
    }
}
