//! Sorted ranges of addresses, each with a number: the look-up under every packed table.
//!
//! In: pairs of a start and a number; frames of [`super::file`]. Out: [`RangesBuilder`], which writes
//! them, and [`Ranges`], which answers an address by two binary searches, for its frame and for its
//! mark in it, and a short walk from there.
//! Does not know: what the numbers stand for.
//!
//! Both families use keys of 48 bits: an IPv4 address shifted up, an IPv6 address cut to its /48,
//! which is what a site is given (RFC 6177, section 2).

use super::file::{Block, Frames, Opened, TableFault, Writer};
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

/// Ranges in one frame: fewer, and the frames pack worse (with half of it the tables of the world grow
/// by 2 %); more, and one address costs more.
const FRAME_RANGES: usize = 4096;

/// Ranges between two marks: a look-up reads half of them, in less time than it takes to get them from memory.
const MARK_RANGES: usize = 64;

/// The ranges of one frame as they are stored.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    /// Starts of the ranges are multiples of two to this power.
    shift: u8,
    /// Differences between the starts, as LEB128. The first start is the frame's own.
    #[serde(borrow)]
    starts: &'a [u8],
    /// The numbers that its ranges have, as differences: neighbours are in few places.
    numbers: Vec<u32>,
    /// Which of them each range has, the low byte.
    #[serde(borrow)]
    low: &'a [u8],
    /// The high byte; nothing when one is enough.
    #[serde(borrow)]
    high: &'a [u8],
}

/// Ranges that are being put together.
pub(in crate::context) struct RangesBuilder {
    shift: u32,
    ranges: Vec<(u64, u32)>,
}

impl RangesBuilder {
    /// No ranges yet; starts will be multiples of two to the power `shift`.
    pub(in crate::context) fn new(shift: u32) -> Self {
        Self {
            shift,
            ranges: Vec::new(),
        }
    }

    /// Adds the range that begins at `start`, which must be beyond the last one, and ends where the
    /// next begins.
    pub(in crate::context) fn push(&mut self, start: u64, number: u32) {
        self.ranges.push((start, number));
    }

    /// How many ranges there are.
    pub(in crate::context) fn count(&self) -> usize {
        self.ranges.len()
    }

    /// Writes them as the next section.
    pub(in crate::context) fn write(&self, writer: &mut Writer) -> Result<(), TableFault> {
        writer.begin_section();
        for ranges in self.ranges.chunks(FRAME_RANGES) {
            self.frame(ranges, writer)?;
        }
        Ok(())
    }

    fn frame(&self, ranges: &[(u64, u32)], writer: &mut Writer) -> Result<(), TableFault> {
        let mut numbers: Vec<u32> = ranges.iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let indices = ranges
            .iter()
            .map(|(_, number)| numbers.partition_point(|other| other < number) as u16);
        let [low, high]: [Vec<u8>; 2] = [0, 1].map(|byte| {
            let bytes = indices.clone().map(|index| index.to_le_bytes()[byte]);
            bytes.collect()
        });
        let mut starts = Vec::new();
        for pair in ranges.windows(2) {
            write_varint(&mut starts, (pair[1].0 - pair[0].0) >> self.shift);
        }
        let mut last = 0;
        let beyond = |number: &u32| number - std::mem::replace(&mut last, *number);
        let few = numbers.len() <= usize::from(u8::MAX) + 1;
        let stored = Stored {
            shift: self.shift as u8,
            starts: &starts,
            numbers: numbers.iter().map(beyond).collect(),
            low: &low,
            high: if few { &[] } else { &high },
        };
        writer.frame(ranges[0].0, &stored)
    }
}

/// Ranges ready for look-ups.
pub(super) struct Ranges(Frames<RangesBlock>);

impl Ranges {
    /// The next section of a table.
    pub(super) fn open(table: &mut Opened) -> Result<Self, TableFault> {
        table.section().map(Self)
    }

    /// Reads all of them once. Their numbers must all be below `limit`.
    pub(super) fn check(&self, limit: usize) -> Result<(), TableFault> {
        for block in self.0.read_all() {
            let largest = block?.numbers.iter().max().copied();
            if largest.is_some_and(|largest| largest as usize >= limit) {
                return Err(TableFault::Malformed("a number that nothing stands for"));
            }
        }
        Ok(())
    }

    /// The number of the range that holds `key`; `None` before the first.
    pub(super) fn at(&self, key: u64) -> Option<u32> {
        self.0.holding(key)?.at(key)
    }

    /// Every start with its number, in order.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.0.read_all().flat_map(|block| {
            let block = block.unwrap();
            let (mut start, mut starts) = (block.marks[0].start, &*block.starts);
            let mut ranges = vec![(start << block.shift, block.number(0).unwrap())];
            while let Some(beyond) = read_varint(&mut starts) {
                start += beyond;
                ranges.push((start << block.shift, block.number(ranges.len()).unwrap()));
            }
            ranges
        })
    }
}

/// The ranges of one frame. They stay as they are stored; only where each mark stands is known beforehand.
struct RangesBlock {
    shift: u8,
    marks: Box<[Mark]>,
    starts: Box<[u8]>,
    numbers: Box<[u32]>,
    low: Box<[u8]>,
    high: Box<[u8]>,
}

/// One in [`MARK_RANGES`] ranges.
struct Mark {
    /// Where the range begins.
    start: u64,
    /// Where the difference of the range after it stands.
    at: u32,
}

