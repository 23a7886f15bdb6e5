//! Objects by what identifies them, with the stamps of their records.

use std::borrow::Borrow;
use std::ops::Bound;
use std::sync::Arc;

use super::ordered_map::OrderedMap;
use super::rank::Rank;
use crate::record::Stamp;

/// Objects by key, each with the stamp of its record. Clones share everything.
pub(super) struct Table<K, V>(OrderedMap<K, Row<V>>);

struct Row<V> {
    object: Arc<V>,
    /// `None` until the object's record is sealed.
    stamp: Option<Stamp>,
}

impl<K: Clone + Rank, V> Table<K, V> {
    pub(super) fn get<Q: Rank + ?Sized>(&self, key: &Q) -> Option<&Arc<V>>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).map(|row| &row.object)
    }

    pub(super) fn stamp(&self, key: &K) -> Option<Stamp> {
        self.0.get(key)?.stamp
    }

    /// The objects whose keys come after `start`, or all of them, in the order of their keys.
    pub(super) fn after(&self, start: Option<K>) -> impl Iterator<Item = &Arc<V>> {
        self.starting(start.map_or(Bound::Unbounded, Bound::Excluded))
    }

    /// The objects whose keys come from `start` on, in the order of their keys.
    pub(super) fn starting(&self, start: Bound<K>) -> impl Iterator<Item = &Arc<V>> {
        self.0.starting(start).map(|(_, row)| &row.object)
    }

    /// Puts an object in; what it replaces comes out.
    pub(super) fn insert(
        &mut self,
        key: K,
        object: Arc<V>,
        stamp: Option<Stamp>,
    ) -> Option<Arc<V>> {
        let replaced = self.0.insert(key, Row { object, stamp });
        replaced.map(|row| row.object)
    }

    /// Takes an object out, if it is there.
    pub(super) fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        self.0.remove(key).map(|row| row.object)
    }
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Clone + Rank, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(OrderedMap::default())
    }
}

impl<V> Clone for Row<V> {
    fn clone(&self) -> Self {
        Self {
            object: self.object.clone(),
            stamp: self.stamp,
        }
    }
}
