//! What can be wrong with a document's form.

use core::fmt;

use crate::PcrError;

/// Why bytes are not an attestation document of a Nitro enclave.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// `digest` names another hash.
    #[error("the field `digest` is not \"SHA384\"")]
    Digest,
    /// A known field comes twice.
    #[error("the field `{0}` comes twice")]
    DuplicateField(Field),
    /// A register comes twice.
    #[error("PCR {0} comes twice")]
    DuplicatePcr(usize),
    /// A key that isn't known comes twice.
    #[error("an unknown key of the payload comes twice")]
    DuplicateUnknownKey,
    /// A field, or one of the certificates in `cabundle`, is empty or too long; the length found.
    #[error("the field `{0}` has the length {1}, which is outside its limits")]
    FieldLength(Field, usize),
    /// A field has another type than it must have.
    #[error("the field `{0}` has the wrong type")]
    FieldType(Field),
    /// A floating-point number.
    #[error("the document contains a floating-point number")]
    Float,
    /// A byte or text string of indefinite length.
    #[error("the document contains a string of indefinite length")]
    IndefiniteString,
    /// Text that is not UTF-8.
    #[error("the document contains text that is not UTF-8")]
    InvalidUtf8,
    /// A key of the payload's map is not text.
    #[error("a key of the payload is not text")]
    KeyNotText,
    /// The whole is empty or too long.
    #[error("a document of {0} bytes: it must have 1 to 16384")]
    Length(usize),
    /// Not well-formed CBOR.
    #[error("the document is not well-formed CBOR")]
    Malformed,
    /// A field is not there.
    #[error("the field `{0}` is missing")]
    MissingField(Field),
    /// A genuine kind of document, but not an enclave's.
    #[error(
        "this is the document of a NitroTPM, not of a Nitro enclave; only enclaves are accepted"
    )]
    NitroTpm,
    /// The payload is absent, empty or no byte string.
    #[error("the COSE payload is not a byte string with content")]
    NoPayload,
    /// The signature is no byte string.
    #[error("the COSE signature is not a byte string")]
    NoSignature,
    /// Not an array of four.
    #[error("the document is not a COSE_Sign1 structure, an array of four items")]
    NotCoseSign1,
    /// The payload is not a map.
    #[error("the payload is not a map")]
    PayloadNotMap,
    /// Bytes follow the payload's map.
    #[error("{0} bytes follow the payload's map")]
    PayloadTrailingBytes(usize),
    /// A register that doesn't exist, or a value that can't be a measurement.
    #[error(transparent)]
    Pcr(PcrError),
    /// The protected header is something else than the algorithm ES384.
    #[error("the protected header is not exactly `a1013822`, the algorithm ES384")]
    ProtectedHeader,
    /// The signature is not r and s of 48 bytes each.
    #[error("a signature of {0} bytes: ES384 has 96")]
    SignatureLength(usize),
    /// A tag other than COSE_Sign1's own.
    #[error("the document contains the CBOR tag {0}")]
    Tag(u64),
    /// Arrays and maps inside one another.
    #[error("arrays and maps are nested more than four deep")]
    TooDeep,
    /// Bytes follow the document.
    #[error("{0} bytes follow the document")]
    TrailingBytes(usize),
    /// The input ends inside an item.
    #[error("the document is cut short")]
    Truncated,
    /// The unprotected header is not an empty map.
    #[error("the unprotected header is not an empty map")]
    UnprotectedHeader,
    /// The timestamp is zero.
    #[error("the field `timestamp` is zero")]
    ZeroTimestamp,
}

/// A field of a document's payload.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// `cabundle`, the certificates above [`Field::Certificate`], root first.
    Cabundle,
    /// `certificate`, that of the key which signed the document.
    Certificate,
    /// `digest`, the hash of the registers.
    Digest,
    /// `module_id`, which enclave this is.
    ModuleId,
    /// `nonce`, from the enclave.
    Nonce,
    /// `pcrs`, the measurements.
    Pcrs,
    /// `public_key`, from the enclave.
    PublicKey,
    /// `timestamp`, when the document was made.
    Timestamp,
    /// `user_data`, from the enclave.
    UserData,
}

impl Field {
    pub(super) fn from_key(key: &str) -> Option<Self> {
        Some(match key {
            "cabundle" => Self::Cabundle,
            "certificate" => Self::Certificate,
            "digest" => Self::Digest,
            "module_id" => Self::ModuleId,
            "nonce" => Self::Nonce,
            "pcrs" => Self::Pcrs,
            "public_key" => Self::PublicKey,
            "timestamp" => Self::Timestamp,
            "user_data" => Self::UserData,
            _ => return None,
        })
    }

    /// The key in the payload's map.
    pub fn key(self) -> &'static str {
        match self {
            Self::Cabundle => "cabundle",
            Self::Certificate => "certificate",
            Self::Digest => "digest",
            Self::ModuleId => "module_id",
            Self::Nonce => "nonce",
            Self::Pcrs => "pcrs",
            Self::PublicKey => "public_key",
            Self::Timestamp => "timestamp",
            Self::UserData => "user_data",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
