//! Users: CreateUser, GetUser, ListUsers, DeleteUser.

use std::sync::Arc;

use crate::audit::{self, iso8601};
use crate::principal::{DEFAULT_PATH, IdentityKind, Principal, unique_id};
use crate::state::Change;

use super::authorization::authorize;
use super::page::Page;
use super::parameters::Tag;
use super::tags::RequestTags;
use super::xml::Element;
use super::{Context, IamError, Outcome, identities, tags};

/// CreateUser.
pub(super) fn create(
    context: &mut Context<'_>,
    name: &str,
    path: Option<&str>,
    tags: &[Tag<'_>],
) -> Result<Outcome, IamError> {
    let path = path.unwrap_or(DEFAULT_PATH);
    context.tags = RequestTags::putting(tags)?;
    context.permitted_new(IdentityKind::User, path, name)?;
    let id = unique_id("AIDA", context.random);
    let mut user = Principal::user_under(context.account(), path, name, &id, context.now);
    user.tags.clone_from(&context.tags.put);
    context.event.changed(audit::created_user(&user));
    let changes = vec![Change::PutPrincipal(user.clone())];
    Ok(context.answer(changes, |result| {
        result.element("User", |element| {
            write(element, &user);
            tags::write(element, &user);
        });
    }))
}

/// GetUser.
pub(super) fn get(context: &mut Context<'_>, name: Option<&str>) -> Result<Outcome, IamError> {
    let user = context.permitted_user(name)?;
    Ok(context.answer(Vec::new(), |result| {
        result.element("User", |element| {
            write(element, &user);
            tags::write(element, &user);
        });
    }))
}

/// ListUsers.
pub(super) fn list(
    context: &mut Context<'_>,
    prefix: &str,
    page: &Page<'_>,
) -> Result<Outcome, IamError> {
    let kind = IdentityKind::User;
    authorize(context, &identities::arn(context, kind, prefix, ""))?;
    let start = page.start(context, prefix)?;
    let users = context
        .state
        .identities_after(context.account(), kind, start.as_deref())
        .filter(|user| user.path().starts_with(prefix));
    let listed = page.of(context, prefix, users, |user| {
        user.name().unwrap_or_default().to_ascii_lowercase()
    });
    Ok(context.answer(Vec::new(), |result| {
        let users = listed.entries.iter();
        result.members("Users", users, |member, user| write(member, user));
        listed.write_end(result);
    }))
}

/// DeleteUser.
pub(super) fn delete(context: &mut Context<'_>, name: &str) -> Result<Outcome, IamError> {
    let user = context.permitted(IdentityKind::User, name)?;
    if context.state.access_keys_of(user.arn()).next().is_some() {
        return Err(IamError::DeleteConflict(
            "Cannot delete entity, must delete access keys first.",
        ));
    }
    if !user.policies.is_empty() {
        return Err(IamError::DeleteConflict(
            "Cannot delete entity, must delete policies first.",
        ));
    }
    let arn = Arc::clone(user.arn());
    Ok(context.void(Change::DeletePrincipal { arn }))
}

/// A user; the root user has neither name nor path.
fn write(element: &mut Element<'_>, user: &Principal) {
    if let Some(name) = user.name() {
        element.text("Path", user.path());
        element.text("UserName", name);
    }
    element.text("UserId", &user.principal_id());
    element.text("Arn", user.arn());
    element.display("CreateDate", iso8601(user.created));
}
