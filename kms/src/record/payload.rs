//! What is inside a record, in CBOR.
//!
//! Every payload is an array whose places never change their meaning. A new version
//! appends places, which older records lack (so they are optional); enumerations are kept
//! under their names in the AWS API. Strings and secrets are borrowed: from the object when
//! a record is written, from the opened record, which is wiped, when it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use attestation::Timestamp;
use minicbor::{CborLen, Decode, Encode};
use rand_core::CryptoRng;

use super::key_token::{open_token, seal_token};
use super::{DomainKey, EdgeSecret};
use crate::crypto::SecretKey;
use crate::grant::{Grant, GrantConstraints, GrantId, Grantee};
use crate::identity_policy::{IdentityPolicy, TrustPolicy};
use crate::key::{
    Alias, BackingKey, BackingKeyId, Import, Key, KeyPolicy, MissingMaterial, MultiRegion, Rotation,
};
use crate::material::Material;
use crate::name::{AccountId, KeyId, Region};
use crate::principal::{Access, AccessKey, DEFAULT_PATH, Principal, PrincipalKind, Role};
use crate::protocol::EncryptionContext;
use crate::protocol::spec::{
    GrantOperation, KeyMaterialState, KeySpec, KeyState, KeyUsage, Origin, RotationType,
};
use crate::sigv4::SecretAccessKey;

#[derive(CborLen, Decode, Encode)]
pub(super) struct DomainKeyPayload<'a> {
    #[n(0)]
    epoch: u32,
    #[n(1)]
    created: u64,
    #[cbor(b(2), with = "minicbor::bytes")]
    sealing: &'a [u8],
    #[cbor(b(3), with = "minicbor::bytes")]
    naming: &'a [u8],
}

impl<'a> DomainKeyPayload<'a> {
    pub(super) fn new(domain_key: &'a DomainKey) -> Self {
        Self {
            epoch: domain_key.epoch,
            created: domain_key.created.as_millis(),
            sealing: domain_key.sealing.expose(),
            naming: domain_key.naming.expose(),
        }
    }

    pub(super) fn into_domain_key(self) -> Option<DomainKey> {
        Some(DomainKey {
            epoch: self.epoch,
            created: Timestamp::from_millis(self.created),
            sealing: SecretKey::from_bytes(self.sealing.try_into().ok()?),
            naming: SecretKey::from_bytes(self.naming.try_into().ok()?),
        })
    }
}

#[derive(CborLen, Decode, Encode)]
pub(super) struct KeyPayload<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    account: [u8; 12],
    #[b(1)]
    region: &'a str,
    #[cbor(n(2), with = "minicbor::bytes")]
    id: [u8; KeyId::LEN],
    #[n(3)]
    created: u64,
    #[b(4)]
    description: &'a str,
    #[b(5)]
    spec: &'a str,
    #[b(6)]
    usage: &'a str,
    #[b(7)]
    origin: &'a str,
    #[b(8)]
    state: &'a str,
    #[n(9)]
    deletion_date: Option<u64>,
    #[b(10)]
    policy: Option<&'a str>,
    #[b(11)]
    tags: BTreeMap<&'a str, &'a str>,
    #[n(12)]
    backing: Vec<BackingKeyPayload<'a>>,
    #[b(13)]
    multi_region: Option<MultiRegionPayload<'a>>,
    #[n(14)]
    rotation: Option<RotationPayload>,
}

#[derive(CborLen, Decode, Encode)]
struct MultiRegionPayload<'a> {
    #[b(0)]
    primary: &'a str,
    #[b(1)]
    replicas: Vec<&'a str>,
    #[n(2)]
    deletion_window: Option<u16>,
}

#[derive(CborLen, Decode, Encode)]
struct RotationPayload {
    #[n(0)]
    period_in_days: u16,
    #[n(1)]
    next: u64,
}

#[derive(CborLen, Decode, Encode)]
struct BackingKeyPayload<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; BackingKeyId::LEN],
    #[n(1)]
    created: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    token: Vec<u8>,
    #[b(3)]
    rotation: Option<&'a str>,
    #[b(4)]
    description: Option<&'a str>,
    #[n(5)]
    valid_to: Option<u64>,
    #[b(6)]
    state: Option<&'a str>,
}

