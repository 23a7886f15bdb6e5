//! The engine from outside: signed calls in, answers and audit events out, over a real state.
//!
//! Nothing is replaced but time, randomness and (in one test) the source of key pairs. Calls are
//! signed by AWS's own signer.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets nothing where something should be fails"
)]

mod aliases;
mod attested;
mod audit;
mod caller;
mod custom_key_stores;
mod data_keys;
mod determinism;
mod encryption;
mod expiry;
mod grants;
mod iam;
mod iam_tags;
mod import;
mod key_specs;
mod keys;
mod last_usage;
mod long_work;
mod macs;
mod multi_region;
mod policies;
mod query;
mod quotas;
mod rotation;
mod rsa_encryption;
mod server;
mod sessions;
mod shared_secrets;
mod signatures;
mod still_opening;
mod tags;
