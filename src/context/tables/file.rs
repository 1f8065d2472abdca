//! The container of a packed table: magic, checksum, header, and frames that are unpacked one by one.
//!
//! In: bytes, from the binary or from a user, who may have broken them. Out: [`Header`] and
//! [`Frames`], or a [`TableFault`] that says what is wrong; never a panic, and never more memory
//! than [`FRAME_BYTES_MAX`] for a frame.
//! Does not know: what a frame holds.
//!
//! Layout: 8 bytes magic and version, 32 bytes BLAKE3 of all that follows, [`Header`] and
//! [`Section`]s in postcard, then the frames of each section, each packed by itself in zstd: a log
//! asks about a few networks of the world, and for the others nothing is done.

use crate::context::build::Origin;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// `TRIPGEO` and the version of the layout. A new layout gets a new number; old binaries refuse it.
const MAGIC: &[u8; 8] = b"TRIPGEO\x02";
const CHECKSUM_BYTES: usize = 32;

/// The largest frame that is unpacked: thirty times the largest one of the whole world (35 kB), so
/// that a hostile file cannot ask for memory without end.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// zstd's strongest level that needs no extra memory to unpack; packing happens once a build.
const ZSTD_LEVEL: i32 = 19;

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableFault {
    /// Neither a packed table nor a MaxMind database.
    #[error("neither a MaxMind database (.mmdb) nor a table that `tokentrip geo build` wrote")]
    NotATable,
    /// A packed table of another version of the program.
    #[error("a table of another version: build it anew with `tokentrip geo build`")]
    Version,
    /// The bytes are not the ones that were written.
    #[error("the checksum does not match: the file is cut or was changed")]
    Checksum,
    /// The container is whole, but what it holds is not.
    #[error("the table is not well formed: {0}")]
    Malformed(&'static str),
    /// A table of another kind than the place asks for.
    #[error("this is a table of {found}, where one of {wanted} belongs")]
    Contents {
        /// What the file says it holds.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The MaxMind database does not read.
    #[error("the MaxMind database does not read: {0}")]
    MaxMind(String),
    /// A row of a source for `geo build`.
    #[error("{what}, line {line}")]
    Row {
        /// What is wrong with it.
        what: &'static str,
        /// Its number, from 1.
        line: usize,
    },
    /// More distinct places or networks than the packing can number.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many fit.
        limit: usize,
    },
}

/// What a packed table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contents {
    /// Places of IPv4 addresses.
    PlacesV4,
    /// Places of IPv6 addresses.
    PlacesV6,
    /// Networks of both families.
    Networks,
}

impl Contents {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::PlacesV4 => "IPv4 places",
            Self::PlacesV6 => "IPv6 places",
            Self::Networks => "networks",
        }
    }
}

/// What a table says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What it holds.
    pub contents: Contents,
    /// When its source was built.
    pub built: Time,
    /// Where it comes from.
    pub source: String,
    /// Under which licence, with the attribution it asks for.
    pub licence: String,
    /// Address ranges in it.
    pub ranges: u32,
}

impl Header {
    /// A header.
    pub(in crate::context) fn new(
        contents: Contents,
        built: Time,
        origin: Origin<'_>,
        ranges: usize,
    ) -> Self {
        Self {
            contents,
            built,
            source: origin.source.to_owned(),
            licence: origin.licence.to_owned(),
            ranges: u32::try_from(ranges).unwrap_or(u32::MAX),
        }
    }
}

/// True when the bytes begin as a packed table, of whatever version.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..MAGIC.len() - 1])
}

/// Where the frames of one section are, one after the other.
#[derive(Default, Serialize, Deserialize)]
struct Section {
    /// What each frame begins with, as differences.
    firsts: Vec<u64>,
    /// Packed bytes of each.
    sizes: Vec<u32>,
}

/// Writes a table section by section.
#[derive(Default)]
pub(in crate::context) struct Writer {
    sections: Vec<Section>,
    last: u64,
    frames: Vec<u8>,
}

impl Writer {
    /// From here on frames belong to the next section.
    pub(in crate::context) fn begin_section(&mut self) {
        self.sections.push(Section::default());
        self.last = 0;
    }

    /// Adds a frame that begins with `first`, which must be beyond the one before it.
    pub(in crate::context) fn frame(
        &mut self,
        first: u64,
        body: &impl Serialize,
    ) -> Result<(), TableFault> {
        const FAULT: TableFault = TableFault::Malformed("a frame cannot be written");
        let body = postcard::to_stdvec(body).map_err(|_| FAULT)?;
        if body.len() > FRAME_BYTES_MAX {
            return Err(TableFault::Malformed("a frame larger than any may be"));
        }
        let packed = zstd::bulk::compress(&body, ZSTD_LEVEL).map_err(|_| FAULT)?;
        let section = self.sections.last_mut().ok_or(FAULT)?;
        let beyond = first.checked_sub(std::mem::replace(&mut self.last, first));
        section.firsts.push(beyond.ok_or(FAULT)?);
        section.sizes.push(packed.len() as u32);
        self.frames.extend_from_slice(&packed);
        Ok(())
    }

