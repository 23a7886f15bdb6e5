//! What an enclave that serves answers its operators: who may take its place.
//!
//! Anybody may ask. What counts is the document of the one that is to take over: an enclave of the
//! same measurements, sealed, that needs the very root key. It gets the key only once this enclave
//! has stopped, and only for the state that it stopped at. `docs/root-key.md` has the messages.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use attestation::{
    Nsm, NsmError, RecipientKey, Timestamp, TrustRoot, VerifiedDocument, Verifier, VerifyOptions,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use kms::state::{RootKeyId, State};
use rand_core::Rng as _;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::ceremony::{Answer, refusal};
use crate::clock::Clock;
use crate::error::EnclaveError;
use crate::identity::{Stage, Statement};
use crate::life::Enclave;
use crate::random::Random;

/// Where a hand-over is asked for: `GET` for a nonce, `POST` with the successor's document, and
/// `GET` with the nonce for the message to give to it.
pub const HANDOVER_PATH: &str = "/handover";

/// How long a nonce is good.
const NONCE_LIFE: Duration = Duration::from_secs(60);

/// The registers that name an image (its whole, its kernel, its application).
const IMAGE_REGISTERS: [u16; 3] = [0, 1, 2];

/// An enclave that may take over.
pub(crate) struct Successor {
    /// The nonce that its document answers.
    pub(crate) nonce: Nonce,
    /// The key in its document, in DER and ready to use.
    pub(crate) public_key: Vec<u8>,
    pub(crate) key: RecipientKey,
    /// The number of the release that it is.
    pub(crate) release: u64,
}

/// Answers operators.
pub(crate) struct Operators {
    verifier: Verifier,
    measurements: Measurements,
    root_key_id: RootKeyId,
    release: u64,
    nonces: Nonces,
    successor: Mutex<Option<mpsc::Sender<Successor>>>,
    clock: Clock,
    random: Random,
}

/// The values of [`IMAGE_REGISTERS`].
type Measurements = [Vec<u8>; IMAGE_REGISTERS.len()];

/// What is posted for a successor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(with = "hex::serde")]
    nonce: Nonce,
    /// The successor's document, in base64.
    document: String,
}

impl Operators {
    /// `successor` is told, once, of the one that may take over.
    pub(crate) async fn new(
        enclave: &Enclave,
        roots: &[TrustRoot],
        state: &State,
        successor: mpsc::Sender<Successor>,
    ) -> Result<Self, EnclaveError> {
        let mut random = enclave.random.clone();
        Ok(Self {
            // Whatever the settings accept from callers: memory that its host can read is no place
            // for a root key.
            verifier: Verifier::new(roots.to_vec(), VerifyOptions::default()),
            measurements: enclave.nsm.ask(measurements).await??,
            root_key_id: state.root_key().id(),
            release: crate::opening::release(state),
            nonces: Nonces::new(&mut random),
            successor: Mutex::new(Some(successor)),
            clock: enclave.clock,
            random,
        })
    }

    /// Answers what is asked at [`HANDOVER_PATH`].
    pub(crate) fn answer(&self, method: &Method, body: &[u8]) -> Answer {
        match *method {
            Method::GET => {
                let nonce = self
                    .nonces
                    .issue(self.clock.now(), &mut self.random.clone());
                let body = json!({ "nonce": hex::encode(nonce) });
                let status = StatusCode::OK;
                Answer { status, body }
            }
            Method::POST => self.hand_over(body).unwrap_or_else(|refusal| refusal),
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED, "GET or POST"),
        }
    }

    fn hand_over(&self, body: &[u8]) -> Result<Answer, Answer> {
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
        let successor = self.authorize(&verified, request.nonce).map_err(|error| {
            let error = format!("the document is not of an enclave that may take over: {error}");
            refusal(StatusCode::FORBIDDEN, &error)
        })?;
        let mut sender = self
            .successor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let sent = sender.take().map(|sender| sender.try_send(successor));
        match sent {
            Some(Ok(())) => Ok(Answer {
                status: StatusCode::ACCEPTED,
                body: json!({ "stage": Stage::HandingOff }),
            }),
            _ => Err(refusal(
                StatusCode::CONFLICT,
                "the enclave hands off to another one already",
            )),
        }
    }

    /// Whether the enclave of this document may have the root key.
    fn authorize(&self, verified: &VerifiedDocument, nonce: Nonce) -> Result<Successor, String> {
        if verified.nonce() != Some(&nonce) {
            return Err("it does not answer the nonce".to_owned());
        }
        let statement = verified.user_data().and_then(Statement::from_user_data);
        let statement = statement.ok_or("its user data is not the statement of one")?;
        if statement.stage != Stage::Sealed {
            return Err("it is not sealed".to_owned());
        }
        if statement.root_key_id != Some(self.root_key_id.to_string()) {
            return Err(format!(
                "it needs another root key than {}",
                self.root_key_id
            ));
        }
        let pcrs = verified.pcrs();
        for (index, own) in IMAGE_REGISTERS.into_iter().zip(&self.measurements) {
            if pcrs.get(usize::from(index)) != Some(own) {
                return Err(format!("its PCR{index} is another one"));
            }
        }
        let public_key = verified.public_key().unwrap_or_default().to_vec();
        Ok(Successor {
            nonce,
            public_key,
            key: verified
                .recipient_key()
                .map_err(|error| error.to_string())?,
            release: self.release,
        })
    }
}

/// What this enclave's own image measures.
fn measurements(nsm: &mut dyn Nsm) -> Result<Measurements, NsmError> {
    let mut values = Measurements::default();
    for (index, value) in IMAGE_REGISTERS.into_iter().zip(&mut values) {
        *value = nsm.describe_pcr(index)?.value.to_vec();
    }
    Ok(values)
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
