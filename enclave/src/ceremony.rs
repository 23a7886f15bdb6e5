//! An enclave without a root key: it serves its operators, until there is one.
//!
//! With an empty store it is *new* and waits for the plan of a genesis; otherwise it is *sealed*
//! and waits for shares, or for a predecessor to hand over. Its documents say which, and carry a
//! key that lives as long as this module's work: what is sent is encrypted to it, so a share sent to
//! one enclave is of no use to another, nor to the same one after a restart. `docs/root-key.md` has
//! the messages.

use std::sync::Arc;

use attestation::RecipientPrivateKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use kms::iam::{ADMINISTRATOR, Administrator};
use kms::name::AccountId;
use kms::state::{RootKey, RootKeyId, StateError};
use quorum::{Handover, Plan, Quorum, Share, Unsealing};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc, watch};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::counters::Counters;
use crate::error::EnclaveError;
use crate::http::{Front, Server};
use crate::identity::{Identity, PublicIdentity, Receipt, Situation, Stage};
use crate::life::Enclave;
use crate::log::Notice;
use crate::opening::{Opened, first_answer, unreachable_store};
use crate::random::Random;
use crate::store::{Store, quorum_id};
use crate::tls::{Authority, Https, Issuance};

/// Where a plan is to be sent to a new enclave: `POST`, JSON.
pub const GENESIS_PATH: &str = "/genesis";

/// Where a share or a hand-over is to be sent to a sealed enclave: `POST`, a CMS message to the key in
/// its document.
pub const UNSEAL_PATH: &str = "/unseal";

/// Bits of the RSA key that shares are encrypted to.
pub(crate) const KEY_BITS: usize = 3072;

/// What operators are answered from.
pub(crate) struct Ceremony {
    situation: Situation,
    key: RecipientPrivateKey,
    waiting: Mutex<Waiting>,
    outcome: mpsc::Sender<Result<Outcome, EnclaveError>>,
    account: AccountId,
    clock: Clock,
    random: Random,
    counters: Counters,
}

/// What it waits for.
enum Waiting {
    /// The plan of a genesis.
    Plan(Store),
    /// Shares.
    Shares(Box<Sealed>),
    /// Nothing any more.
    Nothing,
}

struct Sealed {
    unsealing: Unsealing,
    store: Store,
}

/// How it ended.
enum Outcome {
    Made(Box<Opened>),
    Unsealed(RootKey, Box<Sealed>),
    HandedOver(Handover, Box<Sealed>),
}

