//! Encryption to one X25519 recipient in the age format, version 1 (C2SP `age.md`).
//!
//! Only this direction, for secrets of up to one chunk: the `age` crate would bring 150 crates into
//! the enclave, localization among them. Operators decrypt with the age tool of their choice.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use pem_rfc7468::LineEnding;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::mac::hmac;

/// The longest secret: one chunk of the payload.
const CHUNK: usize = 64 * 1024;

/// An armored age file with the secret. `None` if the recipient's key has no private half that
/// anybody could hold alone, or the secret is longer than a chunk.
pub(crate) fn encrypt(
    recipient: &[u8; 32],
    secret: &[u8],
    random: &mut dyn CryptoRng,
) -> Option<String> {
    if secret.len() > CHUNK {
        return None;
    }
    let mut file_key = Zeroizing::new([0; 16]);
    random.fill_bytes(file_key.as_mut());
    let mut file = header(recipient, &file_key, random)?;

    let mut nonce = [0; 16];
    random.fill_bytes(&mut nonce);
    file.extend_from_slice(&nonce);
    let payload_key = hkdf(file_key.as_ref(), &nonce, b"payload");
    // Chunk 0, and the last.
    let mut chunk_nonce = [0; 12];
    *chunk_nonce.last_mut()? = 1;
    file.extend(seal(&payload_key, chunk_nonce, secret)?);
    pem_rfc7468::encode_string("AGE ENCRYPTED FILE", LineEnding::LF, &file).ok()
}

/// The header: the file key wrapped for the recipient, and the header's MAC.
fn header(
    recipient: &[u8; 32],
    file_key: &[u8; 16],
    random: &mut dyn CryptoRng,
) -> Option<Vec<u8>> {
    let mut ephemeral = Zeroizing::new([0; 32]);
    random.fill_bytes(ephemeral.as_mut());
    let ephemeral = PrivateKey::from_private_key(&X25519, ephemeral.as_ref()).ok()?;
    let share = ephemeral.compute_public_key().ok()?;

    let mut salt = share.as_ref().to_vec();
    salt.extend_from_slice(recipient);
    let peer = UnparsedPublicKey::new(&X25519, recipient);
    let wrap_key = agreement::agree(&ephemeral, peer, (), |shared| {
        Ok(hkdf(shared, &salt, b"age-encryption.org/v1/X25519"))
    })
    .ok()?;
    let wrapped = seal(&wrap_key, [0; 12], file_key)?;

    let base64 = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
    let mut header = format!(
        "age-encryption.org/v1\n-> X25519 {}\n{}\n---",
        base64(share.as_ref()),
        base64(&wrapped)
    );
    let mac_key = hkdf(file_key, &[], b"header");
    let mac = hmac(mac_key.as_ref(), &[header.as_bytes()]);
    header.push(' ');
    header.push_str(&base64(mac.as_ref()));
    header.push('\n');
    Some(header.into_bytes())
}

fn seal(key: &[u8; 32], nonce: [u8; 12], plaintext: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?);
    // With room for the tag, so that no copy of the plaintext stays behind.
    let mut sealed = Vec::with_capacity(plaintext.len() + CHACHA20_POLY1305.tag_len());
    sealed.extend_from_slice(plaintext);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .ok()?;
    Some(sealed)
}

/// HKDF-SHA-256 (RFC 5869) with one block of output.
fn hkdf(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let key = hmac(salt, &[secret]);
    hmac(key.as_ref(), &[info, &[1]])
}
