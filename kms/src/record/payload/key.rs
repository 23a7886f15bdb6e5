//! What is inside the record of a key.

use std::collections::BTreeMap;
use std::sync::Arc;

use attestation::Timestamp;
use minicbor::{CborLen, Decode, Encode};
use rand_core::CryptoRng;

use super::super::DomainKey;
use super::super::key_token::{open_token, seal_token};
use super::account;
use crate::key::{
    BackingKey, BackingKeyId, Import, Key, KeyPolicy, MissingMaterial, MultiRegion, Rotation,
};
use crate::material::Material;
use crate::name::{KeyId, Region};
use crate::protocol::spec::{KeyMaterialState, KeySpec, KeyState, KeyUsage, Origin, RotationType};

#[derive(CborLen, Decode, Encode)]
pub(in crate::record) struct KeyPayload<'a> {
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
    pub(in crate::record) fn new(
        key: &'a Key,
        domain_key: &DomainKey,
        random: &mut dyn CryptoRng,
    ) -> Self {
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

    pub(in crate::record) fn into_key(self, domain_key: &DomainKey) -> Option<Key> {
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
