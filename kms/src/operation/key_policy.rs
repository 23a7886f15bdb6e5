//! Key policies: GetKeyPolicy, ListKeyPolicies, PutKeyPolicy.

use crate::audit;
use crate::error::KmsError;
use crate::key::{Key, KeyPolicy};
use crate::permit::{self, Conditions, action};
use crate::policy::{self, MAX_KEY_POLICY_BYTES, PolicyError, PrincipalName};
use crate::protocol::{OperationName, request, response};
use crate::state::Change;

use super::marker::Listing;
use super::{Context, Names, Outcome};

/// The name of a key's policy: there is just one.
const DEFAULT: &str = "default";

/// How many names a page has unless the request says.
const DEFAULT_PAGE: usize = 100;

/// GetKeyPolicy.
pub(super) fn get_key_policy(
    context: &mut Context<'_>,
    request: &request::GetKeyPolicy<'_>,
) -> Result<Outcome, KmsError> {
    let permit = context.permit(
        action::GetKeyPolicy,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    require_default_name(request.policy_name.as_deref())?;
    let key = permit.key();
    let default = policy::default_key_policy(key.account());
    let put = key.policy.as_ref().map(|policy| &**policy.text());
    Ok(Outcome::read(&response::GetKeyPolicy {
        policy: put.unwrap_or(&default),
        policy_name: DEFAULT,
    }))
}

/// ListKeyPolicies.
pub(super) fn list_key_policies(
    context: &mut Context<'_>,
    request: &request::ListKeyPolicies<'_>,
) -> Result<Outcome, KmsError> {
    let permit = context.permit(
        action::ListKeyPolicies,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    let key = permit.key();
    let listing = Listing {
        operation: OperationName::ListKeyPolicies,
        account: key.account(),
        region: key.region(),
        key: Some(key.id()),
    };
    let after = listing.start::<String>(request.marker.as_deref())?;
    let limit = request.limit.map_or(DEFAULT_PAGE, usize::from);
    let names = [DEFAULT].into_iter().filter(|_| after.is_none());
    let (policy_names, next_marker) = listing.page(names, limit, |name| *name);
    Ok(Outcome::read(&response::ListKeyPolicies {
        policy_names,
        next_marker,
    }))
}

/// PutKeyPolicy.
pub(super) fn put_key_policy(
    context: &mut Context<'_>,
    request: &request::PutKeyPolicy<'_>,
) -> Result<Outcome, KmsError> {
    let conditions = Conditions {
        bypass_policy_lockout_safety_check: Some(request.bypass_policy_lockout_safety_check),
        ..Conditions::default()
    };
    let permit = context.permit(
        action::PutKeyPolicy,
        &request.key_id,
        Names::IdOrArn,
        &conditions,
    )?;
    require_default_name(request.policy_name.as_deref())?;
    let policy = read(context, &request.policy, permit.key().arn(), &conditions)?;
    let mut key = Key::clone(permit.key());
    key.policy = Some(policy);
    context.event.changed(audit::key_id(key.arn()));
    Ok(Outcome::void(vec![Change::PutKey(key)]))
}

/// Takes a policy for a key that has it or is to be made, if all its principals exist and the caller
/// can change it again, or says that it need not.
pub(super) fn read(
    context: &Context<'_>,
    text: &str,
    key_arn: &str,
    conditions: &Conditions<'_>,
) -> Result<KeyPolicy, KmsError> {
    let malformed =
        |error: PolicyError| KmsError::MalformedPolicyDocument(error.to_string().into());
    if text.len() > MAX_KEY_POLICY_BYTES {
        return Err(KmsError::LimitExceeded(
            format!("The key policy is longer than {MAX_KEY_POLICY_BYTES} bytes.").into(),
        ));
    }
    let key_policy = KeyPolicy::parse(text).map_err(malformed)?;
    let Some(policy) = key_policy.policy() else {
        return Err(malformed(PolicyError::InvalidPrincipals));
    };
    if !policy.principal_names().all(|name| exists(context, name)) {
        return Err(malformed(PolicyError::InvalidPrincipals));
    }
    let bypass = conditions.bypass_policy_lockout_safety_check == Some(true);
    if !bypass && !permit::may_update_policy(context.asking(), policy, key_arn, conditions) {
        return Err(KmsError::MalformedPolicyDocument(
            "The new key policy will not allow you to update the key policy in the future.".into(),
        ));
    }
    Ok(key_policy)
}

fn exists(context: &Context<'_>, name: PrincipalName<'_>) -> bool {
    match name {
        PrincipalName::Arn(arn) => context.state.is_principal(arn),
        // What AWS makes of the ARN of a principal that was deleted since.
        _ => true,
    }
}

fn require_default_name(name: Option<&str>) -> Result<(), KmsError> {
    match name {
        None | Some(DEFAULT) => Ok(()),
        Some(_) => Err(KmsError::NotFound("No such policy exists".into())),
    }
}
