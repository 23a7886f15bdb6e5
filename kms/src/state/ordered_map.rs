//! A persistent map in the order of its keys.

use std::borrow::Borrow;
use std::iter::Zip;
use std::mem;
use std::ops::Bound;
use std::slice;
use std::sync::Arc;

/// Rows of a leaf, or children of a branch, at most. A change copies those nodes on the way to its
/// row that a snapshot shares, and counts a reference to each thing in them: more rows make that
/// dearer, fewer make the tree deeper.
const MOST: usize = 32;

/// How much room a node gets when it is full. Twice as much each time would leave a third of the
/// memory unused.
const ROOM: usize = 4;

/// Values by key, in a B+ tree. Clones share everything.
///
/// A row costs little more than itself, and is found by way of few nodes, most of which are in the
/// processor's cache even if there are a million rows: maps of one small node for each row need
/// hundreds of bytes for it, and have to fetch several from memory.
pub(super) struct OrderedMap<K, V>(Node<K, V>);

enum Node<K, V> {
    Leaf(Arc<Leaf<K, V>>),
    Branch(Arc<Branch<K, V>>),
}

/// Rows in order. Keys are apart from values, so that a search looks at little memory.
struct Leaf<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
}

struct Branch<K, V> {
    /// A lower bound of the keys of every child but the first, which is above every key of the
    /// child before.
    bounds: Vec<K>,
    children: Vec<Node<K, V>>,
}

impl<K: Clone + Ord, V: Clone> OrderedMap<K, V> {
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let mut node = &self.0;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.values.get(leaf.place(key).ok()?),
                Node::Branch(branch) => node = branch.children.get(branch.place(key))?,
            }
        }
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let mut node = &mut self.0;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let place = leaf.place(key).ok()?;
                    return Arc::make_mut(leaf).values.get_mut(place);
                }
                Node::Branch(branch) => {
                    let place = branch.place(key);
                    node = Arc::make_mut(branch).children.get_mut(place)?;
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
        Rows::new(&self.0, &start)
    }

    /// Puts a value in; what it replaces comes out.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (replaced, split) = self.0.insert(key, value);
        if let Some((bound, upper)) = split {
            let lower = mem::replace(&mut self.0, Node::empty());
            self.0 = Node::Branch(Arc::new(Branch {
                bounds: vec![bound],
                children: vec![lower, upper],
            }));
        }
        replaced
    }

    /// Takes a value out, if it is there.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        // Nothing is copied for a key that is not there.
        self.get(key)?;
        let removed = self.0.remove(key);
        while let Node::Branch(branch) = &self.0
            && branch.bounds.is_empty()
        {
            self.0 = branch
                .children
                .first()
                .map_or_else(Node::empty, Node::clone);
        }
        removed
    }
}

impl<K: Clone + Ord, V: Clone> Node<K, V> {
    fn empty() -> Self {
        Self::Leaf(Arc::new(Leaf {
            keys: Vec::new(),
            values: Vec::new(),
        }))
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.keys.is_empty(),
            Self::Branch(branch) => branch.children.is_empty(),
        }
    }

    /// What was replaced, and if the node had to be split, its upper half with a lower bound.
    fn insert(&mut self, key: K, value: V) -> (Option<V>, Option<(K, Self)>) {
        match self {
            Self::Leaf(leaf) => {
                let leaf = Arc::make_mut(leaf);
                match leaf.place(&key) {
                    Ok(place) => {
                        let replaced = leaf.values.get_mut(place);
                        (replaced.map(|present| mem::replace(present, value)), None)
                    }
                    Err(place) => {
                        insert_at(&mut leaf.keys, place, key);
                        insert_at(&mut leaf.values, place, value);
                        (None, leaf.split())
                    }
                }
            }
            Self::Branch(branch) => {
                let branch = Arc::make_mut(branch);
                let place = branch.place(&key);
                let Some(child) = branch.children.get_mut(place) else {
                    return (None, None);
                };
                let (replaced, split) = child.insert(key, value);
                if let Some((bound, upper)) = split {
                    insert_at(&mut branch.bounds, place, bound);
                    insert_at(&mut branch.children, place + 1, upper);
                }
                (replaced, branch.split())
            }
        }
    }

    /// Takes out a value that is there. Nodes are not merged, but one without rows goes.
    fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::Leaf(leaf) => {
                let place = leaf.place(key).ok()?;
                let leaf = Arc::make_mut(leaf);
                leaf.keys.remove(place);
                Some(leaf.values.remove(place))
            }
            Self::Branch(branch) => {
                let place = branch.place(key);
                let branch = Arc::make_mut(branch);
                let child = branch.children.get_mut(place)?;
                let removed = child.remove(key);
                if child.is_empty() {
                    branch.children.remove(place);
                    if !branch.bounds.is_empty() {
                        branch.bounds.remove(place.saturating_sub(1));
                    }
                }
                removed
            }
        }
    }
}

impl<K: Clone + Ord, V: Clone> Leaf<K, V> {
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.keys.binary_search_by(|other| other.borrow().cmp(key))
    }

    fn split(&mut self) -> Option<(K, Node<K, V>)> {
        let keys = upper_half(&mut self.keys)?;
        let values = upper_half(&mut self.values)?;
        let bound = keys.first()?.clone();
        Some((bound, Node::Leaf(Arc::new(Self { keys, values }))))
    }
}

impl<K: Clone + Ord, V: Clone> Branch<K, V> {
    /// The place of the child in which `key` is or would be.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.bounds.partition_point(|bound| bound.borrow() <= key)
    }

    fn split(&mut self) -> Option<(K, Node<K, V>)> {
        let children = upper_half(&mut self.children)?;
        let bounds = self.bounds.split_off(self.children.len());
        let bound = self.bounds.pop()?;
        self.bounds.shrink_to_fit();
        Some((bound, Node::Branch(Arc::new(Self { bounds, children }))))
    }
}

