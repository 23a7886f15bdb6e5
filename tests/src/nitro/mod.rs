//! An emulated Nitro machine: the enclave as an image of its own, on a real kernel, with real
//! vsock and, on the board `nitro-enclave`, a real `/dev/nsm`.
//!
//! [`parts`] are what it is made of, [`machine`] boots it, [`signer`] is what AWS's hardware does
//! for documents.

pub mod machine;
pub mod parts;
pub mod signer;
