//! A persistent map that finds in constant time and lists in order.

use std::borrow::Borrow;
use std::hash::Hash;
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use rpds::HashTrieMapSync;

use super::ordered_set::OrderedSet;
use crate::record::Stamp;

/// Objects by key, each with the stamp of its record. Clones share everything.
pub(super) struct Table<K: Eq + Hash + Ord, V> {
    rows: HashTrieMapSync<K, Row<V>>,
    order: OrderedSet<K>,
}

struct Row<V> {
    object: Arc<V>,
    /// `None` until the object's record is sealed.
    stamp: Option<Stamp>,
}

impl<K: Clone + Eq + Hash + Ord, V> Table<K, V> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&Arc<V>>
    where
        K: Borrow<Q>,
    {
        self.rows.get(key).map(|row| &row.object)
    }

    pub(super) fn stamp(&self, key: &K) -> Option<Stamp> {
        self.rows.get(key)?.stamp
    }

    /// The objects whose keys come after `start`, or all of them, in the order of their keys.
    pub(super) fn after(&self, start: Option<K>) -> impl Iterator<Item = &Arc<V>> {
        self.order.after(start).filter_map(|key| self.get(key))
    }

    /// The objects whose keys come from `start` on, in the order of their keys.
    pub(super) fn starting(&self, start: Bound<K>) -> impl Iterator<Item = &Arc<V>> {
        self.order.starting(start).filter_map(|key| self.get(key))
    }

    /// Puts an object in; what it replaces comes out.
    pub(super) fn insert(
        &mut self,
        key: K,
        object: Arc<V>,
        stamp: Option<Stamp>,
    ) -> Option<Arc<V>> {
        let row = Row { object, stamp };
        if let Some(present) = self.rows.get_mut(&key) {
            return Some(mem::replace(present, row).object);
        }
        self.order.insert(key.clone());
        self.rows.insert_mut(key, row);
        None
    }

    /// Takes an object out, if it is there.
    pub(super) fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        let object = self.get(key).cloned()?;
        self.rows.remove_mut(key);
        self.order.remove(key);
        Some(object)
    }
}

impl<K: Eq + Hash + Ord, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            order: self.order.clone(),
        }
    }
}

impl<K: Eq + Hash + Ord, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: HashTrieMapSync::new_sync(),
            order: OrderedSet::default(),
        }
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
