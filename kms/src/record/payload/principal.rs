//! What is inside the records of principals and their access keys.

use std::collections::BTreeMap;

use attestation::Timestamp;
use minicbor::{CborLen, Decode, Encode};

use super::account;
use crate::identity_policy::{IdentityPolicy, TrustPolicy};
use crate::principal::{Access, AccessKey, DEFAULT_PATH, Principal, PrincipalKind, Role};
use crate::sigv4::SecretAccessKey;

#[derive(CborLen, Decode, Encode)]
pub(in crate::record) struct PrincipalPayload<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    account: [u8; 12],
    /// Absent for the root user and for roles.
    #[b(1)]
    user: Option<UserPayload<'a>>,
    #[n(2)]
    full_access: bool,
    #[n(3)]
    created: u64,
    /// Absent for the root user and for users.
    #[b(4)]
    role: Option<RolePayload<'a>>,
    /// Absent for `/`.
    #[b(5)]
    path: Option<&'a str>,
    /// Inline policies by name; absent if there are none.
    #[b(6)]
    policies: Option<BTreeMap<&'a str, &'a str>>,
    /// Absent if there are none.
    #[b(7)]
    tags: Option<BTreeMap<&'a str, &'a str>>,
}

#[derive(CborLen, Decode, Encode)]
struct UserPayload<'a> {
    #[b(0)]
    name: &'a str,
    #[b(1)]
    id: &'a str,
}

#[derive(CborLen, Decode, Encode)]
struct RolePayload<'a> {
    #[b(0)]
    name: &'a str,
    #[b(1)]
    id: &'a str,
    #[b(2)]
    trust: &'a str,
    #[n(3)]
    max_session_seconds: u32,
    #[b(4)]
    description: Option<&'a str>,
}

impl<'a> PrincipalPayload<'a> {
    pub(in crate::record) fn new(principal: &'a Principal) -> Self {
        let (user, role) = match principal.kind() {
            PrincipalKind::Root => (None, None),
            PrincipalKind::User { name, id } => (Some(UserPayload { name, id }), None),
            PrincipalKind::Role(role) => (None, Some(RolePayload::new(role))),
            // Never stored; what there is to store of one is its role.
            PrincipalKind::Session(session) => return Self::new(&session.role),
        };
        let policies = principal.policies.iter();
        let policies = policies.map(|(name, policy)| (&**name, &**policy.text()));
        let tags = principal.tags.iter();
        let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
        Self {
            account: *principal.account().as_bytes(),
            user,
            full_access: principal.access == Access::Full,
            created: principal.created.as_millis(),
            role,
            path: Some(principal.path()).filter(|path| *path != DEFAULT_PATH),
            policies: (!principal.policies.is_empty()).then(|| policies.collect()),
            tags: (!principal.tags.is_empty()).then(|| tags.collect()),
        }
    }

    pub(in crate::record) fn into_principal(self) -> Option<Principal> {
        let account = account(&self.account)?;
        let created = Timestamp::from_millis(self.created);
        let path = self.path.unwrap_or(DEFAULT_PATH);
        let mut principal = match (self.user, self.role) {
            (None, None) => Principal::root(account, created),
            (Some(user), None) => Principal::user_under(account, path, user.name, user.id, created),
            (None, Some(role)) => Principal::role(account, path, role.into_role(), created),
            (Some(_), Some(_)) => return None,
        };
        principal.access = if self.full_access {
            Access::Full
        } else {
            Access::None
        };
        let policies = self.policies.unwrap_or_default().into_iter();
        principal.policies = policies
            .map(|(name, text)| (name.into(), IdentityPolicy::stored(text)))
            .collect();
        let tags = self.tags.unwrap_or_default().into_iter();
        principal.tags = tags
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Some(principal)
    }
}

impl<'a> RolePayload<'a> {
    fn new(role: &'a Role) -> Self {
        Self {
            name: role.name(),
            id: role.id(),
            trust: role.trust.text(),
            max_session_seconds: role.max_session_seconds,
            description: role.description.as_deref(),
        }
    }

    fn into_role(self) -> Role {
        let mut role = Role::new(self.name, self.id, TrustPolicy::stored(self.trust));
        role.max_session_seconds = self.max_session_seconds;
        role.description = self.description.map(Into::into);
        role
    }
}

#[derive(CborLen, Decode, Encode)]
pub(in crate::record) struct AccessKeyPayload<'a> {
    #[b(0)]
    id: &'a str,
    #[b(1)]
    secret: &'a str,
    #[b(2)]
    principal: &'a str,
    #[n(3)]
    created: u64,
    #[n(4)]
    active: bool,
}

impl<'a> AccessKeyPayload<'a> {
    pub(in crate::record) fn new(access_key: &'a AccessKey) -> Self {
        Self {
            id: &access_key.id,
            secret: access_key.secret.expose(),
            principal: &access_key.principal,
            created: access_key.created.as_millis(),
            active: access_key.active,
        }
    }

    pub(in crate::record) fn into_access_key(self) -> AccessKey {
        AccessKey {
            id: self.id.into(),
            secret: SecretAccessKey::new(self.secret.to_owned()),
            principal: self.principal.into(),
            created: Timestamp::from_millis(self.created),
            active: self.active,
        }
    }
}
