//! Who may call: the root user of an account, IAM users and roles, the sessions of roles; and the
//! credentials they sign with.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use attestation::Timestamp;
use rand_core::CryptoRng;

use crate::identity_policy::{FULL_ACCESS, IdentityPolicy, TrustPolicy, full_access};
use crate::name::{self, AccountId};
use crate::policy::{Caller, CallerKind, Policy};
use crate::sigv4::SecretAccessKey;

/// The path of an identity that was made without one.
pub const DEFAULT_PATH: &str = "/";

/// An identity that signs calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    account: AccountId,
    kind: PrincipalKind,
    path: Arc<str>,
    arn: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it has full rights besides what its policies allow.
    pub access: Access,
    /// Its inline policies, by name.
    pub policies: BTreeMap<Arc<str>, IdentityPolicy>,
    /// Its tags by key; a session has those of its role.
    pub tags: BTreeMap<String, String>,
    /// When the temporary credentials of its own were issued that it calls with, if it does. That is
    /// never stored.
    token_issued: Option<Timestamp>,
}

/// Which identity of an account a principal is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PrincipalKind {
    /// The account's root user, `arn:aws:iam::<account>:root`. The ARN also stands for
    /// the account as a whole in key policies.
    Root,
    /// An IAM user, `arn:aws:iam::<account>:user/<name>`.
    User {
        /// The name, unique in the account.
        name: Arc<str>,
        /// The unique id (`AIDA…`): never used again, unlike the name.
        id: Arc<str>,
    },
    /// An IAM role, `arn:aws:iam::<account>:role/<name>`. It signs nothing itself.
    Role(Arc<Role>),
    /// A session of a role, `arn:aws:sts::<account>:assumed-role/<role>/<session>`. It lives in
    /// its token and is never stored.
    Session(Arc<Session>),
}

/// The kinds of principal that have names in IAM.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum IdentityKind {
    /// A user.
    User,
    /// A role.
    Role,
}

/// What no two users and no two roles of an account may share: a name, whatever its case and
/// their paths.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct IdentityName {
    account: AccountId,
    kind: IdentityKind,
    lower_case: Arc<str>,
}

impl IdentityName {
    pub(crate) fn new(account: AccountId, kind: IdentityKind, name: &str) -> Self {
        Self {
            account,
            kind,
            lower_case: name.to_ascii_lowercase().into(),
        }
    }

    /// Whether it is a name among those of this account and kind.
    pub(crate) fn is_among(&self, account: AccountId, kind: IdentityKind) -> bool {
        self.account == account && self.kind == kind
    }
}

/// What the principal may do besides what its policies allow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Every action on every resource of its account, as if AWS's AdministratorAccess policy were
    /// attached to it.
    Full,
    /// Nothing.
    None,
}

/// What makes a principal a role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Role {
    name: Arc<str>,
    id: Arc<str>,
    /// Who may assume it: its trust policy.
    pub trust: TrustPolicy,
    /// What it is for.
    pub description: Option<Arc<str>>,
    /// How long its sessions may last, in seconds.
    pub max_session_seconds: u32,
}

/// What makes a principal a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The role that was assumed, as it is now.
    pub role: Arc<Principal>,
    /// The name that the session was given.
    pub name: Arc<str>,
    /// What the session may do at most, if it was limited.
    pub policy: Option<IdentityPolicy>,
    /// When the role was assumed.
    pub issued: Timestamp,
    /// From when on it is no longer good.
    pub expires: Timestamp,
}

impl Principal {
    /// The root user of `account`, who may do everything in it.
    pub fn root(account: AccountId, created: Timestamp) -> Self {
        let arn = name::root_arn(account);
        Self::new(account, PrincipalKind::Root, DEFAULT_PATH, &arn, created)
            .with_access(Access::Full)
    }

