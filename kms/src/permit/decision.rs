//! The decision: what policies and grants, all together, say of a call.

use std::borrow::Cow;

use crate::grant::{Grant, Grantee};
use crate::identity_policy::FULL_ACCESS;
use crate::key::Key;
use crate::name::{self, AccountId};
use crate::policy::{self, Decision, Effect, Lacking, Source};
use crate::principal::Principal;
use crate::protocol::EncryptionContext;
use crate::protocol::spec::GrantOperation;

use super::Basis;
use super::conditions::Asked;
use super::denial::Refusal;

/// Decides on a call for a resource of the account `owner`.
///
/// First the policies: a deny in any of them is final. If they don't allow it, a grant on the key
/// may. The session policy of a caller bounds what either gives.
pub(super) fn decide(
    asked: &Asked<'_>,
    operation: Option<GrantOperation>,
    owner: AccountId,
) -> Result<Basis, Refusal> {
    bounded(asked, operation, owner)
        .map_err(|refusal| refusal.of_owner(owner, asked.asking.principal))
}

fn bounded(
    asked: &Asked<'_>,
    operation: Option<GrantOperation>,
    owner: AccountId,
) -> Result<Basis, Refusal> {
    let principal = asked.asking.principal;
    let key_policy = match asked.key.and_then(|key| key.policy.as_ref()) {
        // The default policy leaves everything to the account, as a resource without a policy does.
        None => None,
        Some(policy) => Some(policy.policy().ok_or_else(Refusal::unreadable)?),
    };
    let by_policies = policy::decide(asked, owner, key_policy, principal.identity_policies());
    let basis = match by_policies {
        Decision::Allowed { .. } => basis(&by_policies),
        Decision::ExplicitlyDenied { by } => {
            let in_resource_policy = matches!(by, Source::ResourcePolicy(_));
            return Err(Refusal::denied(in_resource_policy, by_policies.to_string()));
        }
        Decision::NotAllowed(lacking) => match by_grant(asked, operation) {
            Some(grant) if may_use_grant(asked, owner) => Basis {
                text: format!("grant {} allows it", grant.id).into(),
                grant: Some(grant.id),
            },
            _ => {
                let in_resource_policy = lacking == Lacking::ResourcePolicy;
                return Err(Refusal::lacking(
                    in_resource_policy,
                    by_policies.to_string(),
                ));
            }
        },
    };
    match principal.session_policy() {
        None => Ok(basis),
        Some(session_policy) => match session_policy.evaluate(asked).map(|found| found.effect) {
            Some(Effect::Allow) => Ok(basis),
            Some(Effect::Deny) => Err(Refusal::denied_by_session()),
            None => Err(Refusal::lacking_in_session()),
        },
    }
}

/// The basis of what policies allow. The most frequent one costs nothing.
fn basis(decision: &Decision<'_>) -> Basis {
    let text = match decision {
        Decision::Allowed {
            by: Source::IdentityPolicy {
                name: FULL_ACCESS, ..
            },
            delegated: None,
        } => Cow::Borrowed("the identity policy AdministratorAccess allows it"),
        _ => decision.to_string().into(),
    };
    Basis { text, grant: None }
}

/// The first grant that allows a call.
fn by_grant<'a>(asked: &'a Asked<'_>, operation: Option<GrantOperation>) -> Option<&'a Grant> {
    let (key, operation) = (asked.key?, operation?);
    match operation {
        // Only the grant itself says who may retire it.
        GrantOperation::RetireGrant => asked
            .conditions
            .grant
            .filter(|grant| may_retire(grant, asked.asking.principal)),
        GrantOperation::CreateGrant => {
            let new = asked.conditions.grant?;
            grants(asked, key).find(|grant| {
                grant.allows(operation, &EncryptionContext::default()) && grant.covers(new)
            })
        }
        _ => {
            let none = EncryptionContext::default();
            let context = asked.conditions.encryption_context.unwrap_or(&none);
            grants(asked, key).find(|grant| grant.allows(operation, context))
        }
    }
}

/// The grants on a key for the caller, by whichever of its names.
fn grants<'a>(asked: &'a Asked<'_>, key: &'a Key) -> impl Iterator<Item = &'a Grant> {
    let state = asked.asking.state;
    names(asked.asking.principal)
        .flat_map(move |name| state.grants_for(key, Grantee::Principal(name.into())))
        .map(|grant| &**grant)
}

/// The names that a grant may have for a principal: its own, that of its role, and that of its
/// account for the root user.
fn names(principal: &Principal) -> impl Iterator<Item = &str> {
    let own = &**principal.arn();
    let role = principal.policy_arn();
    std::iter::once(own).chain((role != own).then_some(role))
}

fn may_retire(grant: &Grant, principal: &Principal) -> bool {
    let is_caller = |grantee: &Grantee| match grantee {
        Grantee::Principal(arn) => names(principal).any(|name| *name == **arn),
        Grantee::Service(_) => false,
    };
    grant.retiring.as_ref().is_some_and(is_caller)
        || (is_caller(&grant.grantee) && grant.operations.contains(&GrantOperation::RetireGrant))
}

/// Whether the caller's own account lets it use a grant on a key of `owner`: for a key of another
/// account it has to.
fn may_use_grant(asked: &Asked<'_>, owner: AccountId) -> bool {
    let principal = asked.asking.principal;
    let own = principal.account();
    own == owner
        || *principal.arn() == name::root_arn(own).into()
        || matches!(
            policy::decide(asked, own, None, principal.identity_policies()),
            Decision::Allowed { .. }
        )
}
