//! Calls with a recipient: plaintext leaves for a verified enclave only, and nothing leaves
//! without one.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use attestation::nsm::{AttestationRequest, Identity, Nsm, SimulatedCa, SimulatedNsm, forge};
use attestation::{RecipientPrivateKey, Timestamp, TrustRoot};
use serde_json::{Value, json};

use crate::server::{Answer, START, Server, TestRandom, base64, blob, key_arn};

/// The CA that the servers of these tests trust, and one that nobody does.
static CA: LazyLock<Arc<SimulatedCa>> = LazyLock::new(|| ca(11));
static OTHER_CA: LazyLock<Arc<SimulatedCa>> = LazyLock::new(|| ca(12));

/// The key inside the client enclave. Making one takes long.
static RECIPIENT: LazyLock<RecipientPrivateKey> =
    LazyLock::new(|| RecipientPrivateKey::generate(2048).unwrap());

fn ca(seed: u64) -> Arc<SimulatedCa> {
    Arc::new(SimulatedCa::generate(&mut TestRandom::new(seed), START).unwrap())
}

fn identity() -> Identity {
    Identity::new(&mut TestRandom::new(13), START)
}

fn nsm(ca: &Arc<SimulatedCa>, identity: Identity, now: Timestamp) -> SimulatedNsm {
    let random = Box::new(TestRandom::new(14));
    SimulatedNsm::new(Arc::clone(ca), identity, Box::new(move || now), random)
}

fn with_key() -> AttestationRequest<'static> {
    AttestationRequest {
        public_key: Some(RECIPIENT.public_key_spki()),
        ..AttestationRequest::default()
    }
}

fn document() -> Vec<u8> {
    nsm(&CA, identity(), START).attest(with_key()).unwrap()
}

pub(crate) fn recipient(document: &[u8]) -> Value {
    json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": base64(document),
    })
}

/// A document, and its PCR0 in hexadecimal.
pub(crate) fn document_and_pcr0() -> (Vec<u8>, String) {
    let document = document();
    let parsed = attestation::AttestationDocument::parse(&document).unwrap();
    let pcr0 = hex::encode(parsed.pcrs().get(0).unwrap());
    (document, pcr0)
}

/// The root that the documents of these tests lead to.
pub(crate) fn root() -> TrustRoot {
    CA.root()
}

pub(crate) fn server() -> Server {
    Server::trusting(vec![root()])
}

