//! Lines: cuts a stream of bytes into chunks of whole lines.
//!
//! In: any [`Read`]. Out: [`Chunk`]s of about 128 KiB that end at a line end, with exact offsets and line numbers.
//! Does not know: files, rotation, formats; a carriage return before a line feed is the chunk's business.
//! Rules: a line over 1 MiB keeps its beginning and is marked; a byte order mark and NULs that lead a line (the hole
//! a truncated file leaves) are stepped over; UTF-16 and binary data are faults.
//! Source: RFC 3629, section 6 (byte order mark); Unicode 16, section 23.8.

use super::fault::ReadFault;
pub use crate::domain::line::LINE_BYTES_MAX;
use crate::domain::line::{Chunk, Source};
use std::io::{self, Read};

/// Bytes of one chunk, when lines are shorter: large enough to make a hand-over between threads cheap, small enough
/// to stay in a core's L2 cache.
pub const CHUNK_BYTES: usize = 128 << 10;

/// How much of a source's beginning says what it is.
const SNIFF_BYTES: usize = 8 << 10;

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a source to its end, chunk by chunk.
pub struct ChunkReader<R> {
    reader: R,
    source: Source,
    buffer: Vec<u8>,
    /// Room of a chunk that nobody needs any more.
    spare: Vec<u8>,
    filled: usize,
    /// Of the first byte in the buffer.
    offset_bytes: u64,
    /// Of the line that the first byte belongs to.
    number: u64,
    nul_bytes: u64,
    begun: bool,
    /// The buffer begins inside a line whose beginning was delivered already.
    inside_long_line: bool,
    end: Option<End>,
}

enum End {
    Clean,
    Failed(io::Error),
    Told,
}

/// What to do with a buffer that begins at a line's beginning.
pub(super) enum Cut {
    /// That many bytes are whole lines.
    Lines(usize),
    /// No line end within the limit: that many bytes are the beginning of a line that is too long.
    LongLine(usize),
    /// The line's end has not come yet.
    Partial,
}

impl Cut {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match memchr::memrchr(b'\n', bytes) {
            Some(at) => Self::Lines(at + 1),
            None if bytes.len() >= LINE_BYTES_MAX => Self::LongLine(LINE_BYTES_MAX),
            None => Self::Partial,
        }
    }
}

/// How many NULs lead these bytes.
pub(super) fn leading_nuls(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| b != 0).unwrap_or(bytes.len())
}

/// The lines in `bytes`, which begin at a line's beginning. The same bytes at the same place always give the same
/// chunk. Also gives how many leading NULs were stepped over.
pub(super) fn chunk_of(
    source: &Source,
    bytes: Vec<u8>,
    offset_bytes: u64,
    number: u64,
) -> (Chunk, u64) {
    let mut bytes = bytes;
    let mut offset_bytes = offset_bytes;
    if offset_bytes == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
        offset_bytes = BYTE_ORDER_MARK.len() as u64;
    }
    let long = bytes.len() >= LINE_BYTES_MAX && !bytes.contains(&b'\n');
    if long {
        let mut chunk = Chunk::new(source.clone());
        chunk.push(&bytes, offset_bytes, number, true);
        return (chunk, 0);
    }
    if memchr::memchr(0, &bytes).is_none() {
        let chunk = Chunk::split(source.clone(), bytes, offset_bytes, number);
        return (chunk, 0);
    }
    without_leading_nuls(source, &bytes, offset_bytes, number)
}

fn without_leading_nuls(
    source: &Source,
    bytes: &[u8],
    offset_bytes: u64,
    number: u64,
) -> (Chunk, u64) {
    let mut chunk = Chunk::new(source.clone());
    let mut nul_bytes = 0;
    let (mut at, mut line_number) = (offset_bytes, number);
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        let nuls = leading_nuls(line);
        let text = &line[nuls..];
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        chunk.push(text, at + nuls as u64, line_number, false);
        nul_bytes += nuls as u64;
        at += line.len() as u64;
        line_number += u64::from(number != 0);
    }
    (chunk, nul_bytes)
}

