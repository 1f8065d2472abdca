//! A population over real prefixes: people with homes, phones and offices, their sessions, and the log of a gateway.
//!
//! In: a seed. Out: [`World`], [`Person`], [`Session`], [`Log`] as nginx JSON or combined with the Authorization header.
//! Does not know: what is stolen, or what the program makes of it.

use aws_lc_rs::hmac;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

const PREFIXES: &str = include_str!("../fixtures/context/prefixes_dev.csv");

/// Who issues every token.
pub(crate) const ISSUER: &str = "https://id.shop.example/";

/// The shared secret of the issuer.
pub(crate) const SECRET: &[u8; 32] = b"a secret of thirty-two bytes, ok";

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// Midnight of 4 May 2026, UTC.
pub(crate) const MONDAY_MS: i64 = 1_777_852_800_000;

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): small, and the same everywhere.
#[derive(Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low).max(1) as u64) as i64
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.between(0, items.len() as i64) as usize]
    }

    pub(crate) fn chance(&mut self, percent: i64) -> bool {
        self.between(0, 100) < percent
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Net {
    pub(crate) asn: u32,
    pub(crate) kind: String,
    base: IpAddr,
}

impl Net {
    pub(crate) fn new(asn: u32, base: &str) -> Self {
        Self {
            asn,
            kind: "vpn".into(),
            base: base.parse().unwrap(),
        }
    }

    pub(crate) fn address(&self, rng: &mut Rng) -> IpAddr {
        match self.base {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() + rng.between(2, 250) as u32).into(),
            IpAddr::V6(v6) => {
                let site = (rng.next() as u128 % 200) << 64;
                Ipv6Addr::from_bits(v6.to_bits() + site + u128::from(rng.next() >> 1)).into()
            }
        }
    }

    /// True for an address of the same /24.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
            _ => false,
        }
    }

    pub(crate) fn is_v4(&self) -> bool {
        self.base.is_ipv4()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct City {
    pub(crate) country: String,
    pub(crate) at: (f64, f64),
    pub(crate) nets: Vec<Net>,
}

impl City {
    pub(crate) fn of(&self, kind: &str, v4: bool) -> Vec<&Net> {
        self.nets
            .iter()
            .filter(|net| net.kind == kind && net.is_v4() == v4)
            .collect()
    }

    pub(crate) fn km_to(&self, other: &Self) -> f64 {
        let (a, b) = (self.at, other.at);
        let (lat, lon) = ((b.0 - a.0).to_radians(), (b.1 - a.1).to_radians());
        let h = (lat / 2.0).sin().powi(2)
            + a.0.to_radians().cos() * b.0.to_radians().cos() * (lon / 2.0).sin().powi(2);
        2.0 * 6371.0 * h.sqrt().asin()
    }
}

pub(crate) struct World {
    pub(crate) cities: Vec<City>,
}

impl World {
    pub(crate) fn read() -> Self {
        let mut cities: Vec<(String, City)> = Vec::new();
        for row in PREFIXES.lines().skip(1) {
            let cells = cells(row);
            let [name, country, lat, lon, asn, _, kind, prefix] = &cells[..] else {
                panic!("a row of eight cells: {row}");
            };
            if cities.last().is_none_or(|(last, _)| last != name) {
                let city = City {
                    country: country.clone(),
                    at: (lat.parse().unwrap(), lon.parse().unwrap()),
                    nets: Vec::new(),
                };
                cities.push((name.clone(), city));
            }
            let base = prefix.split('/').next().unwrap();
            let net = Net {
                asn: asn.parse().unwrap(),
                kind: kind.clone(),
                base: base.parse().unwrap(),
            };
            cities.last_mut().unwrap().1.nets.push(net);
        }
        Self {
            cities: cities.into_iter().map(|(_, city)| city).collect(),
        }
    }

    /// A city with a network of this kind, at least so far away.
    pub(crate) fn city(&self, rng: &mut Rng, kind: &str, from: Option<(&City, f64)>) -> City {
        loop {
            let city = rng.pick(&self.cities);
            let far = from.is_none_or(|(here, km)| here.km_to(city) >= km);
            if far && !city.of(kind, true).is_empty() {
                return city.clone();
            }
        }
    }

    /// An address in a network of this kind, at least so far away.
    pub(crate) fn far(&self, rng: &mut Rng, kind: &str, from: &City, km: f64) -> IpAddr {
        let city = self.city(rng, kind, Some((from, km)));
        let nets = city.of(kind, true);
        rng.pick(&nets).address(rng)
    }
}

fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in row.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

/// User agents as they are sent.
pub(crate) mod agents {
    pub(crate) const WINDOWS: &str = "Windows NT 10.0; Win64; x64";
    pub(crate) const MAC: &str = "Macintosh; Intel Mac OS X 10_15_7";
    pub(crate) const LINUX: &str = "X11; Linux x86_64";
    pub(crate) const TOOLS: [&str; 5] = [
        "curl/8.5.0",
        "python-requests/2.32.3",
        "Go-http-client/1.1",
        "python-httpx/0.27.0",
        "Wget/1.21.4",
    ];

    pub(crate) fn chrome(system: &str, version: u32) -> String {
        format!(
            "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
        )
    }
    pub(crate) fn edge(system: &str, version: u32) -> String {
        format!("{} Edg/{version}.0.0.0", chrome(system, version))
    }
    pub(crate) fn firefox(system: &str, version: u32) -> String {
        format!("Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0")
    }
    pub(crate) fn safari(version: u32) -> String {
        format!(
            "Mozilla/5.0 ({MAC}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{version}.4 Safari/605.1.15"
        )
    }
    pub(crate) fn iphone(version: u32) -> String {
        format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS {version}_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{version}.4 Mobile/15E148 Safari/604.1"
        )
    }
    pub(crate) fn iphone_view(version: u32) -> String {
        format!(
            "Mozilla/5.0 (iPhone; CPU iPhone OS {version}_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
        )
    }
    pub(crate) fn android(version: u32) -> String {
        format!(
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Mobile Safari/537.36"
        )
    }
    pub(crate) fn android_view(version: u32) -> String {
        format!(
            "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A.240205.004; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/{version}.0.6422.53 Mobile Safari/537.36"
        )
    }
    pub(crate) const APP_IOS: &str = "Shop/5.2.1 CFNetwork/1494.0.7 Darwin/23.4.0";
    pub(crate) const APP_ANDROID: &str = "okhttp/4.12.0";
}

