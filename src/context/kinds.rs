//! What people do in a network: from our list, else from what its organisation calls itself.
//!
//! In: `asn_kinds.csv` (`asn,kind,name`) and names of organisations. Out: [`Class`], which knows
//! its [`NetworkKind`] and how far from the table's point its users may be.
//! Does not know: addresses.

use super::tables::TableFault;
use crate::domain::context::NetworkKind;

/// What a network is, finer than [`NetworkKind`]: several classes mean the same to a rule, but not
/// to a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Nobody said, and the name does not tell.
    #[default]
    Unknown,
    /// Fixed lines only.
    FixedIsp,
    /// Phones and fixed lines behind one number.
    MobileAndFixed,
    /// Phones.
    Mobile,
    /// Servers for rent.
    Hosting,
    /// Servers for rent that VPN services are known to rent.
    HostingVpn,
    /// A VPN service's own network.
    Vpn,
    /// A content delivery network.
    Cdn,
    /// A network of one large service.
    Content,
    /// Exits of privacy relays.
    PrivacyRelay,
    /// A security proxy between a company and the world.
    SecurityProxy,
    /// Satellite links.
    Satellite,
    /// A network that the configuration names as the company's own.
    Home,
}

/// Every class with its word in `asn_kinds.csv`; the index is its code in a packed table, so only
/// append.
const WORDS: [(Class, &str); 13] = [
    (Class::Unknown, "unknown"),
    (Class::FixedIsp, "fixed_isp"),
    (Class::MobileAndFixed, "mobile_and_fixed"),
    (Class::Mobile, "mobile"),
    (Class::Hosting, "hosting"),
    (Class::HostingVpn, "hosting_vpn"),
    (Class::Vpn, "vpn"),
    (Class::Cdn, "cdn"),
    (Class::Content, "content"),
    (Class::PrivacyRelay, "privacy_relay"),
    (Class::SecurityProxy, "security_proxy"),
    (Class::Satellite, "satellite"),
    (Class::Home, "home"),
];

/// On fixed lines the median error of place tables is 3 to 16 km (arXiv 2605.21937); 20 km covers
/// the worst of the medians and a commuter's town.
const FIXED_RADIUS_KM: f32 = 20.0;

/// On mobile networks the median error is 179 to 207 km (arXiv 2605.21937): the address is the
/// gateway's.
const MOBILE_RADIUS_KM: f32 = 200.0;

/// Secure web gateways, by the names that their operators register networks under: whole companies leave through them,
/// from whichever of their cities is free.
const SECURITY_PROXIES: [&str; 8] = [
    "zscaler",
    "netskope",
    "iboss",
    "opendns",
    "forcepoint",
    "cato networks",
    "menlo security",
    "palo alto networks",
];

impl Class {
    /// The class that a word of `asn_kinds.csv` means.
    pub fn from_word(word: &str) -> Option<Self> {
        WORDS
            .iter()
            .find(|(_, own)| *own == word)
            .map(|(class, _)| *class)
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        WORDS.get(usize::from(code)).map(|(class, _)| *class)
    }

    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// What rules see.
    ///
    /// Networks with phones and fixed lines are `Residential`: the number does not tell which an
    /// address is, and `Mobile` excuses more. Their radius is a mobile network's, so distance still
    /// errs on the careful side.
    pub fn kind(self) -> NetworkKind {
        match self {
            Self::Unknown => NetworkKind::Unknown,
            Self::FixedIsp | Self::MobileAndFixed => NetworkKind::Residential,
            Self::Mobile => NetworkKind::Mobile,
            Self::Hosting | Self::Cdn | Self::Content => NetworkKind::Hosting,
            Self::HostingVpn | Self::Vpn => NetworkKind::Vpn,
            Self::PrivacyRelay => NetworkKind::Relay,
            Self::SecurityProxy | Self::Home => NetworkKind::Corporate,
            Self::Satellite => NetworkKind::Satellite,
        }
    }

