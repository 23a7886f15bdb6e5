//! `claviger trust`: from an endpoint nobody knows to a CA bundle that stands for one verified
//! enclave.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use attestation::{
    AttestationDocument, Pcrs, TrustRoot, VerifiedDocument, Verifier, VerifyOptions,
};
use clap::Args;
use enclave::{ATTESTATION_PATH, Freshness, Stage, Statement};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use pem_rfc7468::LineEnding;
use rand_core::Rng as _;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::Failure;
use crate::attest::{describe, now};
use crate::client::{self, ANSWER_TIME, Endpoint};
use crate::random::system_random;
use crate::screen::{Style, print};

/// Bytes of the nonce that makes the answer new.
const NONCE_SIZE: usize = 32;

/// Options of `claviger trust`.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    expected: Expected,
    /// Where to write the CA bundle
    #[arg(long, value_name = "PEM", default_value = "claviger-ca.pem")]
    out: PathBuf,
}

/// Where an enclave is, and by what it is to be recognised.
#[derive(Args)]
pub struct Expected {
    /// The server, as https://HOST:PORT
    #[arg(value_name = "ENDPOINT", value_parser = authority)]
    authority: String,
    /// The measurement of the image that the enclave must run
    #[arg(long, value_name = "HEX", value_parser = measurement)]
    pcr0: Option<Measurement>,
    /// The measurement of its kernel and boot ramdisk
    #[arg(long, value_name = "HEX", value_parser = measurement)]
    pcr1: Option<Measurement>,
    /// The measurement of its application
    #[arg(long, value_name = "HEX", value_parser = measurement)]
    pcr2: Option<Measurement>,
    /// The measurement of the certificate that signed the image
    #[arg(long, value_name = "HEX", value_parser = measurement)]
    pcr8: Option<Measurement>,
    /// Expect the measurements in this file, as the image's build printed them
    #[arg(long, value_name = "JSON")]
    release: Option<PathBuf>,
    /// A simulated root to trust instead of AWS's (repeatable)
    #[arg(long, value_name = "PEM")]
    root: Vec<PathBuf>,
}

/// A PCR's expected value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Measurement([u8; 48]);

/// An enclave that is the expected one, and the way to it.
pub(crate) struct Trusted {
    /// Its document, an answer to our nonce.
    pub(crate) document: Bytes,
    pub(crate) verified: VerifiedDocument,
    pub(crate) statement: Statement,
    /// Its authority's certificate.
    pub(crate) ca_pem: String,
    /// Reaches this enclave or nobody.
    pub(crate) endpoint: Endpoint,
}

/// Verifies the enclave behind an endpoint, and only then writes its CA bundle.
///
/// # Errors
/// When the endpoint can't be reached, its document is not valid, or it is not the enclave that
/// was expected. Then nothing is written.
pub async fn run(options: Options) -> Result<(), Failure> {
    let trusted = options.expected.verify().await?;
    if trusted.statement.stage != Stage::Serving {
        return Err(
            "the enclave has no root key yet, so its certificates are for its operators only: \
             see `claviger genesis` and `claviger unseal`"
                .into(),
        );
    }
    if !trusted.endpoint.is_healthy().await {
        return Err("the server does not serve under the certificates it has attested".into());
    }
    fs::write(&options.out, &trusted.ca_pem)?;
    report(&trusted, &options.out)
}

impl Expected {
    /// Asks for the enclave's document and verifies everything about it.
    pub(crate) async fn verify(&self) -> Result<Trusted, Failure> {
        self.verify_at(ATTESTATION_PATH).await
    }

