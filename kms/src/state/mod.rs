//! What the server knows: an immutable snapshot, and how one becomes the next.
//!
//! Readers hold a [`State`], which never changes under them. A writer puts the [`Change`]s
//! of one or many calls into a [`Batch`] and seals it: out come the next state and the
//! [`Transaction`] that makes the store hold it. Once the store has taken the transaction
//! the next state is the current one; if the store refuses, it is dropped and nothing has
//! happened. [`Opening`] reads a state back from a store and refuses any store that does
//! not hold exactly what was committed. If there are very many keys they may be opened after that:
//! until then a state says [`StillOpening`] of what it can't know.

mod batch;
mod opening;
mod ordered_map;
mod ordered_set;
mod rank;
mod table;
mod tables;

use std::sync::Arc;

use attestation::Timestamp;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::{Fields, Label, code};
use crate::name::{self, AccountId, AliasName, KeyId, Region};
use crate::principal::{IdentityKind, IdentityName};
use crate::record::{DomainKey, Head, ImportToken, SessionToken, open_import_token, session_token};
use tables::Tables;

pub use crate::grant::{Grant, GrantId, Grantee};
pub use crate::key::{
    Alias, BackingKey, BackingKeyId, Import, Key, MissingMaterial, MultiRegion, Rotation,
};
pub use crate::principal::{AccessKey, Principal};
pub use crate::record::{EdgeSecret, RecordId, RootKey, RootKeyId, StateError, head_sequence};
pub use batch::{Batch, Change, Transaction};
pub use opening::{OpenedKeys, Opening, ReadRecord, RecordOpener, SealedKeys};

/// A snapshot of everything: keys, aliases, principals, secrets. Cloning is cheap and
/// shares all of it.
#[derive(Clone)]
pub struct State {
    tables: Tables,
    /// How many keys the store holds that are not in the tables yet. No change can touch one: what
    /// changes a key begins with that key, and a new one has an id of its own.
    sealed_keys: u64,
    sealing: Arc<Sealing>,
    head: Head,
    /// The hash of the sealed head in the store.
    head_hash: [u8; 32],
}

/// Only the keys that are not open yet could tell. It takes some seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("The server has just started and is still opening its keys. Try again in a few seconds.")]
pub struct StillOpening;

/// What records are sealed under.
struct Sealing {
    root_key: RootKey,
    domain_key: Arc<DomainKey>,
}

impl State {
    /// The first state of a new store, which holds no keys and nobody to use them, and the
    /// transaction that makes the (empty) store hold it.
    pub fn genesis(
        root_key: &RootKey,
        random: &mut dyn CryptoRng,
        now: Timestamp,
    ) -> (Self, Transaction) {
        batch::genesis(root_key, random, now)
    }

    /// The same state under another root key, and the transaction that makes the store hold it: the
    /// domain key and the head are sealed anew. Records stay as they are, under the domain key.
    pub fn with_root_key(
        &self,
        root_key: &RootKey,
        random: &mut dyn CryptoRng,
    ) -> (Self, Transaction) {
        batch::change_root_key(self, root_key, random)
    }

    /// The root key, for the root-key life cycle to hand on.
    pub fn root_key(&self) -> &RootKey {
        &self.sealing.root_key
    }

    /// How many keys are not open yet.
    pub fn sealed_keys(&self) -> u64 {
        self.sealed_keys
    }

    /// Whether every key is open.
    ///
    /// # Errors
    /// If not.
    pub fn require_all_keys(&self) -> Result<(), StillOpening> {
        match self.sealed_keys {
            0 => Ok(()),
            _ => Err(StillOpening),
        }
    }

    /// Takes in keys that were sealed until now.
    ///
    /// # Errors
    /// When one of them is there already.
    pub fn take_in(&mut self, keys: OpenedKeys) -> Result<(), StateError> {
        opening::take_in(self, keys)
    }

