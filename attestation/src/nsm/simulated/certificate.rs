//! X.509 certificates as data: every part can be set, then the whole is signed.

use std::time::Duration;

use der::DateTime;

use crate::Timestamp;
use crate::asn1::{self, oid, tag};
use crate::backend::{Crypto, CryptoError, P384KeyPair, P384PublicKey};

/// The parts of a certificate (RFC 5280 section 4.1), each as finished DER unless it says
/// otherwise, so that a test can put anything anywhere.
#[derive(Clone, Debug)]
pub struct CertificateTemplate {
    /// The number in the `[0]` version field, 2 for v3; `None` leaves the field out, which is v1.
    pub version: Option<u8>,
    /// INTEGER serialNumber.
    pub serial: Vec<u8>,
    /// AlgorithmIdentifier inside the signed part.
    pub signature_algorithm: Vec<u8>,
    /// Name of the issuer.
    pub issuer: Vec<u8>,
    /// Time at which the validity begins; see [`time`].
    pub not_before: Vec<u8>,
    /// Time at which it ends.
    pub not_after: Vec<u8>,
    /// Name of the subject.
    pub subject: Vec<u8>,
    /// SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// The extensions, in order.
    pub extensions: Vec<Extension>,
    /// AlgorithmIdentifier outside the signed part.
    pub outer_signature_algorithm: Vec<u8>,
}

/// A certificate extension.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The contents of extnID.
    pub id: Vec<u8>,
    /// The critical field; empty is the default, FALSE.
    pub critical: Vec<u8>,
    /// What extnValue wraps.
    pub value: Vec<u8>,
}

impl Extension {
    /// An extension with the critical field DER has for it.
    pub fn new(id: &[u8], critical: bool, value: Vec<u8>) -> Self {
        Self {
            id: id.to_vec(),
            critical: if critical { TRUE.to_vec() } else { Vec::new() },
            value,
        }
    }

    fn to_der(&self) -> Vec<u8> {
        asn1::sequence(&[
            &asn1::object_identifier(&self.id),
            &self.critical,
            &asn1::octet_string(&self.value),
        ])
    }
}

/// BOOLEAN TRUE.
pub(super) const TRUE: &[u8] = &[0x01, 0x01, 0xff];

impl CertificateTemplate {
    /// The certificate, signed by `issuer`.
    pub(super) fn sign(
        &self,
        issuer: &P384KeyPair,
        crypto: &dyn Crypto,
    ) -> Result<Vec<u8>, CryptoError> {
        let signed = self.signed_part();
        let signature = crypto.sign_es384(issuer, &crypto.sha384(&[&signed]))?;
        Ok(asn1::sequence(&[
            &signed,
            &self.outer_signature_algorithm,
            &asn1::bit_string(&ecdsa_signature(&signature)),
        ]))
    }

    /// TBSCertificate.
    fn signed_part(&self) -> Vec<u8> {
        let version = self.version.map_or_else(Vec::new, |version| {
            let number = asn1::element(tag::INTEGER, &[&[version]]);
            asn1::element(tag::context_constructed(0), &[&number])
        });
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::to_der).collect();
        let extensions = if extensions.is_empty() {
            Vec::new()
        } else {
            asn1::element(
                tag::context_constructed(3),
                &[&asn1::sequence(&[&extensions])],
            )
        };
        asn1::sequence(&[
            &version,
            &self.serial,
            &self.signature_algorithm,
            &self.issuer,
            &asn1::sequence(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.public_key,
            &extensions,
        ])
    }
}

/// Time: UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5). Whole
/// seconds; what is past the year 9999 becomes its last second.
pub fn time(at: Timestamp) -> Vec<u8> {
    let since_epoch = Duration::from_secs(at.as_secs());
    let Ok(time) = DateTime::from_unix_duration(since_epoch) else {
        return asn1::element(tag::GENERALIZED_TIME, &[b"99991231235959Z"]);
    };
    let after_year = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        time.month(),
        time.day(),
        time.hour(),
        time.minutes(),
        time.seconds()
    );
    let (tag, year) = match time.year() {
        year @ 1970..2050 => (tag::UTC_TIME, format!("{:02}", year % 100)),
        year => (tag::GENERALIZED_TIME, format!("{year:04}")),
    };
    asn1::element(tag, &[year.as_bytes(), after_year.as_bytes()])
}

/// An attribute type of distinguished names: the last arc of its identifier, id-at is 2.5.4
/// (X.520), and the string type that AWS writes it with.
#[derive(Clone, Copy)]
pub(super) struct Attribute {
    arc: u8,
    string: u8,
}

impl Attribute {
    pub(super) const COMMON_NAME: Self = Self::utf8(3);
    pub(super) const COUNTRY: Self = Self {
        arc: 6,
        string: tag::PRINTABLE_STRING,
    };
    pub(super) const LOCALITY: Self = Self::utf8(7);
    pub(super) const STATE: Self = Self::utf8(8);
    pub(super) const ORGANIZATION: Self = Self::utf8(10);
    pub(super) const UNIT: Self = Self::utf8(11);

    const fn utf8(arc: u8) -> Self {
        let string = tag::UTF8_STRING;
        Self { arc, string }
    }
}

/// Name: one attribute in each RelativeDistinguishedName.
pub(super) fn name(attributes: &[(Attribute, &str)]) -> Vec<u8> {
    let names: Vec<u8> = attributes
        .iter()
        .flat_map(|(attribute, text)| {
            let pair = asn1::sequence(&[
                &asn1::object_identifier(&[0x55, 0x04, attribute.arc]),
                &asn1::element(attribute.string, &[text.as_bytes()]),
            ]);
            asn1::element(tag::SET, &[&pair])
        })
        .collect();
    asn1::sequence(&[&names])
}

/// AlgorithmIdentifier of ecdsa-with-SHA384 (RFC 5758 section 3.2: no parameters).
pub(super) fn ecdsa_with_sha384() -> Vec<u8> {
    asn1::sequence(&[&asn1::object_identifier(oid::ECDSA_WITH_SHA384)])
}

/// AlgorithmIdentifier of a key on secp384r1 (RFC 5480 section 2.1.1).
pub(super) fn p384_algorithm() -> Vec<u8> {
    asn1::sequence(&[
        &asn1::object_identifier(oid::EC_PUBLIC_KEY),
        &asn1::object_identifier(oid::SECP384R1),
    ])
}

/// SubjectPublicKeyInfo of a P-384 key.
pub(super) fn p384_spki(key: &P384PublicKey) -> Vec<u8> {
    asn1::sequence(&[&p384_algorithm(), &asn1::bit_string(key.as_bytes())])
}

/// ECDSA-Sig-Value (RFC 3279 section 2.2.3) from r ‖ s.
fn ecdsa_signature(raw: &[u8; 96]) -> Vec<u8> {
    let (r, s) = raw.split_at(48);
    asn1::sequence(&[&asn1::unsigned_integer(r), &asn1::unsigned_integer(s)])
}
