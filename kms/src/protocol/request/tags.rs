//! The requests about what a key's owner writes on it: tags and the description.

use std::borrow::Cow;

use crate::error::KmsError;
use crate::protocol::members::Members;

use super::{Tag, shape};

/// TagResource.
pub struct TagResource<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The tags to put on it, in the order sent.
    pub tags: Vec<Tag<'a>>,
}

impl<'a> TagResource<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            tags: members.required_structures("Tags", Tag::read)?,
        })
    }
}

/// UntagResource.
pub struct UntagResource<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The keys of the tags to take away.
    pub tag_keys: Vec<Cow<'a, str>>,
}

impl<'a> UntagResource<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            tag_keys: members.required_texts("TagKeys", shape::ANY_NUMBER, &shape::TAG_KEY)?,
        })
    }
}

/// ListResourceTags.
pub struct ListResourceTags<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// How many at most.
    pub limit: Option<u16>,
    /// Where the previous page ended.
    pub marker: Option<Cow<'a, str>>,
}

impl<'a> ListResourceTags<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            limit: members.integer("Limit", shape::LIMIT)?,
            marker: members.text("Marker", &shape::MARKER)?,
        })
    }
}

/// UpdateKeyDescription.
pub struct UpdateKeyDescription<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// What the key is for from now on, in words.
    pub description: Cow<'a, str>,
}

impl<'a> UpdateKeyDescription<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            description: members.required_text("Description", &shape::DESCRIPTION)?,
        })
    }
}
