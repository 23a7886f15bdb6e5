//! Seeds: keys, ids, aliases, users and roles that a test set-up wants to find, from a file.
//!
//! A seed creates what is missing and leaves alone what is there, so a server can be
//! started with the same seed again and again. For development only: what is in a file is
//! no secret. The format is described in `docs/seed.md`.

mod principals;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Timestamp;
use crate::crypto::SecretKey;
use crate::name::{self, AccountId, AliasName, KeyId, Region};
use crate::principal::AccessKey;
use crate::protocol::spec::KeyState;
use crate::sigv4::SecretAccessKey;
use crate::state::{Alias, BackingKey, Change, Key, State, StillOpening};

use principals::{Documents, SeedRole, Wanted, What, check_name, missing};

/// A seed as its file says it.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    #[serde(default)]
    users: Vec<User>,
    #[serde(default)]
    roles: Vec<SeedRole>,
    #[serde(default)]
    keys: Vec<SeedKey>,
}

/// A user, with full rights unless it has policies, and an access key.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    access_key_id: String,
    secret_access_key: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policies: Option<Documents>,
    #[serde(default)]
    replace_access_key: bool,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SeedKey {
    key_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default = "default_region")]
    region: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_material: Option<Secret>,
    #[serde(default)]
    description: String,
    #[serde(default = "default_enabled")]
    enabled: bool,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// A text that is wiped when dropped.
#[derive(Clone, Deserialize, Serialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
struct Secret(String);

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_enabled() -> bool {
    true
}

/// A seed can't be read or applied. Never quotes a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The text is not a seed.
    #[error("line {line}, column {column}: {what}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// A value is not what it has to be.
    #[error("{place}: {what}")]
    Invalid {
        /// The value's place, such as `keys[0].aliases[1]`.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The store holds something else under the same name.
    #[error(
        "{place}: {what} in the store; change the seed, or start with another store (an empty data folder)"
    )]
    Conflict {
        /// The place of the value that can't be had.
        place: String,
        /// What there is instead.
        what: &'static str,
    },
    /// Whether a key exists is not known yet.
    #[error(transparent)]
    StillOpening(#[from] StillOpening),
}

impl Seed {
    /// Reads a seed and checks all that can be checked without a store.
    ///
    /// # Errors
    /// [`SeedError`] says where the text is not a seed, and why.
    pub fn from_json(json: &[u8]) -> Result<Self, SeedError> {
        // Serde would read a list as the members in their order.
        if json.trim_ascii_start().first() == Some(&b'[') {
            return Err(SeedError::Json {
                line: 1,
                column: 1,
                what: "expected an object with `users`, `roles` and `keys`".to_owned(),
            });
        }
        let seed: Self = serde_json::from_slice(json).map_err(|error| json_error(&error))?;
        // Which account is the default makes no difference to what is checked.
        seed.resolve("000000000000".parse().map_err(at("account"))?)?;
        Ok(seed)
    }

    /// Adds a user with full rights in the default account, unless these credentials are
    /// somebody's already. Whoever had the access key before, or with which secret, it is this
    /// user's from then on.
    pub fn add_user(&mut self, name: &str, access_key_id: &str, secret_access_key: &str) {
        let same_credentials = |user: &User| {
            let secrets = (&user.secret_access_key.0, secret_access_key);
            user.access_key_id == access_key_id
                && secrets.0.as_bytes().ct_eq(secrets.1.as_bytes()).into()
        };
        if !self.users.iter().any(same_credentials) {
            self.users.push(User {
                name: name.to_owned(),
                access_key_id: access_key_id.to_owned(),
                secret_access_key: Secret(secret_access_key.to_owned()),
                account: None,
                policies: None,
                replace_access_key: true,
            });
        }
    }

