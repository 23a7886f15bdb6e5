//! RSA keys of operators: which are taken, and encryption to them.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKey,
};
use pem_rfc7468::LineEnding;

/// The most bits of a key that secrets are encrypted to.
const MAX_BITS: usize = 4096;

const LABEL: &str = "PUBLIC KEY";

/// The SubjectPublicKeyInfo (RFC 5280) in a PEM text, if it is of a key to encrypt to.
pub(crate) fn from_pem(text: &str) -> Option<Vec<u8>> {
    let (label, spki) = pem_rfc7468::decode_vec(text.trim().as_bytes()).ok()?;
    if label != LABEL {
        return None;
    }
    let key = PublicKey::from_der(&spki).ok()?;
    let modulus = key.modulus().big_endian_without_leading_zero();
    let exponent = key.exponent().big_endian_without_leading_zero();
    // One encoding of a key, so that two of the same can be told.
    let encoded: PublicKeyX509Der<'_> = key.as_der().ok()?;
    let same = encoded.as_ref() == spki;
    (same && is_good(modulus, exponent, MAX_BITS)).then_some(spki)
}

pub(crate) fn to_pem(spki: &[u8]) -> Option<String> {
    pem_rfc7468::encode_string(LABEL, LineEnding::LF, spki).ok()
}

/// Encrypts to a key: RSAES-OAEP (RFC 8017) with SHA-256, for MGF1 too, and no label. The
/// randomness is the library's own. `None` if the secret is longer than such a key takes: 190 bytes
/// with 2048 bits.
pub(crate) fn encrypt(spki: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let key = PublicEncryptingKey::from_der(spki).ok()?;
    let key = OaepPublicEncryptingKey::new(key).ok()?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key.encrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut sealed, None);
    Some(sealed.ok()?.to_vec())
}

/// Whether these numbers, without leading zeros, are of a key of 2048 bits or more, and an exponent
/// as all tools choose it: odd, and 65537 at least.
pub(crate) fn is_good(modulus: &[u8], exponent: &[u8], most_bits: usize) -> bool {
    let bits = |number: &[u8]| match number.first() {
        Some(first) => 8 * number.len() - first.leading_zeros() as usize,
        None => 0,
    };
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    (2048..=most_bits).contains(&bits(modulus))
        && (17..=33).contains(&bits(exponent))
        && is_odd(modulus)
        && is_odd(exponent)
}
