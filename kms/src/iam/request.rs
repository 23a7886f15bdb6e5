//! The requests, read and checked against AWS's constraints.

use std::borrow::Cow;

use crate::principal::IdentityKind;

use super::page::Page;
use super::parameters::{Parameters, Shape, is_name};
use super::{Action, IamError};

const NEW_USER_NAME: Shape = Shape::name(64);
const USER_NAME: Shape = Shape::name(128);
const ROLE_NAME: Shape = Shape::name(64);
const POLICY_NAME: Shape = Shape::name(128);
const ACCESS_KEY_ID: Shape = Shape::new(16..=128, r"[\w]+", |text| {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
});
const PATH: Shape = Shape::new(
    1..=512,
    r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)",
    |text| text == "/" || (text.len() > 2 && is_between_slashes(text)),
);
const PATH_PREFIX: Shape = Shape::new(1..=512, r"\u002F[\u0021-\u007F]*", |text| {
    text.starts_with('/') && text.bytes().all(|byte| matches!(byte, b'!'..=0x7f))
});
const POLICY: Shape = Shape::new(1..=131_072, POLICY_PATTERN, is_policy_text);
const SESSION_POLICY: Shape = Shape::new(1..=usize::MAX, POLICY_PATTERN, is_policy_text);
const POLICY_PATTERN: &str = r"[\u0009\u000A\u000D\u0020-\u00FF]+";
const DESCRIPTION: Shape = Shape::new(
    0..=1000,
    r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*",
    |text| {
        text.chars()
            .all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}'))
    },
);
const ARN: Shape = Shape::new(
    20..=2048,
    r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+",
    |text| {
        text.chars()
            .all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..))
    },
);
const SESSION_NAME: Shape = Shape::new(2..=64, r"[\w+=,.@-]*", is_name);
const EXTERNAL_ID: Shape = Shape::new(2..=1224, r"[\w+=,.@:\/-]*", |text| {
    is_name(&text.replace([':', '/'], "_"))
});

