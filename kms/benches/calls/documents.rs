//! Attestation documents, each new to the verifier in just the way that is measured. The same ones
//! in every run: they are made with fixed randomness and signed without any.

use std::sync::Arc;

use attestation::nsm::{AttestationRequest, Identity, Nsm, SimulatedCa, SimulatedNsm, forge};
use attestation::{Backend, RecipientPrivateKey, TrustRoot};

use crate::server::{START, TestRandom};

/// The key inside the client's enclave, 2048 bits.
const RECIPIENT: &[u8] = include_bytes!(
    "../../../attestation/tests/fixtures/cms/edgebit_sdk_go_datakey32.key.pkcs8.der"
);

pub(crate) fn recipient() -> RecipientPrivateKey {
    RecipientPrivateKey::from_pkcs8(RECIPIENT).unwrap()
}

/// What makes the documents.
pub(crate) struct Documents {
    ca: Arc<SimulatedCa>,
    nsm: SimulatedNsm,
    recipient: Vec<u8>,
    /// How many were made: no two are the same.
    made: u64,
}

impl Documents {
    pub(crate) fn new() -> Self {
        let ca = SimulatedCa::generate(&mut TestRandom::new(11), START).unwrap();
        let ca = Arc::new(ca);
        Self {
            nsm: boot(&ca, 12),
            ca,
            recipient: recipient().public_key_spki().to_vec(),
            made: 0,
        }
    }

    pub(crate) fn root(&self) -> TrustRoot {
        self.ca.root()
    }

    /// A new document under certificates that others had before.
    pub(crate) fn under_the_same_leaf(&mut self) -> Vec<u8> {
        let nonce = self.nonce();
        let request = request(&self.recipient, &nonce);
        self.nsm.attest(request).unwrap()
    }

    /// A new document, of a new key, under authorities that others had before.
    pub(crate) fn under_a_new_leaf(&mut self) -> Vec<u8> {
        let nonce = self.nonce();
        let mut parts = self.nsm.forge(request(&self.recipient, &nonce)).unwrap();
        let mut random = TestRandom::new(self.made);
        parts.rekey(forge::LEAF, &mut random).unwrap();
        parts.document().unwrap()
    }

    /// A new document under a new chain: only the root is the same.
    pub(crate) fn under_a_new_chain(&mut self) -> Vec<u8> {
        let nonce = self.nonce();
        let mut nsm = boot(&self.ca, self.made);
        nsm.attest(request(&self.recipient, &nonce)).unwrap()
    }

    fn nonce(&mut self) -> [u8; 8] {
        self.made += 1;
        self.made.to_be_bytes()
    }
}

fn boot(ca: &Arc<SimulatedCa>, seed: u64) -> SimulatedNsm {
    let mut random = TestRandom::new(seed);
    let identity = Identity::new(&mut random, START);
    SimulatedNsm::new(
        Arc::clone(ca),
        identity,
        Box::new(|| START),
        Box::new(random),
    )
    .with_backend(Backend::RustCrypto)
}

fn request<'a>(recipient: &'a [u8], nonce: &'a [u8]) -> AttestationRequest<'a> {
    AttestationRequest {
        public_key: Some(recipient),
        nonce: Some(nonce),
        ..AttestationRequest::default()
    }
}
