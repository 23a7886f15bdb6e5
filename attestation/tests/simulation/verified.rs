use std::collections::BTreeMap;
use std::time::Duration;

use attestation::nsm::{AttestationRequest, Identity, SimulatedCa, SimulatedNsm};
use attestation::{Backend, Nsm, TrustRoot, Verifier, VerifyError, VerifyOptions};

use crate::testing::SeededRandom;
use crate::{MODULE_ID, NOW, nsm};

/// Whoever signs and whoever verifies.
#[test]
fn documents_of_either_backend_verify_with_either() {
    for signer in Backend::ALL {
        let mut nsm = nsm().with_backend(*signer);
        let request = AttestationRequest {
            public_key: Some(b"public key"),
            user_data: Some(b""),
            nonce: Some(&[7; 1024]),
        };
        let document = nsm.attest(request).unwrap();
        for backend in Backend::ALL {
            let roots = vec![TrustRoot::aws(), nsm.trust_root().clone()];
            let verifier = Verifier::new(roots, VerifyOptions::default()).with_backend(*backend);
            let verified = verifier.verify(&document, NOW).unwrap();
            assert_eq!(verified.module_id(), MODULE_ID);
            assert_eq!(verified.timestamp(), NOW);
            assert_eq!(verified.public_key(), request.public_key);
            assert_eq!(verified.user_data(), request.user_data);
            assert_eq!(verified.nonce(), request.nonce);
            assert!(verified.root().is_simulated());
            assert!(!verified.is_debug());
            let registers: BTreeMap<_, _> = verified.pcrs().iter().collect();
            assert_eq!(registers.len(), 16);
            for (index, value) in registers {
                let register = nsm.describe_pcr(index as u16).unwrap();
                assert_eq!(value, register.value, "PCR{index}");
            }
        }
    }
}

#[test]
fn nobody_believes_a_simulated_document_by_default() {
    let document = nsm().attest(AttestationRequest::default()).unwrap();
    let roots = vec![TrustRoot::aws(), TrustRoot::aws_us_gov()];
    let verifier = Verifier::new(roots, VerifyOptions::default());
    let refused = verifier.verify(&document, NOW).map(drop);
    assert_eq!(refused, Err(VerifyError::UntrustedRoot));
}

#[test]
fn registers_that_the_enclave_locks_are_attested() {
    let mut nsm = nsm();
    let value = nsm.extend_pcr(16, b"configuration").unwrap();
    let roots = vec![nsm.trust_root().clone()];
    let verifier = Verifier::new(roots, VerifyOptions::default());
    let attested = |nsm: &mut SimulatedNsm| {
        let document = nsm.attest(AttestationRequest::default()).unwrap();
        let verified = verifier.verify(&document, NOW).unwrap();
        verified.pcrs().get(16).map(<[u8]>::to_vec)
    };
    assert_eq!(attested(&mut nsm), None);
    nsm.lock_pcr(16).unwrap();
    assert_eq!(attested(&mut nsm), Some(value));
}

#[test]
fn debug_mode_is_seen() {
    let ca = SimulatedCa::generate(&mut SeededRandom::new(1), NOW).unwrap();
    let identity = Identity::new(&mut SeededRandom::new(2), NOW).in_debug_mode();
    let random = Box::new(SeededRandom::new(3));
    let mut nsm = SimulatedNsm::new(ca, identity, Box::new(|| NOW), random);
    let document = nsm.attest(AttestationRequest::default()).unwrap();
    let roots = vec![nsm.trust_root().clone()];
    let mut options = VerifyOptions::default();
    let refused = Verifier::new(roots.clone(), options).verify(&document, NOW);
    assert_eq!(refused.map(drop), Err(VerifyError::Debug));
    options.accept_debug = true;
    let accepted = Verifier::new(roots, options).verify(&document, NOW);
    assert!(accepted.unwrap().is_debug());
}

/// A module that runs for a month always has certificates for its documents, under one root.
#[test]
fn documents_verify_for_as_long_as_the_module_runs() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let ca = SimulatedCa::generate(&mut SeededRandom::new(1), NOW).unwrap();
    let verifier = Verifier::new(vec![ca.root()], VerifyOptions::default());
    let identity = Identity::new(&mut SeededRandom::new(2), NOW);
    let clock = Arc::new(AtomicU64::new(0));
    let reading = Arc::clone(&clock);
    let mut nsm = SimulatedNsm::new(
        ca,
        identity,
        Box::new(move || attestation::Timestamp::from_millis(reading.load(Ordering::Relaxed))),
        Box::new(SeededRandom::new(3)),
    );
    let step = Duration::from_secs(113 * 60);
    for step_count in 0..400 {
        let now = NOW + step * step_count;
        clock.store(now.as_millis(), Ordering::Relaxed);
        let document = nsm.attest(AttestationRequest::default()).unwrap();
        // For the five minutes that it is fresh.
        for age in [0, 299] {
            let seen = now + Duration::from_secs(age);
            assert!(
                verifier.verify(&document, seen).is_ok(),
                "{step_count} {age}"
            );
        }
    }
}
