//! The requests about aliases.

use std::borrow::Cow;

use crate::error::KmsError;
use crate::protocol::members::Members;

use super::shape;

/// CreateAlias.
pub struct CreateAlias<'a> {
    /// The new alias, `alias/` included.
    pub alias_name: Cow<'a, str>,
    /// The key it is to name: id or ARN.
    pub target_key_id: Cow<'a, str>,
}

impl<'a> CreateAlias<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            alias_name: members.required_text("AliasName", &shape::ALIAS_NAME)?,
            target_key_id: members.required_text("TargetKeyId", &shape::KEY_ID)?,
        })
    }
}

/// UpdateAlias.
pub struct UpdateAlias<'a> {
    /// The alias, `alias/` included.
    pub alias_name: Cow<'a, str>,
    /// The key it is to name from now on: id or ARN.
    pub target_key_id: Cow<'a, str>,
}

impl<'a> UpdateAlias<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            alias_name: members.required_text("AliasName", &shape::ALIAS_NAME)?,
            target_key_id: members.required_text("TargetKeyId", &shape::KEY_ID)?,
        })
    }
}

/// DeleteAlias.
pub struct DeleteAlias<'a> {
    /// The alias, `alias/` included.
    pub alias_name: Cow<'a, str>,
}

impl<'a> DeleteAlias<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            alias_name: members.required_text("AliasName", &shape::ALIAS_NAME)?,
        })
    }
}

/// ListAliases.
pub struct ListAliases<'a> {
    /// Only the aliases of this key: id or ARN.
    pub key_id: Option<Cow<'a, str>>,
    /// How many at most.
    pub limit: Option<u16>,
    /// Where the previous page ended.
    pub marker: Option<Cow<'a, str>>,
}

impl<'a> ListAliases<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.text("KeyId", &shape::KEY_ID)?,
            limit: members.integer("Limit", shape::LIMIT)?,
            marker: members.text("Marker", &shape::MARKER)?,
        })
    }
}
