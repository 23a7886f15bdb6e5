//! Who may take an enclave's place.
//!
//! Anybody may ask. What counts is the document of the one that is to take over: a sealed enclave
//! that needs the very root key, with the same measurements, or with those of a release that a
//! quorum of operators has signed and that is no older. It gets the key only once this enclave has
//! stopped, and only for the state that it stopped at. `docs/root-key.md` has the messages.
//!
//! It has to be on the same instance, unless the operators have signed for another. Otherwise
//! anybody who can start an enclave of the same image could make this one stop.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use attestation::{
    Nsm, NsmError, RecipientKey, Timestamp, TrustRoot, VerifiedDocument, Verifier, VerifyOptions,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use kms::state::RootKeyId;
use rand_core::Rng as _;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::Holders;
use crate::ceremony::{Answer, refusal};
use crate::clock::Clock;
use crate::error::EnclaveError;
use crate::identity::{Stage, Statement};
use crate::life::Enclave;
use crate::random::Random;

/// How long a nonce is good.
const NONCE_LIFE: Duration = Duration::from_secs(60);

/// The registers that a successor shares: the image (its whole, its kernel, its application) and the
/// parent instance.
const REGISTERS: [u16; 4] = [0, 1, 2, 4];

/// An enclave that may take over.
pub(crate) struct Successor {
    /// The nonce that its document answers.
    pub(crate) nonce: Nonce,
    /// The key in its document, in DER and ready to use.
    pub(crate) public_key: Vec<u8>,
    pub(crate) key: RecipientKey,
    /// The root key that it waits for.
    pub(crate) root_key_id: RootKeyId,
    /// The number of the release that it is.
    pub(crate) release: u64,
}

/// Decides over successors.
pub(crate) struct Succession {
    verifier: Verifier,
    measurements: Measurements,
    holders: Holders,
    release: u64,
    nonces: Nonces,
    successor: Mutex<Option<mpsc::Sender<Successor>>>,
    clock: Clock,
    random: Random,
}

/// The values of registers.
type Measurements = BTreeMap<usize, [u8; 48]>;

/// What is posted for a successor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(with = "hex::serde")]
    nonce: Nonce,
    /// The successor's document, in base64.
    document: String,
    /// What makes it one, if its measurements are not this enclave's.
    #[serde(default)]
    release: Option<SignedRelease>,
}

/// A release manifest, and the signatures of operators.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedRelease {
    manifest: String,
    signatures: Vec<String>,
}

/// What a successor has to be, and the number of its release.
struct Expected {
    measurements: Measurements,
    release: u64,
}

impl Succession {
    pub(super) async fn new(
        enclave: &Enclave,
        roots: &[TrustRoot],
        holders: Holders,
        release: u64,
        successor: mpsc::Sender<Successor>,
    ) -> Result<Self, EnclaveError> {
        let mut random = enclave.random.clone();
        Ok(Self {
            // Whatever the settings accept from callers: memory that its host can read is no place
            // for a root key.
            verifier: Verifier::new(roots.to_vec(), VerifyOptions::default()),
            measurements: enclave.nsm.ask(measurements).await??,
            holders,
            release,
            nonces: Nonces::new(&mut random),
            successor: Mutex::new(Some(successor)),
            clock: enclave.clock,
            random,
        })
    }

    /// A nonce for the successor's document.
    pub(super) fn nonce(&self) -> Answer {
        let random = &mut self.random.clone();
        let nonce = self.nonces.issue(self.clock.now(), random);
        let body = json!({ "nonce": hex::encode(nonce) });
        let status = StatusCode::OK;
        Answer { status, body }
    }

    /// Lets the enclave of a document take over, if it may.
    pub(super) fn hand_over(&self, body: &[u8], sealed_keys: u64) -> Answer {
        self.decide(body, sealed_keys)
            .unwrap_or_else(|refusal| refusal)
    }

