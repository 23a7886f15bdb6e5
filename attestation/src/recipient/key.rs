//! Which public keys can receive a secret, and what to say of the others.

use crate::asn1::{self, BerError, Reader, oid, tag};

/// The largest public exponent taken: 2^32. AWS-LC's own limit is 2^33 - 1; keys in use have 65537.
const MAX_EXPONENT: u64 = 1 << 32;
/// The smallest, RFC 8017's customary one and the least that FIPS 186-5 allows.
const MIN_EXPONENT: u64 = 65_537;

/// What a client has to do instead, whatever is wrong.
const REMEDY: &str = "send the DER SubjectPublicKeyInfo of an RSA key of 2048, 3072 or 4096 bits";

/// Why the `public_key` of a document can not receive a secret. The message says what is wrong
/// with it and what to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientKeyError {
    /// The document has none.
    #[error("the attestation document has no public_key; {}", REMEDY)]
    Missing,
    /// Text, where the binary inside it belongs.
    #[error("public_key is PEM text; {}", REMEDY)]
    Pem,
    /// No ASN.1 structure that any public key format begins with.
    #[error("public_key is not DER; {}", REMEDY)]
    NotDer,
    /// PKCS #1.
    #[error("public_key is a bare RSAPublicKey (PKCS #1); {}", REMEDY)]
    Pkcs1,
    /// PKCS #8 or the like, which should not have left its owner.
    #[error("public_key holds a private key; make a new one and {}", REMEDY)]
    PrivateKey,
    /// A whole certificate.
    #[error("public_key is a certificate; {}", REMEDY)]
    Certificate,
    /// A SubjectPublicKeyInfo of something else, such as an elliptic curve.
    #[error("public_key is not an RSA key; {}", REMEDY)]
    Algorithm,
    /// A SubjectPublicKeyInfo, but not encoded the one way that DER allows.
    #[error("public_key is not canonical DER; {}", REMEDY)]
    NotCanonical,
    /// Bytes follow it.
    #[error("bytes follow the SubjectPublicKeyInfo in public_key; {}", REMEDY)]
    TrailingBytes,
    /// Not 2048, 3072 or 4096 bits.
    #[error("public_key has a modulus of {bits} bits; {}", REMEDY)]
    ModulusSize {
        /// How many it has.
        bits: usize,
    },
    /// No product of two odd primes.
    #[error("public_key has an even modulus; {}", REMEDY)]
    EvenModulus,
    /// Even, below 65537, or above 2^32.
    #[error("public_key has an unusual public exponent; use 65537 and {}", REMEDY)]
    Exponent,
    /// Everything that is checked here holds, and yet the cryptography library won't have it.
    #[error("public_key is not a key that can be used; {}", REMEDY)]
    Refused,
}

/// An RSA public key as it stands in the document, checked to be usable.
pub(super) struct RsaPublicKey<'a> {
    /// The modulus, without leading zeros.
    pub(super) modulus: &'a [u8],
}

impl<'a> RsaPublicKey<'a> {
    /// Takes exactly the canonical DER SubjectPublicKeyInfo of a key in the accepted ranges: what
    /// it understands is written again and must come out the same.
    pub(super) fn from_spki(spki: &'a [u8]) -> Result<Self, RecipientKeyError> {
        let (modulus, exponent) = read_spki(spki)?;
        if write_spki(modulus, exponent) != spki {
            return Err(RecipientKeyError::NotCanonical);
        }
        let modulus = match modulus {
            [0, magnitude @ ..] => magnitude,
            // The sign bit is set: the canonical encoding would have a zero before it.
            _ => modulus,
        };
        check_modulus(modulus)?;
        check_exponent(exponent)?;
        Ok(Self { modulus })
    }

    /// Size of the modulus, and so of everything encrypted to the key, in bits.
    pub(super) fn bits(&self) -> usize {
        bit_length(self.modulus)
    }
}

