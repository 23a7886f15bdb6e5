//! Everything a state knows, indexed.

use std::ops::Bound;
use std::sync::Arc;

use attestation::Timestamp;

use super::ordered_map::OrderedMap;
use super::ordered_set::OrderedSet;
use super::table::Table;
use crate::grant::{Grant, GrantId, Grantee};
use crate::key::{Alias, Key};
use crate::name::{AccountId, AliasName, KeyId, Region};
use crate::principal::{AccessKey, IdentityName, Principal};
use crate::record::{EdgeSecret, Name, Object, Stamp};

/// The objects of all kinds. Clones share everything.
#[derive(Clone, Default)]
pub(super) struct Tables {
    scopes: OrderedMap<(AccountId, Region), Scope>,
    pub(super) principals: Table<Arc<str>, Principal>,
    /// The principals that have a name in IAM, by it.
    pub(super) identities: Table<IdentityName, Principal>,
    pub(super) access_keys: Table<Arc<str>, AccessKey>,
    /// Access keys by the ARN of whom they belong to. An ARN without an id comes before all of
    /// its access keys.
    owners: OrderedSet<(Arc<str>, Option<Arc<str>>)>,
    pub(super) edge_secrets: Table<Arc<str>, EdgeSecret>,
    /// Keys to which something happens without a call, by its date.
    due: OrderedSet<Due>,
}

type Due = (Timestamp, AccountId, Region, KeyId);

/// The keys and aliases of one account in one region.
#[derive(Clone)]
pub(super) struct Scope {
    region: Region,
    pub(super) keys: Table<KeyId, Key>,
    pub(super) aliases: Table<AliasName, Alias>,
    /// Aliases by target. A target without a name comes before all of its aliases.
    targets: OrderedSet<(KeyId, Option<AliasName>)>,
    pub(super) grants: Table<(KeyId, GrantId), Grant>,
    /// Grants by key and by whom they are for.
    grantees: OrderedSet<(KeyId, Grantee, GrantId)>,
    /// Grants by who may retire them.
    retiring: OrderedSet<(Grantee, KeyId, GrantId)>,
}

impl Scope {
    pub(super) fn aliases_of(&self, key: KeyId) -> impl Iterator<Item = &Arc<Alias>> {
        self.targets
            .after(Some((key, None)))
            .take_while(move |(target, _)| *target == key)
            .filter_map(|(_, name)| self.aliases.get(name.as_ref()?))
    }

    /// The grants on a key whose ids come after `start`, or all of them, in the order of their ids.
    pub(super) fn grants_on(
        &self,
        key: KeyId,
        start: Option<GrantId>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let start = match start {
            None => Bound::Included((key, GrantId::LOWEST)),
            Some(start) => Bound::Excluded((key, start)),
        };
        self.grants
            .starting(start)
            .take_while(move |grant| grant.key == key)
    }

    /// The grants on a key for this grantee.
    pub(super) fn grants_for(
        &self,
        key: KeyId,
        grantee: Grantee,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let lowest = (key, grantee.clone(), GrantId::LOWEST);
        self.grantees
            .starting(Bound::Included(lowest))
            .take_while(move |(on, to, _)| *on == key && *to == grantee)
            .filter_map(|(key, _, id)| self.grants.get(&(*key, *id)))
    }

    /// The grants that this principal may retire, after `start` in the order of keys and ids.
    pub(super) fn retirable_by(
        &self,
        principal: Grantee,
        start: Option<(KeyId, GrantId)>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let start = match start {
            None => Bound::Included((principal.clone(), KeyId::LOWEST, GrantId::LOWEST)),
            Some((key, id)) => Bound::Excluded((principal.clone(), key, id)),
        };
        self.retiring
            .starting(start)
            .take_while(move |(by, ..)| *by == principal)
            .filter_map(|(_, key, id)| self.grants.get(&(*key, *id)))
    }
}

impl Tables {
    pub(super) fn scope(&self, account: AccountId, region: &Region) -> Option<&Scope> {
        self.scopes.get(&(account, region.clone()))
    }

    pub(super) fn keys_with_id(&self, id: KeyId) -> impl Iterator<Item = &Arc<Key>> {
        self.scopes
            .values()
            .filter_map(move |scope| scope.keys.get(&id))
    }