/// What the beginning of a source is, when it is no log.
pub(crate) fn sniff(head: &[u8]) -> Result<(), ReadFault> {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(ReadFault::Utf16);
    }
    let head = &head[..head.len().min(SNIFF_BYTES)];
    // NULs at even and at odd places; those that lead a line are a hole.
    let mut nuls = [0, 0];
    let mut hole = true;
    for (at, &byte) in head.iter().enumerate() {
        hole = byte == b'\n' || (hole && byte == 0);
        nuls[at % 2] += usize::from(byte == 0 && !hole);
    }
    let [even, odd] = nuls;
    // ASCII in UTF-16 is NUL in every other byte; a text with some non-Latin letters still is in most of them.
    if even.max(odd) * 10 > head.len() * 3 && even.min(odd) * 20 < head.len() {
        return Err(ReadFault::Utf16);
    }
    // Logs hold no NULs but for holes; a tenth is far from both sides: executables and images have a third.
    if (even + odd) * 10 > head.len() {
        return Err(ReadFault::Binary);
    }
    Ok(())
}

impl<R: Read> ChunkReader<R> {
    /// A reader of `reader` from its beginning.
    pub fn new(reader: R, source: Source) -> Self {
        Self {
            reader,
            source,
            buffer: Vec::new(),
            spare: Vec::new(),
            filled: 0,
            offset_bytes: 0,
            number: 1,
            nul_bytes: 0,
            begun: false,
            inside_long_line: false,
            end: None,
        }
    }

    /// Bytes read and understood so far, of the uncompressed source.
    pub fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// NULs that were stepped over.
    pub fn nul_bytes(&self) -> u64 {
        self.nul_bytes
    }

