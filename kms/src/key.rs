//! KMS keys, their material, and the aliases that name them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hint::black_box;
use std::str::FromStr;
use std::sync::Arc;

use attestation::Timestamp;
use rand_core::CryptoRng;

use crate::crypto::{Label, SecretKey, code};
use crate::error::KmsError;
use crate::hexadecimal::Digits;
use crate::last_usage::LastUsage;
use crate::material::Material;
use crate::name::{self, AccountId, AliasName, KeyId, Region};
use crate::policy::{Policy, PolicyError};
use crate::protocol::spec::{ExpirationModel, KeySpec, KeyState, KeyUsage, Origin, RotationType};

/// A KMS key of one account and region.
///
/// What identifies it never changes; everything else is changed on a clone that
/// goes back as a [`Change`](crate::state::Change). Cloning does not copy material.
#[derive(Clone)]
pub struct Key {
    account: AccountId,
    region: Region,
    id: KeyId,
    arn: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// What its owner says about it; empty when nothing.
    pub description: Box<str>,
    /// What it is made of.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Its state.
    pub state: KeyState,
    /// When it will be deleted, while that is pending.
    pub deletion_date: Option<Timestamp>,
    /// The key policy; `None` is the default policy of the account, which is not stored with every
    /// key.
    pub policy: Option<KeyPolicy>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// The versions of its material that are here, the newest last.
    pub backing: Arc<[BackingKey]>,
    /// The versions of imported material that are not here, but may come back.
    pub missing: Box<[MissingMaterial]>,
    /// When new material replaces the current one, if that is to happen by itself.
    pub rotation: Option<Rotation>,
    /// The set of related keys of a multi-Region key that has or is a replica.
    pub multi_region: Option<Arc<MultiRegion>>,
    /// When it was last used, as far as this process knows. It is in no record.
    pub last_usage: Arc<LastUsage>,
}

/// A primary key and its replicas.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MultiRegion {
    /// The region of the primary key.
    pub primary: Region,
    /// The regions of the replicas.
    pub replicas: BTreeSet<Region>,
    /// How many days after its last replica the primary key is to be deleted, if it is.
    pub deletion_window: Option<u16>,
}

/// The automatic rotation of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// The days from one rotation to the next.
    pub period_in_days: u16,
    /// When the next one is due.
    pub next: Timestamp,
}

impl Key {
    /// A new symmetric key (`SYMMETRIC_DEFAULT`), enabled, with the default policy.
    ///
    /// `backing` is the versions of its material; with none it is to be set to pending import.
    pub fn new(
        account: AccountId,
        region: Region,
        id: KeyId,
        created: Timestamp,
        backing: Arc<[BackingKey]>,
    ) -> Self {
        Self {
            account,
            arn: name::key_arn(&region, account, id).into(),
            region,
            id,
            created,
            description: Box::default(),
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            state: KeyState::Enabled,
            deletion_date: None,
            policy: None,
            tags: BTreeMap::new(),
            backing,
            missing: Box::default(),
            rotation: None,
            multi_region: None,
            last_usage: Arc::default(),
        }
    }

    /// A new symmetric key with new random material.
    pub fn generate(
        account: AccountId,
        region: Region,
        id: KeyId,
        created: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Self {
        let backing = BackingKey::generate(id, created, random);
        Self::new(account, region, id, created, Arc::new([backing]))
    }

    /// Has the processor fetch at once what a call is going to need. A key among a million is in no
    /// cache, and to wait for its pieces one after the other, each when it is needed, takes longer.
    pub(crate) fn prefetch(self: &Arc<Self>) {
        let arn = self.arn.as_bytes();
        black_box((
            Arc::strong_count(self),
            Arc::strong_count(&self.last_usage),
            (self.created, self.state),
            [arn.first().copied(), arn.last().copied()],
            self.backing.last().map(|backing| backing.created),
        ));
    }

    /// The account it belongs to.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The region it is in.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Its ARN.
    pub fn arn(&self) -> &Arc<str> {
        &self.arn
    }

    /// Uses `region`, which is equal to its own, so that keys of a region share its name.
    pub(crate) fn share_region(&mut self, region: &Region) {
        debug_assert_eq!(self.region, *region);
        self.region = region.clone();
    }

    /// The version of the material that encrypts; `None` before there is any.
    pub fn current(&self) -> Option<&BackingKey> {
        self.backing.iter().rfind(|backing| !backing.is_pending())
    }

    /// When something happens to it without a call: it is deleted, or its material expires or is
    /// rotated.
    ///
    /// Rotation waits while the key can't be used, and a replica is rotated with its primary key.
    pub fn due(&self) -> Option<Timestamp> {
        let rotation = self.rotation.map(|rotation| rotation.next);
        let rotation = rotation.filter(|_| self.state == KeyState::Enabled && !self.is_replica());
        let expiry = self.backing.iter().filter_map(BackingKey::valid_to).min();
        let dates = [self.deletion_date, expiry, rotation].into_iter();
        dates.flatten().min()
    }

    /// The material that everything new is made with.
    ///
    /// # Errors
    ///
    /// KMSInternalException if there is none, which the key's state should have said before.
    pub(crate) fn current_material(&self) -> Result<&Material, KmsError> {
        let backing = self.current().map(BackingKey::material);
        backing.ok_or_else(|| KmsError::KmsInternal("The key has no key material.".into()))
    }

    /// The version of the material that a ciphertext names.
    pub fn backing_key(&self, id: &BackingKeyId) -> Option<&BackingKey> {
        self.backing.iter().find(|backing| backing.id == *id)
    }
}

/// A key policy: as it was given, and as it is evaluated.
#[derive(Clone, Debug)]
pub struct KeyPolicy {
    text: Arc<str>,
    policy: Option<Policy>,
}

impl KeyPolicy {
    /// Reads a policy that somebody gives to a key.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Ok(Self {
            policy: Some(Policy::key_policy(text)?),
            text: text.into(),
        })
    }

    /// A policy that was accepted before. Should this version not understand it, it lets nobody
    /// through.
    pub fn stored(text: &str) -> Self {
        Self {
            policy: Policy::stored_key_policy(text).ok(),
            text: text.into(),
        }
    }

    /// The policy as it was given.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What it says; `None` if that can't be told.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }
}

