//! HTTPS, with a certificate authority that lives and dies inside the enclave (`authority`).
//!
//! The server's own key is new with every start and every renewal and is never written anywhere.

mod authority;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;

pub use self::authority::AWS_REGIONS;
pub(crate) use self::authority::{Authority, SECRET_NAME, ServerKey};
use crate::Task;
use crate::clock::Clock;
use crate::error::EnclaveError;
use crate::identity::{Identity, TlsStatement};
use crate::log::Notice;

/// When a new server certificate comes. The chain of the document in it is valid for three hours
/// at most, as NSM certificates are.
const RENEWAL: Duration = Duration::from_secs(30 * 60);

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

    use super::*;

    #[test]
    fn the_post_quantum_key_exchange_is_preferred() {
        let groups = aws_lc_rs::default_provider().kx_groups;
        assert_eq!(groups[0].name(), NamedGroup::X25519MLKEM768);
    }
}
