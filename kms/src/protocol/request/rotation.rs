//! The requests about the rotation of key material.

use std::borrow::Cow;

use crate::error::KmsError;
use crate::protocol::members::Members;
use crate::protocol::spec::IncludeKeyMaterial;

use super::shape;

/// EnableKeyRotation.
pub struct EnableKeyRotation<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The days from one rotation to the next; 365 when absent.
    pub rotation_period_in_days: Option<u16>,
}

impl<'a> EnableKeyRotation<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            rotation_period_in_days: members
                .integer("RotationPeriodInDays", shape::ROTATION_PERIOD_IN_DAYS)?,
        })
    }
}

/// DisableKeyRotation.
pub struct DisableKeyRotation<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
}

impl<'a> DisableKeyRotation<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
        })
    }
}

/// GetKeyRotationStatus.
pub struct GetKeyRotationStatus<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
}

impl<'a> GetKeyRotationStatus<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
        })
    }
}

/// RotateKeyOnDemand.
pub struct RotateKeyOnDemand<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
}

impl<'a> RotateKeyOnDemand<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
        })
    }
}

/// ListKeyRotations.
pub struct ListKeyRotations<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// Which versions of its material; those that a rotation made when absent.
    pub include_key_material: Option<IncludeKeyMaterial>,
    /// How many at most.
    pub limit: Option<u16>,
    /// Where the previous page ended.
    pub marker: Option<Cow<'a, str>>,
}

impl<'a> ListKeyRotations<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            include_key_material: members.choice("IncludeKeyMaterial")?,
            limit: members.integer("Limit", shape::LIMIT)?,
            marker: members.text("Marker", &shape::MARKER)?,
        })
    }
}