/// The public id of a backing key: the API's `KeyMaterialId`, 64 hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BackingKeyId([u8; BackingKeyId::LEN]);

impl BackingKeyId {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for BackingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digits::of(&self.0).fmt(f)
    }
}

impl fmt::Debug for BackingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BackingKeyId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// One version of the material of a KMS key.
#[derive(Clone)]
pub struct BackingKey {
    id: BackingKeyId,
    created: Timestamp,
    material: Material,
    /// How it took the place of the version before; `None` for a key's first.
    pub rotation: Option<RotationType>,
    /// What else is known of it, if it was imported.
    pub import: Option<Arc<Import>>,
}

/// What is known of imported material, besides the material.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Import {
    /// What whoever imported it says about it.
    pub description: Option<Box<str>>,
    /// When it expires.
    pub valid_to: Option<Timestamp>,
    /// Whether it waits for the rotation that makes it current.
    pub pending_rotation: bool,
}

impl Import {
    /// Whether it expires, in the API's words.
    pub fn expiration_model(&self) -> ExpirationModel {
        match self.valid_to {
            Some(_) => ExpirationModel::Expires,
            None => ExpirationModel::DoesNotExpire,
        }
    }
}

/// A version of a key's imported material that was taken away, or has expired.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MissingMaterial {
    /// The id it has, and will have again.
    pub id: BackingKeyId,
    /// When it became the key's material.
    pub created: Timestamp,
    /// How it took the place of the version before; `None` for a key's first.
    pub rotation: Option<RotationType>,
    /// What else is known of it.
    pub import: Import,
}

impl BackingKey {
    /// The backing key of `key` with this material.
    ///
    /// Its id is derived from the material and the KMS key's id, so the same
    /// material of the same key has the same id everywhere, and the id gives
    /// nothing of the material away.
    pub fn new(key: KeyId, material: impl Into<Material>, created: Timestamp) -> Self {
        let material = material.into();
        let id = code(&material.id_key(), Label::BackingKeyId, &key.to_bytes());
        Self {
            id: BackingKeyId(id),
            created,
            material,
            rotation: None,
            import: None,
        }
    }

    /// A backing key of `key` with new random material for symmetric encryption.
    pub fn generate(key: KeyId, created: Timestamp, random: &mut dyn CryptoRng) -> Self {
        Self::new(key, SecretKey::generate(random), created)
    }

    /// Its public id.
    pub fn id(&self) -> &BackingKeyId {
        &self.id
    }

    /// When it became the key's material.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The same version, as one that became the key's material then.
    pub(crate) fn since(self, created: Timestamp) -> Self {
        Self { created, ..self }
    }

    /// Whether it waits for the rotation that makes it current.
    pub fn is_pending(&self) -> bool {
        let import = self.import.as_ref();
        import.is_some_and(|import| import.pending_rotation)
    }

    /// When it expires.
    pub(crate) fn valid_to(&self) -> Option<Timestamp> {
        self.import.as_ref()?.valid_to
    }

    /// The material.
    pub fn material(&self) -> &Material {
        &self.material
    }
}

/// A name for a key, which its owner can point at another key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alias {
    /// The account it belongs to.
    pub account: AccountId,
    /// The region it is in.
    pub region: Region,
    /// The name, `alias/` included.
    pub name: AliasName,
    /// The key it names.
    pub target: KeyId,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last pointed at another key.
    pub updated: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    const NOW: Timestamp = Timestamp::from_secs(0);

    #[test]
    fn the_newest_backing_key_encrypts_and_all_decrypt() {
        let mut random = TestRandom::new(1);
        let id = KeyId::new([1; 16], false);
        let (account, region) = (
            "123456789012".parse().unwrap(),
            "us-east-1".parse().unwrap(),
        );
        let mut key = Key::generate(account, region, id, NOW, &mut random);
        let old = key.backing[0].clone();
        let new = BackingKey::generate(id, NOW, &mut random);
        key.backing = [old.clone(), new.clone()].into();
        assert_eq!(key.current().map(BackingKey::id), Some(new.id()));
        assert!(key.backing_key(old.id()).is_some());
        assert!(
            key.backing_key(&BackingKeyId::from_bytes([0; 32]))
                .is_none()
        );
    }

    #[test]
    fn a_backing_key_id_commits_to_material_and_key() {
        let material = |byte| SecretKey::from_bytes(&[byte; 32]);
        let (uuid, multi_region) = (KeyId::new([1; 16], false), KeyId::new([1; 16], true));
        let backing = BackingKey::new(uuid, material(7), NOW);
        let later = BackingKey::new(uuid, material(7), Timestamp::from_secs(9));
        assert_eq!(backing.id(), later.id());
        assert_ne!(backing.id(), BackingKey::new(uuid, material(8), NOW).id());
        assert_ne!(
            backing.id(),
            BackingKey::new(multi_region, material(7), NOW).id()
        );
        assert_eq!(backing.id().to_string().len(), 64);
    }
}
