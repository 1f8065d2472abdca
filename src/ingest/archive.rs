//! Archives: opens a log by what it holds, not by its name.
//!
//! In: a path, or stdin. Out: [`Opened`]: the uncompressed bytes, and how much of the file they have cost.
//! Does not know: lines. Damage is reported as [`ReadFault`] after everything before it was delivered.
//! Source: RFC 1952 (gzip, section 2.2: several members are one file), RFC 8878 (zstd).

use super::fault::ReadFault;
use super::open;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};
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

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 8878, one or more frames.
    Zstd,
}

/// A source opened for reading.
pub struct Opened {
    /// The uncompressed bytes.
    pub reader: Box<dyn Read + Send>,
    /// How the file is packed.
    pub packing: Packing,
    /// Bytes of the file read so far, before unpacking: for progress.
    pub progress_bytes: Arc<AtomicU64>,
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
    let progress_bytes = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        inner: reader,
        bytes: Arc::clone(&progress_bytes),
    };
    let mut packed = BufReader::with_capacity(READ_BYTES, counted);
    let packing = packing_of(packed.fill_buf()?)?;
    let guarded = |inner: Box<dyn Read + Send>| -> Box<dyn Read + Send> {
        Box::new(Unpacked {
            inner,
            packed_bytes: Arc::clone(&progress_bytes),
            bytes: 0,
        })
    };
    let reader = match packing {
        Packing::Plain => Box::new(packed),
        Packing::Gzip => guarded(Box::new(MultiGzDecoder::new(packed))),
        Packing::Zstd => guarded(Box::new(zstd::Decoder::with_buffer(packed)?)),
    };
    Ok(Opened {
        reader,
        packing,
        progress_bytes,
    })
}

/// How bytes that begin like `head` are packed.
pub(super) fn packing_of(head: &[u8]) -> Result<Packing, ReadFault> {
    match head {
        [0x1f, 0x8b, 0x08, ..] => Ok(Packing::Gzip),
        // A zstd frame, or a skippable one in front of it (RFC 8878, sections 3.1.1 and 3.1.2).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Packing::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Err(ReadFault::Compression("bzip2", "bzip2 -dc")),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(ReadFault::Compression("xz", "xz -dc")),
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
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ratio_limit = self.packed_bytes.load(Ordering::Relaxed) * RATIO_MAX;
        let limit = ratio_limit.clamp(RATIO_FREE_BYTES, UNPACKED_BYTES_MAX);
        if self.bytes > limit {
            return Err(ReadFault::ArchiveBomb.into());
        }
        let read = self.inner.read(buffer).map_err(archive_fault)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

fn archive_fault(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadFault::ArchiveTruncated.into(),
        // What flate2 and zstd give for a broken structure; the file itself fails with kinds of its own.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            ReadFault::ArchiveCorrupt.into()
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::line::Source;
    use crate::ingest::lines::ChunkReader;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Lines of a file with this name and these bytes, and the fault at its end.
    fn read(name: &str, bytes: &[u8]) -> (Vec<String>, Option<ReadFault>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let opened = match open(&path) {
            Ok(opened) => opened,
            Err(error) => return (Vec::new(), ReadFault::of(&error)),
        };
        let mut reader = ChunkReader::new(opened.reader, Source(name.into()));
        let mut lines = Vec::new();
        let fault = loop {
            match reader.next_chunk() {
                Ok(Some(chunk)) => lines.extend(chunk.lines().map(|line| line.text.to_owned())),
                Ok(None) => break None,
                Err(error) => break Some(ReadFault::of(&error).expect("a fault of the bytes")),
            }
        };
        (lines, fault)
    }

    fn numbered(lines: std::ops::Range<usize>) -> String {
        lines.map(|n| format!("line {n} of a log\n")).collect()
    }

    #[test]
    fn t30_members_of_one_archive_are_one_log_even_in_the_middle_of_a_line() {
        let bytes = [gzip(b"one\ntw"), gzip(b""), gzip(b"o\nthree\n")].concat();
        let (lines, fault) = read("access.log.gz", &bytes);
        assert_eq!(lines, ["one", "two", "three"]);
        assert_eq!(fault, None);
    }

    #[test]
    fn t30_what_an_archive_is_does_not_depend_on_its_name() {
        let text = numbered(0..1000);
        let packed = [
            gzip(text.as_bytes()),
            zstd::encode_all(text.as_bytes(), 3).unwrap(),
        ];
        for bytes in packed {
            assert_eq!(read("access.log", &bytes).0.len(), 1000);
        }
        assert_eq!(read("access.log.gz", text.as_bytes()).0.len(), 1000);
    }

    #[test]
    fn t30_a_truncated_archive_gives_what_it_holds_and_then_a_fault() {
        let text = numbered(0..50_000);
        for packed in [
            gzip(text.as_bytes()),
            zstd::encode_all(text.as_bytes(), 3).unwrap(),
        ] {
            let (lines, fault) = read("a.log.1", &packed[..packed.len() * 3 / 4]);
            assert_eq!(fault, Some(ReadFault::ArchiveTruncated));
            assert!(lines.len() > 20_000, "only {} lines", lines.len());
            let whole: Vec<_> = text.lines().take(lines.len() - 1).collect();
            assert_eq!(lines[..lines.len() - 1], whole);
        }
    }

    #[test]
    fn t30_a_bad_checksum_is_a_fault_after_all_lines() {
        let mut bytes = gzip(numbered(0..1000).as_bytes());
        let checksum = bytes.len() - 8;
        bytes[checksum] ^= 1;
        let (lines, fault) = read("a.log.gz", &bytes);
        assert_eq!(lines.len(), 1000);
        assert_eq!(fault, Some(ReadFault::ArchiveCorrupt));
    }

    #[test]
    fn t30_a_bomb_is_left_when_it_shows_itself() {
        let bomb = gzip(&b"\n".repeat(RATIO_FREE_BYTES as usize * 3 / 2));
        let opened = unpack(io::Cursor::new(bomb)).unwrap();
        let mut reader = opened.reader;
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        let error = loop {
            match reader.read(&mut buffer) {
                Ok(0) => panic!("unpacked to the end"),
                Ok(read) => bytes += read as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(ReadFault::of(&error), Some(ReadFault::ArchiveBomb));
        assert!(bytes < RATIO_FREE_BYTES + (2 << 20));
    }

    #[test]
    fn an_archive_that_is_not_read_says_how_to_unpack_it() {
        let (_, fault) = read("a.log", b"\xfd7zXZ\0\0\0");
        let said = fault.unwrap().to_string();
        assert!(said.contains("xz -dc FILE | tokentrip scan -"), "{said}");
    }
}
