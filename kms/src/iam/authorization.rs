//! Who may call IAM and STS.
//!
//! The one place that decides: by the identity policies of the caller, for a role also by who it
//! trusts. Everything else asks here, before it looks whether what the call is about exists.

use crate::name::AccountId;
use crate::permit::{Asking, tag_value};
use crate::policy::{
    Caller, Decision, Effect, Lacking, Policy, RequestContext, Source, Values, decide, keys,
};
use crate::principal::{Principal, PrincipalKind, Role};

use super::tags::RequestTags;
use super::{Action, Context, IamError};

/// Decides whether the caller may do what it calls for to the resource with this ARN, which
/// belongs to its own account.
///
/// # Errors
///
/// AccessDenied with AWS's text.
pub(super) fn authorize(context: &mut Context<'_>, resource: &str) -> Result<(), IamError> {
    authorize_also(context, context.action, resource)
}

/// Decides whether the caller may do something that is part of what it calls for.
///
/// # Errors
///
/// AccessDenied with AWS's text.
pub(super) fn authorize_also(
    context: &mut Context<'_>,
    action: Action,
    resource: &str,
) -> Result<(), IamError> {
    let action = action.in_policies();
    let asked = Asked {
        asking: context.asking(),
        action: &action,
        resource,
        found: context.state.principal(resource).map(|found| &**found),
        tags: &context.tags,
        owner: context.account(),
        assumption: None,
    };
    let (basis, refusal) = judge(&context.caller.principal, &asked, asked.owner, None);
    context.event.authorization(action.clone(), basis.into());
    let Some(refusal) = refusal else {
        return Ok(());
    };
    let why = refusal.in_words(&action);
    Err(IamError::AccessDenied(format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} {why}",
        context.caller.principal.arn()
    )))
}

/// What a role's trust policy may ask about the session that is to begin.
pub(super) struct Assumption<'a> {
    pub(super) session_name: &'a str,
    pub(super) external_id: Option<&'a str>,
}

/// Decides whether the caller may assume the role with this ARN; `None` if there is none.
///
/// The role's trust policy has to allow it. Where that trusts the caller's account as a whole, or
/// another account's caller, the caller's identity policies have to allow it, too.
///
/// # Errors
///
/// AccessDenied, in the same words whether the role exists or not.
pub(super) fn authorize_assumption(
    context: &mut Context<'_>,
    role: Option<(&Principal, &Role)>,
    role_arn: &str,
    assumption: Assumption<'_>,
) -> Result<(), IamError> {
    let caller = &context.caller.principal;
    if *caller.kind() == PrincipalKind::Root {
        return Err(IamError::AccessDenied(
            "Roles may not be assumed by root accounts.".to_owned(),
        ));
    }
    let action = context.action.in_policies();
    let (basis, refused) = match role {
        None => ("there is no such role".to_owned(), true),
        Some((principal, role)) => {
            let owner = principal.account();
            let asked = Asked {
                asking: context.asking(),
                action: &action,
                resource: role_arn,
                found: Some(principal),
                tags: &context.tags,
                owner,
                assumption: Some(assumption),
            };
            let (basis, refusal) = judge(caller, &asked, owner, Some(role.trust.policy()));
            (basis, refusal.is_some())
        }
    };
    context.event.authorization(action.clone(), basis.into());
    if !refused {
        return Ok(());
    }
    Err(IamError::AccessDenied(format!(
        "User: {} is not authorized to perform: {action} on resource: {role_arn}",
        context.caller.principal.arn()
    )))
}

/// Why a call is refused.
enum Refusal {
    /// A policy of this kind denies it.
    Denied(&'static str),
    /// No policy of this kind allows it.
    NotAllowed(&'static str),
}

impl Refusal {
    fn in_words(&self, action: &str) -> String {
        match self {
            Self::Denied(policy) => format!("with an explicit deny in {policy} policy"),
            Self::NotAllowed(policy) => {
                format!("because no {policy} policy allows the {action} action")
            }
        }
    }
}

/// The decision in words for the audit trail, and what the caller is told if it is refused: by the
/// policies of principal and resource, and by that of the session.
fn judge(
    principal: &Principal,
    request: &dyn RequestContext,
    owner: AccountId,
    resource_policy: Option<&Policy>,
) -> (String, Option<Refusal>) {
    let policies = principal.identity_policies();
    let decision = decide(request, owner, resource_policy, policies);
    let refusal = match &decision {
        Decision::Allowed { .. } => return judge_session(principal, request, &decision),
        Decision::ExplicitlyDenied {
            by: Source::ResourcePolicy(_),
        } => Refusal::Denied("a resource-based"),
        Decision::ExplicitlyDenied { .. } => Refusal::Denied("an identity-based"),
        Decision::NotAllowed(Lacking::IdentityPolicy) => Refusal::NotAllowed("identity-based"),
        Decision::NotAllowed(Lacking::ResourcePolicy) => Refusal::NotAllowed("resource-based"),
    };
    (decision.to_string(), Some(refusal))
}

/// Whether the policy of a session, if it has one, also allows what all others allow.
fn judge_session(
    principal: &Principal,
    request: &dyn RequestContext,
    decision: &Decision<'_>,
) -> (String, Option<Refusal>) {
    let Some(policy) = principal.session_policy() else {
        return (decision.to_string(), None);
    };
    match policy.evaluate(request).map(|found| found.effect) {
        Some(Effect::Allow) => (format!("{decision}; the session policy allows it"), None),
        Some(Effect::Deny) => (
            "the session policy denies it".to_owned(),
            Some(Refusal::Denied("a session")),
        ),
        None => (
            "no session policy allows it".to_owned(),
            Some(Refusal::NotAllowed("session")),
        ),
    }
}

/// What is asked for, as policies see it.
struct Asked<'a> {
    asking: Asking<'a>,
    action: &'a str,
    resource: &'a str,
    /// The user or role that the resource is, if it exists.
    found: Option<&'a Principal>,
    tags: &'a RequestTags,
    owner: AccountId,
    assumption: Option<Assumption<'a>>,
}

impl RequestContext for Asked<'_> {
    fn caller(&self) -> Caller<'_> {
        self.asking.principal.as_caller()
    }

    fn action(&self) -> &str {
        self.action
    }

    fn resource(&self) -> &str {
        self.resource
    }

    fn condition_values(&self, key: &str) -> Option<Values<'_>> {
        let resource_tag = [keys::RESOURCE_TAG_PREFIX, "iam:resourcetag/"];
        if let Some(tag) = resource_tag
            .iter()
            .find_map(|start| key.strip_prefix(start))
        {
            return tag_value(&self.found?.tags, tag);
        }
        if let Some(tag) = key.strip_prefix(keys::REQUEST_TAG_PREFIX) {
            return tag_value(&self.tags.put, tag);
        }
        let assumption = self.assumption.as_ref();
        Some(match key {
            keys::TAG_KEYS => {
                let keys = self.tags.put.keys().chain(&self.tags.taken);
                keys.map(String::as_str).collect()
            }
            keys::RESOURCE_ACCOUNT => self.owner.to_string().into(),
            "sts:externalid" => assumption?.external_id?.into(),
            "sts:rolesessionname" => assumption?.session_name.into(),
            _ => return self.asking.condition_values(key),
        })
    }
}
