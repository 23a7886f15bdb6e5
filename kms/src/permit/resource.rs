//! What an action is done to.

use std::borrow::Cow;
use std::sync::Arc;

use crate::key::Key;
use crate::name::AccountId;

/// What an action is done to.
pub trait Resource {
    /// The account it belongs to.
    fn account(&self) -> AccountId;

    /// How policies and messages name it: an ARN, or `*`.
    fn name(&self) -> Cow<'_, str>;

    /// The key that it is, if it is one. Only keys have a policy of their own, and grants.
    fn key(&self) -> Option<&Key>;
}

impl Resource for Arc<Key> {
    fn account(&self) -> AccountId {
        Key::account(self)
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.arn())
    }

    fn key(&self) -> Option<&Key> {
        Some(self)
    }
}

/// An alias as a resource.
pub struct AliasResource<'a> {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its ARN.
    pub arn: &'a str,
}

impl Resource for AliasResource<'_> {
    fn account(&self) -> AccountId {
        self.account
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.arn)
    }

    fn key(&self) -> Option<&Key> {
        None
    }
}

/// The caller's own account, for actions that no key or alias exists for yet.
pub struct AccountResource(pub AccountId);

impl Resource for AccountResource {
    fn account(&self) -> AccountId {
        self.0
    }

    fn name(&self) -> Cow<'_, str> {
        "*".into()
    }

    fn key(&self) -> Option<&Key> {
        None
    }
}
