//! The few primitives everything sealed by this crate is made of.
//!
//! * [`derive`](derive()) and [`code`]: SP 800-108 counter mode with HMAC-SHA-256;
//! * [`seal`] and [`open`]: AES-256-GCM under a key that is used *once*, derived
//!   from a parent key, a [`Label`] and a random 128-bit [`Nonce`];
//! * [`Fields`]: several byte strings as one, without ambiguity.
//!
//! Every use of a key names a [`Label`], so that no output of one use can be
//! taken for the output of another. The table of labels is the only place
//! where a new use can be added.

mod derive;
mod fields;
mod label;
mod one_time;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use derive::{code, derive};
pub use fields::Fields;
pub use label::Label;
pub use one_time::{Nonce, OpenError, TAG_LEN, open, seal};

/// A 256-bit secret key, wiped when dropped.
///
/// It has no `Debug` and no equality: what can be printed or compared is a
/// key's public id, never the key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey(Box<[u8; SecretKey::LEN]>);

impl SecretKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Draws a new key.
    pub fn generate(random: &mut dyn CryptoRng) -> Self {
        let mut key = Self::zeroed();
        random.fill_bytes(key.0.as_mut_slice());
        key
    }

    /// Takes over `bytes`; the caller's copy is the caller's to wipe.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut key = Self::zeroed();
        key.0.copy_from_slice(bytes);
        key
    }

    /// The key itself, for cryptography and for sealing.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// A key to be written in place, so that no copy is left on the stack.
    fn zeroed() -> Self {
        Self(Box::new([0; Self::LEN]))
    }
}
