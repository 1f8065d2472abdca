//! The client's address behind proxies.
//!
//! In: the peer's address and the forwarding header as logged. Out: the address of the client, as far as trusted
//! proxies vouch for it.
//! Does not know: where the configuration comes from.
//! Source: RFC 7239 section 5.2 (forms of a node), `ngx_http_realip_module` (`real_ip_recursive`).

use super::text::hex;
use crate::domain::event::AccessEvent;
use ipnet::IpNet;
use memchr::{memchr, memrchr};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A longer chain is somebody playing: real ones have a handful of proxies.
const HOPS_MAX: usize = 64;

/// Longer than any address with brackets, zone and port. What is longer is an element of `Forwarded`, or no node.
const ADDRESS_BYTES_MAX: usize = 64;

/// The networks whose forwarding header is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The proxies in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// These and one more network.
    #[must_use]
    pub fn with(&self, network: IpNet) -> Self {
        Self(self.0.iter().copied().chain([network]).collect())
    }

    /// True when no proxy is trusted, so that the peer is always the client.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True for an address of a trusted proxy; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The client's address: `peer`, or, where that is a trusted proxy, the first untrusted hop of `chain` from the right.
/// A hop that is no address stops the walk at the last good one. When every hop is trusted, the leftmost is the client.
pub fn resolve(
    peer: Option<IpAddr>,
    chain: Option<&str>,
    trusted: &TrustedProxies,
) -> Option<IpAddr> {
    let mut client = peer?;
    let hops = chain.unwrap_or_default().rsplit(',').take(HOPS_MAX);
    for hop in hops {
        if !trusted.contains(client) {
            break;
        }
        match parse_hop(hop) {
            Some(address) => client = address,
            None => break,
        }
    }
    Some(client)
}

/// Resolves the client of an event in place, starting from what the gateway itself said it is. Of a line that was cut
/// before its forwarding header, a proxy is all that is known, and the proxy is not the client.
pub fn settle(event: &mut AccessEvent<'_>, trusted: &TrustedProxies) {
    if trusted.is_empty() {
        return;
    }
    event.client = match event.client {
        Some(proxy) if event.cut && event.chain.is_none() && trusted.contains(proxy) => None,
        client => resolve(client, event.chain.as_deref(), trusted),
    };
}

/// One node as proxies write it: `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`, with a zone id, in
/// quotes. `None` for `unknown`, obfuscated names and garbage.
pub fn parse_hop(text: &str) -> Option<IpAddr> {
    // As nearly every log writes it: the address and nothing round it.
    if let Some(plain) = parse_plain(text) {
        return Some(plain);
    }
    let text = text.trim();
    let head = text.as_bytes().get(..ADDRESS_BYTES_MAX);
    if head.is_some_and(|head| memchr(b'=', head).is_none()) {
        return None; // a text of some other kind, a token perhaps, is not read to its end for that
    }
    let text = forwarded_for(text).trim_matches('"');
    if let Some(plain) = parse_plain(text) {
        return Some(plain);
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let port_is_sane = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_is_sane.then(|| parse_v6(address)).flatten();
    }
    match text.split_once(':') {
        Some((address, port)) if is_port(port) => parse_v4(address).map(IpAddr::V4),
        Some(_) => parse_v6(text),
        None => None,
    }
}

/// The node of one element of a `Forwarded` header (RFC 7239, section 4): `for="[2001:db8::1]:443";proto=https`. Any
/// other text is as it is.
fn forwarded_for(text: &str) -> &str {
    if !text.contains('=') {
        return text;
    }
    let value = text.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    value.unwrap_or_default().trim()
}

/// The last address of a field that may hold a list of them.
pub(super) fn last_hop(text: &str) -> Option<IpAddr> {
    if let Some(address) = parse_plain(text) {
        return Some(address); // nearly every one, and there is no comma in it
    }
    let last = memrchr(b',', text.as_bytes()).map_or(0, |comma| comma + 1);
    parse_hop(text.get(last..).unwrap_or(text))
}

/// The client of a chain that no peer stands beside: the last hop, for a proxy that logs no peer appends it. Where all
/// hops are of networks that are not routed (RFC 1918, RFC 4193), it is the first: these are proxies of one house one
/// behind the other, and nobody outside can be named by them.
pub(super) fn of_chain(chain: &str) -> Option<IpAddr> {
    let inside = |hop: &str| parse_hop(hop).filter(|address| is_inside(*address));
    let mut hops = chain.split(',').take(HOPS_MAX + 1);
    let first = hops.next().and_then(inside);
    match first {
        Some(first) if chain.contains(',') && hops.all(|hop| inside(hop).is_some()) => Some(first),
        _ => last_hop(chain),
    }
}

