//! Attestation documents as they arrive: parsed strictly, not verified.
//!
//! One reader decides what a document says. It borrows from the input, allocates nothing on the
//! word of a claimed length, and never builds the document anew: what is hashed and compared
//! are the bytes that came.

mod error;
mod payload;
mod scanner;
#[cfg(test)]
mod tests;

pub use self::error::{DocumentError, Field};

pub(crate) use self::payload::MAX_FIELD_LEN;
use self::payload::Payload;
use self::scanner::{Kind, Scanner};
use crate::{Pcrs, Timestamp};

/// An attestation document that has been read but **not verified**: anyone can write one.
///
/// ```text
/// document = [protected, unprotected, payload, signature]   COSE_Sign1 (RFC 9052 section 4.2)
/// payload  = {module_id, digest, timestamp, pcrs, certificate, cabundle, …}
/// ```
///
/// The format is that of AWS's *attestation_process.md* as real documents corrected it: the
/// payload map may be of indefinite length, and absent fields are null.
///
/// Integers and lengths need not be in their shortest form. AWS writes them so, but nothing here
/// depends on it: keys are compared by value, and signed bytes are never re-encoded.
#[derive(Clone, Debug)]
pub struct AttestationDocument<'a> {
    signed: &'a [u8],
    payload: Payload<'a>,
    signature: &'a [u8; 96],
}

impl<'a> AttestationDocument<'a> {
    /// The longest document; an NSM's answer can't exceed 12288 bytes.
    pub const MAX_LEN: usize = 16_384;

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// The first thing that no attestation document of a Nitro enclave has.
    pub fn parse(document: &'a [u8]) -> Result<Self, DocumentError> {
        if !(1..=Self::MAX_LEN).contains(&document.len()) {
            return Err(DocumentError::Length(document.len()));
        }
        let mut scanner = Scanner::new(document);
        scanner.skip_tag(COSE_SIGN1_TAG)?;
        if scanner.kind()? != Kind::Array || scanner.array()?.definite() != Some(4) {
            return Err(DocumentError::NotCoseSign1);
        }

        if scanner.kind()? != Kind::Bytes || scanner.bytes()? != PROTECTED_ES384 {
            return Err(DocumentError::ProtectedHeader);
        }
        if scanner.kind()? != Kind::Map {
            return Err(DocumentError::UnprotectedHeader);
        }
        let mut unprotected = scanner.map()?;
        if scanner.more(&mut unprotected)? {
            return Err(DocumentError::UnprotectedHeader);
        }
        if scanner.kind()? != Kind::Bytes {
            return Err(DocumentError::NoPayload);
        }
        let signed = scanner.bytes()?;
        if signed.is_empty() {
            return Err(DocumentError::NoPayload);
        }
        if scanner.kind()? != Kind::Bytes {
            return Err(DocumentError::NoSignature);
        }
        let signature = scanner.bytes()?;
        let signature = signature
            .try_into()
            .map_err(|_| DocumentError::SignatureLength(signature.len()))?;
        match scanner.remaining() {
            0 => {}
            trailing => return Err(DocumentError::TrailingBytes(trailing)),
        }

        Ok(Self {
            signed,
            payload: Payload::parse(signed)?,
            signature,
        })
    }

    /// The module id: `i-<instance>-enc<enclave>`.
    pub fn module_id(&self) -> &'a str {
        self.payload.module_id
    }

    /// When the NSM made the document.
    pub fn timestamp(&self) -> Timestamp {
        self.payload.timestamp
    }

    /// The measurements.
    pub fn pcrs(&self) -> &Pcrs {
        &self.payload.pcrs
    }

    /// The certificate of the key that signed the document: DER.
    pub fn certificate(&self) -> &'a [u8] {
        self.payload.certificate
    }

    /// The certificates above it, root first: DER.
    pub fn cabundle(&self) -> &[&'a [u8]] {
        &self.payload.cabundle
    }

    /// The public key the enclave asked to have signed, as it gave it.
    pub fn public_key(&self) -> Option<&'a [u8]> {
        self.payload.public_key
    }

    /// The user data; empty is not absent.
    pub fn user_data(&self) -> Option<&'a [u8]> {
        self.payload.user_data
    }

    /// The nonce; empty is not absent.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.payload.nonce
    }

    /// The payload, byte for byte: what the signature covers.
    pub fn payload(&self) -> &'a [u8] {
        self.signed
    }

    /// The ES384 signature, r‖s.
    pub fn signature(&self) -> &'a [u8; 96] {
        self.signature
    }

    /// The parts of the `Sig_structure` that was signed (RFC 9052 section 4.4), to be hashed one
    /// after another:
    /// `["Signature1", protected: bstr, external_aad: h'', payload: bstr]`.
    pub(crate) fn signed_parts(&self) -> (SignedHead, &'a [u8]) {
        (SignedHead::new(self.signed.len()), self.signed)
    }
}

/// Tag 18, which may stand before a COSE_Sign1 (RFC 9052 section 2). AWS leaves it out.
const COSE_SIGN1_TAG: u64 = 18;

/// The protected header of every document: `{1: -35}`, algorithm ES384 (RFC 9053 section 2.1).
const PROTECTED_ES384: &[u8] = &[0xa1, 0x01, 0x38, 0x22];

/// Everything of a `Sig_structure` that precedes the payload's own bytes.
pub(crate) struct SignedHead {
    bytes: [u8; Self::PREFIX.len() + 3],
    length: usize,
}

impl SignedHead {
    /// `array(4)`, `"Signature1"`, the protected header, no external data.
    const PREFIX: &[u8; 18] = b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40";

    /// The head for a payload of up to 16 KiB, its length in the shortest form as
    /// RFC 9052 section 9 demands.
    fn new(payload_len: usize) -> Self {
        let [.., high, low] = payload_len.to_be_bytes();
        let head: &[u8] = match payload_len {
            0..=23 => &[0x40 | low],
            24..=255 => &[0x58, low],
            _ => &[0x59, high, low],
        };
        let mut bytes = [0; Self::PREFIX.len() + 3];
        for (to, from) in bytes.iter_mut().zip(Self::PREFIX.iter().chain(head)) {
            *to = *from;
        }
        Self {
            bytes,
            length: Self::PREFIX.len() + head.len(),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