fn bit_length(big_endian: &[u8]) -> usize {
    let leading = big_endian.first().map_or(0, |byte| byte.leading_zeros());
    (big_endian.len() * 8).saturating_sub(leading as usize)
}

fn check_modulus(modulus: &[u8]) -> Result<(), RecipientKeyError> {
    match bit_length(modulus) {
        2048 | 3072 | 4096 => {}
        bits => return Err(RecipientKeyError::ModulusSize { bits }),
    }
    match modulus.last() {
        Some(last) if last & 1 == 1 => Ok(()),
        _ => Err(RecipientKeyError::EvenModulus),
    }
}

fn check_exponent(exponent: &[u8]) -> Result<(), RecipientKeyError> {
    if exponent.len() > 8 {
        return Err(RecipientKeyError::Exponent);
    }
    let value = exponent
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if value % 2 == 1 && (MIN_EXPONENT..=MAX_EXPONENT).contains(&value) {
        Ok(())
    } else {
        Err(RecipientKeyError::Exponent)
    }
}

/// Finds modulus and exponent, reading any BER, and names what else it may have been given.
fn read_spki(bytes: &[u8]) -> Result<(&[u8], &[u8]), RecipientKeyError> {
    if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        return Err(RecipientKeyError::Pem);
    }
    let mut outer = Reader::new(bytes);
    let mut structure = outer
        .enter(tag::SEQUENCE)
        .map_err(|_| RecipientKeyError::NotDer)?;
    outer
        .finish()
        .map_err(|_| RecipientKeyError::TrailingBytes)?;
    match structure.peek() {
        Some(tag::SEQUENCE) => {}
        Some(tag::INTEGER) => return Err(kind_with_leading_integer(structure)),
        _ => return Err(RecipientKeyError::NotDer),
    }
    let mut algorithm = structure
        .enter(tag::SEQUENCE)
        .map_err(|_| RecipientKeyError::NotDer)?;
    match algorithm.peek() {
        Some(tag::OBJECT_IDENTIFIER) => {}
        // TBSCertificate begins with its version or its serial number.
        Some(tag::INTEGER | 0xa0) => return Err(RecipientKeyError::Certificate),
        _ => return Err(RecipientKeyError::NotDer),
    }
    match algorithm.expect(tag::OBJECT_IDENTIFIER) {
        Ok(oid::RSA_ENCRYPTION) => {}
        Ok(_) => return Err(RecipientKeyError::Algorithm),
        Err(_) => return Err(RecipientKeyError::NotDer),
    }
    read_rsa_public_key(&mut structure).map_err(|_: BerError| RecipientKeyError::NotCanonical)
}

/// RSAPublicKey has two integers, everything else that begins with one is a private key.
fn kind_with_leading_integer(mut structure: Reader<'_>) -> RecipientKeyError {
    let integers = std::iter::from_fn(|| structure.expect(tag::INTEGER).ok()).count();
    match (integers, structure.peek()) {
        (2, None) => RecipientKeyError::Pkcs1,
        (1, None) => RecipientKeyError::NotDer,
        _ => RecipientKeyError::PrivateKey,
    }
}

/// `subjectPublicKey`: a BIT STRING around RSAPublicKey (RFC 8017 appendix A.1.1).
fn read_rsa_public_key<'a>(spki: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), BerError> {
    let bits = spki.expect(tag::BIT_STRING)?;
    let key = bits.split_first().map_or(bits, |(_unused, key)| key);
    let mut integers = Reader::new(key).enter(tag::SEQUENCE)?;
    Ok((
        integers.expect(tag::INTEGER)?,
        integers.expect(tag::INTEGER)?,
    ))
}

fn write_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let algorithm = asn1::sequence(&[&asn1::object_identifier(oid::RSA_ENCRYPTION), asn1::NULL]);
    let key = asn1::sequence(&[
        &asn1::unsigned_integer(modulus),
        &asn1::unsigned_integer(exponent),
    ]);
    asn1::sequence(&[&algorithm, &asn1::bit_string(&key)])
}
