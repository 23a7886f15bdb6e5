//! A persistent ordered set for listing.

use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

/// Keys in a chunk, at most. A change copies one chunk if a snapshot shares it.
const CHUNK: usize = 128;

/// Keys in order, in chunks. Clones share everything.
///
/// One tree node for each key would cost some hundred bytes; in chunks a key costs little
/// more than itself.
pub(super) struct OrderedSet<K: Ord> {
    /// The keys below all bounds.
    first: Arc<Vec<K>>,
    /// The other chunks by a lower bound of their keys, which is above every key of the chunk
    /// before.
    chunks: RedBlackTreeMapSync<K, Arc<Vec<K>>>,
}

impl<K: Clone + Ord> OrderedSet<K> {
    /// Adds a key, if it is not there.
    pub(super) fn insert(&mut self, key: K) {
        let (_, chunk) = self.chunk_mut(&key);
        let Err(place) = chunk.binary_search(&key) else {
            return;
        };
        chunk.insert(place, key);
        if chunk.len() > CHUNK {
            let upper = chunk.split_off(CHUNK / 2);
            if let Some(bound) = upper.first().cloned() {
                self.chunks.insert_mut(bound, Arc::new(upper));
            }
        }
    }

    /// Removes a key, if it is there.
    pub(super) fn remove(&mut self, key: &K) {
        let (bound, chunk) = self.chunk_mut(key);
        if let Ok(place) = chunk.binary_search(key) {
            chunk.remove(place);
        }
        if let (true, Some(bound)) = (chunk.is_empty(), bound) {
            self.chunks.remove_mut(&bound);
        }
    }

    /// The keys after `start`, or all of them, in order.
    pub(super) fn after(&self, start: Option<K>) -> impl Iterator<Item = &K> {
        self.starting(start.map_or(Bound::Unbounded, Bound::Excluded))
    }

    /// The keys from `start` on, in order.
    pub(super) fn starting(&self, start: Bound<K>) -> impl Iterator<Item = &K> {
        let bound = match &start {
            Bound::Included(start) | Bound::Excluded(start) => self.bound_of(start),
            Bound::Unbounded => None,
        };
        let first = bound.is_none().then_some(&self.first);
        let bound = bound.map_or(Bound::Unbounded, |bound| Bound::Included(bound.clone()));
        let chunks = self.chunks.range((bound, Bound::Unbounded));
        first
            .into_iter()
            .chain(chunks.map(|(_, chunk)| chunk))
            .flat_map(|chunk| chunk.iter())
            .skip_while(move |key| match &start {
                Bound::Included(start) => *key < start,
                Bound::Excluded(start) => *key <= start,
                Bound::Unbounded => false,
            })
    }

    /// The lower bound of the chunk in which `key` is or would be; none for the first.
    fn bound_of(&self, key: &K) -> Option<&K> {
        let mut chunks = self.chunks.range((Bound::Unbounded, Bound::Included(key)));
        chunks.next_back().map(|(bound, _)| bound)
    }

    fn chunk_mut(&mut self, key: &K) -> (Option<K>, &mut Vec<K>) {
        let bound = self.bound_of(key).cloned();
        let chunk = match &bound {
            None => &mut self.first,
            Some(bound) => {
                let chunk = self.chunks.get_mut(bound);
                chunk.expect("a chunk has just been found by this bound")
            }
        };
        (bound, Arc::make_mut(chunk))
    }
}

impl<K: Ord> Default for OrderedSet<K> {
    fn default() -> Self {
        Self {
            first: Arc::default(),
            chunks: RedBlackTreeMapSync::new_sync(),
        }
    }
}

impl<K: Ord> Clone for OrderedSet<K> {
    fn clone(&self) -> Self {
        Self {
            first: self.first.clone(),
            chunks: self.chunks.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// Few keys and many steps, so that chunks split and empty out.
        #[test]
        fn it_is_a_set_in_order(steps in vec((any::<bool>(), 0..400_u16), 0..1500), start in 0..400_u16) {
            let mut set = OrderedSet::default();
            let mut model = BTreeSet::new();
            for (insert, key) in steps {
                if insert || key % 3 == 0 {
                    set.insert(key);
                    model.insert(key);
                } else {
                    set.remove(&key);
                    model.remove(&key);
                }
            }
            prop_assert!(set.after(None).eq(model.iter()));
            let after = (Bound::Excluded(start), Bound::Unbounded);
            prop_assert!(set.after(Some(start)).eq(model.range(after)));
            prop_assert!(set.starting(Bound::Included(start)).eq(model.range(start..)));
        }

        #[test]
        fn a_snapshot_stays_as_it_is(keys in vec(any::<u16>(), 0..300), more in vec(any::<u16>(), 0..300)) {
            let mut set = OrderedSet::default();
            keys.iter().for_each(|key| set.insert(*key));
            let (snapshot, model) = (set.clone(), keys.iter().copied().collect::<BTreeSet<_>>());
            more.iter().for_each(|key| set.insert(*key));
            keys.iter().for_each(|key| set.remove(key));
            prop_assert!(snapshot.after(None).eq(model.iter()));
        }
    }
}
