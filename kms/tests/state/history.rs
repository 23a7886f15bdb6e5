//! Random histories: what calls might do to a small world.

use std::collections::BTreeMap;
use std::sync::Arc;

use kms::Timestamp;
use kms::grant::{Grant, GrantConstraints, GrantId, Grantee};
use kms::identity_policy::{IdentityPolicy, TrustPolicy};
use kms::key::KeyPolicy;
use kms::name::{AccountId, AliasName, KeyId, Region};
use kms::principal::{Access, AccessKey, Principal, Role};
use kms::protocol::spec::{GrantOperation, KeyState, Origin, RotationType};
use kms::record::EdgeSecret;
use kms::sigv4::SecretAccessKey;
use kms::state::{
    Alias, BackingKey, BackingKeyId, Change, Import, Key, MissingMaterial, MultiRegion, Rotation,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rand_core::CryptoRng;

/// One change, in numbers small enough that histories come back to the same things.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit {
    subject: Subject,
    /// Which account, which region, which of the kind.
    place: (u8, u8, u8),
    /// `None` deletes.
    value: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Subject {
    Key,
    Alias,
    Principal,
    AccessKey,
    EdgeSecret,
    Grant,
}

/// Batches of edits.
pub(crate) fn histories(batches: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<Edit>>> {
    vec(vec(edits(), 1..6), batches)
}

fn edits() -> impl Strategy<Value = Edit> {
    let subject = prop_oneof![
        4 => Just(Subject::Key),
        4 => Just(Subject::Alias),
        1 => Just(Subject::Principal),
        1 => Just(Subject::AccessKey),
        1 => Just(Subject::EdgeSecret),
        4 => Just(Subject::Grant),
    ];
    let value = prop_oneof![3 => any::<u8>().prop_map(Some), 1 => Just(None)];
    (subject, (0..2_u8, 0..2_u8, 0..4_u8), value).prop_map(|(subject, place, value)| Edit {
        subject,
        place,
        value,
    })
}

pub(crate) const ACCOUNTS: [&str; 2] = ["123456789012", "000000000000"];
pub(crate) const REGIONS: [&str; 2] = ["us-east-1", "eu-central-1"];

pub(crate) fn account(number: u8) -> AccountId {
    ACCOUNTS[usize::from(number)].parse().unwrap()
}

pub(crate) fn region(number: u8) -> Region {
    REGIONS[usize::from(number)].parse().unwrap()
}

pub(crate) fn key_id(number: u8) -> KeyId {
    KeyId::new([number / 2; 16], number % 2 == 1)
}

fn alias_name(number: u8) -> AliasName {
    format!("alias/name-{number}").parse().unwrap()
}

pub(crate) fn grant_id(number: u8) -> GrantId {
    GrantId::from_bytes([number; 32])
}

/// One of two users, or a service.
pub(crate) fn grantee(number: u8) -> Grantee {
    match number % 3 {
        0 => Grantee::Service("service.amazonaws.com".into()),
        user => Grantee::Principal(format!("arn:aws:iam::123456789012:user/user{user}").into()),
    }
}

fn user(place: (u8, u8, u8), value: u8) -> Principal {
    let created = Timestamp::from_secs(value.into());
    let access = [Access::Full, Access::None][usize::from(value % 2)];
    match place.2 {
        0 => Principal::root(account(place.0), created),
        1 => {
            let mut role = Role::new("one", &format!("AROA{value}"), TrustPolicy::stored("{}"));
            role.description = (value > 2).then(|| format!("description {value}").into());
            role.max_session_seconds = 3600 + u32::from(value);
            let mut role = Principal::role(account(place.0), "/path/", role, created);
            let policies = (0..value % 3).map(|number| {
                let policy = IdentityPolicy::stored(&format!("{{{value}}}"));
                (format!("policy{number}").into(), policy)
            });
            role.policies = policies.collect();
            role.tags = tags(value);
            role
        }
        number => {
            let (name, id) = (format!("user{number}"), format!("AIDA{value}"));
            let mut user = Principal::user_with_id(account(place.0), &name, &id, access, created);
            user.tags = tags(value);
            user
        }
    }
}

/// No tags to three.
fn tags(value: u8) -> BTreeMap<String, String> {
    let tags = (0..value % 4).map(|number| (format!("tag{number}"), format!("value {value}")));
    tags.collect()
}

impl Edit {
    pub(crate) fn change(&self, random: &mut dyn CryptoRng) -> Change {
        let (account, region) = (account(self.place.0), region(self.place.1));
        let number = self.place.2;
        match (self.subject, self.value) {
            (Subject::Key, Some(value)) => Change::PutKey(self.key(value, random)),
            (Subject::Key, None) => Change::DeleteKey {
                account,
                region,
                id: key_id(number),
            },
            (Subject::Alias, Some(value)) => Change::PutAlias(Alias {
                account,
                region,
                name: alias_name(number),
                target: key_id(value % 4),
                created: Timestamp::from_secs(1),
                updated: Timestamp::from_secs(value.into()),
            }),
            (Subject::Alias, None) => Change::DeleteAlias {
                account,
                region,
                name: alias_name(number),
            },
            (Subject::Principal, Some(value)) => Change::PutPrincipal(user(self.place, value)),
            (Subject::Principal, None) => Change::DeletePrincipal {
                arn: user(self.place, 0).arn().clone(),
            },
            (Subject::AccessKey, Some(value)) => Change::PutAccessKey(AccessKey {
                id: format!("AKIA{number}").into(),
                secret: SecretAccessKey::new(format!("secret{value}")),
                principal: user(self.place, 0).arn().clone(),
                created: Timestamp::from_secs(value.into()),
                active: value % 2 == 0,
            }),
            (Subject::AccessKey, None) => Change::DeleteAccessKey {
                id: format!("AKIA{number}").into(),
            },
            (Subject::EdgeSecret, Some(value)) => {
                Change::PutEdgeSecret(EdgeSecret::new(&format!("secret-{number}"), &[value; 48]))
            }
            (Subject::EdgeSecret, None) => Change::DeleteEdgeSecret {
                name: format!("secret-{number}").into(),
            },
            (Subject::Grant, Some(value)) => Change::PutGrant(self.grant(value)),
            (Subject::Grant, None) => Change::DeleteGrant {
                account,
                region,
                key: key_id(number % 2),
                id: grant_id(number),
            },
        }
    }

    fn grant(&self, value: u8) -> Grant {
        let number = self.place.2;
        let context = |name: &'static str| [(name, "value")].into_iter().collect();
        Grant {
            account: account(self.place.0),
            region: region(self.place.1),
            key: key_id(number % 2),
            id: grant_id(number),
            name: value.is_multiple_of(2).then(|| "name".into()),
            grantee: grantee(value),
            retiring: value.is_multiple_of(3).then(|| grantee(value / 3)),
            issuing_account: "arn:aws:iam::123456789012:root".into(),
            operations: GrantOperation::ALL[..usize::from(value) % 4 + 1].into(),
            constraints: GrantConstraints {
                encryption_context_subset: value.is_multiple_of(5).then(|| context("subset")),
                encryption_context_equals: value.is_multiple_of(7).then(|| context("equals")),
                source_arn: value
                    .is_multiple_of(11)
                    .then(|| "arn:aws:s3:::bucket".into()),
            },
            created: Timestamp::from_secs(value.into()),
        }
    }

    fn key(&self, value: u8, random: &mut dyn CryptoRng) -> Key {
        let (account, region) = (account(self.place.0), region(self.place.1));
        let id = key_id(self.place.2);
        let versions = (0..value % 3).map(|version| {
            let made = Timestamp::from_secs(version.into());
            let mut backing = BackingKey::generate(id, made, random);
            backing.rotation = [None, Some(RotationType::OnDemand)][usize::from(version % 2)];
            backing
        });
        let created = Timestamp::from_secs(value.into());
        let is_external = value.is_multiple_of(7);
        let import = |n: u8| Import {
            description: (n.is_multiple_of(2)).then(|| format!("import {n}").into()),
            valid_to: Some(Timestamp::from_secs(u64::from(n) + 250)),
            pending_rotation: n.is_multiple_of(3),
        };
        let versions = versions.map(|mut backing| {
            backing.import = is_external.then(|| Arc::new(import(value)));
            backing
        });
        let mut key = Key::new(account, region, id, created, versions.collect());
        if is_external {
            key.origin = Origin::External;
            key.missing = (0..value % 4)
                .map(|n| MissingMaterial {
                    id: BackingKeyId::from_bytes([n; 32]),
                    created: Timestamp::from_secs(n.into()),
                    rotation: [Some(RotationType::OnDemand), None][usize::from(n % 2)],
                    import: import(n),
                })
                .collect();
        }
        key.description = format!("description {value}").into();
        key.state = KeyState::ALL[usize::from(value) % KeyState::ALL.len()];
        if key.state == KeyState::PendingDeletion {
            key.deletion_date = Some(Timestamp::from_secs(u64::from(value) + 100));
        }
        key.multi_region = value.is_multiple_of(3).then(|| {
            Arc::new(MultiRegion {
                primary: self::region(value % 2),
                replicas: (0..value % 5)
                    .map(|n| format!("xx-test-{n}").parse().unwrap())
                    .collect(),
                deletion_window: value.is_multiple_of(2).then(|| value.into()),
            })
        });
        key.rotation = value.is_multiple_of(4).then(|| Rotation {
            period_in_days: 90 + u16::from(value),
            next: Timestamp::from_secs(u64::from(value) + 200),
        });
        key.policy =
            (value.is_multiple_of(5)).then(|| KeyPolicy::stored(&format!("{{\"Id\": {value}}}")));
        key.tags = (0..value % 4)
            .map(|tag| (format!("key{tag}"), "value".into()))
            .collect();
        key
    }
}

/// What a change does to the things there are, by name: the model of a state.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct World(pub(crate) BTreeMap<String, String>);

impl World {
    pub(crate) fn apply(&mut self, change: &Change) {
        let put = |name: (String, String)| (name.0, Some(name.1));
        let (name, thing) = match change {
            Change::PutKey(key) => put(describe_key(key)),
            Change::DeleteKey {
                account,
                region,
                id,
            } => (format!("key {account} {region} {id}"), None),
            Change::PutAlias(alias) => put(describe_alias(alias)),
            Change::DeleteAlias {
                account,
                region,
                name,
            } => (format!("alias {account} {region} {name}"), None),
            Change::PutPrincipal(principal) => put(describe_principal(principal)),
            Change::DeletePrincipal { arn } => (format!("principal {arn}"), None),
            Change::PutAccessKey(access_key) => put(describe_access_key(access_key)),
            Change::DeleteAccessKey { id } => (format!("access key {id}"), None),
            Change::PutEdgeSecret(secret) => put(describe_edge_secret(secret)),
            Change::DeleteEdgeSecret { name } => (format!("edge secret {name}"), None),
            Change::PutGrant(grant) => put(describe_grant(grant)),
            Change::DeleteGrant {
                account,
                region,
                key,
                id,
            } => (format!("grant {account} {region} {key} {id}"), None),
        };
        match thing {
            Some(thing) => self.0.insert(name, thing),
            None => self.0.remove(&name),
        };
    }
}

pub(crate) fn describe_key(key: &Key) -> (String, String) {
    let (account, region, id) = (key.account(), key.region(), key.id());
    let backing = key.backing.iter().map(|backing| {
        let material = hex::encode(backing.material().expose());
        let (id, created) = (backing.id(), backing.created());
        let (rotation, import) = (backing.rotation, &backing.import);
        format!("{id} {created:?} {rotation:?} {import:?} {material}")
    });
    let backing: Vec<_> = backing.collect();
    let thing = format!(
        "{} {:?} {} {} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {backing:?}",
        key.arn(),
        key.created,
        key.description,
        key.spec,
        key.usage,
        key.origin,
        key.state,
        key.deletion_date,
        key.policy.as_ref().map(KeyPolicy::text),
        key.tags,
        key.rotation,
        key.multi_region,
        key.missing,
    );
    (format!("key {account} {region} {id}"), thing)
}

pub(crate) fn describe_alias(alias: &Alias) -> (String, String) {
    let name = format!("alias {} {} {}", alias.account, alias.region, alias.name);
    (name, format!("{alias:?}"))
}

pub(crate) fn describe_principal(principal: &Principal) -> (String, String) {
    (
        format!("principal {}", principal.arn()),
        format!("{principal:?}"),
    )
}

pub(crate) fn describe_access_key(access_key: &AccessKey) -> (String, String) {
    let thing = format!(
        "{} {} {:?} {}",
        access_key.secret.expose(),
        access_key.principal,
        access_key.created,
        access_key.active
    );
    (format!("access key {}", access_key.id), thing)
}

pub(crate) fn describe_grant(grant: &Grant) -> (String, String) {
    let Grant {
        account,
        region,
        key,
        id,
        ..
    } = grant;
    let thing = format!(
        "{:?} {:?} {:?} {} {:?} {:?} {:?}",
        grant.name,
        grant.grantee,
        grant.retiring,
        grant.issuing_account,
        grant.operations,
        grant.constraints,
        grant.created,
    );
    (format!("grant {account} {region} {key} {id}"), thing)
}

pub(crate) fn describe_edge_secret(secret: &EdgeSecret) -> (String, String) {
    (
        format!("edge secret {}", secret.name()),
        hex::encode(secret.expose()),
    )
}