    /// Whether it names keys, so that all keys of a state have to be open for it.
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// What has to change in `state` so that it holds all of the seed; nothing, if it does.
    ///
    /// `account` is that of users and keys that name none.
    ///
    /// # Errors
    /// [`SeedError::Conflict`] when a key exists with other material, or an access key with
    /// another secret or user. Everything else that exists stays as it is.
    pub fn changes(
        &self,
        account: AccountId,
        state: &State,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<Change>, SeedError> {
        let resolved = self.resolve(account)?;
        resolved.reject_duplicates()?;
        let mut changes = Vec::new();
        let users = resolved.users.iter().map(|user| &user.wanted);
        let wanted: Vec<_> = users.chain(&resolved.roles).collect();
        let principals = missing(&wanted, state, now, random)?;
        changes.extend(principals.into_iter().map(Change::PutPrincipal));
        for user in &resolved.users {
            changes.extend(user.access_key(state, now)?.map(Change::PutAccessKey));
        }
        for key in &resolved.keys {
            changes.extend(key.key(state, now, random)?.map(Change::PutKey));
            for name in &key.aliases {
                if state.alias(key.account, &key.region, name).is_none() {
                    changes.push(Change::PutAlias(Alias {
                        account: key.account,
                        region: key.region.clone(),
                        name: name.clone(),
                        target: key.id,
                        created: now,
                        updated: now,
                    }));
                }
            }
        }
        Ok(changes)
    }

    fn resolve(&self, default: AccountId) -> Result<Resolved<'_>, SeedError> {
        let users = self.users.iter().enumerate();
        let users = users.map(|(index, user)| user.resolve(format!("users[{index}]"), default));
        let roles = self.roles.iter().enumerate();
        let roles = roles.map(|(index, role)| role.resolve(format!("roles[{index}]"), default));
        let keys = self.keys.iter().enumerate();
        let keys = keys.map(|(index, key)| key.resolve(format!("keys[{index}]"), default));
        Ok(Resolved {
            users: users.collect::<Result<_, _>>()?,
            roles: roles.collect::<Result<_, _>>()?,
            keys: keys.collect::<Result<_, _>>()?,
        })
    }
}

/// A seed with every value checked and every default filled in.
struct Resolved<'a> {
    users: Vec<ResolvedUser<'a>>,
    roles: Vec<Wanted<'a>>,
    keys: Vec<ResolvedKey<'a>>,
}

impl Resolved<'_> {
    fn reject_duplicates(&self) -> Result<(), SeedError> {
        let users = self.users.iter().map(|user| {
            let place = format!("{}.access_key_id", user.wanted.place);
            (place, user.access_key_id.to_owned())
        });
        let keys = self.keys.iter().flat_map(|key| {
            let place = format!("{}.key_id", key.place);
            let arn = name::key_arn(&key.region, key.account, key.id);
            let aliases = key.aliases.iter().enumerate().map(|(index, alias)| {
                let place = format!("{}.aliases[{index}]", key.place);
                (place, name::alias_arn(&key.region, key.account, alias))
            });
            iter::once((place, arn)).chain(aliases)
        });
        let mut names = BTreeSet::new();
        for (place, name) in users.chain(keys) {
            check(names.insert(name), &place, "occurs twice")?;
        }
        Ok(())
    }
}

struct ResolvedUser<'a> {
    wanted: Wanted<'a>,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    replace_access_key: bool,
}

struct ResolvedKey<'a> {
    place: String,
    account: AccountId,
    region: Region,
    id: KeyId,
    material: Option<SecretKey>,
    aliases: Vec<AliasName>,
    seed: &'a SeedKey,
}

impl User {
    fn resolve(&self, place: String, default: AccountId) -> Result<ResolvedUser<'_>, SeedError> {
        check_name(&self.name, &format!("{place}.name"))?;
        let id_place = format!("{place}.access_key_id");
        let id = &self.access_key_id;
        check(
            (1..=128).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')),
            &id_place,
            "must be 1 to 128 letters, digits, _ and -",
        )?;
        let secret_place = format!("{place}.secret_access_key");
        let secret = &self.secret_access_key.0;
        check(!secret.is_empty(), &secret_place, "must not be empty")?;
        let policies = self.policies.as_ref();
        let policies = policies.map(|documents| principals::policies(documents, &place));
        Ok(ResolvedUser {
            access_key_id: id,
            secret_access_key: secret,
            replace_access_key: self.replace_access_key,
            wanted: Wanted {
                account: account(self.account.as_deref(), &place, default)?,
                name: &self.name,
                what: What::User(policies.transpose()?),
                place,
            },
        })
    }
}

impl ResolvedUser<'_> {
    /// The access key, unless it exists.
    fn access_key(&self, state: &State, now: Timestamp) -> Result<Option<AccessKey>, SeedError> {
        let principal = name::user_arn(self.wanted.account, self.wanted.name);
        let conflict = state
            .access_key(self.access_key_id)
            .map(|present| self.conflict(&principal, present));
        match conflict {
            Some(None) => return Ok(None),
            Some(Some((member, what))) if !self.replace_access_key => {
                return Err(SeedError::Conflict {
                    place: format!("{}.{member}", self.wanted.place),
                    what,
                });
            }
            Some(Some(_)) | None => {}
        }
        Ok(Some(AccessKey {
            id: self.access_key_id.into(),
            secret: SecretAccessKey::new(self.secret_access_key.to_owned()),
            principal: principal.into(),
            created: now,
            active: true,
        }))
    }

    /// In which member an access key of that id is not the one that is wanted, and how.
    fn conflict(
        &self,
        principal: &str,
        present: &AccessKey,
    ) -> Option<(&'static str, &'static str)> {
        let (ours, theirs) = (self.secret_access_key, present.secret.expose());
        if *present.principal != *principal {
            Some(("access_key_id", "belongs to another user"))
        } else if !bool::from(ours.as_bytes().ct_eq(theirs.as_bytes())) {
            Some(("secret_access_key", "is another"))
        } else {
            None
        }
    }
}

