//! Addresses that are nobody's place on the map.
//!
//! In: a canonical address. Out: whether it is for private, local, shared or other special use.
//! Does not know: the examples in documentation addresses, which are asked before.
//! Source: the IANA special-purpose address registries (RFC 6890) and multicast (RFC 5771, RFC
//! 4291).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of one family whose first bits are these.
struct Special {
    v6: bool,
    first: u128,
    /// How many bits stand behind them.
    rest_bits: u32,
}

const fn v4(a: u8, b: u8, c: u8, bits: u32) -> Special {
    let rest_bits = Ipv4Addr::BITS - bits;
    Special {
        v6: false,
        first: Ipv4Addr::new(a, b, c, 0).to_bits() as u128 >> rest_bits,
        rest_bits,
    }
}

const fn v6(a: u16, b: u16, bits: u32) -> Special {
    let rest_bits = Ipv6Addr::BITS - bits;
    Special {
        v6: true,
        first: Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0).to_bits() >> rest_bits,
        rest_bits,
    }
}

static SPECIAL: [Special; 25] = [
    v4(0, 0, 0, 8),         // this network, RFC 791
    v4(10, 0, 0, 8),        // private, RFC 1918
    v4(100, 64, 0, 10),     // shared by carriers behind NAT, RFC 6598
    v4(127, 0, 0, 8),       // loopback, RFC 1122
    v4(169, 254, 0, 16),    // link-local, RFC 3927
    v4(172, 16, 0, 12),     // private, RFC 1918
    v4(192, 0, 0, 24),      // protocol assignments, RFC 6890
    v4(192, 0, 2, 24),      // documentation, RFC 5737
    v4(192, 168, 0, 16),    // private, RFC 1918
    v4(198, 18, 0, 15),     // benchmarks, RFC 2544
    v4(198, 51, 100, 24),   // documentation, RFC 5737
    v4(203, 0, 113, 24),    // documentation, RFC 5737
    v4(224, 0, 0, 4),       // multicast, RFC 5771
    v4(240, 0, 0, 4),       // reserved and broadcast, RFC 1112
    v6(0, 0, 8),            // unspecified, loopback, translated, RFC 4291
    v6(0x0064, 0xff9b, 32), // translation, RFC 6052 and RFC 8215
    v6(0x0100, 0, 32),      // discard, RFC 6666
    v6(0x2001, 0, 32),      // Teredo, RFC 4380: a relay's place, not the user's
    v6(0x2001, 0x0db8, 32), // documentation, RFC 3849
    v6(0x2002, 0, 16),      // 6to4, RFC 3056, deprecated by RFC 7526
    v6(0x3fff, 0, 20),      // documentation, RFC 9637
    v6(0x5f00, 0, 16),      // segment routing, RFC 9602
    v6(0xfc00, 0, 7),       // unique local, RFC 4193
    v6(0xfe80, 0, 9),       // link-local and the former site-local, RFC 4291, RFC 3879
    v6(0xff00, 0, 8),       // multicast, RFC 4291
];

/// True for an address that no table should be asked about.
pub(super) fn is_special(address: IpAddr) -> bool {
    let (v6, bits) = match address {
        IpAddr::V4(v4) => (false, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (true, v6.to_bits()),
    };
    SPECIAL
        .iter()
        .any(|special| special.v6 == v6 && bits >> special.rest_bits == special.first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_shared_and_documentation_addresses_are_special_and_public_ones_are_not() {
        let special = |text: &str| is_special(text.parse().unwrap());
        for text in "10.1.2.3 100.127.0.1 127.0.0.1 169.254.9.9 172.31.255.255 192.168.1.1 \
            203.0.113.9 239.1.1.1 255.255.255.255 :: ::1 2001:db8::1 fd00::1 fe80::1 ff02::1"
            .split_whitespace()
        {
            assert!(special(text), "{text}");
        }
        for text in "8.8.8.8 100.63.255.255 100.128.0.0 172.32.0.1 2001:4860:4860::8888 2a02::1"
            .split_whitespace()
        {
            assert!(!special(text), "{text}");
        }
    }
}
