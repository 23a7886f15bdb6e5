//! Tags of users and roles: Tag…, Untag…, List…Tags.
//!
//! Keys that differ in nothing but case are the same key.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::policy::keys;
use crate::principal::{IdentityKind, Principal};
use crate::state::Change;

use super::page::Page;
use super::parameters::Tag;
use super::xml::Element;
use super::{Context, IamError, Outcome};

/// How many tags a user or a role may have.
const MOST: usize = 50;

/// The tags of a request, as policies may ask about them.
#[derive(Default)]
pub(super) struct RequestTags {
    /// Those that are to be put on something.
    pub(super) put: BTreeMap<String, String>,
    /// The keys of those that are to be taken away.
    pub(super) taken: Vec<String>,
}

impl RequestTags {
    /// Tags that may be put on something.
    ///
    /// # Errors
    ///
    /// InvalidInput if a key comes twice, or is AWS's own.
    pub(super) fn putting(tags: &[Tag<'_>]) -> Result<Self, IamError> {
        let mut put: BTreeMap<String, String> = BTreeMap::new();
        for Tag { key, value } in tags {
            let prefix = key.get(..4);
            if prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
                return Err(IamError::InvalidInput(
                    "aws: prefixed tag key names are not allowed for external use.".to_owned(),
                ));
            }
            if put.keys().any(|other| keys::same(other, key)) {
                return Err(IamError::InvalidInput(
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive."
                        .to_owned(),
                ));
            }
            put.insert(key.to_string(), value.to_string());
        }
        Ok(Self {
            put,
            taken: Vec::new(),
        })
    }
}

/// TagUser and TagRole: a tag that is there already is replaced.
pub(super) fn tag(
    context: &mut Context<'_>,
    kind: IdentityKind,
    owner: &str,
    tags: &[Tag<'_>],
) -> Result<Outcome, IamError> {
    context.tags = RequestTags::putting(tags)?;
    let mut owner = context.permitted(kind, owner)?;
    for (key, value) in &context.tags.put {
        owner.tags.retain(|other, _| !keys::same(other, key));
        owner.tags.insert(key.clone(), value.clone());
    }
    if owner.tags.len() > MOST {
        return Err(IamError::LimitExceeded(
            "The number of tags has reached the maximum limit.".to_owned(),
        ));
    }
    Ok(context.void(Change::PutPrincipal(owner)))
}

/// UntagUser and UntagRole: tags that are not there are no error.
pub(super) fn untag(
    context: &mut Context<'_>,
    kind: IdentityKind,
    owner: &str,
    tag_keys: Vec<Cow<'_, str>>,
) -> Result<Outcome, IamError> {
    context.tags.taken = tag_keys.into_iter().map(Cow::into_owned).collect();
    let mut owner = context.permitted(kind, owner)?;
    let taken = &context.tags.taken;
    owner
        .tags
        .retain(|key, _| !taken.iter().any(|other| keys::same(other, key)));
    Ok(context.void(Change::PutPrincipal(owner)))
}

/// ListUserTags and ListRoleTags. A marker tells how many tags came before: their keys may be longer
/// than a marker may be.
pub(super) fn list(
    context: &mut Context<'_>,
    kind: IdentityKind,
    owner: &str,
    page: &Page<'_>,
) -> Result<Outcome, IamError> {
    let owner: Principal = context.permitted(kind, owner)?;
    let start = page.start(context, owner.arn())?;
    let before = start.and_then(|start| start.parse().ok()).unwrap_or(0);
    let tags = owner.tags.iter().enumerate().skip(before);
    let listed = page.of(context, owner.arn(), tags, |(place, _)| {
        (place + 1).to_string()
    });
    Ok(context.answer(Vec::new(), |result| {
        write_list(result, listed.entries.iter().map(|(_, tag)| *tag));
        listed.write_end(result);
    }))
}

/// The tags of a user or a role, if it has any.
pub(super) fn write(element: &mut Element<'_>, owner: &Principal) {
    if !owner.tags.is_empty() {
        write_list(element, owner.tags.iter());
    }
}

fn write_list<'a>(element: &mut Element<'_>, tags: impl Iterator<Item = (&'a String, &'a String)>) {
    element.members("Tags", tags, |member, (key, value)| {
        member.text("Key", key);
        member.text("Value", value);
    });
}
