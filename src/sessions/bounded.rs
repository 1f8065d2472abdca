//! A table that cannot grow without bound.
//!
//! In: a capacity. Out: [`Bounded`], a map that forgets what was not touched for longest, in two generations: entries
//! live in the young generation, a full young one becomes the old one, and the old one before it is dropped. A look-up
//! brings an entry back to the young one. What is forgotten depends only on the order of calls, never on time or on
//! the hash, so that a replay forgets the same.
//! Does not know: what it holds.
//!
//! Entries stand in one row, and the generations are tables of their numbers: a hash table that grows holds everything
//! twice for a moment and has a third of its places empty, which at four bytes a place is little.

use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::hash::{BuildHasher, Hash};

/// A map of at most `capacity` entries.
#[derive(Clone, Debug)]
pub struct Bounded<K, V> {
    young: HashTable<u32>,
    old: HashTable<u32>,
    /// Every entry in its place; a forgotten one leaves it empty.
    entries: Vec<Option<(K, V)>>,
    /// The empty places.
    free: Vec<u32>,
    half: usize,
    evicted: u64,
    /// How often a full young generation became the old one in this process.
    turns: u64,
    hasher: foldhash::fast::RandomState,
}

impl<K: Eq + Hash + Copy, V> Bounded<K, V> {
    /// An empty map of at most `capacity` entries (at least two).
    pub fn new(capacity: usize) -> Self {
        Self {
            young: HashTable::new(),
            old: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            half: (capacity / 2).clamp(1, (u32::MAX / 2) as usize),
            evicted: 0,
            turns: 0,
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    /// The entry, which counts as touched.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.touch(key)?;
        self.at_mut(place)
    }

    /// The entry, without touching it.
    pub fn get(&self, key: K) -> Option<&V> {
        let place = self.place(key)?;
        let entry = self.entries.get(place as usize)?.as_ref();
        entry.map(|(_, value)| value)
    }

    /// The entry, without touching it.
    pub fn peek_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.place(key)?;
        self.at_mut(place)
    }

    /// The entry, made by `make` when there is none.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let place = match self.touch(key) {
            Some(place) => place,
            None => {
                self.make_room();
                self.add(key, make())
            }
        };
        self.at_mut(place).expect(IN_PLACE)
    }

    /// Puts an entry, in the place of one that was there.
    pub fn insert(&mut self, key: K, value: V) {
        match self.touch(key).and_then(|place| self.at_mut(place)) {
            Some(known) => *known = value,
            None => {
                self.make_room();
                self.add(key, value);
            }
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let is_it = |place: &u32| is_of(&self.entries, *place, key);
        let found = match self.young.find_entry(hash, is_it) {
            Ok(entry) => entry,
            Err(_) => self.old.find_entry(hash, is_it).ok()?,
        };
        let (place, _) = found.remove();
        let (_, value) = self.entries.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some(value)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries were forgotten for want of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How often what was old was forgotten, or could have been, in this process.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Every entry, in no order that means anything.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let entries = self.entries.iter_mut().flatten();
        entries.map(|(_, value)| value)
    }

    /// The place of an entry, in either generation.
    fn place(&self, key: K) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let is_it = |place: &u32| is_of(&self.entries, *place, key);
        let young = self.young.find(hash, is_it);
        young.or_else(|| self.old.find(hash, is_it)).copied()
    }

    /// The place of an entry, which is young from now on.
    #[inline]
    fn touch(&mut self, key: K) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let is_it = |place: &u32| is_of(&self.entries, *place, key);
        if let Some(place) = self.young.find(hash, is_it) {
            return Some(*place);
        }
        if self.old.is_empty() {
            return None;
        }
        let (place, _) = self.old.find_entry(hash, is_it).ok()?.remove();
        self.make_room();
        self.rejuvenate(hash, place);
        Some(place)
    }

    fn rejuvenate(&mut self, hash: u64, place: u32) {
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |place: &u32| match entries.get(*place as usize) {
            Some(Some((key, _))) => hasher.hash_one(key),
            _ => 0,
        };
        self.young.insert_unique(hash, place, hash_of);
    }

    /// Puts an entry that is not there.
    fn add(&mut self, key: K, value: V) -> u32 {
        let hash = self.hasher.hash_one(key);
        let entry = Some((key, value));
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.rejuvenate(hash, place);
        place
    }

    fn at_mut(&mut self, place: u32) -> Option<&mut V> {
        let entry = self.entries.get_mut(place as usize)?.as_mut();
        entry.map(|(_, value)| value)
    }

    /// Before the young generation grows, and never else: what is forgotten must not depend on how often a young entry
    /// is looked at.
    #[inline]
    fn make_room(&mut self) {
        if self.young.len() >= self.half {
            self.grow_old();
        }
    }

    #[cold]
    fn grow_old(&mut self) {
        self.turns += 1;
        self.evicted += self.old.len() as u64;
        let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        for place in forgotten {
            self.entries[place as usize] = None;
            self.free.push(place);
        }
    }
}

