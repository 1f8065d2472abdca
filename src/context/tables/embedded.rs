//! The tables in the binary, opened when they are first asked.
//!
//! In: `data/*.table`, made by `tokentrip geo build`. Out: the opened tables, one of each a
//! process.
//! Does not know: the user's own.

use super::file::{self, Contents, Header};
use super::networks::Networks;
use super::places::Places;
use std::net::IpAddr;
use std::sync::LazyLock;

// Statics, not constants, of which a program may hold several copies.
static PLACES_V4: &[u8] = include_bytes!("../data/places_v4.table");
static PLACES_V6: &[u8] = include_bytes!("../data/places_v6.table");
static NETWORKS: &[u8] = include_bytes!("../data/networks.table");

/// Why opening what was compiled in may assert: a test reads all three.
const WHOLE: &str = "the embedded tables are whole";

static V4: LazyLock<Places> = LazyLock::new(|| places_of(PLACES_V4, Contents::PlacesV4));
static V6: LazyLock<Places> = LazyLock::new(|| places_of(PLACES_V6, Contents::PlacesV6));
static NETS: LazyLock<Networks> = LazyLock::new(|| Networks::open(NETWORKS.into()).expect(WHOLE));

fn places_of(bytes: &'static [u8], contents: Contents) -> Places {
    Places::open(bytes.into(), contents).expect(WHOLE)
}

/// The places of an address's family.
pub(super) fn places(address: IpAddr) -> &'static Places {
    if address.is_ipv4() { &V4 } else { &V6 }
}

/// The networks of both families.
pub(super) fn networks() -> &'static Networks {
    &NETS
}

/// What the tables say about themselves, without opening them.
pub(super) fn headers() -> impl Iterator<Item = Header> {
    [PLACES_V4, PLACES_V6, NETWORKS]
        .into_iter()
        .map(|bytes| file::header(bytes).expect(WHOLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{Context, SHA256};
    use data_encoding::HEXLOWER;
    use std::io::Write as _;

    /// What each table says of its ranges, as the first half of SHA-256 over one line a range. It changes with the
    /// source of a table, and never with its packing.
    const SAID: [&str; 3] = ["2bb407a4d9967680", "8f102b5c26b82927", "c0f81e7b50675d09"];

    #[test]
    fn every_range_of_the_embedded_tables_says_what_its_source_said() {
        let places = [&*V4, &*V6].map(|places| {
            said(places.all(), |point, line| {
                let degrees = [point.latitude, point.longitude].map(f32::to_bits);
                let name = point.name.as_deref().unwrap_or_default();
                let [latitude, longitude] = degrees;
                let (radius_km, country) = (point.radius_km, point.country);
                write!(line, "{latitude} {longitude} {radius_km} {country} {name}")
            })
        });
        let networks = said(NETS.all(), |entry, line| {
            let (asn, code, name) = (entry.asn, entry.class.code(), &entry.organisation);
            write!(line, "{asn} {code} {name}")
        });
        assert_eq!([&*places[0], &*places[1], &*networks], SAID);
    }

    fn said<'a, T: 'a>(
        ranges: impl Iterator<Item = (u64, Option<&'a T>)>,
        say: impl Fn(&T, &mut Vec<u8>) -> std::io::Result<()>,
    ) -> String {
        let (mut all, mut line) = (Context::new(&SHA256), Vec::new());
        for (start, what) in ranges {
            line.clear();
            write!(line, "{start} ").unwrap();
            match what {
                Some(what) => say(what, &mut line).unwrap(),
                None => line.push(b'-'),
            }
            line.push(b'\n');
            all.update(&line);
        }
        HEXLOWER.encode(&all.finish().as_ref()[..8])
    }

    #[test]
    fn the_embedded_tables_are_whole_as_those_of_others_must_be() {
        for (bytes, contents) in [
            (PLACES_V4, Contents::PlacesV4),
            (PLACES_V6, Contents::PlacesV6),
        ] {
            assert!(Places::open(bytes.to_vec().into(), contents).is_ok());
        }
        assert!(Networks::open(NETWORKS.to_vec().into()).is_ok());
    }
}
