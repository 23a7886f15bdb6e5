//! Nitro attestation documents: verify them, make simulated ones, seal data to the key inside them.
//!
//! An enclave asks its Nitro security module (NSM) for a document that says what runs in it and
//! carries a public key. Whoever trusts AWS's root verifies the document and seals data to that
//! key, so that only this enclave can open it:
//!
//! ```
//! use attestation::{Timestamp, TrustRoot, Verifier, VerifyOptions};
//!
//! # fn example(document: &[u8], now: Timestamp) -> Result<(), attestation::VerifyError> {
//! let verifier = Verifier::new(vec![TrustRoot::aws()], VerifyOptions::default());
//! let verified = verifier.verify(document, now)?;
//! println!("{} runs {:?}", verified.module_id(), verified.pcrs());
//! # Ok(())
//! # }
//! ```
//!
//! # From bytes to trust
//!
//! | type | what it means |
//! |---|---|
//! | `&[u8]` | anything, from anyone |
//! | [`AttestationDocument`] | has the form of a document; anyone can write one |
//! | [`VerifiedDocument`] | an NSM under a [`TrustRoot`] signed it, lately; made by [`Verifier::verify`] alone |
//! | [`RecipientKey`] | the key of a verified document, to which data can be sealed |
//!
//! # What this crate leaves to others
//!
//! It reads no clock, opens no file or socket, and knows no policy: the time is an argument, and
//! whether the measurements of a verified document are the right ones is for its caller to say.
//! The one exception is the feature `device`, which opens `/dev/nsm`.
//!
//! # Features
//!
//! - `aws-lc` (default): AWS-LC does the cryptography.
//! - `rustcrypto`: the RustCrypto crates do it; for WebAssembly, and as the oracle of the tests.
//! - `device`: the driver of `/dev/nsm`.
//! - `simulation`: a simulated NSM with its own root. A release image is built without it.

mod asn1;
mod backend;
mod chain;
mod consistency;
mod document;
pub mod nsm;
mod pcrs;
mod recipient;
mod remembered;
#[cfg(test)]
mod testing;
mod timestamp;
mod trust_root;
mod verified;
mod verify;

pub use rand_core;

pub use crate::backend::Backend;
pub use crate::chain::{CertificateError, ChainPosition};
pub use crate::document::{AttestationDocument, DocumentError, Field};
pub use crate::nsm::{AttestationRequest, Nsm, NsmDescription, NsmError};
pub use crate::pcrs::{PcrError, Pcrs};
#[cfg(any(feature = "aws-lc", test))]
pub use crate::recipient::OpenError;
pub use crate::recipient::{BerError, RecipientError, RecipientKey, RecipientKeyError};
#[cfg(feature = "aws-lc")]
pub use crate::recipient::{RecipientPrivateKey, RecipientPrivateKeyError};
pub use crate::timestamp::Timestamp;
pub use crate::trust_root::{RootKind, TrustRoot, TrustRootError};
pub use crate::verified::VerifiedDocument;
pub use crate::verify::{Verifier, VerifyError, VerifyOptions};
