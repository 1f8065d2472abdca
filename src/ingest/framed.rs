//! Files of records that may be torn at their end.
//!
//! In: records, one after the other. Out: the same, up to the first that is not whole.
//! Does not know: what a record says.
//!
//! A file begins with eight bytes that say what it is. A record is its length and checksum (4 bytes each) and then
//! itself.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::path::Path;

/// The most one record holds: key sets, rules and revocations are far smaller.
pub(super) const RECORD_BYTES_MAX: usize = 16 << 20;

const FRAME_BYTES: usize = 8;

/// Appends a record to bytes that will be written; `None`, and nothing is appended, when no reader would take it back.
pub(super) fn push(record: &impl Serialize, bytes: &mut Vec<u8>) -> Option<()> {
    let body = postcard::to_stdvec(record).ok()?;
    if body.len() > RECORD_BYTES_MAX {
        return None;
    }
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&checksum(&body));
    bytes.extend_from_slice(&body);
    Some(())
}

/// The whole records of a file and where they end.
pub(super) fn read<T: DeserializeOwned>(path: &Path, magic: &[u8; 8]) -> io::Result<(Vec<T>, u64)> {
    Ok(records(&fs::read(path)?, magic))
}

/// The whole records of the bytes of a file, and where they end.
pub(super) fn records<T: DeserializeOwned>(bytes: &[u8], magic: &[u8; 8]) -> (Vec<T>, u64) {
    let Some(mut rest) = bytes.strip_prefix(magic) else {
        return (Vec::new(), 0);
    };
    let mut records = Vec::new();
    while let Some((record, after)) = first(rest) {
        records.push(record);
        rest = after;
    }
    (records, (bytes.len() - rest.len()) as u64)
}

fn first<T: DeserializeOwned>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (frame, rest) = bytes.split_at_checked(FRAME_BYTES)?;
    let (length, sum) = frame.split_at(4);
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let (body, rest) = rest.split_at_checked(length)?;
    if checksum(body) != sum {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, rest))
}

fn checksum(body: &[u8]) -> [u8; 4] {
    let mut sum = [0; 4];
    let mut hasher = blake3::Hasher::new();
    hasher.update(body).finalize_xof().fill(&mut sum);
    sum
}
