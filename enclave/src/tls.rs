//! HTTPS, with a certificate authority that lives and dies inside the enclave.
//!
//! The authority's key is made inside and kept as a sealed record, so `ca.pem`, which clients
//! have, stays the same over restarts; nobody but the enclave can issue under it. The server's own
//! key is new with every start and every renewal and is never written anywhere.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use attestation::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PublicKeyData as _, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::Task;
use crate::clock::Clock;
use crate::error::EnclaveError;
use crate::identity::{self, Identity, TlsStatement};
use crate::log::Notice;

/// The sealed record that holds the authority: its certificate and key, PEM one after the other.
pub(crate) const SECRET_NAME: &str = "tls-authority";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the authority's certificate is valid.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(10 * 365);

/// How long a server certificate is valid.
const SERVER_LIFE: Duration = DAY.saturating_mul(9);

/// When a new server certificate comes. The chain of the document in it is valid for three hours
/// at most, as NSM certificates are.
const RENEWAL: Duration = Duration::from_secs(30 * 60);

/// How far in the past validity begins, for clients whose clock is behind.
const BACKDATE: Duration = DAY;

/// The names every server certificate has, beside the configured ones.
const LOCAL_NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "host.docker.internal"];

/// AWS's commercial regions. The C enclave SDK verifies the endpoint's own host name whatever
/// address it was told to dial, so the certificate has to bear it.
/// <https://docs.aws.amazon.com/general/latest/gr/kms.html>
pub const AWS_REGIONS: [&str; 34] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Why certificates can't be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A configured name is neither a host name nor an address.
    #[error("{0:?} in tls.names is neither a host name nor an IP address")]
    Name(String),
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The sealed record of the authority is not what this program writes.
    #[error("the sealed record of the TLS authority can't be read: {0}")]
    Record(&'static str),
    /// The TLS library refuses the key or certificate.
    #[error("the TLS library refuses the server's key or certificate: {0}")]
    Library(#[from] rustls::Error),
}

/// The enclave's certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

impl Authority {
    /// Makes a new authority; the second part is the secret to keep as a sealed record.
    pub(crate) fn generate(now: Timestamp) -> Result<(Self, Zeroizing<Vec<u8>>), TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let mut params = authority_params(&key);
        set_validity(&mut params, now, AUTHORITY_LIFE);
        let certificate = params.self_signed(&key)?;
        let certificate_pem = certificate.pem();
        let key_pem = Zeroizing::new(key.serialize_pem());
        let secret = Zeroizing::new([certificate_pem.as_bytes(), key_pem.as_bytes()].concat());
        let authority = Self {
            issuer: Issuer::new(authority_params(&key), key),
            certificate: certificate.der().clone(),
            certificate_pem,
        };
        Ok((authority, secret))
    }

    /// Reads what [`generate`](Self::generate) made.
    pub(crate) fn from_secret(secret: &[u8]) -> Result<Self, TlsError> {
        let certificate = CertificateDer::from_pem_slice(secret)
            .map_err(|_| TlsError::Record("no certificate"))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(secret)
            .map_err(|_| TlsError::Record("no private key"))?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P384_SHA384)?;
        let text =
            str::from_utf8(secret).map_err(|_| TlsError::Record("not a text in PEM form"))?;
        let (certificate_pem, _) = text
            .split_once("-----BEGIN PRIVATE KEY-----")
            .ok_or(TlsError::Record("no private key after the certificate"))?;
        Ok(Self {
            certificate_pem: certificate_pem.to_owned(),
            issuer: Issuer::new(authority_params(&key), key),
            certificate,
        })
    }

    /// The authority's certificate in DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The authority's certificate, for clients.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// What a statement says of this authority and a key of the server.
    pub(crate) fn statement(&self, key: &ServerKey) -> TlsStatement {
        TlsStatement {
            ca_sha256: identity::sha256(&self.certificate),
            key_sha256: identity::sha256(&key.0.subject_public_key_info()),
        }
    }

    /// Makes a short-lived certificate for a key of the server. A document that names the key goes
    /// into an extension of it.
    pub(crate) fn issue(
        &self,
        ServerKey(key): ServerKey,
        names: &[String],
        now: Timestamp,
        document: &[u8],
    ) -> Result<CertifiedKey, TlsError> {
        let mut params = CertificateParams::default();
        set_validity(&mut params, now, SERVER_LIFE);
        params.distinguished_name = named("Claviger");
        params.subject_alt_names = subject_alt_names(names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let content = identity::extension_content(document);
        let evidence = CustomExtension::from_oid_content(&identity::EXTENSION, content);
        params.custom_extensions = vec![evidence];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let key = aws_lc_rs::sign::any_supported_type(&key)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        Ok(CertifiedKey::new(chain, key))
    }
}

/// A key pair of the server that there is no certificate for yet.
pub(crate) struct ServerKey(KeyPair);

