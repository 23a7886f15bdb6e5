//! Simulated documents and their certificates, held against real ones and shown to OpenSSL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod openssl;
mod shape;
#[path = "../../src/testing.rs"]
mod testing;
mod verified;

use attestation::nsm::{Identity, SimulatedCa, SimulatedNsm};
use attestation::{AttestationDocument, Timestamp};

use crate::testing::SeededRandom;

/// 2026-11-22T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

const MODULE_ID: &str = "i-0123456789abcdef0-enc019abb0ad2c00123";

fn nsm() -> SimulatedNsm {
    let ca = SimulatedCa::generate(&mut SeededRandom::new(1), NOW).unwrap();
    let identity = Identity::new(&mut SeededRandom::new(2), NOW)
        .with_module_id(MODULE_ID)
        .in_region("eu-central-1");
    let random = Box::new(SeededRandom::new(3));
    SimulatedNsm::new(ca, identity, Box::new(|| NOW), random)
}

/// The certificates of a document, root first, leaf last.
fn certificates(document: &[u8]) -> Vec<Vec<u8>> {
    let document = AttestationDocument::parse(document).unwrap();
    let cabundle = document.cabundle().iter().map(|der| der.to_vec());
    cabundle.chain([document.certificate().to_vec()]).collect()
}
