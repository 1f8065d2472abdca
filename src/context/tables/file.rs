//! The container of a packed table: magic, checksum, header, compressed body.
//!
//! In: bytes, from the binary or from a user, who may have broken them. Out: [`Header`] and the
//! body's bytes, or a [`TableFault`] that says what is wrong; never a panic and never more memory
//! than [`BODY_BYTES_MAX`].
//! Does not know: what a body holds.
//!
//! Layout: 8 bytes magic and version, 32 bytes BLAKE3 of all that follows, the header in postcard,
//! the body in zstd.

use crate::context::build::Origin;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

/// `TRIPGEO` and the version of the layout. A new layout gets a new number; old binaries refuse it.
const MAGIC: &[u8; 8] = b"TRIPGEO\x01";
const CHECKSUM_BYTES: usize = 32;

/// The largest body that is unpacked: four times the largest one of the whole world (13 MB), so
/// that a hostile file cannot ask for memory without end.
const BODY_BYTES_MAX: u32 = 64 << 20;

/// zstd's strongest level that needs no extra memory to unpack; packing happens once a build.
const ZSTD_LEVEL: i32 = 19;

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableFault {
    /// Neither a packed table nor a MaxMind database.
    #[error("neither a MaxMind database (.mmdb) nor a table that `tokentrip geo build` wrote")]
    NotATable,
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
    body_bytes: u32,
}

impl Header {
    /// A header; the body's size is filled in by [`pack`].
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
            body_bytes: 0,
        }
    }
}

/// True when the bytes begin as a packed table, of whatever version.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..MAGIC.len() - 1])
}

/// Packs a body under a header.
pub(in crate::context) fn pack(mut header: Header, body: &[u8]) -> Result<Vec<u8>, TableFault> {
    header.body_bytes = u32::try_from(body.len())
        .ok()
        .filter(|&bytes| bytes <= BODY_BYTES_MAX)
        .ok_or(TableFault::Malformed("larger than any table may be"))?;
    let mut rest = postcard::to_stdvec(&header)
        .map_err(|_| TableFault::Malformed("the header cannot be written"))?;
    let body = zstd::bulk::compress(body, ZSTD_LEVEL)
        .map_err(|_| TableFault::Malformed("the body cannot be compressed"))?;
    rest.extend_from_slice(&body);
    Ok([MAGIC.as_slice(), blake3::hash(&rest).as_bytes(), &rest].concat())
}

/// Reads the header, after checking the checksum of everything.
pub(super) fn header(bytes: &[u8]) -> Result<Header, TableFault> {
    split(bytes).map(|(header, _)| header)
}

/// Reads header and body of a table that must hold `wanted`.
pub(super) fn unpack(bytes: &[u8], wanted: Contents) -> Result<(Header, Vec<u8>), TableFault> {
    let (header, packed) = split(bytes)?;
    if header.contents != wanted {
        return Err(TableFault::Contents {
            found: header.contents.name(),
            wanted: wanted.name(),
        });
    }
    let body = zstd::bulk::decompress(packed, header.body_bytes as usize)
        .map_err(|_| TableFault::Malformed("the body does not decompress"))?;
    Ok((header, body))
}

fn split(bytes: &[u8]) -> Result<(Header, &[u8]), TableFault> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(TableFault::NotATable)?;
    let (checksum, rest) = rest
        .split_at_checked(CHECKSUM_BYTES)
        .ok_or(TableFault::Checksum)?;
    if blake3::hash(rest).as_bytes() != checksum {
        return Err(TableFault::Checksum);
    }
    let (header, packed): (Header, &[u8]) = postcard::take_from_bytes(rest)
        .map_err(|_| TableFault::Malformed("the header does not read"))?;
    if header.body_bytes > BODY_BYTES_MAX {
        return Err(TableFault::Malformed("larger than any table may be"));
    }
    Ok((header, packed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed() -> Vec<u8> {
        let origin = Origin {
            source: "here",
            licence: "ours",
            built: None,
        };
        let header = Header::new(Contents::Networks, Time::default(), origin, 3);
        pack(header, b"a body").unwrap()
    }

    #[test]
    fn what_was_packed_is_unpacked_and_any_changed_byte_is_noticed() {
        let bytes = packed();
        let (header, body) = unpack(&bytes, Contents::Networks).unwrap();
        assert_eq!((header.source.as_str(), header.ranges), ("here", 3));
        assert_eq!(body, b"a body");
        assert!(unpack(&bytes, Contents::PlacesV4).is_err());
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert!(unpack(&broken, Contents::Networks).is_err(), "byte {at}");
            assert!(
                unpack(&bytes[..at], Contents::Networks).is_err(),
                "cut at {at}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_body_with_a_right_checksum_over_any_bytes_never_panics(rest: Vec<u8>) {
            let sealed = [MAGIC.as_slice(), blake3::hash(&rest).as_bytes(), &rest].concat();
            let _ = unpack(&sealed, Contents::PlacesV6);
        }
    }
}
