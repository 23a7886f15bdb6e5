//! The root key, under which the head and the domain key are sealed.

use std::fmt;

use rand_core::CryptoRng;

use crate::crypto::{Label, SecretKey, code};

/// The key at the top of the hierarchy. It exists in enclave memory only; how it gets
/// there is the root-key life cycle's business. Wiped when dropped.
#[derive(Clone)]
pub struct RootKey(SecretKey);

impl RootKey {
    /// Draws a new root key.
    pub fn generate(random: &mut dyn CryptoRng) -> Self {
        Self(SecretKey::generate(random))
    }

    /// Takes over a root key; the caller's copy is the caller's to wipe.
    pub fn from_bytes(bytes: &[u8; SecretKey::LEN]) -> Self {
        Self(SecretKey::from_bytes(bytes))
    }

    /// The key itself, for the root-key life cycle to keep.
    pub fn expose(&self) -> &[u8; SecretKey::LEN] {
        self.0.expose()
    }

    /// Its public id: the first half of a code derived from it.
    pub fn id(&self) -> RootKeyId {
        let code = code(&self.0, Label::RootKeyId, &[]);
        RootKeyId(*code.first_chunk().expect("a code has 32 bytes"))
    }

    pub(crate) fn secret(&self) -> &SecretKey {
        &self.0
    }
}

/// The public id of a root key. A head names the one it is sealed under, so that the
/// wrong key can be told from a damaged head.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct RootKeyId(pub(crate) [u8; RootKeyId::LEN]);

impl RootKeyId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// The id that has these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The id of the root key that a sealed head names, as a host has it: nothing is checked but
    /// the form. `None` if it is no head.
    pub fn of_head(head: &[u8]) -> Option<Self> {
        super::head::root_key_id(head)
    }
}

impl fmt::Display for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
