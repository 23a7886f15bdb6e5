//! The root of a simulated Nitro PKI, which outlives the modules it certifies.

use pem_rfc7468::LineEnding;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::certificate::{p384_algorithm, p384_spki};
use super::chain;
use crate::asn1::{self, BerError, Reader, tag};
use crate::backend::{Backend, P384KeyPair};
use crate::{Timestamp, TrustRoot};

const CERTIFICATE_LABEL: &str = "CERTIFICATE";
const PRIVATE_KEY_LABEL: &str = "PRIVATE KEY";

/// Why a simulated CA could not be made, read, or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatedCaError {
    /// The PEM text lacks a part.
    #[error("the PEM text has no {0} block, or a broken one")]
    Pem(&'static str),
    /// The private key is not PKCS #8 of P-384.
    #[error("the private key is not a P-384 key in PKCS #8 DER")]
    PrivateKey,
    /// The certificate can not be a trust root.
    #[error("the certificate is not one of a simulated root")]
    Certificate,
    /// The certificate is of another key.
    #[error("the certificate does not belong to the private key")]
    KeyMismatch,
    /// The library failed to make a key or a signature.
    #[error("the cryptographic operation failed")]
    Crypto,
}

/// Root key and certificate of a simulated Nitro PKI.
///
/// It is kept as PEM text ([`to_pem`](Self::to_pem)): a certificate to hand to verifiers and the
/// private key that goes with it. Reading and writing files is left to the caller.
pub struct SimulatedCa {
    key: P384KeyPair,
    certificate: Vec<u8>,
    /// The subject of the certificate: Name, DER.
    subject: Vec<u8>,
    root: TrustRoot,
}

impl SimulatedCa {
    /// Makes a root that is valid for thirty years from `now`, with an hour of grace before.
    ///
    /// # Errors
    /// If `random` does not yield a key.
    pub fn generate(random: &mut dyn CryptoRng, now: Timestamp) -> Result<Self, SimulatedCaError> {
        let crypto = Backend::default().crypto();
        let key = P384KeyPair::generate(crypto, random).map_err(|_| SimulatedCaError::Crypto)?;
        let certificate = chain::root(key.public(), now, crypto, random)
            .sign(&key, crypto)
            .map_err(|_| SimulatedCaError::Crypto)?;
        Self::new(key, certificate)
    }

    fn new(key: P384KeyPair, certificate: Vec<u8>) -> Result<Self, SimulatedCaError> {
        let root = TrustRoot::simulated(&certificate).map_err(|_| SimulatedCaError::Certificate)?;
        let fields = Fields::read(&certificate).map_err(|_| SimulatedCaError::Certificate)?;
        if fields.public_key != p384_spki(key.public()) {
            return Err(SimulatedCaError::KeyMismatch);
        }
        Ok(Self {
            key,
            certificate,
            subject: fields.subject,
            root,
        })
    }

    /// Reads what [`to_pem`](Self::to_pem) wrote.
    ///
    /// # Errors
    /// If a block is missing or broken, or certificate and key do not belong together.
    pub fn from_pem(pem: &str) -> Result<Self, SimulatedCaError> {
        let certificate = pem_block(pem, CERTIFICATE_LABEL)?.to_vec();
        let key = read_pkcs8(&pem_block(pem, PRIVATE_KEY_LABEL)?)?;
        Self::new(key, certificate)
    }

    /// Certificate and private key. The text is secret: who has it makes documents that this
    /// root's verifiers believe.
    ///
    /// # Errors
    /// If the text can not be written.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, SimulatedCaError> {
        let key = write_pkcs8(&self.key);
        let key = pem_rfc7468::encode_string(PRIVATE_KEY_LABEL, LineEnding::LF, &key)
            .map(Zeroizing::new)
            .map_err(|_| SimulatedCaError::Pem(PRIVATE_KEY_LABEL))?;
        let certificate = self.certificate_pem()?;
        let mut pem = Zeroizing::new(String::with_capacity(certificate.len() + key.len()));
        pem.push_str(&certificate);
        pem.push_str(&key);
        Ok(pem)
    }

    /// The certificate alone, for those who are to trust it.
    ///
    /// # Errors
    /// If the text can not be written.
    pub fn certificate_pem(&self) -> Result<String, SimulatedCaError> {
        pem_rfc7468::encode_string(CERTIFICATE_LABEL, LineEnding::LF, &self.certificate)
            .map_err(|_| SimulatedCaError::Pem(CERTIFICATE_LABEL))
    }

    /// The trust root that verifies what this CA's modules attest; a simulated one.
    pub fn root(&self) -> TrustRoot {
        self.root.clone()
    }

    pub(super) fn key(&self) -> &P384KeyPair {
        &self.key
    }

    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(super) fn subject(&self) -> &[u8] {
        &self.subject
    }
}