fn is_between_slashes(text: &str) -> bool {
    text.starts_with('/') && text.ends_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_policy_text(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'))
}

/// A request of IAM or STS.
pub(super) enum Request<'a> {
    AssumeRole(AssumeRole<'a>),
    /// For this user, or for the caller.
    CreateAccessKey(Option<Cow<'a, str>>),
    CreateRole(CreateRole<'a>),
    CreateUser {
        name: Cow<'a, str>,
        path: Option<Cow<'a, str>>,
    },
    DeleteAccessKey {
        user: Option<Cow<'a, str>>,
        id: Cow<'a, str>,
    },
    /// DeleteRolePolicy and DeleteUserPolicy.
    DeletePolicy(PolicyPlace<'a>),
    DeleteRole(Cow<'a, str>),
    DeleteUser(Cow<'a, str>),
    GetAccessKeyInfo(Cow<'a, str>),
    GetCallerIdentity,
    /// GetRolePolicy and GetUserPolicy.
    GetPolicy(PolicyPlace<'a>),
    GetRole(Cow<'a, str>),
    /// This user, or the caller.
    GetUser(Option<Cow<'a, str>>),
    ListAccessKeys {
        user: Option<Cow<'a, str>>,
        page: Page<'a>,
    },
    /// ListRolePolicies and ListUserPolicies.
    ListPolicies {
        kind: IdentityKind,
        owner: Cow<'a, str>,
        page: Page<'a>,
    },
    ListRoles {
        prefix: Cow<'a, str>,
        page: Page<'a>,
    },
    ListUsers {
        prefix: Cow<'a, str>,
        page: Page<'a>,
    },
    /// PutRolePolicy and PutUserPolicy.
    PutPolicy(PolicyPlace<'a>, Cow<'a, str>),
    UpdateAccessKey {
        user: Option<Cow<'a, str>>,
        id: Cow<'a, str>,
        active: bool,
    },
    UpdateAssumeRolePolicy {
        name: Cow<'a, str>,
        document: Cow<'a, str>,
    },
}

/// Where an inline policy is.
pub(super) struct PolicyPlace<'a> {
    /// Whether the owner is a user or a role.
    pub(super) kind: IdentityKind,
    /// The owner's name.
    pub(super) owner: Cow<'a, str>,
    /// The policy's name.
    pub(super) policy: Cow<'a, str>,
}

/// CreateRole.
pub(super) struct CreateRole<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) path: Option<Cow<'a, str>>,
    pub(super) trust: Cow<'a, str>,
    pub(super) description: Option<Cow<'a, str>>,
    pub(super) max_session_seconds: Option<u16>,
}

/// AssumeRole.
pub(super) struct AssumeRole<'a> {
    pub(super) role_arn: Cow<'a, str>,
    pub(super) session_name: Cow<'a, str>,
    pub(super) policy: Option<Cow<'a, str>>,
    pub(super) seconds: Option<u16>,
    pub(super) external_id: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    ///
    /// ValidationError if any violates its constraints, InvalidInput for one that is not
    /// supported.
    pub(super) fn read(action: Action, parameters: &mut Parameters<'a>) -> Result<Self, IamError> {
        let request = Self::of(action, parameters);
        parameters.finish()?;
        Ok(request)
    }

    fn of(action: Action, p: &mut Parameters<'a>) -> Self {
        match action {
            Action::AssumeRole => Self::AssumeRole(AssumeRole {
                role_arn: p.required("RoleArn", &ARN),
                session_name: p.required("RoleSessionName", &SESSION_NAME),
                policy: p.text("Policy", &SESSION_POLICY),
                seconds: p.number("DurationSeconds", 900..=43_200),
                external_id: p.text("ExternalId", &EXTERNAL_ID),
            }),
            Action::CreateAccessKey => Self::CreateAccessKey(p.text("UserName", &USER_NAME)),
            Action::CreateRole => Self::CreateRole(CreateRole {
                name: p.required("RoleName", &ROLE_NAME),
                path: p.text("Path", &PATH),
                trust: p.required("AssumeRolePolicyDocument", &POLICY),
                description: p.text("Description", &DESCRIPTION),
                max_session_seconds: p.number("MaxSessionDuration", 3600..=43_200),
            }),
            Action::CreateUser => Self::CreateUser {
                name: p.required("UserName", &NEW_USER_NAME),
                path: p.text("Path", &PATH),
            },
            Action::DeleteAccessKey => Self::DeleteAccessKey {
                user: p.text("UserName", &USER_NAME),
                id: p.required("AccessKeyId", &ACCESS_KEY_ID),
            },
            Action::DeleteRole => Self::DeleteRole(p.required("RoleName", &ROLE_NAME)),
            Action::DeleteRolePolicy => Self::DeletePolicy(PolicyPlace::of_role(p)),
            Action::DeleteUser => Self::DeleteUser(p.required("UserName", &USER_NAME)),
            Action::DeleteUserPolicy => Self::DeletePolicy(PolicyPlace::of_user(p)),
            Action::GetAccessKeyInfo => {
                Self::GetAccessKeyInfo(p.required("AccessKeyId", &ACCESS_KEY_ID))
            }
            Action::GetCallerIdentity => Self::GetCallerIdentity,
            Action::GetRole => Self::GetRole(p.required("RoleName", &ROLE_NAME)),
            Action::GetRolePolicy => Self::GetPolicy(PolicyPlace::of_role(p)),
            Action::GetUser => Self::GetUser(p.text("UserName", &USER_NAME)),
            Action::GetUserPolicy => Self::GetPolicy(PolicyPlace::of_user(p)),
            Action::ListAccessKeys => Self::ListAccessKeys {
                user: p.text("UserName", &USER_NAME),
                page: Page::read(p),
            },
            Action::ListRolePolicies => Self::ListPolicies {
                kind: IdentityKind::Role,
                owner: p.required("RoleName", &ROLE_NAME),
                page: Page::read(p),
            },
            Action::ListRoles => Self::ListRoles {
                prefix: path_prefix(p),
                page: Page::read(p),
            },
            Action::ListUserPolicies => Self::ListPolicies {
                kind: IdentityKind::User,
                owner: p.required("UserName", &USER_NAME),
                page: Page::read(p),
            },
            Action::ListUsers => Self::ListUsers {
                prefix: path_prefix(p),
                page: Page::read(p),
            },
            Action::PutRolePolicy => Self::PutPolicy(
                PolicyPlace::of_role(p),
                p.required("PolicyDocument", &POLICY),
            ),
            Action::PutUserPolicy => Self::PutPolicy(
                PolicyPlace::of_user(p),
                p.required("PolicyDocument", &POLICY),
            ),
            Action::UpdateAccessKey => Self::UpdateAccessKey {
                user: p.text("UserName", &USER_NAME),
                id: p.required("AccessKeyId", &ACCESS_KEY_ID),
                active: p.required_choice("Status", &["Active", "Inactive"]) == 0,
            },
            Action::UpdateAssumeRolePolicy => Self::UpdateAssumeRolePolicy {
                name: p.required("RoleName", &ROLE_NAME),
                document: p.required("PolicyDocument", &POLICY),
            },
        }
    }
}

impl<'a> PolicyPlace<'a> {
    fn of_user(p: &mut Parameters<'a>) -> Self {
        Self {
            kind: IdentityKind::User,
            owner: p.required("UserName", &USER_NAME),
            policy: p.required("PolicyName", &POLICY_NAME),
        }
    }

    fn of_role(p: &mut Parameters<'a>) -> Self {
        Self {
            kind: IdentityKind::Role,
            owner: p.required("RoleName", &ROLE_NAME),
            policy: p.required("PolicyName", &POLICY_NAME),
        }
    }
}

fn path_prefix<'a>(p: &mut Parameters<'a>) -> Cow<'a, str> {
    p.text("PathPrefix", &PATH_PREFIX).unwrap_or("/".into())
}
