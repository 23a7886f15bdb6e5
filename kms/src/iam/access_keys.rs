//! Access keys: CreateAccessKey, ListAccessKeys, GetAccessKeyLastUsed, UpdateAccessKey,
//! DeleteAccessKey.

use std::sync::Arc;

use crate::audit::{self, iso8601};
use crate::principal::{AccessKey, Principal};
use crate::state::Change;

use super::authorization::authorize;
use super::credentials::{access_key_id, secret_access_key};
use super::page::Page;
use super::xml::Element;
use super::{Context, IamError, Outcome};

/// How many access keys a user may have.
const MOST: usize = 2;

/// CreateAccessKey.
pub(super) fn create(context: &mut Context<'_>, user: Option<&str>) -> Result<Outcome, IamError> {
    let owner = context.permitted_user(user)?;
    if context.state.access_keys_of(owner.arn()).count() >= MOST {
        return Err(IamError::LimitExceeded(format!(
            "Cannot exceed quota for AccessKeysPerUser: {MOST}"
        )));
    }
    let mut id = access_key_id("AKIA", context.account(), context.random);
    while context.state.access_key(&id).is_some() {
        id = access_key_id("AKIA", context.account(), context.random);
    }
    let key = AccessKey {
        id: id.into(),
        secret: secret_access_key(context.random),
        principal: Arc::clone(owner.arn()),
        created: context.now,
        active: true,
    };
    let elements = audit::created_access_key(&key, owner.name());
    context.event.changed(elements);
    let changes = vec![Change::PutAccessKey(key.clone())];
    Ok(context.answer(changes, |result| {
        result.element("AccessKey", |element| {
            write(element, &key, &owner);
            element.text("SecretAccessKey", key.secret.expose());
        });
    }))
}

/// ListAccessKeys.
pub(super) fn list(
    context: &mut Context<'_>,
    user: Option<&str>,
    page: &Page<'_>,
) -> Result<Outcome, IamError> {
    let owner = context.permitted_user(user)?;
    let start = page.start(context, owner.arn())?;
    let keys = context.state.access_keys_of(owner.arn());
    let keys = keys.filter(|key| start.as_deref().is_none_or(|start| *key.id > *start));
    let listed = page.of(context, owner.arn(), keys, |key| key.id.to_string());
    Ok(context.answer(Vec::new(), |result| {
        if let Some(name) = owner.name() {
            result.text("UserName", name);
        }
        let keys = listed.entries.iter();
        result.members("AccessKeyMetadata", keys, |member, key| {
            write(member, key, &owner);
        });
        listed.write_end(result);
    }))
}

/// UpdateAccessKey.
pub(super) fn update(
    context: &mut Context<'_>,
    user: Option<&str>,
    id: &str,
    active: bool,
) -> Result<Outcome, IamError> {
    let key = existing(context, user, id)?;
    let key = AccessKey {
        active,
        ..AccessKey::clone(&key)
    };
    Ok(context.void(Change::PutAccessKey(key)))
}

/// DeleteAccessKey.
pub(super) fn delete(
    context: &mut Context<'_>,
    user: Option<&str>,
    id: &str,
) -> Result<Outcome, IamError> {
    let key = existing(context, user, id)?;
    let id = Arc::clone(&key.id);
    Ok(context.void(Change::DeleteAccessKey { id }))
}

/// GetAccessKeyLastUsed: that is not tracked. Of keys that are none of the account's nobody may ask.
pub(super) fn last_used(context: &mut Context<'_>, id: &str) -> Result<Outcome, IamError> {
    let state = context.state;
    let key = state.access_key(id);
    let owner = key.and_then(|key| state.principal(&key.principal));
    let Some(owner) = owner.filter(|owner| owner.account() == context.account()) else {
        return Err(IamError::AccessDenied(format!(
            "User: {} is not authorized to perform iam:GetAccessKeyLastUsed on resource: access key {id}",
            context.caller.principal.arn()
        )));
    };
    authorize(context, owner.arn())?;
    Ok(context.answer(Vec::new(), |result| {
        if let Some(name) = owner.name() {
            result.text("UserName", name);
        }
        result.element("AccessKeyLastUsed", |last| {
            last.text("Region", "N/A");
            last.text("ServiceName", "N/A");
        });
    }))
}

/// The access key of this id, if it is that of the user.
fn existing(
    context: &mut Context<'_>,
    user: Option<&str>,
    id: &str,
) -> Result<Arc<AccessKey>, IamError> {
    let owner = context.permitted_user(user)?;
    let key = context.state.access_key(id);
    match key.filter(|key| key.principal == *owner.arn()) {
        Some(key) => Ok(Arc::clone(key)),
        None => Err(IamError::NoSuchEntity(format!(
            "The Access Key with id {id} cannot be found."
        ))),
    }
}

/// All of an access key but its secret.
fn write(element: &mut Element<'_>, key: &AccessKey, owner: &Principal) {
    if let Some(name) = owner.name() {
        element.text("UserName", name);
    }
    element.text("AccessKeyId", &key.id);
    element.text("Status", if key.active { "Active" } else { "Inactive" });
    element.display("CreateDate", iso8601(key.created));
}
