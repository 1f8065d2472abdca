//! A table that cannot grow without bound.
//!
//! In: a capacity. Out: [`Bounded`], a map that forgets what was not touched for longest, in two generations: entries
//! live in the young table, a full young table becomes the old one, and the old one before it is dropped. A look-up
//! brings an entry back to the young table. What is forgotten depends only on the order of calls, never on time or on
//! the hash, so that a replay forgets the same.
//! Does not know: what it holds.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::{Deserialize, Serialize};
use std::hash::Hash;

type Table<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A map of at most `capacity` entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "K: Serialize + Eq + Hash, V: Serialize",
    deserialize = "K: Deserialize<'de> + Eq + Hash, V: Deserialize<'de>"
))]
pub struct Bounded<K, V> {
    young: Table<K, V>,
    old: Table<K, V>,
    half: usize,
    evicted: u64,
    /// How often a full young table became the old one in this process.
    #[serde(skip)]
    turns: u64,
}

impl<K: Eq + Hash + Copy, V> Bounded<K, V> {
    /// An empty map of at most `capacity` entries (at least two).
    pub fn new(capacity: usize) -> Self {
        Self {
            young: Table::default(),
            old: Table::default(),
            half: (capacity / 2).max(1),
            evicted: 0,
            turns: 0,
        }
    }

    /// The entry, which counts as touched.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key)?;
            self.make_room();
            self.young.insert(key, value);
        }
        self.young.get_mut(&key)
    }

    /// The entry, without touching it.
    pub fn get(&self, key: K) -> Option<&V> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }

    /// The entry, without touching it.
    pub fn peek_mut(&mut self, key: K) -> Option<&mut V> {
        match self.young.contains_key(&key) {
            true => self.young.get_mut(&key),
            false => self.old.get_mut(&key),
        }
    }

    /// The entry, made by `make` when there is none.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key).unwrap_or_else(make);
            self.make_room();
            self.young.insert(key, value);
        }
        match self.young.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) => unreachable!("it was put there just now"),
        }
    }

    /// Puts an entry, in the place of one that was there.
    pub fn insert(&mut self, key: K, value: V) {
        if !self.young.contains_key(&key) {
            self.old.remove(&key);
            self.make_room();
        }
        self.young.insert(key, value);
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

    /// Before the young table grows, and never else: what is forgotten must not depend on how often a young entry is
    /// looked at.
    fn make_room(&mut self) {
        if self.young.len() >= self.half {
            self.turns += 1;
            self.evicted += self.old.len() as u64;
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_capacity_and_counts_what_it_forgot() {
        let mut map = Bounded::new(100);
        for key in 0..1000u32 {
            map.get_or_insert_with(key, || key);
            assert!(map.len() <= 100);
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
}
