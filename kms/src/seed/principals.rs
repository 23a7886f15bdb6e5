//! The principals of a seed: users and roles, with their policies.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Timestamp;
use crate::identity_policy::{IdentityPolicy, TrustPolicy};
use crate::name::{self, AccountId};
use crate::principal::{Access, DEFAULT_PATH, IdentityKind, Principal, Role, unique_id};
use crate::state::State;

use super::{SeedError, account, check};

/// A role.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedRole {
    name: String,
    trust_policy: Value,
    #[serde(default)]
    policies: Documents,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default = "default_session")]
    max_session_duration: u32,
}

fn default_session() -> u32 {
    Role::DEFAULT_SESSION_SECONDS
}

/// Policies by name: as JSON, or as a text that is JSON.
pub(super) type Documents = BTreeMap<String, Value>;

/// Policies, checked.
pub(super) type Policies = BTreeMap<Arc<str>, IdentityPolicy>;

/// A user or role that there should be, checked.
pub(super) struct Wanted<'a> {
    pub(super) place: String,
    pub(super) account: AccountId,
    pub(super) name: &'a str,
    pub(super) what: What,
}

/// What there should be.
#[derive(Eq, PartialEq)]
pub(super) enum What {
    /// A user with these policies; with full rights if they are left out.
    User(Option<Policies>),
    /// A role with these policies.
    Role {
        trust: TrustPolicy,
        policies: Policies,
        max_session_seconds: u32,
    },
}

impl SeedRole {
    pub(super) fn resolve(
        &self,
        place: String,
        default: AccountId,
    ) -> Result<Wanted<'_>, SeedError> {
        check_name(&self.name, &format!("{place}.name"))?;
        check(
            (3600..=43_200).contains(&self.max_session_duration),
            &format!("{place}.max_session_duration"),
            "must be 3600 to 43200 seconds",
        )?;
        let trust =
            TrustPolicy::parse(&text(&self.trust_policy)).map_err(|error| SeedError::Invalid {
                place: format!("{place}.trust_policy"),
                what: format!("is no trust policy: {error}"),
            })?;
        Ok(Wanted {
            account: account(self.account.as_deref(), &place, default)?,
            name: &self.name,
            what: What::Role {
                trust,
                policies: policies(&self.policies, &place)?,
                max_session_seconds: self.max_session_duration,
            },
            place,
        })
    }
}

impl Wanted<'_> {
    fn arn(&self) -> String {
        match self.what {
            What::User(_) => name::user_arn(self.account, self.name),
            What::Role { .. } => name::role_arn(self.account, DEFAULT_PATH, self.name),
        }
    }

    fn kind(&self) -> IdentityKind {
        match self.what {
            What::User(_) => IdentityKind::User,
            What::Role { .. } => IdentityKind::Role,
        }
    }

    fn principal(&self, now: Timestamp, random: &mut dyn CryptoRng) -> Principal {
        let user = |access, random| Principal::user(self.account, self.name, access, now, random);
        let (mut principal, policies) = match &self.what {
            What::User(None) => return user(Access::Full, random),
            What::User(Some(policies)) => (user(Access::None, random), policies),
            What::Role {
                trust,
                policies,
                max_session_seconds,
            } => {
                let id = unique_id("AROA", random);
                let mut role = Role::new(self.name, &id, trust.clone());
                role.max_session_seconds = *max_session_seconds;
                let role = Principal::role(self.account, DEFAULT_PATH, role, now);
                (role, policies)
            }
        };
        principal.policies.clone_from(policies);
        principal
    }
}

/// The users and roles that are missing in `state`, each once.
pub(super) fn missing(
    wanted: &[&Wanted<'_>],
    state: &State,
    now: Timestamp,
    random: &mut dyn CryptoRng,
) -> Result<Vec<Principal>, SeedError> {
    let mut missing = Vec::new();
    let mut first: BTreeMap<_, &Wanted<'_>> = BTreeMap::new();
    for &one in wanted {
        let name = format!("{}.name", one.place);
        let key = (one.account, one.kind(), one.name.to_ascii_lowercase());
        if let Some(before) = first.get(&key) {
            check(one.name == before.name, &name, "occurs in another case")?;
            let is_user = one.kind() == IdentityKind::User;
            check(is_user, &name, "occurs twice")?;
            check(
                one.what == before.what,
                &format!("{}.policies", one.place),
                "must be the same wherever the user is listed",
            )?;
            continue;
        }
        first.insert(key, one);
        match state.identity(one.account, one.kind(), one.name) {
            Some(present) if **present.arn() == one.arn() => {}
            Some(_) => {
                return Err(SeedError::Conflict {
                    place: name,
                    what: "is taken, in another case or under a path,",
                });
            }
            None => missing.push(one.principal(now, random)),
        }
    }
    Ok(missing)
}

/// Policies that a user or role is to have.
pub(super) fn policies(documents: &Documents, place: &str) -> Result<Policies, SeedError> {
    let policies = documents.iter().map(|(name, document)| {
        let place = format!("{place}.policies.{name}");
        check(
            is_name(name, 128),
            &place,
            "must have a name of 1 to 128 letters, digits and _+=,.@-",
        )?;
        match IdentityPolicy::parse(&text(document)) {
            Ok(policy) => Ok((name.as_str().into(), policy)),
            Err(error) => Err(SeedError::Invalid {
                place,
                what: format!("is no identity policy: {error}"),
            }),
        }
    });
    policies.collect()
}

/// The name of a user or role.
pub(super) fn check_name(name: &str, place: &str) -> Result<(), SeedError> {
    check(
        is_name(name, 64),
        place,
        "must be 1 to 64 letters, digits and _+=,.@-",
    )
}

fn is_name(name: &str, longest: usize) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=longest).contains(&name.len()) && name.bytes().all(is_word)
}

/// A policy's text, however it was written down.
fn text(document: &Value) -> String {
    match document {
        Value::String(text) => text.clone(),
        document => document.to_string(),
    }
}
