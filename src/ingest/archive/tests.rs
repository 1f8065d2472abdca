//! What archives hold, and how they break.

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
    let (_, fault) = read("a.log", b"PK\x03\x04\0\0\0");
    let said = fault.unwrap().to_string();
    assert!(said.contains("unzip -p FILE | tokentrip scan -"), "{said}");
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

type Packer = fn(&[u8]) -> Vec<u8>;

/// Every kind of packing.
const PACKERS: [Packer; 4] = [gzip, zst, bzip2, xz];

#[test]
fn t30_every_packing_is_read_in_several_parts_whole_or_torn() {
    let text = numbered(0..60_000);
    let (one, two) = text.split_at(text.len() / 2 + 3);
    for (at, pack) in PACKERS.iter().enumerate() {
        let parts = [pack(one.as_bytes()), pack(two.as_bytes())].concat();
        let (lines, fault) = read("a.log", &parts);
        assert_eq!((lines.len(), fault), (60_000, None), "{at}");
        assert_eq!(lines.join("\n") + "\n", text, "{at}");
        let (lines, fault) = read("a.log", &parts[..parts.len() * 3 / 4]);
        assert_eq!(fault, Some(ReadFault::ArchiveTruncated), "{at}");
        assert!(lines.len() > 29_000, "{at}: only {} lines", lines.len());
    }
}

#[test]
fn t30_damage_in_any_packing_is_a_fault_after_what_came_before_it() {
    let text = numbered(0..300_000);
    for (at, pack) in PACKERS.iter().enumerate() {
        let mut packed = pack(text.as_bytes());
        let middle = packed.len() * 3 / 4;
        packed[middle..middle + 64].fill(0xa5);
        let (lines, fault) = read("a.log", &packed);
        assert!(fault.is_some(), "{at}");
        // bzip2 and xz check whole blocks; the smallest is all of a log this short.
        assert!(
            at > 1 || lines.len() > 100_000,
            "{at}: only {} lines",
            lines.len()
        );
    }
}

#[test]
fn t30_members_behind_a_damaged_one_are_read_and_what_is_lost_is_counted() {
    let first = gzip(numbered(0..10_000).as_bytes());
    let mut second = gzip(numbered(10_000..20_000).as_bytes());
    let third = gzip(numbered(20_000..30_000).as_bytes());
    let middle = second.len() / 2;
    second[middle..middle + 200].fill(0xff);
    let packed = [first, second, b"garbage".to_vec(), third].concat();
    let (lines, fault) = read("a.log", &packed);
    assert_eq!(fault, Some(ReadFault::ArchiveCorrupt));
    assert!(lines.contains(&"line 9999 of a log".to_owned()));
    let last: Vec<_> = (20_000..30_000)
        .map(|n| format!("line {n} of a log"))
        .collect();
    assert!(
        lines.ends_with(&last),
        "the torn line has not run into the next"
    );
    let mut opened = unpack(io::Cursor::new(packed)).unwrap();
    io::copy(&mut opened.reader, &mut io::sink()).unwrap_err();
    assert!(opened.lost_bytes.load(Ordering::Relaxed) > 0);
}

#[test]
fn t30_zeros_behind_an_archive_are_padding() {
    let mut packed = gzip(b"one\n");
    packed.extend_from_slice(&[0; 70_000]);
    assert_eq!(read("a.gz", &packed), (vec!["one".to_owned()], None));
}

#[test]
fn t30_a_bomb_of_any_packing_is_left_when_it_shows_itself() {
    let zeros = b"\n".repeat(RATIO_FREE_BYTES as usize * 5 / 4);
    for (at, pack) in PACKERS.iter().enumerate().skip(1) {
        let mut opened = unpack(io::Cursor::new(pack(&zeros))).unwrap();
        let error = io::copy(&mut opened.reader, &mut io::sink()).unwrap_err();
        assert_eq!(ReadFault::of(&error), Some(ReadFault::ArchiveBomb), "{at}");
    }
}

proptest::proptest! {
    #[test]
    fn no_damage_makes_a_decoder_panic(at in 0usize..4, flips in proptest::collection::vec((0usize..4000, proptest::prelude::any::<u8>()), 1..6)) {
        let mut packed = PACKERS[at](numbered(0..500).as_bytes());
        for (place, byte) in flips {
            let length = packed.len();
            packed[place % length] = byte;
        }
        if let Ok(mut opened) = unpack(io::Cursor::new(packed)) {
            let _ = io::copy(&mut opened.reader, &mut io::sink());
            let _ = opened.reader.read(&mut [0; 10]);
        }
    }
}
