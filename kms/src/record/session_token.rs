//! Session tokens: what the holder of temporary credentials presents, and all there is of a
//! session.
//!
//! ```text
//! format 1 ‖ epoch 4 ‖ nonce 16 ‖ ciphertext ‖ tag 16
//! ```
//!
//! in base64. Nothing of a session is stored: its secret, its role and its end are in the token,
//! sealed under the domain key, so that any enclave of the domain can verify what another issued.

use std::sync::Arc;

use attestation::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minicbor::{CborLen, Decode, Encode};
use rand_core::CryptoRng;

use super::DomainKey;
use crate::crypto::{Fields, Label, Nonce, TAG_LEN, open as open_once, seal as seal_once};
use crate::sigv4::SecretAccessKey;

const FORMAT: u8 = 1;
const HEADER_LEN: usize = 1 + 4 + Nonce::LEN;

/// What a token holds. The secret is wiped when dropped.
pub(crate) struct SessionToken {
    /// The access key id that goes with it, `ASIA…`.
    pub(crate) access_key_id: Arc<str>,
    pub(crate) secret: SecretAccessKey,
    /// The ARN of the role, and its unique id: a role that was made again is another one.
    pub(crate) role_arn: Arc<str>,
    pub(crate) role_id: Arc<str>,
    pub(crate) session_name: Arc<str>,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    /// The session's policy, if it has one.
    pub(crate) policy: Option<Arc<str>>,
}

/// The token in its text form.
pub(crate) fn seal(
    domain_key: &DomainKey,
    token: &SessionToken,
    random: &mut dyn CryptoRng,
) -> String {
    let payload = TokenPayload::new(token);
    let nonce = Nonce::generate(random);
    // Of the right size from the start: a buffer that grew would leave the secret behind.
    let mut sealed = Vec::with_capacity(HEADER_LEN + minicbor::len(&payload) + TAG_LEN);
    sealed.push(FORMAT);
    sealed.extend_from_slice(&domain_key.epoch.to_be_bytes());
    sealed.extend_from_slice(nonce.as_bytes());
    minicbor::encode(&payload, &mut sealed).expect("a Vec takes whatever is written to it");
    seal_once(
        &domain_key.sealing,
        Label::SessionToken,
        nonce,
        additional_data(domain_key.epoch).as_bytes(),
        &mut sealed,
        HEADER_LEN,
    );
    BASE64.encode(sealed)
}

/// What is in a token, if it was sealed under this domain key.
pub(crate) fn open(domain_key: &DomainKey, token: &str) -> Option<SessionToken> {
    let token = BASE64.decode(token).ok()?;
    let (&[format], rest) = token.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (nonce, sealed) = rest.split_first_chunk()?;
    if format != FORMAT || u32::from_be_bytes(*epoch) != domain_key.epoch {
        return None;
    }
    let payload = open_once(
        &domain_key.sealing,
        Label::SessionToken,
        Nonce::from_bytes(*nonce),
        additional_data(domain_key.epoch).as_bytes(),
        sealed,
    )
    .ok()?;
    let payload: TokenPayload = minicbor::decode(&payload).ok()?;
    Some(payload.into_token())
}

fn additional_data(epoch: u32) -> Fields {
    Fields::with_capacity(16)
        .bytes(&[FORMAT])
        .bytes(&epoch.to_be_bytes())
}

/// The same rules as for the payloads of records: places keep their meaning.
#[derive(CborLen, Decode, Encode)]
struct TokenPayload<'a> {
    #[b(0)]
    access_key_id: &'a str,
    #[b(1)]
    secret: &'a str,
    #[b(2)]
    role_arn: &'a str,
    #[b(3)]
    role_id: &'a str,
    #[b(4)]
    session_name: &'a str,
    #[n(5)]
    issued: u64,
    #[n(6)]
    expires: u64,
    #[b(7)]
    policy: Option<&'a str>,
}

impl<'a> TokenPayload<'a> {
    fn new(token: &'a SessionToken) -> Self {
        Self {
            access_key_id: &token.access_key_id,
            secret: token.secret.expose(),
            role_arn: &token.role_arn,
            role_id: &token.role_id,
            session_name: &token.session_name,
            issued: token.issued.as_millis(),
            expires: token.expires.as_millis(),
            policy: token.policy.as_deref(),
        }
    }

    fn into_token(self) -> SessionToken {
        SessionToken {
            access_key_id: self.access_key_id.into(),
            secret: SecretAccessKey::new(self.secret.to_owned()),
            role_arn: self.role_arn.into(),
            role_id: self.role_id.into(),
            session_name: self.session_name.into(),
            issued: Timestamp::from_millis(self.issued),
            expires: Timestamp::from_millis(self.expires),
            policy: self.policy.map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn token(policy: Option<&str>) -> SessionToken {
        SessionToken {
            access_key_id: "ASIAEXAMPLE".into(),
            secret: SecretAccessKey::new("secret".to_owned()),
            role_arn: "arn:aws:iam::111122223333:role/r".into(),
            role_id: "AROAEXAMPLE".into(),
            session_name: "s".into(),
            issued: NOW,
            expires: Timestamp::from_millis(1_700_003_600_001),
            policy: policy.map(Into::into),
        }
    }

    #[test]
    fn a_token_holds_what_was_put_into_it() {
        let mut random = TestRandom::new(1);
        let domain_key = DomainKey::generate(NOW, &mut random);
        for policy in [None, Some("{}")] {
            let text = seal(&domain_key, &token(policy), &mut random);
            let opened = open(&domain_key, &text).unwrap();
            assert_eq!(&*opened.access_key_id, "ASIAEXAMPLE");
            assert_eq!(opened.secret.expose(), "secret");
            assert_eq!(&*opened.role_arn, "arn:aws:iam::111122223333:role/r");
            assert_eq!(&*opened.role_id, "AROAEXAMPLE");
            assert_eq!(&*opened.session_name, "s");
            assert_eq!(opened.issued, NOW);
            assert_eq!(opened.expires, Timestamp::from_millis(1_700_003_600_001));
            assert_eq!(opened.policy.as_deref(), policy);
        }
    }

    #[test]
    fn no_changed_token_opens() {
        let mut random = TestRandom::new(1);
        let domain_key = DomainKey::generate(NOW, &mut random);
        let text = seal(&domain_key, &token(Some("{}")), &mut random);
        let other = DomainKey::generate(NOW, &mut random);
        assert!(open(&other, &text).is_none());
        let bytes = BASE64.decode(&text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open(&domain_key, &BASE64.encode(flipped)).is_none(),
                "{bit}"
            );
        }
        for len in 0..bytes.len() {
            assert!(open(&domain_key, &BASE64.encode(&bytes[..len])).is_none());
        }
        for nonsense in ["", "x", "not base64!", &format!("{text} ")] {
            assert!(open(&domain_key, nonsense).is_none(), "{nonsense}");
        }
    }

    #[test]
    fn another_epochs_key_opens_nothing() {
        let mut random = TestRandom::new(1);
        let mut domain_key = DomainKey::generate(NOW, &mut random);
        let text = seal(&domain_key, &token(None), &mut random);
        domain_key.epoch += 1;
        assert!(open(&domain_key, &text).is_none());
    }
}
