//! Attestation documents for the load, each new to the server in just the way that is measured.

use std::sync::Arc;

use attestation::RecipientPrivateKey;
use attestation::nsm::{AttestationRequest, Identity, Nsm, SimulatedCa, SimulatedNsm, forge};

use crate::Failure;
use crate::attest;
use crate::random::system_random;

/// Bits of the recipient's key.
const RECIPIENT_BITS: usize = 2048;

/// What makes the documents: a client's enclave with its NSM.
pub(super) struct Documents {
    authority: Arc<SimulatedCa>,
    nsm: SimulatedNsm,
    recipient: Vec<u8>,
}

impl Documents {
    /// Boots an enclave whose NSM `authority` certifies.
    pub(super) fn new(authority: SimulatedCa) -> Result<Self, Failure> {
        let authority = Arc::new(authority);
        let recipient = RecipientPrivateKey::generate(RECIPIENT_BITS)?;
        Ok(Self {
            nsm: boot(&authority),
            authority,
            recipient: recipient.public_key_spki().to_vec(),
        })
    }

    /// The recipient's public key.
    pub(super) fn recipient(&self) -> &[u8] {
        &self.recipient
    }

    /// A new document under certificates that others had before.
    pub(super) fn under_the_same_leaf(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(self.nsm.attest(request(&self.recipient))?)
    }

    /// A new document, of a new key, under authorities that others had before.
    pub(super) fn under_a_new_leaf(&mut self) -> Result<Vec<u8>, Failure> {
        let mut parts = self.nsm.forge(request(&self.recipient))?;
        parts.rekey(forge::LEAF, &mut system_random())?;
        Ok(parts.document()?)
    }

    /// A new document under a new chain: only the root is the same.
    pub(super) fn under_a_new_chain(&self) -> Result<Vec<u8>, Failure> {
        Ok(boot(&self.authority).attest(request(&self.recipient))?)
    }
}

fn boot(authority: &Arc<SimulatedCa>) -> SimulatedNsm {
    let identity = Identity::new(&mut system_random(), attest::now());
    let clock = Box::new(attest::now);
    let random = Box::new(system_random());
    SimulatedNsm::new(Arc::clone(authority), identity, clock, random)
}

fn request(recipient: &[u8]) -> AttestationRequest<'_> {
    AttestationRequest {
        public_key: Some(recipient),
        ..AttestationRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use attestation::{AttestationDocument, Verifier, VerifyOptions};

    use super::*;

    /// How many certificates of all these documents differ, by their place in the chain.
    fn distinct(documents: &[Vec<u8>]) -> Vec<usize> {
        let mut places = vec![BTreeSet::new(); 5];
        for document in documents {
            let document = AttestationDocument::parse(document).unwrap();
            let leaf = std::iter::once(document.certificate());
            let chain = document.cabundle().iter().copied().chain(leaf);
            for (place, certificate) in chain.enumerate() {
                places[place].insert(certificate.to_vec());
            }
        }
        places.iter().map(BTreeSet::len).collect()
    }

    #[test]
    fn each_kind_of_document_is_new_to_the_server_in_its_way_and_verifies() {
        let authority = SimulatedCa::generate(&mut system_random(), attest::now()).unwrap();
        let root = authority.root();
        let mut documents = Documents::new(authority).unwrap();
        let mut make = |make: fn(&mut Documents) -> Result<Vec<u8>, Failure>| {
            [(); 3].map(|()| make(&mut documents).unwrap()).to_vec()
        };
        let same_leaf = make(|documents| documents.under_the_same_leaf());
        let new_leaf = make(|documents| documents.under_a_new_leaf());
        let new_chain = make(|documents| documents.under_a_new_chain());
        assert_eq!(distinct(&same_leaf), [1, 1, 1, 1, 1]);
        assert_eq!(distinct(&new_leaf), [1, 1, 1, 1, 3]);
        assert_eq!(distinct(&new_chain), [1, 3, 3, 3, 3]);
        let all = [same_leaf, new_leaf, new_chain].concat();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 9);
        let verifier = Verifier::new(vec![root], VerifyOptions::default());
        for document in all {
            verifier.verify(&document, attest::now()).unwrap();
        }
    }
}
