//! The extensions of a certificate (RFC 5280 section 4.2).

use der::{Tag, TagNumber};

use super::CertificateError;
use super::certificate::{Fields, is_canonical_integer};

/// The extensions that are checked. CRL distribution points are not among them: AWS says not to
/// use its lists (*attestation_process.md* section 3.2.4).
#[derive(Clone, Debug, Default)]
pub(super) struct Extensions<'a> {
    pub(super) authority_key_identifier: Option<&'a [u8]>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) subject_key_identifier: Option<&'a [u8]>,
}

impl<'a> Extensions<'a> {
    /// Reads the content of the field `extensions`, which may be absent.
    pub(super) fn parse(field: Option<&'a [u8]>) -> Result<Self, CertificateError> {
        let mut extensions = Self::default();
        let Some(field) = field else {
            return Ok(extensions);
        };
        let mut outer = Fields::new(field, "extensions")?;
        let mut list = Fields::new(outer.take(Tag::Sequence)?, "extensions")?;
        outer.finish()?;
        if list.is_empty() {
            return Err(CertificateError::Malformed("extensions"));
        }

        let mut seen: Vec<&[u8]> = Vec::new();
        while !list.is_empty() {
            let mut extension = Fields::new(list.take(Tag::Sequence)?, "extensions")?;
            let id = extension.take(Tag::ObjectIdentifier)?;
            let critical = boolean(&mut extension, "extensions")?;
            let value = extension.take(Tag::OctetString)?;
            extension.finish()?;
            if seen.contains(&id) {
                return Err(CertificateError::DuplicateExtension);
            }
            seen.push(id);
            match id {
                AUTHORITY_KEY_IDENTIFIER => {
                    extensions.authority_key_identifier = authority_key_identifier(value)?;
                }
                BASIC_CONSTRAINTS => {
                    extensions.basic_constraints = Some(BasicConstraints::parse(value, critical)?);
                }
                KEY_USAGE => extensions.key_usage = Some(KeyUsage::parse(value)?),
                SUBJECT_KEY_IDENTIFIER => {
                    let mut value = Fields::new(value, "subjectKeyIdentifier")?;
                    extensions.subject_key_identifier = Some(value.take(Tag::OctetString)?);
                    value.finish()?;
                }
                _ if critical => return Err(CertificateError::UnknownCriticalExtension),
                _ => {}
            }
        }
        Ok(extensions)
    }
}

// The object identifiers 2.5.29.x, encoded.
const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 14];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];

/// basicConstraints (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug)]
pub(super) struct BasicConstraints {
    pub(super) critical: bool,
    pub(super) authority: bool,
    pub(super) path_length: Option<u8>,
}

impl BasicConstraints {
    fn parse(value: &[u8], critical: bool) -> Result<Self, CertificateError> {
        const PART: &str = "basicConstraints";
        let mut outer = Fields::new(value, PART)?;
        let mut fields = Fields::new(outer.take(Tag::Sequence)?, PART)?;
        outer.finish()?;
        let authority = boolean(&mut fields, PART)?;
        let path_length = match fields.take_optional(Tag::Integer)? {
            None => None,
            Some(value) if !is_canonical_integer(value) => {
                return Err(CertificateError::Malformed(PART));
            }
            Some([0x80..=0xff, ..]) => return Err(CertificateError::Malformed(PART)),
            Some([length]) => Some(*length),
            // No chain here is long enough for a greater limit to matter.
            Some(_) => Some(u8::MAX),
        };
        fields.finish()?;
        Ok(Self {
            critical,
            authority,
            path_length,
        })
    }
}

/// keyUsage (RFC 5280 section 4.2.1.3), as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyUsage {
    pub(super) digital_signature: bool,
    pub(super) cert_sign: bool,
}

impl KeyUsage {
    fn parse(value: &[u8]) -> Result<Self, CertificateError> {
        const MALFORMED: CertificateError = CertificateError::Malformed("keyUsage");
        let mut outer = Fields::new(value, "keyUsage")?;
        let bits = outer.take(Tag::BitString)?;
        outer.finish()?;
        // Nine bits are defined, so one or two octets behind the count of unused bits.
        let (unused, first, last) = match bits {
            [unused @ 0..=7, only] => (*unused, *only, *only),
            [unused @ 0..=7, first, last] => (*unused, *first, *last),
            _ => return Err(MALFORMED),
        };
        // DER leaves out trailing zeros, so the last bit that counts is set (X.690 section 11.2.2).
        if last.trailing_zeros() != u32::from(unused) {
            return Err(MALFORMED);
        }
        Ok(Self {
            digital_signature: first & 0x80 != 0,
            cert_sign: first & 0x04 != 0,
        })
    }
}

/// The `keyIdentifier` of an authorityKeyIdentifier (RFC 5280 section 4.2.1.1), if it has one.
fn authority_key_identifier(value: &[u8]) -> Result<Option<&[u8]>, CertificateError> {
    const PART: &str = "authorityKeyIdentifier";
    let mut outer = Fields::new(value, PART)?;
    let mut fields = Fields::new(outer.take(Tag::Sequence)?, PART)?;
    outer.finish()?;
    let tag = |constructed, number| Tag::ContextSpecific {
        constructed,
        number: TagNumber(number),
    };
    let identifier = fields.take_optional(tag(false, 0))?;
    // The issuer's name and serial number may follow; the names above are compared anyway.
    fields.take_optional(tag(true, 1))?;
    fields.take_optional(tag(false, 2))?;
    fields.finish()?;
    Ok(identifier)
}

/// A `BOOLEAN DEFAULT FALSE`. DER writes true as 0xff, and false by leaving it out
/// (X.690 sections 11.1 and 11.5).
fn boolean(fields: &mut Fields<'_>, part: &'static str) -> Result<bool, CertificateError> {
    match fields.take_optional(Tag::Boolean)? {
        None => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(CertificateError::Malformed(part)),
    }
}
