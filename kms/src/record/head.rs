//! The head: one small record that commits to all the others.
//!
//! ```text
//! format 1 ‖ root key id 16 ‖ sequence 8 ‖ nonce 16 ‖ ciphertext ‖ tag 16
//! ```

use minicbor::{CborLen, Decode, Encode};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use super::set_hash::{KindHash, Sum};
use super::{Kind, RootKey, RootKeyId, SetHash, StateError};
use crate::crypto::{Fields, Label, Nonce, TAG_LEN, open, seal};

const FORMAT: u8 = 1;
const HEADER_LEN: usize = 1 + RootKeyId::LEN + 8 + Nonce::LEN;

/// What a store holds after one commit.
#[derive(Clone)]
pub(crate) struct Head {
    /// The number of commits up to this one.
    pub(crate) sequence: u64,
    /// The epoch of the domain key.
    pub(crate) epoch: u32,
    /// The hash of the head before; none in the first.
    pub(crate) previous: Option<[u8; 32]>,
    /// The root over all records.
    pub(crate) records: SetHash,
}

/// SHA-256 of a sealed head, by which a commit names the head it replaces.
pub(crate) fn head_hash(sealed: &[u8]) -> [u8; 32] {
    Sha256::digest(sealed).into()
}

impl Head {
    pub(crate) fn seal(&self, root_key: &RootKey, random: &mut dyn CryptoRng) -> Vec<u8> {
        let payload = HeadPayload::from(self);
        let nonce = Nonce::generate(random);
        let root_key_id = root_key.id();
        let mut head = Vec::with_capacity(HEADER_LEN + minicbor::len(&payload) + TAG_LEN);
        head.push(FORMAT);
        head.extend_from_slice(&root_key_id.0);
        head.extend_from_slice(&self.sequence.to_be_bytes());
        head.extend_from_slice(nonce.as_bytes());
        minicbor::encode(&payload, &mut head).expect("a Vec takes whatever is written to it");
        seal(
            root_key.secret(),
            Label::Head,
            nonce,
            additional_data(root_key_id, self.sequence).as_bytes(),
            &mut head,
            HEADER_LEN,
        );
        head
    }

    pub(crate) fn open(root_key: &RootKey, head: &[u8]) -> Result<Self, StateError> {
        let (root_key_id, sequence, nonce, sealed) =
            split(head).ok_or(StateError::HeadMalformed)?;
        if root_key_id != root_key.id() {
            return Err(StateError::WrongRootKey {
                sealed_under: root_key_id,
                given: root_key.id(),
            });
        }
        let additional = additional_data(root_key_id, sequence);
        let payload = open(
            root_key.secret(),
            Label::Head,
            nonce,
            additional.as_bytes(),
            sealed,
        )
        .map_err(|_| StateError::HeadAltered)?;
        let payload: HeadPayload =
            minicbor::decode(&payload).map_err(|_| StateError::HeadMalformed)?;
        payload.into_head(sequence).ok_or(StateError::HeadMalformed)
    }
}

/// The id of the root key that a head is sealed under.
pub(super) fn root_key_id(head: &[u8]) -> Option<RootKeyId> {
    split(head).map(|(id, ..)| id)
}

/// The number of the commit that a sealed head is of, as a host has it: nothing is checked but the
/// form. `None` if it is no head.
pub fn head_sequence(head: &[u8]) -> Option<u64> {
    split(head).map(|(_, sequence, ..)| sequence)
}

fn split(head: &[u8]) -> Option<(RootKeyId, u64, Nonce, &[u8])> {
    let (&[format], rest) = head.split_first_chunk()?;
    let (root_key_id, rest) = rest.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (nonce, sealed) = rest.split_first_chunk()?;
    (format == FORMAT).then_some((
        RootKeyId(*root_key_id),
        u64::from_be_bytes(*sequence),
        Nonce::from_bytes(*nonce),
        sealed,
    ))
}

fn additional_data(root_key_id: RootKeyId, sequence: u64) -> Fields {
    Fields::with_capacity(48)
        .bytes(&[FORMAT])
        .bytes(&root_key_id.0)
        .bytes(&sequence.to_be_bytes())
}

#[derive(CborLen, Decode, Encode)]
struct HeadPayload {
    #[n(0)]
    epoch: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    previous: Option<[u8; 32]>,
    #[n(2)]
    kinds: Vec<KindPayload>,
}

#[derive(CborLen, Decode, Encode)]
struct KindPayload {
    #[n(0)]
    kind: u8,
    #[n(1)]
    count: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    sum: [u8; 32],
}

impl From<&Head> for HeadPayload {
    fn from(head: &Head) -> Self {
        let kinds = Kind::ALL.into_iter().map(|kind| {
            let hash = head.records.kind(kind);
            KindPayload {
                kind: kind.number(),
                count: hash.count,
                sum: hash.sum.to_bytes(),
            }
        });
        Self {
            epoch: head.epoch,
            previous: head.previous,
            kinds: kinds.collect(),
        }
    }
}

impl HeadPayload {
    /// `None` when it counts records of a kind that this version does not know: they would
    /// be lost.
    fn into_head(self, sequence: u64) -> Option<Head> {
        let mut records = SetHash::default();
        for payload in self.kinds {
            *records.kind_mut(Kind::from_number(payload.kind)?) = KindHash {
                count: payload.count,
                sum: Sum::from_bytes(&payload.sum),
            };
        }
        Some(Head {
            sequence,
            epoch: self.epoch,
            previous: self.previous,
            records,
        })
    }
}
