use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls_pki_types::{ServerName, UnixTime};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

const DOCUMENT: &[u8] = b"an attestation document";

fn issue(
    authority: &Authority,
    names: &[String],
    now: Timestamp,
) -> Result<CertifiedKey, TlsError> {
    authority.issue(ServerKey::generate().unwrap(), names, now, DOCUMENT)
}

fn verify(authority: &Authority, key: &CertifiedKey, name: &str, at: Timestamp) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.as_secs()));
    let name = ServerName::try_from(name).unwrap();
    verifier
        .verify_server_cert(&key.cert[0], &key.cert[1..], &name, &[], at)
        .is_ok()
}

#[test]
fn certificates_verify_for_their_names_while_they_last() {
    let (authority, _) = Authority::generate(NOW).unwrap();
    let names = ["kms.example.test", "*.internal.test", "10.0.0.7"].map(str::to_owned);
    let key = issue(&authority, &names, NOW).unwrap();
    for name in [
        "localhost",
        "127.0.0.1",
        "::1",
        "host.docker.internal",
        "kms.us-east-1.amazonaws.com",
        "kms.eu-central-2.amazonaws.com",
        "kms.example.test",
        "a.internal.test",
        "10.0.0.7",
    ] {
        assert!(verify(&authority, &key, name, NOW), "{name}");
        assert!(verify(&authority, &key, name, NOW + SERVER_LIFE - DAY));
        assert!(!verify(&authority, &key, name, NOW + SERVER_LIFE + DAY));
    }
    assert!(!verify(&authority, &key, "example.test", NOW));
}

#[test]
fn the_authority_is_the_same_after_a_restart() {
    let (before, secret) = Authority::generate(NOW).unwrap();
    let after = Authority::from_secret(&secret).unwrap();
    assert_eq!(before.certificate_pem(), after.certificate_pem());
    assert_eq!(before.certificate, after.certificate);
    let key = issue(&after, &[], NOW + AUTHORITY_LIFE / 2).unwrap();
    assert!(verify(&before, &key, "localhost", NOW + AUTHORITY_LIFE / 2));
    let (other, _) = Authority::generate(NOW).unwrap();
    assert!(!verify(&other, &key, "localhost", NOW + AUTHORITY_LIFE / 2));
}

#[test]
fn a_certificate_carries_the_document_and_the_statement_names_its_key() {
    let (authority, _) = Authority::generate(NOW).unwrap();
    let key = ServerKey::generate().unwrap();
    let statement = authority.statement(&key);
    let certified = authority.issue(key, &[], NOW, DOCUMENT).unwrap();
    let certificate = &certified.cert[0];
    let holds = |part: &[u8]| certificate.windows(part.len()).any(|window| window == part);
    // 1.3.6.1.5.5.7.1.35 in DER, and the octets of the extension's value.
    assert!(holds(&[0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 1, 35]));
    assert!(holds(&identity::extension_content(DOCUMENT)));
    let public_key = certified.key.public_key().unwrap();
    assert_eq!(statement.key_sha256, identity::sha256(&public_key));
    assert_eq!(statement.ca_sha256, identity::sha256(&certified.cert[1]));
}

#[test]
fn an_authority_is_replaced_two_years_before_its_end() {
    let (authority, _) = Authority::generate(NOW).unwrap();
    let last = NOW + AUTHORITY_LIFE - AUTHORITY_OVERLAP;
    assert!(!authority.ends_soon(NOW) && !authority.ends_soon(last));
    assert!(authority.ends_soon(last + Duration::from_secs(1)));
    assert_eq!(authority.former_end(NOW), None);
    // From 2050 on, times have another form.
    let far = Timestamp::from_secs(2_600_000_000);
    let (authority, _) = Authority::generate(far).unwrap();
    assert!(!authority.ends_soon(far) && authority.ends_soon(far + AUTHORITY_LIFE));
}

#[test]
fn clients_of_both_are_served_until_the_old_authority_ends() {
    let (old, _) = Authority::generate(NOW).unwrap();
    let old_end = NOW + AUTHORITY_LIFE;
    let change = old_end - AUTHORITY_OVERLAP / 2;
    let (made, secret) = old.successor(change).unwrap();
    let restarted = Authority::from_secret(&secret).unwrap();
    assert_eq!(made.certificate_pem(), restarted.certificate_pem());
    assert_eq!(made.certificate_pem().matches("BEGIN").count(), 1);
    for new in [&made, &restarted] {
        for now in [change, old_end - DAY] {
            assert_eq!(new.former_end(now), Some(old_end));
            let key = issue(new, &[], now).unwrap();
            assert!(verify(&old, &key, "localhost", now));
            assert!(verify(new, &key, "localhost", now));
            // What the statement, and so `claviger trust`, calls the authority is the last one.
            assert_eq!(key.cert.len(), 3);
            assert_eq!(key.cert[2], new.certificate);
            let after = old_end + DAY;
            assert!(!verify(&old, &key, "localhost", after), "it has ended");
        }
        let key = issue(new, &[], old_end + DAY).unwrap();
        assert_eq!(key.cert.len(), 2);
        assert_eq!(new.former_end(old_end + DAY), None);
        assert!(verify(new, &key, "localhost", old_end + DAY));
        assert!(!verify(&old, &key, "localhost", old_end + DAY));
        assert!(!new.ends_soon(old_end));
    }
    // The old key signs nothing any more: it is in no record.
    let old_key = old.issuer.key().serialized_der();
    assert!(
        PrivatePkcs8KeyDer::from_pem_slice(&secret)
            .unwrap()
            .secret_pkcs8_der()
            != old_key
    );
    assert_eq!(
        str::from_utf8(&secret)
            .unwrap()
            .matches("PRIVATE KEY")
            .count(),
        2
    );
}

#[test]
fn an_authority_that_has_ended_leaves_nothing_to_its_successor() {
    let (old, _) = Authority::generate(NOW).unwrap();
    let late = NOW + AUTHORITY_LIFE + DAY;
    let (new, _) = old.successor(late).unwrap();
    let key = issue(&new, &[], late).unwrap();
    assert_eq!((key.cert.len(), new.former_end(late)), (2, None));
    assert!(verify(&new, &key, "localhost", late));
}

#[test]
fn a_damaged_record_is_an_error() {
    let (_, secret) = Authority::generate(NOW).unwrap();
    let certificate_only = &secret[..secret.len() / 2];
    for record in [b"".as_slice(), b"nonsense", certificate_only] {
        assert!(Authority::from_secret(record).is_err());
    }
}

#[test]
fn a_name_that_is_none_is_an_error() {
    let (authority, _) = Authority::generate(NOW).unwrap();
    for name in ["", "a b", "https://kms.test", "*.", "ä.test"] {
        let issued = issue(&authority, &[name.to_owned()], NOW);
        assert!(matches!(issued, Err(TlsError::Name(_))), "{name}");
    }
}