    /// The key with this id.
    ///
    /// # Errors
    /// When there is none yet.
    pub fn key(
        &self,
        account: AccountId,
        region: &Region,
        id: KeyId,
    ) -> Result<Option<&Arc<Key>>, StillOpening> {
        let scope = self.tables.scope(account, region);
        let key = scope.and_then(|scope| scope.keys.get(&id));
        match key {
            Some(key) => key.prefetch(),
            None => self.require_all_keys()?,
        }
        Ok(key)
    }

    /// The keys with this id in all accounts and regions.
    ///
    /// # Errors
    /// While not all keys are open.
    pub fn keys_with_id(&self, id: KeyId) -> Result<impl Iterator<Item = &Arc<Key>>, StillOpening> {
        self.require_all_keys()?;
        Ok(self.tables.keys_with_id(id))
    }

    /// The keys whose ids come after `start`, or all keys, in the order of their ids.
    ///
    /// # Errors
    /// While not all keys are open.
    pub fn keys_after(
        &self,
        account: AccountId,
        region: &Region,
        start: Option<KeyId>,
    ) -> Result<impl Iterator<Item = &Arc<Key>>, StillOpening> {
        self.require_all_keys()?;
        let scope = self.tables.scope(account, region);
        let keys = scope
            .into_iter()
            .flat_map(move |scope| scope.keys.after(start));
        Ok(keys)
    }

    /// The alias with this name.
    pub fn alias(
        &self,
        account: AccountId,
        region: &Region,
        name: &AliasName,
    ) -> Option<&Arc<Alias>> {
        self.tables.scope(account, region)?.aliases.get(name)
    }

    /// The aliases whose names come after `start`, or all aliases, in the order of their names.
    pub fn aliases_after(
        &self,
        account: AccountId,
        region: &Region,
        start: Option<&AliasName>,
    ) -> impl Iterator<Item = &Arc<Alias>> {
        let scope = self.tables.scope(account, region);
        scope
            .into_iter()
            .flat_map(move |scope| scope.aliases.after(start.cloned()))
    }

    /// The aliases of a key, in the order of their names.
    pub fn aliases_of(
        &self,
        account: AccountId,
        region: &Region,
        key: KeyId,
    ) -> impl Iterator<Item = &Arc<Alias>> {
        let scope = self.tables.scope(account, region);
        scope
            .into_iter()
            .flat_map(move |scope| scope.aliases_of(key))
    }

    /// The grant on a key with this id.
    pub fn grant(
        &self,
        account: AccountId,
        region: &Region,
        key: KeyId,
        id: GrantId,
    ) -> Option<&Arc<Grant>> {
        self.tables.scope(account, region)?.grants.get(&(key, id))
    }

    /// The grants on a key whose ids come after `start`, or all of them, in the order of their ids.
    pub fn grants_on(
        &self,
        account: AccountId,
        region: &Region,
        key: KeyId,
        start: Option<GrantId>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let scope = self.tables.scope(account, region);
        scope
            .into_iter()
            .flat_map(move |scope| scope.grants_on(key, start))
    }

    /// The grants on a key for this grantee.
    pub fn grants_for(&self, key: &Key, grantee: Grantee) -> impl Iterator<Item = &Arc<Grant>> {
        let scope = self.tables.scope(key.account(), key.region());
        let key = key.id();
        scope
            .into_iter()
            .flat_map(move |scope| scope.grants_for(key, grantee.clone()))
    }

    /// The grants of an account and region that this principal may retire, after `start` in the
    /// order of their keys and ids.
    pub fn retirable_by(
        &self,
        account: AccountId,
        region: &Region,
        principal: Grantee,
        start: Option<(KeyId, GrantId)>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let scope = self.tables.scope(account, region);
        scope
            .into_iter()
            .flat_map(move |scope| scope.retirable_by(principal.clone(), start))
    }

    /// The id of a grant that has a name: the same for the same grant.
    pub(crate) fn named_grant_id(&self, content: &Fields) -> GrantId {
        let naming_key = &self.sealing.domain_key.naming;
        GrantId::from_bytes(code(naming_key, Label::GrantId, content.as_bytes()))
    }

    /// The code that makes a grant token ours.
    pub(crate) fn grant_token_code(&self, content: &[u8]) -> [u8; 32] {
        code(&self.sealing.domain_key.naming, Label::GrantToken, content)
    }

