//! Permits: the proof that a caller may do one thing to one resource.
//!
//! An operation takes a [`Permit`] and nothing else makes one than [`authorize`]. It carries its
//! action as a type and holds the key it was given for, so that a permit to encrypt does not
//! decrypt, and a permit for one key does not open another: the operation gets its key *from* the
//! permit.
//!
//! What decides today: a key with the default key policy gives its account all rights, and leaves
//! the rest to that account's identity policies; a principal either has full access there or none.
//! [`Conditions`] already carries what the policy language can ask for, so the policy engine takes
//! this module's place without a change to any operation.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use attestation::VerifiedDocument;

use crate::error::KmsError;
use crate::key::Key;
use crate::name::{AccountId, AliasName};
use crate::policy;
use crate::principal::{Access, Principal};
use crate::protocol::EncryptionContext;
use crate::protocol::spec::{EncryptionAlgorithm, KeyPairSpec, KeySpec, KeyUsage, Origin};

/// An action that a policy allows or denies, as a type.
///
/// The types of [`action`] are all there are.
pub trait Action: Copy + sealed::Sealed {
    /// The name in policies: `kms:Decrypt`.
    const NAME: &'static str;
}

mod sealed {
    pub trait Sealed {}
}

/// The actions of the operations that this version has.
pub mod action {
    use super::{Action, sealed::Sealed};

    macro_rules! actions {
        ($($action:ident)*) => {
            $(
                #[doc = concat!("`kms:", stringify!($action), "`")]
                #[derive(Clone, Copy, Debug)]
                pub struct $action;

                impl Sealed for $action {}

                impl Action for $action {
                    const NAME: &'static str = concat!("kms:", stringify!($action));
                }
            )*
        };
    }

    actions! {
        CancelKeyDeletion CreateAlias CreateKey Decrypt DeleteAlias DescribeKey DisableKey
        EnableKey Encrypt GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext
        GenerateDataKeyWithoutPlaintext GenerateRandom ListAliases ListKeys ReEncryptFrom
        ReEncryptTo ScheduleKeyDeletion UpdateAlias
    }
}

/// What an action is done to.
pub trait Resource {
    /// The account it belongs to.
    fn account(&self) -> AccountId;
    /// How policies and messages name it: an ARN, or `*`.
    fn name(&self) -> Cow<'_, str>;
    /// Its resource policy.
    fn policy(&self) -> ResourcePolicy<'_>;
}

/// The policy of a resource itself.
pub enum ResourcePolicy<'a> {
    /// It is of a kind that has none.
    None,
    /// The default key policy of its account.
    DefaultKeyPolicy,
    /// A key policy, as it was given.
    KeyPolicy(&'a str),
}

impl Resource for Arc<Key> {
    fn account(&self) -> AccountId {
        Key::account(self)
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.arn())
    }

    fn policy(&self) -> ResourcePolicy<'_> {
        match &self.policy {
            None => ResourcePolicy::DefaultKeyPolicy,
            Some(text) => ResourcePolicy::KeyPolicy(text),
        }
    }
}

/// An alias as a resource. Aliases have no policy of their own.
pub struct AliasResource<'a> {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its ARN.
    pub arn: &'a str,
}

impl Resource for AliasResource<'_> {
    fn account(&self) -> AccountId {
        self.account
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.arn)
    }

    fn policy(&self) -> ResourcePolicy<'_> {
        ResourcePolicy::None
    }
}

/// The caller's own account, for actions that no key or alias exists for yet.
pub struct AccountResource(pub AccountId);

impl Resource for AccountResource {
    fn account(&self) -> AccountId {
        self.0
    }

    fn name(&self) -> Cow<'_, str> {
        "*".into()
    }

    fn policy(&self) -> ResourcePolicy<'_> {
        ResourcePolicy::None
    }
}

