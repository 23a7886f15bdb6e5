//! How the holders of a root key agree on who is to hold the next one.
//!
//! 1. As many holders as it takes approve of the same plan, each with the share.
//! 2. A new root key is made and split for the plan's operators. Nothing else changes yet.
//! 3. As many of those as it will take confirm: they give their new shares once. Only then is the
//!    new root key used, and the old shares are of no use any more.
//!
//! So a share that was lost on its way, or that its operator can't decrypt, is noticed while the old
//! ones still work.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kms::state::RootKey;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::operator_key::OperatorKeyError;
use crate::plan::{Plan, PlanError};
use crate::quorum::{Quorum, QuorumError, VerifiedQuorum};
use crate::sealed::SealedShare;
use crate::share::{Share, ShareError};
use crate::unsealing::{OfferError, Progress, Unsealing};

/// The longest plan, in bytes.
const MAX_PLAN: usize = 64 * 1024;

/// A holder's word that a plan is to be carried out.
///
/// In text: the share, the code, and the plan, a line each but the plan. The code is
/// HMAC-SHA-256 of `claviger/v1/approval` and the plan, under the value of the share.
pub struct Approval {
    share: Share,
    plan: Plan,
    /// SHA-256 of the plan's bytes: approvals are of the same plan if these are the same.
    hash: [u8; 32],
}

