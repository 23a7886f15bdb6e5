//! The one user that a new installation begins with.

use std::sync::Arc;

use attestation::rand_core::CryptoRng;

use super::credentials::{access_key_id, secret_access_key};
use crate::Timestamp;
use crate::name::AccountId;
use crate::principal::{Access, AccessKey, Principal};
use crate::state::Change;

/// The name of the first user.
pub const ADMINISTRATOR: &str = "administrator";

/// A user with full rights, and an access key for it: who makes all others.
pub struct Administrator {
    /// The user.
    pub principal: Principal,
    /// Its access key.
    pub access_key: AccessKey,
}

impl Administrator {
    /// A new administrator of an account.
    pub fn generate(account: AccountId, now: Timestamp, random: &mut dyn CryptoRng) -> Self {
        let principal = Principal::user(account, ADMINISTRATOR, Access::Full, now, random);
        let access_key = AccessKey {
            id: access_key_id("AKIA", account, random).into(),
            secret: secret_access_key(random),
            principal: Arc::clone(principal.arn()),
            created: now,
            active: true,
        };
        Self {
            principal,
            access_key,
        }
    }

    /// What has to be written for it to be there.
    pub fn changes(self) -> Vec<Change> {
        vec![
            Change::PutPrincipal(self.principal),
            Change::PutAccessKey(self.access_key),
        ]
    }
}