    /// Seals an import token.
    pub(crate) fn seal_import_token(
        &self,
        token: &ImportToken<'_>,
        random: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        token.seal(&self.sealing.domain_key, random)
    }

    /// What is in an import token, if it is one of ours.
    pub(crate) fn open_import_token(&self, token: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open_import_token(&self.sealing.domain_key, token)
    }

    /// The keys to which something has to happen without a call: see [`Key::due`].
    ///
    /// # Errors
    /// While not all keys are open.
    pub fn due(&self, now: Timestamp) -> Result<impl Iterator<Item = &Arc<Key>>, StillOpening> {
        self.require_all_keys()?;
        Ok(self.tables.due(now))
    }

    /// The principal with this ARN.
    pub fn principal(&self, arn: &str) -> Option<&Arc<Principal>> {
        self.tables.principals.get(arn)
    }

    /// Whether an ARN may stand for somebody: the account of a root user need not be known here,
    /// and of a session its role has to exist.
    pub(crate) fn is_principal(&self, arn: &str) -> bool {
        let is_session = || {
            let (account, name) = name::role_of_session(arn)?;
            let role = self.identity(account, IdentityKind::Role, name)?;
            Some(role.name() == Some(name))
        };
        self.principal(arn).is_some() || name::is_root_arn(arn) || is_session() == Some(true)
    }

    /// All principals, in the order of their ARNs.
    pub fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.tables.principals.after(None)
    }

    /// The user or role with this name, in whatever case.
    pub fn identity(
        &self,
        account: AccountId,
        kind: IdentityKind,
        name: &str,
    ) -> Option<&Arc<Principal>> {
        let name = IdentityName::new(account, kind, name);
        self.tables.identities.get(&name)
    }

    /// The users or roles of an account whose names come after `start`, or all of them, in the
    /// order of their names in lower case.
    pub fn identities_after(
        &self,
        account: AccountId,
        kind: IdentityKind,
        start: Option<&str>,
    ) -> impl Iterator<Item = &Arc<Principal>> {
        // Before every name there is comes the empty one.
        let start = IdentityName::new(account, kind, start.unwrap_or_default());
        self.tables
            .identities
            .after(Some(start))
            .take_while(move |principal| {
                let name = principal.identity_name();
                name.is_some_and(|name| name.is_among(account, kind))
            })
    }

    /// The access key with this id, active or not.
    pub fn access_key(&self, id: &str) -> Option<&Arc<AccessKey>> {
        self.tables.access_keys.get(id)
    }

    /// All access keys, in the order of their ids.
    pub fn access_keys(&self) -> impl Iterator<Item = &Arc<AccessKey>> {
        self.tables.access_keys.after(None)
    }

    /// The access keys of the principal with this ARN, in the order of their ids.
    pub fn access_keys_of(&self, arn: &Arc<str>) -> impl Iterator<Item = &Arc<AccessKey>> {
        self.tables.access_keys_of(arn.clone())
    }

    /// The token that carries a session: sealed, for its holder to present.
    pub(crate) fn seal_session(&self, token: &SessionToken, random: &mut dyn CryptoRng) -> String {
        session_token::seal(&self.sealing.domain_key, token, random)
    }

    /// The session in a token, if the token is one that this server made.
    pub(crate) fn open_session(&self, token: &str) -> Option<SessionToken> {
        session_token::open(&self.sealing.domain_key, token)
    }

    /// The secret that the enclave's edge keeps under this name.
    pub fn edge_secret(&self, name: &str) -> Option<&Arc<EdgeSecret>> {
        self.tables.edge_secrets.get(name)
    }

    /// The number of commits that led here.
    pub fn sequence(&self) -> u64 {
        self.head.sequence
    }

    /// The epoch of the domain key.
    pub fn epoch(&self) -> u32 {
        self.head.epoch
    }

    /// SHA-256 of the sealed head that the store holds in this state.
    pub fn head_hash(&self) -> &[u8; 32] {
        &self.head_hash
    }
}
