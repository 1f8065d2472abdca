//! Sorted ranges of addresses, each with a number: the look-up under every packed table.
//!
//! In: columns of bytes. Out: [`Ranges`], which answers an address by a binary search for its block
//! and a short walk in it.
//! Does not know: what the numbers stand for.
//!
//! Both families use keys of 48 bits: an IPv4 address shifted up, an IPv6 address cut to its /48,
//! which is what a site is given (RFC 6177, section 2).

use super::file::TableFault;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Bits of a key.
pub(in crate::context) const KEY_BITS: u32 = 48;

/// The key of an address, which must be canonical (no IPv4 mapped into IPv6).
pub(in crate::context) fn key(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()) << v4_shift(),
        IpAddr::V6(v6) => (v6.to_bits() >> (u128::BITS - KEY_BITS)) as u64,
    }
}

/// How far an IPv4 address stands from the low end of its key.
pub(in crate::context) const fn v4_shift() -> u32 {
    KEY_BITS - u32::BITS
}

/// Ranges as they are stored: starts as varint differences, numbers as three planes of bytes, low
/// to high.
#[derive(Serialize, Deserialize)]
pub(in crate::context) struct Columns<'a> {
    /// How many ranges.
    count: u32,
    /// Starts of the ranges are multiples of two to this power.
    shift: u8,
    #[serde(borrow)]
    starts: &'a [u8],
    #[serde(borrow)]
    planes: [&'a [u8]; 3],
}

/// The bytes that [`Columns`] borrows, while a table is being built.
#[derive(Default)]
pub(in crate::context) struct ColumnsBuilder {
    shift: u32,
    last: u64,
    count: u32,
    starts: Vec<u8>,
    planes: [Vec<u8>; 3],
}

impl ColumnsBuilder {
    /// No ranges yet; starts will be multiples of two to the power `shift`.
    pub(in crate::context) fn new(shift: u32) -> Self {
        Self {
            shift,
            ..Self::default()
        }
    }

    /// Adds the range that begins at `start`, which must be beyond the last one, and ends where the
    /// next begins.
    pub(in crate::context) fn push(&mut self, start: u64, number: u32) {
        let start = start >> self.shift;
        write_varint(&mut self.starts, start - self.last);
        self.last = start;
        self.count += 1;
        for (plane, byte) in self.planes.iter_mut().zip(number.to_le_bytes()) {
            plane.push(byte);
        }
    }

    /// How many ranges there are.
    pub(in crate::context) fn count(&self) -> usize {
        self.count as usize
    }

    /// The columns, ready to be written.
    pub(in crate::context) fn columns(&self) -> Columns<'_> {
        let [low, middle, high] = &self.planes;
        Columns {
            count: self.count,
            shift: self.shift as u8,
            starts: &self.starts,
            planes: [low, middle, high],
        }
    }
}

/// Ranges between two entries of the index: a look-up reads half of them, in less time than it takes to get the entry
/// from memory, and the index stays in a core's cache.
const BLOCK_RANGES: usize = 64;

/// Ranges ready for look-ups. They stay as they are stored, since most of the world is never asked about; only where
/// each block begins is known beforehand.
pub(super) struct Ranges {
    blocks: Vec<Block>,
    shift: u8,
    starts: Box<[u8]>,
    planes: [Box<[u8]>; 3],
}

/// So many ranges, from one on.
struct Block {
    /// Start of its first range.
    start: u64,
    /// Where the difference of its second range stands.
    at: u32,
}

impl Ranges {
    /// Checks columns whose numbers must all be below `limit`.
    pub(super) fn decode(columns: &Columns<'_>, limit: usize) -> Result<Self, TableFault> {
        let count = columns.count as usize;
        if columns.planes.iter().any(|plane| plane.len() != count) {
            return Err(TableFault::Malformed("columns of different lengths"));
        }
        if u32::from(columns.shift) >= KEY_BITS {
            return Err(TableFault::Malformed("an impossible shift"));
        }
        let [low, middle, high] = columns.planes;
        let numbers = low.iter().zip(middle).zip(high);
        let largest = numbers.fold(0, |largest, ((low, middle), high)| {
            u32::from_le_bytes([*low, *middle, *high, 0]).max(largest)
        });
        if count > 0 && largest as usize >= limit {
            return Err(TableFault::Malformed("a number that nothing stands for"));
        }
        Ok(Self {
            blocks: blocks(columns)?,
            shift: columns.shift,
            starts: columns.starts.into(),
            planes: columns.planes.map(Into::into),
        })
    }