    /// The user `name` of `account`, with a new unique id.
    pub fn user(
        account: AccountId,
        name: &str,
        access: Access,
        created: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Self {
        Self::user_with_id(account, name, &unique_id("AIDA", random), access, created)
    }

    /// The user `name` of `account` with an id it already has.
    pub fn user_with_id(
        account: AccountId,
        name: &str,
        id: &str,
        access: Access,
        created: Timestamp,
    ) -> Self {
        Self::user_under(account, DEFAULT_PATH, name, id, created).with_access(access)
    }

    /// The user `name` of `account` under a path, without any rights.
    pub fn user_under(
        account: AccountId,
        path: &str,
        name: &str,
        id: &str,
        created: Timestamp,
    ) -> Self {
        let arn = name::user_arn_under(account, path, name);
        let kind = PrincipalKind::User {
            name: name.into(),
            id: id.into(),
        };
        Self::new(account, kind, path, &arn, created)
    }

    /// A role of `account` under a path, without any rights.
    pub fn role(account: AccountId, path: &str, role: Role, created: Timestamp) -> Self {
        let arn = name::role_arn(account, path, &role.name);
        let kind = PrincipalKind::Role(role.into());
        Self::new(account, kind, path, &arn, created)
    }

    /// A session of a role: what the role may do, and no more than the session's policy allows.
    pub fn session(session: Session) -> Self {
        let role = Arc::clone(&session.role);
        let arn = name::session_arn(role.account, role.name().unwrap_or_default(), &session.name);
        Self {
            kind: PrincipalKind::Session(session.into()),
            arn: arn.into(),
            ..Principal::clone(&role)
        }
    }

    fn new(
        account: AccountId,
        kind: PrincipalKind,
        path: &str,
        arn: &str,
        created: Timestamp,
    ) -> Self {
        Self {
            account,
            kind,
            path: path.into(),
            arn: arn.into(),
            created,
            access: Access::None,
            policies: BTreeMap::new(),
            tags: BTreeMap::new(),
            token_issued: None,
        }
    }

    fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The account it belongs to.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Which identity of the account it is.
    pub fn kind(&self) -> &PrincipalKind {
        &self.kind
    }

    /// The path it is under; `/` for most.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its ARN, which names it everywhere.
    pub fn arn(&self) -> &Arc<str> {
        &self.arn
    }

    /// The name of a user or role; for a session that of the role.
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            PrincipalKind::Root => None,
            PrincipalKind::User { name, .. } => Some(name),
            PrincipalKind::Role(role) => Some(&role.name),
            PrincipalKind::Session(session) => session.role.name(),
        }
    }

    /// What it can't share with others of its account; `None` for who has no name in IAM.
    pub(crate) fn identity_name(&self) -> Option<IdentityName> {
        let (kind, name) = match &self.kind {
            PrincipalKind::User { name, .. } => (IdentityKind::User, name),
            PrincipalKind::Role(role) => (IdentityKind::Role, &role.name),
            PrincipalKind::Root | PrincipalKind::Session(_) => return None,
        };
        Some(IdentityName::new(self.account, kind, name))
    }

    /// What CloudTrail calls `principalId` and policies `aws:userid`: the unique id of a user or
    /// role, with the session's name behind it for a session; for the root user the account's id.
    pub fn principal_id(&self) -> Cow<'_, str> {
        match &self.kind {
            PrincipalKind::Root => self.account.as_str().into(),
            PrincipalKind::User { id, .. } => (&**id).into(),
            PrincipalKind::Role(role) => (&*role.id).into(),
            PrincipalKind::Session(session) => {
                format!("{}:{}", session.role.principal_id(), session.name).into()
            }
        }
    }

    /// The policies that say what it may do, by name; that of its full access among them. A session
    /// has those of its role, and is limited by [its own](Self::session_policy) besides.
    pub(crate) fn identity_policies(&self) -> impl Iterator<Item = (&str, &Policy)> {
        let full = (self.access == Access::Full).then(|| (FULL_ACCESS, full_access()));
        let policies = self.policies.iter();
        full.into_iter()
            .chain(policies.map(|(name, policy)| (&**name, policy.policy())))
    }

    /// What bounds a session; `None` for who is no session, or one without bounds.
    pub(crate) fn session_policy(&self) -> Option<&Policy> {
        let policy = self.as_session()?.policy.as_ref()?;
        Some(policy.policy())
    }

    /// Itself, as policies see it.
    pub(crate) fn as_caller(&self) -> Caller<'_> {
        let (id, kind) = match &self.kind {
            PrincipalKind::Root => (self.account.as_str(), CallerKind::Root),
            PrincipalKind::User { id, .. } => (&**id, CallerKind::User),
            PrincipalKind::Role(role) => (&*role.id, CallerKind::Session { role: &self.arn }),
            PrincipalKind::Session(session) => {
                let role = &*session.role;
                (role.as_caller().id, CallerKind::Session { role: &role.arn })
            }
        };
        Caller {
            account: self.account,
            arn: &self.arn,
            id,
            kind,
        }
    }

    /// The ARN that policies know it by, `aws:PrincipalArn`: for a session that of its role.
    pub(crate) fn policy_arn(&self) -> &str {
        match &self.kind {
            PrincipalKind::Session(session) => &session.role.arn,
            _ => &self.arn,
        }
    }

    /// What kind of principal it is, `aws:PrincipalType`.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            PrincipalKind::Root => "Account",
            PrincipalKind::User { .. } => "User",
            PrincipalKind::Role(_) | PrincipalKind::Session(_) => "AssumedRole",
        }
    }

    /// The name of a user, `aws:username`; all others have none.
    pub(crate) fn user_name(&self) -> Option<&str> {
        match &self.kind {
            PrincipalKind::User { name, .. } => Some(name),
            _ => None,
        }
    }

    /// What makes it a role, to change it; `None` if it is none.
    pub fn role_mut(&mut self) -> Option<&mut Role> {
        match &mut self.kind {
            PrincipalKind::Role(role) => Some(Arc::make_mut(role)),
            _ => None,
        }
    }

    /// A user or root user that calls with temporary credentials of its own.
    pub(crate) fn with_token(self, issued: Timestamp) -> Self {
        Self {
            token_issued: Some(issued),
            ..self
        }
    }

    /// Whether it calls with temporary credentials of its own.
    pub(crate) fn has_token(&self) -> bool {
        self.token_issued.is_some()
    }

    /// When the temporary credentials were issued that it calls with: those of a role's session,
    /// or its own.
    pub(crate) fn token_issued(&self) -> Option<Timestamp> {
        self.as_session()
            .map_or(self.token_issued, |session| Some(session.issued))
    }

    /// What makes it a session, if it is one.
    pub fn as_session(&self) -> Option<&Session> {
        match &self.kind {
            PrincipalKind::Session(session) => Some(session),
            _ => None,
        }
    }
}

