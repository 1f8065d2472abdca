//! Address → place and network: packed tables of the whole world in the binary, the user's own
//! before them.
//!
//! In: addresses; bytes of databases that the shell read. Out: [`Place`] with its radius,
//! [`Network`] with its kind.
//! Does not know: files, clients, or what is suspicious.
//!
//! Asked in this order: the company's own networks, the user's databases, the examples in
//! documentation addresses, the embedded tables. Each is asked only for what those before it did
//! not know.

mod documentation;
mod embedded;
pub(super) mod file;
pub(super) mod mmdb;
pub(super) mod networks;
pub(super) mod places;
pub(super) mod ranges;
mod special;

pub use documentation::{EXAMPLES, Example};
pub use file::{Contents, Header, TableFault};

use super::kinds::Class;
use crate::domain::context::{Network, NetworkKind, Place};
use crate::domain::time::Time;
use ipnet::IpNet;
use networks::Networks;
use places::{Places, Point};
use std::net::IpAddr;
use std::sync::Arc;

/// Everything known about addresses. Cheap to clone; of the embedded tables, each part is unpacked once a
/// process, when an address in it is first asked about.
#[derive(Clone, Default)]
pub struct Tables {
    city: Vec<Arc<CityTable>>,
    asn: Vec<Arc<AsnTable>>,
    home: Arc<[IpNet]>,
}

/// A table of places that the user brought.
enum CityTable {
    MaxMind(mmdb::Reader),
    Packed { v6: bool, places: Places },
}

/// A table of networks that the user brought.
enum AsnTable {
    MaxMind(mmdb::Reader),
    Packed(Networks),
}

/// What one table says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Its name, for people.
    pub name: String,
    /// When its source was built.
    pub built: Time,
    /// Under which licence, with the attribution it asks for; empty where the file does not say.
    pub licence: String,
    /// Address ranges, or nodes of a MaxMind database's tree.
    pub entries: u32,
}

/// An address's network before it is cut down to what rules see.
struct Located {
    network: Network,
    class: Class,
}

impl Tables {
    /// The tables in the binary.
    pub fn embedded() -> Self {
        Self::default()
    }

    /// Places from these databases, in this order, before the embedded ones: MaxMind's format or
    /// packed tables.
    ///
    /// # Errors
    /// The first file that does not read, by its index.
    pub fn with_city(mut self, files: Vec<Vec<u8>>) -> Result<Self, (usize, TableFault)> {
        for (index, bytes) in files.into_iter().enumerate() {
            let table = CityTable::open(bytes).map_err(|fault| (index, fault))?;
            self.city.push(Arc::new(table));
        }
        Ok(self)
    }

    /// Networks from these databases, in this order, before the embedded ones: MaxMind's format or
    /// packed tables.
    ///
    /// # Errors
    /// The first file that does not read, by its index.
    pub fn with_asn(mut self, files: Vec<Vec<u8>>) -> Result<Self, (usize, TableFault)> {
        for (index, bytes) in files.into_iter().enumerate() {
            let table = AsnTable::open(bytes).map_err(|fault| (index, fault))?;
            self.asn.push(Arc::new(table));
        }
        Ok(self)
    }

    /// Networks of the company itself: `Corporate`, so no place to travel from or to, and excused.
    #[must_use]
    pub fn with_home(mut self, home: Vec<IpNet>) -> Self {
        self.home = home.into();
        self
    }

    /// True for a file about networks, false for one about places.
    ///
    /// # Errors
    /// A file that is neither.
    pub fn is_about_networks(bytes: &[u8]) -> Result<bool, TableFault> {
        if file::is_packed(bytes) {
            file::check(bytes)?;
            return file::header(bytes).map(|header| header.contents == Contents::Networks);
        }
        let name = mmdb::Reader::new(bytes.to_vec())?
            .name()
            .to_ascii_lowercase();
        Ok(["asn", "isp"].iter().any(|word| name.contains(word)))
    }

