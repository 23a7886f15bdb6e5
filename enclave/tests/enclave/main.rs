//! A whole enclave, run against a host made for tests: what a client sees of it.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what they share"
)]

mod attestation;
mod audit;
mod behind_the_proxy;
mod durability;
mod handover;
mod http;
mod opening;
mod process;
mod shutdown;
mod support;
mod tls;