impl Role {
    /// How long sessions may last unless the role says: an hour.
    pub const DEFAULT_SESSION_SECONDS: u32 = 3600;

    /// A role with an id it already has, which this trust policy lets be assumed.
    pub fn new(name: &str, id: &str, trust: TrustPolicy) -> Self {
        Self {
            name: name.into(),
            id: id.into(),
            trust,
            description: None,
            max_session_seconds: Self::DEFAULT_SESSION_SECONDS,
        }
    }

    /// The name, unique in the account.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The unique id (`AROA…`): never used again, unlike the name.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }
}

/// A unique id as IAM makes them: four letters for the kind (`AIDA` a user, `AROA` a role) and 17
/// characters of base32.
pub(crate) fn unique_id(prefix: &str, random: &mut dyn CryptoRng) -> String {
    let mut bytes = [0; 17];
    random.fill_bytes(&mut bytes);
    let characters = bytes.iter().map(|byte| base32(*byte));
    prefix.chars().chain(characters).collect()
}

/// The digit of base32 (RFC 4648) that the low five bits stand for.
pub(crate) fn base32(bits: u8) -> char {
    match bits & 31 {
        letter @ 0..26 => char::from(b'A' + letter),
        digit => char::from(b'2' - 26 + digit),
    }
}

/// The credentials a principal signs with. The secret is wiped when dropped.
#[derive(Clone)]
pub struct AccessKey {
    /// The public half, `AKIA…`: what a request names.
    pub id: Arc<str>,
    /// The secret half.
    pub secret: SecretAccessKey,
    /// The ARN of the principal it belongs to.
    pub principal: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it may be used.
    pub active: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    const NOW: Timestamp = Timestamp::from_secs(0);