impl<'a> KeyPayload<'a> {
    pub(super) fn new(key: &'a Key, domain_key: &DomainKey, random: &mut dyn CryptoRng) -> Self {
        let here = key.backing.iter().map(|backing| BackingKeyPayload {
            token: seal_token(domain_key, key.id(), backing, random),
            ..BackingKeyPayload::without_material(
                backing.id(),
                backing.created(),
                backing.rotation,
                backing.import.as_deref(),
            )
        });
        let missing = key.missing.iter().map(|missing| {
            let import = Some(&missing.import);
            BackingKeyPayload::without_material(
                &missing.id,
                missing.created,
                missing.rotation,
                import,
            )
        });
        let backing = here.chain(missing);
        let tags = key.tags.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        Self {
            account: *key.account().as_bytes(),
            region: key.region().as_str(),
            id: key.id().to_bytes(),
            created: key.created.as_millis(),
            description: &key.description,
            spec: key.spec.as_str(),
            usage: key.usage.as_str(),
            origin: key.origin.as_str(),
            state: key.state.as_str(),
            deletion_date: key.deletion_date.map(Timestamp::as_millis),
            policy: key.policy.as_ref().map(|policy| &**policy.text()),
            tags: tags.collect(),
            backing: backing.collect(),
            multi_region: key.multi_region.as_deref().map(|set| MultiRegionPayload {
                primary: set.primary.as_str(),
                replicas: set.replicas.iter().map(Region::as_str).collect(),
                deletion_window: set.deletion_window,
            }),
            rotation: key.rotation.map(|rotation| RotationPayload {
                period_in_days: rotation.period_in_days,
                next: rotation.next.as_millis(),
            }),
        }
    }

    pub(super) fn into_key(self, domain_key: &DomainKey) -> Option<Key> {
        let id = KeyId::from_bytes(&self.id)?;
        let tags = self.tags.into_iter();
        let (spec, usage, origin) = (
            KeySpec::from_name(self.spec)?,
            KeyUsage::from_name(self.usage)?,
            Origin::from_name(self.origin)?,
        );
        let (here, missing): (Vec<_>, Vec<_>) = self
            .backing
            .into_iter()
            .partition(|payload| !payload.token.is_empty());
        let backing = here
            .into_iter()
            .map(|payload| payload.into_backing_key(id, (spec, usage, origin), domain_key))
            .collect::<Option<_>>()?;
        let mut key = Key::new(
            account(&self.account)?,
            self.region.parse().ok()?,
            id,
            Timestamp::from_millis(self.created),
            backing,
        );
        key.description = self.description.into();
        key.spec = spec;
        key.usage = usage;
        key.origin = origin;
        let missing = missing.iter().map(BackingKeyPayload::to_missing);
        key.missing = missing.collect::<Option<_>>()?;
        key.state = KeyState::from_name(self.state)?;
        key.deletion_date = self.deletion_date.map(Timestamp::from_millis);
        key.policy = self.policy.map(KeyPolicy::stored);
        if let Some(set) = self.multi_region {
            let replicas = set.replicas.into_iter().map(str::parse);
            key.multi_region = Some(Arc::new(MultiRegion {
                primary: set.primary.parse().ok()?,
                replicas: replicas.collect::<Result<_, _>>().ok()?,
                deletion_window: set.deletion_window,
            }));
        }
        key.rotation = self.rotation.map(|rotation| Rotation {
            period_in_days: rotation.period_in_days,
            next: Timestamp::from_millis(rotation.next),
        });
        key.tags = tags.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Some(key)
    }
}

impl<'a> BackingKeyPayload<'a> {
    /// All but the material, which stays away while the token is empty.
    fn without_material(
        id: &BackingKeyId,
        created: Timestamp,
        rotation: Option<RotationType>,
        import: Option<&'a Import>,
    ) -> Self {
        let is_pending = import.is_some_and(|import| import.pending_rotation);
        Self {
            id: *id.as_bytes(),
            created: created.as_millis(),
            token: Vec::new(),
            rotation: rotation.map(RotationType::as_str),
            description: import.and_then(|import| import.description.as_deref()),
            valid_to: import
                .and_then(|import| import.valid_to)
                .map(Timestamp::as_millis),
            state: is_pending.then_some(KeyMaterialState::PendingRotation.as_str()),
        }
    }

