//! The packed table of networks of both address families.
//!
//! In: a body of [`super::file`]. Out: [`Networks::at`], an [`Entry`] for an address, and the class
//! of a number.
//! Does not know: places.

use super::file::{self, Contents, Header, TableFault};
use super::ranges::{Columns, Ranges, key};
use crate::context::kinds::Class;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Networks as they are stored, in the order of their numbers.
#[derive(Serialize, Deserialize)]
pub(in crate::context) struct Organisations<'a> {
    /// Differences between the autonomous system numbers.
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

/// A decoded table.
pub(super) struct Networks {
    pub(super) header: Header,
    v4: Ranges,
    v6: Ranges,
    /// The entry numbered 1 first, in the order of their numbers; 0 is "no network".
    entries: Vec<Entry>,
}

impl Networks {
    /// Decodes a packed table of networks.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, TableFault> {
        let (header, body) = file::unpack(bytes, Contents::Networks)?;
        let (v4, v6, organisations): (Columns<'_>, Columns<'_>, Organisations<'_>) =
            postcard::from_bytes(&body)
                .map_err(|_| TableFault::Malformed("the columns do not read"))?;
        let entries = entries(&organisations)?;
        Ok(Self {
            header,
            v4: Ranges::decode(&v4, entries.len() + 1)?,
            v6: Ranges::decode(&v6, entries.len() + 1)?,
            entries,
        })
    }

    /// The network of a canonical address.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Entry> {
        let ranges = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        let number = ranges.at(key(address))? as usize;
        self.entries.get(number.checked_sub(1)?)
    }

    /// The class of an autonomous system that the table knows.
    pub(super) fn class(&self, asn: u32) -> Option<Class> {
        let index = self.entries.binary_search_by_key(&asn, |entry| entry.asn);
        index.ok().map(|index| self.entries[index].class)
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
