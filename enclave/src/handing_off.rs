//! The last stage of an enclave: it answers callers no more, so that a successor can take over
//! exactly what it left.
//!
//! It ends when the store has another head, which the successor writes. If that does not happen
//! in time, nobody has taken over and it serves again. Should the successor come after all, the
//! store tells the two apart: whoever commits on an old head stops.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use attestation::Timestamp;
use http::{Method, StatusCode};
use quorum::Handover;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::ceremony::{Answer, refusal};
use crate::clock::Clock;
use crate::commit::sha256;
use crate::counters::Counters;
use crate::error::EnclaveError;
use crate::http::{Front, Server};
use crate::identity::{PublicIdentity, Situation, Stage};
use crate::life::Provisioned;
use crate::log::Notice;
use crate::operators::{HANDOVER_PATH, Nonce, Successor};
use crate::store::Store;

/// How long a successor may take from its document to its first commit. Callers wait as long.
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
            message,
            clock: enclave.clock,
            counters: Counters::default(),
        });

        let config = &enclave.config;
        let listener = link::listen(&config.listen).await;
        let listener = listener.map_err(|source| EnclaveError::Listen {
            address: config.listen.clone(),
            source,
        })?;
        let https = provisioned.https.as_ref();
        let identity = PublicIdentity {
            identity: Arc::new(enclave.identity(Situation::HANDING_OFF)),
            certificate: https.map(|https| Arc::clone(&https.certificate)),
        };
        let acceptor = https.map(|https| https.acceptor.clone());
        let front = Front::Successor(parting);
        let server = Server::new(front, identity, config.limits.clone(), acceptor);
        let (down, is_down) = watch::channel(false);
        let mut serving = Box::pin(server.run(listener, is_down));
        let taken = tokio::select! {
            taken = taken_over(Store::new(config.host.clone()), head) => Some(taken),
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

/// Waits for another head in the store; false if it still is the same after a while.
async fn taken_over(mut store: Store, head: [u8; 32]) -> bool {
    let began = Instant::now();
    loop {
        // Without an answer nothing is known: not even that it may serve again.
        if let Ok(found) = store.head().await {
            if found.as_deref().map(sha256) != Some(head) {
                return true;
            }
            if began.elapsed() >= PATIENCE {
                return false;
            }
        }
        sleep(LOOK).await;
    }
}

/// What is answered meanwhile.
pub(crate) struct Parting {
    nonce: Nonce,
    message: Vec<u8>,
    clock: Clock,
    counters: Counters,
}

impl Parting {
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
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
        if path != HANDOVER_PATH {
            // In the form of an error of KMS's that SDKs try again after.
            return Err(Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                body: json!({
                    "__type": "KMSInternalException",
                    "message": "Another server is about to take over from this one.",
                }),
            });
        }
        if method != Method::GET || nonce != Some(&self.nonce) {
            return Err(refusal(
                StatusCode::CONFLICT,
                "the enclave hands off to another one already",
            ));
        }
        Ok(self.message.clone())
    }
}