    fn to_missing(&self) -> Option<MissingMaterial> {
        Some(MissingMaterial {
            id: BackingKeyId::from_bytes(self.id),
            created: Timestamp::from_millis(self.created),
            rotation: self.rotation()?,
            import: self.import()?,
        })
    }

    /// How the version took the place of the one before; `None` if that can't be read.
    fn rotation(&self) -> Option<Option<RotationType>> {
        match self.rotation {
            None => Some(None),
            Some(name) => RotationType::from_name(name).map(Some),
        }
    }

    fn import(&self) -> Option<Import> {
        let pending_rotation = match self.state {
            None => false,
            Some(name) => KeyMaterialState::from_name(name)? == KeyMaterialState::PendingRotation,
        };
        Some(Import {
            description: self.description.map(Into::into),
            valid_to: self.valid_to.map(Timestamp::from_millis),
            pending_rotation,
        })
    }

    /// The id is computed from the material again: it has to be the one that was stored.
    fn into_backing_key(
        self,
        key: KeyId,
        (spec, usage, origin): (KeySpec, KeyUsage, Origin),
        domain_key: &DomainKey,
    ) -> Option<BackingKey> {
        let id = BackingKeyId::from_bytes(self.id);
        let material = open_token(domain_key, key, &id, &self.token)?;
        let material = Material::from_bytes(spec, usage, &material)?;
        let mut backing = BackingKey::new(key, material, Timestamp::from_millis(self.created));
        backing.rotation = self.rotation()?;
        if origin == Origin::External {
            backing.import = Some(Arc::new(self.import()?));
        }
        (*backing.id() == id).then_some(backing)
    }
}

#[derive(CborLen, Decode, Encode)]
pub(super) struct AliasPayload<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    account: [u8; 12],
    #[b(1)]
    region: &'a str,
    #[b(2)]
    name: &'a str,
    #[cbor(n(3), with = "minicbor::bytes")]
    target: [u8; KeyId::LEN],
    #[n(4)]
    created: u64,
    #[n(5)]
    updated: u64,
}

impl<'a> AliasPayload<'a> {
    pub(super) fn new(alias: &'a Alias) -> Self {
        Self {
            account: *alias.account.as_bytes(),
            region: alias.region.as_str(),
            name: alias.name.as_str(),
            target: alias.target.to_bytes(),
            created: alias.created.as_millis(),
            updated: alias.updated.as_millis(),
        }
    }

    pub(super) fn into_alias(self) -> Option<Alias> {
        Some(Alias {
            account: account(&self.account)?,
            region: self.region.parse().ok()?,
            name: self.name.parse().ok()?,
            target: KeyId::from_bytes(&self.target)?,
            created: Timestamp::from_millis(self.created),
            updated: Timestamp::from_millis(self.updated),
        })
    }
}

#[derive(CborLen, Decode, Encode)]
pub(super) struct PrincipalPayload<'a> {
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
    pub(super) fn new(principal: &'a Principal) -> Self {
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

    pub(super) fn into_principal(self) -> Option<Principal> {
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
pub(super) struct AccessKeyPayload<'a> {
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
    pub(super) fn new(access_key: &'a AccessKey) -> Self {
        Self {
            id: &access_key.id,
            secret: access_key.secret.expose(),
            principal: &access_key.principal,
            created: access_key.created.as_millis(),
            active: access_key.active,
        }
    }

    pub(super) fn into_access_key(self) -> AccessKey {
        AccessKey {
            id: self.id.into(),
            secret: SecretAccessKey::new(self.secret.to_owned()),
            principal: self.principal.into(),
            created: Timestamp::from_millis(self.created),
            active: self.active,
        }
    }
}

#[derive(CborLen, Decode, Encode)]
pub(super) struct EdgeSecretPayload<'a> {
    #[b(0)]
    name: &'a str,
    #[cbor(b(1), with = "minicbor::bytes")]
    bytes: &'a [u8],
}

