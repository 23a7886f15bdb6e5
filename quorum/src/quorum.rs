//! What is public about the shares of one root key, in the hands of an untrusted host.
//!
//! ```text
//! format 1 ‖ CBOR [root key id, threshold, [[name, key, signing key, commitment], …]] ‖ MAC 32
//! ```
//!
//! An enclave without a root key can't check the MAC yet. A host that changes the record can make
//! it refuse good shares, and a host can keep shares away anyway; it can't make it take a bad one
//! in the end, because the key must have the id in the head and then the MAC must fit.

use kms::state::{RootKey, RootKeyId};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::mac::hmac;
use crate::operator_key::{OperatorKey, OperatorKeyError};
use crate::plan::{MAX_OPERATORS, Plan};
use crate::sealed::SealedShare;
use crate::share::Share;
use crate::signing_key::SigningKey;
use crate::unsealing::OfferError;

const FORMAT: u8 = 1;
const MAC_LEN: usize = 32;
const MAC_LABEL: &[u8] = b"claviger/v1/quorum";

/// The quorum of one root key: who holds its shares. Not verified: a host may have made it up.
#[derive(Clone, Debug)]
pub struct Quorum {
    root_key_id: RootKeyId,
    threshold: u8,
    members: Vec<Member>,
    /// The record as it is stored.
    bytes: Vec<u8>,
}

/// A quorum whose record was made with the root key: only [`Quorum::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedQuorum(Quorum);

/// One operator, and how the share is recognised.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    key: OperatorKey,
    signing_key: Option<SigningKey>,
    commitment: [u8; 32],
}

/// The CBOR.
#[derive(Decode, Encode)]
struct Body {
    #[cbor(n(0), with = "minicbor::bytes")]
    root_key_id: [u8; RootKeyId::LEN],
    #[n(1)]
    threshold: u8,
    #[n(2)]
    members: Vec<EncodedMember>,
}

/// A member with the keys in text.
#[derive(Decode, Encode)]
struct EncodedMember {
    #[n(0)]
    name: String,
    #[n(1)]
    key: String,
    #[n(2)]
    signing_key: Option<String>,
    #[cbor(n(3), with = "minicbor::bytes")]
    commitment: [u8; 32],
}

/// Why a record is no quorum's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// Its form.
    #[error("the record of the quorum is damaged")]
    Malformed,
    /// Its MAC.
    #[error("the record of the quorum is not the one that was made with this root key")]
    Altered,
}

impl Quorum {
    /// Splits a root key among the operators of a plan: the public record, and for each operator
    /// the share.
    ///
    /// # Errors
    ///
    /// If a key of the plan can't be encrypted to.
    pub fn establish(
        plan: &Plan,
        root_key: &RootKey,
        random: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<SealedShare>), OperatorKeyError> {
        let count = u8::try_from(plan.operators.len()).unwrap_or(MAX_OPERATORS);
        let shares = Share::split(root_key, plan.threshold, count, random);
        let mut members = Vec::with_capacity(shares.len());
        let mut handed_out = Vec::with_capacity(shares.len());
        for (operator, share) in plan.operators.iter().zip(&shares) {
            let text = Zeroizing::new(format!("{}\n", *share.to_text()));
            handed_out.push(SealedShare {
                operator: operator.name.clone(),
                share: operator.key.seal(text.as_bytes(), random)?,
            });
            members.push(Member {
                name: operator.name.clone(),
                key: operator.key.clone(),
                signing_key: operator.signing_key.clone(),
                commitment: share.commitment(),
            });
        }
        let body = Body {
            root_key_id: *root_key.id().as_bytes(),
            threshold: plan.threshold,
            members: members.iter().map(Member::encoded).collect(),
        };
        let mut bytes = vec![FORMAT];
        minicbor::encode(&body, &mut bytes).expect("a Vec takes whatever is written to it");
        let mac = mac(root_key, &bytes);
        bytes.extend_from_slice(mac.as_ref());
        let quorum = Self {
            root_key_id: root_key.id(),
            threshold: plan.threshold,
            members,
            bytes,
        };
        Ok((quorum, handed_out))
    }

