//! Roles: CreateRole, GetRole, ListRoles, UpdateRole, UpdateRoleDescription, DeleteRole,
//! UpdateAssumeRolePolicy.

use std::sync::Arc;

use crate::audit::{self, iso8601};
use crate::identity_policy::TrustPolicy;
use crate::policy::{PolicyError, PrincipalName};
use crate::principal::{DEFAULT_PATH, IdentityKind, Principal, PrincipalKind, Role, unique_id};
use crate::state::Change;

use super::authorization::authorize;
use super::inline_policies::{size, write_document};
use super::page::Page;
use super::request::CreateRole;
use super::tags::RequestTags;
use super::xml::Element;
use super::{Context, IamError, Outcome, identities, tags};

/// How many characters, white space not counted, a trust policy may have.
const MOST_OF_TRUST_POLICY: usize = 2048;

/// CreateRole.
pub(super) fn create(
    context: &mut Context<'_>,
    request: &CreateRole<'_>,
) -> Result<Outcome, IamError> {
    let path = request.path.as_deref().unwrap_or(DEFAULT_PATH);
    context.tags = RequestTags::putting(&request.tags)?;
    context.permitted_new(IdentityKind::Role, path, &request.name)?;
    let trust = trust_policy(context, &request.trust)?;
    let id = unique_id("AROA", context.random);
    let mut role = Role::new(&request.name, &id, trust);
    role.description = request.description.as_deref().map(Into::into);
    if let Some(seconds) = request.max_session_seconds {
        role.max_session_seconds = seconds;
    }
    let mut principal = Principal::role(context.account(), path, role.clone(), context.now);
    principal.tags.clone_from(&context.tags.put);
    let elements = audit::created_role(&principal, &role);
    context.event.changed(elements);
    let changes = vec![Change::PutPrincipal(principal.clone())];
    Ok(context.answer(changes, |result| {
        result.element("Role", |element| {
            write_new(element, &principal, &role);
            tags::write(element, &principal);
        });
    }))
}

/// GetRole.
pub(super) fn get(context: &mut Context<'_>, name: &str) -> Result<Outcome, IamError> {
    let role = context.permitted(IdentityKind::Role, name)?;
    Ok(context.answer(Vec::new(), |result| {
        result.element("Role", |element| {
            write(element, &role);
            tags::write(element, &role);
            element.element("RoleLastUsed", |_| ());
        });
    }))
}

/// ListRoles.
pub(super) fn list(
    context: &mut Context<'_>,
    prefix: &str,
    page: &Page<'_>,
) -> Result<Outcome, IamError> {
    let kind = IdentityKind::Role;
    authorize(context, &identities::arn(context, kind, prefix, ""))?;
    let start = page.start(context, prefix)?;
    let roles = context
        .state
        .identities_after(context.account(), kind, start.as_deref())
        .filter(|role| role.path().starts_with(prefix));
    let listed = page.of(context, prefix, roles, |role| {
        role.name().unwrap_or_default().to_ascii_lowercase()
    });
    Ok(context.answer(Vec::new(), |result| {
        let roles = listed.entries.iter();
        result.members("Roles", roles, |member, role| write(member, role));
        listed.write_end(result);
    }))
}

/// DeleteRole.
pub(super) fn delete(context: &mut Context<'_>, name: &str) -> Result<Outcome, IamError> {
    let role = context.permitted(IdentityKind::Role, name)?;
    if !role.policies.is_empty() {
        return Err(IamError::DeleteConflict(
            "Cannot delete entity, must delete policies first.",
        ));
    }
    let arn = Arc::clone(role.arn());
    Ok(context.void(Change::DeletePrincipal { arn }))
}

/// UpdateRole: a description that is left out stays, a longest session becomes what it is by
/// default.
pub(super) fn update(
    context: &mut Context<'_>,
    name: &str,
    description: Option<&str>,
    max_session_seconds: Option<u32>,
) -> Result<Outcome, IamError> {
    let mut principal = context.permitted(IdentityKind::Role, name)?;
    if let Some(role) = principal.role_mut() {
        if let Some(description) = description {
            role.description = Some(description.into());
        }
        role.max_session_seconds = max_session_seconds.unwrap_or(Role::DEFAULT_SESSION_SECONDS);
    }
    // The answer has a result, although there is nothing in it.
    Ok(context.answer(vec![Change::PutPrincipal(principal)], |_| ()))
}

/// UpdateRoleDescription.
pub(super) fn update_description(
    context: &mut Context<'_>,
    name: &str,
    description: &str,
) -> Result<Outcome, IamError> {
    let mut principal = context.permitted(IdentityKind::Role, name)?;
    if let Some(role) = principal.role_mut() {
        role.description = Some(description.into());
    }
    let changes = vec![Change::PutPrincipal(principal.clone())];
    Ok(context.answer(changes, |result| {
        result.element("Role", |element| write(element, &principal));
    }))
}

/// UpdateAssumeRolePolicy.
pub(super) fn update_trust(
    context: &mut Context<'_>,
    name: &str,
    document: &str,
) -> Result<Outcome, IamError> {
    let mut principal = context.permitted(IdentityKind::Role, name)?;
    let trust = trust_policy(context, document)?;
    if let Some(role) = principal.role_mut() {
        role.trust = trust;
    }
    Ok(context.void(Change::PutPrincipal(principal)))
}

/// Takes a trust policy whose principals exist.
fn trust_policy(context: &Context<'_>, document: &str) -> Result<TrustPolicy, IamError> {
    let trust = TrustPolicy::parse(document)?;
    let stranger = trust
        .policy()
        .principal_names()
        .find_map(|name| match name {
            PrincipalName::Arn(arn) if !context.state.is_principal(arn) => Some(arn.to_owned()),
            _ => None,
        });
    if let Some(name) = stranger {
        let kind = "AWS".to_owned();
        return Err(PolicyError::InvalidPrincipal { kind, name }.into());
    }
    if size(document) > MOST_OF_TRUST_POLICY {
        return Err(IamError::LimitExceeded(format!(
            "Cannot exceed quota for ACLSizePerRole: {MOST_OF_TRUST_POLICY}"
        )));
    }
    Ok(trust)
}

/// A role.
fn write(element: &mut Element<'_>, principal: &Principal) {
    if let PrincipalKind::Role(role) = principal.kind() {
        write_new(element, principal, role);
        element.display("MaxSessionDuration", role.max_session_seconds);
    }
}

/// A role that was just made, which AWS shows without its longest session.
fn write_new(element: &mut Element<'_>, principal: &Principal, role: &Role) {
    element.text("Path", principal.path());
    element.text("RoleName", role.name());
    element.text("RoleId", role.id());
    element.text("Arn", principal.arn());
    element.display("CreateDate", iso8601(principal.created));
    write_document(element, "AssumeRolePolicyDocument", role.trust.text());
    if let Some(description) = &role.description {
        element.text("Description", description);
    }
}
