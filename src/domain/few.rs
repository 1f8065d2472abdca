//! A list that nearly always holds none or one, and then allocates nothing.
//!
//! In: items. Out: [`Few`], a slice in every other respect. It may be borrowed for less time than its items, which the
//! inline vectors of the registry do not allow (their array parameter is invariant).
//! Does not know: what it holds.

use std::fmt;
use std::iter::Chain;
use std::ops::{Deref, DerefMut};

/// None, one or many.
#[derive(Clone, PartialEq, Eq)]
pub struct Few<T>(Inner<T>);

#[derive(Clone, PartialEq, Eq)]
enum Inner<T> {
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> Few<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self(Inner::None)
    }

    /// Adds an item at the end.
    #[inline]
    pub fn push(&mut self, item: T) {
        match &mut self.0 {
            // Written where it stays.
            Inner::None => self.0 = Inner::One(item),
            Inner::One(_) => self.spill(item),
            Inner::Many(items) => items.push(item),
        }
    }

    #[cold]
    fn spill(&mut self, item: T) {
        // A line with a second claim has most of the others, too.
        let mut items = Vec::with_capacity(8);
        items.extend(std::mem::take(self));
        items.push(item);
        self.0 = Inner::Many(items);
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match &self.0 {
            Inner::None => &[],
            Inner::One(item) => std::slice::from_ref(item),
            Inner::Many(items) => items,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Inner::None => &mut [],
            Inner::One(item) => std::slice::from_mut(item),
            Inner::Many(items) => items,
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;
    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self.0 {
            Inner::None => (None, Vec::new()),
            Inner::One(item) => (Some(item), Vec::new()),
            Inner::Many(items) => (None, items),
        };
        one.into_iter().chain(many)
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Self::new();
        few.extend(items);
        few
    }
}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_order_through_none_one_and_many() {
        for count in 0..5 {
            let few: Few<_> = (0..count).collect();
            assert_eq!(few.len(), count);
            assert_eq!(
                few.iter().copied().collect::<Vec<_>>(),
                (0..count).collect::<Vec<_>>()
            );
            assert_eq!(
                few.into_iter().collect::<Vec<_>>(),
                (0..count).collect::<Vec<_>>()
            );
        }
    }
}
