//! Who one is, becoming somebody else for a while, and oneself with credentials that end:
//! GetCallerIdentity, GetAccessKeyInfo, AssumeRole, GetSessionToken.

use std::sync::Arc;

use crate::Timestamp;
use crate::audit::{self, iso8601};
use crate::identity_policy::IdentityPolicy;
use crate::principal::{Principal, PrincipalKind, Session};
use crate::record::SessionToken;
use crate::sigv4::{self, Service};

use super::authorization::{Assumption, authorize, authorize_assumption};
use super::credentials::{access_key_id, account_of, secret_access_key};
use super::request::AssumeRole;
use super::xml::Element;
use super::{Action, Context, IamError, Outcome};

/// How long a session lasts unless the request says.
const DEFAULT_SECONDS: u32 = 3600;

/// How long a session lasts at most that another session began.
const MOST_SECONDS_OF_CHAINED: u32 = 3600;

/// How long a session of a user lasts unless the request says, and at most; and a root user's.
const DEFAULT_SECONDS_OF_USER: u32 = 43_200;
pub(super) const MOST_SECONDS_OF_USER: u32 = 129_600;
const MOST_SECONDS_OF_ROOT: u32 = 3600;

/// How many characters the policy of a session may have.
const MOST_OF_SESSION_POLICY: usize = 2048;

/// Whether the caller's credentials are good for this: those of GetSessionToken without a second
/// factor are not for IAM, and of STS for AssumeRole and GetCallerIdentity only. So AWS documents it.
///
/// # Errors
///
/// InvalidClientTokenId and AccessDenied, as AWS answers.
pub(super) fn check_credentials(caller: &Principal, action: Action) -> Result<(), IamError> {
    let is_own_session = caller.has_token();
    let refused = match action {
        Action::AssumeRole | Action::GetCallerIdentity => false,
        Action::GetSessionToken => caller.token_issued().is_some(),
        _ if action.service() == Service::Iam && is_own_session => {
            return Err(sigv4::unknown_caller().into());
        }
        _ => is_own_session,
    };
    if refused {
        return Err(IamError::AccessDenied(format!(
            "Cannot call {} with session credentials",
            action.as_str()
        )));
    }
    Ok(())
}

/// GetSessionToken, which every user may call. A root user's session lasts an hour at most, whatever
/// it asks for.
pub(super) fn session_token(context: &mut Context<'_>, seconds: Option<u32>) -> Outcome {
    let caller = &context.caller.principal;
    let most = match caller.kind() {
        PrincipalKind::Root => MOST_SECONDS_OF_ROOT,
        _ => MOST_SECONDS_OF_USER,
    };
    let seconds = seconds.unwrap_or(DEFAULT_SECONDS_OF_USER).min(most);
    let expires = context.now.as_secs() + u64::from(seconds);
    let token = SessionToken {
        access_key_id: access_key_id("ASIA", caller.account(), context.random).into(),
        secret: secret_access_key(context.random),
        principal_arn: Arc::clone(caller.arn()),
        principal_id: caller.principal_id().into(),
        session_name: None,
        issued: context.now,
        expires: Timestamp::from_secs(expires),
        policy: None,
    };
    let sealed = context.state.seal_session(&token, context.random);
    let elements = audit::session_token(&token.access_key_id, token.expires);
    context.event.changed(elements);
    context.answer(Vec::new(), |result| {
        write_credentials(result, &token, &sealed);
    })
}

fn write_credentials(result: &mut Element<'_>, token: &SessionToken, sealed: &str) {
    result.element("Credentials", |credentials| {
        credentials.text("AccessKeyId", &token.access_key_id);
        credentials.text("SecretAccessKey", token.secret.expose());
        credentials.text("SessionToken", sealed);
        credentials.display("Expiration", iso8601(token.expires));
    });
}

/// GetCallerIdentity, which everybody may call.
pub(super) fn caller_identity(context: &Context<'_>) -> Outcome {
    let caller = &context.caller.principal;
    context.answer(Vec::new(), |result| {
        result.text("Arn", caller.arn());
        result.text("UserId", &caller.principal_id());
        result.display("Account", caller.account());
    })
}