    /// The whole file.
    pub(in crate::context) fn finish(self, header: &Header) -> Result<Vec<u8>, TableFault> {
        let mut rest = postcard::to_stdvec(&(header, &self.sections))
            .map_err(|_| TableFault::Malformed("the header cannot be written"))?;
        rest.extend_from_slice(&self.frames);
        Ok([MAGIC.as_slice(), blake3::hash(&rest).as_bytes(), &rest].concat())
    }
}

/// What a frame holds, unpacked and checked.
pub(super) trait Block: Sized {
    /// Reads a frame that begins with `first`; what begins with `end` is in the next one.
    fn read(body: &[u8], first: u64, end: u64) -> Result<Self, TableFault>;
}

/// The frames of one section. Each is unpacked when it is first asked.
pub(super) struct Frames<T> {
    bytes: Arc<Cow<'static, [u8]>>,
    frames: Vec<Frame<T>>,
}

struct Frame<T> {
    first: u64,
    packed: Range<u32>,
    block: OnceLock<Box<T>>,
}

impl<T: Block> Frames<T> {
    /// The block that holds `key`; `None` before the first.
    pub(super) fn holding(&self, key: u64) -> Option<&T> {
        let after = self.frames.partition_point(|frame| frame.first <= key);
        self.block(after.checked_sub(1)?)
    }

    /// A block by its number, from 0.
    pub(super) fn block(&self, index: usize) -> Option<&T> {
        let block = &self.frames.get(index)?.block;
        if let Some(block) = block.get() {
            return Some(block);
        }
        // It reads: a file of somebody else's was read to its end when it was opened, ours by a test.
        let read = Box::new(self.read(index).ok()?);
        Some(block.get_or_init(|| read))
    }

    /// Reads every frame once, and keeps none.
    pub(super) fn read_all(&self) -> impl Iterator<Item = Result<T, TableFault>> + '_ {
        (0..self.frames.len()).map(|index| self.read(index))
    }

    #[cold]
    fn read(&self, index: usize) -> Result<T, TableFault> {
        const FAULT: TableFault = TableFault::Malformed("a frame does not unpack");
        let frame = self.frames.get(index).ok_or(FAULT)?;
        let packed = frame.packed.start as usize..frame.packed.end as usize;
        let packed = self.bytes.get(packed).ok_or(FAULT)?;
        let body = zstd::bulk::decompress(packed, FRAME_BYTES_MAX).map_err(|_| FAULT)?;
        let end = self.frames.get(index + 1);
        T::read(&body, frame.first, end.map_or(u64::MAX, |next| next.first))
    }
}

/// The sum of `count` and `more`, which a full frame must have been before: records are found by their number.
pub(super) fn filled(count: usize, frame_max: usize, more: usize) -> Result<usize, TableFault> {
    if !count.is_multiple_of(frame_max) || more > frame_max {
        return Err(TableFault::Malformed("a frame that is not full"));
    }
    Ok(count + more)
}

/// A table whose sections are taken one after the other.
pub(super) struct Opened {
    pub(super) header: Header,
    bytes: Arc<Cow<'static, [u8]>>,
    sections: std::vec::IntoIter<Section>,
    /// Where the frames of the next section begin.
    at: u32,
}

impl Opened {
    /// The frames of the next section.
    pub(super) fn section<T>(&mut self) -> Result<Frames<T>, TableFault> {
        const FAULT: TableFault = TableFault::Malformed("an index that does not fit");
        let Section { firsts, sizes } = self.sections.next().ok_or(FAULT)?;
        if firsts.len() != sizes.len() {
            return Err(FAULT);
        }
        let mut first = 0_u64;
        let mut frames = Vec::with_capacity(sizes.len());
        for (index, (beyond, size)) in firsts.into_iter().zip(sizes).enumerate() {
            if index > 0 && beyond == 0 {
                return Err(FAULT);
            }
            first = first.checked_add(beyond).ok_or(FAULT)?;
            let end = self.at.checked_add(size).ok_or(FAULT)?;
            frames.push(Frame {
                first,
                packed: std::mem::replace(&mut self.at, end)..end,
                block: OnceLock::new(),
            });
        }
        let bytes = Arc::clone(&self.bytes);
        Ok(Frames { bytes, frames })
    }
}