/// What issuing needs to know of the root certificate.
struct Fields {
    /// Name, DER.
    subject: Vec<u8>,
    /// SubjectPublicKeyInfo, DER.
    public_key: Vec<u8>,
}

impl Fields {
    fn read(certificate: &[u8]) -> Result<Self, BerError> {
        let mut signed = Reader::new(certificate)
            .enter(tag::SEQUENCE)?
            .enter(tag::SEQUENCE)?;
        signed.expect(tag::context_constructed(0))?; // version
        signed.expect(tag::INTEGER)?; // serialNumber
        signed.expect(tag::SEQUENCE)?; // signature
        signed.expect(tag::SEQUENCE)?; // issuer
        signed.expect(tag::SEQUENCE)?; // validity
        let subject = signed.expect(tag::SEQUENCE)?;
        let public_key = signed.expect(tag::SEQUENCE)?;
        Ok(Self {
            subject: asn1::sequence(&[subject]),
            public_key: asn1::sequence(&[public_key]),
        })
    }
}

/// The contents of the one block with this label. Other blocks may stand around it.
fn pem_block(pem: &str, label: &'static str) -> Result<Zeroizing<Vec<u8>>, SimulatedCaError> {
    let broken = SimulatedCaError::Pem(label);
    let end_line = format!("-----END {label}-----");
    let begin = pem
        .find(&format!("-----BEGIN {label}-----"))
        .ok_or(broken)?;
    let block = pem.get(begin..).ok_or(broken)?;
    let end = block.find(&end_line).ok_or(broken)? + end_line.len();
    let block = block.get(..end).ok_or(broken)?;
    match pem_rfc7468::decode_vec(block.as_bytes()) {
        Ok((_, contents)) => Ok(Zeroizing::new(contents)),
        Err(_) => Err(broken),
    }
}

/// PrivateKeyInfo (RFC 5208 section 5) around ECPrivateKey (RFC 5915 section 3), as OpenSSL
/// writes it.
fn write_pkcs8(key: &P384KeyPair) -> Zeroizing<Vec<u8>> {
    let public = asn1::element(
        tag::context_constructed(1),
        &[&asn1::bit_string(key.public().as_bytes())],
    );
    let secret = Zeroizing::new(asn1::octet_string(key.secret()));
    let version = asn1::unsigned_integer(&[1]);
    let ec_key = Zeroizing::new(asn1::sequence(&[&version, &secret, &public]));
    let ec_key = Zeroizing::new(asn1::octet_string(&ec_key));
    let version = asn1::unsigned_integer(&[0]);
    Zeroizing::new(asn1::sequence(&[&version, &p384_algorithm(), &ec_key]))
}

/// Takes what [`write_pkcs8`] writes and nothing else.
fn read_pkcs8(pkcs8: &[u8]) -> Result<P384KeyPair, SimulatedCaError> {
    let secret = pkcs8_secret(pkcs8).map_err(|_| SimulatedCaError::PrivateKey)?;
    let secret = secret
        .try_into()
        .map_err(|_| SimulatedCaError::PrivateKey)?;
    let key = P384KeyPair::from_secret(Backend::default().crypto(), Zeroizing::new(secret))
        .map_err(|_| SimulatedCaError::PrivateKey)?;
    if write_pkcs8(&key).as_slice() == pkcs8 {
        Ok(key)
    } else {
        Err(SimulatedCaError::PrivateKey)
    }
}

fn pkcs8_secret(pkcs8: &[u8]) -> Result<&[u8], BerError> {
    let mut info = Reader::new(pkcs8).enter(tag::SEQUENCE)?;
    info.expect(tag::INTEGER)?; // version
    info.expect(tag::SEQUENCE)?; // privateKeyAlgorithm
    let mut ec_key = info.enter(tag::OCTET_STRING)?.enter(tag::SEQUENCE)?;
    ec_key.expect(tag::INTEGER)?; // version
    ec_key.expect(tag::OCTET_STRING)
}
