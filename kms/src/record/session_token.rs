//! Session tokens: what the holder of temporary credentials presents, and all there is of a
//! session.
//!
//! ```text
//! format 1 ‖ epoch 4 ‖ nonce 16 ‖ ciphertext ‖ tag 16
//! ```
//!
//! in base64. Nothing of a session is stored: its secret, whose it is and its end are in the token,
//! sealed under the domain key, so that any enclave of the domain can verify what another issued.
//!
//! Sessions of users have a format of their own: a version that knows only those of roles must not
//! take one for the other.

use std::sync::Arc;

use attestation::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minicbor::{CborLen, Decode, Encode};
use rand_core::CryptoRng;

use super::DomainKey;
use crate::crypto::{Fields, Label, Nonce, TAG_LEN, open as open_once, seal as seal_once};
use crate::sigv4::SecretAccessKey;

/// The formats: of a role's session, and of a user's.
const OF_ROLE: u8 = 1;
const OF_USER: u8 = 2;

const HEADER_LEN: usize = 1 + 4 + Nonce::LEN;

/// What a token holds. The secret is wiped when dropped.
pub(crate) struct SessionToken {
    /// The access key id that goes with it, `ASIA…`.
    pub(crate) access_key_id: Arc<str>,
    pub(crate) secret: SecretAccessKey,
    /// The ARN of the role or user, and its unique id: one that was made again is another one.
    pub(crate) principal_arn: Arc<str>,
    pub(crate) principal_id: Arc<str>,
    /// The name of a role's session; a user's has none.
    pub(crate) session_name: Option<Arc<str>>,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    /// The session's policy, if it has one.
    pub(crate) policy: Option<Arc<str>>,
}

impl SessionToken {
    const fn format(&self) -> u8 {
        match self.session_name {
            Some(_) => OF_ROLE,
            None => OF_USER,
        }
    }
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
    sealed.push(token.format());
    sealed.extend_from_slice(&domain_key.epoch.to_be_bytes());
    sealed.extend_from_slice(nonce.as_bytes());
    minicbor::encode(&payload, &mut sealed).expect("a Vec takes whatever is written to it");
    seal_once(
        &domain_key.sealing,
        Label::SessionToken,
        nonce,
        additional_data(token.format(), domain_key.epoch).as_bytes(),
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
    if u32::from_be_bytes(*epoch) != domain_key.epoch {
        return None;
    }
    let payload = open_once(
        &domain_key.sealing,
        Label::SessionToken,
        Nonce::from_bytes(*nonce),
        additional_data(format, domain_key.epoch).as_bytes(),
        sealed,
    )
    .ok()?;
    let payload: TokenPayload = minicbor::decode(&payload).ok()?;
    let token = payload.into_token();
    (token.format() == format).then_some(token)
}

fn additional_data(format: u8, epoch: u32) -> Fields {
    Fields::with_capacity(16)
        .bytes(&[format])
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
    principal_arn: &'a str,
    #[b(3)]
    principal_id: &'a str,
    /// Absent in a user's session.
    #[b(4)]
    session_name: Option<&'a str>,
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
            principal_arn: &token.principal_arn,
            principal_id: &token.principal_id,
            session_name: token.session_name.as_deref(),
            issued: token.issued.as_millis(),
            expires: token.expires.as_millis(),
            policy: token.policy.as_deref(),
        }
    }

    fn into_token(self) -> SessionToken {
        SessionToken {
            access_key_id: self.access_key_id.into(),
            secret: SecretAccessKey::new(self.secret.to_owned()),
            principal_arn: self.principal_arn.into(),
            principal_id: self.principal_id.into(),
            session_name: self.session_name.map(Into::into),
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

    fn token(session_name: Option<&str>, policy: Option<&str>) -> SessionToken {
        SessionToken {
            access_key_id: "ASIAEXAMPLE".into(),
            secret: SecretAccessKey::new("secret".to_owned()),
            principal_arn: "arn:aws:iam::111122223333:role/r".into(),
            principal_id: "AROAEXAMPLE".into(),
            session_name: session_name.map(Into::into),
            issued: NOW,
            expires: Timestamp::from_millis(1_700_003_600_001),
            policy: policy.map(Into::into),
        }
    }

    #[test]
    fn a_token_holds_what_was_put_into_it() {
        let mut random = TestRandom::new(1);
        let domain_key = DomainKey::generate(NOW, &mut random);
        for (name, policy, format) in [
            (Some("s"), None, 1),
            (Some("s"), Some("{}"), 1),
            (None, None, 2),
        ] {
            let text = seal(&domain_key, &token(name, policy), &mut random);
            assert_eq!(BASE64.decode(&text).unwrap()[0], format);
            let opened = open(&domain_key, &text).unwrap();
            assert_eq!(&*opened.access_key_id, "ASIAEXAMPLE");
            assert_eq!(opened.secret.expose(), "secret");
            assert_eq!(&*opened.principal_arn, "arn:aws:iam::111122223333:role/r");
            assert_eq!(&*opened.principal_id, "AROAEXAMPLE");
            assert_eq!(opened.session_name.as_deref(), name);
            assert_eq!(opened.issued, NOW);
            assert_eq!(opened.expires, Timestamp::from_millis(1_700_003_600_001));
            assert_eq!(opened.policy.as_deref(), policy);
        }
    }

    #[test]
    fn no_changed_token_opens() {
        let mut random = TestRandom::new(1);
        let domain_key = DomainKey::generate(NOW, &mut random);
        let text = seal(&domain_key, &token(Some("s"), Some("{}")), &mut random);
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
        let text = seal(&domain_key, &token(None, None), &mut random);
        domain_key.epoch += 1;
        assert!(open(&domain_key, &text).is_none());
    }
}