/// Why a place that was just found or filled holds an entry: only [`Bounded::grow_old`] and [`Bounded::remove`] empty
/// one.
const IN_PLACE: &str = "an entry stands in the place it was put";

#[inline]
fn is_of<K: Eq, V>(entries: &[Option<(K, V)>], place: u32, key: K) -> bool {
    matches!(entries.get(place as usize), Some(Some((known, _))) if *known == key)
}

/// What is written of a map: both generations.
#[derive(Serialize)]
struct Written<'a, K, V> {
    young: Vec<&'a (K, V)>,
    old: Vec<&'a (K, V)>,
    half: usize,
    evicted: u64,
}

/// The same, read.
#[derive(Deserialize)]
struct Read<K, V> {
    young: Vec<(K, V)>,
    old: Vec<(K, V)>,
    half: usize,
    evicted: u64,
}

impl<K: Serialize, V: Serialize> Serialize for Bounded<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let generation = |places: &HashTable<u32>| {
            let entries = places.iter().map(|place| self.entries.get(*place as usize));
            entries.flatten().flatten().collect()
        };
        let written = Written {
            young: generation(&self.young),
            old: generation(&self.old),
            half: self.half,
            evicted: self.evicted,
        };
        written.serialize(serializer)
    }
}

impl<'de, K, V> Deserialize<'de> for Bounded<K, V>
where
    K: Deserialize<'de> + Eq + Hash + Copy,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::<K, V>::deserialize(deserializer)?;
        let mut map = Self::new(0);
        for (key, value) in read.old {
            map.add(key, value);
        }
        map.old = std::mem::take(&mut map.young);
        for (key, value) in read.young {
            map.add(key, value);
        }
        (map.half, map.evicted) = (read.half, read.evicted);
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_never_holds_more_than_its_capacity_and_counts_what_it_forgot() {
        let mut map = Bounded::new(100);
        for key in 0..1000u32 {
            map.get_or_insert_with(key, || key);
            assert!(map.len() <= 100 && map.entries.len() <= 100);
        }
        assert_eq!(map.evicted() + map.len() as u64, 1000);
    }

    #[test]
    fn what_is_touched_stays() {
        let mut map = Bounded::new(10);
        for key in 0..1000u32 {
            map.get_or_insert_with(key, || key);
            assert_eq!(map.get_mut(0).copied(), Some(0));
        }
    }

    const HALF: usize = 20;

    /// The same in two maps of the standard library.
    #[derive(Default)]
    struct Model {
        young: BTreeMap<u8, u32>,
        old: BTreeMap<u8, u32>,
        evicted: u64,
    }

    impl Model {
        fn make_room(&mut self) {
            if self.young.len() >= HALF {
                self.evicted += self.old.len() as u64;
                self.old = std::mem::take(&mut self.young);
            }
        }

        fn touch(&mut self, key: u8) -> Option<&mut u32> {
            if let Some(value) = self.old.remove(&key) {
                self.make_room();
                self.young.insert(key, value);
            }
            self.young.get_mut(&key)
        }

        fn insert(&mut self, key: u8, value: u32) {
            if self.touch(key).is_none() {
                self.make_room();
            }
            self.young.insert(key, value);
        }
    }

    proptest! {
        #[test]
        fn it_does_what_two_plain_maps_do_also_after_a_restart(
            calls in prop::collection::vec((any::<u8>(), 0..5_u8), 0..400),
        ) {
            let (mut map, mut model) = (Bounded::new(2 * HALF), Model::default());
            for (number, (key, call)) in (0..).zip(calls) {
                let known = match call {
                    0 => {
                        prop_assert_eq!(map.get_mut(key).copied(), model.touch(key).copied());
                        continue;
                    }
                    1 => {
                        let bytes = postcard::to_stdvec(&map).unwrap();
                        map = postcard::from_bytes(&bytes).unwrap();
                        continue;
                    }
                    2 => {
                        map.insert(key, number);
                        model.insert(key, number);
                        continue;
                    }
                    _ => *map.get_or_insert_with(key, || number),
                };
                if model.touch(key).is_none() {
                    model.insert(key, number);
                }
                prop_assert_eq!(known, model.young[&key]);
                prop_assert_eq!(map.peek_mut(key).copied(), Some(known));
                let both = model.young.get(&key).or_else(|| model.old.get(&key));
                prop_assert_eq!(map.get(key), both);
                prop_assert_eq!(map.len(), model.young.len() + model.old.len());
                prop_assert_eq!(map.evicted(), model.evicted);
            }
        }
    }
}
