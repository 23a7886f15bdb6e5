//! How key material is wrapped on its way in: RSAES-OAEP, alone or with an AES key in between.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    PrivateDecryptingKey,
};
use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::protocol::spec::{KeyPairSpec, KeySpec, WrappingAlgorithm, WrappingKeySpec};

/// The key pair that a wrapping key is, for what AWS offers outside of China.
///
/// # Errors
///
/// UnsupportedOperationException for SM2, and for RSAES_PKCS1_V1_5, which AWS ended in October 2023.
pub(crate) fn key_pair_spec(
    algorithm: WrappingAlgorithm,
    spec: WrappingKeySpec,
) -> Result<KeyPairSpec, KmsError> {
    let unsupported = |what: &str, name: &str| {
        Err(KmsError::UnsupportedOperation(
            format!("{what} {name} is not supported in this Region").into(),
        ))
    };
    match algorithm {
        WrappingAlgorithm::RsaesPkcs1V1_5 | WrappingAlgorithm::Sm2Pke => {
            return unsupported("WrappingAlgorithm", algorithm.as_str());
        }
        _ => {}
    }
    match spec {
        WrappingKeySpec::Rsa2048 => Ok(KeyPairSpec::Rsa2048),
        WrappingKeySpec::Rsa3072 => Ok(KeyPairSpec::Rsa3072),
        WrappingKeySpec::Rsa4096 => Ok(KeyPairSpec::Rsa4096),
        WrappingKeySpec::Sm2 => unsupported("WrappingKeySpec", spec.as_str()),
    }
}

/// Lets a wrapping pass that the material of a key of this spec fits into.
///
/// # Errors
///
/// UnsupportedOperationException for RSAES-OAEP alone where the material is longer than it can
/// encrypt: RSA private keys, and those of P-521 under a wrapping key of 2048 bits.
pub(crate) fn require_room(
    spec: KeySpec,
    algorithm: WrappingAlgorithm,
    wrapping_key_spec: WrappingKeySpec,
) -> Result<(), KmsError> {
    let with_aes = match algorithm {
        WrappingAlgorithm::RsaesOaepSha1 => WrappingAlgorithm::RsaAesKeyWrapSha1,
        WrappingAlgorithm::RsaesOaepSha256 => WrappingAlgorithm::RsaAesKeyWrapSha256,
        _ => return Ok(()),
    };
    let too_long = spec.is_rsa()
        || (spec == KeySpec::EccNistP521 && wrapping_key_spec == WrappingKeySpec::Rsa2048);
    if !too_long {
        return Ok(());
    }
    Err(KmsError::UnsupportedOperation(
        format!(
            "The key material of a {spec} key is too long for {algorithm} with {wrapping_key_spec}. Use {with_aes}."
        )
        .into(),
    ))
}

/// Unwraps key material with the private key of a wrapping key pair.
///
/// # Errors
///
/// ValidationException for what is not as long as the wrapping key where it has to be, and
/// InvalidCiphertextException for whatever else does not unwrap.
pub(crate) fn unwrap(
    algorithm: WrappingAlgorithm,
    private_pkcs8: &[u8],
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    let key =
        PrivateDecryptingKey::from_pkcs8(private_pkcs8).map_err(|_| KmsError::InvalidCiphertext)?;
    let key = OaepPrivateDecryptingKey::new(key).map_err(|_| KmsError::InvalidCiphertext)?;
    let material = match algorithm {
        WrappingAlgorithm::RsaesOaepSha1 | WrappingAlgorithm::RsaesOaepSha256
            if wrapped.len() != key.key_size_bytes() =>
        {
            return Err(KmsError::validation("Invalid encrypted key size."));
        }
        WrappingAlgorithm::RsaesOaepSha1 => oaep(&key, &OAEP_SHA1_MGF1SHA1, wrapped),
        WrappingAlgorithm::RsaesOaepSha256 => oaep(&key, &OAEP_SHA256_MGF1SHA256, wrapped),
        WrappingAlgorithm::RsaAesKeyWrapSha1 => with_aes(&key, &OAEP_SHA1_MGF1SHA1, wrapped),
        WrappingAlgorithm::RsaAesKeyWrapSha256 => with_aes(&key, &OAEP_SHA256_MGF1SHA256, wrapped),
        WrappingAlgorithm::RsaesPkcs1V1_5 | WrappingAlgorithm::Sm2Pke => None,
    };
    material.ok_or(KmsError::InvalidCiphertext)
}

fn oaep(
    key: &OaepPrivateDecryptingKey,
    algorithm: &'static OaepAlgorithm,
    wrapped: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; key.min_output_size()]);
    let length = key
        .decrypt(algorithm, wrapped, &mut buffer, None)
        .ok()?
        .len();
    Some(Zeroizing::new(buffer.get(..length)?.to_vec()))
}

/// The AES key under OAEP, as long as the modulus, then the material under that key (RFC 5649).
fn with_aes(
    key: &OaepPrivateDecryptingKey,
    algorithm: &'static OaepAlgorithm,
    wrapped: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (wrapped_key, wrapped) = wrapped.split_at_checked(key.key_size_bytes())?;
    let aes_key = oaep(key, algorithm, wrapped_key)?;
    let aes_key = AesKek::new(&AES_256, &aes_key).ok()?;
    let mut buffer = Zeroizing::new(vec![0; wrapped.len()]);
    let length = aes_key
        .unwrap_with_padding(wrapped, &mut buffer)
        .ok()?
        .len();
    Some(Zeroizing::new(buffer.get(..length)?.to_vec()))
}
