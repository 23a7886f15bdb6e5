//! Which key a request means: from a `KeyId` member in any of its forms to a key that exists.

use std::sync::Arc;

use crate::ciphertext::Header;
use crate::error::KmsError;
use crate::key::Key;
use crate::name::{self, AccountId, AliasName, KeyId, KeyRef, Region};
use crate::permit::{self, Action, Shown};
use crate::state::StillOpening;

use super::Context;

/// Which names of a key an operation takes.
#[derive(Clone, Copy)]
pub(super) enum Names {
    /// Id, key ARN, alias or alias ARN: operations that use a key.
    All,
    /// Id or key ARN: operations that manage one.
    IdOrArn,
}

/// A key that a request names.
pub(super) struct Found {
    /// The key.
    pub(super) key: Arc<Key>,
    /// The alias it was named by.
    pub(super) alias: Option<AliasName>,
    /// How a refusal may show it.
    pub(super) shown: Shown,
}

impl Context<'_> {
    /// The key that a name stands for, looked for on behalf of an action.
    ///
    /// # Errors
    ///
    /// NotFoundException in AWS's words for a name of nothing. In another account what does not
    /// exist is denied like what exists.
    pub(super) fn find<A: Action>(&self, name: &str, names: Names) -> Result<Found, KmsError> {
        let here = &self.caller.region;
        let key_ref = match names {
            Names::All => KeyRef::parse(name),
            Names::IdOrArn => KeyRef::parse_without_alias(name),
        };
        let key_ref = key_ref.map_err(|error| match KeyId::is_in_capitals(name) {
            true => KmsError::key_not_found(&name::key_arn(here, self.account(), name)),
            false => error,
        })?;
        let (account, region) = match &key_ref {
            KeyRef::Id(_) | KeyRef::Alias(_) => (self.account(), here),
            KeyRef::Arn {
                account, region, ..
            }
            | KeyRef::AliasArn {
                account, region, ..
            } => (*account, region),
        };
        if region != here {
            return Err(KmsError::other_region(region));
        }
        // What is denied must not tell what exists there, not even by when it is denied.
        if account != self.account() {
            self.state.require_all_keys()?;
        }
        let found = match &key_ref {
            KeyRef::Id(id) | KeyRef::Arn { id, .. } => {
                let key = self.state.key(account, region, *id)?;
                key.map(|key| Found::new(key, None))
                    .ok_or_else(|| KmsError::key_not_found(&name::key_arn(region, account, *id)))
            }
            KeyRef::Alias(alias) | KeyRef::AliasArn { alias, .. } => self
                .key_behind(account, region, alias)?
                .map(|key| Found::new(key, Some(alias.clone())))
                .ok_or_else(|| KmsError::alias_not_found(&name::alias_arn(region, account, alias))),
        };
        found.map_err(|error| {
            if account == self.account() {
                error
            } else {
                permit::denied_elsewhere(&self.caller.principal, A::NAME, Shown::Named)
            }
        })
    }

    /// The same, for operations that other accounts' keys are no matter of.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find); a key of another account is denied.
    pub(super) fn find_own<A: Action>(&self, name: &str) -> Result<Found, KmsError> {
        let found = self.find::<A>(name, Names::IdOrArn)?;
        if found.key.account() != self.account() {
            return Err(permit::denied_elsewhere(
                &self.caller.principal,
                A::NAME,
                Shown::Named,
            ));
        }
        Ok(found)
    }

    /// The key that encrypted a symmetric ciphertext: one of the caller's own, or of another account
    /// that may let the caller use it.
    ///
    /// # Errors
    ///
    /// InvalidCiphertextException if the ciphertext tells no key that exists. What fails to name a
    /// key is as damaged as what fails to open. AccessDeniedException if the key is in another
    /// region.
    pub(super) fn find_by_ciphertext<A: Action>(&self, blob: &[u8]) -> Result<Found, KmsError> {
        let id = Header::parse(blob)
            .ok_or(KmsError::InvalidCiphertext)?
            .key_id;
        let here = &self.caller.region;
        if let Some(own) = self.state.key(self.account(), here, id)? {
            return Ok(Found::by_ciphertext(own));
        }
        let mut others = self.state.keys_with_id(id)?.peekable();
        if others.peek().is_none() {
            return Err(KmsError::InvalidCiphertext);
        }
        others
            .find(|key| key.region() == here)
            .map(Found::by_ciphertext)
            .ok_or_else(|| {
                let caller = &self.caller.principal;
                permit::denied_elsewhere(caller, A::NAME, Shown::ByCiphertext)
            })
    }

    /// The key that an alias names.
    fn key_behind(
        &self,
        account: AccountId,
        region: &Region,
        alias: &AliasName,
    ) -> Result<Option<&Arc<Key>>, StillOpening> {
        match self.state.alias(account, region, alias) {
            Some(alias) => self.state.key(account, region, alias.target),
            None => Ok(None),
        }
    }
}

impl Found {
    /// A key, and the alias it was named by.
    pub(super) fn new(key: &Arc<Key>, alias: Option<AliasName>) -> Self {
        Self {
            key: Arc::clone(key),
            alias,
            shown: Shown::Named,
        }
    }

    /// A key that a ciphertext tells.
    fn by_ciphertext(key: &Arc<Key>) -> Self {
        Self {
            shown: Shown::ByCiphertext,
            ..Self::new(key, None)
        }
    }
}
