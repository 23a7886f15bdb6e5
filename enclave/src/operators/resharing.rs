//! How operators change who holds the shares: approvals, new shares, confirmations.

use std::sync::Arc;

use attestation::RecipientPrivateKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use quorum::{Approval, Progress, Resharing, Share};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell, mpsc, oneshot};
use zeroize::Zeroizing;

use super::Holders;
use crate::ceremony::{Answer, KEY_BITS, refusal};
use crate::error::EnclaveError;
use crate::identity::{Identity, NoDocument, PublicIdentity, Receipt, Situation};
use crate::life::Enclave;
use crate::log::Notice;
use crate::random::Random;
use crate::writer::NewRootKey;

/// What is answered to whatever does not open: where it failed is nobody's business.
const NOT_FOR_US: &str = "this is not encrypted to the key in this enclave's document for resharing: \
                          ask for it again, it is new after every start";

/// The resharings of one run of an enclave, one after the other.
pub(crate) struct Resharings {
    holders: Holders,
    /// What operators encrypt to; made when the first of them comes.
    key: OnceCell<RecipientPrivateKey>,
    identity: Identity,
    current: Arc<Mutex<Resharing>>,
    root_keys: mpsc::Sender<NewRootKey>,
    random: Random,
}

impl Resharings {
    pub(super) fn new(
        enclave: &Enclave,
        holders: Holders,
        root_keys: mpsc::Sender<NewRootKey>,
    ) -> Self {
        Self {
            key: OnceCell::new(),
            identity: enclave.identity(Situation::SERVING),
            current: Arc::new(Mutex::new(Resharing::new(holders.quorum()))),
            holders,
            root_keys,
            random: enclave.random.clone(),
        }
    }

    /// A document like any other of this enclave, with the key to encrypt to.
    pub(super) async fn document(
        &self,
        nonce: Vec<u8>,
        identity: &PublicIdentity,
    ) -> Result<Vec<u8>, Answer> {
        let key = self.key().await.map_err(|error| {
            Notice::AttestationFailed.log();
            refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        })?;
        let with_key = self.identity.clone().with_public_key(key.public_key_spki());
        let document = identity.document_of(&with_key, nonce).await;
        document.map_err(without_document)
    }

    /// Takes an approval.
    pub(super) async fn approve(&self, message: &[u8]) -> Answer {
        let approval = match self
            .open(message)
            .await
            .as_deref()
            .map(|text| Approval::from_text(text))
        {
            Some(Ok(approval)) => approval,
            Some(Err(error)) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
            None => return refusal(StatusCode::BAD_REQUEST, NOT_FOR_US),
        };
        let mut current = self.current.lock().await;
        match current.approve(approval, &mut self.random.clone()) {
            Ok(progress) => {
                let is_proposed = progress.given >= usize::from(progress.threshold);
                if is_proposed {
                    Notice::ResharingApproved.log();
                }
                taken(&progress, "approved", is_proposed)
            }
            Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    /// The new shares, each encrypted to its operator, with a document that stands for them.
    pub(super) async fn shares(&self, nonce: Vec<u8>, identity: &PublicIdentity) -> Answer {
        let result = {
            let current = self.current.lock().await;
            let Some(proposed) = current.proposed() else {
                let error = "no resharing has been approved by enough operators";
                return refusal(StatusCode::CONFLICT, error);
            };
            let quorum = proposed.quorum();
            json!({
                "root_key_id": quorum.root_key_id().to_string(),
                "threshold": quorum.threshold(),
                "shares": proposed.shares(),
            })
            .to_string()
        };
        let receipt = Receipt::of_resharing(result.as_bytes());
        match identity.receipt(&receipt, nonce).await {
            Ok(document) => Answer {
                status: StatusCode::OK,
                body: json!({ "result": result, "attestation": BASE64_STANDARD.encode(document) }),
            },
            Err(why) => without_document(why),
        }
    }

    /// Takes a new share; with the last one needed, changes the root key.
    pub(super) async fn confirm(&self, message: &[u8]) -> Answer {
        let share = match self
            .open(message)
            .await
            .as_deref()
            .map(|text| Share::from_text(text))
        {
            Some(Ok(share)) => share,
            Some(Err(error)) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
            None => return refusal(StatusCode::BAD_REQUEST, NOT_FOR_US),
        };
        let (current, holders) = (Arc::clone(&self.current), self.holders.clone());
        let root_keys = self.root_keys.clone();
        // On a task of its own: a client that goes away must not leave half a change.
        let work = async move {
            let mut current = current.lock().await;
            let (progress, made) = match current.confirm(share) {
                Ok(taken) => taken,
                Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
            };
            let Some((root_key, quorum)) = made else {
                return taken(&progress, "changed", false);
            };
            let (done, durable) = oneshot::channel();
            let change = NewRootKey {
                root_key,
                quorum: quorum.clone(),
                holders,
                done,
            };
            let sent = root_keys.send(change).await;
            if sent.is_err() || durable.await.is_err() {
                let error =
                    "the enclave has stopped, see its log: the old shares may be good still";
                return refusal(StatusCode::INTERNAL_SERVER_ERROR, error);
            }
            *current = Resharing::new(quorum);
            Notice::RootKeyChanged.log();
            taken(&progress, "changed", true)
        };
        let answer = tokio::spawn(work).await;
        answer
            .unwrap_or_else(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, "the resharing failed"))
    }

    /// The text in a message to this enclave.
    async fn open(&self, message: &[u8]) -> Option<Zeroizing<String>> {
        let text = self.key().await.ok()?.open(message).ok()?;
        Some(Zeroizing::new(str::from_utf8(&text).ok()?.to_owned()))
    }

    async fn key(&self) -> Result<&RecipientPrivateKey, EnclaveError> {
        let make = || async {
            let key = tokio::task::spawn_blocking(|| RecipientPrivateKey::generate(KEY_BITS));
            let key = key.await.map_err(|_| EnclaveError::NoRandomness)?;
            key.map_err(|_| EnclaveError::NoRandomness)
        };
        self.key.get_or_try_init(make).await
    }
}

/// What an operator learns who can't have a document.
fn without_document(why: NoDocument) -> Answer {
    match why {
        NoDocument::Throttled => refusal(
            StatusCode::TOO_MANY_REQUESTS,
            "too many documents are asked for at the moment: try again in a second",
        ),
        NoDocument::Failed => {
            Notice::AttestationFailed.log();
            refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "the Nitro security module gave no document: try again",
            )
        }
    }
}

/// What an operator learns whose part was taken.
fn taken(progress: &Progress, what: &str, is_done: bool) -> Answer {
    let mut body = json!({
        "operator": progress.operator,
        "given": progress.given,
        "threshold": progress.threshold,
    });
    body[what] = Value::Bool(is_done);
    let status = StatusCode::OK;
    Answer { status, body }
}
