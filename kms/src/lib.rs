//! The AWS KMS API as a pure engine: SigV4, keys and their states, ciphertexts, sealed records.

pub mod audit;
mod authentication;
mod blob;
pub mod call;
pub mod ciphertext;
pub mod crypto;
pub mod engine;
pub mod error;
pub mod expiry;
pub mod grant;
mod hexadecimal;
pub mod iam;
pub mod identity_policy;
mod import;
mod json_writer;
pub mod key;
pub mod key_pair;
pub mod last_usage;
pub mod material;
mod multi_region;
pub mod name;
mod operation;
pub mod permit;
pub mod policy;
pub mod principal;
pub mod protocol;
mod quota;
pub mod record;
mod rotation;
pub mod seed;
pub mod sigv4;
pub mod state;
mod wrapping;

#[cfg(test)]
mod test_random;

pub use attestation::Timestamp;
pub use call::Call;
pub use error::KmsError;
