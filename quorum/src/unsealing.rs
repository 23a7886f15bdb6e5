//! Shares that come in one by one, until they are enough.

use std::collections::BTreeMap;

use kms::state::RootKey;

use crate::quorum::{Quorum, QuorumError};
use crate::share::Share;

/// The shares given so far. None of them hurts the others: what is not the share that the quorum's
/// record tells of is refused, and the same share twice counts once.
pub struct Unsealing {
    quorum: Quorum,
    shares: BTreeMap<u8, Share>,
}

/// How far it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Whose share it was.
    pub operator: String,
    /// Different shares so far.
    pub given: usize,
    /// How many it takes.
    pub threshold: u8,
}

/// Why a share was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// A share of another root key.
    #[error("this is a share of another root key")]
    OtherRootKey,
    /// No share of this quorum.
    #[error("this is not one of the shares that were handed out, or one that is no longer valid")]
    NotOfThisQuorum,
    /// The record of the quorum.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}

impl Unsealing {
    /// Nothing given yet.
    pub fn new(quorum: Quorum) -> Self {
        Self {
            quorum,
            shares: BTreeMap::new(),
        }
    }

    /// The quorum that it waits for.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// Different shares given so far.
    pub fn given(&self) -> usize {
        self.shares.len()
    }

    /// Takes a share; gives the root key with the last one needed.
    ///
    /// # Errors
    ///
    /// [`OfferError`] if it is not a share of this quorum: nothing has changed then. Or if enough
    /// shares were given and the record of the quorum is not genuine after all.
    pub fn offer(&mut self, share: Share) -> Result<(Progress, Option<RootKey>), OfferError> {
        let operator = self.quorum.recognise(&share)?.to_owned();
        self.shares.insert(share.index(), share);
        let progress = Progress {
            operator,
            given: self.shares.len(),
            threshold: self.quorum.threshold(),
        };
        if progress.given < usize::from(progress.threshold) {
            return Ok((progress, None));
        }
        let root_key = Share::combine(self.shares.values())
            .filter(|key| key.id() == self.quorum.root_key_id())
            .ok_or(QuorumError::Altered)?;
        self.quorum.verify(&root_key)?;
        Ok((progress, Some(root_key)))
    }
}

#[cfg(test)]
mod tests {
    use kms::state::RootKeyId;

    use super::*;
    use crate::plan::{Operator, Plan};
    use crate::testing::{Random, key_pair};

    fn established(seed: u64) -> (RootKey, Quorum, Vec<Share>) {
        let mut random = Random::new(seed);
        let operators = ["ada", "grace", "mary"].map(|name| Operator {
            name: name.to_owned(),
            key: key_pair(&mut random).1,
            signing_key: None,
        });
        let plan = Plan {
            threshold: 2,
            operators: operators.to_vec(),
            administrator: None,
        };
        let root_key = RootKey::generate(&mut random);
        // The same randomness splits the key in the same way.
        let shares = Share::split(&root_key, 2, 3, &mut Random::new(seed + 1));
        let (quorum, handed_out) =
            Quorum::establish(&plan, &root_key, &mut Random::new(seed + 1)).unwrap();
        assert_eq!(handed_out.len(), 3);
        (root_key, quorum, shares)
    }

    fn text(share: &Share) -> String {
        share.to_text().to_string()
    }

    #[test]
    fn enough_different_shares_make_the_key() {
        let (root_key, quorum, shares) = established(1);
        let mut unsealing = Unsealing::new(Quorum::from_bytes(quorum.as_bytes()).unwrap());
        for _ in 0..3 {
            let (progress, key) = unsealing.offer(shares[2].clone()).unwrap();
            let expected = Progress {
                operator: "mary".to_owned(),
                given: 1,
                threshold: 2,
            };
            assert_eq!(progress, expected);
            assert!(key.is_none());
        }
        let (progress, key) = unsealing.offer(shares[0].clone()).unwrap();
        assert_eq!((progress.operator.as_str(), progress.given), ("ada", 2));
        assert!(key.unwrap().expose() == root_key.expose());
    }

    #[test]
    fn what_is_no_share_of_the_quorum_does_not_hurt() {
        let (root_key, quorum, shares) = established(1);
        let (_, _, foreign) = established(5);
        let mut unsealing = Unsealing::new(quorum);
        unsealing.offer(shares[0].clone()).unwrap();
        let other = unsealing.offer(foreign[1].clone());
        assert_eq!(other.err(), Some(OfferError::OtherRootKey));
        // The same key split once more: shares of a quorum that was replaced.
        let replaced = Share::split(&root_key, 2, 3, &mut Random::new(77));
        let old = unsealing.offer(replaced[1].clone());
        assert_eq!(old.err(), Some(OfferError::NotOfThisQuorum));
        let three = Share::split(&root_key, 3, 3, &mut Random::new(2));
        let other = unsealing.offer(three[1].clone());
        assert_eq!(other.err(), Some(OfferError::NotOfThisQuorum));
        assert_eq!(unsealing.given(), 1);
        let (_, key) = unsealing.offer(shares[1].clone()).unwrap();
        assert!(key.unwrap().id() == root_key.id());
    }

    #[test]
    fn a_record_that_a_host_changed_yields_no_key() {
        let (_, quorum, shares) = established(1);
        let bytes = quorum.as_bytes();
        let mut refused = 0;
        for place in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[place] ^= 1;
            let Ok(quorum) = Quorum::from_bytes(&changed) else {
                refused += 1;
                continue;
            };
            let mut unsealing = Unsealing::new(quorum);
            let keys = shares.iter().map(|share| unsealing.offer(share.clone()));
            let key = keys.filter_map(Result::ok).find_map(|(_, key)| key);
            assert!(key.is_none(), "byte {place}");
        }
        assert!(refused > 0);
        for cut in 0..bytes.len() {
            assert!(Quorum::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn texts_of_shares_are_what_operators_type() {
        let (root_key, quorum, shares) = established(1);
        let mut unsealing = Unsealing::new(quorum);
        let ids: Vec<RootKeyId> = shares.iter().map(Share::root_key_id).collect();
        assert!(ids.iter().all(|id| *id == root_key.id()));
        for share in &shares[1..] {
            let read = Share::from_text(&text(share)).unwrap();
            unsealing.offer(read).unwrap();
        }
    }
}
