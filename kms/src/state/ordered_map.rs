//! A persistent map in the order of its keys.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::mem;
use std::ops::Bound;
use std::slice;
use std::sync::Arc;

use super::rank::{Rank, Ranks};

/// Rows of a leaf, or children of a branch, at most. A change copies those nodes on the way to its
/// row that a snapshot shares, and counts a reference to each thing in them: more rows make that
/// dearer, fewer make the tree deeper.
const MOST: usize = 64;

/// Values by key, in a B+ tree. Clones share everything.
///
/// A row costs little more than itself, and is found by way of few nodes, most of which are in the
/// processor's cache even if there are a million rows: maps of one small node for each row need
/// hundreds of bytes for it, and have to fetch several from memory.
pub(super) struct OrderedMap<K, V>(Node<K, V>);

enum Node<K, V> {
    Leaf(Rows<K, V>),
    /// Children, each with a lower bound of its keys, which is above every key of the child before.
    /// That of the first is none: there may be keys below it.
    Branch(Rows<K, Self>),
}

/// A node's content in the order of keys, in one piece of memory: the processor waits for each
/// piece in turn.
struct Rows<K, T>(Arc<[Place<K, T>]>);

/// No place is empty, but while its row moves into a longer node or a shorter one: nothing else
/// can be moved out of what is shared.
type Place<K, T> = Option<(K, T)>;

impl<K: Clone + Rank, V: Clone> OrderedMap<K, V> {
    pub(super) fn get<Q: Rank + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (mut node, mut ranks) = (&self.0, Ranks::ALL);
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.at(leaf.place(key, ranks).ok()?),
                Node::Branch(branch) => node = branch.at(branch.place_of_child(key, &mut ranks))?,
            }
        }
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (mut node, mut ranks) = (&mut self.0, Ranks::ALL);
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.at_mut(leaf.place(key, ranks).ok()?),
                Node::Branch(branch) => {
                    node = branch.at_mut(branch.place_of_child(key, &mut ranks))?;
                }
            }
        }
    }

    /// All values, in the order of their keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.starting(Bound::Unbounded).map(|(_, value)| value)
    }

    /// The rows from `start` on, in order.
    pub(super) fn starting(&self, start: Bound<K>) -> impl Iterator<Item = (&K, &V)> {
        Iter::new(&self.0, &start)
    }

    /// Puts a value in; what it replaces comes out.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (replaced, split) = self.0.insert(key, value, Ranks::ALL);
        if let Some((bound, upper)) = split {
            let lower = mem::replace(&mut self.0, Node::empty());
            let children = [(bound.clone(), lower), (bound, upper)];
            self.0 = Node::Branch(Rows(children.map(Some).into()));
        }
        replaced
    }

    /// Takes a value out, if it is there.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        // Nothing is copied for a key that is not there.
        self.get(key)?;
        let removed = self.0.remove(key, Ranks::ALL);
        while let Node::Branch(branch) = &self.0
            && branch.0.len() < 2
        {
            self.0 = branch.at(0).map_or_else(Node::empty, Node::clone);
        }
        removed
    }
}

