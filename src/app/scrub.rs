//! `tokentrip scrub`: logs without their tokens.
//!
//! In: files, plain or packed. Out: the same lines in the same packing, every token replaced by its ids
//! ([`scrub`](crate::tokens::scrub)), in a new file, in place of the old one, or on stdout.
//! Does not know: formats. A file is whole under its name, or not there: it is written beside, synced and renamed.

mod place;
mod splits;

use super::Error;
use super::scan::progress::Progress;
use super::stderr::say;
use crate::cli;
use crate::config::{Config, environment_of_process};
use crate::domain::ids::IdKey;
use crate::ingest::archive::{self, Opened, Packing};
use crate::ingest::discover::{Found, Input, discover};
use crate::ingest::{lines, state};
use crate::tokens::scrub::{Scrubs, scrub};
use bzip2::write::BzEncoder;
use flate2::Compression;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use place::{Place, Target};
use std::io::{self, BufWriter, Read, Write};

/// The longest line that is looked at as a whole; what is longer is looked at in pieces. As in [`lines`].
const PIECE_BYTES_MAX: usize = lines::LINE_BYTES_MAX;

/// Bytes between which no token goes on: a piece of a line that is too long ends behind one.
const SEPARATORS: &[u8] = b" \"';,&|\t<>(){}[]";

/// Runs the command.
///
/// # Errors
/// When an input cannot be read to its end, or a result cannot be written; then nothing stands under its name.
pub(super) fn run(options: &cli::Scrub) -> Result<u8, Error> {
    let found = discover(&options.paths).map_err(Error::shown)?;
    let places = place::places(options, &found)?;
    let key = key(options)?;
    let progress = Progress::new(options.progress, &found);
    for (found, place) in found.iter().zip(&places) {
        let done = one(found, place, &key, &progress)
            .map_err(|error| failed(found, &error.to_string()))?;
        progress.suspend(|| {
            say(&format!(
                "{}: {} lines, {} tokens replaced by their hashes, {} cut or broken ones removed",
                found.source.0, done.lines, done.scrubs.tokens, done.scrubs.remains
            ));
        });
    }
    progress.finish();
    Ok(0)
}

fn failed(found: &Found, reason: &str) -> Error {
    Error::new(format!("cannot scrub {}: {reason}", found.source.0))
}

/// The key of the hashes.
fn key(options: &cli::Scrub) -> Result<IdKey, Error> {
    if let Some(path) = &options.key_file {
        return state::key_in(path).map_err(Error::shown);
    }
    if let Some(file) = &options.config.config {
        let config = Config::load(Some(file), &environment_of_process()).map_err(Error::shown)?;
        if let Some(key) = state::existing_key(&config.state.folder).map_err(Error::shown)? {
            return Ok(key);
        }
    }
    say(
        "note: the hashes are made with a key for this run alone; `--key-file FILE` keeps one, so that several runs \
         name a token alike",
    );
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(format!("the system gives no random bytes: {error}")))?;
    Ok(IdKey::new(bytes, bytes))
}

/// What was done with one input.
#[derive(Debug, Default)]
struct Done {
    lines: u64,
    scrubs: Scrubs,
}

fn one(found: &Found, place: &Place, key: &IdKey, progress: &Progress) -> io::Result<Done> {
    let opened = match &found.input {
        Input::File(path) => archive::open(path)?,
        Input::Stdin => archive::open_stdin()?,
    };
    let target = Target::open(place)?;
    let mut done = Done::default();
    let Opened {
        reader, packing, ..
    } = opened;
    let mut out = Packed::new(packing, BufWriter::new(target.writer()?))?;
    let mut scrubbed = Vec::new();
    pieces(reader, &mut |piece| {
        scrubbed.clear();
        let (piece, read) = (splits::mended(piece), piece.len());
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            let scrubs = scrub(line, key, &mut scrubbed);
            done.lines += u64::from(line.ends_with(b"\n"));
            done.scrubs.tokens += scrubs.tokens;
            done.scrubs.remains += scrubs.remains;
        }
        progress.advance(read as u64, done.lines);
        out.write_all(&scrubbed)
    })?;
    out.finish()?;
    target.keep()?;
    Ok(done)
}