/// What a policy may ask about a call, besides who calls and what for: AWS's condition keys.
///
/// Absent members are keys that are absent from the request, as a condition sees them.
#[derive(Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// `kms:EncryptionContext:*`, `kms:EncryptionContextKeys`.
    pub encryption_context: Option<&'a EncryptionContext>,
    /// `kms:RecipientAttestation:*`: only a verified document can stand here.
    pub recipient: Option<&'a VerifiedDocument>,
    /// `kms:RequestAlias`.
    pub request_alias: Option<&'a AliasName>,
    /// `kms:EncryptionAlgorithm`.
    pub encryption_algorithm: Option<EncryptionAlgorithm>,
    /// `kms:DataKeyPairSpec`.
    pub data_key_pair_spec: Option<KeyPairSpec>,
    /// `kms:ReEncryptOnSameKey`.
    pub reencrypt_on_same_key: Option<bool>,
    /// `kms:ScheduleKeyDeletionPendingWindowInDays`.
    pub pending_window_in_days: Option<u16>,
    /// `kms:BypassPolicyLockoutSafetyCheck`.
    pub bypass_policy_lockout_safety_check: Option<bool>,
    /// `kms:KeySpec`, of a key that is to be made.
    pub key_spec: Option<KeySpec>,
    /// `kms:KeyUsage`, of a key that is to be made.
    pub key_usage: Option<KeyUsage>,
    /// `kms:KeyOrigin`, of a key that is to be made.
    pub key_origin: Option<Origin>,
    /// `kms:MultiRegion`, of a key that is to be made.
    pub multi_region: Option<bool>,
    /// The grant tokens sent along; a grant they name counts although it is new.
    pub grant_tokens: &'a [Cow<'a, str>],
}

/// Permission for one action on one resource.
///
/// Neither copied nor made outside of this module.
#[must_use]
pub struct Permit<A: Action, R = Arc<Key>> {
    action: PhantomData<A>,
    resource: R,
    basis: Basis,
}

impl<A: Action, R> Permit<A, R> {
    /// The resource it is good for.
    pub fn resource(&self) -> &R {
        &self.resource
    }

    /// Why it was given, for the audit trail.
    pub fn basis(&self) -> Basis {
        self.basis
    }
}

impl<A: Action> Permit<A> {
    /// The key it is good for.
    pub fn key(&self) -> &Arc<Key> {
        &self.resource
    }
}

/// Why a permit was given or refused. The caller never sees it; the audit trail does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Basis {
    /// The key's default policy leaves it to the account, where the principal has full access.
    DefaultKeyPolicyAndFullAccess,
    /// The principal has full access to its account.
    FullAccess,
    /// No identity policy of the principal allows it.
    NoIdentityPolicy,
    /// The resource belongs to another account and no policy of its own allows it.
    OtherAccount,
    /// The key's policy is not one that this version can evaluate: nobody is let through.
    UnknownKeyPolicy,
}

impl Basis {
    /// The basis in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DefaultKeyPolicyAndFullAccess => {
                "the default key policy leaves it to the account; the principal has full access"
            }
            Self::FullAccess => "the principal has full access to the account",
            Self::NoIdentityPolicy => "no identity-based policy allows it",
            Self::OtherAccount => "the resource belongs to another account",
            Self::UnknownKeyPolicy => "the key policy can not be evaluated",
        }
    }
}

/// A refusal: what the caller is told, and what the audit trail is.
#[derive(Debug)]
pub struct Denial {
    /// AWS's AccessDeniedException.
    pub error: KmsError,
    /// The real reason.
    pub basis: Basis,
}

/// Decides whether a principal may do something, and gives the permit for it.
///
/// # Errors
///
/// A [`Denial`] with AWS's text. For a resource of another account the text is the same as for one
/// that does not exist.
pub fn authorize<A: Action, R: Resource>(
    principal: &Principal,
    _action: A,
    resource: R,
    conditions: &Conditions<'_>,
) -> Result<Permit<A, R>, Denial> {
    match decide(principal, &resource, conditions) {
        Ok(basis) => Ok(Permit {
            action: PhantomData,
            resource,
            basis,
        }),
        Err(basis @ Basis::OtherAccount) => Err(Denial {
            error: denied_elsewhere(principal, A::NAME),
            basis,
        }),
        Err(basis) => {
            let policies = match basis {
                Basis::UnknownKeyPolicy => "resource-based",
                _ => "identity-based",
            };
            let message = format!(
                "User: {} is not authorized to perform: {} on resource: {} because no {policies} policy allows the {} action",
                principal.arn(),
                A::NAME,
                resource.name(),
                A::NAME,
            );
            Err(Denial {
                error: KmsError::AccessDenied(message.into()),
                basis,
            })
        }
    }
}

/// The refusal for a resource of another account: the same whether it exists there or not.
pub(crate) fn denied_elsewhere(principal: &Principal, action: &str) -> KmsError {
    let message = format!(
        "User: {} is not authorized to perform: {action} on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
        principal.arn(),
    );
    KmsError::AccessDenied(message.into())
}