/// The names of an answer's members, sorted.
fn members(answer: &Value) -> Vec<&str> {
    let mut names: Vec<_> = answer
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

fn open(answer: &Value) -> Vec<u8> {
    RECIPIENT
        .open(&blob(&answer["CiphertextForRecipient"]))
        .unwrap()
        .to_vec()
}

/// A request of every operation that takes a recipient.
fn attested_requests(server: &mut Server, id: &str) -> Vec<(&'static str, Value)> {
    let request = json!({"KeyId": id, "Plaintext": base64("the secret plaintext")});
    let ciphertext = server.call("Encrypt", request).ok()["CiphertextBlob"].clone();
    let agreeing = server.create_key_of("ECC_NIST_P384", "KEY_AGREEMENT");
    let public = server.call("GetPublicKey", json!({"KeyId": agreeing})).ok();
    let derive = json!({
        "KeyId": agreeing,
        "KeyAgreementAlgorithm": "ECDH",
        "PublicKey": public["PublicKey"],
    });
    vec![
        ("Decrypt", json!({"CiphertextBlob": ciphertext})),
        (
            "GenerateDataKey",
            json!({"KeyId": id, "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKeyPair",
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        ("GenerateRandom", json!({"NumberOfBytes": 32})),
        ("DeriveSharedSecret", derive),
    ]
}

#[test]
fn the_enclave_and_only_the_enclave_gets_the_plaintext() {
    let mut server = server();
    let id = server.create_key();
    for (operation, mut request) in attested_requests(&mut server, &id) {
        let in_the_open = request.clone();
        request["Recipient"] = recipient(&document());
        let answer = server.call(operation, request).ok();
        let secret = open(&answer);
        let (expected, encrypted): (&[&str], Option<&Value>) = match operation {
            "Decrypt" => {
                assert_eq!(secret, b"the secret plaintext");
                let expected = &[
                    "CiphertextForRecipient",
                    "EncryptionAlgorithm",
                    "KeyId",
                    "KeyMaterialId",
                ];
                (expected, None)
            }
            "GenerateDataKey" => {
                assert_eq!(secret.len(), 32);
                let expected = &[
                    "CiphertextBlob",
                    "CiphertextForRecipient",
                    "KeyId",
                    "KeyMaterialId",
                ];
                (expected, Some(&answer["CiphertextBlob"]))
            }
            "GenerateDataKeyPair" => {
                assert_eq!(secret[0], 0x30, "PKCS#8");
                let expected = &[
                    "CiphertextForRecipient",
                    "KeyId",
                    "KeyMaterialId",
                    "KeyPairSpec",
                    "PrivateKeyCiphertextBlob",
                    "PublicKey",
                ];
                (expected, Some(&answer["PrivateKeyCiphertextBlob"]))
            }
            "DeriveSharedSecret" => {
                let derived = server.call(operation, in_the_open).ok();
                assert_eq!(blob(&derived["SharedSecret"]), secret);
                let expected = &[
                    "CiphertextForRecipient",
                    "KeyAgreementAlgorithm",
                    "KeyId",
                    "KeyOrigin",
                ];
                (expected, None)
            }
            _ => {
                assert_eq!(secret.len(), 32);
                (&["CiphertextForRecipient"], None)
            }
        };
        assert_eq!(members(&answer), expected, "{operation}");
        if !["GenerateRandom", "DeriveSharedSecret"].contains(&operation) {
            assert_eq!(answer["KeyId"], key_arn(&id));
        }
        if let Some(ciphertext) = encrypted {
            let opened = server
                .call("Decrypt", json!({"CiphertextBlob": ciphertext}))
                .ok();
            assert_eq!(blob(&opened["Plaintext"]), secret);
        }
    }
}

#[test]
fn a_4096_byte_plaintext_reaches_the_enclave() {
    let mut server = server();
    let id = server.create_key();
    let request = json!({"KeyId": id, "Plaintext": base64([5; 4096])});
    let ciphertext = server.call("Encrypt", request).ok()["CiphertextBlob"].clone();
    let request = json!({"CiphertextBlob": ciphertext, "Recipient": recipient(&document())});
    assert_eq!(open(&server.call("Decrypt", request).ok()), [5; 4096]);
}

#[test]
fn a_document_serves_as_long_as_it_is_fresh() {
    let mut server = server();
    let id = server.create_key();
    let request = json!({"KeyId": id, "KeySpec": "AES_256", "Recipient": recipient(&document())});
    server.pass(Duration::from_secs(299));
    server.call("GenerateDataKey", request.clone()).ok();
    server.pass(Duration::from_secs(2));
    refused(&server.call("GenerateDataKey", request));
}

/// Every way we know to make a bad document, or no document at all.
fn bad_documents() -> Vec<(&'static str, Vec<u8>)> {
    let good = document();
    let ago = |seconds| Timestamp::from_secs(START.as_secs() - seconds);
    let from_now = |seconds| Timestamp::from_secs(START.as_secs() + seconds);
    let mut bad = vec![
        ("one byte", vec![0]),
        ("nonsense", b"not a document at all".to_vec()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("longer", [good.as_slice(), &[0]].concat()),
        (
            "untrusted root",
            nsm(&OTHER_CA, identity(), START)
                .attest(with_key())
                .unwrap(),
        ),
        (
            "stale",
            nsm(&CA, identity(), ago(301)).attest(with_key()).unwrap(),
        ),
        (
            "from the future",
            nsm(&CA, identity(), from_now(61))
                .attest(with_key())
                .unwrap(),
        ),
        (
            "debug mode",
            nsm(&CA, identity().in_debug_mode(), START)
                .attest(with_key())
                .unwrap(),
        ),
        (
            "no public key",
            nsm(&CA, identity(), START)
                .attest(AttestationRequest::default())
                .unwrap(),
        ),
    ];
    for (name, public_key) in [
        ("empty public key", Vec::new()),
        ("public key that is none", vec![4; 65]),
        ("elliptic curve public key", elliptic_curve_spki()),
        (
            "damaged public key",
            [RECIPIENT.public_key_spki(), &[0]].concat(),
        ),
    ] {
        let request = AttestationRequest {
            public_key: Some(&public_key),
            ..AttestationRequest::default()
        };
        bad.push((name, nsm(&CA, identity(), START).attest(request).unwrap()));
    }
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    bad.push(("flipped signature", flipped));
    let mut flipped = good;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    bad.push(("flipped in the middle", flipped));

    // A forger who holds a leaf key of their own below our intermediate names, and one who
    // strips the signature.
    let mut forged = nsm(&CA, identity(), START).forge(with_key()).unwrap();
    forged.rekey(forge::ROOT, &mut TestRandom::new(15)).unwrap();
    bad.push(("another root of the same name", forged.document().unwrap()));
    let forged = nsm(&CA, identity(), START).forge(with_key()).unwrap();
    let payload = forged.payload(&forged.certificates().unwrap()).to_cbor();
    let mut message = forged.sign(payload).unwrap();
    message.signature = forge::cbor::bytes(&[0; 96]);
    bad.push(("no signature", message.to_cbor()));
    bad
}

fn elliptic_curve_spki() -> Vec<u8> {
    use kms::key_pair::{AwsLcKeyPairs, KeyPairSource};
    let spec = kms::protocol::spec::KeyPairSpec::EccNistP384;
    AwsLcKeyPairs.generate(spec).ok().unwrap().public_spki
}

#[test]
fn bad_documents_never_yield_plaintext() {
    let mut server = server();
    let id = server.create_key();
    for (operation, request) in attested_requests(&mut server, &id) {
        for (name, document) in bad_documents() {
            for dry_run in [false, true] {
                let mut request = request.clone();
                request["Recipient"] = recipient(&document);
                if dry_run && operation != "GenerateRandom" {
                    request["DryRun"] = json!(true);
                }
                let answer = server.call(operation, request);
                let message = refused(&answer);
                assert!(
                    message.starts_with("The attestation document "),
                    "{name}: {message}"
                );
                let recorded = &answer.event["additionalEventData"]["recipient"];
                assert_eq!(
                    *recorded,
                    Value::Null,
                    "{name}: nothing is recorded as attested"
                );
            }
        }
    }
}

#[test]
fn a_recipient_has_both_members() {
    let mut server = server();
    let id = server.create_key();
    let whole = recipient(&document());
    for (operation, request) in attested_requests(&mut server, &id) {
        for half in [
            json!({}),
            json!({"AttestationDocument": whole["AttestationDocument"]}),
            json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ] {
            let mut request = request.clone();
            request["Recipient"] = half;
            server.call(operation, request).expect_error(
                "ValidationException",
                "Recipient must contain both KeyEncryptionAlgorithm and AttestationDocument.",
            );
        }
        for (member, value) in [
            ("KeyEncryptionAlgorithm", json!("RSAES_OAEP_SHA_1")),
            ("AttestationDocument", json!("")),
        ] {
            let mut request = request.clone();
            request["Recipient"] = whole.clone();
            request["Recipient"][member] = value;
            refused(&server.call(operation, request));
        }
        let mut request = request.clone();
        request["Recipient"] = whole.clone();
        request["Recipient"]["AttestationDocument"] = json!("not base64!");
        assert_eq!(
            server.call(operation, request).error().0,
            "SerializationException"
        );
    }
}

#[test]
fn the_largest_document_the_model_allows_is_refused_as_any_other() {
    let mut server = server();
    for (length, expected) in [
        (262_144, "The attestation document is not valid"),
        (262_145, "1 validation error detected"),
    ] {
        let request = json!({"NumberOfBytes": 1, "Recipient": recipient(&vec![0x84; length])});
        let message = refused(&server.call("GenerateRandom", request));
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_document_does_not_help_where_the_caller_has_no_rights() {
    let mut server = server();
    let id = server.create_key();
    server.add_user(crate::server::ACCOUNT, "bob", kms::principal::Access::None);
    let bob = crate::server::Client::of("bob");
    for (operation, mut request) in attested_requests(&mut server, &id) {
        request["Recipient"] = recipient(&document());
        let answer = server.call_as(&bob, operation, request);
        assert_eq!(answer.error().0, "AccessDeniedException", "{operation}");
    }
}

#[test]
fn measurements_are_recorded_as_aws_does() {
    let mut server = server();
    let identity = identity()
        .with_pcr(8, [8; 48])
        .with_role("arn:aws:iam::111122223333:role/r");
    let module_id = identity.module_id().to_owned();
    let mut nsm = nsm(&CA, identity, START);
    let pcr = |nsm: &mut SimulatedNsm, index| base64(nsm.describe_pcr(index).unwrap().value);
    let expected = json!({
        "attestationDocumentModuleId": module_id,
        "attestationDocumentEnclaveImageDigest": pcr(&mut nsm, 0),
        "attestationDocumentEnclavePCR1": pcr(&mut nsm, 1),
        "attestationDocumentEnclavePCR2": pcr(&mut nsm, 2),
        "attestationDocumentEnclavePCR3": pcr(&mut nsm, 3),
        "attestationDocumentEnclavePCR4": pcr(&mut nsm, 4),
        "attestationDocumentEnclavePCR8": pcr(&mut nsm, 8),
    });
    let document = nsm.attest(with_key()).unwrap();
    let request = json!({"NumberOfBytes": 32, "Recipient": recipient(&document)});
    let answer = server.call("GenerateRandom", request);
    answer.ok();
    assert_eq!(answer.event["additionalEventData"]["recipient"], expected);
    // Also when the call is refused for another reason.
    let request = json!({
        "KeyId": "alias/none", "KeySpec": "AES_256", "Recipient": recipient(&document),
    });
    let answer = server.call("GenerateDataKey", request);
    assert_eq!(answer.error().0, "NotFoundException");
    assert_eq!(answer.event["additionalEventData"]["recipient"], expected);
}

/// The message of an answer that must be a ValidationException and nothing else.
#[track_caller]
fn refused(answer: &Answer) -> String {
    let (code, message) = answer.error();
    assert_eq!(code, "ValidationException", "{message}");
    let json = answer.json();
    assert_eq!(members(&json), ["__type", "message"]);
    message
}
