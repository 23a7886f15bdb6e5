//! A hash of a set of records that is cheap to keep up to date.
//!
//! The additive multiset hash of Clarke, Devadas, van Dijk, Gassend and Suh,
//! "Incremental Multiset Hash Functions and Their Application to Memory Integrity
//! Checking" (ASIACRYPT 2003, MSet-Add-Hash): the sum, modulo 2^256, of a keyed
//! pseudo-random function of each element. Adding or removing a record is one addition,
//! however many there are.
//!
//! The construction needs the function's values to be unknown to whoever picks the
//! elements. They are: the key is derived from the naming key, and the sums leave the
//! enclave only inside the sealed head. (The paper blinds the sum with a random value
//! because it publishes it.)

use super::{Kind, RecordId, Stamp};
use crate::crypto::{Fields, Label, SecretKey, code};

/// The hash over all records, by kind.
#[derive(Clone, Default)]
pub(crate) struct SetHash([KindHash; Kind::ALL.len()]);

/// The hash over the records of one kind.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(crate) struct KindHash {
    pub(crate) count: u64,
    pub(crate) sum: Sum,
}

impl SetHash {
    pub(crate) fn kind(&self, kind: Kind) -> &KindHash {
        &self.0[Self::index(kind)]
    }

    pub(crate) fn kind_mut(&mut self, kind: Kind) -> &mut KindHash {
        &mut self.0[Self::index(kind)]
    }

    pub(crate) fn add(&mut self, naming_key: &SecretKey, kind: Kind, id: RecordId, stamp: Stamp) {
        self.add_element(kind, Sum::element(naming_key, kind, id, stamp));
    }

    /// Adds a record whose element is computed already.
    pub(crate) fn add_element(&mut self, kind: Kind, element: Sum) {
        let hash = self.kind_mut(kind);
        hash.count += 1;
        hash.sum = hash.sum.plus(element);
    }

    /// Removes a record that was added before.
    pub(crate) fn remove(
        &mut self,
        naming_key: &SecretKey,
        kind: Kind,
        id: RecordId,
        stamp: Stamp,
    ) {
        let hash = self.kind_mut(kind);
        hash.count -= 1;
        hash.sum = hash.sum.minus(Sum::element(naming_key, kind, id, stamp));
    }

    /// Kinds are numbered from 1 without gaps.
    const fn index(kind: Kind) -> usize {
        kind.number() as usize - 1
    }
}

/// A number modulo 2^256, least significant limb first.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(crate) struct Sum([u64; 4]);

impl Sum {
    /// What a record adds to the sum.
    pub(crate) fn element(naming_key: &SecretKey, kind: Kind, id: RecordId, stamp: Stamp) -> Self {
        let fields = Fields::with_capacity(96)
            .bytes(&[kind.number()])
            .bytes(id.as_bytes())
            .bytes(&stamp.revision.to_be_bytes())
            .bytes(&stamp.digest);
        Self::from_bytes(&code(naming_key, Label::HeadElement, fields.as_bytes()))
    }

    /// Reads 32 bytes, least significant first.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, bytes) in limbs.iter_mut().zip(bytes.as_chunks().0) {
            *limb = u64::from_le_bytes(*bytes);
        }
        Self(limbs)
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (limb, bytes) in self.0.iter().zip(bytes.as_chunks_mut().0) {
            *bytes = limb.to_le_bytes();
        }
        bytes
    }

    fn plus(mut self, other: Self) -> Self {
        let mut carry = false;
        for (limb, addend) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = limb.overflowing_add(addend);
            let (sum, second) = sum.overflowing_add(carry.into());
            (*limb, carry) = (sum, first || second);
        }
        self
    }

    fn minus(self, other: Self) -> Self {
        let negated = Self(other.0.map(|limb| !limb)).plus(Self([1, 0, 0, 0]));
        self.plus(negated)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{array::uniform32, prelude::*};

    use super::*;

    #[test]
    fn carries_run_through_all_limbs() {
        let all_ones = Sum([u64::MAX; 4]);
        assert!(all_ones.plus(Sum([1, 0, 0, 0])) == Sum::default());
        assert!(Sum::default().minus(Sum([1, 0, 0, 0])) == all_ones);
        assert!(Sum([u64::MAX, 0, 0, 0]).plus(all_ones) == Sum([u64::MAX - 1, 0, 0, 0]));
    }

    proptest! {
        #[test]
        fn a_sum_has_no_order_and_takes_back(a in uniform32(any::<u8>()), b in uniform32(any::<u8>())) {
            let (a, b) = (Sum::from_bytes(&a), Sum::from_bytes(&b));
            prop_assert!(a.plus(b) == b.plus(a));
            prop_assert!(a.plus(b).minus(b) == a);
            prop_assert_eq!(Sum::from_bytes(&a.to_bytes()).to_bytes(), a.to_bytes());
        }
    }
}