/// The decision itself. The conditions don't bear on it while there are no policies with any.
fn decide(
    principal: &Principal,
    resource: &impl Resource,
    _conditions: &Conditions<'_>,
) -> Result<Basis, Basis> {
    if principal.account() != resource.account() {
        return Err(Basis::OtherAccount);
    }
    let by_default_key_policy = match resource.policy() {
        ResourcePolicy::None => false,
        ResourcePolicy::DefaultKeyPolicy => true,
        ResourcePolicy::KeyPolicy(text) if policy::is_default_text(text, resource.account()) => {
            true
        }
        ResourcePolicy::KeyPolicy(_) => return Err(Basis::UnknownKeyPolicy),
    };
    match principal.access {
        Access::Full if by_default_key_policy => Ok(Basis::DefaultKeyPolicyAndFullAccess),
        Access::Full => Ok(Basis::FullAccess),
        Access::None => Err(Basis::NoIdentityPolicy),
    }
}

#[cfg(test)]
mod tests {
    use attestation::Timestamp;

    use crate::name::KeyId;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn account() -> AccountId {
        "111122223333".parse().unwrap()
    }

    fn user(account: &str, access: Access) -> Principal {
        Principal::user_with_id(
            account.parse().unwrap(),
            "alice",
            "AIDAEXAMPLE",
            access,
            NOW,
        )
    }

    fn key(policy: Option<&str>) -> Arc<Key> {
        let id = KeyId::new([7; 16], false);
        let region = "eu-west-1".parse().unwrap();
        let mut key = Key::new(account(), region, id, NOW, Arc::new([]));
        key.policy = policy.map(Into::into);
        Arc::new(key)
    }

    fn decrypt(principal: &Principal, key: Arc<Key>) -> Result<Basis, (Basis, String)> {
        match authorize(principal, action::Decrypt, key, &Conditions::default()) {
            Ok(permit) => Ok(permit.basis()),
            Err(denial) => Err((
                denial.basis,
                denial.error.wire().message.unwrap().to_owned(),
            )),
        }
    }

    #[test]
    fn full_access_counts_in_the_keys_own_account() {
        let basis = Ok(Basis::DefaultKeyPolicyAndFullAccess);
        assert_eq!(
            decrypt(&user("111122223333", Access::Full), key(None)),
            basis
        );
        assert_eq!(decrypt(&Principal::root(account(), NOW), key(None)), basis);
        let text = policy::default_key_policy(account());
        assert_eq!(
            decrypt(&Principal::root(account(), NOW), key(Some(&text))),
            basis
        );
    }

    #[test]
    fn a_permit_holds_the_key_it_was_given_for() {
        let key = key(None);
        let permit = authorize(
            &Principal::root(account(), NOW),
            action::Encrypt,
            Arc::clone(&key),
            &Conditions::default(),
        );
        assert!(Arc::ptr_eq(permit.ok().unwrap().key(), &key));
    }

    #[test]
    fn without_an_identity_policy_there_is_no_access() {
        let key = key(None);
        let (basis, message) =
            decrypt(&user("111122223333", Access::None), Arc::clone(&key)).unwrap_err();
        assert_eq!(basis, Basis::NoIdentityPolicy);
        assert_eq!(
            message,
            format!(
                "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: kms:Decrypt on resource: {} because no identity-based policy allows the kms:Decrypt action",
                key.arn()
            )
        );
    }

    #[test]
    fn another_account_is_denied_without_a_word_on_existence() {
        for access in [Access::Full, Access::None] {
            let other = user("444455556666", access);
            let (basis, message) = decrypt(&other, key(None)).unwrap_err();
            assert_eq!(basis, Basis::OtherAccount);
            assert_eq!(
                message,
                "User: arn:aws:iam::444455556666:user/alice is not authorized to perform: kms:Decrypt on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
            );
        }
    }

    #[test]
    fn a_key_policy_that_cannot_be_evaluated_lets_nobody_through() {
        for text in ["", "{}", r#"{"Statement":[]}"#] {
            let (basis, _) =
                decrypt(&Principal::root(account(), NOW), key(Some(text))).unwrap_err();
            assert_eq!(basis, Basis::UnknownKeyPolicy, "{text}");
        }
    }
}
