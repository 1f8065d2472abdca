//! Where a use came from and what made it: place, network, client.
//!
//! In: what `context` looked up. Out: [`Context`] and its parts, and the two geometric questions about places.
//! Does not know: tables, or what is suspicious.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::sync::Arc;

/// Mean Earth radius, IUGG.
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// A point on the map and how far it may be off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees north.
    pub latitude: f32,
    /// Degrees east.
    pub longitude: f32,
    /// The true place is within this distance 95 times in 100.
    pub radius_km: f32,
    /// ISO 3166-1 alpha-2.
    pub country: Country,
    /// The nearest town the table names, for people.
    pub name: Option<Arc<str>>,
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let point = [self.latitude, self.longitude, self.radius_km];
        point.map(f32::to_bits).hash(state);
        (self.country, &self.name).hash(state);
    }
}

impl Place {
    /// Great-circle distance between the two points.
    /// Source: Sinnott, "Virtues of the Haversine", Sky & Telescope 68(2), 1984.
    pub fn distance_km(&self, other: &Self) -> f64 {
        let (lat_a, lat_b) = (
            f64::from(self.latitude).to_radians(),
            f64::from(other.latitude).to_radians(),
        );
        let lon = (f64::from(other.longitude) - f64::from(self.longitude)).to_radians();
        let h = ((lat_b - lat_a) / 2.0).sin().powi(2)
            + lat_a.cos() * lat_b.cos() * (lon / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS_KM * h.sqrt().clamp(0.0, 1.0).asin()
    }

    /// The distance left when both points err towards each other as far as they may.
    pub fn distance_km_at_least(&self, other: &Self) -> f64 {
        let err_km = f64::from(self.radius_km) + f64::from(other.radius_km);
        (self.distance_km(other) - err_km).max(0.0)
    }
}

/// ISO 3166-1 alpha-2 country code in upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Country([u8; 2]);

impl Country {
    /// A code of two ASCII letters; `None` for anything else.
    pub fn new(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who runs the network an address belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Autonomous system number.
    pub asn: u32,
    /// Its organisation's name.
    pub organisation: Arc<str>,
    /// What people do there.
    pub kind: NetworkKind,
}

/// What people do in a network (`source.as.kind`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkKind {
    /// Homes and small offices on fixed lines.
    Residential,
    /// Phones: addresses and places move by nature.
    Mobile,
    /// Servers.
    Hosting,
    /// Exits of VPN services, also hosting networks known for them.
    Vpn,
    /// Privacy relays.
    Relay,
    /// Satellite links: the place is the ground station's.
    Satellite,
    /// Corporate egress and security proxies.
    Corporate,
    /// Nobody said.
    #[default]
    Unknown,
}

impl NetworkKind {
    /// The kind's name in `source.as.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Residential => "residential",
            Self::Mobile => "mobile",
            Self::Hosting => "hosting",
            Self::Vpn => "vpn",
            Self::Relay => "relay",
            Self::Satellite => "satellite",
            Self::Corporate => "corporate",
            Self::Unknown => "unknown",
        }
    }

    /// True where an address says nothing about where its user is: no place to travel from or to, and no
    /// reason by itself to think of another person.
    pub fn moves_by_nature(self) -> bool {
        matches!(
            self,
            Self::Vpn | Self::Relay | Self::Satellite | Self::Corporate
        )
    }
}

/// The program at the other end, as its user agent names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Client {
    /// Family: `Chrome`, `Safari`, `python-requests`.
    pub name: Arc<str>,
    /// Version as far as it is given, dots between the parts.
    pub version: Arc<str>,
    /// Operating system family without version: `Windows`, `iOS`; empty when unknown.
    pub os: Arc<str>,
    /// The phone's model, where the header names one: `SM-S911B`; empty otherwise.
    #[serde(default)]
    pub model: Arc<str>,
    /// What kind of program.
    pub kind: ClientKind,
}

impl Client {
    /// The first number of the version.
    pub fn major(&self) -> Option<u32> {
        self.version
            .split('.')
            .next()
            .and_then(|part| part.parse().ok())
    }

    /// True for the same family on the same system, whatever the version: browsers update themselves. On two models of
    /// phones it is two.
    pub fn same_program(&self, other: &Self) -> bool {
        self.name == other.name && self.os == other.os && !self.other_model(other)
    }

    /// True when both tell a phone's model and it is not the same.
    pub fn other_model(&self, other: &Self) -> bool {
        !self.model.is_empty() && !other.model.is_empty() && self.model != other.model
    }
}

/// What kind of program a client is (`user_agent.kind`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// A browser that a person drives.
    Browser,
    /// An application with a stack of its own (okhttp, CFNetwork, Dart).
    App,
    /// A command line tool, a library, a headless browser.
    Tool,
    /// A crawler, a monitor, a link preview.
    Bot,
    /// Nobody knows.
    #[default]
    Unknown,
}

