//! Examples: a small invented world in the addresses that are reserved for documentation.
//!
//! In: a canonical address. Out: the [`Example`] it belongs to.
//! Does not know: any real network. Samples, rule tests and manuals tell their stories here, so
//! that no real network is ever named as a thief's. It cannot harm: these addresses are not routed,
//! so real traffic never has them.
//! Source: RFC 5737 (IPv4), RFC 3849 (IPv6), RFC 5398 (numbers of autonomous systems).
//!
//! The three IPv4 networks are three casts: people in Europe, people elsewhere, and machines. An
//! example has 32 addresses of IPv4 and a /48 of IPv6: the n-th of a cast has `.32n` to `.32n+31`,
//! and `2001:db8:CNN::/48` where C is the cast (1 to 3) and NN is n in decimal digits.

use crate::context::kinds::Class;
use crate::domain::context::{Country, Network, Place};
use std::net::IpAddr;

/// One invented network in one town.
#[derive(Debug)]
pub struct Example {
    /// Its first IPv4 address, of 32.
    pub v4: [u8; 4],
    /// The third group of its IPv6 /48 below 2001:db8.
    pub v6: u16,
    /// The town.
    pub town: &'static str,
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// Degrees north and east.
    pub at: (f32, f32),
    /// A number reserved for documentation.
    pub asn: u32,
    /// The invented organisation.
    pub organisation: &'static str,
    /// What it is.
    pub class: Class,
}

/// IPv4 addresses of one example.
const ADDRESSES: u8 = 32;

const EUROPE: u8 = 1;
const ELSEWHERE: u8 = 2;
const MACHINES: u8 = 3;

/// The invented world.
pub const EXAMPLES: [Example; 24] = {
    use Class::{
        FixedIsp as Home, Hosting, Mobile, PrivacyRelay, Satellite, SecurityProxy as Corporate, Vpn,
    };
    const LISBON: Town = ("Lisbon", "PT", (38.72, -9.14));
    const PORTO: Town = ("Porto", "PT", (41.15, -8.61));
    const MADRID: Town = ("Madrid", "ES", (40.42, -3.70));
    const BERLIN: Town = ("Berlin", "DE", (52.52, 13.40));
    const LONDON: Town = ("London", "GB", (51.51, -0.13));
    const PARIS: Town = ("Paris", "FR", (48.85, 2.35));
    const NEW_YORK: Town = ("New York", "US", (40.71, -74.01));
    const SAO_PAULO: Town = ("São Paulo", "BR", (-23.55, -46.63));
    const TOKYO: Town = ("Tokyo", "JP", (35.68, 139.69));
    const SYDNEY: Town = ("Sydney", "AU", (-33.87, 151.21));
    const NAIROBI: Town = ("Nairobi", "KE", (-1.29, 36.82));
    const MUMBAI: Town = ("Mumbai", "IN", (19.08, 72.88));
    const ANCHORAGE: Town = ("Anchorage", "US", (61.22, -149.90));
    const SINGAPORE: Town = ("Singapore", "SG", (1.35, 103.82));
    const FRANKFURT: Town = ("Frankfurt am Main", "DE", (50.11, 8.68));
    const ASHBURN: Town = ("Ashburn", "US", (39.04, -77.49));
    [
        example(EUROPE, 0, LISBON, 64496, "Example Home Lisbon", Home),
        example(EUROPE, 1, LISBON, 64497, "Example Mobile Lisbon", Mobile),
        example(EUROPE, 2, PORTO, 64498, "Example Home Porto", Home),
        example(EUROPE, 3, MADRID, 64499, "Example Home Madrid", Home),
        example(EUROPE, 4, BERLIN, 64500, "Example Home Berlin", Home),
        example(EUROPE, 5, BERLIN, 64501, "Example Mobile Berlin", Mobile),
        example(
            EUROPE,
            6,
            LONDON,
            64502,
            "Example Corporation London",
            Corporate,
        ),
        example(EUROPE, 7, PARIS, 64503, "Example Home Paris", Home),
        example(ELSEWHERE, 0, NEW_YORK, 64504, "Example Home New York", Home),
        example(
            ELSEWHERE,
            1,
            NEW_YORK,
            64505,
            "Example Mobile New York",
            Mobile,
        ),
        example(
            ELSEWHERE,
            2,
            SAO_PAULO,
            64506,
            "Example Home Sao Paulo",
            Home,
        ),
        example(ELSEWHERE, 3, TOKYO, 64507, "Example Home Tokyo", Home),
        example(ELSEWHERE, 4, SYDNEY, 64508, "Example Home Sydney", Home),
        example(
            ELSEWHERE,
            5,
            NAIROBI,
            64509,
            "Example Mobile Nairobi",
            Mobile,
        ),
        example(ELSEWHERE, 6, MUMBAI, 64510, "Example Home Mumbai", Home),
        example(
            ELSEWHERE,
            7,
            ANCHORAGE,
            64511,
            "Example Satellite",
            Satellite,
        ),
        example(MACHINES, 0, TOKYO, 65536, "Example Hosting Tokyo", Hosting),
        example(
            MACHINES,
            1,
            SINGAPORE,
            65537,
            "Example Hosting Singapore",
            Hosting,
        ),
        example(MACHINES, 2, FRANKFURT, 65538, "Example VPN Frankfurt", Vpn),
        example(
            MACHINES,
            3,
            FRANKFURT,
            65539,
            "Example Hosting Frankfurt",
            Hosting,
        ),
        example(
            MACHINES,
            4,
            ASHBURN,
            65540,
            "Example Hosting Ashburn",
            Hosting,
        ),
        example(
            MACHINES,
            5,
            LISBON,
            65541,
            "Example Private Relay",
            PrivacyRelay,
        ),
        example(MACHINES, 6, SINGAPORE, 65542, "Example VPN Singapore", Vpn),
        example(
            MACHINES,
            7,
            SAO_PAULO,
            65543,
            "Example Hosting Sao Paulo",
            Hosting,
        ),
    ]
};