impl<'a> EdgeSecretPayload<'a> {
    pub(super) fn new(secret: &'a EdgeSecret) -> Self {
        Self {
            name: secret.name(),
            bytes: secret.expose(),
        }
    }

    pub(super) fn into_edge_secret(self) -> EdgeSecret {
        EdgeSecret::new(self.name, self.bytes)
    }
}

#[derive(CborLen, Decode, Encode)]
pub(super) struct GrantPayload<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    account: [u8; 12],
    #[b(1)]
    region: &'a str,
    #[cbor(n(2), with = "minicbor::bytes")]
    key: [u8; KeyId::LEN],
    #[cbor(n(3), with = "minicbor::bytes")]
    id: [u8; GrantId::LEN],
    #[b(4)]
    name: Option<&'a str>,
    #[b(5)]
    grantee: GranteePayload<'a>,
    #[b(6)]
    retiring: Option<GranteePayload<'a>>,
    #[b(7)]
    issuing_account: &'a str,
    #[b(8)]
    operations: Vec<&'a str>,
    #[b(9)]
    context_subset: Option<BTreeMap<&'a str, &'a str>>,
    #[b(10)]
    context_equals: Option<BTreeMap<&'a str, &'a str>>,
    #[b(11)]
    source_arn: Option<&'a str>,
    #[n(12)]
    created: u64,
}

#[derive(CborLen, Decode, Encode)]
struct GranteePayload<'a> {
    #[b(0)]
    name: &'a str,
    #[n(1)]
    is_service: bool,
}

impl<'a> GrantPayload<'a> {
    pub(super) fn new(grant: &'a Grant) -> Self {
        let constraints = &grant.constraints;
        let context = |context: &'a Option<EncryptionContext<'_>>| {
            context.as_ref().map(|context| context.iter().collect())
        };
        let operations = grant.operations.iter().map(|operation| operation.as_str());
        Self {
            account: *grant.account.as_bytes(),
            region: grant.region.as_str(),
            key: grant.key.to_bytes(),
            id: *grant.id.as_bytes(),
            name: grant.name.as_deref(),
            grantee: GranteePayload::new(&grant.grantee),
            retiring: grant.retiring.as_ref().map(GranteePayload::new),
            issuing_account: &grant.issuing_account,
            operations: operations.collect(),
            context_subset: context(&constraints.encryption_context_subset),
            context_equals: context(&constraints.encryption_context_equals),
            source_arn: constraints.source_arn.as_deref(),
            created: grant.created.as_millis(),
        }
    }

    pub(super) fn into_grant(self) -> Option<Grant> {
        let operations = self.operations.into_iter();
        let own = |pairs| EncryptionContext::from_iter(pairs).into_owned();
        Some(Grant {
            account: account(&self.account)?,
            region: self.region.parse().ok()?,
            key: KeyId::from_bytes(&self.key)?,
            id: GrantId::from_bytes(self.id),
            name: self.name.map(Into::into),
            grantee: self.grantee.into_grantee(),
            retiring: self.retiring.map(GranteePayload::into_grantee),
            issuing_account: self.issuing_account.into(),
            operations: operations
                .map(GrantOperation::from_name)
                .collect::<Option<_>>()?,
            constraints: GrantConstraints {
                encryption_context_subset: self.context_subset.map(own),
                encryption_context_equals: self.context_equals.map(own),
                source_arn: self.source_arn.map(Into::into),
            },
            created: Timestamp::from_millis(self.created),
        })
    }
}

impl<'a> GranteePayload<'a> {
    fn new(grantee: &'a Grantee) -> Self {
        match grantee {
            Grantee::Principal(name) => Self {
                name,
                is_service: false,
            },
            Grantee::Service(name) => Self {
                name,
                is_service: true,
            },
        }
    }

    fn into_grantee(self) -> Grantee {
        if self.is_service {
            Grantee::Service(self.name.into())
        } else {
            Grantee::Principal(self.name.into())
        }
    }
}

fn account(digits: &[u8; 12]) -> Option<AccountId> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