/// True for an address of a network that is not routed.
pub(super) fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// The address without the port behind it, where one is always written and IPv6 has no brackets (HAProxy, AWS).
pub(super) fn without_port(node: &str) -> &str {
    match node.rsplit_once(':') {
        Some((address, port)) if port.bytes().all(|b| b.is_ascii_digit()) => address,
        _ => node,
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && !text.starts_with('+')
}

fn parse_v6(text: &str) -> Option<IpAddr> {
    let (address, _zone) = text.split_once('%').unwrap_or((text, ""));
    let address: Ipv6Addr = address.parse().ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

/// An address without port, brackets or zone.
fn parse_plain(text: &str) -> Option<IpAddr> {
    // An octet has at most three digits, a group four: one of their separators stands among the first five bytes.
    let mut begin = text.bytes().take(5);
    match begin.find(|byte| matches!(byte, b'.' | b':'))? {
        b'.' => parse_v4(text).map(IpAddr::V4),
        _ => parse_groups(text.as_bytes()).map(|address| IpAddr::V6(address).to_canonical()),
    }
}

/// Groups of hexadecimal digits, with `::` for one run of zero groups (RFC 4291, section 2.2, forms 1 and 2). Takes a
/// sixth of the standard library's time, which reads the form that ends in dotted decimal too.
fn parse_groups(text: &[u8]) -> Option<Ipv6Addr> {
    let (mut groups, mut count) = ([0u16; 8], 0);
    let (mut rest, mut gap) = match text {
        [b':', b':', rest @ ..] => (rest, Some(0)),
        _ => (text, None),
    };
    while !rest.is_empty() {
        let (mut value, mut digits) = (0u16, 0);
        while let Some(digit) = rest.get(digits).copied().and_then(hex) {
            value = value << 4 | u16::from(digit);
            digits += 1;
        }
        if !(1..=4).contains(&digits) {
            return None;
        }
        *groups.get_mut(count)? = value;
        count += 1;
        rest = match rest.get(digits..)? {
            [b':', b':', after @ ..] if gap.is_none() => {
                gap = Some(count);
                after
            }
            [b':', after @ ..] if !after.is_empty() => after,
            [] => break,
            _ => return None,
        };
    }
    match gap {
        // `::` stands for one group at least.
        Some(gap) if count < 8 => {
            groups.get_mut(gap..)?.rotate_right(8 - count);
        }
        None if count == 8 => {}
        _ => return None,
    }
    Some(Ipv6Addr::from(groups))
}

/// Dotted decimal without leading zeros (RFC 6943, section 3.1.1).
fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let (mut octets, mut index) = ([0u8; 4], 0);
    let (mut value, mut digits) = (0u32, 0);
    for byte in text.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            value = value * 10 + u32::from(digit);
            digits += 1;
            // A zero stands alone.
            if digits > 3 || (digits > 1 && value < 10) {
                return None;
            }
        } else {
            if byte != b'.' || digits == 0 || index == 3 {
                return None;
            }
            octets[index] = u8::try_from(value).ok()?;
            (value, digits, index) = (0, 0, index + 1);
        }
    }
    octets[3] = u8::try_from(value).ok()?;
    (index == 3 && digits > 0).then(|| Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn trusted() -> TrustedProxies {
        TrustedProxies::new(["10.0.0.0/8", "2001:db8:f::/48"].map(|net| net.parse().unwrap()))
    }

    #[test]
    fn the_first_untrusted_hop_from_the_right_is_the_client() {
        for (peer, chain, client) in [
            ("10.0.0.1", Some("198.51.100.7"), "198.51.100.7"),
            (
                "10.0.0.1",
                Some("203.0.113.9, 198.51.100.7, 10.0.0.2"),
                "198.51.100.7",
            ),
            ("10.0.0.1", Some("10.0.0.3,10.0.0.2"), "10.0.0.3"),
            ("10.0.0.1", None, "10.0.0.1"),
            ("10.0.0.1", Some(""), "10.0.0.1"),
            // Anybody can send the header; only the peer's word counts.
            ("198.51.100.7", Some("203.0.113.9"), "198.51.100.7"),
            // Garbage stops at the last good hop.
            ("10.0.0.1", Some("203.0.113.9, evil, 10.0.0.2"), "10.0.0.2"),
            ("10.0.0.1", Some("203.0.113.9, unknown"), "10.0.0.1"),
            ("10.0.0.1", Some("203.0.113.9,,10.0.0.2"), "10.0.0.2"),
            ("::ffff:10.0.0.1", Some("[2001:db8::5]:443"), "2001:db8::5"),
            ("2001:db8:f::1", Some("::ffff:198.51.100.7"), "198.51.100.7"),
        ] {
            assert_eq!(
                resolve(ip(peer), chain, &trusted()),
                ip(client),
                "{chain:?}"
            );
        }
        assert_eq!(resolve(None, Some("203.0.113.9"), &trusted()), None);
    }

    #[test]
    fn a_line_that_was_cut_before_its_chain_has_no_client_behind_a_proxy() {
        for (peer, cut, chain, client) in [
            ("10.0.0.1", true, None, None),
            ("10.0.0.1", true, Some("198.51.100.7"), ip("198.51.100.7")),
            ("10.0.0.1", false, None, ip("10.0.0.1")),
            ("198.51.100.7", true, None, ip("198.51.100.7")),
        ] {
            let mut event = AccessEvent {
                client: ip(peer),
                chain: chain.map(Into::into),
                cut,
                ..AccessEvent::default()
            };
            settle(&mut event, &trusted());
            assert_eq!(event.client, client, "{peer}, {cut}, {chain:?}");
        }
    }

    #[test]
    fn hops_are_read_in_every_form() {
        for (text, address) in [
            ("192.0.2.1", Some("192.0.2.1")),
            (" 192.0.2.1:8080 ", Some("192.0.2.1")),
            ("\"[2001:db8::1]:443\"", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            (
                "for=192.0.2.60;proto=http;by=203.0.113.43",
                Some("192.0.2.60"),
            ),
            (
                "By=203.0.113.43; For=\"[2001:db8::1]:4711\"",
                Some("2001:db8::1"),
            ),
            ("for=unknown", None),
            ("for=_gazonk", None),
            ("by=203.0.113.43", None),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2.256", None),
            ("192.0.2.01", None),
            ("192.0.2", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:99999", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]x", None),
            ("unix:", None),
            ("", None),
        ] {
            assert_eq!(parse_hop(text), address.and_then(ip), "{text}");
        }
        let host = "h".repeat(4 * ADDRESS_BYTES_MAX);
        let element = format!("for=192.0.2.1;host={host}");
        assert_eq!(parse_hop(&element), ip("192.0.2.1"));
        assert_eq!(parse_hop(&format!("192.0.2.1:{host}")), None);
    }

    #[test]
    fn a_chain_alone_names_its_last_hop_or_the_first_inside() {
        for (chain, client) in [
            ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
            ("203.0.113.9, 10.0.0.2", "10.0.0.2"),
            ("192.168.1.9, 10.0.0.2", "192.168.1.9"),
            ("fd00::5, [fd00::1]:54321", "fd00::5"),
            ("192.168.1.9, evil, 10.0.0.2", "10.0.0.2"),
            ("192.168.1.9", "192.168.1.9"),
        ] {
            assert_eq!(of_chain(chain), ip(client), "{chain}");
        }
        let long = vec!["10.0.0.1"; 100].join(",");
        assert_eq!(of_chain(&format!("10.0.0.9,{long}")), ip("10.0.0.9"));
        assert_eq!(of_chain(""), None);
    }

    proptest! {
        #[test]
        fn v4_is_read_as_the_standard_library_reads_it(text in "[0-9.]{5,17}") {
            prop_assert_eq!(parse_v4(&text), text.parse().ok());
        }

        #[test]
        fn groups_are_read_as_the_standard_library_reads_them(text in "(:|::|[0-9a-fA-F]{1,5}:?){1,10}") {
            prop_assert_eq!(parse_groups(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn every_address_is_read_back(bits in any::<u128>(), v4 in any::<u32>()) {
            let (v6, v4) = (Ipv6Addr::from_bits(bits), Ipv4Addr::from_bits(v4));
            prop_assert_eq!(parse_hop(&v6.to_string()), Some(IpAddr::V6(v6).to_canonical()));
            prop_assert_eq!(parse_hop(&v4.to_string()), Some(IpAddr::V4(v4)));
        }

        #[test]
        fn no_chain_makes_it_panic(chain in "\\PC{0,80}") {
            let _ = resolve(ip("10.0.0.1"), Some(&chain), &trusted());
        }
    }
}
