//! The requests about key policies.

use std::borrow::Cow;

use crate::error::KmsError;
use crate::protocol::members::Members;

use super::shape;

/// GetKeyPolicy.
pub struct GetKeyPolicy<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The policy's name; only `default` exists.
    pub policy_name: Option<Cow<'a, str>>,
}

impl<'a> GetKeyPolicy<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            policy_name: members.text("PolicyName", &shape::POLICY_NAME)?,
        })
    }
}

/// ListKeyPolicies.
pub struct ListKeyPolicies<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// How many at most.
    pub limit: Option<u16>,
    /// Where the previous page ended.
    pub marker: Option<Cow<'a, str>>,
}

impl<'a> ListKeyPolicies<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            limit: members.integer("Limit", shape::LIMIT)?,
            marker: members.text("Marker", &shape::MARKER)?,
        })
    }
}

/// PutKeyPolicy.
pub struct PutKeyPolicy<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The policy's name; only `default` exists.
    pub policy_name: Option<Cow<'a, str>>,
    /// The policy, as JSON text.
    pub policy: Cow<'a, str>,
    /// Whether a policy that locks everybody out is taken.
    pub bypass_policy_lockout_safety_check: bool,
}

impl<'a> PutKeyPolicy<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            policy_name: members.text("PolicyName", &shape::POLICY_NAME)?,
            policy: members.required_text("Policy", &shape::POLICY)?,
            bypass_policy_lockout_safety_check: members.flag("BypassPolicyLockoutSafetyCheck")?,
        })
    }
}