/// GetAccessKeyInfo.
pub(super) fn access_key_info(context: &mut Context<'_>, id: &str) -> Result<Outcome, IamError> {
    authorize(context, "*")?;
    let owner = context
        .state
        .access_key(id)
        .and_then(|key| context.state.principal(&key.principal))
        .map(|owner| owner.account().to_string());
    let account = owner
        .or_else(|| account_of(id))
        .ok_or_else(|| IamError::Validation("Access key ID is not valid.".to_owned()))?;
    Ok(context.answer(Vec::new(), |result| {
        result.text("Account", &account);
    }))
}

/// AssumeRole.
pub(super) fn assume_role(
    context: &mut Context<'_>,
    request: &AssumeRole<'_>,
) -> Result<Outcome, IamError> {
    let arn = &*request.role_arn;
    if !is_role_arn(arn) {
        return Err(IamError::Validation(format!("{arn} is invalid")));
    }
    let policy = session_policy(request.policy.as_deref())?;
    let state = context.state;
    let found = state.principal(arn).and_then(|found| match found.kind() {
        PrincipalKind::Role(role) => Some((found, role)),
        _ => None,
    });
    let role = found.map(|(principal, role)| (&**principal, &**role));
    let assumption = Assumption {
        session_name: &request.session_name,
        external_id: request.external_id.as_deref(),
    };
    authorize_assumption(context, role, arn, assumption)?;
    // Without a role nobody was let through.
    let Some((principal, role)) = found else {
        return Err(IamError::AccessDenied(String::new()));
    };
    let seconds = request.seconds.unwrap_or(DEFAULT_SECONDS);
    check_duration(context, seconds, role.max_session_seconds)?;

    let expires = context.now.as_secs() + u64::from(seconds);
    let session = Session {
        role: Arc::clone(principal),
        name: (&*request.session_name).into(),
        policy,
        issued: context.now,
        expires: Timestamp::from_secs(expires),
    };
    let token = SessionToken {
        access_key_id: access_key_id("ASIA", principal.account(), context.random).into(),
        secret: secret_access_key(context.random),
        principal_arn: Arc::clone(principal.arn()),
        principal_id: Arc::clone(role.id()),
        session_name: Some(Arc::clone(&session.name)),
        issued: session.issued,
        expires: session.expires,
        policy: session.policy.as_ref().map(|p| Arc::clone(p.text())),
    };
    let sealed = state.seal_session(&token, context.random);
    let session = Principal::session(session);
    context.event.role(principal.account(), principal.arn());
    let elements = audit::assumed_role(&session, &token.access_key_id, token.expires);
    context.event.changed(elements);
    Ok(context.answer(Vec::new(), |result| {
        result.element("AssumedRoleUser", |user| {
            user.text("AssumedRoleId", &session.principal_id());
            user.text("Arn", session.arn());
        });
        write_credentials(result, &token, &sealed);
        if let Some(policy) = &token.policy {
            result.display("PackedPolicySize", percent_of_space(policy));
        }
    }))
}

/// `arn:aws:iam::<account>:role/<path and name>`. The path may have colons, the name may not.
fn is_role_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", "aws", "iam", "", account, resource] => {
            account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("role/").is_some_and(|rest| {
                    let name = rest.rsplit('/').next().unwrap_or_default();
                    !rest.is_empty() && !name.contains(':')
                })
        }
        _ => false,
    }
}

/// The policy that a session is to be limited by.
fn session_policy(text: Option<&str>) -> Result<Option<IdentityPolicy>, IamError> {
    let Some(text) = text else {
        return Ok(None);
    };
    if text.chars().count() > MOST_OF_SESSION_POLICY {
        return Err(IamError::PackedPolicyTooLarge(format!(
            "Packed policy consumes {}% of allotted space, please use smaller policy.",
            percent_of_space(text)
        )));
    }
    Ok(Some(IdentityPolicy::parse(text)?))
}

fn percent_of_space(policy: &str) -> usize {
    (policy.chars().count() * 100).div_ceil(MOST_OF_SESSION_POLICY)
}

/// Whether a session may last so long.
fn check_duration(context: &Context<'_>, seconds: u32, most: u32) -> Result<(), IamError> {
    let is_chained = context.caller.principal.as_session().is_some();
    if is_chained && seconds > MOST_SECONDS_OF_CHAINED {
        return Err(IamError::Validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining".to_owned(),
        ));
    }
    if seconds > most {
        return Err(IamError::Validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
                .to_owned(),
        ));
    }
    Ok(())
}
