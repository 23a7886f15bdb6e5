//! The requests, read and checked against AWS's constraints.

use std::borrow::Cow;

use crate::principal::IdentityKind;

use super::page::Page;
use super::parameters::{Parameters, Shape, Tag, is_name};
use super::sessions::MOST_SECONDS_OF_USER;
use super::{Action, IamError};

const USER_NAME: Shape = Shape::name(64);
const EXISTING_USER_NAME: Shape = Shape::name(128);
const ROLE_NAME: Shape = Shape::name(64);
const POLICY_NAME: Shape = Shape::name(128);
const ACCESS_KEY_ID: Shape = Shape::new(16..=128, r"[\w]+", is_word);
const ACCESS_KEY_ID_OF_STS: Shape = Shape::new(16..=128, r"[\w]*", is_word);
const POLICY_PATH: Shape = Shape::new(1..=512, r"((/[A-Za-z0-9\.,\+@=_-]+)*)/", is_policy_path);
const SERVICE_NAME: Shape = Shape::new(0..=usize::MAX, "", |_| true);
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

fn is_word(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_policy_path(text: &str) -> bool {
    let is_segment = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".,+@=_-".contains(&byte);
        !text.is_empty() && text.bytes().all(allowed)
    };
    text.strip_suffix('/').is_some_and(|text| {
        let mut segments = text.split('/');
        segments.next() == Some("") && segments.all(is_segment)
    })
}

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
        tags: Vec<Tag<'a>>,
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
    GetAccessKeyLastUsed(Cow<'a, str>),
    GetCallerIdentity,
    /// GetRolePolicy and GetUserPolicy.
    GetPolicy(PolicyPlace<'a>),
    GetRole(Cow<'a, str>),
    /// For so many seconds.
    GetSessionToken(Option<u32>),
    /// This user, or the caller.
    GetUser(Option<Cow<'a, str>>),
    ListAccessKeys {
        user: Option<Cow<'a, str>>,
        page: Page<'a>,
    },
    /// A list of what this server has none of.
    ListNone(EmptyList<'a>),
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
    /// ListRoleTags and ListUserTags.
    ListTags {
        kind: IdentityKind,
        owner: Cow<'a, str>,
        page: Page<'a>,
    },
    ListUsers {
        prefix: Cow<'a, str>,
        page: Page<'a>,
    },
    /// GetLoginProfile and DeleteLoginProfile: of this user, or of the caller.
    LoginProfile(Option<Cow<'a, str>>),
    /// PutRolePolicy and PutUserPolicy.
    PutPolicy(PolicyPlace<'a>, Cow<'a, str>),
    /// TagRole and TagUser.
    Tag {
        kind: IdentityKind,
        owner: Cow<'a, str>,
        tags: Vec<Tag<'a>>,
    },
    /// UntagRole and UntagUser.
    Untag {
        kind: IdentityKind,
        owner: Cow<'a, str>,
        keys: Vec<Cow<'a, str>>,
    },
    UpdateAccessKey {
        user: Option<Cow<'a, str>>,
        id: Cow<'a, str>,
        active: bool,
    },
    UpdateAssumeRolePolicy {
        name: Cow<'a, str>,
        document: Cow<'a, str>,
    },
    UpdateRole {
        name: Cow<'a, str>,
        description: Option<Cow<'a, str>>,
        max_session_seconds: Option<u32>,
    },
    UpdateRoleDescription {
        name: Cow<'a, str>,
        description: Cow<'a, str>,
    },
}

/// A list that has no entries, whoever asks.
pub(super) struct EmptyList<'a> {
    /// What it is called in the answer.
    pub(super) name: &'static str,
    pub(super) of: Whose<'a>,
    pub(super) page: Page<'a>,
}

/// Whose things are listed.
pub(super) enum Whose<'a> {
    /// All of the account that are under this name in ARNs.
    Account(&'static str),
    Role(Cow<'a, str>),
    User(Cow<'a, str>),
    /// This user's, or the caller's.
    UserOrCaller(Option<Cow<'a, str>>),
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
    pub(super) max_session_seconds: Option<u32>,
    pub(super) tags: Vec<Tag<'a>>,
}

/// AssumeRole.
pub(super) struct AssumeRole<'a> {
    pub(super) role_arn: Cow<'a, str>,
    pub(super) session_name: Cow<'a, str>,
    pub(super) policy: Option<Cow<'a, str>>,
    pub(super) seconds: Option<u32>,
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
            Action::CreateAccessKey => {
                Self::CreateAccessKey(p.text("UserName", &EXISTING_USER_NAME))
            }
            Action::CreateRole => Self::CreateRole(CreateRole {
                name: p.required("RoleName", &ROLE_NAME),
                path: p.text("Path", &PATH),
                trust: p.required("AssumeRolePolicyDocument", &POLICY),
                description: p.text("Description", &DESCRIPTION),
                max_session_seconds: p.number("MaxSessionDuration", 3600..=43_200),
                tags: p.tags().unwrap_or_default(),
            }),
            Action::CreateUser => Self::CreateUser {
                name: p.required("UserName", &USER_NAME),
                path: p.text("Path", &PATH),
                tags: p.tags().unwrap_or_default(),
            },
            Action::DeleteAccessKey => Self::DeleteAccessKey {
                user: p.text("UserName", &EXISTING_USER_NAME),
                id: p.required("AccessKeyId", &ACCESS_KEY_ID),
            },
            Action::DeleteLoginProfile | Action::GetLoginProfile => {
                Self::LoginProfile(p.text("UserName", &USER_NAME))
            }
            Action::DeleteRole => Self::DeleteRole(p.required("RoleName", &ROLE_NAME)),
            Action::DeleteRolePolicy => Self::DeletePolicy(PolicyPlace::of_role(p)),
            Action::DeleteUser => Self::DeleteUser(p.required("UserName", &EXISTING_USER_NAME)),
            Action::DeleteUserPolicy => Self::DeletePolicy(PolicyPlace::of_user(p)),
            Action::GetAccessKeyInfo => {
                Self::GetAccessKeyInfo(p.required("AccessKeyId", &ACCESS_KEY_ID_OF_STS))
            }
            Action::GetAccessKeyLastUsed => {
                Self::GetAccessKeyLastUsed(p.required("AccessKeyId", &ACCESS_KEY_ID))
            }
            Action::GetCallerIdentity => Self::GetCallerIdentity,
            Action::GetRole => Self::GetRole(p.required("RoleName", &ROLE_NAME)),
            Action::GetRolePolicy => Self::GetPolicy(PolicyPlace::of_role(p)),
            Action::GetSessionToken => {
                Self::GetSessionToken(p.number("DurationSeconds", 900..=MOST_SECONDS_OF_USER))
            }
            Action::GetUser => Self::GetUser(p.text("UserName", &EXISTING_USER_NAME)),
            Action::GetUserPolicy => Self::GetPolicy(PolicyPlace::of_user(p)),
            Action::ListAccessKeys => Self::ListAccessKeys {
                user: p.text("UserName", &EXISTING_USER_NAME),
                page: Page::read(p),
            },
            Action::ListAttachedRolePolicies => {
                let of = Whose::Role(p.required("RoleName", &ROLE_NAME));
                p.text("PathPrefix", &POLICY_PATH);
                Self::nothing("AttachedPolicies", of, p)
            }
            Action::ListAttachedUserPolicies => {
                let of = Whose::User(p.required("UserName", &USER_NAME));
                p.text("PathPrefix", &POLICY_PATH);
                Self::nothing("AttachedPolicies", of, p)
            }
            Action::ListGroupsForUser => {
                let of = Whose::User(p.required("UserName", &EXISTING_USER_NAME));
                Self::nothing("Groups", of, p)
            }
            Action::ListInstanceProfilesForRole => {
                let of = Whose::Role(p.required("RoleName", &ROLE_NAME));
                Self::nothing("InstanceProfiles", of, p)
            }
            Action::ListMFADevices => {
                let of = Whose::UserOrCaller(p.text("UserName", &EXISTING_USER_NAME));
                Self::nothing("MFADevices", of, p)
            }
            Action::ListSSHPublicKeys => {
                let of = Whose::UserOrCaller(p.text("UserName", &USER_NAME));
                Self::nothing("SSHPublicKeys", of, p)
            }
            Action::ListServiceSpecificCredentials => {
                let of = Whose::UserOrCaller(p.text("UserName", &USER_NAME));
                p.text("ServiceName", &SERVICE_NAME);
                Self::nothing("ServiceSpecificCredentials", of, p)
            }
            Action::ListSigningCertificates => {
                let of = Whose::UserOrCaller(p.text("UserName", &EXISTING_USER_NAME));
                Self::nothing("Certificates", of, p)
            }
            Action::ListVirtualMFADevices => {
                p.choice("AssignmentStatus", &["Assigned", "Unassigned", "Any"]);
                Self::nothing("VirtualMFADevices", Whose::Account("mfa/"), p)
            }
            Action::ListRolePolicies => Self::ListPolicies {
                kind: IdentityKind::Role,
                owner: p.required("RoleName", &ROLE_NAME),
                page: Page::read(p),
            },
            Action::ListRoleTags => Self::ListTags {
                kind: IdentityKind::Role,
                owner: p.required("RoleName", &ROLE_NAME),
                page: Page::read(p),
            },
            Action::ListUserTags => Self::ListTags {
                kind: IdentityKind::User,
                owner: p.required("UserName", &EXISTING_USER_NAME),
                page: Page::read(p),
            },
            Action::ListRoles => Self::ListRoles {
                prefix: path_prefix(p),
                page: Page::read(p),
            },
            Action::ListUserPolicies => Self::ListPolicies {
                kind: IdentityKind::User,
                owner: p.required("UserName", &EXISTING_USER_NAME),
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
            Action::TagRole => Self::Tag {
                kind: IdentityKind::Role,
                owner: p.required("RoleName", &ROLE_NAME),
                tags: p.required_tags(),
            },
            Action::TagUser => Self::Tag {
                kind: IdentityKind::User,
                owner: p.required("UserName", &EXISTING_USER_NAME),
                tags: p.required_tags(),
            },
            Action::UntagRole => Self::Untag {
                kind: IdentityKind::Role,
                owner: p.required("RoleName", &ROLE_NAME),
                keys: p.required_tag_keys(),
            },
            Action::UntagUser => Self::Untag {
                kind: IdentityKind::User,
                owner: p.required("UserName", &EXISTING_USER_NAME),
                keys: p.required_tag_keys(),
            },
            Action::UpdateAccessKey => Self::UpdateAccessKey {
                user: p.text("UserName", &EXISTING_USER_NAME),
                id: p.required("AccessKeyId", &ACCESS_KEY_ID),
                active: p.required_choice("Status", &["Active", "Inactive"]) == 0,
            },
            Action::UpdateAssumeRolePolicy => Self::UpdateAssumeRolePolicy {
                name: p.required("RoleName", &ROLE_NAME),
                document: p.required("PolicyDocument", &POLICY),
            },
            Action::UpdateRole => Self::UpdateRole {
                name: p.required("RoleName", &ROLE_NAME),
                description: p.text("Description", &DESCRIPTION),
                max_session_seconds: p.number("MaxSessionDuration", 3600..=43_200),
            },
            Action::UpdateRoleDescription => Self::UpdateRoleDescription {
                name: p.required("RoleName", &ROLE_NAME),
                description: p.required("Description", &DESCRIPTION),
            },
        }
    }

    fn nothing(name: &'static str, of: Whose<'a>, p: &mut Parameters<'a>) -> Self {
        let page = Page::read(p);
        Self::ListNone(EmptyList { name, of, page })
    }
}

impl<'a> PolicyPlace<'a> {
    fn of_user(p: &mut Parameters<'a>) -> Self {
        Self {
            kind: IdentityKind::User,
            owner: p.required("UserName", &EXISTING_USER_NAME),
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
