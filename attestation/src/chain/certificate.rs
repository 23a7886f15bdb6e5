//! One certificate (RFC 5280), read from its own bytes.
//!
//! Only the shape that AWS issues is read: version 3, ECDSA with SHA-384, P-384, extensions.
//! Names and the signed part stay as they came.

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, TagNumber};

use super::CertificateError;
use super::extensions::Extensions;
use crate::Timestamp;
use crate::backend::P384_POINT_LEN;

/// A certificate whose fields have been read; nothing is verified yet.
#[derive(Clone, Debug)]
pub(crate) struct Certificate<'a> {
    /// The whole.
    pub(super) der: &'a [u8],
    /// `tbsCertificate`, what the signature covers.
    pub(super) signed: &'a [u8],
    /// The DER `ECDSA-Sig-Value`.
    pub(super) signature: &'a [u8],
    /// The key, in the form of an uncompressed point; on the curve or not.
    pub(super) point: &'a [u8; P384_POINT_LEN],
    issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) validity: Validity,
    extensions: Extensions<'a>,
}

/// What a certificate says of its owner, for those below to name it by.
#[derive(Clone, Debug)]
pub(super) struct Issuer<B> {
    name: B,
    key_identifier: Option<B>,
}

impl Issuer<&[u8]> {
    pub(super) fn to_owned(&self) -> Issuer<Box<[u8]>> {
        Issuer {
            name: self.name.into(),
            key_identifier: self.key_identifier.map(Box::from),
        }
    }
}

impl Issuer<Box<[u8]>> {
    pub(super) fn as_ref(&self) -> Issuer<&[u8]> {
        Issuer {
            name: &self.name,
            key_identifier: self.key_identifier.as_deref(),
        }
    }
}

