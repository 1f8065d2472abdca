//! The tables in the binary, decoded when they are first asked.
//!
//! In: `data/*.table`, made by `tokentrip geo build`. Out: the decoded tables, one of each a
//! process.
//! Does not know: the user's own.

use super::file::{self, Contents, Header};
use super::networks::Networks;
use super::places::Places;
use std::net::IpAddr;
use std::sync::LazyLock;

const PLACES_V4: &[u8] = include_bytes!("../data/places_v4.table");
const PLACES_V6: &[u8] = include_bytes!("../data/places_v6.table");
const NETWORKS: &[u8] = include_bytes!("../data/networks.table");

/// Why decoding what was compiled in may assert: a test decodes all three.
const WHOLE: &str = "the embedded tables are whole";

static V4: LazyLock<Places> =
    LazyLock::new(|| Places::decode(PLACES_V4, Contents::PlacesV4).expect(WHOLE));
static V6: LazyLock<Places> =
    LazyLock::new(|| Places::decode(PLACES_V6, Contents::PlacesV6).expect(WHOLE));
static NETS: LazyLock<Networks> = LazyLock::new(|| Networks::decode(NETWORKS).expect(WHOLE));

/// The places of an address's family.
pub(super) fn places(address: IpAddr) -> &'static Places {
    if address.is_ipv4() { &V4 } else { &V6 }
}

/// The networks of both families.
pub(super) fn networks() -> &'static Networks {
    &NETS
}

/// Decodes all three.
pub(super) fn warm_up() {
    LazyLock::force(&V4);
    LazyLock::force(&V6);
    LazyLock::force(&NETS);
}

/// What the tables say about themselves, without decoding them.
pub(super) fn headers() -> impl Iterator<Item = Header> {
    [PLACES_V4, PLACES_V6, NETWORKS]
        .into_iter()
        .map(|bytes| file::header(bytes).expect(WHOLE))
}
