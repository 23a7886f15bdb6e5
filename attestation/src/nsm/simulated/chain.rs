//! The certificates over a simulated document, shaped like AWS's: root, regional, zonal,
//! instance, leaf.
//!
//! Everything that a reader of the real ones could see is the same: names and the order of their
//! attributes, lifetimes, path lengths, key usages, the extensions and their order, even how the
//! serial number of a leaf is made. Only organization and unit say that nothing here is Amazon's,
//! and revocation lists point to a host that can not exist.

use std::time::Duration;

use rand_core::CryptoRng;

use super::ca::{SimulatedCa, SimulatedCaError};
use super::certificate::{
    Attribute, CertificateTemplate, Extension, ecdsa_with_sha384, name, p384_spki, time,
};
use super::identity::Identity;
use crate::Timestamp;
use crate::asn1::{self, tag};
use crate::backend::{Crypto, CryptoError, P384KeyPair, P384PublicKey};

const COUNTRY: (Attribute, &str) = (Attribute::COUNTRY, "US");
const ORGANIZATION: (Attribute, &str) = (Attribute::ORGANIZATION, "Claviger");
const UNIT: (Attribute, &str) = (Attribute::UNIT, "Simulated NSM");
const LOCALITY: (Attribute, &str) = (Attribute::LOCALITY, "Seattle");

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Extension identifiers, id-ce is 2.5.29 (RFC 5280 section 4.2.1).
mod id {
    pub(super) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 14];
    pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub(super) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
    pub(super) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
}

/// The named bits of KeyUsage as DER has them: unused bits, then the bits.
const SIGN_CERTIFICATES_AND_CRLS: [u8; 2] = [1, 0b1000_0110];
const SIGN_CERTIFICATES: [u8; 2] = [2, 0b0000_0100];
const SIGN_DATA: [u8; 2] = [6, 0b1100_0000];

/// The root certificate of a new CA.
pub(super) fn root(
    key: &P384PublicKey,
    now: Timestamp,
    crypto: &dyn Crypto,
    random: &mut dyn CryptoRng,
) -> CertificateTemplate {
    let common_name = (Attribute::COMMON_NAME, "simulated.nitro-enclaves");
    let subject = name(&[COUNTRY, ORGANIZATION, UNIT, common_name]);
    CertificateTemplate {
        version: Some(2),
        serial: random_serial::<16>(random),
        signature_algorithm: ecdsa_with_sha384(),
        issuer: subject.clone(),
        not_before: time(now - HOUR),
        not_after: time(now + 10_958 * DAY),
        subject,
        public_key: p384_spki(key),
        extensions: vec![
            basic_constraints_ca(None),
            subject_key_identifier(key, crypto),
            key_usage(SIGN_CERTIFICATES_AND_CRLS),
        ],
        outer_signature_algorithm: ecdsa_with_sha384(),
    }
}

/// A place in the chain below the root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Regional,
    Zonal,
    Instance,
    Leaf,
}

impl Level {
    const TOP_DOWN: [Self; 4] = [Self::Regional, Self::Zonal, Self::Instance, Self::Leaf];

    /// How long before its making a certificate begins to be valid.
    fn grace(self) -> Duration {
        match self {
            Self::Leaf => Duration::from_secs(3),
            _ => HOUR,
        }
    }

    /// From the begin to the end of the validity.
    fn lifetime(self) -> Duration {
        match self {
            Self::Regional => 20 * DAY + HOUR,
            Self::Zonal => 6 * DAY,
            Self::Instance => DAY,
            Self::Leaf => 3 * HOUR + self.grace(),
        }
    }

    /// How much of the validity must be left for the certificate to be used for something new.
    /// What it signs stays within it; a document is good for minutes.
    fn margin(self) -> Duration {
        match self {
            Self::Regional => Self::Zonal.lifetime(),
            Self::Zonal => Self::Instance.lifetime(),
            Self::Instance => Self::Leaf.lifetime(),
            Self::Leaf => Duration::from_secs(600),
        }
    }

    fn serial(self, identity: &Identity, now: Timestamp, random: &mut dyn CryptoRng) -> Vec<u8> {
        match self {
            Self::Regional | Self::Zonal => random_serial::<16>(random),
            Self::Instance => random_serial::<20>(random),
            // As AWS does: the enclave, then the time of issue.
            Self::Leaf => asn1::unsigned_integer(
                &[
                    identity.enclave_number().to_be_bytes(),
                    now.as_secs().to_be_bytes(),
                ]
                .concat(),
            ),
        }
    }