/// Hands on the bytes of `reader` in pieces that end with a line, or, in a line that is too long, where no token goes
/// on. The last line may have no end.
fn pieces(mut reader: impl Read, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES_MAX];
    let (mut filled, mut begun) = (0, false);
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let read = match reader.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        filled += read;
        let bytes = buffer.get(..filled).unwrap_or_default();
        if !begun && (read == 0 || filled >= PIECE_BYTES_MAX / 16) {
            // A log in UTF-16 would keep its tokens.
            lines::sniff(bytes)?;
            begun = true;
        }
        if read == 0 {
            return take(bytes);
        }
        if !begun {
            continue;
        }
        let end = match memchr::memrchr(b'\n', bytes) {
            Some(at) => splits::end_of_lines(bytes.get(..=at).unwrap_or_default()),
            None if filled == PIECE_BYTES_MAX => {
                let separator = bytes.iter().rposition(|byte| SEPARATORS.contains(byte));
                separator.map_or(filled, |at| at + 1)
            }
            None => continue,
        };
        take(bytes.get(..end).unwrap_or_default())?;
        buffer.copy_within(end..filled, 0);
        filled -= end;
    }
}

/// A writer that packs as the input was packed.
enum Packed<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
    Bzip2(BzEncoder<W>),
    Xz(Box<XzWriter<W>>),
}

impl<W: Write> Packed<W> {
    fn new(packing: Packing, out: W) -> io::Result<Self> {
        Ok(match packing {
            Packing::Plain => Self::Plain(out),
            Packing::Gzip => Self::Gzip(GzEncoder::new(out, Compression::default())),
            Packing::Zstd => Self::Zstd(zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?),
            Packing::Bzip2 => Self::Bzip2(BzEncoder::new(out, bzip2::Compression::default())),
            Packing::Xz => {
                let writer = XzWriter::new(out, XzOptions::default())?;
                Self::Xz(Box::new(writer))
            }
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Gzip(out) => out.write_all(bytes),
            Self::Zstd(out) => out.write_all(bytes),
            Self::Bzip2(out) => out.write_all(bytes),
            Self::Xz(out) => out.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut out) => out.flush(),
            Self::Gzip(out) => out.finish()?.flush(),
            Self::Zstd(out) => out.finish()?.flush(),
            Self::Bzip2(out) => out.finish()?.flush(),
            Self::Xz(out) => out.finish()?.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of a text that comes a few bytes at a time.
    fn cut(text: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        pieces(text, &mut |piece| {
            found.push(piece.to_vec());
            Ok(())
        })
        .unwrap();
        found
    }

    #[test]
    fn pieces_are_the_whole_input_and_never_cut_a_token_of_a_long_line() {
        let token = format!("eyJ{}", "a".repeat(1000));
        let long = format!("{token} ").repeat(5000);
        for text in ["", "no end", "\n\n", &format!("{long}\nshort\n"), &long] {
            let found = cut(text.as_bytes());
            assert_eq!(found.concat(), text.as_bytes());
            let (last, others) = found.split_last().unwrap();
            assert!(last.len() <= PIECE_BYTES_MAX);
            for piece in others {
                assert!(piece.len() <= PIECE_BYTES_MAX);
                assert!(piece.ends_with(b" ") || piece.ends_with(b"\n"));
            }
        }
    }

    #[test]
    fn a_log_in_utf_16_is_refused_instead_of_left_with_its_tokens() {
        let text: Vec<u8> = "eyJhbGci\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(pieces(&text[..], &mut |_| Ok(())).is_err());
    }
}
