//! Key derivation.

use hmac::{Hmac, KeyInit, Mac, digest::FixedOutput};
use sha2::Sha256;

use super::{Label, SecretKey};

/// Derives a 256-bit key from `parent` for one use and one context.
///
/// NIST SP 800-108r1, section 4.1, counter mode, with HMAC-SHA-256 as the PRF.
/// 256 bits are one block of the PRF, so the counter only ever takes the value 1:
///
/// ```text
/// HMAC-SHA-256(parent, [1]₃₂ ‖ label ‖ 0x00 ‖ context ‖ [256]₃₂)
/// ```
pub fn derive(parent: &SecretKey, label: Label, context: &[u8]) -> SecretKey {
    let mut key = SecretKey::zeroed();
    block(parent, label, context).finalize_into((&mut *key.0).into());
    key
}

/// Derives 256 bits that need not be secret, in the same way: an id, or a code
/// that only who has `parent` can compute.
pub fn code(parent: &SecretKey, label: Label, context: &[u8]) -> [u8; 32] {
    block(parent, label, context).finalize_fixed().into()
}

fn block(parent: &SecretKey, label: Label, context: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(parent.expose())
        .expect("HMAC takes keys of any length")
        .chain_update(1_u32.to_be_bytes())
        .chain_update(label.as_str())
        .chain_update([0])
        .chain_update(context)
        .chain_update(256_u32.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
    use proptest::{array::uniform32, collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// AWS-LC's KBKDF, which NIST has validated, takes label, zero byte,
        /// context and length as one string.
        #[test]
        fn derive_agrees_with_aws_lc(parent in uniform32(any::<u8>()), context in vec(any::<u8>(), 0..80)) {
            let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256)
                .expect("AWS-LC has KBKDF with HMAC-SHA-256");
            for label in Label::ALL {
                let fixed = [label.as_str().as_bytes(), &[0], &context, &256_u32.to_be_bytes()].concat();
                let mut expected = [0; 32];
                kbkdf_ctr_hmac(algorithm, &parent, &fixed, &mut expected).unwrap();
                let key = derive(&SecretKey::from_bytes(&parent), label, &context);
                prop_assert_eq!(key.expose(), &expected);
                prop_assert_eq!(code(&SecretKey::from_bytes(&parent), label, &context), expected);
            }
        }
    }
}
