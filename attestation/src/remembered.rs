//! What verification found out before, so that it need not be found out again.
//!
//! Entries are found by the exact bytes that they are about, not by a hash or a name of them: what
//! differs in one bit is something else. How long an entry holds is for its owner to know and to
//! check.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// A bounded map from bytes to what is known of them.
pub(crate) struct Remembered<V> {
    capacity: usize,
    entries: RwLock<Entries<V>>,
}

struct Entries<V> {
    known: BTreeMap<Place, Entry<V>>,
    /// The same, in the order in which they came.
    by_age: BTreeMap<u64, Place>,
    /// The number of the next one to come.
    next: u64,
}

struct Entry<V> {
    bytes: Box<[u8]>,
    number: u64,
    value: V,
}

/// Where bytes stand: by their end, where documents and certificates have a signature, and keys
/// their modulus. They begin alike for kilobytes, and comparing that at each step would take
/// longer than all else. The whole is compared once, with the one entry that has this place.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    /// The last sixteen bytes, as a number: that is compared fastest.
    last: u128,
    length: usize,
}

impl Place {
    fn of(bytes: &[u8]) -> Self {
        let append = |number, byte: &u8| number << 8 | u128::from(*byte);
        Self {
            last: match bytes.last_chunk() {
                Some(last) => u128::from_be_bytes(*last),
                None => bytes.iter().fold(0, append),
            },
            length: bytes.len(),
        }
    }
}

impl<V: Clone> Remembered<V> {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: RwLock::new(Entries {
                known: BTreeMap::new(),
                by_age: BTreeMap::new(),
                next: 0,
            }),
        }
    }

    /// What is known of exactly these bytes.
    pub(crate) fn get(&self, bytes: &[u8]) -> Option<V> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.known.get(&Place::of(bytes))?;
        (*entry.bytes == *bytes).then(|| entry.value.clone())
    }

    /// Remembers something. If there is no room, what came first goes, however long it would hold:
    /// of a fleet of more instances than there is room for, those whose certificates end first must
    /// not be the ones that are never known. What had the same place goes too.
    pub(crate) fn insert(&self, bytes: &[u8], value: V) {
        let place = Place::of(bytes);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let Entries {
            known,
            by_age,
            next,
        } = &mut *entries;
        let entry = Entry {
            bytes: bytes.into(),
            number: *next,
            value,
        };
        if let Some(earlier) = known.insert(place, entry) {
            by_age.remove(&earlier.number);
        }
        by_age.insert(*next, place);
        *next += 1;
        while known.len() > self.capacity
            && let Some((_, first)) = by_age.pop_first()
        {
            known.remove(&first);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let entries = self.entries.read().unwrap();
        assert_eq!(entries.known.len(), entries.by_age.len());
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

    #[test]
    fn only_the_very_bytes_are_known() {
        let remembered = Remembered::new(4);
        remembered.insert(b"bytes", 1);
        assert_eq!(remembered.get(b"bytes"), Some(1));
        for other in [&b"byte"[..], b"bytes\0", b"byteS", b""] {
            assert_eq!(remembered.get(other), None);
        }
    }

    #[test]
    fn what_came_first_makes_room() {
        let remembered = Remembered::new(3);
        for (number, bytes) in [b"a", b"b", b"c", b"a", b"d"].into_iter().enumerate() {
            remembered.insert(bytes, number);
        }
        let known = [b"a", b"b", b"c", b"d"].map(|bytes| remembered.get(bytes));
        // That which came again counts as new.
        assert_eq!(known, [Some(3), None, Some(2), Some(4)]);
        assert_eq!(remembered.len(), 3);
    }

    #[test]
    fn the_same_bytes_take_one_place() {
        let remembered = Remembered::new(2);
        for number in 1..10 {
            remembered.insert(b"same", number);
            assert_eq!(remembered.len(), 1);
        }
        assert_eq!(remembered.get(b"same"), Some(9));
        remembered.insert(b"two", 0);
        assert_eq!(remembered.get(b"same"), Some(9));
        assert_eq!(remembered.len(), 2);
    }

    /// Bytes that end alike have one place, and are still not taken for one another.
    #[test]
    fn what_ends_alike_is_told_apart() {
        let remembered = Remembered::new(4);
        let [first, second] = [b'1', b'2'].map(|first| [&[first][..], &[7; 40]].concat());
        remembered.insert(&first, 1);
        assert_eq!(remembered.get(&second), None);
        remembered.insert(&second, 2);
        assert_eq!(remembered.get(&second), Some(2));
        assert_eq!(remembered.get(&first), None, "the later one is known");
        assert_eq!(remembered.len(), 1);
        // Another length is another place, even where what is missing would be zeros.
        remembered.insert(b"\0end", 3);
        remembered.insert(b"end", 4);
        assert_eq!(remembered.get(b"\0end"), Some(3));
        assert_eq!(remembered.len(), 3);
    }

    #[test]
    fn nothing_is_kept_without_room() {
        let remembered = Remembered::new(0);
        remembered.insert(b"bytes", 1);
        assert_eq!(remembered.len(), 0);
    }
}
