//! What events say of principals: who called in a session, and what calls of IAM and STS changed.
//!
//! No secret and no session token is among it, though CloudTrail shows the token.

use attestation::Timestamp;
use serde_json::{Value, json};

use crate::principal::{AccessKey, Principal, Role};

use super::{MAX_TEXT_BYTES, bounded, date};

/// Where the rights of a session come from, and since when it lasts; `None` for who calls with
/// credentials that last.
pub(super) fn session_context(principal: &Principal) -> Option<Value> {
    let attributes = json!({
        "creationDate": date::iso8601(principal.token_issued()?),
        "mfaAuthenticated": "false",
    });
    let Some(session) = principal.as_session() else {
        return Some(json!({ "attributes": attributes }));
    };
    let role = &session.role;
    Some(json!({
        "sessionIssuer": {
            "type": "Role",
            "principalId": role.principal_id(),
            "arn": &**role.arn(),
            "accountId": role.account().to_string(),
            "userName": role.name(),
        },
        "attributes": attributes,
    }))
}

/// The elements of CreateUser.
pub(crate) fn created_user(user: &Principal) -> Value {
    json!({ "user": {
        "path": user.path(),
        "arn": &**user.arn(),
        "userId": user.principal_id(),
        "createDate": date::in_words(user.created),
        "userName": user.name(),
    }})
}

/// The elements of CreateRole.
pub(crate) fn created_role(principal: &Principal, role: &Role) -> Value {
    json!({ "role": {
        "path": principal.path(),
        "arn": &**principal.arn(),
        "roleId": principal.principal_id(),
        "createDate": date::in_words(principal.created),
        "roleName": principal.name(),
        "assumeRolePolicyDocument": bounded(role.trust.text(), MAX_TEXT_BYTES),
    }})
}

/// The elements of CreateAccessKey.
pub(crate) fn created_access_key(key: &AccessKey, user_name: Option<&str>) -> Value {
    json!({ "accessKey": {
        "accessKeyId": &*key.id,
        "status": "Active",
        "userName": user_name,
        "createDate": date::in_words(key.created),
    }})
}

/// The elements of GetSessionToken.
pub(crate) fn session_token(access_key_id: &str, expires: Timestamp) -> Value {
    json!({ "credentials": {
        "accessKeyId": access_key_id,
        "expiration": date::in_words(expires),
    }})
}

/// The elements of AssumeRole.
pub(crate) fn assumed_role(session: &Principal, access_key_id: &str, expires: Timestamp) -> Value {
    json!({
        "credentials": {
            "accessKeyId": access_key_id,
            "expiration": date::in_words(expires),
        },
        "assumedRoleUser": {
            "assumedRoleId": session.principal_id(),
            "arn": &**session.arn(),
        },
    })
}