    /// How far from the table's point a user of this network may be, beside the table's own error.
    pub fn radius_km(self) -> f32 {
        match self {
            Self::Mobile | Self::MobileAndFixed | Self::Satellite => MOBILE_RADIUS_KM,
            _ => FIXED_RADIUS_KM,
        }
    }

    /// The class that an organisation's name tells, for the tens of thousands of networks that no
    /// list names.
    ///
    /// A judgement, kept to words that networks of other kinds rarely bear. Phones come first: a
    /// carrier's "Mobile Data Center" is a carrier. A name without such a word stays `Unknown`:
    /// most are access networks, but unknown is not different, so nothing is gained by a guess.
    pub fn from_name(organisation: &str) -> Self {
        let name = organisation.to_ascii_lowercase();
        let has_word = |wanted: &[&str]| {
            name.split(|c: char| !c.is_alphanumeric())
                .any(|word| wanted.contains(&word))
        };
        let holds = |wanted: &[&str]| wanted.iter().any(|part| name.contains(part));
        if holds(&SECURITY_PROXIES) {
            Self::SecurityProxy
        } else if holds(&["mobile", "cellular"])
            || has_word(&["gsm", "lte", "pcs", "movil", "movel"])
        {
            Self::Mobile
        } else if holds(&["satellite"]) || has_word(&["vsat"]) {
            Self::Satellite
        } else if has_word(&["vpn", "vpns"]) {
            Self::Vpn
        } else if holds(&[
            "hosting",
            "datacenter",
            "data center",
            "datacentre",
            "dedicated server",
        ]) || has_word(&[
            "cloud",
            "vps",
            "server",
            "servers",
            "colo",
            "colocation",
            "hoster",
            "host",
        ]) {
            Self::Hosting
        } else {
            Self::Unknown
        }
    }
}

/// Classes by autonomous system number, from rows `asn,kind,name` under a heading; sorted by
/// number.
pub(super) fn parse(text: &str) -> Result<Vec<(u32, Class)>, TableFault> {
    let mut classes = Vec::new();
    for (index, row) in text
        .lines()
        .enumerate()
        .skip(1)
        .filter(|(_, row)| !row.is_empty())
    {
        let line = index + 1;
        let mut fields = row.splitn(3, ',');
        let asn = fields.next().and_then(|field| field.parse().ok());
        let asn = asn.ok_or(TableFault::Row {
            what: "not a network's number",
            line,
        })?;
        let class = fields.next().and_then(Class::from_word);
        let class = class.ok_or(TableFault::Row {
            what: "not a kind of network",
            line,
        })?;
        classes.push((asn, class));
    }
    classes.sort_by_key(|(asn, _)| *asn);
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_word_and_its_code() {
        for (index, (class, word)) in WORDS.iter().enumerate() {
            assert_eq!(Class::from_code(index as u8), Some(*class));
            assert_eq!(usize::from(class.code()), index);
            assert_eq!(Class::from_word(word), Some(*class));
        }
    }

    #[test]
    fn our_list_reads_and_a_wrong_word_is_named_with_its_line() {
        let classes = parse(include_str!("data/asn_kinds.csv")).unwrap();
        assert_eq!(classes.len(), 604);
        let fault = parse("asn,kind,name\n1,hosting,A\n2,castle,B\n").unwrap_err();
        assert_eq!(fault.to_string(), "not a kind of network, line 3");
    }

    #[test]
    fn a_name_tells_servers_and_phones_and_otherwise_nothing() {
        let kind = |name| Class::from_name(name).kind();
        assert_eq!(kind("Acme Hosting GmbH"), NetworkKind::Hosting);
        assert_eq!(kind("Nordic VPS AB"), NetworkKind::Hosting);
        assert_eq!(kind("T-Mobile Polska S.A."), NetworkKind::Mobile);
        assert_eq!(kind("Hostelería del Norte"), NetworkKind::Unknown);
        assert_eq!(kind("Observer Media"), NetworkKind::Unknown);
        assert_eq!(kind("Cisco OpenDNS, LLC"), NetworkKind::Corporate);
        assert_eq!(kind("Forcepoint Cloud Ltd"), NetworkKind::Corporate);
    }
}
