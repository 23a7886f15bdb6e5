//! What a record is about, and the opaque id the store knows it by.

use std::fmt;
use std::sync::Arc;

use crate::crypto::{Fields, Label, SecretKey, code};
use crate::grant::GrantId;
use crate::name::{AccountId, AliasName, KeyId, Region};

/// What a record holds. The numbers are part of the format.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Kind {
    /// The domain key, sealed under the root key.
    DomainKey = 1,
    /// A KMS key with its key tokens.
    Key = 2,
    /// An alias of a KMS key.
    Alias = 3,
    /// A user, a role, or the root user of an account.
    Principal = 4,
    /// An access key of a principal.
    AccessKey = 5,
    /// A secret of the enclave's edge, such as the key of its TLS CA.
    EdgeSecret = 6,
    /// A grant on a KMS key.
    Grant = 7,
}

impl Kind {
    /// Every kind there is, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::DomainKey,
        Self::Key,
        Self::Alias,
        Self::Principal,
        Self::AccessKey,
        Self::EdgeSecret,
        Self::Grant,
    ];

    /// The kind's number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DomainKey => "domain key",
            Self::Key => "KMS key",
            Self::Alias => "alias",
            Self::Principal => "principal",
            Self::AccessKey => "access key",
            Self::EdgeSecret => "edge secret",
            Self::Grant => "grant",
        })
    }
}

/// The id under which the store keeps a record: 32 bytes without meaning.
///
/// Names of aliases and users must not reach the host, so ids are codes over kind and
/// name that only the enclave can compute. They never change while a record lives.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordId([u8; RecordId::LEN]);

impl RecordId {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The domain key's: all zero, because nothing can be computed before it is open,
    /// and because it then comes first in a store that is read in the order of ids.
    pub const DOMAIN_KEY: Self = Self([0; Self::LEN]);

    /// The id with these bytes, if there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What identifies the subject of a record, in clear. (The domain key has no name: its
/// record's id is fixed.)
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Name {
    Key {
        account: AccountId,
        region: Region,
        id: KeyId,
    },
    Alias {
        account: AccountId,
        region: Region,
        name: AliasName,
    },
    Principal {
        arn: Arc<str>,
    },
    AccessKey {
        id: Arc<str>,
    },
    EdgeSecret {
        name: Arc<str>,
    },
    Grant {
        account: AccountId,
        region: Region,
        key: KeyId,
        id: GrantId,
    },
}

impl Name {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Key { .. } => Kind::Key,
            Self::Alias { .. } => Kind::Alias,
            Self::Principal { .. } => Kind::Principal,
            Self::AccessKey { .. } => Kind::AccessKey,
            Self::EdgeSecret { .. } => Kind::EdgeSecret,
            Self::Grant { .. } => Kind::Grant,
        }
    }

    /// The id of the record, under the naming key.
    pub(crate) fn record_id(&self, naming_key: &SecretKey) -> RecordId {
        let kind = Fields::default().bytes(&[self.kind().number()]);
        let fields = match self {
            Self::Key {
                account,
                region,
                id,
            } => kind
                .bytes(account.as_bytes())
                .text(region.as_str())
                .bytes(&id.to_bytes()),
            Self::Alias {
                account,
                region,
                name,
            } => kind
                .bytes(account.as_bytes())
                .text(region.as_str())
                .text(name.as_str()),
            Self::Principal { arn } => kind.text(arn),
            Self::AccessKey { id } => kind.text(id),
            Self::EdgeSecret { name } => kind.text(name),
            Self::Grant {
                account,
                region,
                key,
                id,
            } => kind
                .bytes(account.as_bytes())
                .text(region.as_str())
                .bytes(&key.to_bytes())
                .bytes(id.as_bytes()),
        };
        RecordId(code(naming_key, Label::RecordId, fields.as_bytes()))
    }
}