    /// The same for a document that is to be had elsewhere.
    pub(crate) async fn verify_at(&self, path: &str) -> Result<Trusted, Failure> {
        let expected = expectations(self)?;
        let verifier = self.verifier()?;
        let nonce = nonce();
        let answer = timeout(ANSWER_TIME, ask(&self.authority, path, &nonce)).await;
        let (chain, document) = answer.map_err(|_| client::ClientError::TimedOut)??;

        let verified = verifier.verify(&document, now())?;
        if verified.nonce() != Some(&nonce) {
            return Err(
                "the document is not an answer to this request: its nonce is another".into(),
            );
        }
        check_measurements(verified.pcrs(), &expected)?;
        let statement = verified
            .user_data()
            .and_then(Statement::from_user_data)
            .ok_or("the document's user data is not the statement of a Claviger enclave")?;
        let ca = check_chain(&statement, &chain, &self.authority)?;
        let ca_pem = pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, ca)?;
        Ok(Trusted {
            endpoint: Endpoint::https(&self.authority, ca_pem.as_bytes())?,
            document,
            verified,
            statement,
            ca_pem,
        })
    }

    /// A verifier that believes AWS, or the simulated roots given instead.
    pub(crate) fn verifier(&self) -> Result<Verifier, Failure> {
        let roots = if self.root.is_empty() {
            vec![TrustRoot::aws(), TrustRoot::aws_us_gov()]
        } else {
            let read = |path: &PathBuf| Ok(TrustRoot::simulated(&fs::read(path)?)?);
            self.root.iter().map(read).collect::<Result<_, Failure>>()?
        };
        Ok(Verifier::new(roots, VerifyOptions::default()))
    }
}

/// A new nonce.
pub(crate) fn nonce() -> [u8; NONCE_SIZE] {
    let mut nonce = [0; NONCE_SIZE];
    system_random().fill_bytes(&mut nonce);
    nonce
}

/// What the registers must be. To expect nothing would be to trust anybody's enclave.
fn expectations(options: &Expected) -> Result<Vec<(u16, Measurement)>, Failure> {
    let given = [
        (0, options.pcr0),
        (1, options.pcr1),
        (2, options.pcr2),
        (8, options.pcr8),
    ];
    let mut expected: Vec<_> = given
        .into_iter()
        .filter_map(|(index, value)| Some((index, value?)))
        .collect();
    if let Some(path) = &options.release {
        let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let release = release(&text).map_err(|what| format!("{}: {what}", path.display()))?;
        expected.extend(release);
    }
    if !expected.iter().any(|(index, _)| matches!(index, 0 | 2 | 8)) {
        return Err(
            "say which enclave to expect, with --release, --pcr0, --pcr2 or --pcr8: \
                    anybody can run an enclave of their own"
                .into(),
        );
    }
    Ok(expected)
}

/// The measurements in what `claviger image build` or `nitro-cli build-enclave` printed.
fn release(text: &[u8]) -> Result<Vec<(u16, Measurement)>, String> {
    #[derive(Deserialize)]
    struct Release {
        #[serde(rename = "Measurements")]
        measurements: serde_json::Map<String, Value>,
    }
    let release: Release = serde_json::from_slice(text)
        .map_err(|error| format!("not the JSON that an image's build prints: {error}"))?;
    let mut expected = Vec::new();
    for (name, value) in &release.measurements {
        let Some(index) = name.strip_prefix("PCR") else {
            continue;
        };
        let wrong = || format!("{name} is not a measurement");
        let index = index.parse().map_err(|_| wrong())?;
        let value = value.as_str().ok_or_else(wrong)?;
        expected.push((index, measurement(value).map_err(|_| wrong())?));
    }
    Ok(expected)
}

fn check_measurements(pcrs: &Pcrs, expected: &[(u16, Measurement)]) -> Result<(), Failure> {
    for (index, expected) in expected {
        let found = pcrs.get(usize::from(*index));
        if found != Some(&expected.0[..]) {
            let found = found.map_or_else(|| "not there".to_owned(), hex::encode);
            return Err(format!(
                "this is another enclave: PCR{index} is {found}, expected was {expected}"
            )
            .into());
        }
    }
    Ok(())
}

/// Asks whoever answers for a document; gives the certificates of the connection with it.
async fn ask(
    authority: &str,
    path: &str,
    nonce: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, Bytes), Failure> {
    let tcp = TcpStream::connect(authority)
        .await
        .map_err(|error| format!("no connection to {authority}: {error}"))?;
    let stream = TlsConnector::from(of_anybody()?)
        .connect(server_name(authority)?, tcp)
        .await
        .map_err(|error| format!("no TLS with {authority}: {error}"))?;
    let chain = stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
        .to_vec();
    let request = Request::get(format!("{path}?nonce={}", hex::encode(nonce)))
        .header("host", authority)
        .body(Full::default())?;
    let (status, body) = client::exchange(stream, request).await?;
    if status != 200 {
        let text = String::from_utf8_lossy(&body);
        return Err(format!("no attestation document: HTTP {status}: {}", text.trim()).into());
    }
    Ok((chain, body))
}

