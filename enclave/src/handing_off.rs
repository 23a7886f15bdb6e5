//! The last stage of an enclave: it answers callers no more, so that a successor can take over
//! exactly what it left.
//!
//! It ends when the store has another head, which the successor writes. If nobody fetches the
//! successor's message in time, it serves again. Once the message is out, it never does: a host
//! could else have two enclaves serve from two copies of the store, one of which would not hear of
//! what is revoked in the other.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use quorum::Handover;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::ceremony::{Answer, refusal};
use crate::counters::Counters;
use crate::error::EnclaveError;
use crate::http::{Front, Server};
use crate::identity::{PublicIdentity, Situation, Stage};
use crate::life::Provisioned;
use crate::log::Notice;
use crate::operators::{HANDOVER_MESSAGE_PATH, HANDOVER_PATH, Nonce, Successor};
use crate::store::Store;

/// How long it waits for somebody to fetch the successor's message. Callers wait as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The wait between looks at the store's head.
const LOOK: Duration = Duration::from_millis(100);

/// An enclave that has stopped for a successor.
pub(crate) struct HandingOff {
    provisioned: Provisioned,
    successor: Successor,
}

/// How it ended.
pub(crate) enum Outcome {
    /// The successor has taken over, or it was asked to end.
    Over,
    /// Nobody has taken over.
    NotTaken(Box<Provisioned>),
}

impl HandingOff {
    pub(crate) fn new(provisioned: Provisioned, successor: Successor) -> Self {
        Self {
            provisioned,
            successor,
        }
    }

    /// Gives the successor's message to whoever has the nonce, until it has taken over.
    pub(crate) async fn until(
        self,
        shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Outcome, EnclaveError> {
        let Self {
            provisioned,
            successor,
        } = self;
        let enclave = &provisioned.enclave;
        let state = &provisioned.opened.state;
        // A resharing that ended meanwhile has made another root key than the successor waits for.
        if state.root_key().id() != successor.root_key_id {
            return Ok(Outcome::NotTaken(Box::new(provisioned)));
        }
        let head = *state.head_hash();
        let handover = Handover {
            root_key: state.root_key().clone(),
            head,
            release: successor.release,
        };
        let text = handover.to_text(&successor.public_key);
        let message = successor
            .key
            .seal(text.as_bytes(), &mut enclave.random.clone());
        let Ok(message) = message else {
            return Ok(Outcome::NotTaken(Box::new(provisioned)));
        };
        let parting = Arc::new(Parting {
            nonce: successor.nonce,
            message: Mutex::new(Message::Kept(message)),
            counters: Counters::default(),
        });

        let config = &enclave.config;
        let listener = link::listen(&config.listen).await;
        let listener = listener.map_err(|source| EnclaveError::Listen {
            address: config.listen.clone(),
            source,
        })?;
        let https = provisioned.https.as_ref();
        let identity = Arc::new(enclave.identity(Situation::HANDING_OFF));
        let certificate = https.map(|https| Arc::clone(&https.certificate));
        let identity = PublicIdentity::new(identity, certificate, &config.limits);
        let acceptor = https.map(|https| https.acceptor.clone());
        let front = Front::Successor(Arc::clone(&parting));
        let server = Server::new(front, identity, config.limits.clone(), acceptor);
        let (down, is_down) = watch::channel(false);
        let mut serving = Box::pin(server.run(listener, is_down));
        let taken = tokio::select! {
            taken = parting.taken_over(Store::new(config.host.clone()), head) => Some(taken),
            () = serving.as_mut() => None,
            () = shutdown => None,
        };
        down.send_replace(true);
        serving.await;
        Ok(match taken {
            Some(false) => {
                Notice::NotTakenOver.log();
                Outcome::NotTaken(Box::new(provisioned))
            }
            Some(true) => {
                Notice::TakenOver.log();
                Outcome::Over
            }
            None => Outcome::Over,
        })
    }
}

/// What is answered meanwhile.
pub(crate) struct Parting {
    nonce: Nonce,
    message: Mutex<Message>,
    counters: Counters,
}

/// What has become of the successor's message.
enum Message {
    /// Nobody has it.
    Kept(Vec<u8>),
    /// It is out, and is given out again.
    Given(Vec<u8>),
    /// Nobody will have it.
    Withdrawn,
}

impl Parting {
    /// Waits for another head in the store; false if nobody has the message after a while, and nobody
    /// will.
    async fn taken_over(&self, mut store: Store, head: [u8; 32]) -> bool {
        let began = Instant::now();
        loop {
            // Without an answer nothing is known: not even that it may serve again.
            if let Ok(found) = store.head_hash().await {
                if found != Some(head) {
                    return true;
                }
                if began.elapsed() >= PATIENCE && self.withdraw() {
                    return false;
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Takes the message back, if nobody has it.
    fn withdraw(&self) -> bool {
        let mut message = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        let is_out = matches!(*message, Message::Given(_));
        if !is_out {
            *message = Message::Withdrawn;
        }
        !is_out
    }

    /// Gives the message out; `None` if it was taken back.
    fn give(&self) -> Option<Vec<u8>> {
        let mut message = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *message, Message::Withdrawn) {
            Message::Kept(bytes) => {
                Notice::RootKeyGiven.log();
                *message = Message::Given(bytes.clone());
                Some(bytes)
            }
            Message::Given(bytes) => {
                *message = Message::Given(bytes.clone());
                Some(bytes)
            }
            Message::Withdrawn => None,
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What `GET /health` tells.
    pub(crate) fn health(&self) -> Answer {
        Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            body: json!({
                "status": Stage::HandingOff,
                "version": env!("CARGO_PKG_VERSION"),
            }),
        }
    }

    /// The message for the successor, if that is what is asked for.
    pub(crate) fn answer(
        &self,
        method: &Method,
        path: &str,
        nonce: Option<&[u8]>,
    ) -> Result<Vec<u8>, Answer> {
        if !matches!(path, HANDOVER_PATH | HANDOVER_MESSAGE_PATH) {
            // In the form of an error of KMS's that SDKs try again after.
            return Err(Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                body: json!({
                    "__type": "KMSInternalException",
                    "message": "Another server is about to take over from this one.",
                }),
            });
        }
        let busy = "the enclave hands off to another one already";
        let busy = || refusal(StatusCode::CONFLICT, busy);
        let is_asked_for = method == Method::GET && path == HANDOVER_MESSAGE_PATH;
        if !is_asked_for || nonce != Some(&self.nonce) {
            return Err(busy());
        }
        self.give().ok_or_else(busy)
    }
}