    fn decide(&self, body: &[u8], sealed_keys: u64) -> Result<Answer, Answer> {
        let bad = |error: &str| refusal(StatusCode::BAD_REQUEST, error);
        let request: Request = serde_json::from_slice(body)
            .map_err(|error| bad(&format!("the request can't be read: {error}")))?;
        let document = BASE64_STANDARD.decode(&request.document);
        let document = document.map_err(|_| bad("the document is not base64"))?;
        let now = self.clock.now();
        if !self.nonces.is_good(&request.nonce, now) {
            return Err(bad(
                "the nonce is not one of this enclave's, or older than a minute: ask for another",
            ));
        }
        let verified = self.verifier.verify(&document, now);
        let verified = verified.map_err(|error| bad(&format!("the document: {error}")))?;
        let forbidden = |error: String| refusal(StatusCode::FORBIDDEN, &error);
        let expected = self.expected(request.release.as_ref());
        let expected = expected.map_err(|error| forbidden(format!("the release: {error}")))?;
        let successor = self.authorize(&verified, request.nonce, &expected);
        let successor = successor.map_err(|error| {
            forbidden(format!(
                "the document is not of an enclave that may take over: {error}"
            ))
        })?;
        // It would stop once they are open, when perhaps nobody waits for that any more.
        if sealed_keys > 0 {
            return Err(refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!(
                    "the enclave has just started and is still opening its keys, {sealed_keys} are \
                     left: try again in a few seconds"
                ),
            ));
        }
        let mut sender = self
            .successor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let sent = sender
            .take()
            .is_some_and(|sender| sender.try_send(successor).is_ok());
        if !sent {
            return Err(refusal(
                StatusCode::CONFLICT,
                "the enclave hands off to another one already",
            ));
        }
        Ok(Answer {
            status: StatusCode::ACCEPTED,
            body: json!({ "stage": Stage::HandingOff }),
        })
    }

    /// What may take over: this enclave's own image, or that of a release.
    fn expected(&self, release: Option<&SignedRelease>) -> Result<Expected, String> {
        let Some(SignedRelease {
            manifest,
            signatures,
        }) = release
        else {
            return Ok(Expected {
                measurements: self.measurements.clone(),
                release: self.release,
            });
        };
        let signatures: Vec<&str> = signatures.iter().map(String::as_str).collect();
        let quorum = self.holders.quorum();
        let authorized = quorum.authorize(manifest.as_bytes(), &signatures);
        let authorized = authorized.map_err(|error| error.to_string())?;
        let manifest = authorized.manifest();
        let release = manifest.release().get();
        if release < self.release {
            return Err(format!(
                "{release} is older than {}, which serves",
                self.release
            ));
        }
        let mut measurements = self.measurements.clone();
        measurements.extend(manifest.measurements());
        Ok(Expected {
            measurements,
            release,
        })
    }

    /// Whether the enclave of this document may have the root key.
    fn authorize(
        &self,
        verified: &VerifiedDocument,
        nonce: Nonce,
        expected: &Expected,
    ) -> Result<Successor, String> {
        if verified.nonce() != Some(&nonce) {
            return Err("it does not answer the nonce".to_owned());
        }
        let statement = verified.user_data().and_then(Statement::from_user_data);
        let statement = statement.ok_or("its user data is not the statement of one")?;
        if statement.stage != Stage::Sealed {
            return Err("it is not sealed".to_owned());
        }
        let root_key_id = self.holders.quorum().quorum().root_key_id();
        if statement.root_key_id != Some(root_key_id.to_string()) {
            return Err(format!("it needs another root key than {root_key_id}"));
        }
        let pcrs = verified.pcrs();
        for (index, expected) in &expected.measurements {
            if pcrs.get(*index) != Some(&expected[..]) {
                return Err(format!("its PCR{index} is another one"));
            }
        }
        let public_key = verified.public_key().unwrap_or_default().to_vec();
        Ok(Successor {
            nonce,
            public_key,
            key: verified
                .recipient_key()
                .cloned()
                .map_err(|error| error.to_string())?,
            root_key_id,
            release: expected.release,
        })
    }
}

/// What is in this enclave's own registers.
fn measurements(nsm: &mut dyn Nsm) -> Result<Measurements, NsmError> {
    let value = |index| {
        let value = nsm.describe_pcr(index)?.value;
        let value = value.try_into();
        let value = value.map_err(|_| NsmError::UnexpectedResponse)?;
        Ok((usize::from(index), value))
    };
    REGISTERS.into_iter().map(value).collect()
}

/// What a document has to answer: time of issue (8 bytes), random (8), code (16).
pub(crate) type Nonce = [u8; 32];

/// Makes nonces and knows them again, without a list that anybody could fill.
struct Nonces(hmac::Key);

impl Nonces {
    const CODED: usize = 16;

    fn new(random: &mut Random) -> Self {
        let mut key = [0; 32];
        random.fill_bytes(&mut key);
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    fn issue(&self, now: Timestamp, random: &mut Random) -> Nonce {
        let mut nonce = [0; 32];
        random.fill_bytes(&mut nonce);
        let (time, _) = nonce.split_at_mut(8);
        time.copy_from_slice(&now.as_millis().to_be_bytes());
        let (coded, code) = nonce.split_at_mut(Self::CODED);
        for (place, byte) in code.iter_mut().zip(hmac::sign(&self.0, coded).as_ref()) {
            *place = *byte;
        }
        nonce
    }

    fn is_good(&self, nonce: &Nonce, now: Timestamp) -> bool {
        let (coded, code) = nonce.split_at(Self::CODED);
        let genuine = hmac::sign(&self.0, coded);
        let genuine = genuine.as_ref().get(..code.len()).unwrap_or_default();
        let genuine = verify_slices_are_equal(genuine, code).is_ok();
        let issued = coded
            .first_chunk()
            .map_or(0, |time| u64::from_be_bytes(*time));
        genuine && now.saturating_since(Timestamp::from_millis(issued)) <= NONCE_LIFE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::NSM_SEED_BYTES;

    #[test]
    fn nonces_are_known_again_for_a_minute() {
        let mut random = Random::new(&[1; NSM_SEED_BYTES]).unwrap();
        let nonces = Nonces::new(&mut random);
        let now = Timestamp::from_secs(1_800_000_000);
        let nonce = nonces.issue(now, &mut random);
        assert_ne!(nonce, nonces.issue(now, &mut random));
        assert!(nonces.is_good(&nonce, now));
        assert!(nonces.is_good(&nonce, now + NONCE_LIFE));
        assert!(!nonces.is_good(&nonce, now + NONCE_LIFE + Duration::from_millis(1)));
        for place in 0..nonce.len() {
            let mut changed = nonce;
            changed[place] ^= 1;
            assert!(!nonces.is_good(&changed, now), "byte {place}");
        }
        // After the next start, or a hand-over that nobody took.
        assert!(!Nonces::new(&mut random).is_good(&nonce, now));
    }
}
