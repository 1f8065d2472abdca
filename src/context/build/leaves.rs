//! All leaves of one family of a MaxMind database of cities, in the order of addresses.
//!
//! In: an open database. Out: [`Leaves`] with one [`Record`] for each distinct one of the source.
//! Does not know: cells.

use super::places::RUN_KM_MAX;
use crate::context::tables::file::TableFault;
use crate::context::tables::mmdb::{City, Reader};
use crate::context::tables::ranges::KEY_BITS;
use crate::domain::context::Place;
use std::collections::HashMap;

/// Names longer than this are left out: they are lists of districts.
const NAME_BYTES_MAX: usize = 40;

/// One distinct record of the source.
pub(super) struct Record {
    /// Where it is; its name is in [`Self::town`].
    pub(super) point: Place,
    /// Index in [`Leaves::towns`]; 0 has no name.
    pub(super) town: usize,
}

/// A stretch of keys with one record.
pub(super) struct Leaf {
    pub(super) start: u64,
    /// One past the last key.
    pub(super) end: u64,
    /// Index in [`Leaves::records`]; `None` where the source knows nothing or two countries share
    /// one key.
    pub(super) record: Option<u32>,
    /// Several places of one country share this one key, and the record is only one of them.
    pub(super) mixed: bool,
    /// Bits of the key that the largest part fixes.
    bits: u32,
}

/// All leaves, in the order of addresses.
pub(super) struct Leaves {
    pub(super) leaves: Vec<Leaf>,
    pub(super) records: Vec<Record>,
    pub(super) towns: Vec<String>,
}

impl Leaves {
    /// Reads the leaves of IPv6, or of IPv4.
    pub(super) fn read(reader: &Reader, v6: bool) -> Result<Self, TableFault> {
        let mut read = Self {
            leaves: Vec::new(),
            records: Vec::new(),
            towns: vec![String::new()],
        };
        let mut known: HashMap<usize, Option<u32>> = HashMap::new();
        let mut towns: HashMap<String, usize> = HashMap::new();
        reader.walk(v6, |start, bits, offset, city| {
            let record = *known
                .entry(offset)
                .or_insert_with(|| read.add_record(city()?, &mut towns));
            read.add_leaf(start, bits, record);
        })?;
        Ok(read)
    }

    /// Adds a record; `None` when it has no usable point.
    fn add_record(&mut self, city: City, towns: &mut HashMap<String, usize>) -> Option<u32> {
        let point = city.into_place()?;
        let name = town(point.name.as_deref().unwrap_or_default());
        let town = *towns.entry(name.to_owned()).or_insert_with(|| {
            self.towns.push(name.to_owned());
            self.towns.len() - 1
        });
        self.records.push(Record { point, town });
        u32::try_from(self.records.len() - 1).ok()
    }

    fn add_leaf(&mut self, start: u64, bits: u32, record: Option<u32>) {
        let leaf = Leaf {
            start,
            end: start + (1 << KEY_BITS.saturating_sub(bits)),
            record,
            mixed: false,
            bits,
        };
        match self.leaves.last_mut() {
            Some(last) if last.start == start => last.share(leaf, &self.records),
            _ => self.leaves.push(leaf),
        }
    }
}

impl Leaf {
    /// Takes in another leaf of the same key: the larger part gives the record, unless they are of
    /// two countries.
    fn share(&mut self, other: Self, records: &[Record]) {
        let point = |leaf: &Self| leaf.record.map(|index| &records[index as usize].point);
        let (Some(own), Some(new)) = (point(self), point(&other)) else {
            self.record = None;
            return;
        };
        if own.country != new.country {
            self.record = None;
            return;
        }
        self.mixed |= own.distance_km(new) > RUN_KM_MAX;
        if other.bits < self.bits {
            (self.record, self.bits) = (other.record, other.bits);
        }
    }
}

/// The name without districts in brackets; empty when it is too long or would break the column.
fn town(name: &str) -> &str {
    let name = name.split(" (").next().unwrap_or_default().trim();
    if name.len() > NAME_BYTES_MAX || name.contains(['\n', '\r']) {
        return "";
    }
    name
}