/// Opens a table that must hold `wanted`.
pub(super) fn open(bytes: Cow<'static, [u8]>, wanted: Contents) -> Result<Opened, TableFault> {
    // What is in the binary is whole, as a test says, and hashing it would read all of it.
    if let Cow::Owned(bytes) = &bytes {
        check(bytes)?;
    }
    let (header, rest) = header_and_rest(&bytes)?;
    if header.contents != wanted {
        return Err(TableFault::Contents {
            found: header.contents.name(),
            wanted: wanted.name(),
        });
    }
    let (sections, frames): (Vec<Section>, &[u8]) = postcard::take_from_bytes(rest)
        .map_err(|_| TableFault::Malformed("the index does not read"))?;
    let at = u32::try_from(bytes.len() - frames.len());
    Ok(Opened {
        header,
        at: at.map_err(|_| TableFault::Malformed("larger than any table may be"))?,
        sections: sections.into_iter(),
        bytes: Arc::new(bytes),
    })
}

/// What a table says about itself.
pub(super) fn header(bytes: &[u8]) -> Result<Header, TableFault> {
    header_and_rest(bytes).map(|(header, _)| header)
}

/// Whether the bytes are the ones that were written.
pub(super) fn check(bytes: &[u8]) -> Result<(), TableFault> {
    let (checksum, rest) = checksum_and_rest(bytes)?;
    if blake3::hash(rest).as_bytes() != checksum {
        return Err(TableFault::Checksum);
    }
    Ok(())
}

fn header_and_rest(bytes: &[u8]) -> Result<(Header, &[u8]), TableFault> {
    let (_, rest) = checksum_and_rest(bytes)?;
    postcard::take_from_bytes(rest).map_err(|_| TableFault::Malformed("the header does not read"))
}

fn checksum_and_rest(bytes: &[u8]) -> Result<(&[u8], &[u8]), TableFault> {
    let rest = match bytes.strip_prefix(MAGIC) {
        Some(rest) => rest,
        None if is_packed(bytes) => return Err(TableFault::Version),
        None => return Err(TableFault::NotATable),
    };
    rest.split_at_checked(CHECKSUM_BYTES)
        .ok_or(TableFault::Checksum)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a test's frame holds.
    struct Text(String);

    impl Block for Text {
        fn read(body: &[u8], _: u64, _: u64) -> Result<Self, TableFault> {
            let text = postcard::from_bytes(body);
            text.map(Self).map_err(|_| TableFault::Malformed("no text"))
        }
    }

    fn packed() -> Vec<u8> {
        let origin = Origin {
            source: "here",
            licence: "ours",
            built: None,
        };
        let header = Header::new(Contents::Networks, Time::default(), origin, 3);
        let mut writer = Writer::default();
        for section in [&["a", "b"][..], &["c"]] {
            writer.begin_section();
            for (first, text) in (10..).step_by(10).zip(section) {
                writer.frame(first, text).unwrap();
            }
        }
        writer.finish(&header).unwrap()
    }

    fn opened(bytes: &[u8]) -> Result<Vec<Frames<Text>>, TableFault> {
        let mut opened = open(bytes.to_vec().into(), Contents::Networks)?;
        Ok(vec![opened.section()?, opened.section()?])
    }

    #[test]
    fn a_key_finds_its_frame_and_any_changed_byte_is_noticed() {
        let bytes = packed();
        let header = header(&bytes).unwrap();
        assert_eq!((header.source.as_str(), header.ranges), ("here", 3));
        let sections = opened(&bytes).unwrap();
        let found = |section: usize, key| {
            let text: Option<&Text> = sections[section].holding(key);
            text.map(|text| text.0.as_str())
        };
        assert_eq!(
            (found(0, 9), found(0, 10), found(0, 19)),
            (None, Some("a"), Some("a"))
        );
        assert_eq!((found(0, 20), found(1, u64::MAX)), (Some("b"), Some("c")));
        assert!(open(bytes.clone().into(), Contents::PlacesV4).is_err());
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert!(opened(&broken).is_err(), "byte {at}");
            assert!(opened(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_table_of_another_version_says_what_to_do() {
        let mut bytes = packed();
        bytes[MAGIC.len() - 1] = 1;
        assert_eq!(opened(&bytes).err(), Some(TableFault::Version));
    }

    /// The same bytes with the checksum that they should have.
    pub(in crate::context::tables) fn sealed(rest: &[u8]) -> Vec<u8> {
        [MAGIC.as_slice(), blake3::hash(rest).as_bytes(), rest].concat()
    }

    /// What stands behind the checksum.
    pub(in crate::context::tables) fn unsealed(bytes: &[u8]) -> &[u8] {
        &bytes[MAGIC.len() + CHECKSUM_BYTES..]
    }

    proptest! {
        #[test]
        fn whatever_has_a_right_checksum_never_panics(
            rest: Vec<u8>,
            at in 0_usize..200,
            byte: u8,
        ) {
            let mut changed = unsealed(&packed()).to_vec();
            let at = at % changed.len();
            changed[at] = byte;
            for rest in [rest, changed] {
                for section in opened(&sealed(&rest)).into_iter().flatten() {
                    section.read_all().for_each(drop);
                }
            }
        }
    }
}
