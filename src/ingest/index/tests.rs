//! The index on the disk: what went in is found, whatever becomes of the files.

use super::*;
use crate::domain::context::Prefix;
use crate::ingest::generation::{Generation, Print};
use crate::ingest::stretch::Sketcher;
use std::net::IpAddr;
use tempfile::TempDir;

fn at(s: u64) -> Time {
    Time::from_ms(s as i64 * 1000).unwrap()
}

fn address(nth: u64) -> IpAddr {
    IpAddr::V4((nth as u32 * 256).into())
}

/// A folder with a log, whose generations are fed a stretch at a time.
struct Fed {
    folder: TempDir,
    position: Position,
    sketcher: Sketcher,
}

impl Fed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fs::write(&path, "a line\n").unwrap();
        let generation = Generation::of(&File::open(&path).unwrap()).unwrap();
        Self {
            position: Position::new(0, &path, &path, generation),
            folder,
            sketcher: Sketcher::default(),
        }
    }

    /// The `nth` megabyte, from the network of that number and at that second.
    fn feed(&mut self, index: &mut PositionIndex, generation: GenerationId, nth: u64) {
        self.sketcher.see(at(nth), Some(address(nth)));
        let (start_bytes, end_bytes) = (nth * STRETCH_BYTES, (nth + 1) * STRETCH_BYTES);
        let stretch = self.sketcher.stretch(start_bytes, end_bytes, 0, at(0));
        let extent = Extent {
            generation,
            start_bytes,
            end_bytes,
            number: 0,
            lines: 1,
            anchor: Print::default(),
        };
        let mut position = self.position.clone();
        position.id = generation;
        position.moved_to(&extent);
        index.add(&extent, stretch, || Some(position)).unwrap();
    }

    fn index(&self, open: Open) -> PositionIndex {
        PositionIndex::new(self.folder.path(), open)
    }
}

/// Generation and number of the stretches in which that network's lines of that second may stand.
fn found(view: View, nth: u64) -> Vec<(GenerationId, u64)> {
    let asked = [Prefix::of(address(nth))];
    let places = view
        .find(|stretch| stretch.may_hold(&asked, at(nth), at(nth)))
        .unwrap();
    let mut found = Vec::new();
    for (stretches, ends) in places.generations {
        found.extend(
            stretches
                .iter()
                .map(|stretch| (ends[0].id, stretch.start_bytes / STRETCH_BYTES)),
        );
    }
    found
}

#[test]
fn a_stretch_is_found_by_its_network_and_time_over_restarts() {
    let mut fed = Fed::new();
    let mut index = fed.index(Open::new());
    (0..50).for_each(|nth| fed.feed(&mut index, nth as u32 % 3, nth));
    assert!((0..50).all(|nth| found(index.view(), nth) == [(nth as u32 % 3, nth)]));
    assert_eq!(found(index.view(), 50), []);
    let open = index.open().clone();
    drop(index);
    let mut index = fed.index(open);
    fed.feed(&mut index, 0, 50);
    assert!((0..51).all(|nth| found(index.view(), nth).len() == 1));
}

#[test]
fn a_view_does_not_see_what_comes_after_it() {
    let mut fed = Fed::new();
    let mut index = fed.index(Open::new());
    fed.feed(&mut index, 0, 0);
    let view = index.view();
    (1..9).for_each(|nth| fed.feed(&mut index, 0, nth));
    assert_eq!(found(view, 5), []);
    assert_eq!(found(index.view(), 5), [(0, 5)]);
}

#[test]
fn a_file_that_is_torn_is_read_up_to_the_tear_and_hides_no_other() {
    let mut fed = Fed::new();
    let mut index = fed.index(Open::new());
    (0..5).for_each(|nth| fed.feed(&mut index, 0, nth));
    let path = path_of(fed.folder.path(), 0);
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).unwrap();
        let mut index = fed.index(Open::new());
        fed.feed(&mut index, 1, 20);
        let known: Vec<bool> = (0..5)
            .map(|nth| !found(index.view(), nth).is_empty())
            .collect();
        assert!(known.is_sorted_by(|a, b| a >= b), "{known:?}");
        assert!(!known[4]);
        assert_eq!(found(index.view(), 20), [(1, 20)]);
        fs::remove_file(path_of(fed.folder.path(), 1)).unwrap();
    }
}

#[test]
fn what_is_too_old_or_too_much_goes_and_it_is_said_from_when_on_places_are_known() {
    let mut fed = Fed::new();
    let mut index = fed.index(Open::new());
    for nth in 0..6 {
        fed.feed(&mut index, 0, nth);
        // Each in a file of its own.
        index.segment = None;
    }
    let of = |number| path_of(fed.folder.path(), number);
    fs::remove_file(of(0)).unwrap();
    let places = index.view().find(|_| false).unwrap();
    assert_eq!(places.known_from, Some(at(1)));
    let day = Duration::from_secs(86_400);
    index.forget(day);
    assert_eq!(found(index.view(), 3), [(0, 3)]);
    let old = SystemTime::now() - 2 * day;
    for number in 1..4 {
        let file = OpenOptions::new().write(true).open(of(number));
        file.unwrap().set_modified(old).unwrap();
    }
    index.forget(day);
    assert_eq!(found(index.view(), 3), []);
    assert_eq!(found(index.view(), 4), [(0, 4)]);
    let large = OpenOptions::new().write(true).open(of(4));
    large.unwrap().set_len(INDEX_BYTES_MAX).unwrap();
    fed.feed(&mut index, 0, 7);
    assert!(index.bytes() <= INDEX_BYTES_MAX);
}
