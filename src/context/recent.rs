//! A bounded cache in two generations.
//!
//! In: keys and what computes their values. Out: the values, computed anew only when they were not
//! asked for lately.
//! Does not know: time; what is kept depends on the order of questions alone.

use hashbrown::HashMap;
use std::borrow::Borrow;
use std::hash::Hash;

/// Keys are texts that senders choose, so the hash is seeded at random.
type Table<K, V> = HashMap<K, V, foldhash::quality::RandomState>;

/// What was asked for lately. When the young generation is full it becomes the old one, and the old
/// one is dropped: at most twice the limit is held, and what is asked for between two turns stays.
pub(super) struct Recent<K, V> {
    young: Table<K, V>,
    old: Table<K, V>,
    count_max: usize,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// Keeps at most twice `count_max` values.
    pub(super) fn new(count_max: usize) -> Self {
        Self {
            young: Table::default(),
            old: Table::default(),
            count_max,
        }
    }

    /// The value of `key`, computed when it is not held.
    pub(super) fn get<Q>(&mut self, key: &Q, compute: impl FnOnce() -> V) -> V
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(value) = self.young.get(key) {
            return value.clone();
        }
        let value = self.old.remove(key).unwrap_or_else(compute);
        if self.young.len() >= self.count_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key.to_owned(), value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_often_is_computed_once_and_the_rest_is_forgotten() {
        let mut recent: Recent<u32, u32> = Recent::new(10);
        let mut computed = Vec::new();
        for key in 1..100 {
            for key in [0, key] {
                assert_eq!(
                    recent.get(&key, || {
                        computed.push(key);
                        key * 2
                    }),
                    key * 2
                );
            }
        }
        assert_eq!(computed.iter().filter(|key| **key == 0).count(), 1);
        assert!(recent.young.len() + recent.old.len() <= 20);
    }
}