    fn subject(self, identity: &Identity, random: &mut dyn CryptoRng) -> Vec<u8> {
        let region = identity.region();
        let common_name = match self {
            Self::Regional => {
                let id = random.next_u64();
                format!("{id:016x}.{region}.aws.nitro-enclaves")
            }
            Self::Zonal => {
                let id = random.next_u64();
                format!("{id:016x}.zonal.{region}.aws.nitro-enclaves")
            }
            Self::Instance => format!("{}.{region}.aws.nitro-enclaves", identity.instance_id()),
            Self::Leaf => format!("{}.{region}.aws", identity.module_id()),
        };
        let common_name = (Attribute::COMMON_NAME, common_name.as_str());
        let state = |name| (Attribute::STATE, name);
        match self {
            Self::Regional => name(&[COUNTRY, ORGANIZATION, UNIT, common_name]),
            // Backwards, but for the last two.
            Self::Zonal => name(&[
                common_name,
                UNIT,
                ORGANIZATION,
                COUNTRY,
                state("WA"),
                LOCALITY,
            ]),
            Self::Instance | Self::Leaf => name(&[
                COUNTRY,
                state("Washington"),
                LOCALITY,
                ORGANIZATION,
                UNIT,
                common_name,
            ]),
        }
    }

    fn extensions(
        self,
        identity: &Identity,
        issuer: &P384PublicKey,
        key: &P384PublicKey,
        crypto: &dyn Crypto,
        random: &mut dyn CryptoRng,
    ) -> Vec<Extension> {
        let region = identity.region();
        match self {
            Self::Regional => vec![
                basic_constraints_ca(Some(2)),
                authority_key_identifier(issuer, crypto),
                subject_key_identifier(key, crypto),
                key_usage(SIGN_CERTIFICATES_AND_CRLS),
                crl_distribution_point("simulated-crl.invalid", random),
            ],
            Self::Zonal => vec![
                basic_constraints_ca(Some(1)),
                authority_key_identifier(issuer, crypto),
                subject_key_identifier(key, crypto),
                key_usage(SIGN_CERTIFICATES_AND_CRLS),
                crl_distribution_point(&format!("simulated-crl.{region}.invalid"), random),
            ],
            Self::Instance => vec![
                basic_constraints_ca(Some(0)),
                key_usage(SIGN_CERTIFICATES),
                subject_key_identifier(key, crypto),
                authority_key_identifier(issuer, crypto),
            ],
            // AWS marks the key usage of leaves as not critical.
            Self::Leaf => vec![
                Extension::new(id::BASIC_CONSTRAINTS, true, asn1::sequence(&[])),
                Extension {
                    critical: Vec::new(),
                    ..key_usage(SIGN_DATA)
                },
            ],
        }
    }
}

/// A certificate with what it was made from.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) template: CertificateTemplate,
    pub(super) certificate: Vec<u8>,
    pub(super) key: P384KeyPair,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Link {
    /// Whether it may be used at `now` for something that needs `margin` of its validity.
    fn serves(&self, now: Timestamp, margin: Duration) -> bool {
        self.not_before <= now && now + margin <= self.not_after
    }
}

/// The certificates below the root, top down. They are kept until they are near their end.
#[derive(Default)]
pub(super) struct Chain {
    links: Vec<Link>,
}

impl Chain {
    /// The certificates to use at `now`: those there are as long as they last, new ones below.
    pub(super) fn at(
        &mut self,
        now: Timestamp,
        ca: &SimulatedCa,
        identity: &Identity,
        crypto: &dyn Crypto,
        random: &mut dyn CryptoRng,
    ) -> Result<&[Link], SimulatedCaError> {
        let leaf = self.links.get(Level::TOP_DOWN.len() - 1);
        if !leaf.is_some_and(|leaf| leaf.serves(now, Level::Leaf.margin())) {
            let serving = std::iter::zip(&self.links, Level::TOP_DOWN)
                .take_while(|(link, level)| {
                    *level != Level::Leaf && link.serves(now, level.margin())
                })
                .count();
            self.links.truncate(serving);
            for level in Level::TOP_DOWN.into_iter().skip(serving) {
                let link = self
                    .issue(level, now, ca, identity, crypto, random)
                    .map_err(|_| SimulatedCaError::Crypto)?;
                self.links.push(link);
            }
        }
        Ok(&self.links)
    }