/// From when to when something is valid, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Validity {
    /// Whether `time` lies in it.
    pub(crate) fn contains(self, time: Timestamp) -> bool {
        self.not_before <= time && time <= self.not_after
    }

    /// When both are valid.
    pub(crate) fn within(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        let mut input = Fields::new(der, "certificate")?;
        let mut certificate = Fields::new(input.take(Tag::Sequence)?, "certificate")?;
        input.finish()?;
        let signed = certificate.take_whole(Tag::Sequence)?;
        check_algorithm(certificate.take_whole(Tag::Sequence)?)?;
        let signature = bit_string(certificate.take(Tag::BitString)?, "signatureValue")?;
        certificate.finish()?;

        let mut outer = Fields::new(signed, "tbsCertificate")?;
        let mut tbs = Fields::new(outer.take(Tag::Sequence)?, "tbsCertificate")?;
        check_version(tbs.take_optional(context_specific(0))?)?;
        check_serial_number(tbs.take(Tag::Integer)?)?;
        check_algorithm(tbs.take_whole(Tag::Sequence)?)?;
        let issuer = tbs.take_whole(Tag::Sequence)?;
        let validity = validity(tbs.take(Tag::Sequence)?)?;
        let subject = tbs.take_whole(Tag::Sequence)?;
        let point = p384_point(tbs.take_whole(Tag::Sequence)?)?;
        // The obsolete unique identifiers, [1] and [2], would stand here and are refused.
        let extensions = Extensions::parse(tbs.take_optional(context_specific(3))?)?;
        tbs.finish()?;

        Ok(Self {
            der,
            signed,
            signature,
            point,
            issuer,
            subject,
            validity,
            extensions,
        })
    }

    /// The only `commonName` of the subject; `None` if there is none, several, or it is not text.
    pub(crate) fn common_name(&self) -> Option<&'a str> {
        common_name(self.subject).ok().flatten()
    }

    /// What it says of itself as an issuer.
    pub(super) fn as_issuer(&self) -> Issuer<&'a [u8]> {
        Issuer {
            name: self.subject,
            key_identifier: self.extensions.subject_key_identifier,
        }
    }

    /// Checks that the names and key identifiers lead to `parent`.
    pub(super) fn check_link(&self, parent: &Issuer<&[u8]>) -> Result<(), CertificateError> {
        if self.issuer != parent.name {
            return Err(CertificateError::Issuer);
        }
        if self.issuer == self.subject {
            return Err(CertificateError::SelfIssued);
        }
        match (
            self.extensions.authority_key_identifier,
            parent.key_identifier,
        ) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                Err(CertificateError::AuthorityKeyIdentifier)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_validity(&self, now: Timestamp) -> Result<(), CertificateError> {
        if now < self.validity.not_before {
            Err(CertificateError::NotYetValid)
        } else if now > self.validity.not_after {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }

    /// Checks that this certificate may issue others, `below` of which may do so too
    /// (RFC 5280 section 6.1.4 steps k to n).
    pub(crate) fn check_authority(&self, below: usize) -> Result<(), CertificateError> {
        let constraints = self
            .extensions
            .basic_constraints
            .filter(|constraints| constraints.critical)
            .ok_or(CertificateError::BasicConstraints)?;
        if !constraints.authority {
            return Err(CertificateError::NotAuthority);
        }
        if constraints
            .path_length
            .is_some_and(|limit| usize::from(limit) < below)
        {
            return Err(CertificateError::PathLength);
        }
        match self.extensions.key_usage {
            Some(usage) if usage.cert_sign => Ok(()),
            _ => Err(CertificateError::KeyUsageCertSign),
        }
    }

    /// Checks that this certificate may sign documents and nothing else.
    pub(super) fn check_end_entity(&self) -> Result<(), CertificateError> {
        if let Some(constraints) = self.extensions.basic_constraints {
            if constraints.authority {
                return Err(CertificateError::EndEntityIsAuthority);
            }
            if constraints.path_length.is_some() {
                return Err(CertificateError::EndEntityPathLength);
            }
        }
        match self.extensions.key_usage {
            Some(usage) if usage.cert_sign => Err(CertificateError::EndEntityCertSign),
            Some(usage) if usage.digital_signature => Ok(()),
            _ => Err(CertificateError::KeyUsageDigitalSignature),
        }
    }
}

/// `ecdsa-with-SHA384`, without parameters (RFC 5758 section 3.2).
const ECDSA_WITH_SHA384: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03";

fn check_algorithm(identifier: &[u8]) -> Result<(), CertificateError> {
    if identifier == ECDSA_WITH_SHA384 {
        Ok(())
    } else {
        Err(CertificateError::SignatureAlgorithm)
    }
}

/// Version 3 is written as 2; version 1 by leaving the field out.
fn check_version(version: Option<&[u8]>) -> Result<(), CertificateError> {
    match version {
        Some([0x02, 0x01, 0x02]) => Ok(()),
        _ => Err(CertificateError::Version),
    }
}

/// A positive integer of at most 20 octets (RFC 5280 section 4.1.2.2), not counting the zero that
/// keeps a great one positive: instance certificates of 2021 have such.
fn check_serial_number(value: &[u8]) -> Result<(), CertificateError> {
    let magnitude = value.strip_prefix(&[0]).unwrap_or(value);
    let positive = !magnitude.is_empty() && matches!(value, [..=0x7f, ..]);
    if positive && is_canonical_integer(value) && magnitude.len() <= 20 {
        Ok(())
    } else {
        Err(CertificateError::Malformed("serialNumber"))
    }
}

/// Whether the content of an INTEGER is in the one form that DER allows (X.690 section 8.3.2).
pub(super) fn is_canonical_integer(value: &[u8]) -> bool {
    match value {
        [] => false,
        [0x00, next, ..] => *next >= 0x80,
        [0xff, next, ..] => *next < 0x80,
        _ => true,
    }
}

fn validity(value: &[u8]) -> Result<Validity, CertificateError> {
    let mut fields = Fields::new(value, "validity")?;
    let not_before = time(&mut fields)?;
    let not_after = time(&mut fields)?;
    fields.finish()?;
    Ok(Validity {
        not_before,
        not_after,
    })
}

/// A `Time`: UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
fn time(fields: &mut Fields<'_>) -> Result<Timestamp, CertificateError> {
    const YEAR_2050: u64 = 2_524_608_000;
    let any = fields.any()?;
    let since_epoch = match der::Tagged::tag(&any) {
        Tag::UtcTime => any
            .decode_as::<UtcTime>()
            .ok()
            .map(|time| time.to_unix_duration()),
        Tag::GeneralizedTime => any
            .decode_as::<GeneralizedTime>()
            .ok()
            .map(|time| time.to_unix_duration())
            .filter(|time| time.as_secs() >= YEAR_2050),
        _ => None,
    };
    since_epoch
        .map(|time| Timestamp::from_secs(time.as_secs()))
        .ok_or(CertificateError::Malformed("validity"))
}

/// The point in a SubjectPublicKeyInfo with `id-ecPublicKey` and the named curve `secp384r1`
/// (RFC 5480 section 2.1), which has one encoding.
fn p384_point(spki: &[u8]) -> Result<&[u8; P384_POINT_LEN], CertificateError> {
    const HEAD: &[u8] = b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
        \x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";
    spki.strip_prefix(HEAD)
        .and_then(|point| point.try_into().ok())
        .filter(|point: &&[u8; P384_POINT_LEN]| point.first() == Some(&0x04))
        .ok_or(CertificateError::PublicKey)
}

fn common_name(name: &[u8]) -> Result<Option<&str>, CertificateError> {
    const COMMON_NAME: &[u8] = b"\x55\x04\x03";
    let mut found = None;
    let mut outer = Fields::new(name, "subject")?;
    let mut names = Fields::new(outer.take(Tag::Sequence)?, "subject")?;
    while !names.is_empty() {
        let mut relative = Fields::new(names.take(Tag::Set)?, "subject")?;
        while !relative.is_empty() {
            let mut attribute = Fields::new(relative.take(Tag::Sequence)?, "subject")?;
            if attribute.take(Tag::ObjectIdentifier)? != COMMON_NAME {
                continue;
            }
            let value = attribute.any()?;
            let is_text = matches!(
                der::Tagged::tag(&value),
                Tag::PrintableString | Tag::Utf8String
            );
            let text = core::str::from_utf8(value.value()).ok();
            match text {
                Some(text) if is_text && found.is_none() => found = Some(text),
                _ => return Ok(None),
            }
        }
    }
    Ok(found)
}

/// The octets of a BIT STRING that has no unused bits.
fn bit_string<'a>(value: &'a [u8], part: &'static str) -> Result<&'a [u8], CertificateError> {
    match value {
        [0x00, octets @ ..] => Ok(octets),
        _ => Err(CertificateError::Malformed(part)),
    }
}

fn context_specific(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// DER values that stand one after another; `part` is what to call them in an error.
pub(super) struct Fields<'a> {
    reader: SliceReader<'a>,
    part: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(der: &'a [u8], part: &'static str) -> Result<Self, CertificateError> {
        match SliceReader::new(der) {
            Ok(reader) => Ok(Self { reader, part }),
            Err(_) => Err(CertificateError::Malformed(part)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reader.is_finished()
    }

    /// The next value, of any type.
    pub(super) fn any(&mut self) -> Result<AnyRef<'a>, CertificateError> {
        AnyRef::decode(&mut self.reader).map_err(|_| CertificateError::Malformed(self.part))
    }

    /// The content of the next value, which must have this tag.
    pub(super) fn take(&mut self, tag: Tag) -> Result<&'a [u8], CertificateError> {
        let any = self.any()?;
        if der::Tagged::tag(&any) == tag {
            Ok(any.value())
        } else {
            Err(CertificateError::Malformed(self.part))
        }
    }

    /// As [`Fields::take`] if the next value has this tag; else nothing is read.
    pub(super) fn take_optional(&mut self, tag: Tag) -> Result<Option<&'a [u8]>, CertificateError> {
        if Tag::peek(&self.reader) == Ok(tag) {
            self.take(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The next value with its tag and length.
    fn take_whole(&mut self, tag: Tag) -> Result<&'a [u8], CertificateError> {
        if Tag::peek(&self.reader) != Ok(tag) {
            return Err(CertificateError::Malformed(self.part));
        }
        self.reader
            .tlv_bytes()
            .map_err(|_| CertificateError::Malformed(self.part))
    }

    pub(super) fn finish(&self) -> Result<(), CertificateError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(CertificateError::Malformed(self.part))
        }
    }
}
