use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::forge::{INSTANCE, LEAF, REGIONAL, ROOT, ZONAL};
use super::*;
use crate::nsm::MAX_FIELD_SIZE;
use crate::testing::SeededRandom;

/// 2026-11-22T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

fn ca() -> Arc<SimulatedCa> {
    Arc::new(SimulatedCa::generate(&mut SeededRandom::new(1), NOW).unwrap())
}

fn nsm_with(identity: Identity) -> SimulatedNsm {
    let random = Box::new(SeededRandom::new(2));
    SimulatedNsm::new(ca(), identity, Box::new(|| NOW), random)
}

fn identity() -> Identity {
    Identity::new(&mut SeededRandom::new(3), NOW)
}

fn nsm() -> SimulatedNsm {
    nsm_with(identity())
}

fn sha384(parts: &[&[u8]]) -> Vec<u8> {
    Backend::default().crypto().sha384(parts).to_vec()
}

#[test]
fn module_ids_have_the_form_of_those_of_aws() {
    let identity = identity();
    let (instance, enclave) = identity.module_id().split_once("-enc").unwrap();
    let hex = |text: &str| text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    assert_eq!(instance, identity.instance_id());
    assert!(hex(instance.strip_prefix("i-").unwrap()) && instance.len() == 19);
    assert!(hex(enclave) && enclave.len() == 16);
    let launched = u64::from_str_radix(&enclave[..12], 16).unwrap();
    assert_eq!(Timestamp::from_millis(launched), NOW);
}

#[test]
fn registers_measure_what_those_of_aws_do() {
    let zeros = [0; 48];
    let role = "arn:aws:iam::123456789012:role/enclave";
    let chosen = identity()
        .with_module_id("i-0123456789abcdef0-enc0123456789abcdef")
        .with_role(role)
        .with_pcr(0, [7; 48])
        .with_pcr(8, [8; 48])
        .with_pcr(16, [16; 48]);
    let mut nsm = nsm_with(chosen.clone());
    let mut value = |index| nsm.describe_pcr(index).unwrap().value;
    assert_eq!(value(0), [7; 48]);
    assert_ne!(value(1), zeros);
    assert_ne!(value(2), zeros);
    assert_eq!(value(3), sha384(&[&zeros, role.as_bytes()]));
    assert_eq!(value(4), sha384(&[&zeros, b"i-0123456789abcdef0"]));
    assert_eq!(value(5), zeros);
    assert_eq!(value(8), [8; 48]);
    assert_eq!(value(16), [16; 48]);
    assert_eq!(nsm.describe().unwrap().locked_pcrs, (0..=16).collect());

    let mut debug = nsm_with(chosen.in_debug_mode());
    for index in 0..16 {
        let value = debug.describe_pcr(index).unwrap().value;
        assert_eq!(value != zeros, [3, 4].contains(&index), "PCR{index}");
    }
}

/// The rules that AWS's own check of the hardware tests (nsm-check.rs).
#[test]
fn registers_extend_until_they_are_locked() {
    let mut nsm = nsm();
    for index in 0..16 {
        assert!(nsm.describe_pcr(index).unwrap().locked);
        assert_eq!(nsm.extend_pcr(index, b"x"), Err(NsmError::ReadOnlyIndex));
        assert_eq!(nsm.lock_pcr(index), Err(NsmError::ReadOnlyIndex));
    }
    let once = sha384(&[&[0; 48], b"first"]);
    let twice = sha384(&[&once, b"second"]);
    for index in 16..32 {
        assert_eq!(nsm.extend_pcr(index, b"first").as_ref(), Ok(&once));
        assert_eq!(nsm.extend_pcr(index, b"second").as_ref(), Ok(&twice));
        assert!(!nsm.describe_pcr(index).unwrap().locked);
    }
    assert_eq!(nsm.lock_pcr(20), Ok(()));
    assert_eq!(nsm.lock_pcr(20), Err(NsmError::ReadOnlyIndex));
    assert_eq!(nsm.lock_pcrs(22), Ok(()));
    assert_eq!(nsm.lock_pcrs(32), Ok(()));
    assert_eq!(nsm.lock_pcrs(33), Err(NsmError::InvalidIndex));
    assert_eq!(nsm.extend_pcr(31, b"x"), Err(NsmError::ReadOnlyIndex));
    assert_eq!(nsm.describe_pcr(31).unwrap().value, twice);

    assert_eq!(nsm.describe_pcr(32), Err(NsmError::InvalidIndex));
    assert_eq!(nsm.extend_pcr(32, b"x"), Err(NsmError::InvalidIndex));
    assert_eq!(nsm.lock_pcr(32), Err(NsmError::InvalidIndex));
}

