//! Who calls, proven by the signature.

use std::borrow::Cow;
use std::sync::Arc;

use crate::Timestamp;
use crate::audit::Event;
use crate::call::Call;
use crate::error::KmsError;
use crate::identity_policy::IdentityPolicy;
use crate::name::Region;
use crate::principal::{Principal, PrincipalKind, Session};
use crate::sigv4::{self, Authorization, SecretAccessKey, Service};
use crate::state::State;

/// Who calls, authenticated.
pub(crate) struct Caller {
    /// The principal that signed.
    pub(crate) principal: Arc<Principal>,
    /// The region it signed for.
    pub(crate) region: Region,
}

/// Who a call claims to be from, and the secret that proves it.
struct Signer<'s> {
    secret: Cow<'s, SecretAccessKey>,
    principal: Arc<Principal>,
    /// When the credentials are no longer good, if they are temporary.
    expires: Option<Timestamp>,
}

/// Authenticates the caller of one of our services.
///
/// Region and account are those of the signed scope and of the principal: never the client's word
/// alone.
///
/// # Errors
///
/// Those of [`Authorization::parse`] and [`sigv4::verify`]; ExpiredTokenException for a session
/// that is over, to who can prove to have held it.
pub(crate) fn authenticate(
    state: &State,
    call: &Call<'_>,
    service: Service,
    now: Timestamp,
    event: &mut Event,
) -> Result<Caller, KmsError> {
    let authorization = Authorization::parse(call)?;
    let access_key_id = authorization.access_key_id();
    event.claimed_access_key(access_key_id);
    let signer = match authorization.session_token() {
        None => holder(state, access_key_id),
        Some(token) => session(state, access_key_id, token),
    };
    let secret = signer.as_ref().map(|signer| &*signer.secret);
    let authenticated = sigv4::verify(call, &authorization, service, secret, now)?;
    // Without a signer there was no secret, which `verify` refuses.
    let signer = signer.ok_or_else(sigv4::unknown_caller)?;
    event.caller(&signer.principal, access_key_id, authenticated.region());
    if signer.expires.is_some_and(|expires| expires <= now) {
        return Err(KmsError::ExpiredToken);
    }
    Ok(Caller {
        principal: signer.principal,
        region: authenticated.region().clone(),
    })
}

/// The holder of an access key that is active.
fn holder<'s>(state: &'s State, access_key_id: &str) -> Option<Signer<'s>> {
    let key = state.access_key(access_key_id).filter(|key| key.active)?;
    Some(Signer {
        secret: Cow::Borrowed(&key.secret),
        principal: Arc::clone(state.principal(&key.principal)?),
        expires: None,
    })
}

/// The session of a token that belongs to this access key, if its role or user still exists.
fn session<'s>(state: &State, access_key_id: &str, token: &str) -> Option<Signer<'s>> {
    let token = state.open_session(token)?;
    let found = state.principal(&token.principal_arn)?;
    if *token.access_key_id != *access_key_id || found.principal_id() != *token.principal_id {
        return None;
    }
    let principal = match (token.session_name, found.kind()) {
        (Some(name), PrincipalKind::Role(_)) => Principal::session(Session {
            role: Arc::clone(found),
            name,
            policy: token.policy.as_deref().map(IdentityPolicy::stored),
            issued: token.issued,
            expires: token.expires,
        }),
        (None, PrincipalKind::Root | PrincipalKind::User { .. }) => {
            Principal::clone(found).with_token(token.issued)
        }
        _ => return None,
    };
    Some(Signer {
        secret: Cow::Owned(token.secret),
        principal: principal.into(),
        expires: Some(token.expires),
    })
}
