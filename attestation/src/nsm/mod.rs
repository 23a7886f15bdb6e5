//! The Nitro Secure Module: what makes attestation documents, real or simulated.
//!
//! [`Nsm`] is one trait for both. Each implementation carries the trust root its documents lead
//! to, so nothing that only *uses* an NSM has to know which one it got: a verifier is given the
//! root, and the root itself says whether it is simulated.

#[cfg(feature = "device")]
mod device;
#[cfg(feature = "simulation")]
mod simulated;

use std::collections::BTreeSet;

#[cfg(feature = "device")]
pub use self::device::DeviceNsm;
#[cfg(feature = "simulation")]
pub use self::simulated::{Identity, SimulatedCa, SimulatedCaError, SimulatedNsm, forge};
use crate::{Pcrs, TrustRoot};

/// The most bytes that `public_key`, `user_data` and `nonce` may have, each.
///
/// AWS's text says 512 for two of them in one place; the hardware takes 1024.
pub const MAX_FIELD_SIZE: usize = 1024;

/// The largest encoded request that the NSM driver takes.
pub const MAX_REQUEST_SIZE: usize = 4096;

/// How many registers an NSM has.
pub const PCR_COUNT: u16 = Pcrs::MAX as u16;

/// A Nitro Secure Module.
///
/// Calls wait for the device, so an async program keeps the NSM on a thread of its own.
pub trait Nsm: Send {
    /// The root certificate that this module's documents lead to.
    fn trust_root(&self) -> &TrustRoot;

    /// What the module is.
    ///
    /// # Errors
    /// If the module does not answer.
    fn describe(&mut self) -> Result<NsmDescription, NsmError>;

    /// A new attestation document: a COSE_Sign1 message over all locked registers and the
    /// fields of `request`.
    ///
    /// # Errors
    /// If a field is longer than [`MAX_FIELD_SIZE`], or the module does not answer.
    fn attest(&mut self, request: AttestationRequest<'_>) -> Result<Vec<u8>, NsmError>;

    /// Fills `out` from the module's entropy source.
    ///
    /// # Errors
    /// If the module does not answer. What `out` then holds must not be used.
    fn random(&mut self, out: &mut [u8]) -> Result<(), NsmError>;

    /// Reads a register.
    ///
    /// # Errors
    /// If there is no such register, or the module does not answer.
    fn describe_pcr(&mut self, index: u16) -> Result<PcrState, NsmError>;

    /// Replaces a register by SHA-384(register ‖ `data`) and returns the new value.
    ///
    /// # Errors
    /// If there is no such register, it is locked, or the module does not answer.
    fn extend_pcr(&mut self, index: u16, data: &[u8]) -> Result<Vec<u8>, NsmError>;

    /// Locks a register for good. Only locked registers are attested.
    ///
    /// # Errors
    /// If there is no such register, it is locked already, or the module does not answer.
    fn lock_pcr(&mut self, index: u16) -> Result<(), NsmError>;

    /// Locks the registers `0..end`, those already locked included.
    ///
    /// # Errors
    /// If there are fewer registers, or the module does not answer.
    fn lock_pcrs(&mut self, end: u16) -> Result<(), NsmError>;
}

/// What an enclave may say in its document, each at most [`MAX_FIELD_SIZE`] bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttestationRequest<'a> {
    /// The key that others encrypt to; for AWS KMS an RSA SubjectPublicKeyInfo in DER.
    pub public_key: Option<&'a [u8]>,
    /// Anything.
    pub user_data: Option<&'a [u8]>,
    /// What the other side asked to see, as proof that the document is new.
    pub nonce: Option<&'a [u8]>,
}

impl AttestationRequest<'_> {
    #[cfg(any(feature = "device", feature = "simulation"))]
    fn check(&self) -> Result<(), NsmError> {
        for (field, value) in [
            ("public_key", self.public_key),
            ("user_data", self.user_data),
            ("nonce", self.nonce),
        ] {
            match value {
                Some(bytes) if bytes.len() > MAX_FIELD_SIZE => {
                    let length = bytes.len();
                    return Err(NsmError::FieldTooLong { field, length });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a module says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NsmDescription {
    /// Major, minor and patch version of the interface.
    pub version: (u16, u16, u16),
    /// `i-<instance>-enc<enclave>`.
    pub module_id: String,
    /// How many registers there are.
    pub max_pcrs: u16,
    /// Which of them are locked.
    pub locked_pcrs: BTreeSet<u16>,
    /// The hash of the registers: "SHA384".
    pub digest: &'static str,
}

/// A register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrState {
    /// Its value, 48 bytes.
    pub value: Vec<u8>,
    /// Whether it can change no more.
    pub locked: bool,
}

/// Why the module did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NsmError {
    /// There is no device: not inside an enclave, or the kernel has no NSM driver.
    #[error(
        "/dev/nsm can not be opened; this is not a Nitro enclave, or its kernel has no NSM driver"
    )]
    NoDevice,
    /// More than the module signs.
    #[error("{field} has {length} bytes, an attestation document holds at most {MAX_FIELD_SIZE}")]
    FieldTooLong {
        /// The field of the request.
        field: &'static str,
        /// How long it is.
        length: usize,
    },
    /// The module knows the request, but not with these arguments.
    #[error("the NSM found an argument invalid")]
    InvalidArgument,
    /// No such register.
    #[error("the NSM has no such PCR")]
    InvalidIndex,
    /// The register is locked.
    #[error("the PCR is locked")]
    ReadOnlyIndex,
    /// The module can not do this.
    #[error("the NSM does not know the operation")]
    InvalidOperation,
    /// The whole request is larger than the driver takes.
    #[error("the request has more than {MAX_REQUEST_SIZE} bytes")]
    InputTooLarge,
    /// The answer does not fit the driver's buffer.
    #[error("the answer of the NSM does not fit")]
    BufferTooSmall,
    /// The answer belongs to another request, or can not be read.
    #[error("the NSM gave an answer that does not fit the request")]
    UnexpectedResponse,
    /// The module failed.
    #[error("the NSM failed")]
    Internal,
    /// The simulated module could not make a certificate for this moment.
    #[cfg(feature = "simulation")]
    #[error("the simulated NSM can not certify its key: {0}")]
    Certificate(#[from] SimulatedCaError),
}
