//! Packs networks: lists of address ranges with their autonomous systems into one packed table.
//!
//! In: CSV rows `first,last,number,organisation` of each family (RFC 4180 quoting), and our list of
//! kinds.
//! Out: a packed table; what no row covers has no network.
//! Does not know: places.

use super::Origin;
use crate::context::kinds::{self, Class};
use crate::context::tables::file::{Contents, Header, TableFault, Writer};
use crate::context::tables::networks::{FRAME_NETWORKS, Organisations};
use crate::context::tables::ranges::{KEY_BITS, RangesBuilder, key, v4_shift};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Ranges that the published list gives to the holder of the addresses and not to the network that
/// uses them. iCloud Private Relay leaves through Akamai's 36183, where the list names Akamai's
/// 20940, a delivery network.
const CORRECTIONS: [(&str, u32); 1] = [("2a02:26f7::", 36183)];

/// The texts that a table of networks is made of.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// Ranges of IPv4.
    pub v4: &'a str,
    /// Ranges of IPv6.
    pub v6: &'a str,
    /// Kinds of networks; may be empty.
    pub kinds: &'a str,
}

/// Which of the [`Lists`] a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Ranges of IPv4.
    V4,
    /// Ranges of IPv6.
    V6,
    /// Kinds of networks.
    Kinds,
}

/// Packs the networks of both families.
///
/// # Errors
/// The first row that does not read, with its list and line.
pub fn networks(lists: &Lists<'_>, origin: Origin<'_>) -> Result<Vec<u8>, (List, TableFault)> {
    let classes = kinds::parse(lists.kinds).map_err(|fault| (List::Kinds, fault))?;
    let v4 = rows(lists.v4, false).map_err(|fault| (List::V4, fault))?;
    let v6 = rows(lists.v6, true).map_err(|fault| (List::V6, fault))?;
    pack(&v4, &v6, &classes.into_iter().collect(), origin).map_err(|fault| (List::V4, fault))
}

fn pack(
    v4: &[Row],
    v6: &[Row],
    classes: &BTreeMap<u32, Class>,
    origin: Origin<'_>,
) -> Result<Vec<u8>, TableFault> {
    let mut names: BTreeMap<u32, &str> = BTreeMap::new();
    for row in v4.iter().chain(v6) {
        names.entry(row.asn).or_insert(&row.organisation);
    }
    let numbers: BTreeMap<u32, u32> = names.keys().copied().zip(1..).collect();
    let (v4, v6) = (ranges(v4, &numbers, v4_shift()), ranges(v6, &numbers, 0));
    let class = |asn: u32, name: &str| {
        let listed = classes.get(&asn).copied();
        listed.unwrap_or_else(|| Class::from_name(name)).code()
    };
    let networks: Vec<(u32, u8, &str)> = names
        .iter()
        .map(|(&asn, &name)| (asn, class(asn, name), name))
        .collect();
    let mut writer = Writer::default();
    v4.write(&mut writer)?;
    v6.write(&mut writer)?;
    writer.begin_section();
    for networks in networks.chunks(FRAME_NETWORKS) {
        frame(networks, &mut writer)?;
    }
    let header = Header::new(
        Contents::Networks,
        origin.built.unwrap_or_default(),
        origin,
        v4.count() + v6.count(),
    );
    writer.finish(&header)
}

/// Writes networks, each with its number, its class and its name.
fn frame(networks: &[(u32, u8, &str)], writer: &mut Writer) -> Result<(), TableFault> {
    let mut last = 0;
    let deltas = networks
        .iter()
        .map(|(asn, ..)| asn - std::mem::replace(&mut last, *asn));
    let classes: Vec<u8> = networks.iter().map(|(_, class, _)| *class).collect();
    let names = networks.iter().flat_map(|(_, _, name)| [*name, "\n"]);
    let stored = Organisations {
        deltas: deltas.collect(),
        classes: &classes,
        names: &names.collect::<String>(),
    };
    writer.frame(networks[0].0.into(), &stored)
}

/// One row; the keys include both ends.
struct Row {
    first: u64,
    last: u64,
    asn: u32,
    organisation: String,
}

fn rows(csv: &str, v6: bool) -> Result<Vec<Row>, TableFault> {
    let mut rows = (1..)
        .zip(csv.lines())
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(line, text)| row(text, v6).map_err(|what| TableFault::Row { what, line }))
        .collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|row| (row.first, std::cmp::Reverse(row.last)));
    Ok(rows)
}

fn row(text: &str, v6: bool) -> Result<Row, &'static str> {
    let mut fields = text.splitn(4, ',');
    let mut address = || {
        let address: Option<IpAddr> = fields.next().and_then(|field| field.trim().parse().ok());
        address.filter(|address| address.is_ipv6() == v6)
    };
    let first = address().ok_or("the first field is no address of this family")?;
    let last = address().ok_or("the second field is no address of this family")?;
    let asn = fields.next().and_then(|field| field.trim().parse().ok());
    let corrected = CORRECTIONS
        .iter()
        .find(|(start, _)| start.parse() == Ok(first))
        .map(|(_, asn)| *asn);
    let (first, last) = (key(first), key(last));
    if last < first {
        return Err("the range ends before it begins");
    }
    Ok(Row {
        first,
        last,
        asn: corrected
            .or(asn)
            .ok_or("the third field is no network's number")?,
        organisation: unquoted(fields.next().unwrap_or_default()),
    })
}

/// A CSV field without its quotes, in one line.
fn unquoted(field: &str) -> String {
    let field = field.trim();
    let inner = field
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| field.to_owned(), |inner| inner.replace("\"\"", "\""))
}

fn ranges(rows: &[Row], numbers: &BTreeMap<u32, u32>, shift: u32) -> RangesBuilder {
    let mut ranges = RangesBuilder::new(shift);
    // An address of IPv4 is a key with low bits that are zero: the next one is a step of the shift
    // away.
    let step = 1_u64 << shift;
    let (mut next, mut current) = (0, 0);
    let mut push = |start: u64, number: u32, ranges: &mut RangesBuilder| {
        if number != std::mem::replace(&mut current, number) {
            ranges.push(start, number);
        }
    };
    for row in rows {
        // Two networks in one /48 of IPv6, or rows that overlap: the earlier keeps what it has.
        let first = row.first.max(next);
        if first > row.last {
            continue;
        }
        if first > next {
            push(next, 0, &mut ranges);
        }
        push(first, numbers[&row.asn], &mut ranges);
        next = row.last + step;
    }
    if next >> KEY_BITS == 0 {
        push(next, 0, &mut ranges);
    }
    ranges
}
