//! The payload of a document: nine known fields in a map.

use std::collections::BTreeSet;

use super::scanner::{Kind, Scanner};
use super::{DocumentError, Field};
use crate::{PcrError, Pcrs, Timestamp};

/// How deep the values of the payload's map lie: inside one map.
const DEPTH: usize = 1;

/// The fields, borrowed from the document.
#[derive(Clone, Debug)]
pub(super) struct Payload<'a> {
    pub(super) module_id: &'a str,
    pub(super) timestamp: Timestamp,
    pub(super) pcrs: Pcrs,
    pub(super) certificate: &'a [u8],
    pub(super) cabundle: Vec<&'a [u8]>,
    pub(super) public_key: Option<&'a [u8]>,
    pub(super) user_data: Option<&'a [u8]>,
    pub(super) nonce: Option<&'a [u8]>,
}

impl<'a> Payload<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, DocumentError> {
        let mut scanner = Scanner::new(payload);
        if scanner.kind()? != Kind::Map {
            return Err(DocumentError::PayloadNotMap);
        }

        let mut module_id = None;
        let mut digest = None;
        let mut timestamp = None;
        let mut pcrs = None;
        let mut certificate = None;
        let mut cabundle = None;
        let mut public_key = None;
        let mut user_data = None;
        let mut nonce = None;

        let mut seen = BTreeSet::new();
        let mut pairs = scanner.map()?;
        while scanner.more(&mut pairs)? {
            if scanner.kind()? != Kind::Text {
                return Err(DocumentError::KeyNotText);
            }
            let key = scanner.text()?;
            if key == NITRO_TPM_PCRS {
                return Err(DocumentError::NitroTpm);
            }
            let field = Field::from_key(key);
            if !seen.insert(key) {
                return Err(field.map_or(DocumentError::DuplicateUnknownKey, |field| {
                    DocumentError::DuplicateField(field)
                }));
            }
            match field {
                Some(Field::ModuleId) => module_id = Some(module_id_field(&mut scanner)?),
                Some(Field::Digest) => digest = Some(digest_field(&mut scanner)?),
                Some(Field::Timestamp) => timestamp = Some(timestamp_field(&mut scanner)?),
                Some(Field::Pcrs) => pcrs = Some(pcrs_field(&mut scanner)?),
                Some(Field::Certificate) => {
                    certificate = Some(bytes(&mut scanner, Field::Certificate, 1)?);
                }
                Some(Field::Cabundle) => cabundle = Some(cabundle_field(&mut scanner)?),
                Some(Field::PublicKey) => {
                    public_key = optional_bytes(&mut scanner, Field::PublicKey, 1)?;
                }
                Some(Field::UserData) => {
                    user_data = optional_bytes(&mut scanner, Field::UserData, 0)?;
                }
                Some(Field::Nonce) => nonce = optional_bytes(&mut scanner, Field::Nonce, 0)?,
                None => scanner.skip(DEPTH)?,
            }
        }
        match scanner.remaining() {
            0 => {}
            trailing => return Err(DocumentError::PayloadTrailingBytes(trailing)),
        }

        let missing = DocumentError::MissingField;
        let module_id: &str = module_id.ok_or(missing(Field::ModuleId))?;
        if is_nitro_tpm(module_id) {
            return Err(DocumentError::NitroTpm);
        }
        digest.ok_or(missing(Field::Digest))?;
        Ok(Self {
            module_id,
            timestamp: timestamp.ok_or(missing(Field::Timestamp))?,
            pcrs: pcrs.ok_or(missing(Field::Pcrs))?,
            certificate: certificate.ok_or(missing(Field::Certificate))?,
            cabundle: cabundle.ok_or(missing(Field::Cabundle))?,
            public_key,
            user_data,
            nonce,
        })
    }
}

/// What a NitroTPM's document has in place of `pcrs`. The two must never be taken for one
/// another: an instance's owner extends the registers of a TPM at will.
const NITRO_TPM_PCRS: &str = "nitrotpm_pcrs";

