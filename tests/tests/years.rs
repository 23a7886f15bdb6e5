//! What only comes with the years: a certificate authority that ends, and a store that has seen a
//! later time.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use claviger_tests::process::{ACCESS_KEY, Dev, SECRET_KEY};
use claviger_tests::{clients, records, suite};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn clients_of_an_authority_that_was_replaced_are_served_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Dev::start_in(&data, &["--tls"]));
    let published = fs::read_to_string(data.join("ca.pem")).unwrap();
    let old = folder.path().join("old-ca.pem");
    records::replace_edge_secret(&data, "tls-authority", |secret| {
        let secret = str::from_utf8(secret).unwrap();
        let key = secret.strip_prefix(&published).unwrap();
        let certificate = ends_in_a_year(&KeyPair::from_pem(key).unwrap());
        fs::write(&old, &certificate).unwrap();
        (certificate + key).into_bytes()
    });
    suite::pytest_with("test_authority.py", |command| {
        command
            .env("CLAVIGER_DATA", &data)
            .env("CLAVIGER_OLD_CA", &old)
            .env("GOCACHE", clients::folder("go"));
    });
}

/// The certificate that an enclave would have made nine years ago (`enclave::tls::authority`).
fn ends_in_a_year(key: &KeyPair) -> String {
    let mut params = CertificateParams::default();
    let mut name = "Claviger enclave ".to_owned();
    for byte in &params.key_identifier(key)[..8] {
        name.push_str(&format!("{byte:02x}"));
    }
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = SystemTime::now();
    params.not_before = (now - 9 * 365 * DAY).into();
    params.not_after = (now + 365 * DAY).into();
    params.self_signed(key).expect("a certificate").pem()
}

#[test]
fn an_enclave_does_not_start_a_day_before_its_store_was_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Dev::start_in(&data, &[]));
    let started = |data: &Path| {
        Command::new(claviger_tests::claviger())
            .args(["dev", "--listen", "127.0.0.1:0", "--access-key", ACCESS_KEY])
            .args(["--secret-key", SECRET_KEY, "--data"])
            .arg(data)
            .output()
            .unwrap()
    };
    records::replace_edge_secret(&data, "clock-high-water", |seen| {
        let seen = u64::from_be_bytes(seen.try_into().unwrap());
        let later = seen + u64::try_from(DAY.as_millis()).unwrap();
        later.to_be_bytes().to_vec()
    });
    // It ends by itself.
    let refused = started(&data);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    assert!(
        said.contains("behind the latest time that its store has seen"),
        "{said}"
    );
    assert!(!String::from_utf8_lossy(&refused.stdout).contains("ready"));
    // Nothing was changed: with the right time it starts again.
    records::replace_edge_secret(&data, "clock-high-water", |seen| {
        let seen = u64::from_be_bytes(seen.try_into().unwrap());
        let right = seen - u64::try_from(DAY.as_millis()).unwrap();
        right.to_be_bytes().to_vec()
    });
    drop(Dev::start_in(&data, &[]));
}
