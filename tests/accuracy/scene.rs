//! One scene: a person's days, and what a story adds to them.
//!
//! In: a [`World`], a seed. Out: requests in a [`Log`], and the truth: whose token went to which addresses.
//! Does not know: how any of it is judged.

use crate::support::population::{
    DAY_MS, HOUR_MS, Log, MINUTE_MS, MONDAY_MS, Net, Person, Request, Rng, Session, Style, World,
};
use serde_json::json;
use std::net::IpAddr;

/// One theft: whose, and the thief's addresses.
pub(super) struct Truth {
    pub(super) sub: String,
    pub(super) thief: Vec<IpAddr>,
}

pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) rng: Rng,
    pub(super) log: &'a mut Log,
    pub(super) me: Person,
    pub(super) truths: Vec<Truth>,
    /// When the story begins: after some days of history, or on the first day.
    pub(super) start_ms: i64,
    /// What the person is up to.
    pub(super) doing: &'static str,
    /// What the theft is, where it became another than the story's.
    pub(super) class: Option<&'static str>,
    /// The number of the scene's first request.
    pub(super) from: usize,
    sids: u32,
}

/// A theft of the victim's provider, place and program, while the victim goes on.
pub(super) const OWN_PROVIDER: &str = "own provider, same client, mixed";

const PATHS: &[(&str, &str)] = &[
    ("GET", "/api/orders?page=2"),
    ("GET", "/api/orders/1842"),
    ("GET", "/api/me"),
    ("POST", "/api/cart"),
    ("GET", "/api/search?q=shoes"),
    ("GET", "/api/messages"),
    ("PUT", "/api/cart/7"),
    ("GET", "/api/recommendations"),
];

impl<'a> Scene<'a> {
    pub(super) fn new(world: &'a World, log: &'a mut Log, seed: u64) -> Self {
        let mut rng = Rng(seed);
        let me = Person::new(world, &mut rng);
        let days = if rng.chance(60) { rng.between(2, 4) } else { 0 };
        let start_ms = MONDAY_MS
            + days * DAY_MS
            + rng.between(8 * 60, 18 * 60) * MINUTE_MS
            + rng.between(0, 60_000);
        let mut scene = Self::of(world, rng, log, me, start_ms);
        for day in 0..days {
            scene.day(MONDAY_MS + day * DAY_MS);
        }
        scene
    }

    /// A scene of this person's life.
    pub(super) fn of(
        world: &'a World,
        rng: Rng,
        log: &'a mut Log,
        me: Person,
        start_ms: i64,
    ) -> Self {
        let from = log.requests.len();
        Self {
            world,
            rng,
            log,
            me,
            truths: Vec::new(),
            start_ms,
            doing: "",
            class: None,
            from,
            sids: 0,
        }
    }

    /// An ordinary day: at home, at the office, on the phone; one session of each device.
    fn day(&mut self, midnight_ms: i64) {
        let me = self.me.clone();
        let morning_ms = midnight_ms + self.rng.between(7 * 60, 9 * 60) * MINUTE_MS;
        let laptop = self.session(morning_ms);
        self.browse(&laptop, me.home, &me.desktop, morning_ms, 20, 6);
        self.browse(
            &laptop,
            me.office,
            &me.desktop,
            morning_ms + 2 * HOUR_MS,
            60,
            6,
        );
        let phone = self.session(morning_ms + HOUR_MS);
        let on_the_way = me.phone_net.address(&mut self.rng);
        self.browse(&phone, on_the_way, &me.phone, morning_ms + HOUR_MS, 20, 4);
        self.browse(&phone, me.home, &me.phone, morning_ms + 10 * HOUR_MS, 30, 4);
    }

    pub(super) fn session(&mut self, start_ms: i64) -> Session {
        let style = match self.rng.between(0, 4) {
            0 => Style::Jti,
            1 => Style::Bare,
            _ => Style::Sid,
        };
        self.session_of(style, start_ms)
    }

    pub(super) fn session_of(&mut self, style: Style, start_ms: i64) -> Session {
        self.sids += 1;
        let life_s = *self.rng.pick(&[300, 900, 1800, 3600]);
        Session {
            sub: self.me.sub.clone(),
            sid: format!("{:08x}-{}", self.rng.next() as u32, self.sids),
            start_ms,
            // Where every token is a session of its own, a story needs one that lives through it.
            life_s: if style == Style::Sid { life_s } else { 3600 },
            style,
            extra: json!({}),
        }
    }