/// Name, country, degrees north and east.
type Town = (&'static str, &'static str, (f32, f32));

const fn example(
    cast: u8,
    index: u8,
    (town, country, at): Town,
    asn: u32,
    organisation: &'static str,
    class: Class,
) -> Example {
    let last = index * ADDRESSES;
    Example {
        v4: match cast {
            EUROPE => [192, 0, 2, last],
            ELSEWHERE => [203, 0, 113, last],
            _ => [198, 51, 100, last],
        },
        v6: 0x100 * cast as u16 + index as u16,
        town,
        country,
        at,
        asn,
        organisation,
        class,
    }
}

impl Example {
    /// The example that an address belongs to.
    pub fn of(address: IpAddr) -> Option<&'static Self> {
        EXAMPLES.iter().find(|example| example.holds(address))
    }

    fn holds(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                self.v4 == [a, b, c, d / ADDRESSES * ADDRESSES]
            }
            IpAddr::V6(v6) => v6.segments().starts_with(&[0x2001, 0x0db8, self.v6]),
        }
    }

    /// Where it is, as exactly as its class allows.
    pub(super) fn place(&self) -> Place {
        Place {
            latitude: self.at.0,
            longitude: self.at.1,
            radius_km: self.class.radius_km(),
            country: Country::new(self.country).expect("a test reads every example"),
            name: Some(self.town.into()),
        }
    }

    /// Whose network it is.
    pub(super) fn network(&self) -> Network {
        Network {
            asn: self.asn,
            organisation: self.organisation.into(),
            kind: self.class.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documentation_address_of_ipv4_is_an_example_and_both_families_agree() {
        for network in [[192, 0, 2], [198, 51, 100], [203, 0, 113]] {
            for last in 0..=255 {
                let [a, b, c] = network;
                let v4 = IpAddr::from([a, b, c, last]);
                let example = Example::of(v4).unwrap();
                let v6 = IpAddr::from([0x2001, 0x0db8, example.v6, 7, 0, 0, 0, 1]);
                assert_eq!(Example::of(v6).map(|found| found.asn), Some(example.asn));
                assert_eq!(example.place().country.as_str(), example.country);
            }
        }
    }

    #[test]
    fn every_number_is_reserved_for_documentation_and_none_is_used_twice() {
        let mut numbers: Vec<u32> = EXAMPLES.iter().map(|example| example.asn).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), EXAMPLES.len());
        assert!(
            (numbers.iter())
                .all(|asn| (64496..=64511).contains(asn) || (65536..=65551).contains(asn))
        );
    }
}
