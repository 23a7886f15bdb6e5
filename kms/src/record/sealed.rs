//! The sealed form of a record.
//!
//! ```text
//! format 1 ‖ kind 1 ‖ epoch 4 ‖ revision 8 ‖ nonce 16 ‖ ciphertext ‖ tag 16
//! ```

use minicbor::{CborLen, Encode};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Kind, RecordId};
use crate::crypto::{Fields, Label, Nonce, OpenError, SecretKey, TAG_LEN, open, seal as seal_once};

const FORMAT: u8 = 1;
const HEADER_LEN: usize = 1 + 1 + 4 + 8 + Nonce::LEN;

/// What identifies one version of a record: all of it is authenticated.
#[derive(Clone, Copy)]
pub(crate) struct Version {
    pub(crate) kind: Kind,
    /// The epoch of the domain key.
    pub(crate) epoch: u32,
    /// The sequence number of the commit that wrote it.
    pub(crate) revision: u64,
}

impl Version {
    fn additional_data(self, id: RecordId) -> Fields {
        Fields::with_capacity(96)
            .bytes(&[FORMAT])
            .bytes(&[self.kind.number()])
            .bytes(id.as_bytes())
            .bytes(&self.epoch.to_be_bytes())
            .bytes(&self.revision.to_be_bytes())
    }
}

/// Encodes and seals a payload under `key`, in one buffer of the right size: no copy of
/// the payload in clear is left behind by a growing one.
pub(crate) fn seal<P: Encode<()> + CborLen<()>>(
    key: &SecretKey,
    id: RecordId,
    version: Version,
    payload: &P,
    random: &mut dyn CryptoRng,
) -> Vec<u8> {
    let nonce = Nonce::generate(random);
    let capacity = HEADER_LEN + minicbor::len(payload) + TAG_LEN;
    let mut record = Vec::with_capacity(capacity);
    record.push(FORMAT);
    record.push(version.kind.number());
    record.extend_from_slice(&version.epoch.to_be_bytes());
    record.extend_from_slice(&version.revision.to_be_bytes());
    record.extend_from_slice(nonce.as_bytes());
    minicbor::encode(payload, &mut record).expect("a Vec takes whatever is written to it");
    let additional = version.additional_data(id);
    seal_once(
        key,
        Label::Record,
        nonce,
        additional.as_bytes(),
        &mut record,
        HEADER_LEN,
    );
    debug_assert_eq!(record.len(), capacity);
    record
}

/// A sealed record taken apart. Nothing of it is proven until it is opened.
pub(crate) struct SealedRecord<'a> {
    pub(crate) version: Version,
    nonce: Nonce,
    sealed: &'a [u8],
}

impl<'a> SealedRecord<'a> {
    pub(crate) fn parse(record: &'a [u8]) -> Option<Self> {
        let (&[format, kind], rest) = record.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        if format != FORMAT || sealed.len() < TAG_LEN {
            return None;
        }
        Some(Self {
            version: Version {
                kind: Kind::from_number(kind)?,
                epoch: u32::from_be_bytes(*epoch),
                revision: u64::from_be_bytes(*revision),
            },
            nonce: Nonce::from_bytes(*nonce),
            sealed,
        })
    }

    /// The payload, if this is what was sealed under `key` for this id.
    pub(crate) fn open(
        &self,
        key: &SecretKey,
        id: RecordId,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let additional = self.version.additional_data(id);
        open(
            key,
            Label::Record,
            self.nonce,
            additional.as_bytes(),
            self.sealed,
        )
    }
}

/// What the enclave remembers of a record in the store, to know it again when it is
/// replaced or deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    pub(crate) revision: u64,
    /// SHA-256 of the sealed record.
    pub(crate) digest: [u8; 32],
}

impl Stamp {
    pub(crate) fn of(revision: u64, record: &[u8]) -> Self {
        Self {
            revision,
            digest: Sha256::digest(record).into(),
        }
    }
}