impl<K: Clone + Rank, V: Clone> Node<K, V> {
    fn empty() -> Self {
        Self::Leaf(Rows(Arc::new([])))
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.0.is_empty(),
            Self::Branch(branch) => branch.0.is_empty(),
        }
    }

    /// What was replaced, and if the node had to be split, its upper half with a lower bound.
    fn insert(&mut self, key: K, value: V, mut ranks: Ranks) -> (Option<V>, Option<(K, Self)>) {
        match self {
            Self::Leaf(leaf) => match leaf.place(&key, ranks) {
                Ok(place) => {
                    let replaced = leaf.at_mut(place);
                    (replaced.map(|present| mem::replace(present, value)), None)
                }
                Err(place) => {
                    let upper = leaf.insert_at(place, key, value);
                    (None, upper.map(|(bound, rows)| (bound, Self::Leaf(rows))))
                }
            },
            Self::Branch(branch) => {
                let place = branch.place_of_child(&key, &mut ranks);
                let Some(child) = branch.at_mut(place) else {
                    return (None, None);
                };
                let (replaced, split) = child.insert(key, value, ranks);
                let upper =
                    split.and_then(|(bound, upper)| branch.insert_at(place + 1, bound, upper));
                (
                    replaced,
                    upper.map(|(bound, rows)| (bound, Self::Branch(rows))),
                )
            }
        }
    }

    /// Takes out a value that is there. Nodes are not merged, but one without rows goes.
    fn remove(&mut self, key: &K, mut ranks: Ranks) -> Option<V> {
        match self {
            Self::Leaf(leaf) => leaf.remove_at(leaf.place(key, ranks).ok()?),
            Self::Branch(branch) => {
                let place = branch.place_of_child(key, &mut ranks);
                let child = branch.at_mut(place)?;
                let removed = child.remove(key, ranks);
                if child.is_empty() {
                    branch.remove_at(place);
                }
                removed
            }
        }
    }
}

impl<K: Clone + Rank, T: Clone> Rows<K, T> {
    /// Where `key` is, or where it would be.
    fn place<Q: Rank + ?Sized>(&self, key: &Q, ranks: Ranks) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        ranks.search(self.0.len(), key.rank(), |place| {
            let other = self.key(place);
            other.map_or(Ordering::Greater, |other| other.cmp(key))
        })
    }

    /// The place of the child in which `key` is or would be; leaves of the ranks those of that
    /// child.
    fn place_of_child<Q: Rank + ?Sized>(&self, key: &Q, ranks: &mut Ranks) -> usize
    where
        K: Borrow<Q>,
    {
        let bounds = self.0.len().saturating_sub(1);
        let place = ranks.search(bounds, key.rank(), |place| {
            let bound = self.key(place + 1);
            bound.map_or(Ordering::Greater, |bound| bound.cmp(key))
        });
        // What is equal to a bound is above it.
        let place = place.map_or_else(|place| place, |place| place + 1);
        let rank = |place| self.key(place).map(Q::rank);
        let low = (place > 0).then(|| rank(place)).flatten();
        ranks.narrow(low, rank(place + 1));
        place
    }

    fn key<Q: ?Sized>(&self, place: usize) -> Option<&Q>
    where
        K: Borrow<Q>,
    {
        let row = self.0.get(place)?.as_ref();
        row.map(|(key, _)| key.borrow())
    }

    fn at(&self, place: usize) -> Option<&T> {
        let row = self.0.get(place)?.as_ref();
        row.map(|(_, value)| value)
    }

    fn at_mut(&mut self, place: usize) -> Option<&mut T> {
        let row = Arc::make_mut(&mut self.0).get_mut(place)?.as_mut();
        row.map(|(_, value)| value)
    }

    /// Inserts a row, and if there are too many then, takes their upper half out, with its lower
    /// bound.
    fn insert_at(&mut self, place: usize, key: K, value: T) -> Option<(K, Self)> {
        let mut rows = self.take_rows();
        rows.insert(place, Some((key, value)));
        let upper = (rows.len() > MOST).then(|| rows.split_off(rows.len() / 2));
        self.0 = rows.into();
        let upper = upper?;
        let (bound, _) = upper.first()?.as_ref()?;
        Some((bound.clone(), Self(upper.into())))
    }

    fn remove_at(&mut self, place: usize) -> Option<T> {
        let mut rows = self.take_rows();
        let removed = rows.remove(place);
        self.0 = rows.into();
        removed.map(|(_, value)| value)
    }

    /// The rows, with room for one more. Nothing is copied but what a snapshot shares.
    fn take_rows(&mut self) -> Vec<Place<K, T>> {
        let mut rows = Vec::with_capacity(self.0.len() + 1);
        match Arc::get_mut(&mut self.0) {
            Some(own) => rows.extend(own.iter_mut().map(Option::take)),
            None => rows.extend_from_slice(&self.0),
        }
        rows
    }
}

