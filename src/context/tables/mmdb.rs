//! Databases in MaxMind's format, of either schema: nested (MaxMind) or flat (DB-IP).
//!
//! In: the whole file as bytes (never mapped: a file that shrinks under a map kills the process).
//! Out: [`City`] and [`Asn`] records of an address.
//! Does not know: packed tables.
//! Source: MaxMind DB File Format Specification 2.0, <https://maxmind.github.io/MaxMind-DB/>; the
//! schemas of <https://dev.maxmind.com/geoip/docs/databases/city-and-country/> and of DB-IP's lite
//! databases.

use super::file::TableFault;
use super::ranges::KEY_BITS;
use crate::domain::context::{Country, Place};
use crate::domain::time::Time;
use maxminddb::MaxMindDbError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::net::IpAddr;

/// A database in memory.
pub(in crate::context) struct Reader(maxminddb::Reader<Vec<u8>>);

/// What a database of cities says of an address, whichever way it nests it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::context) struct City {
    city: Option<Named>,
    country: Option<CountryRecord>,
    country_code: Option<String>,
    location: Option<Location>,
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
}

/// A number of 4 bytes (DB-IP) or 8 (MaxMind): the decoder converts neither into the other by
/// itself.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Degrees {
    Any(f64),
}

impl Degrees {
    /// The number as a coordinate that lies within `limit` of zero.
    fn within(self, limit: f64) -> Option<f32> {
        let Self::Any(degrees) = self;
        (-limit..=limit)
            .contains(&degrees)
            .then_some(degrees as f32)
    }
}

/// A name as a string (flat) or by language (nested).
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Flat(String),
    Nested { names: Option<Names> },
}

#[derive(Deserialize)]
struct Names {
    en: Option<String>,
}

/// A country's name (flat, ignored) or its record (nested).
#[derive(Deserialize)]
#[serde(untagged)]
enum CountryRecord {
    Nested { iso_code: Option<String> },
    Flat(IgnoredAny),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
    accuracy_radius: Option<u16>,
}

/// What a database of networks says of an address.
#[derive(Deserialize)]
pub(super) struct Asn {
    #[serde(rename = "autonomous_system_number")]
    pub(super) number: u32,
    #[serde(rename = "autonomous_system_organization", default)]
    pub(super) organisation: Option<String>,
}

impl City {
    /// The record as a place with the source's own radius (0 where it gives none); `None` without a
    /// point on Earth and a country.
    pub(in crate::context) fn into_place(self) -> Option<Place> {
        let location = self.location.unwrap_or_default();
        let latitude = self.latitude.or(location.latitude)?.within(90.0)?;
        let longitude = self.longitude.or(location.longitude)?.within(180.0)?;
        let nested = self.country.and_then(|country| match country {
            CountryRecord::Nested { iso_code } => iso_code,
            CountryRecord::Flat(_) => None,
        });
        let name = self.city.and_then(|city| match city {
            Named::Flat(name) => Some(name),
            Named::Nested { names } => names?.en,
        });
        Some(Place {
            latitude,
            longitude,
            radius_km: f32::from(location.accuracy_radius.unwrap_or(0)),
            country: Country::new(&self.country_code.or(nested)?)?,
            name: name.filter(|name| !name.is_empty()).map(Into::into),
        })
    }
}

impl Reader {
    /// Opens a database and checks its frame.
    pub(in crate::context) fn new(bytes: Vec<u8>) -> Result<Self, TableFault> {
        maxminddb::Reader::from_source(bytes)
            .map(Self)
            .map_err(fault)
    }

    /// When the database was built.
    pub(in crate::context) fn built(&self) -> Time {
        i64::try_from(self.0.metadata().build_epoch)
            .ok()
            .and_then(|built_s| Time::from_ms(built_s.checked_mul(1000)?))
            .unwrap_or_default()
    }

    /// True for a database that can be asked about IPv6.
    pub(in crate::context) fn has_v6(&self) -> bool {
        self.0.metadata().ip_version == 6
    }

    /// What the database calls itself.
    pub(super) fn name(&self) -> &str {
        &self.0.metadata().database_type
    }

    /// Nodes of the search tree, a measure of its size.
    pub(super) fn nodes(&self) -> u32 {
        self.0.metadata().node_count
    }

    /// The place of an address. A record that does not decode is as good as none.
    pub(super) fn place(&self, address: IpAddr) -> Option<Place> {
        self.record::<City>(address)?.into_place()
    }

    /// The network of an address.
    pub(super) fn network(&self, address: IpAddr) -> Option<Asn> {
        self.record(address)
    }

    fn record<'a, T: Deserialize<'a>>(&'a self, address: IpAddr) -> Option<T> {
        self.0.lookup(address).ok()?.decode().ok()?
    }

    /// Calls `see` with every stretch of one family that has data, in the order of addresses: its
    /// first key, the bits of the key that it fixes (more than [`KEY_BITS`] when it is smaller than
    /// a key), the offset that its record shares with equal ones, and a way to decode it.
    pub(in crate::context) fn walk(
        &self,
        v6: bool,
        mut see: impl FnMut(u64, u32, usize, &dyn Fn() -> Option<City>),
    ) -> Result<(), TableFault> {
        let all = if v6 { "::/0" } else { "0.0.0.0/0" };
        let all = all
            .parse()
            .map_err(|_| TableFault::Malformed("no such family"))?;
        for leaf in self.0.within(all, Default::default()).map_err(fault)? {
            let leaf = leaf.map_err(fault)?;
            let network = leaf.network().map_err(fault)?;
            let Some(offset) = leaf.offset().filter(|_| network.is_ipv6() == v6) else {
                continue;
            };
            let start = super::ranges::key(network.ip());
            debug_assert!(start >> KEY_BITS == 0);
            let city = || leaf.decode::<City>().ok().flatten();
            see(start, u32::from(network.prefix()), offset, &city);
        }
        Ok(())
    }
}

fn fault(error: MaxMindDbError) -> TableFault {
    TableFault::MaxMind(error.to_string())
}