/// Inserts into a vector that has little room to spare.
fn insert_at<T>(vec: &mut Vec<T>, place: usize, value: T) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact(ROOM);
    }
    vec.insert(place, value);
}

/// Takes the upper half out of what has become too large.
fn upper_half<T>(vec: &mut Vec<T>) -> Option<Vec<T>> {
    (vec.len() > MOST).then(|| {
        let upper = vec.split_off(vec.len() / 2);
        vec.shrink_to_fit();
        upper
    })
}

/// An iterator over rows.
struct Rows<'a, K, V> {
    /// What comes after the leaf, the nearest last.
    later: Vec<slice::Iter<'a, Node<K, V>>>,
    leaf: Zip<slice::Iter<'a, K>, slice::Iter<'a, V>>,
}

impl<'a, K: Clone + Ord, V: Clone> Rows<'a, K, V> {
    fn new(root: &'a Node<K, V>, start: &Bound<K>) -> Self {
        let mut rows = Self {
            later: Vec::new(),
            leaf: [].iter().zip(&[]),
        };
        rows.descend(root, start);
        rows
    }

    /// To the leaf in which `start` is or would be.
    fn descend(&mut self, mut node: &'a Node<K, V>, start: &Bound<K>) {
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let first = match start {
                        Bound::Included(start) => leaf.keys.partition_point(|key| key < start),
                        Bound::Excluded(start) => leaf.keys.partition_point(|key| key <= start),
                        Bound::Unbounded => 0,
                    };
                    let keys = leaf.keys.get(first..).unwrap_or_default();
                    let values = leaf.values.get(first..).unwrap_or_default();
                    self.leaf = keys.iter().zip(values);
                    return;
                }
                Node::Branch(branch) => {
                    let place = match start {
                        Bound::Included(start) | Bound::Excluded(start) => branch.place(start),
                        Bound::Unbounded => 0,
                    };
                    let mut children = branch.children.get(place..).unwrap_or_default().iter();
                    let Some(child) = children.next() else {
                        return;
                    };
                    self.later.push(children);
                    node = child;
                }
            }
        }
    }
}

impl<'a, K: Clone + Ord, V: Clone> Iterator for Rows<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.leaf.next() {
                return Some(row);
            }
            match self.later.last_mut()?.next() {
                Some(node) => self.descend(node, &Bound::Unbounded),
                None => drop(self.later.pop()),
            }
        }
    }
}

impl<K: Clone + Ord, V: Clone> Default for OrderedMap<K, V> {
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
            Self::Leaf(leaf) => Self::Leaf(Arc::clone(leaf)),
            Self::Branch(branch) => Self::Branch(Arc::clone(branch)),
        }
    }
}

impl<K: Clone, V: Clone> Clone for Leaf<K, V> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            values: self.values.clone(),
        }
    }
}

impl<K: Clone, V> Clone for Branch<K, V> {
    fn clone(&self) -> Self {
        Self {
            bounds: self.bounds.clone(),
            children: self.children.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    type Map = OrderedMap<u16, u32>;

    fn rows(map: &Map) -> Vec<(u16, u32)> {
        let rows = map.starting(Bound::Unbounded);
        rows.map(|(key, value)| (*key, *value)).collect()
    }

    /// Bounds in order, as many as they must be, no node too large or empty; gives the depth.
    fn check(node: &Node<u16, u32>, least: Option<u16>, most: Option<u16>, is_root: bool) -> usize {
        match node {
            Node::Leaf(leaf) => {
                assert_eq!(leaf.keys.len(), leaf.values.len());
                assert!(leaf.keys.len() <= MOST && (is_root || !leaf.keys.is_empty()));
                assert!(leaf.keys.is_sorted());
                assert!(
                    leaf.keys
                        .iter()
                        .all(|key| least.is_none_or(|least| *key >= least))
                );
                assert!(
                    leaf.keys
                        .iter()
                        .all(|key| most.is_none_or(|most| *key < most))
                );
                1
            }
            Node::Branch(branch) => {
                assert_eq!(branch.bounds.len() + 1, branch.children.len());
                assert!(branch.children.len() <= MOST && (!is_root || branch.children.len() > 1));
                let lower = [least]
                    .into_iter()
                    .chain(branch.bounds.iter().copied().map(Some));
                let upper = branch.bounds.iter().copied().map(Some).chain([most]);
                let depths: Vec<_> = branch
                    .children
                    .iter()
                    .zip(lower.zip(upper))
                    .map(|(child, (least, most))| check(child, least, most, false))
                    .collect();
                assert!(depths.iter().all(|depth| *depth == depths[0]));
                depths[0] + 1
            }
        }
    }

    proptest! {
        /// Few keys and many steps, so that nodes split and empty out.
        #[test]
        fn it_is_a_map_in_order(
            steps in vec((0..4_u8, 0..3000_u16), 0..6000),
            start in 0..3000_u16,
        ) {
            let mut map = Map::default();
            let mut model = BTreeMap::new();
            for (number, (step, key)) in (0..).zip(steps) {
                if step > 0 && (step > 1 || key % 7 != 0) {
                    prop_assert_eq!(map.insert(key, number), model.insert(key, number));
                } else {
                    // And some that are beside it, so that whole leaves empty out.
                    for key in key..key + 40 {
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
            for key in (0..3000).step_by(17) {
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
            assert_eq!(check(&map.0, None, None, true), 4);
        }
    }
}
