//! The members of a gzip file, one after the other, with what is damaged left out.
//!
//! In: packed bytes. Out: the text of every member that can be read; at the end, the first fault, once.
//! Does not know: lines, but that the torn end of one must not run into what follows the damage.
//! Source: RFC 1952, sections 2.2 and 2.3; gzip(1) on zeros behind the last member.

use super::fault::ReadFault;
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a member begins: two bytes that say what it is, and deflate (RFC 1952, section 2.3.1).
const MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];

/// Flags that no writer sets.
const RESERVED_FLAGS: u8 = 0xe0;

/// Reads all members.
pub(super) struct Members<R> {
    at: At<R>,
    fault: Option<ReadFault>,
    /// Packed bytes that nothing could be made of.
    lost_bytes: Arc<AtomicU64>,
    /// The text so far ends in the middle of a line.
    inside_line: bool,
}

enum At<R> {
    Member(Box<GzDecoder<R>>),
    /// Behind damage, where the next member may begin.
    Damage(R),
    End,
}

impl<R: BufRead> Members<R> {
    pub(super) fn new(packed: R, lost_bytes: Arc<AtomicU64>) -> Self {
        Self {
            at: At::Member(Box::new(GzDecoder::new(packed))),
            fault: None,
            lost_bytes,
            inside_line: false,
        }
    }

    fn damaged(&mut self, error: io::Error, decoder: GzDecoder<R>) -> io::Result<()> {
        let fault = match error.kind() {
            ErrorKind::UnexpectedEof => ReadFault::ArchiveTruncated,
            ErrorKind::InvalidInput | ErrorKind::InvalidData => ReadFault::ArchiveCorrupt,
            _ => return Err(error),
        };
        self.fault.get_or_insert(fault);
        self.at = match fault {
            ReadFault::ArchiveTruncated => At::End,
            _ => At::Damage(decoder.into_inner()),
        };
        Ok(())
    }

    /// What stands behind a member: another one, zeros up to the end of a block, or nothing.
    fn next_member(&mut self, mut packed: R) -> io::Result<()> {
        loop {
            let bytes = packed.fill_buf()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let (length, next) = (bytes.len(), bytes.get(zeros).copied());
            self.at = match next {
                None if length == 0 => At::End,
                None => {
                    packed.consume(zeros);
                    continue;
                }
                Some(byte) if byte == MAGIC[0] => {
                    packed.consume(zeros);
                    At::Member(Box::new(GzDecoder::new(packed)))
                }
                Some(_) => {
                    self.fault.get_or_insert(ReadFault::ArchiveCorrupt);
                    At::Damage(packed)
                }
            };
            return Ok(());
        }
    }

    /// Looks for the beginning of a member.
    fn search(&mut self, mut packed: R) -> io::Result<()> {
        loop {
            let bytes = packed.fill_buf()?;
            if bytes.is_empty() {
                self.at = At::End;
                return Ok(());
            }
            let found = memchr::memmem::find_iter(bytes, MAGIC).find(|at| {
                let flags = bytes.get(at + MAGIC.len());
                flags.is_some_and(|flags| flags & RESERVED_FLAGS == 0)
            });
            let passed = found.unwrap_or(bytes.len());
            self.lost_bytes.fetch_add(passed as u64, Ordering::Relaxed);
            packed.consume(passed);
            if found.is_some() {
                self.at = At::Member(Box::new(GzDecoder::new(packed)));
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.at, At::End) {
                At::Member(mut decoder) => match decoder.read(buffer) {
                    Ok(0) if !buffer.is_empty() => self.next_member(decoder.into_inner())?,
                    Ok(read) => {
                        let last = buffer.get(read.wrapping_sub(1));
                        self.inside_line = last.is_some_and(|byte| *byte != b'\n');
                        self.at = At::Member(decoder);
                        return Ok(read);
                    }
                    Err(error) => self.damaged(error, *decoder)?,
                },
                At::Damage(packed) if self.inside_line && !buffer.is_empty() => {
                    self.at = At::Damage(packed);
                    self.inside_line = false;
                    buffer[0] = b'\n';
                    return Ok(1);
                }
                At::Damage(packed) => self.search(packed)?,
                At::End => return self.fault.take().map_or(Ok(0), |fault| Err(fault.into())),
            }
        }
    }
}