    /// Keys that were due at `now` or before.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Key>> {
        self.due
            .after(None)
            .take_while(move |(date, ..)| *date <= now)
            .filter_map(|(_, account, region, id)| self.scope(*account, region)?.keys.get(id))
    }

    pub(super) fn get(&self, name: &Name) -> Option<Object> {
        match name {
            Name::Key {
                account,
                region,
                id,
            } => {
                let scope = self.scope(*account, region)?;
                scope.keys.get(id).cloned().map(Object::Key)
            }
            Name::Alias {
                account,
                region,
                name,
            } => {
                let scope = self.scope(*account, region)?;
                scope.aliases.get(name).cloned().map(Object::Alias)
            }
            Name::Principal { arn } => self.principals.get(arn).cloned().map(Object::Principal),
            Name::AccessKey { id } => self.access_keys.get(id).cloned().map(Object::AccessKey),
            Name::EdgeSecret { name } => {
                self.edge_secrets.get(name).cloned().map(Object::EdgeSecret)
            }
            Name::Grant {
                account,
                region,
                key,
                id,
            } => {
                let scope = self.scope(*account, region)?;
                scope.grants.get(&(*key, *id)).cloned().map(Object::Grant)
            }
        }
    }

    /// The stamp of the object's record, if it has one.
    pub(super) fn stamp(&self, name: &Name) -> Option<Stamp> {
        match name {
            Name::Key {
                account,
                region,
                id,
            } => self.scope(*account, region)?.keys.stamp(id),
            Name::Alias {
                account,
                region,
                name,
            } => self.scope(*account, region)?.aliases.stamp(name),
            Name::Principal { arn } => self.principals.stamp(arn),
            Name::AccessKey { id } => self.access_keys.stamp(id),
            Name::EdgeSecret { name } => self.edge_secrets.stamp(name),
            Name::Grant {
                account,
                region,
                key,
                id,
            } => self.scope(*account, region)?.grants.stamp(&(*key, *id)),
        }
    }

    pub(super) fn put(&mut self, object: Object, stamp: Option<Stamp>) {
        match object {
            Object::Key(key) => drop(self.put_key(key, stamp)),
            Object::Alias(alias) => self
                .scope_mut(alias.account, &alias.region)
                .put_alias(alias, stamp),
            Object::Principal(principal) => {
                let arn = principal.arn().clone();
                if let Some(name) = principal.identity_name() {
                    self.identities.insert(name, principal.clone(), stamp);
                }
                self.principals.insert(arn, principal, stamp);
            }
            Object::AccessKey(access_key) => self.put_access_key(access_key, stamp),
            Object::EdgeSecret(secret) => {
                let name = secret.name().clone();
                self.edge_secrets.insert(name, secret, stamp);
            }
            Object::Grant(grant) => self
                .scope_mut(grant.account, &grant.region)
                .put_grant(grant, stamp),
        }
    }

    pub(super) fn remove(&mut self, name: &Name) {
        match name {
            Name::Key {
                account,
                region,
                id,
            } => {
                let removed = self.scope_mut(*account, region).keys.remove(id);
                self.forget_due(removed.as_deref());
            }
            Name::Alias {
                account,
                region,
                name,
            } => self.scope_mut(*account, region).remove_alias(name),
            Name::Principal { arn } => {
                let removed = self.principals.remove(arn);
                if let Some(name) = removed.and_then(|principal| principal.identity_name()) {
                    self.identities.remove(&name);
                }
            }
            Name::AccessKey { id } => {
                let removed = self.access_keys.remove(id);
                self.forget_owner(removed.as_deref());
            }
            Name::EdgeSecret { name } => drop(self.edge_secrets.remove(name)),
            Name::Grant {
                account,
                region,
                key,
                id,
            } => self.scope_mut(*account, region).remove_grant((*key, *id)),
        }
    }

    /// The access keys of the principal with this ARN, in the order of their ids.
    pub(super) fn access_keys_of(&self, arn: Arc<str>) -> impl Iterator<Item = &Arc<AccessKey>> {
        self.owners
            .after(Some((arn.clone(), None)))
            .take_while(move |(owner, _)| *owner == arn)
            .filter_map(|(_, id)| self.access_keys.get(id.as_ref()?))
    }

    fn put_access_key(&mut self, access_key: Arc<AccessKey>, stamp: Option<Stamp>) {
        let (id, owner) = (access_key.id.clone(), access_key.principal.clone());
        let replaced = self.access_keys.insert(id.clone(), access_key, stamp);
        self.forget_owner(replaced.as_deref());
        self.owners.insert((owner, Some(id)));
    }

    fn forget_owner(&mut self, access_key: Option<&AccessKey>) {
        if let Some(access_key) = access_key {
            let entry = (access_key.principal.clone(), Some(access_key.id.clone()));
            self.owners.remove(&entry);
        }
    }

    /// Puts a key in; what it replaces comes out.
    pub(super) fn put_key(&mut self, mut key: Arc<Key>, stamp: Option<Stamp>) -> Option<Arc<Key>> {
        let scope = self.scope_mut(key.account(), key.region());
        if let Some(key) = Arc::get_mut(&mut key) {
            key.share_region(&scope.region);
        }
        let replaced = scope.keys.insert(key.id(), key.clone(), stamp);
        self.forget_due(replaced.as_deref());
        if let Some(due) = due(&key) {
            self.due.insert(due);
        }
        replaced
    }

    fn forget_due(&mut self, key: Option<&Key>) {
        if let Some(due) = key.and_then(due) {
            self.due.remove(&due);
        }
    }

    fn scope_mut(&mut self, account: AccountId, region: &Region) -> &mut Scope {
        let name = (account, region.clone());
        if self.scopes.get(&name).is_none() {
            let scope = Scope::new(region.clone());
            self.scopes.insert(name.clone(), scope);
        }
        self.scopes
            .get_mut(&name)
            .expect("the scope is there or was just made")
    }
}