impl ClientKind {
    /// The kind's name in `user_agent.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::App => "app",
            Self::Tool => "tool",
            Self::Bot => "bot",
            Self::Unknown => "unknown",
        }
    }
}

/// The part of an address that one holder keeps: /24 of IPv4, /64 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prefix(IpAddr);

impl Prefix {
    /// The prefix of an address; an IPv4 address mapped into IPv6 counts as IPv4.
    #[inline]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & 0xffff_ff00))),
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(
                v6.to_bits() & !u128::from(u64::MAX),
            ))),
        }
    }

    /// The first address of the prefix.
    pub fn first(self) -> IpAddr {
        self.0
    }
}

/// The line that an address is of: of IPv4 the very address, of IPv6 the first of what one line has.
pub fn line_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 if v4.is_ipv4() => v4,
        v6 => Prefix::of(v6).first(),
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 24 } else { 64 })
    }
}

/// An address in sixteen bytes: one of IPv4 as it is mapped into IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "IpAddr", into = "IpAddr")]
pub struct Address([u8; 16]);

impl Address {
    /// The address itself; one that is mapped into IPv6 as that of IPv4 which it is.
    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from(self.0).to_canonical()
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        })
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        address.ip()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.ip(), f)
    }
}

/// Where a use came from and what made it. What is unknown is `None`, and unknown is not different. What is known of an
/// address or of an agent is mostly known of others, too, so contexts share it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// The client's address.
    pub address: Address,
    /// Where that is.
    pub place: Option<Arc<Place>>,
    /// Whose network that is.
    pub network: Option<Arc<Network>>,
    /// What made the use.
    pub agent: Arc<Agent>,
}

/// What made a use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Agent {
    /// What program.
    pub client: Option<Arc<Client>>,
    /// JA4 fingerprint.
    pub ja4: Option<Arc<str>>,
    /// First language of Accept-Language, primary subtag in lower case.
    pub language: Option<Arc<str>>,
}

/// So that what made a use is asked like where it came from.
impl Deref for Context {
    type Target = Agent;
    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl Context {
    /// What an address alone shows.
    pub fn of(address: IpAddr) -> Self {
        Self {
            address: address.into(),
            place: None,
            network: None,
            agent: Arc::default(),
        }
    }

    /// The address's prefix.
    pub fn prefix(&self) -> Prefix {
        Prefix::of(self.address.ip())
    }

    /// The line that the address is of.
    pub fn line(&self) -> IpAddr {
        line_of(self.address.ip())
    }

    /// True for an address that the Internet does not route: an internal hop.
    /// Source: RFC 1918, RFC 6598 (shared address space), RFC 4193, RFC 3927, RFC 4291.
    pub fn is_internal(&self) -> bool {
        match self.address.ip() {
            IpAddr::V4(v4) => {
                let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
                v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
            }
            IpAddr::V6(v6) => {
                v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local()
            }
        }
    }

    /// What people do in the network.
    pub fn network_kind(&self) -> NetworkKind {
        self.network
            .as_ref()
            .map_or(NetworkKind::Unknown, |network| network.kind)
    }

    /// What kind of program.
    pub fn client_kind(&self) -> ClientKind {
        self.client
            .as_ref()
            .map_or(ClientKind::Unknown, |client| client.kind)
    }

    /// The place, where it is one to travel from or to: not behind a VPN, relay, satellite or corporate proxy.
    pub fn reference_place(&self) -> Option<&Place> {
        self.place
            .as_deref()
            .filter(|_| !self.network_kind().moves_by_nature())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(latitude: f32, longitude: f32, radius_km: f32) -> Place {
        Place {
            latitude,
            longitude,
            radius_km,
            country: Country([b'Z', b'Z']),
            name: None,
        }
    }

    #[test]
    fn lisbon_to_tokyo_is_eleven_thousand_kilometres_less_both_radii() {
        let (lisbon, tokyo) = (place(38.72, -9.14, 20.0), place(35.68, 139.69, 200.0));
        assert!((lisbon.distance_km(&tokyo) - 11_140.0).abs() < 20.0);
        let at_least_km = lisbon.distance_km_at_least(&tokyo);
        assert!((lisbon.distance_km(&tokyo) - at_least_km - 220.0).abs() < 1e-6);
        assert_eq!(lisbon.distance_km_at_least(&place(38.8, -9.2, 0.0)), 0.0);
    }

    #[test]
    fn a_prefix_is_what_one_holder_keeps() {
        let prefix = |text: &str| text.parse().map(Prefix::of).map(|p| p.to_string());
        assert_eq!(prefix("203.0.113.77").as_deref(), Ok("203.0.113.0/24"));
        assert_eq!(
            prefix("::ffff:203.0.113.77").as_deref(),
            Ok("203.0.113.0/24")
        );
        assert_eq!(
            prefix("2001:db8:1:2:3:4:5:6").as_deref(),
            Ok("2001:db8:1:2::/64")
        );
    }
}