    fn account() -> AccountId {
        "123456789012".parse().unwrap()
    }

    #[test]
    fn a_user_has_an_id_of_its_own() {
        let mut random = TestRandom::new(1);
        let mut alice = || Principal::user(account(), "alice", Access::Full, NOW, &mut random);
        let (first, second) = (alice(), alice());
        assert_eq!(&**first.arn(), "arn:aws:iam::123456789012:user/alice");
        assert_eq!(first.arn(), second.arn());
        assert_ne!(first.principal_id(), second.principal_id());
        let id = first.principal_id();
        assert_eq!(id.len(), 21);
        let characters = id.strip_prefix("AIDA").unwrap().bytes();
        assert!(
            characters
                .into_iter()
                .all(|c| matches!(c, b'A'..=b'Z' | b'2'..=b'7'))
        );
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        let digits: String = (0..32).map(base32).collect();
        assert_eq!(digits, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
        assert_eq!(base32(32), 'A');
    }

    #[test]
    fn the_root_user_is_the_account() {
        let root = Principal::root(account(), NOW);
        assert_eq!(&**root.arn(), "arn:aws:iam::123456789012:root");
        assert_eq!(root.principal_id(), "123456789012");
        assert_eq!(root.access, Access::Full);
    }

    #[test]
    fn a_session_is_named_after_its_role_and_itself() {
        let role = Role::new("reader", "AROAEXAMPLE", TrustPolicy::stored("{}"));
        let mut role = Principal::role(account(), "/team/", role, NOW);
        role.policies
            .insert("p".into(), IdentityPolicy::stored("{}"));
        assert_eq!(&**role.arn(), "arn:aws:iam::123456789012:role/team/reader");
        let session = Principal::session(Session {
            role: Arc::new(role.clone()),
            name: "s".into(),
            policy: None,
            issued: NOW,
            expires: NOW,
        });
        assert_eq!(
            &**session.arn(),
            "arn:aws:sts::123456789012:assumed-role/reader/s"
        );
        assert_eq!(session.principal_id(), "AROAEXAMPLE:s");
        assert_eq!(session.account(), account());
        assert_eq!(session.policies, role.policies);
        assert_eq!(session.access, Access::None);
        assert_eq!(
            session.as_caller(),
            Caller {
                account: account(),
                arn: "arn:aws:sts::123456789012:assumed-role/reader/s",
                id: "AROAEXAMPLE",
                kind: CallerKind::Session {
                    role: "arn:aws:iam::123456789012:role/team/reader"
                },
            }
        );
    }

    #[test]
    fn policies_know_who_calls() {
        let role = Role::new("reader", "AROAEXAMPLE", TrustPolicy::stored("{}"));
        let role = Principal::role(account(), "/team/", role, NOW);
        let session = Principal::session(Session {
            role: Arc::new(role),
            name: "s".into(),
            policy: Some(IdentityPolicy::stored("{}")),
            issued: NOW,
            expires: NOW,
        });
        let user = Principal::user_with_id(account(), "alice", "AIDAALICE", Access::None, NOW);
        let root = Principal::root(account(), NOW);
        for (principal, arn, id, type_name, user_name) in [
            (
                &root,
                "arn:aws:iam::123456789012:root",
                "123456789012",
                "Account",
                None,
            ),
            (
                &user,
                "arn:aws:iam::123456789012:user/alice",
                "AIDAALICE",
                "User",
                Some("alice"),
            ),
            (
                &session,
                "arn:aws:iam::123456789012:role/team/reader",
                "AROAEXAMPLE",
                "AssumedRole",
                None,
            ),
        ] {
            assert_eq!(principal.policy_arn(), arn);
            assert_eq!(principal.as_caller().id, id);
            assert_eq!(principal.type_name(), type_name);
            assert_eq!(principal.user_name(), user_name);
        }
        assert_eq!(root.identity_policies().count(), 1);
        assert_eq!(user.identity_policies().count(), 0);
        assert!(user.session_policy().is_none());
        assert!(session.session_policy().is_some());
    }
}
