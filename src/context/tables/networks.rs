//! The packed table of networks of both address families.
//!
//! In: a body of [`super::file`]. Out: [`Networks::at`], an [`Entry`] for an address, and the class
//! of a number.
//! Does not know: places.

use super::file::{self, Block, Contents, Frames, Header, TableFault};
use super::ranges::{Ranges, key};
use crate::context::kinds::Class;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Networks in one frame. Fewer, and their names pack worse.
pub(in crate::context) const FRAME_NETWORKS: usize = 1024;

/// The networks of one frame as they are stored, in the order of their numbers. The frame begins with the first.
#[derive(Serialize, Deserialize)]
pub(in crate::context) struct Organisations<'a> {
    /// Differences between the autonomous system numbers; the first one is whole.
    pub(in crate::context) deltas: Vec<u32>,
    /// The class of each, by [`Class::code`].
    #[serde(borrow)]
    pub(in crate::context) classes: &'a [u8],
    /// A name each, one a line.
    #[serde(borrow)]
    pub(in crate::context) names: &'a str,
}

/// One autonomous system.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) asn: u32,
    pub(super) organisation: Arc<str>,
    pub(super) class: Class,
}

/// An opened table.
pub(super) struct Networks {
    pub(super) header: Header,
    v4: Ranges,
    v6: Ranges,
    /// The entry numbered 1 first, in the order of autonomous systems; 0 is "no network".
    entries: Frames<EntriesBlock>,
}

/// The entries of one frame.
struct EntriesBlock(Vec<Entry>);

impl Networks {
    /// Opens a packed table of networks; one that is not the binary's own is read to its end.
    pub(super) fn open(bytes: Cow<'static, [u8]>) -> Result<Self, TableFault> {
        let is_ours = matches!(bytes, Cow::Borrowed(_));
        let mut table = file::open(bytes, Contents::Networks)?;
        let networks = Self {
            v4: Ranges::open(&mut table)?,
            v6: Ranges::open(&mut table)?,
            entries: table.section()?,
            header: table.header,
        };
        if !is_ours {
            networks.check()?;
        }
        Ok(networks)
    }

    /// Reads everything once.
    pub(super) fn check(&self) -> Result<(), TableFault> {
        let mut count = 0;
        for block in self.entries.read_all() {
            count = file::filled(count, FRAME_NETWORKS, block?.0.len())?;
        }
        self.v4.check(count + 1)?;
        self.v6.check(count + 1)
    }

    /// The network of a canonical address.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Entry> {
        let ranges = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        self.entry(ranges.at(key(address))?)
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        let index = (number as usize).checked_sub(1)?;
        let block = self.entries.block(index / FRAME_NETWORKS)?;
        block.0.get(index % FRAME_NETWORKS)
    }

    /// The class of an autonomous system that the table knows.
    pub(super) fn class(&self, asn: u32) -> Option<Class> {
        let entries = &self.entries.holding(asn.into())?.0;
        let index = entries.binary_search_by_key(&asn, |entry| entry.asn);
        index.ok().map(|index| entries[index].class)
    }

    /// Every range of either family: where it starts, and whose it is.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, Option<&Entry>)> {
        let ranges = self.v4.all().chain(self.v6.all());
        ranges.map(|(start, number)| (start, self.entry(number)))
    }
}

impl Block for EntriesBlock {
    fn read(body: &[u8], first: u64, end: u64) -> Result<Self, TableFault> {
        let stored: Organisations<'_> = postcard::from_bytes(body)
            .map_err(|_| TableFault::Malformed("the networks do not read"))?;
        let entries = entries(&stored)?;
        // A frame is found by the number it begins with.
        let in_frame = |entry: &Entry| (first..end).contains(&entry.asn.into());
        if !entries.iter().all(in_frame) {
            return Err(TableFault::Malformed("a network beyond its frame"));
        }
        Ok(Self(entries))
    }
}

fn entries(stored: &Organisations<'_>) -> Result<Vec<Entry>, TableFault> {
    if stored.classes.len() != stored.deltas.len() {
        return Err(TableFault::Malformed("columns of different lengths"));
    }
    let (mut asn, mut names) = (0_u32, stored.names.lines());
    stored
        .deltas
        .iter()
        .zip(stored.classes)
        .map(|(&delta, &code)| {
            asn = asn
                .checked_add(delta)
                .ok_or(TableFault::Malformed("a network beyond all numbers"))?;
            let name = names.next().ok_or(TableFault::Malformed("too few names"))?;
            Ok(Entry {
                asn,
                organisation: name.into(),
                class: Class::from_code(code).ok_or(TableFault::Malformed("an unknown class"))?,
            })
        })
        .collect()
}
