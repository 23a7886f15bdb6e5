//! The responses, one type for each operation that has one, and their JSON.
//!
//! Every type writes itself into a single buffer of exactly the right size, which is wiped when
//! dropped: plaintext is never left behind in a buffer that grew. Absent members are left out,
//! never `null`, because the C enclave SDK refuses a `null` it did not expect.

mod aliases;
mod asymmetric;
mod cryptography;
mod custom_key_stores;
mod grants;
mod import;
mod keys;
mod last_usage;
mod multi_region;
mod policies;
mod rotation;
mod tags;
#[cfg(test)]
mod tests;

pub use aliases::{AliasListEntry, ListAliases};
pub use asymmetric::{
    Decapsulate, DeriveSharedSecret, Encapsulate, GenerateMac, GetPublicKey, Sign, Verify,
    VerifyMac,
};
pub use cryptography::{
    Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext,
    GenerateDataKeyWithoutPlaintext, GenerateRandom, ReEncrypt,
};
pub use custom_key_stores::DescribeCustomKeyStores;
pub use grants::{CreateGrant, GrantListEntry, ListGrants};
pub use import::{DeleteImportedKeyMaterial, GetParametersForImport, ImportKeyMaterial};
pub use keys::{
    CancelKeyDeletion, CreateKey, DescribeKey, KeyListEntry, KeyMetadata, ListKeys,
    MultiRegionConfiguration, MultiRegionKey, ScheduleKeyDeletion,
};
pub use last_usage::GetKeyLastUsage;
pub use multi_region::ReplicateKey;
pub use policies::{GetKeyPolicy, ListKeyPolicies};
pub use rotation::{GetKeyRotationStatus, ListKeyRotations, RotateKeyOnDemand, RotationsListEntry};
pub use tags::{ListResourceTags, TagEntry};

use attestation::Timestamp;
use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::hexadecimal::Digits;

use super::spec::Enumeration;
use crate::json_writer::{self, Object};

/// A response.
pub trait Response {
    /// The response's body.
    fn body(&self) -> Zeroizing<Vec<u8>>;
}

/// The body of an error.
pub fn error_body(error: &KmsError) -> Zeroizing<Vec<u8>> {
    let wire = error.wire();
    json_writer::object(|o| {
        o.text("__type", wire.code);
        if let Some(message) = wire.message {
            let name = if wire.capital_message {
                "Message"
            } else {
                "message"
            };
            o.text(name, message);
        }
    })
}

/// The answer of the operations that have none: an empty body.
pub struct Void;

impl Response for Void {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::default()
    }
}

/// Plaintext on its way out: in the open or sealed for a recipient, never both.
pub enum Plaintext<'a> {
    /// `Plaintext` (or `PrivateKeyPlaintext`, `SharedSecret`).
    Open(&'a [u8]),
    /// `CiphertextForRecipient`.
    ForRecipient(&'a [u8]),
}

impl Plaintext<'_> {
    /// Writes the one member that it is.
    fn write(&self, o: &mut Object<'_>, name: &str) {
        match self {
            Self::Open(plaintext) => o.blob(name, plaintext),
            Self::ForRecipient(ciphertext) => o.blob("CiphertextForRecipient", ciphertext),
        }
    }
}

/// The id of a backing key's material; 64 hexadecimal digits on the wire.
pub type KeyMaterialId = [u8; 32];

fn write_text(o: &mut Object<'_>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        o.text(name, text);
    }
}

fn write_time(o: &mut Object<'_>, name: &str, time: Option<Timestamp>) {
    if let Some(time) = time {
        o.time(name, time);
    }
}

fn write_material(o: &mut Object<'_>, name: &str, id: Option<&KeyMaterialId>) {
    if let Some(id) = id {
        o.text(name, Digits::of(id).as_str());
    }
}

/// The algorithms a key can be used with, if it can be used in that way at all.
fn write_algorithms<A: Enumeration>(o: &mut Object<'_>, name: &str, algorithms: &[A]) {
    if !algorithms.is_empty() {
        o.names(name, algorithms.iter().map(|algorithm| algorithm.name()));
    }
}

/// Whether there are more pages, and where the next one begins.
fn write_page(o: &mut Object<'_>, next_marker: Option<&str>) {
    write_text(o, "NextMarker", next_marker);
    o.flag("Truncated", next_marker.is_some());
}
