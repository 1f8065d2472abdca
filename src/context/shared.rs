//! What many contexts have, kept once.
//!
//! In: places, networks, agents. Out: the same, as one that was there before.
//! Does not know: what they are. Nothing depends on it but memory.

use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// Kept at a time: a large service sees some thousand towns, networks and agents. Beyond that a flood of invented ones
/// would fill memory; then sharing begins anew.
const SHARED_MAX: usize = 65_536;

/// Values so far. Senders choose what is in them, so the hash is seeded at random.
pub(super) struct Shared<T> {
    values: HashTable<Arc<T>>,
    hasher: foldhash::quality::RandomState,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            values: HashTable::new(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }
}

impl<T: Hash + PartialEq> Shared<T> {
    /// The value, as one that was there before.
    pub(super) fn of(&mut self, value: T) -> Arc<T> {
        let hash = self.hasher.hash_one(&value);
        if let Some(known) = self.values.find(hash, |known| **known == value) {
            return Arc::clone(known);
        }
        if self.values.len() == SHARED_MAX {
            self.values.clear();
        }
        let value = Arc::new(value);
        let hasher = &self.hasher;
        let hash_of = |value: &Arc<T>| hasher.hash_one(&**value);
        self.values.insert_unique(hash, Arc::clone(&value), hash_of);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_there_are_never_too_many() {
        let mut shared = Shared::default();
        let (a, b) = (shared.of("a".to_owned()), shared.of("b".to_owned()));
        assert!(Arc::ptr_eq(&a, &shared.of("a".to_owned())));
        assert!(!Arc::ptr_eq(&a, &b));
        for number in 0..2 * SHARED_MAX {
            shared.of(number.to_string());
        }
        assert!(shared.values.len() <= SHARED_MAX);
    }
}