/// A person, and where and with what they are online.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) sub: String,
    pub(crate) city: City,
    pub(crate) home: IpAddr,
    pub(crate) home_asn: u32,
    pub(crate) phone_net: Net,
    pub(crate) office: IpAddr,
    pub(crate) desktop: String,
    pub(crate) phone: String,
    pub(crate) ios: bool,
}

impl Person {
    pub(crate) fn new(world: &World, rng: &mut Rng) -> Self {
        let city = loop {
            let city = world.city(rng, "residential", None);
            if city.of("residential", true).len() > 1 {
                break city;
            }
        };
        let nets = city.of("residential", true);
        let home_net = (*rng.pick(&nets)).clone();
        let office_net = (*rng.pick(&nets)).clone();
        // Where the city has no mobile prefix, one of the country, else the other line of the city.
        let phone_net = world
            .cities
            .iter()
            .filter(|other| other.country == city.country && other.km_to(&city) < 900.0)
            .flat_map(|other| other.of("mobile", true))
            .next()
            .cloned();
        let sub = match rng.between(0, 3) {
            0 => format!("auth0|{:016x}", rng.next()),
            1 => format!("{:08x}-{:04x}-4c1d", rng.next() as u32, rng.next() as u16),
            _ => format!("user{}@mail.example", rng.next() % 1_000_000_000_000),
        };
        let version = rng.between(120, 126) as u32;
        let system = *rng.pick(&[agents::WINDOWS, agents::WINDOWS, agents::MAC, agents::LINUX]);
        let desktop = match rng.between(0, 10) {
            0..5 => agents::chrome(system, version),
            5..7 => agents::edge(agents::WINDOWS, version),
            7..9 => agents::firefox(system, version),
            _ => agents::safari(17),
        };
        let ios = rng.chance(50);
        let phone = match ios {
            true => agents::iphone(17),
            false => agents::android(version),
        };
        Self {
            home: home_net.address(rng),
            home_asn: home_net.asn,
            phone_net: phone_net.unwrap_or_else(|| office_net.clone()),
            office: office_net.address(rng),
            sub,
            desktop,
            phone,
            ios,
            city,
        }
    }
}

/// What tells a session's tokens apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Sid,
    Jti,
    Bare,
}

/// A login and its access tokens, refreshed while it lives.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) sub: String,
    pub(crate) sid: String,
    pub(crate) start_ms: i64,
    pub(crate) life_s: i64,
    pub(crate) style: Style,
    pub(crate) extra: Value,
}

