//! Why a source stopped giving lines.
//!
//! In: bytes that are no text, archives that break off. Out: [`ReadFault`], also carried inside [`io::Error`]
//! because readers speak in those.
//! Does not know: which source it was (who reads knows, and says so).

use std::io;
use thiserror::Error;

/// What is wrong with the bytes of a source. None of these carries content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Error)]
pub enum ReadFault {
    /// Binary bytes where a log was expected.
    #[error("holds binary data, not a log")]
    Binary,
    /// Text in UTF-16; only ASCII-compatible text can be cut at line feeds.
    #[error(
        "is text in UTF-16; convert it first: iconv -f UTF-16 -t UTF-8 FILE | tokentrip scan -"
    )]
    Utf16,
    /// An archive ended before its end. What came before was delivered.
    #[error("is a truncated archive; what could be unpacked was read")]
    ArchiveTruncated,
    /// An archive's checksum or structure is wrong. What came before was delivered.
    #[error("is a damaged archive; what could be unpacked was read")]
    ArchiveCorrupt,
    /// An archive unpacks to more than any log does.
    #[error(
        "unpacks to far more than its size, as a decompression bomb does; the rest was not read"
    )]
    ArchiveBomb,
    /// A compression that is recognised but not read.
    #[error("is compressed with {0}, which is not read; unpack it: {1} FILE | tokentrip scan -")]
    Compression(&'static str, &'static str),
}

impl ReadFault {
    /// The fault's name in counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Utf16 => "utf_16",
            Self::ArchiveTruncated => "archive_truncated",
            Self::ArchiveCorrupt => "archive_corrupt",
            Self::ArchiveBomb => "archive_bomb",
            Self::Compression(..) => "compression",
        }
    }

    /// The fault inside an I/O error; `None` when the world failed and not the bytes.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<ReadFault> for io::Error {
    fn from(fault: ReadFault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}