    pub(super) fn browse(
        &mut self,
        session: &Session,
        ip: IpAddr,
        agent: &str,
        from_ms: i64,
        minutes: i64,
        count: usize,
    ) {
        for index in 0..count {
            let spread = minutes * MINUTE_MS / count as i64;
            let at_ms = from_ms + index as i64 * spread + self.rng.between(0, spread.max(2) / 2);
            let (method, target) = *self.rng.pick(PATHS);
            let status = *self
                .rng
                .pick(&[200, 200, 200, 200, 200, 201, 304, 404, 403]);
            // A session begins with an answer that accepts it.
            let status = if index == 0 { 200 } else { status };
            self.send(
                at_ms,
                ip,
                agent,
                method,
                target,
                status,
                Some(session.token(at_ms)),
            );
            // What a browser asks before a request to another origin: without the token, and answered.
            if self.rng.chance(10) {
                self.send(at_ms - 90, ip, agent, "OPTIONS", target, 204, None);
            }
            if self.rng.chance(25) {
                let asset =
                    *self
                        .rng
                        .pick(&["/assets/app.js", "/", "/public/news", "/favicon.ico"]);
                self.send(at_ms + 40, ip, agent, "GET", asset, 200, None);
            }
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "a line of a log has as many parts"
    )]
    pub(super) fn send(
        &mut self,
        at_ms: i64,
        ip: IpAddr,
        agent: &str,
        method: &'static str,
        target: &str,
        status: u16,
        token: Option<String>,
    ) {
        let duration_ms = self.rng.between(3, 400);
        self.log.requests.push(Request {
            at_ms,
            ip,
            agent: agent.into(),
            method,
            target: target.to_owned(),
            status,
            duration_ms,
            referer: "https://shop.example/".into(),
            token: token.map(Into::into),
            decoy: None,
            theft: None,
            doing: self.doing,
        });
    }

    /// The last request again, changed.
    pub(super) fn last(&mut self) -> &mut Request {
        self.log.requests.last_mut().unwrap()
    }

    /// The victim at home for half an hour from the start of the story.
    pub(super) fn at_home(&mut self, style: Option<Style>) -> Session {
        let start_ms = self.start_ms;
        let session = match style {
            Some(style) => self.session_of(style, start_ms),
            None => self.session(start_ms),
        };
        let me = self.me.clone();
        self.browse(&session, me.home, &me.desktop, start_ms, 28, 10);
        session
    }

    /// The same with tokens that live a day or longer.
    pub(super) fn at_home_for(&mut self, days: i64) -> Session {
        let mut session = self.session_of(Style::Sid, self.start_ms);
        session.life_s = days * 24 * 3600;
        let me = self.me.clone();
        self.browse(&session, me.home, &me.desktop, self.start_ms, 28, 10);
        session
    }

    pub(super) fn far(&mut self, kind: &str, km: f64) -> IpAddr {
        let city = self.me.city.clone();
        self.world.far(&mut self.rng, kind, &city, km)
    }

    /// Another line in the victim's city.
    pub(super) fn neighbour(&mut self) -> IpAddr {
        let nets: Vec<Net> = self
            .me
            .city
            .of("residential", true)
            .into_iter()
            .cloned()
            .collect();
        loop {
            let net = self.rng.pick(&nets).clone();
            let only = nets.iter().all(|net| net.asn == self.me.home_asn);
            if net.asn != self.me.home_asn || (only && !net.holds(self.me.home)) {
                return net.address(&mut self.rng);
            }
        }
    }

    /// The victim's very browser beside the victim, at `ip`: where that is a line of the victim's own provider, which is
    /// the only one in some towns and countries, the two differ by their address alone.
    pub(super) fn with_the_same_client_at(&mut self, ip: IpAddr) {
        let mut nets = self.world.cities.iter().flat_map(|city| &city.nets);
        let own = nets.any(|net| net.asn == self.me.home_asn && net.holds(ip));
        self.class = own.then_some(OWN_PROVIDER);
    }

    /// The thief takes `session` at `ip` with `agent`.
    pub(super) fn thief(
        &mut self,
        session: &Session,
        ip: IpAddr,
        agent: &str,
        from_ms: i64,
        count: usize,
    ) {
        let from = self.log.requests.len();
        self.browse(session, ip, agent, from_ms, 12, count);
        self.charge(&session.sub.clone(), ip, from);
    }

    /// Whatever came from `ip` so far was a thief's, with the token of `sub`.
    pub(super) fn stolen(&mut self, sub: &str, ip: IpAddr) {
        self.charge(sub, ip, self.from);
    }

    /// The same, beginning with the request of that number.
    pub(super) fn charge(&mut self, sub: &str, ip: IpAddr, from: usize) {
        let number = match self.truths.iter().position(|truth| truth.sub == sub) {
            Some(number) => number,
            None => {
                self.truths.push(Truth {
                    sub: sub.to_owned(),
                    thief: Vec::new(),
                });
                self.truths.len() - 1
            }
        };
        self.truths[number].thief.push(ip);
        for request in &mut self.log.requests[from..] {
            if request.ip == ip && request.token.is_some() && request.theft.is_none() {
                request.theft = Some(number);
            }
        }
    }
}