/// A text is no approval.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// Its form.
    #[error("this is not an approval of a plan")]
    Form,
    /// The share.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The plan is another one than the holder has approved of.
    #[error("the plan was changed on its way")]
    Changed,
    /// The plan can't be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Why an approval was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApproveError {
    /// The share is not one of the quorum's.
    #[error(transparent)]
    Share(#[from] OfferError),
    /// A key of the plan.
    #[error(transparent)]
    Key(#[from] OperatorKeyError),
}

impl Approval {
    /// The text with which the holder of a share approves of a plan.
    pub fn to_text(share: &Share, plan: &str) -> Zeroizing<String> {
        let code = BASE64_URL_SAFE_NO_PAD.encode(share.approve(plan.as_bytes()));
        let parts = [&share.to_text(), "\n", &code, "\n", plan];
        // At once, so that no copy of the share stays behind.
        let mut text = Zeroizing::new(String::with_capacity(parts.map(str::len).iter().sum()));
        parts.iter().for_each(|part| text.push_str(part));
        text
    }

    /// Reads an approval.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if it is none, or of a plan that can't be.
    pub fn from_text(text: &str) -> Result<Self, ApprovalError> {
        let (share, rest) = text.split_once('\n').ok_or(ApprovalError::Form)?;
        let (code, plan) = rest.split_once('\n').ok_or(ApprovalError::Form)?;
        if plan.len() > MAX_PLAN {
            return Err(ApprovalError::Form);
        }
        let share = Share::from_text(share)?;
        let code = BASE64_URL_SAFE_NO_PAD.decode(code);
        let code = code.map_err(|_| ApprovalError::Form)?;
        if !bool::from(share.approve(plan.as_bytes()).ct_eq(&code)) {
            return Err(ApprovalError::Changed);
        }
        Ok(Self {
            share,
            plan: Plan::from_json(plan.as_bytes())?,
            hash: Sha256::digest(plan).into(),
        })
    }
}

/// A resharing, from the first approval to the last confirmation.
pub struct Resharing {
    quorum: VerifiedQuorum,
    /// Each holder's last approval.
    approvals: BTreeMap<u8, Approval>,
    proposed: Option<Proposed>,
}

/// A new root key that waits to be confirmed.
pub struct Proposed {
    root_key: RootKey,
    confirmations: Unsealing,
    shares: Vec<SealedShare>,
}

impl Resharing {
    /// Nothing approved yet.
    pub fn new(quorum: VerifiedQuorum) -> Self {
        Self {
            quorum,
            approvals: BTreeMap::new(),
            proposed: None,
        }
    }

    /// Takes an approval. A holder who approves of another plan approves of the former no more. With
    /// the last one needed, the new root key and its shares are there.
    ///
    /// # Errors
    ///
    /// [`ApproveError`] if the share is not one of this quorum's, or nothing can be encrypted to a
    /// key of the plan. Nothing is proposed then that was not before.
    pub fn approve(
        &mut self,
        approval: Approval,
        random: &mut dyn CryptoRng,
    ) -> Result<Progress, ApproveError> {
        let quorum = self.quorum.quorum();
        let operator = quorum.recognise(&approval.share)?.to_owned();
        let (hash, index) = (approval.hash, approval.share.index());
        self.approvals.insert(index, approval);
        let same = self.approvals.values().filter(|one| one.hash == hash);
        let progress = Progress {
            operator,
            given: same.clone().count(),
            threshold: quorum.threshold(),
        };
        if progress.given >= usize::from(progress.threshold) {
            // Each share was recognised by its hash. That they make the key is the proof.
            let root_key = Share::combine(same.clone().map(|one| &one.share));
            let is_ours = root_key.is_some_and(|key| key.id() == quorum.root_key_id());
            if !is_ours {
                return Err(OfferError::from(QuorumError::Altered).into());
            }
            if let Some(Approval { plan, .. }) = self.approvals.get(&index) {
                self.proposed = Some(Proposed::new(plan, random)?);
            }
            self.approvals.clear();
        }
        Ok(progress)
    }

    /// The new root key, once enough holders have approved.
    pub fn proposed(&self) -> Option<&Proposed> {
        self.proposed.as_ref()
    }

    /// Takes a share of the new root key; gives that with the last one needed.
    ///
    /// # Errors
    ///
    /// [`OfferError`] if it is not one of the new shares: nothing has changed then.
    pub fn confirm(
        &mut self,
        share: Share,
    ) -> Result<(Progress, Option<(RootKey, VerifiedQuorum)>), OfferError> {
        let proposed = self.proposed.as_mut().ok_or(OfferError::NotOfThisQuorum)?;
        let (progress, made) = proposed.confirmations.offer(share)?;
        let Some(root_key) = made else {
            return Ok((progress, None));
        };
        let quorum = proposed.quorum().verify(&proposed.root_key)?;
        Ok((progress, Some((root_key, quorum))))
    }
}

impl Proposed {
    fn new(plan: &Plan, random: &mut dyn CryptoRng) -> Result<Self, OperatorKeyError> {
        let root_key = RootKey::generate(random);
        let (quorum, shares) = Quorum::establish(plan, &root_key, random)?;
        Ok(Self {
            root_key,
            confirmations: Unsealing::new(quorum),
            shares,
        })
    }

    /// Who is to hold it.
    pub fn quorum(&self) -> &Quorum {
        self.confirmations.quorum()
    }

    /// The shares, each encrypted to its operator.
    pub fn shares(&self) -> &[SealedShare] {
        &self.shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Operator;
    use crate::testing::{Random, key_pair};

    fn plan(seed: u64, threshold: u8) -> Plan {
        let mut random = Random::new(seed);
        let operators = ["ada", "grace", "mary"].map(|name| Operator {
            name: name.to_owned(),
            key: key_pair(&mut random).1,
            signing_key: None,
        });
        Plan {
            threshold,
            operators: operators.to_vec(),
            administrator: None,
        }
    }

    fn text(plan: &Plan) -> String {
        serde_json::to_string(plan).unwrap()
    }

    fn begun() -> (Resharing, Vec<Share>) {
        let root_key = RootKey::generate(&mut Random::new(1));
        // The same randomness splits the key in the same way.
        let shares = Share::split(&root_key, 2, 3, &mut Random::new(2));
        let (quorum, _) = Quorum::establish(&plan(3, 2), &root_key, &mut Random::new(2)).unwrap();
        (Resharing::new(quorum.verify(&root_key).unwrap()), shares)
    }

    fn approval(share: &Share, plan: &Plan) -> Approval {
        Approval::from_text(&Approval::to_text(share, &text(plan))).unwrap()
    }

    /// The shares of what is proposed: the same randomness makes and splits the key in the same way.
    fn proposed_shares(seed: u64, plan: &Plan) -> Vec<Share> {
        let mut random = Random::new(seed);
        let root_key = RootKey::generate(&mut random);
        Share::split(&root_key, plan.threshold, 3, &mut random)
    }

    #[test]
    fn enough_approvals_and_confirmations_make_a_new_root_key() {
        let (mut resharing, shares) = begun();
        let next = plan(7, 3);
        for (share, given) in [(&shares[2], 1), (&shares[2], 1), (&shares[0], 2)] {
            assert!(resharing.proposed().is_none());
            let progress = resharing.approve(approval(share, &next), &mut Random::new(9));
            let progress = progress.unwrap();
            assert_eq!((progress.given, progress.threshold), (given, 2));
        }
        let proposed = resharing.proposed().unwrap();
        assert_eq!(proposed.shares().len(), 3);
        assert!(proposed.quorum().root_key_id() != shares[0].root_key_id());

        // The old shares confirm nothing.
        let old = resharing.confirm(shares[0].clone());
        assert_eq!(old.err(), Some(OfferError::OtherRootKey));
        let new = proposed_shares(9, &next);
        for (share, given) in [(&new[1], 1), (&new[1], 1), (&new[0], 2)] {
            let (progress, made) = resharing.confirm(share.clone()).unwrap();
            assert_eq!((progress.given, progress.threshold), (given, 3));
            assert!(made.is_none());
        }
        let (_, made) = resharing.confirm(new[2].clone()).unwrap();
        let (root_key, quorum) = made.unwrap();
        assert!(root_key.id() == new[0].root_key_id());
        assert!(quorum.quorum().root_key_id() == root_key.id());
    }

    #[test]
    fn approvals_count_for_the_plan_that_they_are_of() {
        let (mut resharing, shares) = begun();
        let (one, other) = (plan(7, 2), plan(8, 2));
        let mut approve = |share: &Share, plan: &Plan| {
            let approved = resharing.approve(approval(share, plan), &mut Random::new(9));
            (approved.unwrap().given, resharing.proposed().is_some())
        };
        assert_eq!(approve(&shares[0], &one), (1, false));
        assert_eq!(approve(&shares[1], &other), (1, false));
        // Who changes their mind does not count twice.
        assert_eq!(approve(&shares[0], &other), (2, true));
        assert_eq!(approve(&shares[1], &one), (1, true));
    }

    #[test]
    fn what_is_no_approval_changes_nothing() {
        let (mut resharing, shares) = begun();
        let next = plan(7, 2);
        resharing
            .approve(approval(&shares[0], &next), &mut Random::new(9))
            .unwrap();
        let foreign = proposed_shares(77, &next);
        let refused = resharing.approve(approval(&foreign[1], &next), &mut Random::new(9));
        assert_eq!(refused.err(), Some(OfferError::OtherRootKey.into()));

        let text = Approval::to_text(&shares[1], &text(&next)).to_string();
        let changed = text.replace("mary", "eve");
        assert_eq!(
            Approval::from_text(&changed).err(),
            Some(ApprovalError::Changed)
        );
        let nonsense = Approval::to_text(&shares[1], "{}");
        let refused = Approval::from_text(&nonsense);
        assert!(matches!(refused, Err(ApprovalError::Plan(_))));
        for text in ["", "a\nb", "a\nb\nc"] {
            assert!(Approval::from_text(text).is_err(), "{text}");
        }
        assert!(resharing.proposed().is_none());
        resharing
            .approve(approval(&shares[1], &next), &mut Random::new(9))
            .unwrap();
        assert!(resharing.proposed().is_some());
    }
}