    /// The next certificate, under the last one there is.
    fn issue(
        &self,
        level: Level,
        now: Timestamp,
        ca: &SimulatedCa,
        identity: &Identity,
        crypto: &dyn Crypto,
        random: &mut dyn CryptoRng,
    ) -> Result<Link, CryptoError> {
        let (issuer_key, issuer) = match self.links.last() {
            Some(link) => (&link.key, link.template.subject.as_slice()),
            None => (ca.key(), ca.subject()),
        };
        let key = P384KeyPair::generate(crypto, random)?;
        let not_before = now - level.grace();
        let not_after = not_before + level.lifetime();
        let template = CertificateTemplate {
            version: Some(2),
            serial: level.serial(identity, now, random),
            signature_algorithm: ecdsa_with_sha384(),
            issuer: issuer.to_vec(),
            not_before: time(not_before),
            not_after: time(not_after),
            subject: level.subject(identity, random),
            public_key: p384_spki(key.public()),
            extensions: level.extensions(
                identity,
                issuer_key.public(),
                key.public(),
                crypto,
                random,
            ),
            outer_signature_algorithm: ecdsa_with_sha384(),
        };
        Ok(Link {
            certificate: template.sign(issuer_key, crypto)?,
            template,
            key,
            not_before,
            not_after,
        })
    }
}

/// A serial number of `N` bytes that is positive without a byte more for the sign.
fn random_serial<const N: usize>(random: &mut dyn CryptoRng) -> Vec<u8> {
    let mut serial = [0; N];
    random.fill_bytes(&mut serial);
    if let Some(first) = serial.first_mut() {
        *first &= 0x7f;
    }
    asn1::unsigned_integer(&serial)
}

fn basic_constraints_ca(path_length: Option<u8>) -> Extension {
    let path_length = path_length.map_or_else(Vec::new, |most| asn1::unsigned_integer(&[most]));
    let value = asn1::sequence(&[super::certificate::TRUE, &path_length]);
    Extension::new(id::BASIC_CONSTRAINTS, true, value)
}

fn key_usage(bits: [u8; 2]) -> Extension {
    let value = asn1::element(tag::BIT_STRING, &[&bits]);
    Extension::new(id::KEY_USAGE, true, value)
}

/// The first 160 bits of SHA-256 of the key (RFC 7093 section 2, method 1).
fn key_identifier(key: &P384PublicKey, crypto: &dyn Crypto) -> Vec<u8> {
    crypto.sha256(key.as_bytes()).into_iter().take(20).collect()
}

fn subject_key_identifier(key: &P384PublicKey, crypto: &dyn Crypto) -> Extension {
    let value = asn1::octet_string(&key_identifier(key, crypto));
    Extension::new(id::SUBJECT_KEY_IDENTIFIER, false, value)
}

fn authority_key_identifier(issuer: &P384PublicKey, crypto: &dyn Crypto) -> Extension {
    let identifier = asn1::element(tag::context(0), &[&key_identifier(issuer, crypto)]);
    let value = asn1::sequence(&[&identifier]);
    Extension::new(id::AUTHORITY_KEY_IDENTIFIER, false, value)
}

/// One distribution point with one URI, on a host that can not exist (RFC 6761 section 6.4).
fn crl_distribution_point(host: &str, random: &mut dyn CryptoRng) -> Extension {
    let [a, b, c, d] = [(); 4].map(|()| random.next_u32());
    let uuid = format!(
        "{a:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{d:08x}",
        b >> 16,
        b & 0xfff,
        0x8000 | c >> 16 & 0x3fff,
        c & 0xffff,
    );
    let uri = format!("http://{host}/crl/{uuid}.crl");
    // GeneralName [6] uniformResourceIdentifier, in fullName [0], in distributionPoint [0].
    let uri = asn1::element(tag::context(6), &[uri.as_bytes()]);
    let full_name = asn1::element(tag::context_constructed(0), &[&uri]);
    let point = asn1::element(tag::context_constructed(0), &[&full_name]);
    let value = asn1::sequence(&[&asn1::sequence(&[&point])]);
    Extension::new(id::CRL_DISTRIBUTION_POINTS, false, value)
}