/// An answer: JSON.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// Serves operators until there is a root key, and opens the store with it.
pub(crate) async fn hold(enclave: &Enclave, mut store: Store) -> Result<Opened, EnclaveError> {
    let (config, clock, random) = (&enclave.config, enclave.clock, enclave.random.clone());
    let most_keys = config.limits.keys_before_serving;
    let key = tokio::task::spawn_blocking(|| RecipientPrivateKey::generate(KEY_BITS));
    let waiting = waiting(&mut store).await?.unwrap_or(Waiting::Plan(store));
    let situation = waiting.situation();
    let key = key.await.map_err(|_| EnclaveError::NoRandomness)?;
    let key = key.map_err(|_| EnclaveError::NoRandomness)?;

    let identity = enclave.identity(situation);
    let identity = Arc::new(identity.with_public_key(key.public_key_spki()));
    let https = match &config.tls {
        Some(tls) => Some(
            Https::start(Issuance {
                // Clients who trust the enclave that serves must not reach one that does not.
                authority: Authority::generate(clock.now())?.0,
                names: tls.names.clone(),
                identity: Arc::clone(&identity),
                clock,
            })
            .await?,
        ),
        None => None,
    };
    let (sender, mut outcome) = mpsc::channel(1);
    let ceremony = Ceremony {
        situation,
        key,
        waiting: Mutex::new(waiting),
        outcome: sender,
        account: config.account,
        clock,
        random: random.clone(),
        counters: Counters::default(),
    };

    let listener = link::listen(&config.listen).await;
    let listener = listener.map_err(|source| EnclaveError::Listen {
        address: config.listen.clone(),
        source,
    })?;
    let certificate = https.as_ref().map(|https| Arc::clone(&https.certificate));
    let identity = PublicIdentity::new(identity, certificate, &config.limits);
    let acceptor = https.as_ref().map(|https| https.acceptor.clone());
    let front = Front::Operators(Arc::new(ceremony));
    let server = Server::new(front, identity, config.limits.clone(), acceptor);
    Notice::WaitingForOperators {
        sealed: situation.stage == Stage::Sealed,
    }
    .log();

    let (down, is_down) = watch::channel(false);
    let mut serving = Box::pin(server.run(listener, is_down));
    let outcome = tokio::select! {
        outcome = outcome.recv() => outcome,
        () = serving.as_mut() => None,
    };
    // The last answers go out before the listener is somebody else's.
    down.send_replace(true);
    serving.await;
    match outcome.ok_or(EnclaveError::WriterGone)?? {
        Outcome::Made(opened) => Ok(*opened),
        Outcome::Unsealed(root_key, sealed) => {
            sealed.open(&root_key, most_keys, clock, random).await
        }
        Outcome::HandedOver(handover, sealed) => {
            let opened = sealed.open(&handover.root_key, most_keys, clock, random);
            let mut opened = opened.await?;
            opened.take_over(&handover.head, handover.release).await?;
            Notice::HandedOver.log();
            Ok(opened)
        }
    }
}

/// The shares to wait for; `None` if the store is new.
async fn waiting(store: &mut Store) -> Result<Option<Waiting>, EnclaveError> {
    let Some(head) = first_answer(store).await? else {
        return Ok(None);
    };
    let record = store.record(&quorum_id()).await;
    let record = record.map_err(|error| unreachable_store(store, &error))?;
    let quorum = Quorum::from_bytes(&record.ok_or(EnclaveError::QuorumMissing)?)?;
    let head_root_key = RootKeyId::of_head(&head).ok_or(StateError::HeadMalformed)?;
    let quorum_root_key = quorum.root_key_id();
    if head_root_key != quorum_root_key {
        return Err(EnclaveError::QuorumOfAnother {
            head_root_key,
            quorum_root_key,
        });
    }
    Ok(Some(Waiting::Shares(Box::new(Sealed {
        unsealing: Unsealing::new(quorum),
        store: Store::new(store.host().clone()),
    }))))
}

impl Sealed {
    async fn open(
        self,
        root_key: &RootKey,
        most_keys: u64,
        clock: Clock,
        random: Random,
    ) -> Result<Opened, EnclaveError> {
        let quorum = self.unsealing.quorum();
        Opened::with_root_key(self.store, root_key, quorum, most_keys, clock, random).await
    }
}

impl Waiting {
    fn situation(&self) -> Situation {
        match self {
            Self::Shares(sealed) => Situation {
                stage: Stage::Sealed,
                root_key_id: Some(sealed.unsealing.quorum().root_key_id()),
            },
            Self::Plan(_) | Self::Nothing => Situation {
                stage: Stage::New,
                root_key_id: None,
            },
        }
    }
}

