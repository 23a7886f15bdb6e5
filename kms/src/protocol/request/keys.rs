//! The requests that make keys, describe them and change their state.

use std::borrow::Cow;

use crate::error::KmsError;
use crate::protocol::members::Members;
use crate::protocol::spec::{KeySpec, KeyUsage, Origin, ResourceOwner};

use super::shape;

/// CreateKey.
pub struct CreateKey<'a> {
    /// The key policy, as JSON text; AWS's default when absent.
    pub policy: Option<Cow<'a, str>>,
    /// What the key is for, in words.
    pub description: Option<Cow<'a, str>>,
    /// What the key is for.
    pub key_usage: Option<KeyUsage>,
    /// The deprecated form of `key_spec`.
    pub customer_master_key_spec: Option<KeySpec>,
    /// What the key is made of; SYMMETRIC_DEFAULT when absent.
    pub key_spec: Option<KeySpec>,
    /// Where its material comes from; AWS_KMS when absent.
    pub origin: Option<Origin>,
    /// The custom key store to make it in.
    pub custom_key_store_id: Option<Cow<'a, str>>,
    /// Whether a policy that locks everybody out is taken.
    pub bypass_policy_lockout_safety_check: bool,
    /// The key's tags, in the order sent.
    pub tags: Vec<Tag<'a>>,
    /// Whether it is a multi-Region primary key.
    pub multi_region: bool,
    /// The external key behind a key of an external key store.
    pub xks_key_id: Option<Cow<'a, str>>,
}

impl<'a> CreateKey<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            policy: members.text("Policy", &shape::POLICY)?,
            description: members.text("Description", &shape::DESCRIPTION)?,
            key_usage: members.choice("KeyUsage")?,
            customer_master_key_spec: members
                .choice_of("CustomerMasterKeySpec", KeySpec::CUSTOMER_MASTER_KEY_SPECS)?,
            key_spec: members.choice("KeySpec")?,
            origin: members.choice("Origin")?,
            custom_key_store_id: members.text("CustomKeyStoreId", &shape::CUSTOM_KEY_STORE_ID)?,
            bypass_policy_lockout_safety_check: members.flag("BypassPolicyLockoutSafetyCheck")?,
            tags: members.structures("Tags", Tag::read)?,
            multi_region: members.flag("MultiRegion")?,
            xks_key_id: members.text("XksKeyId", &shape::XKS_KEY_ID)?,
        })
    }
}

/// A tag of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag<'a> {
    /// `TagKey`.
    pub key: Cow<'a, str>,
    /// `TagValue`.
    pub value: Cow<'a, str>,
}

impl<'a> Tag<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key: members.required_text("TagKey", &shape::TAG_KEY)?,
            value: members.required_text("TagValue", &shape::TAG_VALUE)?,
        })
    }
}

/// DescribeKey.
pub struct DescribeKey<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
}

impl<'a> DescribeKey<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
        })
    }
}

/// GetKeyLastUsage.
pub struct GetKeyLastUsage<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
}

impl<'a> GetKeyLastUsage<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
        })
    }
}

/// ListKeys.
pub struct ListKeys<'a> {
    /// How many at most.
    pub limit: Option<u16>,
    /// Where the previous page ended.
    pub marker: Option<Cow<'a, str>>,
    /// Whose keys; the caller's when empty.
    pub resource_owners: Vec<ResourceOwner>,
}

impl<'a> ListKeys<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            limit: members.integer("Limit", shape::LIMIT)?,
            marker: members.text("Marker", &shape::MARKER)?,
            resource_owners: members.choices("ResourceOwners", shape::RESOURCE_OWNERS)?,
        })
    }
}

/// EnableKey.
pub struct EnableKey<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
}

impl<'a> EnableKey<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
        })
    }
}

/// DisableKey.
pub struct DisableKey<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
}

impl<'a> DisableKey<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
        })
    }
}

/// ScheduleKeyDeletion.
pub struct ScheduleKeyDeletion<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The waiting time in days; 1 to 365 by the model, 7 to 30 by the service, 30 when absent.
    pub pending_window_in_days: Option<u16>,
}

impl<'a> ScheduleKeyDeletion<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            pending_window_in_days: members
                .integer("PendingWindowInDays", shape::PENDING_WINDOW_IN_DAYS)?,
        })
    }
}

/// CancelKeyDeletion.
pub struct CancelKeyDeletion<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
}

impl<'a> CancelKeyDeletion<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
        })
    }
}
