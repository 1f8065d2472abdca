//! Archives: opens a log by what it holds, not by its name.
//!
//! In: a path, or stdin. Out: [`Opened`]: the uncompressed bytes, and how much of the file they have cost.
//! Does not know: lines. Damage is reported as [`ReadFault`] after everything before it was delivered.
//! Source: RFC 1952 (gzip, section 2.2: several members are one file), RFC 8878 (zstd); "The .xz File Format" 1.2.0;
//! bzip2's manual, section 2 (several streams are one file).

use super::fault::ReadFault;
use super::members::Members;
use super::open;
use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a file unpacks to at most: a day of the busiest gateways is tens of gigabytes.
const UNPACKED_BYTES_MAX: u64 = 1 << 40;

/// How much larger than its archive a log may be. Access logs pack 10:1 to 30:1, one client in a loop 200:1;
/// gzip's own limit is 1032:1 and bombs come close to it.
const RATIO_MAX: u64 = 500;

/// Up to this size any ratio is harmless, and a short log of equal lines may well reach it.
const RATIO_FREE_BYTES: u64 = 256 << 20;

/// Compressed bytes read at once.
const READ_BYTES: usize = 128 << 10;

/// So many bytes tell how a file is packed.
const HEAD_BYTES: u64 = 6;

/// What an xz archive may ask for as a dictionary: `xz -9` takes 64 MiB, and the format allows 4 GiB.
const XZ_MEMORY_KIB_MAX: u32 = 160 << 10;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 8878, one or more frames.
    Zstd,
    /// One or more bzip2 streams.
    Bzip2,
    /// One or more xz streams.
    Xz,
}

/// A source opened for reading.
pub struct Opened {
    /// The uncompressed bytes.
    pub reader: Box<dyn Read + Send>,
    /// How the file is packed.
    pub packing: Packing,
    /// Bytes of the file read so far, before unpacking: for progress.
    pub progress_bytes: Arc<AtomicU64>,
    /// Packed bytes that were passed over because nothing could be made of them.
    pub lost_bytes: Arc<AtomicU64>,
}

/// Opens the file at `path`. Fails when it cannot be opened, is no regular file (never waits for one), or is packed
/// in a way that is not read.
pub fn open(path: &Path) -> io::Result<Opened> {
    let (file, _) = open::regular(path)?;
    unpack(file)
}

/// Opens standard input, which may be packed too.
pub fn open_stdin() -> io::Result<Opened> {
    unpack(io::stdin())
}

/// Unpacks `reader` by its first bytes.
pub fn unpack(reader: impl Read + Send + 'static) -> io::Result<Opened> {
    let (progress_bytes, lost_bytes) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut counted = Counted {
        inner: reader,
        bytes: Arc::clone(&progress_bytes),
    };
    let mut head = Vec::new();
    counted.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let packing = packing_of(&head)?;
    let whole = io::Cursor::new(head).chain(counted);
    let packed = |whole| BufReader::with_capacity(READ_BYTES, whole);
    let guarded = |inner: Box<dyn Read + Send>| -> Box<dyn Read + Send> {
        Box::new(Unpacked {
            inner,
            packed_bytes: Arc::clone(&progress_bytes),
            bytes: 0,
            ended: false,
        })
    };
    let reader = match packing {
        // Its reader takes large pieces, which need not be copied.
        Packing::Plain => Box::new(whole),
        Packing::Gzip => guarded(Box::new(Members::new(packed(whole), lost_bytes.clone()))),
        Packing::Zstd => guarded(Box::new(zstd::Decoder::with_buffer(packed(whole))?)),
        Packing::Bzip2 => guarded(Box::new(MultiBzDecoder::new(packed(whole)))),
        Packing::Xz => {
            let several = true;
            let reader = XzReader::new_mem_limit(packed(whole), several, XZ_MEMORY_KIB_MAX);
            guarded(Box::new(reader))
        }
    };
    Ok(Opened {
        reader,
        packing,
        progress_bytes,
        lost_bytes,
    })
}

/// How bytes that begin like `head` are packed.
pub(super) fn packing_of(head: &[u8]) -> Result<Packing, ReadFault> {
    match head {
        [0x1f, 0x8b, 0x08, ..] => Ok(Packing::Gzip),
        // A zstd frame, or a skippable one in front of it (RFC 8878, sections 3.1.1 and 3.1.2).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Packing::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Ok(Packing::Bzip2),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Packing::Xz),
        [b'P', b'K', 3, 4, ..] => Err(ReadFault::Compression("zip", "unzip -p")),
        _ => Ok(Packing::Plain),
    }
}

struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A decoder whose output is bounded and whose errors say what is wrong with the archive.
struct Unpacked {
    inner: Box<dyn Read + Send>,
    packed_bytes: Arc<AtomicU64>,
    bytes: u64,
    /// An error was told: a decoder that failed is not asked again.
    ended: bool,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let ratio_limit = self.packed_bytes.load(Ordering::Relaxed) * RATIO_MAX;
        let limit = ratio_limit.clamp(RATIO_FREE_BYTES, UNPACKED_BYTES_MAX);
        let read = match self.bytes > limit {
            true => Err(ReadFault::ArchiveBomb.into()),
            false => self.inner.read(buffer).map_err(archive_fault),
        };
        self.ended = read.is_err();
        self.bytes += *read.as_ref().unwrap_or(&0) as u64;
        read
    }
}

fn archive_fault(error: io::Error) -> io::Error {
    match error.kind() {
        _ if ReadFault::of(&error).is_some() => error,
        io::ErrorKind::UnexpectedEof => ReadFault::ArchiveTruncated.into(),
        // What the decoders give for a broken structure; the file itself fails with kinds of its own.
        io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidData
        | io::ErrorKind::Unsupported
        | io::ErrorKind::OutOfMemory
        | io::ErrorKind::Other => ReadFault::ArchiveCorrupt.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