impl Session {
    pub(crate) fn claims(&self, at_ms: i64) -> Value {
        let age_s = (at_ms - self.start_ms).div_euclid(1000).max(0);
        let slot = age_s / self.life_s;
        let iat = self.start_ms.div_euclid(1000) + slot * self.life_s;
        let mut claims = json!({
            "iss": ISSUER, "sub": self.sub, "aud": "shop", "iat": iat,
            "exp": iat + self.life_s + 30, "scope": "openid orders",
        });
        if self.style != Style::Bare {
            claims["jti"] = json!(format!("{}-{slot}", self.sid));
        }
        if self.style == Style::Sid {
            claims["sid"] = json!(self.sid);
        }
        for (name, value) in self.extra.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
    }

    pub(crate) fn token(&self, at_ms: i64) -> String {
        sign(
            &json!({"alg": "HS256", "typ": "JWT", "kid": "k1"}),
            &self.claims(at_ms),
        )
    }
}

pub(crate) fn sign(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

/// How the log shows a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Header,
    Cookie,
    Claims,
    Hash,
}

#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) at_ms: i64,
    pub(crate) ip: IpAddr,
    pub(crate) agent: Arc<str>,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) duration_ms: i64,
    pub(crate) referer: Cow<'static, str>,
    pub(crate) token: Option<Arc<str>>,
    /// A token of the sender's own in the header, in front of the one in the cookie.
    pub(crate) decoy: Option<Arc<str>>,
    /// Which theft it belongs to, by its number in the truth.
    pub(crate) theft: Option<usize>,
    /// What the sender is up to.
    pub(crate) doing: &'static str,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) requests: Vec<Request>,
}

impl Log {
    /// The lines in order of their ends, as a gateway writes them.
    pub(crate) fn text(&mut self, combined: bool, shown: Shown) -> String {
        self.sort();
        text(&self.requests, combined, shown)
    }

    /// In order of their ends.
    pub(crate) fn sort(&mut self) {
        self.requests.sort_by_key(|request| request.at_ms);
    }
}

/// The lines of these requests.
pub(crate) fn text(requests: &[Request], combined: bool, shown: Shown) -> String {
    let line = |request: &Request| match combined {
        true => combined_line(request),
        false => json_line(request, shown),
    };
    requests.iter().map(line).collect()
}

fn stamp(at_ms: i64, format: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(at_ms).unwrap();
    time.strftime(format).to_string()
}

fn json_line(request: &Request, shown: Shown) -> String {
    let mut line = json!({
        "time_iso8601": stamp(request.at_ms, "%Y-%m-%dT%H:%M:%S+00:00"),
        "remote_addr": request.ip, "status": request.status,
        "request": format!("{} {} HTTP/1.1", request.method, request.target),
        "body_bytes_sent": 512 + request.target.len(),
        "request_time": format!("{:.3}", request.duration_ms as f64 / 1000.0),
        "http_user_agent": &*request.agent, "http_referer": request.referer,
        "host": "api.shop.example",
    });
    let token = request.token.as_deref();
    match shown {
        _ if request.decoy.is_some() => {
            let decoy = request.decoy.as_deref().unwrap_or_default();
            line["http_authorization"] = json!(format!("Bearer {decoy}"));
            line["http_cookie"] = json!(format!("access_token={}", token.unwrap_or_default()));
        }
        Shown::Header => {
            line["http_authorization"] = json!(
                token
                    .map(|token| format!("Bearer {token}"))
                    .unwrap_or_default()
            );
        }
        Shown::Cookie => {
            line["http_cookie"] = json!(token.map_or_else(
                || "theme=dark".to_owned(),
                |token| format!("theme=dark; access_token={token}; n=1")
            ));
        }
        Shown::Claims => {
            let claims = token.map(payload).unwrap_or_default();
            for name in ["iss", "sub", "sid", "jti", "exp", "iat"] {
                let value = match &claims[name] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                line[format!("jwt_{name}")] = json!(value);
            }
        }
        Shown::Hash => {
            let digest = token.map(|token| {
                aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes())
            });
            let hash = digest.map(|digest| HEXLOWER.encode(digest.as_ref()));
            line["jwt_sha256"] = json!(hash.unwrap_or_default());
            let claims = token.map(payload).unwrap_or_default();
            line["jwt_sub"] = json!(claims["sub"].as_str().unwrap_or_default());
        }
    }
    format!("{line}\n")
}

pub(crate) fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

fn combined_line(request: &Request) -> String {
    let dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    let token = request
        .token
        .as_ref()
        .map(|token| format!("Bearer {token}"));
    format!(
        "{} - - [{}] \"{} {} HTTP/1.1\" {} {} \"{}\" \"{}\" \"{}\"\n",
        request.ip,
        stamp(request.at_ms, "%d/%b/%Y:%H:%M:%S +0000"),
        request.method,
        request.target,
        request.status,
        512 + request.target.len(),
        dash(&request.referer),
        request.agent,
        dash(token.as_deref().unwrap_or_default()),
    )
}
