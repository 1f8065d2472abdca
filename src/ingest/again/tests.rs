//! Lines that are read again are the lines that were read first, plain or packed, alone or with a margin.

use super::*;
use crate::domain::time::Time;
use crate::ingest::generation::{Extent, Generation};
use crate::ingest::stretch::Sketcher;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write;

fn stretch(start: u64, end: u64, number: u64) -> Stretch {
    Sketcher::default().stretch(start, end, number, Time::default())
}

fn texts(chunk: &Chunk) -> Vec<(u64, u64, String)> {
    chunk
        .lines()
        .map(|line| (line.offset_bytes, line.number, line.text.to_owned()))
        .collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn stretches_give_the_lines_that_stand_in_them(
        lengths in prop::collection::vec(0usize..20_000, 1..300),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 2..8),
        wrapped in any::<bool>(),
    ) {
        let mut text = String::new();
        let mut starts = Vec::new();
        for (nth, length) in lengths.iter().enumerate() {
            starts.push(text.len() as u64);
            text += &format!("{nth} {}\n", "x".repeat(*length));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let gz = folder.path().join("access.log.gz");
        fs::write(&path, &text).unwrap();
        fs::write(&gz, packed(text.as_bytes())).unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(starts.len())).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let source = Source("access.log".into());
        for path in [path, gz] {
            let mut log = Again::open(&path, &source).unwrap();
            prop_assert!(!log.head().unwrap().is_empty());
            for pair in cuts.windows(2) {
                let (first, behind) = (pair[0], pair[1]);
                let wanted = stretch(starts[first], starts[behind], first as u64 + 1);
                let mut lines = texts(&log.lines(&[wanted], wrapped).unwrap());
                if wrapped {
                    let span = starts[first]..starts[behind];
                    lines.retain(|(offset, ..)| span.contains(offset));
                }
                let line = |nth: usize| format!("{nth} {}", "x".repeat(lengths[nth]));
                let expected: Vec<_> = (first..behind)
                    .map(|nth| (starts[nth], nth as u64 + 1, line(nth)))
                    .collect();
                prop_assert_eq!(lines, expected);
            }
        }
    }
}

#[test]
fn a_generation_is_found_under_a_rotated_name_in_an_archive_and_not_in_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = "first line of this log\nsecond\nthird\n";
    fs::write(at("access.log"), text).unwrap();
    let generation = Generation::of(&File::open(at("access.log")).unwrap()).unwrap();
    let mut end = Position::new(0, &at("access.log"), &at("access.log"), generation);
    end.moved_to(&Extent {
        generation: 0,
        start_bytes: 0,
        end_bytes: 30,
        number: 1,
        lines: 2,
        anchor: Print::of(&text.as_bytes()[..30]),
    });
    let found = |end: &Position| {
        let mut log = Again::find(end).next()?;
        let chunk = log.lines(&[stretch(0, 30, 1)], false).unwrap();
        assert!(log.vouches(end));
        Some(texts(&chunk).len())
    };
    assert_eq!(found(&end), Some(2));
    fs::rename(at("access.log"), at("access.log.1")).unwrap();
    fs::write(at("access.log"), "another first line, of more bytes\n").unwrap();
    assert_eq!(found(&end), Some(2));
    fs::write(at("access.log.1.gz"), packed(text.as_bytes())).unwrap();
    fs::remove_file(at("access.log.1")).unwrap();
    assert_eq!(found(&end), Some(2));
    fs::remove_file(at("access.log.1.gz")).unwrap();
    assert_eq!(found(&end), None);
}