impl Block for RangesBlock {
    fn read(body: &[u8], first: u64, end: u64) -> Result<Self, TableFault> {
        let stored: Stored<'_> = postcard::from_bytes(body)
            .map_err(|_| TableFault::Malformed("the ranges do not read"))?;
        if u32::from(stored.shift) >= KEY_BITS {
            return Err(TableFault::Malformed("an impossible shift"));
        }
        if stored.low.is_empty()
            || !(stored.high.is_empty() || stored.high.len() == stored.low.len())
        {
            return Err(TableFault::Malformed("columns of different lengths"));
        }
        let mut number = 0_u32;
        let numbers = stored.numbers.iter().map(|beyond| {
            number = number.checked_add(*beyond)?;
            Some(number)
        });
        let numbers: Option<Box<[u32]>> = numbers.collect();
        let block = Self {
            shift: stored.shift,
            marks: marks(&stored, first, end.min(1 << KEY_BITS))?,
            starts: stored.starts.into(),
            numbers: numbers.ok_or(TableFault::Malformed("a number beyond all numbers"))?,
            low: stored.low.into(),
            high: stored.high.into(),
        };
        if (0..block.low.len()).any(|index| block.number(index).is_none()) {
            return Err(TableFault::Malformed("a number that the frame has not"));
        }
        Ok(block)
    }
}

impl RangesBlock {
    fn at(&self, key: u64) -> Option<u32> {
        let key = key >> self.shift;
        let after = self.marks.partition_point(|mark| mark.start <= key);
        let mark = after.checked_sub(1)?;
        let Mark { mut start, at } = *self.marks.get(mark)?;
        let mut starts = self.starts.get(at as usize..)?;
        let mut index = mark * MARK_RANGES;
        for _ in 1..MARK_RANGES {
            let Some(beyond) = read_varint(&mut starts) else {
                break; // the last range of the frame
            };
            start += beyond;
            if start > key {
                break;
            }
            index += 1;
        }
        self.number(index)
    }

    fn number(&self, index: usize) -> Option<u32> {
        let high = self.high.get(index).copied().unwrap_or_default();
        let index = u16::from_le_bytes([*self.low.get(index)?, high]);
        self.numbers.get(usize::from(index)).copied()
    }
}

/// Where each mark stands, after checking that the starts rise from `first` and are below `end`.
fn marks(stored: &Stored<'_>, first: u64, end: u64) -> Result<Box<[Mark]>, TableFault> {
    const BEYOND: TableFault = TableFault::Malformed("a start beyond its frame");
    let count = stored.low.len();
    let mut marks = Vec::with_capacity(count.div_ceil(MARK_RANGES));
    let (mut starts, mut start) = (stored.starts, first >> stored.shift);
    if start << stored.shift != first {
        return Err(TableFault::Malformed("a start that is no multiple"));
    }
    for index in 0..count {
        if index > 0 {
            let beyond =
                read_varint(&mut starts).ok_or(TableFault::Malformed("starts end early"))?;
            start = start.checked_add(beyond).ok_or(BEYOND)?;
            if beyond == 0 {
                return Err(TableFault::Malformed("starts that do not rise"));
            }
        }
        if index % MARK_RANGES == 0 {
            let at = (stored.starts.len() - starts.len()) as u32;
            marks.push(Mark { start, at });
        }
    }
    if !starts.is_empty() {
        return Err(TableFault::Malformed("more starts than ranges"));
    }
    // The last one is the largest.
    if start >= end.div_ceil(1 << stored.shift) {
        return Err(BEYOND);
    }
    Ok(marks.into())
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
    use super::super::file::{self, Contents, Header};
    use super::*;
    use crate::domain::time::Time;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn table(starts: &BTreeMap<u64, u16>, shift: u32) -> Ranges {
        let mut builder = RangesBuilder::new(shift);
        for (&start, &number) in starts {
            builder.push(start << shift, number.into());
        }
        let origin = crate::context::build::Origin {
            source: "",
            licence: "",
            built: None,
        };
        let mut writer = Writer::default();
        builder.write(&mut writer).unwrap();
        let header = Header::new(Contents::PlacesV4, Time::default(), origin, builder.count());
        let bytes = writer.finish(&header).unwrap();
        let mut opened = file::open(bytes.into(), Contents::PlacesV4).unwrap();
        Ranges::open(&mut opened).unwrap()
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
            starts in prop::collection::btree_map(0_u64..1 << 32, any::<u16>(), 0..5000),
            keys in prop::collection::vec(0_u64..1 << 48, 0..200),
        ) {
            let ranges = table(&starts, 16);
            prop_assert!(ranges.check(1 << 16).is_ok());
            let all = starts.iter().map(|(&start, &number)| (start << 16, number.into()));
            prop_assert!(ranges.all().eq(all));
            for key in keys.into_iter().chain(starts.keys().map(|start| start << 16)) {
                let expected = starts.range(..=key >> 16).next_back().map(|(_, &number)| u32::from(number));
                prop_assert_eq!(ranges.at(key), expected);
            }
        }

        #[test]
        fn any_bytes_are_ranges_or_a_fault(bytes: Vec<u8>, first in 0_u64..1 << 50, key: u64) {
            if let Ok(block) = RangesBlock::read(&bytes, first, u64::MAX) {
                let _ = block.at(key);
            }
        }
    }
}
