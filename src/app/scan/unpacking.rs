//! Unpacking ahead: an archive is unpacked on a thread of its own while what came out of it is parsed and judged.
//!
//! In: a reader that works hard. Out: a reader that has bytes at hand.
//! Does not know: what is read, or how it was packed.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes handed over at once.
const BLOCK_BYTES: usize = 256 << 10;

/// Blocks that wait for who parses: together a megabyte for each archive.
const BLOCKS_AHEAD: usize = 3;

/// Archives unpacked ahead at once; a fleet's further ones are unpacked by who parses them.
const THREADS_MAX: usize = 64;

static THREADS: AtomicUsize = AtomicUsize::new(0);

type Block = io::Result<Vec<u8>>;

/// What a thread has unpacked.
struct Ahead {
    blocks: Receiver<Block>,
    block: Vec<u8>,
    at: usize,
}

/// Reads `reader` on another thread, unless there are many already.
pub(super) fn ahead(reader: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    if THREADS.fetch_add(1, Ordering::AcqRel) >= THREADS_MAX {
        THREADS.fetch_sub(1, Ordering::AcqRel);
        return reader;
    }
    let (sender, blocks) = sync_channel(BLOCKS_AHEAD);
    let (handed, taken) = sync_channel::<Box<dyn Read + Send>>(1);
    let unpack = move || {
        if let Ok(reader) = taken.recv() {
            unpack(reader, &sender);
        }
        THREADS.fetch_sub(1, Ordering::AcqRel);
    };
    match thread::Builder::new()
        .name("unpack".to_owned())
        .spawn(unpack)
    {
        // The channel has room for the one reader, and its receiver waits.
        Ok(_) => handed.send(reader).map_or_else(
            |unsent| unsent.0,
            |()| {
                Box::new(Ahead {
                    blocks,
                    block: Vec::new(),
                    at: 0,
                })
            },
        ),
        Err(_) => {
            THREADS.fetch_sub(1, Ordering::AcqRel);
            reader
        }
    }
}

fn unpack(mut reader: Box<dyn Read + Send>, blocks: &SyncSender<Block>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        let read = (&mut reader)
            .take(BLOCK_BYTES as u64)
            .read_to_end(&mut block);
        // What came before an error goes first.
        let whole = read.is_ok() && !block.is_empty();
        let gone = !block.is_empty() && blocks.send(Ok(block)).is_err();
        if let Err(error) = read {
            // Nobody waits for it when the scan has ended.
            let _ = blocks.send(Err(error));
        }
        if gone || !whole {
            return;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            self.at = 0;
            self.block = match self.blocks.recv() {
                Ok(block) => block?,
                Err(_) => return Ok(0),
            };
        }
        let mut rest = self.block.get(self.at..).unwrap_or_default();
        let read = rest.read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some bytes, then fails.
    struct Failing(io::Take<io::Repeat>);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("worn out")),
                read => Ok(read),
            }
        }
    }

    #[test]
    fn what_is_unpacked_ahead_is_the_same_and_an_error_comes_after_it() {
        let mut bytes = Vec::new();
        let reader = Box::new(Failing(io::repeat(b'x').take(1_000_000)));
        let error = ahead(reader).read_to_end(&mut bytes).unwrap_err();
        assert_eq!(
            (bytes.len(), error.to_string()),
            (1_000_000, "worn out".to_owned())
        );
        let mut none = ahead(Box::new(io::empty()));
        assert_eq!(none.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn a_thread_whose_reader_is_left_ends_and_more_threads_than_allowed_are_not_made() {
        let readers: Vec<_> = (0..THREADS_MAX * 2)
            .map(|_| ahead(Box::new(io::repeat(b'x'))))
            .collect();
        assert!(THREADS.load(Ordering::Acquire) <= THREADS_MAX);
        drop(readers);
        while THREADS.load(Ordering::Acquire) > 0 {
            thread::yield_now();
        }
    }
}