/// Checks that the connection's certificates are those that the enclave attested; gives the
/// authority's.
fn check_chain<'c>(
    statement: &Statement,
    chain: &'c [CertificateDer<'static>],
    authority: &str,
) -> Result<&'c CertificateDer<'static>, Failure> {
    let attested = statement
        .tls
        .ok_or("the enclave serves without TLS: there are no certificates to trust")?;
    // Between them may be the one that a former authority has made of this one's key.
    let ([leaf, ca] | [leaf, _, ca]) = chain else {
        return Err("the server's chain is not a certificate and its authority's".into());
    };
    if Sha256::digest(ca)[..] != attested.ca_sha256 {
        return Err(
            "the connection's certificates are not those that the enclave attested: somebody \
             stands between"
                .into(),
        );
    }
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()?
        .verify_server_cert(
            leaf,
            &[],
            &server_name(authority)?,
            &[],
            UnixTime::since_unix_epoch(Duration::from_secs(now().as_secs())),
        )?;
    Ok(ca)
}

/// TLS with whoever answers.
pub(crate) fn of_anybody() -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Takes any certificate for now, but checks that the server has its key: the document decides
/// afterwards.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn report(trusted: &Trusted, out: &Path) -> Result<(), Failure> {
    let style = Style::detect();
    let mut text = describe(&AttestationDocument::parse(&trusted.document)?);
    text += &format!(
        "root          {}\n",
        hex::encode(trusted.verified.root().sha256())
    );
    text += &format!(
        "{}\n",
        style.good("valid, and the enclave that was expected")
    );
    if trusted.verified.root().is_simulated() || trusted.statement.simulated_roots > 0 {
        let warning = "SIMULATED: nothing that this enclave keeps is protected";
        text += &format!("{}\n", style.bad(warning));
    }
    if trusted.statement.freshness == Freshness::None {
        text += "freshness     none: its host could have put back an older copy of its store\n";
    }
    text += &format!(
        "\n  export AWS_CA_BUNDLE={0}\n  export NODE_EXTRA_CA_CERTS={0}\n  \
         export AWS_ENDPOINT_URL_KMS={1}\n",
        absolute(out).display(),
        trusted.endpoint.url()
    );
    Ok(print(&text)?)
}

/// For a variable that other programs read, in whatever folder they run.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn server_name(authority: &str) -> Result<ServerName<'static>, Failure> {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    Ok(ServerName::try_from(
        host.trim_matches(['[', ']']).to_owned(),
    )?)
}

/// `https://HOST[:PORT][/]` or `HOST:PORT`, as `HOST:PORT`.
pub(crate) fn authority(text: &str) -> Result<String, String> {
    if text.starts_with("http://") {
        return Err("without TLS there is nothing to trust: give https://HOST:PORT".to_owned());
    }
    let authority = text.strip_prefix("https://").unwrap_or(text);
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let parsed: hyper::http::uri::Authority = authority
        .parse()
        .map_err(|_| "give https://HOST:PORT".to_owned())?;
    Ok(match parsed.port() {
        Some(_) => authority.to_owned(),
        None => format!("{authority}:443"),
    })
}

fn measurement(text: &str) -> Result<Measurement, String> {
    let mut bytes = [0; 48];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|error| format!("{error}; a PCR is 96 hexadecimal digits"))?;
    Ok(Measurement(bytes))
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https() {
        for (text, expected) in [
            ("https://localhost:8443", Some("localhost:8443")),
            ("https://kms.example.test/", Some("kms.example.test:443")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("https://[::1]:8443", Some("[::1]:8443")),
            ("http://localhost:8080", None),
            ("https://localhost/path", None),
            ("", None),
        ] {
            assert_eq!(authority(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_release_is_what_an_image_build_prints() {
        let pcr = "0a".repeat(48);
        let text = format!(
            r#"{{"Measurements":{{"HashAlgorithm":"Sha384 {{ ... }}","PCR0":"{pcr}","PCR8":"{pcr}"}}}}"#
        );
        let expected = Measurement([0x0a; 48]);
        assert_eq!(
            release(text.as_bytes()),
            Ok(vec![(0, expected), (8, expected)])
        );
        for text in [
            "",
            "{}",
            r#"{"Measurements":{"PCR0":"00"}}"#,
            r#"{"Measurements":{"PCRx":""}}"#,
            r#"{"Measurements":{"PCR0":1}}"#,
        ] {
            assert!(release(text.as_bytes()).is_err(), "{text}");
        }
    }
}
