//! The document itself: a CBOR payload in a COSE_Sign1 message.

use std::collections::BTreeMap;

use coset::{CborSerializable, CoseSign1Builder, HeaderBuilder, iana};

use super::cbor;
use crate::Timestamp;
use crate::backend::{Crypto, CryptoError, P384KeyPair};

/// The payload: a map that is opened, filled with finished CBOR items, and closed, so that a test
/// can put anything anywhere.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The head of the map. Since 2025 the hardware opens one of indefinite length.
    pub opening: Vec<u8>,
    /// Keys and values in their order.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// What ends the map, and anything after it.
    pub closing: Vec<u8>,
}

impl Payload {
    /// The bytes that are signed.
    pub fn to_cbor(&self) -> Vec<u8> {
        let entries = self.entries.iter().flat_map(|(key, value)| [key, value]);
        std::iter::once(&self.opening)
            .chain(entries)
            .chain([&self.closing])
            .flatten()
            .copied()
            .collect()
    }

    /// The value under a key.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        let key = cbor::text(key);
        let (_, value) = self.entries.iter().find(|(at, _)| *at == key)?;
        Some(value)
    }

    /// Replaces the value under a key, or adds it at the end.
    pub fn set(&mut self, key: &str, value: Vec<u8>) {
        let key = cbor::text(key);
        match self.entries.iter_mut().find(|(at, _)| *at == key) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key, value)),
        }
    }

    /// Takes a key and its value out.
    pub fn remove(&mut self, key: &str) {
        let key = cbor::text(key);
        self.entries.retain(|(at, _)| *at != key);
    }
}

/// What a payload says, before it is CBOR.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) module_id: String,
    pub(super) timestamp: Timestamp,
    /// The locked registers.
    pub(super) pcrs: BTreeMap<u16, Vec<u8>>,
    pub(super) public_key: Option<Vec<u8>>,
    pub(super) user_data: Option<Vec<u8>>,
    pub(super) nonce: Option<Vec<u8>>,
}

impl Statement {
    /// The payload as the hardware writes it: a map of indefinite length, always these nine keys
    /// in this order, null for what was not asked for, and definite lengths inside. The
    /// certificates begin with the root and end with the one whose key signs the document.
    pub(super) fn to_payload(&self, certificates: &[Vec<u8>]) -> Payload {
        let registers = self
            .pcrs
            .iter()
            .flat_map(|(index, value)| [cbor::unsigned(u64::from(*index)), cbor::bytes(value)]);
        let (leaf, authorities): (&[u8], &[_]) = match certificates.split_last() {
            Some((leaf, authorities)) => (leaf, authorities),
            None => (&[], &[]),
        };
        let cabundle = authorities.iter().map(|der| cbor::bytes(der));
        let timestamp = self.timestamp.as_millis();
        let entries = [
            ("module_id", cbor::text(&self.module_id)),
            ("digest", cbor::text("SHA384")),
            ("timestamp", cbor::unsigned_in_eight_bytes(timestamp)),
            ("pcrs", cbor::map(self.pcrs.len(), registers)),
            ("certificate", cbor::bytes(leaf)),
            ("cabundle", cbor::array(authorities.len(), cabundle)),
            (
                "public_key",
                cbor::bytes_or_null(self.public_key.as_deref()),
            ),
            ("user_data", cbor::bytes_or_null(self.user_data.as_deref())),
            ("nonce", cbor::bytes_or_null(self.nonce.as_deref())),
        ];
        Payload {
            opening: vec![cbor::INDEFINITE_MAP],
            entries: entries.map(|(key, value)| (cbor::text(key), value)).into(),
            closing: vec![cbor::BREAK],
        }
    }
}

/// Signs a payload as the hardware does: untagged COSE_Sign1 (RFC 9052 section 4.2) with nothing
/// but the algorithm, ES384, in its protected header.
pub(super) fn sign1(
    payload: Vec<u8>,
    key: &P384KeyPair,
    crypto: &dyn Crypto,
) -> Result<Vec<u8>, CryptoError> {
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::ES384)
        .build();
    CoseSign1Builder::new()
        .protected(protected)
        .payload(payload)
        .try_create_signature(&[], |to_be_signed| {
            let signature = crypto.sign_es384(key, &crypto.sha384(&[to_be_signed]))?;
            Ok(signature.to_vec())
        })?
        .build()
        .to_vec()
        .map_err(|_| CryptoError)
}