    /// Reads a record of a host, which may be anything.
    ///
    /// # Errors
    ///
    /// [`QuorumError::Malformed`] if it has not the form; whether it is genuine, only
    /// [`verify`](Self::verify) tells.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QuorumError> {
        let malformed = QuorumError::Malformed;
        let (body, _) = bytes.split_last_chunk::<MAC_LEN>().ok_or(malformed)?;
        let (&format, body) = body.split_first().ok_or(malformed)?;
        let decoded: Body = minicbor::decode(body).map_err(|_| malformed)?;
        let members = decoded.members.iter().map(EncodedMember::decoded);
        let members: Vec<_> = members.collect::<Option<_>>().ok_or(malformed)?;
        let count = members.len();
        let fits = format == FORMAT
            // There is one encoding of each record.
            && minicbor::to_vec(&decoded).is_ok_and(|encoded| encoded == body)
            && count <= usize::from(MAX_OPERATORS)
            && (2..=count).contains(&usize::from(decoded.threshold));
        if !fits {
            return Err(malformed);
        }
        Ok(Self {
            root_key_id: RootKeyId::from_bytes(decoded.root_key_id),
            threshold: decoded.threshold,
            members,
            bytes: bytes.to_vec(),
        })
    }

    /// The record, for the host to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks that the record was made with this root key.
    ///
    /// # Errors
    ///
    /// [`QuorumError::Altered`] if it was not.
    pub fn verify(&self, root_key: &RootKey) -> Result<VerifiedQuorum, QuorumError> {
        let (body, found) = self
            .bytes
            .split_last_chunk::<MAC_LEN>()
            .ok_or(QuorumError::Malformed)?;
        let genuine = mac(root_key, body);
        if bool::from(genuine.as_ref().ct_eq(found.as_slice())) {
            Ok(VerifiedQuorum(self.clone()))
        } else {
            Err(QuorumError::Altered)
        }
    }

    /// The id of the root key.
    pub fn root_key_id(&self) -> RootKeyId {
        self.root_key_id
    }

    /// How many shares it takes.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// How many shares there are.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// The name of the operator whose share this is.
    ///
    /// # Errors
    ///
    /// [`OfferError`] if it is not one of this quorum's.
    pub(crate) fn recognise(&self, share: &Share) -> Result<&str, OfferError> {
        if share.root_key_id() != self.root_key_id {
            return Err(OfferError::OtherRootKey);
        }
        if share.threshold() != self.threshold {
            return Err(OfferError::NotOfThisQuorum);
        }
        self.holder(share).ok_or(OfferError::NotOfThisQuorum)
    }

    fn holder(&self, share: &Share) -> Option<&str> {
        let place = usize::from(share.index()).checked_sub(1)?;
        let member = self.members.get(place)?;
        let same = bool::from(member.commitment.ct_eq(&share.commitment()));
        same.then_some(member.name.as_str())
    }

    /// The name of the operator who signs with the key that SSH encodes so, and the key.
    pub(crate) fn signer(&self, encoded: &[u8]) -> Option<(&str, &SigningKey)> {
        self.members.iter().find_map(|member| {
            let key = member.signing_key.as_ref()?;
            (key.as_bytes() == encoded).then_some((member.name.as_str(), key))
        })
    }
}

impl VerifiedQuorum {
    /// The quorum.
    pub fn quorum(&self) -> &Quorum {
        &self.0
    }
}

impl Member {
    fn encoded(&self) -> EncodedMember {
        EncodedMember {
            name: self.name.clone(),
            key: self.key.to_string(),
            signing_key: self.signing_key.as_ref().map(SigningKey::to_string),
            commitment: self.commitment,
        }
    }
}

impl EncodedMember {
    fn decoded(&self) -> Option<Member> {
        let key = OperatorKey::from_text(&self.key).ok()?;
        let signing_key = self.signing_key.as_deref().map(SigningKey::from_text);
        let member = Member {
            name: self.name.clone(),
            key,
            signing_key: signing_key.transpose().ok()?,
            commitment: self.commitment,
        };
        // Keys have more than one text; a record has one of them.
        let same = member.encoded();
        (same.key == self.key && same.signing_key == self.signing_key).then_some(member)
    }
}

fn mac(root_key: &RootKey, body: &[u8]) -> Zeroizing<[u8; MAC_LEN]> {
    let key = hmac(root_key.expose(), &[MAC_LABEL]);
    hmac(key.as_ref(), &[body])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Operator;
    use crate::testing::{Random, key_pair};

    const ADA: &str = include_str!("../tests/vectors/release/ada.pub");

    #[test]
    fn a_record_has_one_encoding() {
        let mut random = Random::new(1);
        let operators = ["ada", "grace"].map(|name| Operator {
            name: name.to_owned(),
            key: key_pair(&mut random).1,
            signing_key: SigningKey::from_text(ADA).ok(),
        });
        let plan = Plan {
            threshold: 2,
            operators: operators.to_vec(),
            administrator: None,
        };
        let root_key = RootKey::generate(&mut random);
        let quorum = Quorum::establish(&plan, &root_key, &mut random).unwrap().0;
        let bytes = quorum.as_bytes();
        assert!(Quorum::from_bytes(bytes).is_ok());

        // Format, array of three, root key id with its head, threshold.
        let (&[format, array], rest) = bytes.split_first_chunk().unwrap();
        assert_eq!((format, array), (1, 0x83));
        let (id, rest) = rest.split_at(1 + RootKeyId::LEN);
        let (body, mac) = rest.split_at(rest.len() - MAC_LEN);
        assert_eq!(body[0], 2);
        // The first signing key, with the length of its text before, and a space after.
        let key = plan.operators[0].signing_key.as_ref().unwrap().to_string();
        let length = u8::try_from(key.len()).unwrap();
        let place = body
            .windows(key.len())
            .position(|bytes| bytes == key.as_bytes());
        let (before, after) = body.split_at(place.unwrap() - 1);
        assert_eq!((after[0], length), (length, 80));
        let spaced = [
            before,
            &[length + 1],
            &after[1..][..key.len()],
            b" ",
            &after[1 + key.len()..],
        ];
        let spaced = spaced.concat();
        for other in [
            [&[format, array], id, &spaced, mac].concat(),
            [&[format, 0x84], id, body, &[0xf6], mac].concat(),
            [&[format, 0x9f], id, body, &[0xff], mac].concat(),
            [&[format, array], id, &[0x18, 2], &body[1..], mac].concat(),
            [&[format, array], id, body, &[0xf6], mac].concat(),
            [&[2, array], id, body, mac].concat(),
        ] {
            let read = Quorum::from_bytes(&other);
            assert_eq!(read.err(), Some(QuorumError::Malformed), "{other:02x?}");
        }
    }
}