/// Whether a module id is that of a NitroTPM, `i-<instance>-tpm<number>`.
fn is_nitro_tpm(module_id: &str) -> bool {
    module_id
        .rsplit_once('-')
        .is_some_and(|(_, unit)| unit.starts_with("tpm"))
}

fn module_id_field<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, DocumentError> {
    expect(scanner, Kind::Text, Field::ModuleId)?;
    match scanner.text()? {
        "" => Err(DocumentError::FieldLength(Field::ModuleId, 0)),
        module_id => Ok(module_id),
    }
}

fn digest_field(scanner: &mut Scanner<'_>) -> Result<(), DocumentError> {
    expect(scanner, Kind::Text, Field::Digest)?;
    match scanner.text()? {
        "SHA384" => Ok(()),
        _ => Err(DocumentError::Digest),
    }
}

fn timestamp_field(scanner: &mut Scanner<'_>) -> Result<Timestamp, DocumentError> {
    expect(scanner, Kind::Unsigned, Field::Timestamp)?;
    match scanner.unsigned()? {
        0 => Err(DocumentError::ZeroTimestamp),
        millis => Ok(Timestamp::from_millis(millis)),
    }
}

fn pcrs_field(scanner: &mut Scanner<'_>) -> Result<Pcrs, DocumentError> {
    expect(scanner, Kind::Map, Field::Pcrs)?;
    let mut pcrs = Pcrs::new();
    let mut pairs = scanner.map()?;
    while scanner.more(&mut pairs)? {
        expect(scanner, Kind::Unsigned, Field::Pcrs)?;
        let index = scanner.unsigned()?;
        let slot = usize::try_from(index)
            .ok()
            .filter(|slot| *slot < Pcrs::MAX)
            .ok_or(DocumentError::Pcr(PcrError::Index(index)))?;
        if pcrs.get(slot).is_some() {
            return Err(DocumentError::DuplicatePcr(slot));
        }
        expect(scanner, Kind::Bytes, Field::Pcrs)?;
        pcrs.set(index, scanner.bytes()?)
            .map_err(DocumentError::Pcr)?;
    }
    if pcrs.is_empty() {
        return Err(DocumentError::FieldLength(Field::Pcrs, 0));
    }
    Ok(pcrs)
}

fn cabundle_field<'a>(scanner: &mut Scanner<'a>) -> Result<Vec<&'a [u8]>, DocumentError> {
    expect(scanner, Kind::Array, Field::Cabundle)?;
    let mut certificates = Vec::new();
    let mut items = scanner.array()?;
    while scanner.more(&mut items)? {
        certificates.push(bytes(scanner, Field::Cabundle, 1)?);
    }
    if certificates.is_empty() {
        return Err(DocumentError::FieldLength(Field::Cabundle, 0));
    }
    Ok(certificates)
}

/// A byte string of at least `least` and at most [`MAX_FIELD_LEN`] bytes.
fn bytes<'a>(
    scanner: &mut Scanner<'a>,
    field: Field,
    least: usize,
) -> Result<&'a [u8], DocumentError> {
    expect(scanner, Kind::Bytes, field)?;
    let value = scanner.bytes()?;
    if (least..=MAX_FIELD_LEN).contains(&value.len()) {
        Ok(value)
    } else {
        Err(DocumentError::FieldLength(field, value.len()))
    }
}

/// As [`bytes`], or null, which is how the NSM writes that there is none.
fn optional_bytes<'a>(
    scanner: &mut Scanner<'a>,
    field: Field,
    least: usize,
) -> Result<Option<&'a [u8]>, DocumentError> {
    if scanner.kind()? == Kind::Null {
        scanner.null()?;
        return Ok(None);
    }
    bytes(scanner, field, least).map(Some)
}

/// The longest certificate, public key, user data and nonce.
pub(crate) const MAX_FIELD_LEN: usize = 1024;

fn expect(scanner: &Scanner<'_>, kind: Kind, field: Field) -> Result<(), DocumentError> {
    if scanner.kind()? == kind {
        Ok(())
    } else {
        Err(DocumentError::FieldType(field))
    }
}