impl Ceremony {
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What `GET /health` tells: that nothing is served yet, and what is missing.
    pub(crate) async fn health(&self) -> Answer {
        let mut body = json!({
            "status": self.situation.stage,
            "version": env!("CARGO_PKG_VERSION"),
        });
        if let Waiting::Shares(sealed) = &*self.waiting.lock().await {
            let quorum = sealed.unsealing.quorum();
            body["quorum"] = json!({
                "root_key_id": quorum.root_key_id().to_string(),
                "threshold": quorum.threshold(),
                "size": quorum.size(),
                "given": sealed.unsealing.given(),
            });
        }
        Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            body,
        }
    }

    /// Answers whatever is neither health nor attestation.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        method: &Method,
        path: &str,
        body: &[u8],
        identity: &PublicIdentity,
        nonce: Option<Vec<u8>>,
    ) -> Answer {
        match (method, path) {
            (&Method::POST, GENESIS_PATH) => {
                let Some(nonce) = nonce else {
                    return refusal(StatusCode::BAD_REQUEST, "give a nonce: /genesis?nonce=HEX");
                };
                self.genesis(body, identity, nonce).await
            }
            (&Method::POST, UNSEAL_PATH) => self.unseal(body).await,
            // In the form of an error of KMS's that SDKs try again after.
            _ => Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                body: json!({
                    "__type": "KMSInternalException",
                    "message": "This server has no root key yet: its operators have to unseal it.",
                }),
            },
        }
    }

    async fn genesis(
        self: &Arc<Self>,
        plan: &[u8],
        identity: &PublicIdentity,
        nonce: Vec<u8>,
    ) -> Answer {
        let plan = match Plan::from_json(plan) {
            Ok(plan) => plan,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        // On a task of its own: a client that goes away half-way must not leave half a genesis.
        let (ceremony, identity) = (Arc::clone(self), Arc::clone(&identity.identity));
        let work = async move { ceremony.make(&plan, &identity, nonce).await };
        match tokio::spawn(work).await {
            Ok(answer) => answer,
            Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the genesis failed"),
        }
    }

    /// Makes the root key, its shares, the store and the administrator.
    async fn make(&self, plan: &Plan, identity: &Identity, nonce: Vec<u8>) -> Answer {
        let mut waiting = self.waiting.lock().await;
        let Waiting::Plan(_) = &*waiting else {
            return refusal(
                StatusCode::CONFLICT,
                "there is a root key already: a genesis needs an empty store",
            );
        };
        let mut random = self.random.clone();
        let root_key = RootKey::generate(&mut random);
        let administrator = Administrator::generate(self.account, self.clock.now(), &mut random);
        let Some(administrator_key) = &plan.administrator else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "the plan names no key of an administrator",
            );
        };
        let sealed = Quorum::establish(plan, &root_key, &mut random).and_then(|established| {
            let credentials = credentials(&administrator);
            let credentials = administrator_key.seal(credentials.as_bytes(), &mut random);
            Ok((established, credentials?))
        });
        let ((quorum, shares), credentials) = match sealed {
            Ok(sealed) => sealed,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        let Waiting::Plan(store) = std::mem::replace(&mut *waiting, Waiting::Nothing) else {
            unreachable!("the stage was looked at above, under the same lock");
        };
        let mut administrator_sealed = json!(credentials);
        administrator_sealed["user"] = ADMINISTRATOR.into();
        let result = json!({
            "root_key_id": quorum.root_key_id().to_string(),
            "threshold": quorum.threshold(),
            "account": self.account.to_string(),
            "shares": shares,
            "administrator": administrator_sealed,
        });
        let result = result.to_string();
        let made = async {
            let receipt = Receipt::of_genesis(result.as_bytes());
            let document = identity.receipt(&receipt, nonce).await?;
            let (clock, random) = (self.clock, self.random.clone());
            let opened = Opened::with_new_store(store, &root_key, &quorum, clock, random);
            let mut opened = opened.await?;
            opened.commit(administrator.changes()).await?;
            Ok((document, opened))
        };
        match made.await {
            Ok((document, opened)) => {
                let _ = self.outcome.send(Ok(Outcome::Made(Box::new(opened)))).await;
                let attestation = BASE64_STANDARD.encode(document);
                let body = json!({ "result": result, "attestation": attestation });
                let status = StatusCode::OK;
                Answer { status, body }
            }
            Err(error) => {
                let _ = self.outcome.send(Err(error)).await;
                refusal(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the genesis failed: the enclave's log says why. Begin again with an empty store",
                )
            }
        }
    }

    /// Takes a share, or the whole root key from a predecessor.
    async fn unseal(&self, message: &[u8]) -> Answer {
        // One answer to whatever does not open or is neither: where it failed is nobody's business.
        let text = self.key.open(message).ok();
        let text = text.as_ref().and_then(|text| str::from_utf8(text).ok());
        let own_key = self.key.public_key_spki();
        let (share, handover) = match text {
            Some(text) if Handover::is_meant(text) => {
                (None, Handover::from_text(text, own_key).ok())
            }
            Some(text) => (Share::from_text(text).ok(), None),
            None => (None, None),
        };
        match (share, handover) {
            (Some(share), _) => self.take_share(share).await,
            (None, Some(handover)) => self.take_over(handover).await,
            (None, None) => refusal(
                StatusCode::BAD_REQUEST,
                "this is not a share encrypted to the key in this enclave's document: ask for the \
                 document again, it is new after every start",
            ),
        }
    }

    async fn take_share(&self, share: Share) -> Answer {
        let mut waiting = self.waiting.lock().await;
        let Waiting::Shares(sealed) = &mut *waiting else {
            return refusal(StatusCode::CONFLICT, "the enclave does not wait for shares");
        };
        let (progress, root_key) = match sealed.unsealing.offer(share) {
            Ok(taken) => taken,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        Notice::ShareTaken {
            given: progress.given,
            threshold: usize::from(progress.threshold),
        }
        .log();
        let unsealed = root_key.is_some();
        if let Some(root_key) = root_key
            && let Waiting::Shares(sealed) = std::mem::replace(&mut *waiting, Waiting::Nothing)
        {
            let outcome = Outcome::Unsealed(root_key, sealed);
            let _ = self.outcome.send(Ok(outcome)).await;
        }
        Answer {
            status: StatusCode::OK,
            body: json!({
                "operator": progress.operator,
                "given": progress.given,
                "threshold": progress.threshold,
                "unsealed": unsealed,
            }),
        }
    }

    /// Takes the place of an enclave that has stopped.
    async fn take_over(&self, handover: Handover) -> Answer {
        let mut waiting = self.waiting.lock().await;
        let Waiting::Shares(sealed) = &mut *waiting else {
            return refusal(
                StatusCode::CONFLICT,
                "the enclave does not wait for a root key",
            );
        };
        if handover.root_key.id() != sealed.unsealing.quorum().root_key_id() {
            return refusal(StatusCode::BAD_REQUEST, "this is another root key");
        }
        // A host could have kept an old copy of the store for the successor: it is not opened.
        let head = match sealed.store.head_hash().await {
            Ok(head) => head,
            Err(_) => {
                let error = "the host's record store does not answer";
                return refusal(StatusCode::SERVICE_UNAVAILABLE, error);
            }
        };
        if head != Some(handover.head) {
            return refusal(
                StatusCode::CONFLICT,
                "the record store is not as the other enclave left it",
            );
        }
        if let Waiting::Shares(sealed) = std::mem::replace(&mut *waiting, Waiting::Nothing) {
            let outcome = Outcome::HandedOver(handover, sealed);
            let _ = self.outcome.send(Ok(outcome)).await;
        }
        Answer {
            status: StatusCode::OK,
            body: json!({ "unsealed": true }),
        }
    }
}

/// The first access key, as the AWS CLI and the SDKs take it from a process (`credential_process`).
fn credentials(administrator: &Administrator) -> Zeroizing<String> {
    let key = &administrator.access_key;
    // An id is letters and digits and a secret base64: nothing in them is special in JSON.
    Zeroizing::new(format!(
        "{{\"Version\":1,\"AccessKeyId\":\"{}\",\"SecretAccessKey\":\"{}\"}}\n",
        key.id,
        key.secret.expose()
    ))
}

/// An answer that says why not.
pub(crate) fn refusal(status: StatusCode, error: &str) -> Answer {
    Answer {
        status,
        body: json!({ "error": error }),
    }
}
