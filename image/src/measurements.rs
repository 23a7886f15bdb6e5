//! What the PCRs of an enclave will be: a key policy that names them names the image.
//!
//! A PCR starts as 48 zero bytes and is extended once, as `nitro-cli` computes it and the hypervisor
//! does at start: PCR3 and PCR4 with their content, the others with the SHA-384 of theirs.
//!
//! | PCR | content |
//! |---|---|
//! | 0 | kernel, command line, all ramdisks |
//! | 1 | kernel, command line, first ramdisk |
//! | 2 | the other ramdisks |
//! | 3 | the ARN of the parent instance's IAM role |
//! | 4 | the parent instance's id |
//! | 8 | the DER of the certificate that signed the image |
//!
//! In debug mode an enclave has zeros instead. (AWS Nitro Enclaves User Guide, "Cryptographic
//! attestation".)

use std::fmt;

use sha2::{Digest as _, Sha384};

use crate::eif::Eif;
use crate::signature::{self, SignatureError};

/// The value of a PCR: 48 bytes, shown as 96 hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Pcr([u8; 48]);

impl Pcr {
    /// A PCR that is zero, as PCR3 is without a role and PCR8 without a signature.
    pub const ZERO: Self = Self([0; 48]);

    /// PCR3 of an enclave whose parent instance has the IAM role with this ARN.
    pub fn of_role(arn: &str) -> Self {
        Self::extend(arn.as_bytes())
    }

    /// PCR4 of an enclave whose parent instance has this id.
    pub fn of_instance(id: &str) -> Self {
        Self::extend(id.as_bytes())
    }

    /// The value as it is in an attestation document.
    pub fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }

    /// A PCR extended once with the SHA-384 of all of this content together.
    fn measure<'a>(content: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut inner = Sha384::new();
        for part in content {
            inner.update(part);
        }
        Self::extend(&inner.finalize())
    }

    /// A PCR extended once.
    fn extend(content: &[u8]) -> Self {
        let extended = Sha384::new()
            .chain_update(Self::ZERO.0)
            .chain_update(content);
        Self(extended.finalize().into())
    }
}

impl fmt::Display for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pcr({self})")
    }
}

/// The measurements of an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Measurements {
    /// The whole image.
    pub pcr0: Pcr,
    /// What starts the machine: kernel, command line, first ramdisk.
    pub pcr1: Pcr,
    /// What runs on it: the other ramdisks.
    pub pcr2: Pcr,
    /// The signer's certificate, if the image is signed.
    pub pcr8: Option<Pcr>,
}

impl Measurements {
    /// Measures an image.
    ///
    /// # Errors
    ///
    /// If the image is signed, and the signature's certificate can't be read.
    pub fn of(image: &Eif<'_>) -> Result<Self, SignatureError> {
        let kernel = [image.kernel(), image.command_line().as_bytes()];
        let ramdisks = image.ramdisks();
        let (first, others) = ramdisks.split_at(ramdisks.len().min(1));
        let measure = |parts: [&[&[u8]]; 3]| Pcr::measure(parts.into_iter().flatten().copied());
        Ok(Self {
            pcr0: measure([&kernel, first, others]),
            pcr1: measure([&kernel, first, &[]]),
            pcr2: measure([&[], &[], others]),
            pcr8: match image.signature() {
                Some(section) => {
                    let certificate = signature::signing_certificate(section)?;
                    Some(Pcr::measure([certificate.as_slice()]))
                }
                None => None,
            },
        })
    }
}