/// An iterator over rows.
struct Iter<'a, K, V> {
    /// What comes after the leaf, the nearest last.
    later: Vec<slice::Iter<'a, Place<K, Node<K, V>>>>,
    leaf: slice::Iter<'a, Place<K, V>>,
}

impl<'a, K: Clone + Rank, V: Clone> Iter<'a, K, V> {
    fn new(root: &'a Node<K, V>, start: &Bound<K>) -> Self {
        let mut rows = Self {
            later: Vec::new(),
            leaf: [].iter(),
        };
        rows.descend(root, start, Ranks::ALL);
        rows
    }

    /// To the leaf in which `start` is or would be.
    fn descend(&mut self, mut node: &'a Node<K, V>, start: &Bound<K>, mut ranks: Ranks) {
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let first = match start {
                        Bound::Included(start) => match leaf.place(start, ranks) {
                            Ok(place) | Err(place) => place,
                        },
                        Bound::Excluded(start) => match leaf.place(start, ranks) {
                            Ok(place) => place + 1,
                            Err(place) => place,
                        },
                        Bound::Unbounded => 0,
                    };
                    self.leaf = leaf.0.get(first..).unwrap_or_default().iter();
                    return;
                }
                Node::Branch(branch) => {
                    let place = match start {
                        Bound::Included(start) | Bound::Excluded(start) => {
                            branch.place_of_child(start, &mut ranks)
                        }
                        Bound::Unbounded => 0,
                    };
                    let mut children = branch.0.get(place..).unwrap_or_default().iter();
                    let Some((_, child)) = children.next().and_then(Option::as_ref) else {
                        return;
                    };
                    self.later.push(children);
                    node = child;
                }
            }
        }
    }
}

impl<'a, K: Clone + Rank, V: Clone> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next().and_then(Option::as_ref) {
                return Some((key, value));
            }
            match self.later.last_mut()?.next().and_then(Option::as_ref) {
                Some((_, node)) => self.descend(node, &Bound::Unbounded, Ranks::ALL),
                None => drop(self.later.pop()),
            }
        }
    }
}

impl<K: Clone + Rank, V: Clone> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self(Node::empty())
    }
}