impl ServerKey {
    pub(crate) fn generate() -> Result<Self, TlsError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }
}

/// What is the same in the authority's certificate and when it issues others: name and key.
fn authority_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Authorities of different enclaves must not share a name: a client that has both would take
    // the wrong one for the issuer.
    let identifier = params.key_identifier(key);
    let mut name = "Claviger enclave ".to_owned();
    for byte in identifier.iter().take(8) {
        name.push_str(&format!("{byte:02x}"));
    }
    params.distinguished_name = named(&name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(common_name: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Sets the validity, which begins a little earlier for clients whose clock is behind.
fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    // rcgen's type for a moment has no constructor from Unix time, but takes durations.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch = Duration::from_secs(now.as_secs());
    params.not_before = epoch + since_epoch.saturating_sub(BACKDATE);
    params.not_after = epoch + since_epoch + life;
}

fn subject_alt_names(configured: &[String]) -> Result<Vec<SanType>, TlsError> {
    let aws = AWS_REGIONS.map(|region| format!("kms.{region}.amazonaws.com"));
    let mut names: Vec<SanType> = Vec::new();
    for name in LOCAL_NAMES
        .into_iter()
        .chain(aws.iter().map(String::as_str))
        .chain(configured.iter().map(String::as_str))
    {
        let san = subject_alt_name(name).ok_or_else(|| TlsError::Name(name.to_owned()))?;
        if !names.contains(&san) {
            names.push(san);
        }
    }
    Ok(names)
}

fn subject_alt_name(name: &str) -> Option<SanType> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(SanType::IpAddress(address));
    }
    // A wildcard is a host name with `*` for its first label.
    let plain = name.strip_prefix("*.").unwrap_or(name);
    rustls_pki_types::DnsName::try_from(plain).ok()?;
    Some(SanType::DnsName(name.try_into().ok()?))
}

/// The server certificate in use, which can be replaced while serving.
pub(crate) struct ServerCertificate(RwLock<InUse>);

#[derive(Clone)]
struct InUse {
    key: Arc<CertifiedKey>,
    statement: TlsStatement,
}

impl ServerCertificate {
    /// A key of the server with a certificate, and what documents say of them.
    pub(crate) fn new(key: CertifiedKey, statement: TlsStatement) -> Self {
        let key = Arc::new(key);
        Self(RwLock::new(InUse { key, statement }))
    }

    /// Uses another certificate for the handshakes to come.
    fn replace(&self, other: Self) {
        let other = other.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other;
    }

    /// What documents say of the keys in use.
    pub(crate) fn statement(&self) -> TlsStatement {
        self.in_use().statement
    }

    fn in_use(&self) -> InUse {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerCertificate")
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.in_use().key)
    }
}

/// TLS 1.3 and 1.2, X25519MLKEM768 preferred, HTTP/2 and HTTP/1.1 by ALPN.
pub(crate) fn server_config(
    certificate: Arc<ServerCertificate>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Makes the server's certificates.
pub(crate) struct Issuance {
    pub(crate) authority: Authority,
    pub(crate) names: Vec<String>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: Clock,
}

impl Issuance {
    /// A new key of the server, attested and certified.
    pub(crate) async fn issue(&self) -> Result<ServerCertificate, EnclaveError> {
        let key = ServerKey::generate()?;
        let statement = self.authority.statement(&key);
        let document = self.identity.document(Some(statement), None).await?;
        let now = self.clock.now();
        let key = self.authority.issue(key, &self.names, now, &document)?;
        Ok(ServerCertificate::new(key, statement))
    }

    /// Replaces the server's certificate from time to time, long before it expires.
    pub(crate) async fn renew(self, certificate: Arc<ServerCertificate>) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match self.issue().await {
                Ok(issued) => {
                    certificate.replace(issued);
                    Notice::CertificateRenewed.log();
                }
                // Its life is many times as long, so there are as many further attempts.
                Err(_) => Notice::CertificateFailed.log(),
            }
        }
    }
}

/// HTTPS, with a certificate that is renewed while serving.
pub(crate) struct Https {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) certificate: Arc<ServerCertificate>,
    pub(crate) ca_pem: String,
    _renewal: Task<()>,
}

impl Https {
    pub(crate) async fn start(issuance: Issuance) -> Result<Self, EnclaveError> {
        let certificate = Arc::new(issuance.issue().await?);
        let config = server_config(Arc::clone(&certificate)).map_err(TlsError::from)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca_pem: issuance.authority.certificate_pem().to_owned(),
            _renewal: Task::spawn(issuance.renew(Arc::clone(&certificate))),
            certificate,
        })
    }
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;
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

    #[test]
    fn the_post_quantum_key_exchange_is_preferred() {
        let groups = aws_lc_rs::default_provider().kx_groups;
        assert_eq!(groups[0].name(), NamedGroup::X25519MLKEM768);
    }
}
