//! The enclave's certificate authority.
//!
//! Its key is made inside and kept as a sealed record, so `ca.pem`, which clients have, stays the
//! same over restarts; nobody but the enclave can issue under it.
//!
//! A start in the authority's last two years makes a new one, which takes its place. With its last
//! act the old one signs the new one's key, and is gone. So each server certificate leads to both:
//! whoever has the old `ca.pem` is served until that ends, and has the time to fetch the new one.

use std::net::IpAddr;
use std::time::Duration;

use attestation::Timestamp;
use der::asn1::{GeneralizedTime, UtcTime};
use der::{AnyRef, Decode as _, ErrorKind, Reader as _, SliceReader, Tag, Tagged as _};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PublicKeyData as _, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::TlsError;
use crate::identity::{self, TlsStatement};

/// The sealed record that holds the authority, PEM one after the other: its certificate, the one that
/// the authority before has made of its key, if there was one, and the key.
pub(crate) const SECRET_NAME: &str = "tls-authority";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the authority's certificate is valid.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(10 * 365);

/// How long before its end an authority is replaced: the time that clients have for it.
const AUTHORITY_OVERLAP: Duration = DAY.saturating_mul(2 * 365);

/// How long a server certificate is valid.
const SERVER_LIFE: Duration = DAY.saturating_mul(9);

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

/// The enclave's certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    end: Timestamp,
    cross: Option<CrossCertificate>,
}

/// What the authority before has made of this one's key.
struct CrossCertificate {
    certificate: CertificateDer<'static>,
    /// When the authority before ends.
    end: Timestamp,
}

impl Authority {
    /// Makes a new authority; the second part is the secret to keep as a sealed record.
    pub(crate) fn generate(now: Timestamp) -> Result<(Self, Zeroizing<Vec<u8>>), TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        Self::with_key(key, now, None)
    }

    /// Makes the authority that takes the place of this one; the second part is the secret to keep
    /// instead of this one's.
    pub(crate) fn successor(&self, now: Timestamp) -> Result<(Self, Zeroizing<Vec<u8>>), TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let mut params = authority_params(&key);
        let left = self.end.as_secs().saturating_sub(now.as_secs());
        set_validity(&mut params, now, Duration::from_secs(left));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        let cross = params.signed_by(&key, &self.issuer)?;
        Self::with_key(key, now, Some(cross))
    }

    fn with_key(
        key: KeyPair,
        now: Timestamp,
        cross: Option<rcgen::Certificate>,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), TlsError> {
        let mut params = authority_params(&key);
        set_validity(&mut params, now, AUTHORITY_LIFE);
        let mut secret = params.self_signed(&key)?.pem();
        secret.extend(cross.map(|cross| cross.pem()));
        let key = Zeroizing::new(key.serialize_pem());
        let secret = Zeroizing::new([secret.as_bytes(), key.as_bytes()].concat());
        Ok((Self::from_secret(&secret)?, secret))
    }

    /// Reads what [`generate`](Self::generate) or [`successor`](Self::successor) made.
    pub(crate) fn from_secret(secret: &[u8]) -> Result<Self, TlsError> {
        const END: &str = "-----END CERTIFICATE-----\n";
        let mut certificates = CertificateDer::pem_slice_iter(secret);
        let mut next = || certificates.next().transpose();
        let certificate = next().ok().flatten();
        let certificate = certificate.ok_or(TlsError::Record("no certificate"))?;
        let cross = next().map_err(|_| TlsError::Record("no second certificate"))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(secret)
            .map_err(|_| TlsError::Record("no private key"))?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P384_SHA384)?;
        let text =
            str::from_utf8(secret).map_err(|_| TlsError::Record("not a text in PEM form"))?;
        let (certificate_pem, _) = text
            .split_once(END)
            .ok_or(TlsError::Record("no end of the certificate"))?;
        Ok(Self {
            certificate_pem: format!("{certificate_pem}{END}"),
            issuer: Issuer::new(authority_params(&key), key),
            end: end(&certificate)?,
            cross: match cross {
                Some(certificate) => Some(CrossCertificate {
                    end: end(&certificate)?,
                    certificate,
                }),
                None => None,
            },
            certificate,
        })
    }

    /// Whether it is time for a successor.
    pub(crate) fn ends_soon(&self, now: Timestamp) -> bool {
        self.end < now + AUTHORITY_OVERLAP
    }

    /// When the authority before ends, if that is still to come.
    pub(crate) fn former_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.cross_at(now).map(|cross| cross.end)
    }

    fn cross_at(&self, now: Timestamp) -> Option<&CrossCertificate> {
        self.cross.as_ref().filter(|cross| now < cross.end)
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
        let mut chain = vec![certificate.der().clone()];
        // Before the authority's own certificate: some clients take the first that fits.
        chain.extend(self.cross_at(now).map(|cross| cross.certificate.clone()));
        chain.push(self.certificate.clone());
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
    // It signs servers, and one authority: its successor.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
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

/// The last moment of a certificate (RFC 5280, 4.1.2.5).
fn end(certificate: &CertificateDer<'_>) -> Result<Timestamp, TlsError> {
    let end = not_after(certificate).map_err(|_| TlsError::Record("no end of the validity"))?;
    Ok(Timestamp::from_secs(end.as_secs()))
}

fn not_after(certificate: &[u8]) -> der::Result<Duration> {
    let missing = || der::Error::from(ErrorKind::Failed);
    let part = |sequence, index: usize| elements(sequence)?.get(index).copied().ok_or_else(missing);
    let to_be_signed = part(AnyRef::from_der(certificate)?, 0)?;
    // After version, serial number, signature and issuer.
    let validity = part(to_be_signed, 4)?;
    let end = part(validity, 1)?;
    Ok(match end.tag() {
        Tag::UtcTime => end.decode_as::<UtcTime>()?.to_unix_duration(),
        _ => end.decode_as::<GeneralizedTime>()?.to_unix_duration(),
    })
}

fn elements(sequence: AnyRef<'_>) -> der::Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(sequence.value())?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader)?);
    }
    Ok(elements)
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

#[cfg(test)]
mod tests;