    /// The number of the range that holds `key`; `None` before the first.
    pub(super) fn at(&self, key: u64) -> Option<u32> {
        let key = key >> self.shift;
        let block = self.blocks.partition_point(|block| block.start <= key);
        let block = block.checked_sub(1)?;
        let Block { mut start, at } = *self.blocks.get(block)?;
        let mut starts = self.starts.get(at as usize..)?;
        let mut index = block * BLOCK_RANGES;
        for _ in 1..BLOCK_RANGES {
            let Some(delta) = read_varint(&mut starts) else {
                break; // the last range of all
            };
            start += delta;
            if start > key {
                break;
            }
            index += 1;
        }
        let [low, middle, high] = &self.planes;
        let number = [*low.get(index)?, *middle.get(index)?, *high.get(index)?, 0];
        Some(u32::from_le_bytes(number))
    }
}

/// Where each block begins, after checking that the starts rise and are keys.
fn blocks(columns: &Columns<'_>) -> Result<Vec<Block>, TableFault> {
    let count = columns.count as usize;
    let mut blocks = Vec::with_capacity(count.div_ceil(BLOCK_RANGES));
    let (mut starts, mut start) = (columns.starts, 0_u64);
    for index in 0..count {
        let delta = read_varint(&mut starts).ok_or(TableFault::Malformed("starts end early"))?;
        if index > 0 && delta == 0 {
            return Err(TableFault::Malformed("starts that do not rise"));
        }
        start = start
            .checked_add(delta)
            .ok_or(TableFault::Malformed("a start beyond all addresses"))?;
        if index % BLOCK_RANGES == 0 {
            let at = (columns.starts.len() - starts.len()) as u32;
            blocks.push(Block { start, at });
        }
    }
    if !starts.is_empty() {
        return Err(TableFault::Malformed("more starts than ranges"));
    }
    // The last one is the largest.
    if start >> (KEY_BITS - u32::from(columns.shift)) != 0 {
        return Err(TableFault::Malformed("a start beyond all addresses"));
    }
    Ok(blocks)
}

/// LEB128, DWARF 5, section 7.6.
fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    // Most differences are small.
    let (value, rest) = match *bytes {
        [low @ 0..0x80, rest @ ..] => (u64::from(*low), rest),
        [low, high @ 0..0x80, rest @ ..] => (u64::from(low & 0x7f) | u64::from(*high) << 7, rest),
        _ => return read_long_varint(bytes),
    };
    *bytes = rest;
    Some(value)
}

fn read_long_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn decoded(starts: &BTreeMap<u64, u16>, shift: u32) -> Ranges {
        let mut builder = ColumnsBuilder::new(shift);
        for (&start, &number) in starts {
            builder.push(start << shift, number.into());
        }
        let bytes = postcard::to_stdvec(&builder.columns()).unwrap();
        let columns: Columns<'_> = postcard::from_bytes(&bytes).unwrap();
        Ranges::decode(&columns, 1 << 16).unwrap()
    }

    #[test]
    fn a_key_keeps_the_whole_of_ipv4_and_the_site_of_ipv6() {
        let key_of = |text: &str| key(text.parse().unwrap());
        assert_eq!(key_of("255.255.255.255"), 0xffff_ffff_0000);
        assert_eq!(key_of("2001:db8:7:8::1"), 0x2001_0db8_0007);
    }

    proptest! {
        #[test]
        fn every_key_finds_the_last_start_at_or_before_it(
            starts in prop::collection::btree_map(0_u64..1 << 32, any::<u16>(), 0..200),
            keys in prop::collection::vec(0_u64..1 << 48, 0..200),
        ) {
            let ranges = decoded(&starts, 16);
            for key in keys.into_iter().chain(starts.keys().map(|start| start << 16)) {
                let expected = starts.range(..=key >> 16).next_back().map(|(_, &number)| u32::from(number));
                prop_assert_eq!(ranges.at(key), expected);
            }
        }

        #[test]
        fn any_bytes_are_columns_or_a_fault(bytes: Vec<u8>) {
            if let Ok(columns) = postcard::from_bytes::<Columns<'_>>(&bytes) {
                let _ = Ranges::decode(&columns, 10);
            }
        }
    }
}
