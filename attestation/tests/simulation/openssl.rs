use std::fs;
use std::path::Path;
use std::process::Command;

use attestation::Nsm;
use attestation::nsm::{AttestationRequest, SimulatedCa};

use crate::testing::SeededRandom;
use crate::{MODULE_ID, NOW, certificates, nsm};

/// Runs `openssl` and returns what it prints, on either stream.
fn openssl(arguments: &[&str], directory: &Path) -> (bool, String) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("this test needs the openssl command");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A folder with the certificates of a new document, and the root's key.
fn folder_with_certificates(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("simulation-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let document = nsm().attest(AttestationRequest::default()).unwrap();
    let pem = |der: &[u8]| {
        let ending = pem_rfc7468::LineEnding::LF;
        pem_rfc7468::encode_string("CERTIFICATE", ending, der).unwrap()
    };
    let [root, between @ .., leaf] = &certificates(&document)[..] else {
        unreachable!();
    };
    let between: String = between.iter().map(|der| pem(der)).collect();
    for (file, text) in [
        ("root.pem", pem(root)),
        ("between.pem", between),
        ("leaf.pem", pem(leaf)),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
    let ca = SimulatedCa::generate(&mut SeededRandom::new(1), NOW).unwrap();
    fs::write(folder.join("ca.pem"), ca.to_pem().unwrap().as_bytes()).unwrap();
    folder
}

#[test]
fn openssl_verifies_the_chain_in_its_time() {
    let folder = folder_with_certificates("verify");
    let verify = |options: &[&str], at: u64| {
        let at = at.to_string();
        let files = [
            "-CAfile",
            "root.pem",
            "-untrusted",
            "between.pem",
            "leaf.pem",
        ];
        openssl(
            &[&["verify", "-attime", &at], options, &files].concat(),
            &folder,
        )
    };
    let now = NOW.as_secs();
    // In the last second OpenSSL already calls a certificate expired.
    for at in [now - 3, now, now + 3 * 3600 - 1] {
        let (verified, text) = verify(&[], at);
        assert!(verified && text.trim() == "leaf.pem: OK", "{at}: {text}");
    }
    for (at, complaint) in [
        (now - 4, "certificate is not yet valid"),
        (now + 3 * 3600 + 1, "certificate has expired"),
    ] {
        let (verified, text) = verify(&[], at);
        assert!(!verified && text.contains(complaint), "{at}: {text}");
    }
    // Strictly, a leaf has an authority key identifier. AWS's have none, so neither have these;
    // nothing else is wrong with any of the certificates.
    let (_, text) = verify(&["-x509_strict"], now);
    let errors: Vec<_> = text
        .lines()
        .filter(|line| line.contains(" depth lookup"))
        .collect();
    assert_eq!(
        errors,
        ["error 85 at 0 depth lookup: Missing Authority Key Identifier"],
        "{text}"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn openssl_reads_the_certificates_as_they_are_meant() {
    let folder = folder_with_certificates("text");
    let text = |file: &str| {
        let arguments = [
            "x509", "-noout", "-text", "-nameopt", "RFC2253", "-in", file,
        ];
        let (read, text) = openssl(&arguments, &folder);
        assert!(read, "{text}");
        text
    };
    let leaf = text("leaf.pem");
    for part in [
        "Version: 3 (0x2)",
        "Signature Algorithm: ecdsa-with-SHA384",
        // The enclave of the module id, then the time of issue.
        "Serial Number:\n            01:9a:bb:0a:d2:c0:01:23:00:00:00:00:6b:02:d9:40",
        "Not Before: Nov 22 11:59:57 2026 GMT",
        "Not After : Nov 22 15:00:00 2026 GMT",
        &format!(
            "Subject: CN={MODULE_ID}.eu-central-1.aws,OU=Simulated NSM,O=Claviger,L=Seattle,\
             ST=Washington,C=US"
        ),
        "ASN1 OID: secp384r1",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: \n                Digital Signature, Non Repudiation",
    ] {
        assert!(leaf.contains(part), "{part}\n{leaf}");
    }
    let root = text("root.pem");
    for part in [
        "Subject: CN=simulated.nitro-enclaves,OU=Simulated NSM,O=Claviger,C=US",
        "X509v3 Basic Constraints: critical\n                CA:TRUE\n",
        "X509v3 Key Usage: critical\n                Digital Signature, Certificate Sign, CRL Sign",
    ] {
        assert!(root.contains(part), "{part}\n{root}");
    }
    let regional = text("between.pem");
    for part in [
        "CA:TRUE, pathlen:2",
        ".invalid/crl/",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(regional.contains(part), "{part}\n{regional}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// The text of a CA is what OpenSSL takes for a key and its certificate.
#[test]
fn openssl_reads_a_stored_ca() {
    let folder = folder_with_certificates("ca");
    let (read, from_key) = openssl(&["pkey", "-in", "ca.pem", "-pubout"], &folder);
    assert!(read, "{from_key}");
    let (read, from_certificate) =
        openssl(&["x509", "-in", "ca.pem", "-noout", "-pubkey"], &folder);
    assert!(read, "{from_certificate}");
    assert_eq!(from_key, from_certificate);
    let (sound, text) = openssl(&["pkey", "-in", "ca.pem", "-check", "-noout"], &folder);
    assert!(sound && text.contains("Key is valid"), "{text}");
    fs::remove_dir_all(folder).unwrap();
}
