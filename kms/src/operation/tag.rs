//! What a key's owner writes on it: TagResource, UntagResource, ListResourceTags,
//! UpdateKeyDescription.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::audit;
use crate::error::KmsError;
use crate::key::Key;
use crate::permit::{Conditions, action};
use crate::protocol::OperationName;
use crate::protocol::request::{self, Tag};
use crate::protocol::response::{self, TagEntry};
use crate::state::Change;

use super::key_state::{self, Row};
use super::marker::{self, Listing};
use super::{Context, Names, Outcome};

/// The most tags a key may have.
const MAX_TAGS: usize = 50;

/// How many tags a page has unless the request says, and the most it may say. The service model
/// would allow 1000.
const PAGE: u16 = 50;

/// TagResource: a tag that is there already gets the new value.
pub(super) fn tag_resource(
    context: &mut Context<'_>,
    request: &request::TagResource<'_>,
) -> Result<Outcome, KmsError> {
    let tags = new_tags(&request.tags)?;
    let conditions = Conditions {
        request_tags: Some(&tags),
        ..Conditions::default()
    };
    let permit = context.permit(
        action::TagResource,
        &request.key_id,
        Names::IdOrArn,
        &conditions,
    )?;
    key_state::require(Row::Label, permit.key())?;

    let mut key = Key::clone(permit.key());
    key.tags.extend(tags);
    require_room(&key.tags)?;
    Ok(labelled(context, key))
}

/// UntagResource: tags that are not there are no error.
pub(super) fn untag_resource(
    context: &mut Context<'_>,
    request: &request::UntagResource<'_>,
) -> Result<Outcome, KmsError> {
    for tag_key in &request.tag_keys {
        refuse_reserved(tag_key)?;
    }
    let conditions = Conditions {
        request_tag_keys: &request.tag_keys,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::UntagResource,
        &request.key_id,
        Names::IdOrArn,
        &conditions,
    )?;
    key_state::require(Row::Label, permit.key())?;

    let mut key = Key::clone(permit.key());
    for tag_key in &request.tag_keys {
        key.tags.remove(tag_key.as_ref());
    }
    Ok(labelled(context, key))
}

/// ListResourceTags.
pub(super) fn list_resource_tags(
    context: &mut Context<'_>,
    request: &request::ListResourceTags<'_>,
) -> Result<Outcome, KmsError> {
    let limit = marker::page_length(request.limit, PAGE, PAGE)?;
    let permit = context.permit(
        action::ListResourceTags,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    let key = permit.key();
    let listing = Listing {
        operation: OperationName::ListResourceTags,
        account: key.account(),
        region: key.region(),
        key: Some(key.id()),
    };
    let start = match listing.start::<String>(request.marker.as_deref())? {
        Some(last) => Bound::Excluded(last),
        None => Bound::Unbounded,
    };
    let tags = key.tags.range((start, Bound::Unbounded));
    let tags = tags.map(|(key, value)| TagEntry { key, value });
    let (tags, next_marker) = listing.page(tags, limit, |tag| tag.key);
    Ok(Outcome::read(&response::ListResourceTags {
        tags,
        next_marker,
    }))
}

/// UpdateKeyDescription.
pub(super) fn update_key_description(
    context: &mut Context<'_>,
    request: &request::UpdateKeyDescription<'_>,
) -> Result<Outcome, KmsError> {
    let permit = context.permit(
        action::UpdateKeyDescription,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    key_state::require(Row::Label, permit.key())?;

    let mut key = Key::clone(permit.key());
    key.description = request.description.as_ref().into();
    Ok(labelled(context, key))
}

/// The tags of a request, by key.
///
/// # Errors
///
/// TagException if one is reserved or there twice, or if there are too many.
pub(super) fn new_tags(tags: &[Tag<'_>]) -> Result<BTreeMap<String, String>, KmsError> {
    let mut by_key = BTreeMap::new();
    for Tag { key, value } in tags {
        refuse_reserved(key)?;
        if by_key.insert(key.to_string(), value.to_string()).is_some() {
            return Err(KmsError::Tag("Duplicate tag keys".into()));
        }
    }
    require_room(&by_key)?;
    Ok(by_key)
}

/// Lets a tag pass that AWS does not keep for itself.
fn refuse_reserved(tag_key: &str) -> Result<(), KmsError> {
    let prefix = tag_key.get(..4);
    if prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
        return Err(KmsError::Tag(
            "Tags beginning with aws: are reserved".into(),
        ));
    }
    Ok(())
}

/// Lets tags pass that are not more than a key may have.
fn require_room(tags: &BTreeMap<String, String>) -> Result<(), KmsError> {
    if tags.len() > MAX_TAGS {
        return Err(KmsError::Tag("Too many tags".into()));
    }
    Ok(())
}

/// The outcome of having written something on a key.
fn labelled(context: &mut Context<'_>, key: Key) -> Outcome {
    context.event.changed(audit::key_id(key.arn()));
    Outcome::void(vec![Change::PutKey(key)])
}