#[test]
fn the_description_is_that_of_the_hardware() {
    let description = nsm().describe().unwrap();
    assert_eq!(description.version, (1, 0, 0));
    assert_eq!(description.module_id, identity().module_id());
    assert_eq!(description.max_pcrs, 32);
    assert_eq!(description.digest, "SHA384");
    assert_eq!(description.locked_pcrs, (0..16).collect());
}

#[test]
fn fields_have_at_most_1024_bytes() {
    let mut nsm = nsm();
    let most = [1; MAX_FIELD_SIZE];
    let more = [1; MAX_FIELD_SIZE + 1];
    let request = AttestationRequest {
        public_key: Some(&most),
        user_data: Some(&most),
        nonce: Some(&most),
    };
    assert!(nsm.attest(request).is_ok());
    let request = AttestationRequest {
        nonce: Some(&more),
        ..AttestationRequest::default()
    };
    let refused = NsmError::FieldTooLong {
        field: "nonce",
        length: 1025,
    };
    assert_eq!(nsm.attest(request), Err(refused));
}

/// The payload, item by item, against the bytes of a real document of 2026.
#[test]
fn payloads_are_written_as_the_hardware_writes_them() {
    let identity = identity().with_module_id("i-0123456789abcdef0-enc0123456789abcdef");
    let mut nsm = nsm_with(identity);
    let request = AttestationRequest {
        user_data: Some(&[]),
        nonce: Some(b"nonce"),
        ..AttestationRequest::default()
    };
    let forge = nsm.forge(request).unwrap();
    let certificates = forge.certificates().unwrap();
    let payload = forge.payload(&certificates).to_cbor();

    let [cabundle @ .., leaf] = certificates.as_slice() else {
        unreachable!();
    };
    let mut expected = vec![0xbf, 0x69];
    expected.extend(b"module_id\x78\x27i-0123456789abcdef0-enc0123456789abcdef");
    expected.extend(b"\x66digest\x66SHA384");
    expected.extend(b"\x69timestamp\x1b");
    expected.extend(NOW.as_millis().to_be_bytes());
    expected.extend(b"\x64pcrs\xb0");
    for index in 0..16 {
        expected.extend([index as u8, 0x58, 48]);
        expected.extend(nsm.describe_pcr(index).unwrap().value);
    }
    let certificate = |der: &Vec<u8>| {
        let [high, low] = (der.len() as u16).to_be_bytes();
        [&[0x59, high, low], der.as_slice()].concat()
    };
    expected.extend(b"\x6bcertificate");
    expected.extend(certificate(leaf));
    expected.extend(b"\x68cabundle\x84");
    expected.extend(cabundle.iter().flat_map(certificate));
    expected.extend(b"\x6apublic_key\xf6\x69user_data\x40\x65nonce\x45nonce\xff");
    assert_eq!(payload, expected);
}

/// What coset builds and what the forge builds by hand are the same message. Deterministic
/// signatures make that visible.
#[cfg(feature = "rustcrypto")]
#[test]
fn the_message_is_the_same_by_either_way() {
    let mut nsm = nsm().with_backend(Backend::RustCrypto);
    let request = AttestationRequest {
        public_key: Some(&[1; 294]),
        ..AttestationRequest::default()
    };
    let document = nsm.attest(request).unwrap();
    assert_eq!(document, nsm.forge(request).unwrap().document().unwrap());
    assert_eq!(document[..8], *b"\x84\x44\xa1\x01\x38\x22\xa0\x59");
    assert_eq!(document[document.len() - 98..][..2], [0x58, 0x60]);
}

