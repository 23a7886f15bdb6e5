//! Grant tokens: opaque texts that each name one grant.
//!
//! ```text
//! base64url("CLAVGT" ‖ form 1 ‖ nonce 16 ‖ code 32 ‖ grant id 32 ‖ key ARN)
//! ```
//!
//! In AWS a token lets a new grant count before it is known everywhere. Here a grant counts from
//! the moment it is answered, so a token gives no one anything. It still has to be one of ours: the
//! code, under the naming key, says so.

use attestation::rand_core::CryptoRng;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use subtle::ConstantTimeEq as _;

use crate::crypto::Fields;
use crate::grant::{Grant, GrantId};
use crate::name;
use crate::state::State;

/// What tells our tokens from other texts.
const MAGIC: &[u8; 7] = b"CLAVGT\x01";
const NONCE_LEN: usize = 16;
const CODE_LEN: usize = 32;

/// The grant that a token names; it may be gone.
pub(super) struct GrantName {
    /// The ARN of its key.
    pub(super) key: String,
    /// Its id.
    pub(super) id: GrantId,
}

/// A new token of a grant.
pub(super) fn make(state: &State, grant: &Grant, random: &mut dyn CryptoRng) -> String {
    let mut nonce = [0; NONCE_LEN];
    random.fill_bytes(&mut nonce);
    let arn = name::key_arn(&grant.region, grant.account, grant.key);
    let code = code(state, &nonce, grant.id, &arn);
    let parts: [&[u8]; 5] = [MAGIC, &nonce, &code, grant.id.as_bytes(), arn.as_bytes()];
    BASE64.encode(parts.concat())
}

/// What a token names; `None` unless it is one of ours.
pub(super) fn read(state: &State, token: &str) -> Option<GrantName> {
    let bytes = BASE64.decode(token).ok()?;
    let rest = bytes.strip_prefix(MAGIC)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
    let (theirs, rest) = rest.split_first_chunk::<CODE_LEN>()?;
    let (id, arn) = rest.split_first_chunk::<{ GrantId::LEN }>()?;
    let (id, arn) = (GrantId::from_bytes(*id), str::from_utf8(arn).ok()?);
    let ours = code(state, nonce, id, arn);
    bool::from(ours.ct_eq(theirs)).then(|| GrantName {
        key: arn.to_owned(),
        id,
    })
}

fn code(state: &State, nonce: &[u8], id: GrantId, arn: &str) -> [u8; CODE_LEN] {
    let fields = Fields::with_capacity(160)
        .bytes(MAGIC)
        .bytes(nonce)
        .bytes(id.as_bytes())
        .text(arn);
    state.grant_token_code(fields.as_bytes())
}
