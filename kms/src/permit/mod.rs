//! Permits: the proof that a caller may do one thing to one resource.
//!
//! An operation takes a [`Permit`] and nothing else makes one than [`authorize`]. It carries its
//! action as a type and holds the key it was given for, so that a permit to encrypt does not
//! decrypt, and a permit for one key does not open another: the operation gets its key *from* the
//! permit.
//!
//! What decides: the key's policy, the identity policies of the caller, and the grants on the key
//! (`decision`), on what is known of the call (`conditions`). The caller of a refused call learns
//! no more than AWS tells (`denial`); which statement of which policy it was, the audit trail
//! learns.

mod conditions;
mod decision;
mod denial;
mod resource;

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use attestation::Timestamp;

use crate::call::Call;
use crate::grant::GrantId;
use crate::key::Key;
use crate::name::Region;
use crate::policy::{self, Policy};
use crate::principal::Principal;
use crate::protocol::spec::GrantOperation;
use crate::state::State;

use conditions::Asked;

pub use conditions::Conditions;
pub(crate) use conditions::tag_value;
pub use denial::{Denial, Shown};
pub use resource::{AccountResource, AliasResource, Resource};

pub(crate) use denial::denied_elsewhere;

/// An action that a policy allows or denies, as a type.
///
/// The types of [`action`] are all there are.
pub trait Action: Copy + sealed::Sealed {
    /// The name in policies: `kms:Decrypt`.
    const NAME: &'static str;

    /// The operation that a grant may allow; `None` for actions that grants know nothing of.
    fn grant_operation() -> Option<GrantOperation>;
}

mod sealed {
    pub trait Sealed {}
}

/// The actions of all operations.
pub mod action {
    use super::{Action, GrantOperation, sealed::Sealed};

    macro_rules! actions {
        ($($action:ident)*) => {
            $(
                #[doc = concat!("`kms:", stringify!($action), "`")]
                #[derive(Clone, Copy, Debug)]
                pub struct $action;

                impl Sealed for $action {}

                impl Action for $action {
                    const NAME: &'static str = concat!("kms:", stringify!($action));

                    fn grant_operation() -> Option<GrantOperation> {
                        GrantOperation::from_name(stringify!($action))
                    }
                }
            )*
        };
    }

    actions! {
        CancelKeyDeletion ConnectCustomKeyStore CreateAlias CreateCustomKeyStore CreateGrant
        CreateKey Decapsulate Decrypt DeleteAlias DeleteCustomKeyStore
        DeleteImportedKeyMaterial DeriveSharedSecret DescribeCustomKeyStores DescribeKey
        DisableKey DisableKeyRotation DisconnectCustomKeyStore EnableKey EnableKeyRotation
        Encapsulate Encrypt GenerateDataKey GenerateDataKeyPair
        GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac
        GenerateRandom GetKeyLastUsage GetKeyPolicy GetKeyRotationStatus
        GetParametersForImport GetPublicKey ImportKeyMaterial ListAliases ListGrants
        ListKeyPolicies ListKeyRotations ListKeys ListResourceTags ListRetirableGrants
        PutKeyPolicy ReEncryptFrom ReEncryptTo ReplicateKey RetireGrant RevokeGrant
        RotateKeyOnDemand ScheduleKeyDeletion Sign TagResource UntagResource UpdateAlias
        UpdateCustomKeyStore UpdateKeyDescription UpdatePrimaryRegion Verify VerifyMac
    }
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
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
}

impl<A: Action> Permit<A> {
    /// The key it is good for.
    pub fn key(&self) -> &Arc<Key> {
        &self.resource
    }
}

/// Why a permit was given, for the audit trail. The caller never sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Basis {
    text: Cow<'static, str>,
    grant: Option<GrantId>,
}

impl Basis {
    /// The basis in words: which statement of which policy, or which grant.
    pub fn text(&self) -> &Cow<'static, str> {
        &self.text
    }

    /// The grant that allows it, if it is one.
    pub fn grant(&self) -> Option<GrantId> {
        self.grant
    }
}

/// Who asks, where and when, and what is known about the rest of the world.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The caller.
    pub principal: &'a Principal,
    /// The region called.
    pub region: &'a Region,
    /// How.
    pub call: &'a Call<'a>,
    /// When.
    pub now: Timestamp,
    /// Grants and aliases are looked up here.
    pub state: &'a State,
}

/// Whether a key policy lets the caller change it again. A policy that does not locks everybody out.
pub(crate) fn may_update_policy(
    asking: Asking<'_>,
    policy: &Policy,
    key_arn: &str,
    conditions: &Conditions<'_>,
) -> bool {
    let name = action::PutKeyPolicy::NAME;
    let asked = Asked::new(asking, name, key_arn, None, conditions);
    policy::allows_policy_update(policy, &asked, key_arn)
}

/// Decides whether a principal may do something, and gives the permit for it.
///
/// # Errors
///
/// A [`Denial`], which knows AWS's text for it.
pub fn authorize<A: Action, R: Resource>(
    asking: Asking<'_>,
    _action: A,
    resource: R,
    conditions: &Conditions<'_>,
) -> Result<Permit<A, R>, Denial> {
    let basis = {
        let name = resource.name();
        let asked = Asked::new(asking, A::NAME, &name, resource.key(), conditions);
        decision::decide(&asked, A::grant_operation(), resource.account())
            .map_err(|refusal| Denial::new(A::NAME, &name, asking.principal, refusal))?
    };
    Ok(Permit {
        action: PhantomData,
        resource,
        basis,
    })
}
