//! Who may call: IAM users and the root user of an account, and their access keys.

use std::sync::Arc;

use attestation::Timestamp;
use rand_core::CryptoRng;

use crate::name::{self, AccountId};
use crate::policy::{Caller, CallerKind, Policy};
use crate::sigv4::SecretAccessKey;

/// An identity that signs calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    account: AccountId,
    kind: PrincipalKind,
    arn: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// What its own (identity) policies allow.
    pub access: Access,
}

/// Which identity of an account a principal is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PrincipalKind {
    /// The account's root user, `arn:aws:iam::<account>:root`. The ARN also stands for
    /// the account as a whole in key policies.
    Root,
    /// An IAM user, `arn:aws:iam::<account>:user/<name>`.
    User {
        /// The name, unique in the account.
        name: Arc<str>,
        /// The unique id (`AIDA…`): never used again, unlike the name.
        id: Arc<str>,
    },
}

/// What the identity policies of a principal allow.
///
/// All or nothing for now; identity policies proper come with the policy engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Every action on every resource of its account.
    Full,
    /// Nothing: only key policies and grants that name the principal help it.
    None,
}

impl Principal {
    /// The root user of `account`, who may do everything in it.
    pub fn root(account: AccountId, created: Timestamp) -> Self {
        Self {
            account,
            kind: PrincipalKind::Root,
            arn: name::root_arn(account).into(),
            created,
            access: Access::Full,
        }
    }

    /// The user `name` of `account`, with a new unique id.
    pub fn user(
        account: AccountId,
        name: &str,
        access: Access,
        created: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Self {
        Self::user_with_id(account, name, &unique_id(random), access, created)
    }

    /// The user `name` of `account` with an id it already has.
    pub fn user_with_id(
        account: AccountId,
        name: &str,
        id: &str,
        access: Access,
        created: Timestamp,
    ) -> Self {
        Self {
            account,
            arn: name::user_arn(account, name).into(),
            kind: PrincipalKind::User {
                name: name.into(),
                id: id.into(),
            },
            created,
            access,
        }
    }

    /// The account it belongs to.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Which identity of the account it is.
    pub fn kind(&self) -> &PrincipalKind {
        &self.kind
    }

    /// Its ARN, which names it everywhere.
    pub fn arn(&self) -> &Arc<str> {
        &self.arn
    }

    /// Itself, as policies see it.
    pub(crate) fn as_caller(&self) -> Caller<'_> {
        let (id, kind) = match &self.kind {
            PrincipalKind::Root => (self.account.as_str(), CallerKind::Root),
            PrincipalKind::User { id, .. } => (&**id, CallerKind::User),
        };
        Caller {
            account: self.account,
            arn: &self.arn,
            id,
            kind,
        }
    }

    /// The ARN that policies know it by, `aws:PrincipalArn`: for a session that of its role.
    pub(crate) fn policy_arn(&self) -> &str {
        &self.arn
    }

    /// What kind of principal it is, `aws:PrincipalType`.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            PrincipalKind::Root => "Account",
            PrincipalKind::User { .. } => "User",
        }
    }

    /// The name of a user, `aws:username`; all others have none.
    pub(crate) fn user_name(&self) -> Option<&str> {
        match &self.kind {
            PrincipalKind::Root => None,
            PrincipalKind::User { name, .. } => Some(name),
        }
    }

    /// What bounds a session; `None` for all others.
    pub(crate) fn session_policy(&self) -> Option<&Policy> {
        None
    }

    /// What CloudTrail calls `principalId`: the unique id of a user, for the root
    /// user the account's id.
    pub fn principal_id(&self) -> String {
        match &self.kind {
            PrincipalKind::Root => self.account.to_string(),
            PrincipalKind::User { id, .. } => id.to_string(),
        }
    }
}

/// A unique id as IAM makes them: `AIDA` and 17 characters of base32.
fn unique_id(random: &mut dyn CryptoRng) -> String {
    const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bytes = [0; 17];
    random.fill_bytes(&mut bytes);
    let characters = bytes
        .iter()
        .filter_map(|byte| BASE32.get(usize::from(byte % 32)))
        .map(|character| char::from(*character));
    "AIDA".chars().chain(characters).collect()
}

/// The credentials a principal signs with. The secret is wiped when dropped.
#[derive(Clone)]
pub struct AccessKey {
    /// The public half, `AKIA…`: what a request names.
    pub id: Arc<str>,
    /// The secret half.
    pub secret: SecretAccessKey,
    /// The ARN of the principal it belongs to.
    pub principal: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it may be used.
    pub active: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    const NOW: Timestamp = Timestamp::from_secs(0);

    #[test]
    fn a_user_has_an_id_of_its_own() {
        let account: AccountId = "123456789012".parse().unwrap();
        let mut random = TestRandom::new(1);
        let mut alice = || Principal::user(account, "alice", Access::Full, NOW, &mut random);
        let (first, second) = (alice(), alice());
        assert_eq!(&**first.arn(), "arn:aws:iam::123456789012:user/alice");
        assert_eq!(first.arn(), second.arn());
        assert_ne!(first.principal_id(), second.principal_id());
        let id = first.principal_id();
        assert_eq!(id.len(), 21);
        let characters = id.strip_prefix("AIDA").unwrap().bytes();
        assert!(
            characters
                .into_iter()
                .all(|c| matches!(c, b'A'..=b'Z' | b'2'..=b'7'))
        );
    }

    #[test]
    fn the_root_user_is_the_account() {
        let root = Principal::root("123456789012".parse().unwrap(), NOW);
        assert_eq!(&**root.arn(), "arn:aws:iam::123456789012:root");
        assert_eq!(root.principal_id(), "123456789012");
        assert_eq!(root.access, Access::Full);
    }
}
