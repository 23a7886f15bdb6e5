//! The requests about multi-Region keys.

use std::borrow::Cow;

use crate::error::KmsError;
use crate::protocol::members::Members;

use super::{Tag, shape};

/// ReplicateKey.
pub struct ReplicateKey<'a> {
    /// The primary key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// Where the replica is to be.
    pub replica_region: Cow<'a, str>,
    /// The replica's key policy, as JSON text; AWS's default when absent.
    pub policy: Option<Cow<'a, str>>,
    /// Whether a policy that locks everybody out is taken.
    pub bypass_policy_lockout_safety_check: bool,
    /// What the replica is for, in words.
    pub description: Option<Cow<'a, str>>,
    /// The replica's tags, in the order sent.
    pub tags: Vec<Tag<'a>>,
}

impl<'a> ReplicateKey<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            replica_region: members.required_text("ReplicaRegion", &shape::REGION)?,
            policy: members.text("Policy", &shape::POLICY)?,
            bypass_policy_lockout_safety_check: members.flag("BypassPolicyLockoutSafetyCheck")?,
            description: members.text("Description", &shape::DESCRIPTION)?,
            tags: members.structures("Tags", Tag::read)?,
        })
    }
}

/// UpdatePrimaryRegion.
pub struct UpdatePrimaryRegion<'a> {
    /// The primary key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The region of the replica that is to take its place.
    pub primary_region: Cow<'a, str>,
}

impl<'a> UpdatePrimaryRegion<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            primary_region: members.required_text("PrimaryRegion", &shape::REGION)?,
        })
    }
}