impl<K, V> Clone for OrderedMap<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Clone for Node<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(leaf) => Self::Leaf(Rows(Arc::clone(&leaf.0))),
            Self::Branch(branch) => Self::Branch(Rows(Arc::clone(&branch.0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::test_random::TestRandom;

    type Map = OrderedMap<u16, u32>;

    /// Some share one.
    impl Rank for u16 {
        fn rank(&self) -> u64 {
            u64::from(*self >> 3) << 44
        }
    }

    thread_local! {
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts how often it is compared.
    #[derive(Clone, Copy, Eq, PartialEq, PartialOrd)]
    struct Counting(u64);

    #[expect(clippy::derive_ord_xor_partial_ord, reason = "they agree")]
    impl Ord for Counting {
        fn cmp(&self, other: &Self) -> Ordering {
            LOOKS.set(LOOKS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl Rank for Counting {
        fn rank(&self) -> u64 {
            self.0 >> 7
        }
    }

    /// Looks for each key on average, if each is looked for.
    fn looks(keys: &[u64]) -> f64 {
        let mut map = OrderedMap::default();
        for key in keys {
            map.insert(Counting(*key), *key);
        }
        LOOKS.set(0);
        for key in keys {
            assert_eq!(map.get(&Counting(*key)), Some(key));
        }
        LOOKS.get() as f64 / keys.len() as f64
    }

    fn rows(map: &Map) -> Vec<(u16, u32)> {
        let rows = map.starting(Bound::Unbounded);
        rows.map(|(key, value)| (*key, *value)).collect()
    }

    /// Bounds in order, as many as they must be, no node too large or empty; gives the depth.
    fn check(node: &Node<u16, u32>, least: Option<u16>, most: Option<u16>, is_root: bool) -> usize {
        match node {
            Node::Leaf(leaf) => {
                let keys: Vec<_> = leaf.0.iter().flatten().map(|(key, _)| *key).collect();
                assert_eq!(keys.len(), leaf.0.len());
                assert!(keys.len() <= MOST && (is_root || !keys.is_empty()));
                assert!(keys.is_sorted());
                assert!(least.is_none_or(|least| keys.iter().all(|key| *key >= least)));
                assert!(most.is_none_or(|most| keys.iter().all(|key| *key < most)));
                1
            }
            Node::Branch(branch) => {
                let children: Vec<_> = branch.0.iter().flatten().collect();
                assert_eq!(children.len(), branch.0.len());
                assert!(children.len() <= MOST && (!is_root || children.len() > 1));
                let bounds = children.iter().skip(1).map(|(bound, _)| Some(*bound));
                let lower = [least].into_iter().chain(bounds.clone());
                let upper = bounds.chain([most]);
                let depths: Vec<_> = children
                    .iter()
                    .zip(lower.zip(upper))
                    .map(|((_, child), (least, most))| check(child, least, most, false))
                    .collect();
                assert!(depths.iter().all(|depth| *depth == depths[0]));
                depths[0] + 1
            }
        }
    }

    proptest! {
        /// So many steps that branches split, too, and that nodes empty out.
        #[test]
        fn it_is_a_map_in_order(
            steps in vec((0..40_u8, 0..12_000_u16), 0..24_000),
            start in 0..12_000_u16,
        ) {
            let mut map = Map::default();
            let mut model = BTreeMap::new();
            for (number, (step, key)) in (0..).zip(steps) {
                if step > 0 {
                    prop_assert_eq!(map.insert(key, number), model.insert(key, number));
                } else {
                    // And some that are beside it, so that whole leaves empty out.
                    for key in key..key + 80 {
                        prop_assert_eq!(map.remove(&key), model.remove(&key));
                    }
                }
            }
            check(&map.0, None, None, true);
            prop_assert!(map.starting(Bound::Unbounded).eq(model.iter()));
            prop_assert!(map.values().eq(model.values()));
            let after = (Bound::Excluded(start), Bound::Unbounded);
            prop_assert!(map.starting(Bound::Excluded(start)).eq(model.range(after)));
            prop_assert!(map.starting(Bound::Included(start)).eq(model.range(start..)));
            for key in (0..12_000).step_by(17) {
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.get_mut(&key), model.get_mut(&key));
            }
            for key in model.into_keys() {
                prop_assert!(map.remove(&key).is_some());
            }
            check(&map.0, None, None, true);
            prop_assert_eq!(rows(&map), []);
        }

        #[test]
        fn a_snapshot_stays_as_it_is(
            keys in vec(any::<u16>(), 0..3000),
            more in vec(any::<u16>(), 0..300),
        ) {
            let mut map = Map::default();
            for key in &keys {
                map.insert(*key, 1);
            }
            let (snapshot, before) = (map.clone(), rows(&map));
            for key in more {
                map.insert(key, 2);
            }
            for key in &keys {
                if let Some(value) = map.get_mut(key) {
                    *value = 3;
                }
                map.remove(key);
            }
            prop_assert_eq!(rows(&snapshot), before);
        }
    }

    #[test]
    fn it_grows_slowly_in_depth() {
        for order in [|key: u16| key, |key: u16| key.reverse_bits()] {
            let mut map = Map::default();
            for key in 0..=u16::MAX {
                map.insert(order(key), 0);
            }
            assert_eq!(check(&map.0, None, None, true), 3);
        }
    }

    /// Halving looks 17 times among so many.
    #[test]
    fn what_is_spread_evenly_is_found_with_few_looks() {
        let mut random = TestRandom::new(1);
        let keys: Vec<u64> = (0..100_000).map(|_| random.next_u64()).collect();
        let even = looks(&keys);
        assert!(even < 10.0, "{even} looks");
        // All close together, or where ranks don't tell them apart.
        for narrowed in [12, 60] {
            let keys: Vec<u64> = keys.iter().map(|key| key >> narrowed).collect();
            let close = looks(&keys);
            assert!(close < 18.0, "{close} looks");
        }
    }
}
