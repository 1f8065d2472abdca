//! The tables against what they were made from, and against databases of others.

use super::*;
use crate::domain::context::Country;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/context");
    std::fs::read(folder.join(name)).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// MaxMind's own JSON of a test database, the first address of each network with its record.
fn maxmind_json(name: &str) -> Vec<(IpAddr, Value)> {
    let networks: Vec<BTreeMap<String, Value>> = serde_json::from_slice(&fixture(name)).unwrap();
    let networks = networks.into_iter().flatten();
    networks
        .map(|(network, record)| (network.parse::<IpNet>().unwrap().addr(), record))
        .collect()
}

#[test]
fn a_city_database_of_maxmind_says_what_its_json_says() {
    let city = fixture("maxmind-db/GeoLite2-City-Test.mmdb");
    let tables = Tables::embedded().with_city(vec![city]).unwrap();
    let cases = maxmind_json("maxmind-db/GeoLite2-City-Test.json");
    let mut compared = 0;
    for (address, record) in &cases {
        let Some(code) = record["country"]["iso_code"].as_str() else {
            continue;
        };
        let Some(latitude) = record["location"]["latitude"].as_f64() else {
            continue;
        };
        let place = tables.place(*address).unwrap();
        let radius_km = record["location"]["accuracy_radius"]
            .as_f64()
            .unwrap_or(0.0);
        let name = record["city"]["names"]["en"].as_str();
        assert_eq!(place.country, Country::new(code).unwrap(), "{address}");
        assert_eq!(place.latitude, latitude as f32, "{address}");
        assert_eq!(place.name.as_deref(), name, "{address}");
        assert!(f64::from(place.radius_km) >= radius_km, "{address}");
        compared += 1;
    }
    assert!(compared > 200, "{compared} of {}", cases.len());
}

#[test]
fn a_database_of_networks_says_what_its_json_says_and_our_list_adds_the_kind() {
    let asn = fixture("maxmind-db/GeoLite2-ASN-Test.mmdb");
    let tables = Tables::embedded().with_asn(vec![asn]).unwrap();
    for (address, record) in maxmind_json("maxmind-db/GeoLite2-ASN-Test.json") {
        let network = tables.network(address).unwrap();
        assert_eq!(
            Some(u64::from(network.asn)),
            record["autonomous_system_number"].as_u64()
        );
        let organisation = record["autonomous_system_organization"].as_str();
        assert_eq!(&*network.organisation, organisation.unwrap_or_default());
    }
    let google = tables.network(address("1.0.0.1")).unwrap();
    assert_eq!((google.asn, google.kind), (15169, NetworkKind::Hosting));
}

#[test]
fn what_the_users_database_does_not_know_the_embedded_tables_answer() {
    let city = fixture("maxmind-db/GeoLite2-City-Test.mmdb");
    let tables = Tables::embedded().with_city(vec![city]).unwrap();
    let dns = address("8.8.8.8");
    assert_eq!(tables.place(dns), Tables::embedded().place(dns));
    assert_eq!(tables.info().len(), 4);
}

#[test]
fn a_home_network_is_corporate_and_no_place_to_travel_from() {
    let home = vec![
        "203.0.113.0/24".parse().unwrap(),
        "10.0.0.0/8".parse().unwrap(),
    ];
    let tables = Tables::embedded().with_home(home);
    let network = tables.network(address("203.0.113.1")).unwrap();
    assert_eq!((network.asn, network.kind), (64504, NetworkKind::Corporate));
    assert_eq!(
        tables.network(address("10.1.1.1")).unwrap().kind,
        NetworkKind::Corporate
    );
    assert_eq!(tables.at(address("192.168.1.1")), (None, None));
}

#[test]
fn an_address_mapped_into_ipv6_is_the_ipv4_address() {
    let tables = Tables::embedded();
    assert_eq!(
        tables.at(address("::ffff:8.8.8.8")),
        tables.at(address("8.8.8.8"))
    );
}

#[test]
fn a_file_that_is_no_table_is_named_and_said_why() {
    let fault = |bytes: &[u8]| {
        let files = vec![bytes.to_vec()];
        let found = Tables::embedded().with_city(files).err().unwrap();
        (found.0, found.1.to_string())
    };
    assert_eq!(fault(b"").0, 0);
    assert!(
        fault(b"hello").1.contains("MaxMind"),
        "{}",
        fault(b"hello").1
    );
    let mut cut = include_bytes!("../data/places_v4.table").to_vec();
    cut.truncate(100_000);
    assert!(fault(&cut).1.contains("checksum"));
    let networks = include_bytes!("../data/networks.table");
    assert!(
        fault(networks)
            .1
            .contains("networks, where one of IPv4 places belongs")
    );
}

