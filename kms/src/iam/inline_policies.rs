//! Inline policies of users and roles: Put…Policy, Get…Policy, List…Policies, Delete…Policy.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::identity_policy::IdentityPolicy;
use crate::principal::{IdentityKind, Principal};
use crate::state::Change;

use super::identities::word;
use super::page::Page;
use super::request::PolicyPlace;
use super::xml::Element;
use super::{Context, IamError, Outcome};

/// How many characters, white space not counted, all policies of a user or a role may have.
const MOST_OF_USER: usize = 2048;
const MOST_OF_ROLE: usize = 10_240;

/// PutUserPolicy and PutRolePolicy.
pub(super) fn put(
    context: &mut Context<'_>,
    place: &PolicyPlace<'_>,
    document: &str,
) -> Result<Outcome, IamError> {
    let mut owner = context.permitted(place.kind, &place.owner)?;
    let policy = IdentityPolicy::parse(document)?;
    owner.policies.insert((&*place.policy).into(), policy);
    let most = match place.kind {
        IdentityKind::User => MOST_OF_USER,
        IdentityKind::Role => MOST_OF_ROLE,
    };
    let policies = owner.policies.values();
    if policies.map(|policy| size(policy.text())).sum::<usize>() > most {
        return Err(IamError::LimitExceeded(format!(
            "Maximum policy size of {most} bytes exceeded for {} {}",
            word(place.kind),
            place.owner
        )));
    }
    Ok(context.void(Change::PutPrincipal(owner)))
}

/// GetUserPolicy and GetRolePolicy.
pub(super) fn get(context: &mut Context<'_>, place: &PolicyPlace<'_>) -> Result<Outcome, IamError> {
    let owner = context.permitted(place.kind, &place.owner)?;
    let policy = owner.policies.get(&*place.policy);
    let policy = policy.ok_or_else(|| not_found(place))?;
    Ok(context.answer(Vec::new(), |result| {
        let name = match place.kind {
            IdentityKind::User => "UserName",
            IdentityKind::Role => "RoleName",
        };
        result.text(name, &place.owner);
        result.text("PolicyName", &place.policy);
        write_document(result, "PolicyDocument", policy.text());
    }))
}

/// ListUserPolicies and ListRolePolicies.
pub(super) fn list(
    context: &mut Context<'_>,
    kind: IdentityKind,
    owner: &str,
    page: &Page<'_>,
) -> Result<Outcome, IamError> {
    let owner: Principal = context.permitted(kind, owner)?;
    let start = page.start(context, owner.arn())?;
    let names = owner.policies.keys();
    let names = names.filter(|name| start.as_deref().is_none_or(|start| ***name > *start));
    let listed = page.of(context, owner.arn(), names, |name| name.to_string());
    Ok(context.answer(Vec::new(), |result| {
        let names = listed.entries.iter();
        result.members("PolicyNames", names, |member, name| member.content(name));
        listed.write_end(result);
    }))
}

/// DeleteUserPolicy and DeleteRolePolicy.
pub(super) fn delete(
    context: &mut Context<'_>,
    place: &PolicyPlace<'_>,
) -> Result<Outcome, IamError> {
    let mut owner = context.permitted(place.kind, &place.owner)?;
    match owner.policies.remove(&*place.policy) {
        Some(_) => Ok(context.void(Change::PutPrincipal(owner))),
        None => Err(not_found(place)),
    }
}

fn not_found(place: &PolicyPlace<'_>) -> IamError {
    IamError::NoSuchEntity(format!(
        "The {} policy with name {} cannot be found.",
        word(place.kind),
        place.policy
    ))
}

/// How much of a quota a policy takes.
pub(super) fn size(policy: &str) -> usize {
    policy.chars().filter(|c| !c.is_whitespace()).count()
}

/// A policy as IAM puts it into its answers: percent-encoded (RFC 3986).
pub(super) fn write_document(element: &mut Element<'_>, name: &str, document: &str) {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    element.display(name, utf8_percent_encode(document, ENCODED));
}