fn due(key: &Key) -> Option<Due> {
    let date = key.due()?;
    Some((date, key.account(), key.region().clone(), key.id()))
}

impl Scope {
    fn new(region: Region) -> Self {
        Self {
            region,
            keys: Table::default(),
            aliases: Table::default(),
            targets: OrderedSet::default(),
            grants: Table::default(),
            grantees: OrderedSet::default(),
            retiring: OrderedSet::default(),
        }
    }

    fn put_alias(&mut self, mut alias: Arc<Alias>, stamp: Option<Stamp>) {
        if let Some(alias) = Arc::get_mut(&mut alias) {
            alias.region = self.region.clone();
        }
        let (name, target) = (alias.name.clone(), alias.target);
        if let Some(replaced) = self.aliases.insert(name.clone(), alias, stamp) {
            self.forget_target(&replaced);
        }
        self.targets.insert((target, Some(name)));
    }

    fn remove_alias(&mut self, name: &AliasName) {
        if let Some(removed) = self.aliases.remove(name) {
            self.forget_target(&removed);
        }
    }

    fn forget_target(&mut self, alias: &Alias) {
        let entry = (alias.target, Some(alias.name.clone()));
        self.targets.remove(&entry);
    }

    fn put_grant(&mut self, mut grant: Arc<Grant>, stamp: Option<Stamp>) {
        if let Some(grant) = Arc::get_mut(&mut grant) {
            grant.region = self.region.clone();
        }
        let (key, id) = (grant.key, grant.id);
        if let Some(replaced) = self.grants.insert((key, id), grant.clone(), stamp) {
            self.forget_names(&replaced);
        }
        self.grantees.insert((key, grant.grantee.clone(), id));
        if let Some(retiring) = grant.retiring.clone() {
            self.retiring.insert((retiring, key, id));
        }
    }

    fn remove_grant(&mut self, key_and_id: (KeyId, GrantId)) {
        if let Some(removed) = self.grants.remove(&key_and_id) {
            self.forget_names(&removed);
        }
    }

    fn forget_names(&mut self, grant: &Grant) {
        let (key, id) = (grant.key, grant.id);
        self.grantees.remove(&(key, grant.grantee.clone(), id));
        if let Some(retiring) = grant.retiring.clone() {
            self.retiring.remove(&(retiring, key, id));
        }
    }
}