    /// The next lines, about [`CHUNK_BYTES`] of them.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        self.next_chunk_of(CHUNK_BYTES)
    }

    /// The next lines, about so many bytes of them; `None` at the end. A last line without line feed is delivered. When
    /// reading fails, first everything read until then is delivered (a line broken off is marked truncated), then the
    /// error, once, then `None`. [`ReadFault::of`] tells bad bytes from a bad world.
    pub fn next_chunk_of(&mut self, bytes: usize) -> io::Result<Option<Chunk>> {
        let mut room = bytes.max(1);
        loop {
            if !self.begun {
                self.begin()?;
            }
            self.fill(room);
            if self.inside_long_line && !self.skip_to_line_end() {
                continue;
            }
            let nuls = leading_nuls(&self.buffer[..self.filled]);
            self.nul_bytes += nuls as u64;
            self.consume(nuls);
            match Cut::of(&self.buffer[..self.filled]) {
                Cut::Lines(bytes) => return Ok(Some(self.deliver(bytes))),
                Cut::LongLine(bytes) => {
                    self.inside_long_line = true;
                    return Ok(Some(self.deliver(bytes)));
                }
                Cut::Partial if self.end.is_some() => return self.finish(),
                Cut::Partial => room = (room * 8).min(LINE_BYTES_MAX),
            }
        }
    }

    /// Takes the room of a chunk for one to come: it is in the cache, and need not be asked for nor filled with zeros.
    pub fn reuse(&mut self, spent: Chunk) {
        let room = spent.into_bytes();
        // A chunk with one long line has too much, and would give it to others.
        if room.capacity() <= 2 * CHUNK_BYTES {
            self.spare = room;
        }
    }

    /// Reads until `room` bytes are there, the source ends, or it hesitates (a pipe) with a whole line at hand.
    fn fill(&mut self, room: usize) {
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        while self.end.is_none() && self.filled < room {
            let free = &mut self.buffer[self.filled..room];
            let asked = free.len();
            match self.reader.read(free) {
                Ok(0) => self.end = Some(End::Clean),
                Ok(read) => {
                    let fresh = self.filled..self.filled + read;
                    self.filled += read;
                    if read < asked && memchr::memchr(b'\n', &self.buffer[fresh]).is_some() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.end = Some(End::Failed(error)),
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        self.begun = true;
        // However slowly a pipe gives its first bytes, they are judged together.
        while self.end.is_none() && self.filled < SNIFF_BYTES {
            self.fill(SNIFF_BYTES);
        }
        let head = &self.buffer[..self.filled];
        if let Err(fault) = sniff(head) {
            self.filled = 0;
            self.end = Some(End::Told);
            return Err(fault.into());
        }
        if head.starts_with(BYTE_ORDER_MARK) {
            self.consume(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    /// True when the buffer now begins at a line's beginning, or the source is at its end.
    fn skip_to_line_end(&mut self) -> bool {
        match memchr::memchr(b'\n', &self.buffer[..self.filled]) {
            Some(at) => {
                self.consume(at + 1);
                self.number += 1;
                self.inside_long_line = false;
            }
            None => self.consume(self.filled),
        }
        !self.inside_long_line || self.end.is_some()
    }

    fn deliver(&mut self, bytes: usize) -> Chunk {
        let (offset_bytes, number) = (self.offset_bytes, self.number);
        let whole = self.take(bytes);
        let (chunk, nuls) = chunk_of(&self.source, whole, offset_bytes, number);
        self.nul_bytes += nuls;
        if !self.inside_long_line {
            self.number += chunk.len() as u64;
        }
        chunk
    }

    /// Takes bytes out of the buffer: with the buffer itself when they are most of it, so that only the rest is copied.
    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = bytes..self.filled;
        if bytes < CHUNK_BYTES / 2 || rest.len() > CHUNK_BYTES {
            let taken = self.buffer[..bytes].to_vec();
            self.consume(bytes);
            return taken;
        }
        let mut next = std::mem::take(&mut self.spare);
        next.resize(CHUNK_BYTES, 0);
        next[..rest.len()].copy_from_slice(&self.buffer[rest.clone()]);
        let mut taken = std::mem::replace(&mut self.buffer, next);
        taken.truncate(bytes);
        self.filled = rest.len();
        self.offset_bytes += bytes as u64;
        taken
    }

    fn finish(&mut self) -> io::Result<Option<Chunk>> {
        if self.filled > 0 {
            let cut_short = matches!(self.end, Some(End::Failed(_)));
            let mut chunk = Chunk::new(self.source.clone());
            let line = &self.buffer[..self.filled];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            chunk.push(line, self.offset_bytes, self.number, cut_short);
            self.consume(self.filled);
            return Ok(Some(chunk));
        }
        match self.end.replace(End::Told) {
            Some(End::Failed(error)) => Err(error),
            _ => Ok(None),
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
        self.offset_bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in pieces of the lengths given, over and over.
    struct Pieces<'a> {
        bytes: &'a [u8],
        lengths: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = *self.lengths.next().unwrap_or(&1);
            let length = length.clamp(1, self.bytes.len().max(1));
            (&mut self.bytes).take(length as u64).read(buffer)
        }
    }

    type Line = (u64, u64, String, bool);

    fn read(bytes: &[u8], lengths: &[usize]) -> Vec<Line> {
        read_with(bytes, lengths, false)
    }

    fn read_with(bytes: &[u8], lengths: &[usize], reuse: bool) -> Vec<Line> {
        let lengths = lengths.iter().cycle();
        let mut reader = ChunkReader::new(Pieces { bytes, lengths }, Source("test".into()));
        let mut lines = Vec::new();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            lines.extend(chunk.lines().map(|line| {
                let text = line.text.to_owned();
                (line.offset_bytes, line.number, text, line.truncated)
            }));
            if reuse {
                reader.reuse(chunk);
            }
        }
        assert_eq!(reader.offset_bytes(), bytes.len() as u64);
        lines
    }

    fn fault(bytes: &[u8]) -> Option<ReadFault> {
        let mut reader = ChunkReader::new(bytes, Source("test".into()));
        let error = reader.next_chunk().err()?;
        assert!(matches!(reader.next_chunk(), Ok(None)), "told once");
        ReadFault::of(&error)
    }

    #[test]
    fn t22_a_character_split_across_reads_stays_whole() {
        let text = "token=eyJhbGciOi… café 東京\nnext\n".repeat(100);
        let lines = read(text.as_bytes(), &[1, 2, 3]);
        assert_eq!(lines.len(), 200);
        assert_eq!(lines[198].2, "token=eyJhbGciOi… café 東京");
    }

    #[test]
    fn t23_line_endings_are_one_feed_with_one_return_before_it_even_when_split() {
        let lines = read(b"a\r\nb\rc\n\r\nlast\r", &[2, 1]);
        let texts: Vec<_> = lines.iter().map(|line| line.2.as_str()).collect();
        assert_eq!(texts, ["a", "b\rc", "", "last"]);
    }

    #[test]
    fn t24_a_line_over_the_limit_keeps_its_beginning_and_the_next_keeps_its_place() {
        for length in [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, 64 * LINE_BYTES_MAX] {
            let text = format!("first\n{}\nlast\n", "x".repeat(length));
            let lines = read(text.as_bytes(), &[1_000_003]);
            assert_eq!(lines.len(), 3);
            assert_eq!(lines[1].2.len(), length.min(LINE_BYTES_MAX));
            assert_eq!(lines[1].3, length >= LINE_BYTES_MAX);
            let last = (text.len() as u64 - 5, 3, "last".to_owned(), false);
            assert_eq!(lines[2], last);
        }
    }

    #[test]
    fn t25_a_hole_before_a_line_is_stepped_over() {
        let mut bytes = vec![0; 3 * LINE_BYTES_MAX + 7];
        let hole = bytes.len() as u64;
        bytes.extend_from_slice(b"one\n\0\0two\n");
        let lines = read(&bytes, &[100_000]);
        let expected = [(hole, 1, "one"), (hole + 6, 2, "two")];
        assert_eq!(lines, expected.map(|(o, n, t)| (o, n, t.to_owned(), false)));
    }

    #[test]
    fn t26_a_byte_order_mark_is_no_part_of_the_first_line() {
        let lines = read(b"\xef\xbb\xbffirst\nsec\xffond", &[1]);
        assert_eq!(lines[0], (3, 1, "first".to_owned(), false));
        assert_eq!(lines[1].2, "sec\u{fffd}ond");
    }

    #[test]
    fn t26_utf_16_and_binary_data_are_faults() {
        let utf_16 = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "GET / HTTP/1.1\n".encode_utf16().flat_map(order).collect()
        };
        assert_eq!(fault(b"\xff\xfeG\0"), Some(ReadFault::Utf16));
        assert_eq!(fault(&utf_16(u16::to_le_bytes)), Some(ReadFault::Utf16));
        assert_eq!(fault(&utf_16(u16::to_be_bytes)), Some(ReadFault::Utf16));
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(fault(&program[..100_000]), Some(ReadFault::Binary));
    }

    #[test]
    fn t27_empty_lines_are_lines() {
        assert_eq!(read(b"\n\n\n", &[1]).len(), 3);
        assert_eq!(read(b"", &[1]).len(), 0);
    }

    #[test]
    fn lines_do_not_depend_on_whose_room_they_stand_in() {
        // Short and long lines, one that is too long, one that is no UTF-8, holes.
        let lengths = (0..4000).map(|number| number * 7919 % 700);
        let mut text: Vec<u8> = lengths
            .flat_map(|length| [vec![b'a' + (length % 26) as u8; length], b"\n".to_vec()])
            .flatten()
            .collect();
        text.extend_from_slice(&vec![b'z'; LINE_BYTES_MAX + 5]);
        text.extend_from_slice(b"\nx\xffy\n\0\0after a hole\n");
        text.extend_from_within(..CHUNK_BYTES * 3);
        let expected: Vec<_> = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.contains(&0xff) && !line.contains(&0))
            .map(|line| String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_MAX)]))
            .collect();
        for lengths in [usize::MAX, 70_000, 100_000] {
            let lines = read_with(&text, &[lengths], true);
            assert_eq!(lines, read(&text, &[lengths]));
            let plain = |line: &&Line| !line.2.contains(['\u{fffd}', ' ']);
            let texts = lines.iter().filter(plain).map(|line| &line.2);
            assert!(texts.eq(expected.iter()));
        }
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            text in "([a-zé\r]{0,9}\n|\0{1,3}){0,60}[a-z]{0,5}",
            lengths in prop::collection::vec(1usize..50, 1..9),
        ) {
            prop_assume!(sniff(text.as_bytes()).is_ok());
            prop_assert_eq!(read(text.as_bytes(), &lengths), read(text.as_bytes(), &[usize::MAX]));
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_stop(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            let mut reader = ChunkReader::new(&bytes[..], Source("test".into()));
            while let Ok(Some(_)) = reader.next_chunk() {}
        }
    }
}