/// Certificates stay until they are near their end; then they and all below are made anew.
#[test]
fn certificates_are_renewed_in_time() {
    let clock = Arc::new(AtomicU64::new(NOW.as_millis()));
    let reading = Arc::clone(&clock);
    let mut nsm = SimulatedNsm::new(
        ca(),
        identity(),
        Box::new(move || Timestamp::from_millis(reading.load(Ordering::Relaxed))),
        Box::new(SeededRandom::new(2)),
    );
    let mut certificates_at = |at: Timestamp| {
        clock.store(at.as_millis(), Ordering::Relaxed);
        let forge = nsm.forge(AttestationRequest::default()).unwrap();
        forge.certificates().unwrap()
    };
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    let mut before = certificates_at(NOW);
    for (at, first_new) in [
        (NOW + MINUTE, LEAF + 1),
        (NOW + 169 * MINUTE, LEAF + 1),
        (NOW + 171 * MINUTE, LEAF),
        (NOW + 19 * HOUR, LEAF),
        // The instance's certificate ends in an hour, the next leaf would in three.
        (NOW + 22 * HOUR, INSTANCE),
        (NOW + 120 * HOUR, ZONAL),
        (NOW + 15 * 24 * HOUR, REGIONAL),
        // A clock set back.
        (NOW + 24 * HOUR, REGIONAL),
    ] {
        let after = certificates_at(at);
        for index in ROOT..=LEAF {
            let new = after[index] != before[index];
            assert_eq!(new, index >= first_new, "certificate {index} at {at:?}");
        }
        before = after;
    }
}

#[test]
fn a_ca_survives_as_text() {
    let ca = ca();
    let pem = ca.to_pem().unwrap();
    let again = SimulatedCa::from_pem(&pem).unwrap();
    assert_eq!(again.to_pem().unwrap(), pem);
    assert!(again.root() == ca.root() && again.root().is_simulated());
    assert!(pem.starts_with(&ca.certificate_pem().unwrap()));
    assert!(!ca.certificate_pem().unwrap().contains("PRIVATE"));

    let nsm = SimulatedNsm::new(
        again,
        identity(),
        Box::new(|| NOW),
        Box::new(SeededRandom::new(2)),
    );
    assert_eq!(nsm.trust_root(), &ca.root());
}

#[test]
fn a_damaged_ca_is_refused_by_its_part() {
    let pem = ca().to_pem().unwrap();
    let other = SimulatedCa::generate(&mut SeededRandom::new(9), NOW).unwrap();
    let key_at = pem.find("-----BEGIN PRIVATE").unwrap();
    let (certificate, key) = pem.split_at(key_at);
    let garbled = key.replacen("MIG", "MIH", 1);
    for (name, text, error) in [
        (
            "nothing",
            String::new(),
            SimulatedCaError::Pem("CERTIFICATE"),
        ),
        (
            "no key",
            certificate.into(),
            SimulatedCaError::Pem("PRIVATE KEY"),
        ),
        (
            "no certificate",
            key.into(),
            SimulatedCaError::Pem("CERTIFICATE"),
        ),
        (
            "a key cut short",
            pem[..pem.len() - 40].into(),
            SimulatedCaError::Pem("PRIVATE KEY"),
        ),
        (
            "a garbled key",
            [certificate, &garbled].concat(),
            SimulatedCaError::PrivateKey,
        ),
        (
            "another certificate",
            [&other.certificate_pem().unwrap(), key].concat(),
            SimulatedCaError::KeyMismatch,
        ),
    ] {
        assert_eq!(SimulatedCa::from_pem(&text).err(), Some(error), "{name}");
    }
    // The order of the blocks and what stands around them do not matter.
    let swapped = format!("note\n{key}\n{certificate}");
    assert!(SimulatedCa::from_pem(&swapped).is_ok());
}
