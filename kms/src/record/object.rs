//! The things records are about, whatever their kind.

use std::sync::Arc;

use minicbor::decode;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::payload::{
    AccessKeyPayload, AliasPayload, DomainKeyPayload, EdgeSecretPayload, GrantPayload, KeyPayload,
    PrincipalPayload,
};
use super::sealed::{Version, seal};
use super::{DomainKey, Kind, Name, RecordId, RootKey};
use crate::grant::Grant;
use crate::key::{Alias, Key};
use crate::principal::{AccessKey, Principal};

/// A named secret of the enclave's edge, such as the private key of its TLS CA. What is in
/// it is the edge's business. Wiped when dropped.
pub struct EdgeSecret {
    name: Arc<str>,
    bytes: Zeroizing<Vec<u8>>,
}

impl EdgeSecret {
    /// A secret; the caller's copy of `bytes` is the caller's to wipe.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            bytes: Zeroizing::new(bytes.to_vec()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

/// The subject of one record. Cloning shares it.
#[derive(Clone)]
pub(crate) enum Object {
    Key(Arc<Key>),
    Alias(Arc<Alias>),
    Principal(Arc<Principal>),
    AccessKey(Arc<AccessKey>),
    EdgeSecret(Arc<EdgeSecret>),
    Grant(Arc<Grant>),
}

impl Object {
    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Key(key) => Name::Key {
                account: key.account(),
                region: key.region().clone(),
                id: key.id(),
            },
            Self::Alias(alias) => Name::Alias {
                account: alias.account,
                region: alias.region.clone(),
                name: alias.name.clone(),
            },
            Self::Principal(principal) => Name::Principal {
                arn: principal.arn().clone(),
            },
            Self::AccessKey(access_key) => Name::AccessKey {
                id: access_key.id.clone(),
            },
            Self::EdgeSecret(secret) => Name::EdgeSecret {
                name: secret.name().clone(),
            },
            Self::Grant(grant) => Name::Grant {
                account: grant.account,
                region: grant.region.clone(),
                key: grant.key,
                id: grant.id,
            },
        }
    }

    /// The record of this object, written by commit number `revision`.
    pub(crate) fn seal(
        &self,
        domain_key: &DomainKey,
        id: RecordId,
        revision: u64,
        random: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let key = &domain_key.sealing;
        let version = |kind| Version {
            kind,
            epoch: domain_key.epoch,
            revision,
        };
        match self {
            Self::Key(object) => {
                let payload = KeyPayload::new(object, domain_key, random);
                seal(key, id, version(Kind::Key), &payload, random)
            }
            Self::Alias(object) => {
                let payload = AliasPayload::new(object);
                seal(key, id, version(Kind::Alias), &payload, random)
            }
            Self::Principal(object) => {
                let payload = PrincipalPayload::new(object);
                seal(key, id, version(Kind::Principal), &payload, random)
            }
            Self::AccessKey(object) => {
                let payload = AccessKeyPayload::new(object);
                seal(key, id, version(Kind::AccessKey), &payload, random)
            }
            Self::EdgeSecret(object) => {
                let payload = EdgeSecretPayload::new(object);
                seal(key, id, version(Kind::EdgeSecret), &payload, random)
            }
            Self::Grant(object) => {
                let payload = GrantPayload::new(object);
                seal(key, id, version(Kind::Grant), &payload, random)
            }
        }
    }

    /// Reads the payload of an opened record; `None` when it is none of this kind.
    pub(crate) fn from_payload(kind: Kind, payload: &[u8], domain_key: &DomainKey) -> Option<Self> {
        Some(match kind {
            Kind::DomainKey => return None,
            Kind::Key => {
                let payload: KeyPayload = decode(payload).ok()?;
                Self::Key(payload.into_key(domain_key)?.into())
            }
            Kind::Alias => {
                let payload: AliasPayload = decode(payload).ok()?;
                Self::Alias(payload.into_alias()?.into())
            }
            Kind::Principal => {
                let payload: PrincipalPayload = decode(payload).ok()?;
                Self::Principal(payload.into_principal()?.into())
            }
            Kind::AccessKey => {
                let payload: AccessKeyPayload = decode(payload).ok()?;
                Self::AccessKey(payload.into_access_key().into())
            }
            Kind::EdgeSecret => {
                let payload: EdgeSecretPayload = decode(payload).ok()?;
                Self::EdgeSecret(payload.into_edge_secret().into())
            }
            Kind::Grant => {
                let payload: GrantPayload = decode(payload).ok()?;
                Self::Grant(payload.into_grant()?.into())
            }
        })
    }
}

impl DomainKey {
    /// The record of the domain key, under the root key.
    pub(crate) fn seal(
        &self,
        root_key: &RootKey,
        revision: u64,
        random: &mut dyn CryptoRng,
    ) -> Vec<u8> {
        let version = Version {
            kind: Kind::DomainKey,
            epoch: self.epoch,
            revision,
        };
        let payload = DomainKeyPayload::new(self);
        seal(
            root_key.secret(),
            RecordId::DOMAIN_KEY,
            version,
            &payload,
            random,
        )
    }

    /// Reads the payload of its opened record.
    pub(crate) fn from_payload(payload: &[u8]) -> Option<Self> {
        decode::<DomainKeyPayload>(payload).ok()?.into_domain_key()
    }
}
