//! What is inside a record, in CBOR.
//!
//! Every payload is an array whose places never change their meaning. A new version
//! appends places, which older records lack (so they are optional); enumerations are kept
//! under their names in the AWS API. Strings and secrets are borrowed: from the object when
//! a record is written, from the opened record, which is wiped, when it is read.

mod grant;
mod key;
mod principal;

use attestation::Timestamp;
use minicbor::{CborLen, Decode, Encode};

use super::{DomainKey, EdgeSecret};
use crate::crypto::SecretKey;
use crate::key::Alias;
use crate::name::{AccountId, KeyId};

pub(super) use grant::GrantPayload;
pub(super) use key::KeyPayload;
pub(super) use principal::{AccessKeyPayload, PrincipalPayload};

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

fn account(digits: &[u8; 12]) -> Option<AccountId> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