impl SeedKey {
    fn resolve(&self, place: String, default: AccountId) -> Result<ResolvedKey<'_>, SeedError> {
        let material = self.key_material.as_ref().map(|material| {
            let bytes = BASE64.decode(&material.0).map(Zeroizing::new).ok();
            let bytes = bytes
                .and_then(|bytes| Some(SecretKey::from_bytes(bytes.as_slice().try_into().ok()?)));
            bytes.ok_or_else(|| SeedError::Invalid {
                place: format!("{place}.key_material"),
                what: "must be 32 bytes in base64".to_owned(),
            })
        });
        let aliases = self.aliases.iter().enumerate().map(|(index, alias)| {
            AliasName::parse(alias).map_err(|error| SeedError::Invalid {
                place: format!("{place}.aliases[{index}]"),
                what: error.wire().message.unwrap_or("is reserved").to_owned(),
            })
        });
        check(
            self.description.chars().count() <= 8192,
            &format!("{place}.description"),
            "must have at most 8192 characters",
        )?;
        let tags_fit = |(key, value): (&String, &String)| {
            (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256
        };
        check(
            self.tags.len() <= 50 && self.tags.iter().all(tags_fit),
            &format!("{place}.tags"),
            "must be at most 50, with keys of 1 to 128 characters and values of at most 256",
        )?;
        Ok(ResolvedKey {
            account: account(self.account.as_deref(), &place, default)?,
            region: self
                .region
                .parse()
                .map_err(at(&format!("{place}.region")))?,
            id: self
                .key_id
                .parse()
                .map_err(at(&format!("{place}.key_id")))?,
            material: material.transpose()?,
            aliases: aliases.collect::<Result<_, _>>()?,
            seed: self,
            place,
        })
    }
}

impl ResolvedKey<'_> {
    /// The key, unless it exists.
    fn key(
        &self,
        state: &State,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Result<Option<Key>, SeedError> {
        let given = self.material.clone();
        let given = given.map(|material| BackingKey::new(self.id, material, now));
        if let Some(present) = state.key(self.account, &self.region, self.id)? {
            return match given {
                Some(given) if present.backing_key(given.id()).is_none() => {
                    Err(SeedError::Conflict {
                        place: format!("{}.key_material", self.place),
                        what: "is another",
                    })
                }
                _ => Ok(None),
            };
        }
        let backing = given.unwrap_or_else(|| BackingKey::generate(self.id, now, random));
        let region = self.region.clone();
        let mut key = Key::new(self.account, region, self.id, now, [backing].into());
        key.description = self.seed.description.as_str().into();
        key.tags = self.seed.tags.clone();
        if !self.seed.enabled {
            key.state = KeyState::Disabled;
        }
        Ok(Some(key))
    }
}

fn account(account: Option<&str>, place: &str, default: AccountId) -> Result<AccountId, SeedError> {
    match account {
        None => Ok(default),
        Some(account) => account.parse().map_err(at(&format!("{place}.account"))),
    }
}

fn check(valid: bool, place: &str, what: &str) -> Result<(), SeedError> {
    if valid {
        return Ok(());
    }
    Err(SeedError::Invalid {
        place: place.to_owned(),
        what: what.to_owned(),
    })
}

fn at(place: &str) -> impl Fn(name::NameError) -> SeedError {
    move |error| SeedError::Invalid {
        place: place.to_owned(),
        what: format!("is {error}"),
    }
}

/// Serde's words where they speak of members; elsewhere they may quote a value.
fn json_error(error: &serde_json::Error) -> SeedError {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let speaks_of_members = ["unknown field", "missing field", "duplicate field"]
        .iter()
        .any(|start| text.starts_with(start));
    let what = match text.split_once(", expected ") {
        _ if speaks_of_members => text.to_owned(),
        Some((_, expected)) => format!("expected {expected}"),
        None => "not JSON".to_owned(),
    };
    SeedError::Json { line, column, what }
}
