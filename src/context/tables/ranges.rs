//! Sorted ranges of addresses, each with a number: the look-up under every packed table.
//!
//! In: columns of bytes. Out: [`Ranges`], which answers an address in one jump and a short binary
//! search.
//! Does not know: what the numbers stand for.
//!
//! Both families use keys of 48 bits: an IPv4 address shifted up, an IPv6 address cut to its /48,
//! which is what a site is given (RFC 6177, section 2). The first 16 bits index `first`; the rest
//! is searched.

use super::file::TableFault;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Bits of a key.
pub(in crate::context) const KEY_BITS: u32 = 48;
const REST_BITS: u32 = 32;
const FIRST_COUNT: usize = 1 << (KEY_BITS - REST_BITS);

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

/// Ranges ready for look-ups; `V` is wide enough for their numbers.
pub(super) struct Ranges<V> {
    /// Where the ranges with these first 16 bits begin; one more for the end.
    first: Vec<u32>,
    /// The lower 32 bits of each start.
    rests: Vec<u32>,
    numbers: Vec<V>,
}

impl<V: Copy + TryFrom<u32>> Ranges<V> {
    /// Decodes columns whose numbers must all be below `limit`.
    pub(super) fn decode(columns: &Columns<'_>, limit: usize) -> Result<Self, TableFault> {
        let count = columns.count as usize;
        if columns.planes.iter().any(|plane| plane.len() != count) {
            return Err(TableFault::Malformed("columns of different lengths"));
        }
        if u32::from(columns.shift) >= KEY_BITS {
            return Err(TableFault::Malformed("an impossible shift"));
        }
        let mut first: Vec<u32> = Vec::with_capacity(FIRST_COUNT + 1);
        let (mut rests, mut numbers) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut starts, mut start) = (columns.starts, 0_u64);
        let [low, middle, high] = columns.planes;
        for ((low, middle), high) in low.iter().zip(middle).zip(high) {
            let delta =
                read_varint(&mut starts).ok_or(TableFault::Malformed("starts end early"))?;
            start = next_start(start, delta, rests.is_empty(), columns.shift)?;
            let key = start << columns.shift;
            let bucket = (key >> REST_BITS) as usize;
            if first.len() <= bucket {
                first.resize(bucket + 1, rests.len() as u32);
            }
            let number = u32::from_le_bytes([*low, *middle, *high, 0]);
            rests.push(key as u32);
            numbers.push(numbered(number, limit)?);
        }
        first.resize(FIRST_COUNT + 1, columns.count);
        Ok(Self {
            first,
            rests,
            numbers,
        })
    }

    /// The number of the range that holds `key`; `None` before the first.
    pub(super) fn at(&self, key: u64) -> Option<V> {
        let bucket = (key >> REST_BITS) as usize;
        let from = *self.first.get(bucket)? as usize;
        let to = *self.first.get(bucket + 1)? as usize;
        let rest = key as u32;
        let ahead = self
            .rests
            .get(from..to)?
            .partition_point(|&start| start <= rest);
        // A range that begins in an earlier bucket reaches into this one.
        let index = (from + ahead).checked_sub(1)?;
        self.numbers.get(index).copied()
    }
}

fn numbered<V: TryFrom<u32>>(number: u32, limit: usize) -> Result<V, TableFault> {
    let numbered = V::try_from(number).ok();
    numbered
        .filter(|_| (number as usize) < limit)
        .ok_or(TableFault::Malformed("a number that nothing stands for"))
}

#[inline]
fn next_start(last: u64, delta: u64, is_first: bool, shift: u8) -> Result<u64, TableFault> {
    if !is_first && delta == 0 {
        return Err(TableFault::Malformed("starts that do not rise"));
    }
    last.checked_add(delta)
        .filter(|start| start >> (KEY_BITS - u32::from(shift)) == 0)
        .ok_or(TableFault::Malformed("a start beyond all addresses"))
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
    if let [byte @ 0..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Some(u64::from(*byte));
    }
    read_long_varint(bytes)
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

    fn decoded(starts: &BTreeMap<u64, u16>, shift: u32) -> Ranges<u16> {
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
                let expected = starts.range(..=key >> 16).next_back().map(|(_, &number)| number);
                prop_assert_eq!(ranges.at(key), expected);
            }
        }

        #[test]
        fn any_bytes_are_columns_or_a_fault(bytes: Vec<u8>) {
            if let Ok(columns) = postcard::from_bytes::<Columns<'_>>(&bytes) {
                let _ = Ranges::<u16>::decode(&columns, 10);
            }
        }
    }
}
