//! What verification found out before, so that it need not be found out again.
//!
//! Entries are found by the exact bytes that they are about, not by a hash or a name of them: what
//! differs in one bit is something else. How long an entry holds is for its owner to say and to
//! check; here it only decides what makes room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::Timestamp;

/// A bounded map from bytes to what is known of them.
pub(crate) struct Remembered<V> {
    capacity: usize,
    entries: RwLock<Entries<V>>,
}

struct Entries<V> {
    known: BTreeMap<Arc<[u8]>, (Timestamp, V)>,
    /// The same, by when they end.
    by_end: BTreeSet<(Timestamp, Arc<[u8]>)>,
}

impl<V: Clone> Remembered<V> {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: RwLock::new(Entries {
                known: BTreeMap::new(),
                by_end: BTreeSet::new(),
            }),
        }
    }

    /// What is known of exactly these bytes.
    pub(crate) fn get(&self, bytes: &[u8]) -> Option<V> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.known.get(bytes).map(|(_, value)| value.clone())
    }

    /// Remembers something that will not be asked for after `end`. If there is no room, what ends
    /// first goes, which is what has ended if anything has.
    pub(crate) fn insert(&self, bytes: &[u8], value: V, end: Timestamp) {
        let bytes: Arc<[u8]> = bytes.into();
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let Entries { known, by_end } = &mut *entries;
        if let Some((earlier, _)) = known.insert(Arc::clone(&bytes), (end, value)) {
            by_end.remove(&(earlier, Arc::clone(&bytes)));
        }
        by_end.insert((end, bytes));
        while known.len() > self.capacity
            && let Some((_, first)) = by_end.pop_first()
        {
            known.remove(&first);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let entries = self.entries.read().unwrap();
        assert_eq!(entries.known.len(), entries.by_end.len());
        entries.known.len()
    }
}

impl<V> core::fmt::Debug for Remembered<V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn only_the_very_bytes_are_known() {
        let remembered = Remembered::new(4);
        remembered.insert(b"bytes", 1, at(9));
        assert_eq!(remembered.get(b"bytes"), Some(1));
        for other in [&b"byte"[..], b"bytes\0", b"byteS", b""] {
            assert_eq!(remembered.get(other), None);
        }
    }

    #[test]
    fn what_ends_first_makes_room() {
        let remembered = Remembered::new(3);
        for (bytes, end) in [(b"a", 5), (b"b", 2), (b"c", 7), (b"d", 6)] {
            remembered.insert(bytes, end, at(end));
        }
        let known = [b"a", b"b", b"c", b"d"].map(|bytes| remembered.get(bytes));
        assert_eq!(known, [Some(5), None, Some(7), Some(6)]);
        // What ends before all that is known is not worth another's place.
        remembered.insert(b"e", 1, at(1));
        assert_eq!(remembered.get(b"e"), None);
        assert_eq!(remembered.len(), 3);
    }

    #[test]
    fn the_same_bytes_take_one_place() {
        let remembered = Remembered::new(2);
        for end in 1..10 {
            remembered.insert(b"same", end, at(end));
            assert_eq!(remembered.len(), 1);
        }
        assert_eq!(remembered.get(b"same"), Some(9));
        remembered.insert(b"two", 0, at(3));
        remembered.insert(b"three", 0, at(4));
        assert_eq!(remembered.get(b"same"), Some(9), "its newest end counts");
        assert_eq!(remembered.get(b"two"), None);
    }

    #[test]
    fn nothing_is_kept_without_room() {
        let remembered = Remembered::new(0);
        remembered.insert(b"bytes", 1, at(9));
        assert_eq!(remembered.len(), 0);
    }
}