    /// Where an address is.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        self.at(address).0
    }

    /// Whose network an address belongs to.
    pub fn network(&self, address: IpAddr) -> Option<Network> {
        self.located(address.to_canonical())
            .map(|found| found.network)
    }

    /// Where an address is, with the radius of its network, and whose network that is.
    pub fn at(&self, address: IpAddr) -> (Option<Place>, Option<Network>) {
        let address = address.to_canonical();
        let found = self.located(address);
        let class = found.as_ref().map_or(Class::Unknown, |found| found.class);
        (
            self.placed(address, class),
            found.map(|found| found.network),
        )
    }

    /// The tables in use: the user's, then the embedded ones.
    pub fn info(&self) -> Vec<TableInfo> {
        let city = self.city.iter().map(|table| table.info());
        let asn = self.asn.iter().map(|table| table.info());
        let embedded = embedded::headers().map(|header| TableInfo::of(&header));
        city.chain(asn).chain(embedded).collect()
    }

    fn placed(&self, address: IpAddr, class: Class) -> Option<Place> {
        if let Some(place) = self
            .city
            .iter()
            .find_map(|table| table.place(address, class))
        {
            return Some(place);
        }
        if special::is_special(address) {
            return Example::of(address).map(Example::place);
        }
        embedded::places(address)
            .at(address)
            .map(|point| point.widened(class))
    }

    fn located(&self, address: IpAddr) -> Option<Located> {
        if self.home.iter().any(|home| home.contains(&address)) {
            return Some(Located {
                network: self.home_network(address),
                class: Class::Home,
            });
        }
        self.outside(address)
    }

    /// The network as if no home were configured.
    fn outside(&self, address: IpAddr) -> Option<Located> {
        if let Some(found) = self.asn.iter().find_map(|table| table.located(address)) {
            return Some(found);
        }
        if special::is_special(address) {
            return Example::of(address).map(|example| Located {
                network: example.network(),
                class: example.class,
            });
        }
        embedded::networks().at(address).map(Located::of)
    }

    /// A home network keeps its provider's number and name where there is one; its kind is the
    /// configuration's.
    fn home_network(&self, address: IpAddr) -> Network {
        let (asn, organisation) = self.outside(address).map_or_else(
            || (0, Arc::from("home network")),
            |found| (found.network.asn, found.network.organisation),
        );
        Network {
            asn,
            organisation,
            kind: NetworkKind::Corporate,
        }
    }
}

impl Point {
    /// The place that a user of a network of this class has: both errors may add up.
    fn widened(&self, class: Class) -> Place {
        Place {
            latitude: self.latitude,
            longitude: self.longitude,
            radius_km: self.radius_km + class.radius_km(),
            country: self.country,
            name: self.name.clone(),
        }
    }
}

impl Located {
    fn of(entry: &networks::Entry) -> Self {
        Self {
            network: Network {
                asn: entry.asn,
                organisation: entry.organisation.clone(),
                kind: entry.class.kind(),
            },
            class: entry.class,
        }
    }
}

impl TableInfo {
    fn of(header: &Header) -> Self {
        Self {
            name: format!("{} ({})", header.source, header.contents.name()),
            built: header.built,
            licence: header.licence.clone(),
            entries: header.ranges,
        }
    }

    fn of_maxmind(reader: &mmdb::Reader) -> Self {
        Self {
            name: reader.name().to_owned(),
            built: reader.built(),
            licence: String::new(),
            entries: reader.nodes(),
        }
    }
}

impl CityTable {
    fn open(bytes: Vec<u8>) -> Result<Self, TableFault> {
        if !file::is_packed(&bytes) {
            return mmdb::Reader::new(bytes).map(Self::MaxMind);
        }
        let v6 = file::header(&bytes)?.contents == Contents::PlacesV6;
        let wanted = if v6 {
            Contents::PlacesV6
        } else {
            Contents::PlacesV4
        };
        let places = Places::open(bytes.into(), wanted)?;
        Ok(Self::Packed { v6, places })
    }

    fn place(&self, address: IpAddr, class: Class) -> Option<Place> {
        match self {
            // The source's radius is about the address and its network in one, so it does not add
            // up with ours.
            Self::MaxMind(reader) => reader.place(address).map(|place| Place {
                radius_km: place.radius_km.max(class.radius_km()),
                ..place
            }),
            Self::Packed { v6, places } if *v6 == address.is_ipv6() => {
                places.at(address).map(|point| point.widened(class))
            }
            Self::Packed { .. } => None,
        }
    }

    fn info(&self) -> TableInfo {
        match self {
            Self::MaxMind(reader) => TableInfo::of_maxmind(reader),
            Self::Packed { places, .. } => TableInfo::of(&places.header),
        }
    }
}

impl AsnTable {
    fn open(bytes: Vec<u8>) -> Result<Self, TableFault> {
        if file::is_packed(&bytes) {
            Networks::open(bytes.into()).map(Self::Packed)
        } else {
            mmdb::Reader::new(bytes).map(Self::MaxMind)
        }
    }

    fn located(&self, address: IpAddr) -> Option<Located> {
        match self {
            Self::MaxMind(reader) => reader.network(address).map(|asn| {
                let name = asn.organisation.unwrap_or_default();
                // MaxMind does not say what a network is for; our list does, by its number.
                let class = embedded::networks().class(asn.number);
                let class = class.unwrap_or_else(|| Class::from_name(&name));
                Located {
                    network: Network {
                        asn: asn.number,
                        organisation: name.into(),
                        kind: class.kind(),
                    },
                    class,
                }
            }),
            Self::Packed(networks) => networks.at(address).map(Located::of),
        }
    }

    fn info(&self) -> TableInfo {
        match self {
            Self::MaxMind(reader) => TableInfo::of_maxmind(reader),
            Self::Packed(networks) => TableInfo::of(&networks.header),
        }
    }
}

#[cfg(test)]
mod tests;