/// Rows of `prefixes_dev.csv`: city, country, lat, lon, asn, as_name, as_kind, prefix; names may be
/// quoted.
fn known_prefixes() -> Vec<(Place, u32, IpAddr)> {
    let text = String::from_utf8(fixture("prefixes_dev.csv")).unwrap();
    let row = |row: &str| {
        let head: Vec<&str> = row.splitn(6, ',').collect();
        let prefix: IpNet = row.rsplit(',').next()?.parse().ok()?;
        let place = Place {
            latitude: head[2].parse().ok()?,
            longitude: head[3].parse().ok()?,
            radius_km: 0.0,
            country: Country::new(head[1])?,
            name: None,
        };
        Some((place, head[4].parse().ok()?, prefix.addr()))
    };
    text.lines()
        .skip(1)
        .map(|line| row(line).unwrap())
        .collect()
}

#[test]
fn well_known_prefixes_are_where_and_whose_they_are_known_to_be() {
    let tables = Tables::embedded();
    let prefixes = known_prefixes();
    let (mut near, mut owned) = (0, 0);
    for (known, asn, address) in &prefixes {
        let (place, network) = tables.at(*address);
        near += usize::from(place.is_some_and(|place| place.distance_km(known) <= 100.0));
        owned += usize::from(network.is_some_and(|network| network.asn == *asn));
    }
    let percent = |count: usize| 100 * count / prefixes.len();
    println!("{near} near and {owned} owned of {}", prefixes.len());
    assert!(
        percent(near) >= 95 && percent(owned) >= 95,
        "{near}, {owned}"
    );
}

/// Needs the source: `TOKENTRIP_CITY_V4` and `TOKENTRIP_CITY_V6` name the databases the tables were
/// built from.
#[test]
#[ignore = "needs the 134 MB source of the tables"]
fn no_ipv4_address_is_further_than_50_km_from_its_source() {
    for (variable, v6) in [("TOKENTRIP_CITY_V4", false), ("TOKENTRIP_CITY_V6", true)] {
        let path = std::env::var_os(variable).unwrap();
        let reader = mmdb::Reader::new(std::fs::read(path).unwrap()).unwrap();
        let mut errors: Vec<(f64, f64)> = Vec::new();
        let mut lost = 0;
        reader
            .walk(v6, |start, bits, _, city| {
                let Some(source) = city().and_then(mmdb::City::into_place) else {
                    return;
                };
                let sites = ranges::KEY_BITS.saturating_sub(bits);
                let address = if v6 {
                    IpAddr::from((u128::from(start) << 80).to_be_bytes())
                } else {
                    IpAddr::from(((start >> ranges::v4_shift()) as u32).to_be_bytes())
                };
                match embedded::places(address).at(address) {
                    Some(point) => {
                        let off_km = point.widened(Class::Unknown).distance_km(&source);
                        errors.push((off_km, 2_f64.powi(sites as i32)));
                    }
                    None => lost += 1,
                }
            })
            .unwrap();
        report(variable, &mut errors, lost, v6);
    }
}

fn report(name: &str, errors: &mut [(f64, f64)], lost: usize, v6: bool) {
    errors.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = errors.iter().map(|(_, weight)| weight).sum();
    let quantile = |share: f64| {
        let mut held = 0.0;
        let found = errors.iter().find(|(_, weight)| {
            held += weight;
            held >= share * all
        });
        found.map_or(0.0, |(off_km, _)| *off_km)
    };
    let far = errors.iter().filter(|(off_km, _)| *off_km > 50.5).count();
    let max = errors.last().map_or(0.0, |(off_km, _)| *off_km);
    println!(
        "{name}: {} leaves, {lost} lost, p50 {:.1} p95 {:.1} p99 {:.1} max {max:.1} km, {far} beyond",
        errors.len(),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
    );
    assert!(v6 || (far == 0 && lost == 0), "{name}");
}

#[test]
#[ignore = "a measurement: run with --nocapture"]
fn how_long_decoding_and_looking_up_take() {
    let decode = |what: &str, decode: &dyn Fn() -> bool| {
        let start = std::time::Instant::now();
        assert!(decode(), "{what}");
        println!("{what} decoded in {:.0?}", start.elapsed());
    };
    let known = |text: &str| embedded::places(address(text)).at(address(text)).is_some();
    decode("IPv4 places", &|| known("8.8.8.8"));
    decode("IPv6 places", &|| known("2001:4860:4860::8888"));
    decode("networks", &|| embedded::networks().class(15169).is_some());
    let tables = Tables::embedded();
    let start = std::time::Instant::now();
    let (mut known, count) = (0, 1_000_000_u32);
    for index in 0..count {
        let found = tables.at(IpAddr::from(
            index.wrapping_mul(2_654_435_761).to_be_bytes(),
        ));
        known += usize::from(found.0.is_some());
    }
    println!(
        "{count} looked up in {:.0?}, {known} known",
        start.elapsed()
    );
}

proptest! {
    #[test]
    fn any_file_is_a_table_or_a_fault_and_any_address_is_answered(
        bytes: Vec<u8>,
        v4: [u8; 4],
        v6: [u8; 16],
    ) {
        prop_assert!(Tables::embedded().with_asn(vec![bytes]).is_err());
        for address in [IpAddr::from(v4), IpAddr::from(v6)] {
            if let Some(place) = Tables::embedded().place(address) {
                prop_assert!(place.latitude.abs() <= 90.0 && place.radius_km >= 20.0);
            }
        }
    }
}
