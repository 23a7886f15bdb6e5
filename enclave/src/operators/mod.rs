//! What an enclave that serves answers its operators: who may take its place, and who is to hold the
//! shares of its root key. `docs/root-key.md` has the messages.

mod resharing;
mod succession;

use std::sync::{Arc, PoisonError, RwLock};

use attestation::TrustRoot;
use http::{Method, StatusCode};
use quorum::VerifiedQuorum;
use tokio::sync::mpsc;

use crate::ceremony::{Answer, refusal};
use crate::error::EnclaveError;
use crate::identity::PublicIdentity;
use crate::life::Enclave;
use crate::opening::Opened;
use crate::writer::NewRootKey;

use self::resharing::Resharings;
use self::succession::Succession;
pub(crate) use self::succession::{Nonce, Successor};

/// Where a hand-over is asked for: `GET` for a nonce, `POST` with the successor's document.
pub const HANDOVER_PATH: &str = "/handover";

/// Where the successor's message is, once the enclave has stopped: `GET` with the nonce. An enclave
/// that serves knows no such path, so nobody takes another answer for the message.
pub const HANDOVER_MESSAGE_PATH: &str = "/handover/message";

/// Where a resharing is asked for: `GET` with a nonce for a document with the key to encrypt to, and
/// `POST` with an approval.
pub const RESHARE_PATH: &str = "/reshare";

/// Where the new shares are: `GET` with a nonce.
pub const NEW_SHARES_PATH: &str = "/reshare/shares";

/// Where a new share is confirmed: `POST`.
pub const CONFIRM_PATH: &str = "/reshare/confirm";

/// Answers operators.
pub(crate) struct Operators {
    holders: Holders,
    succession: Succession,
    resharings: Resharings,
}

/// Who holds the shares now.
#[derive(Clone)]
pub(crate) struct Holders(Arc<RwLock<VerifiedQuorum>>);

/// What an operator is answered.
pub(crate) enum Reply {
    Json(Answer),
    /// An attestation document.
    Document(Vec<u8>),
}

impl Operators {
    /// `successors` is told, once, of the one that may take over; `root_keys` of each new root key.
    pub(crate) async fn new(
        enclave: &Enclave,
        roots: &[TrustRoot],
        opened: &Opened,
        successors: mpsc::Sender<Successor>,
        root_keys: mpsc::Sender<NewRootKey>,
    ) -> Result<Self, EnclaveError> {
        let quorum = opened.quorum.clone().ok_or(EnclaveError::QuorumMissing)?;
        let holders = Holders(Arc::new(RwLock::new(quorum)));
        let release = opened.release();
        Ok(Self {
            succession: Succession::new(enclave, roots, holders.clone(), release, successors)
                .await?,
            resharings: Resharings::new(enclave, holders.clone(), root_keys),
            holders,
        })
    }

    /// Whether a path is one of those that are answered here.
    pub(crate) fn is_theirs(path: &str) -> bool {
        let paths = [HANDOVER_PATH, RESHARE_PATH, NEW_SHARES_PATH, CONFIRM_PATH];
        paths.contains(&path)
    }

    /// Who holds the shares now.
    pub(crate) fn holders(&self) -> Holders {
        self.holders.clone()
    }

    /// Answers what is asked at one of the paths, while so many keys are still sealed.
    pub(crate) async fn answer(
        &self,
        (method, path): (&Method, &str),
        nonce: Option<Vec<u8>>,
        body: &[u8],
        identity: &PublicIdentity,
        sealed_keys: u64,
    ) -> Reply {
        let resharings = &self.resharings;
        let answer = match (method, path, nonce) {
            (&Method::GET, HANDOVER_PATH, _) => self.succession.nonce(),
            (&Method::POST, HANDOVER_PATH, _) => self.succession.hand_over(body, sealed_keys),
            (&Method::GET, RESHARE_PATH, Some(nonce)) => {
                return match resharings.document(nonce, identity).await {
                    Ok(document) => Reply::Document(document),
                    Err(refused) => Reply::Json(refused),
                };
            }
            (&Method::POST, RESHARE_PATH, _) => resharings.approve(body).await,
            (&Method::GET, NEW_SHARES_PATH, Some(nonce)) => {
                resharings.shares(nonce, identity).await
            }
            (&Method::POST, CONFIRM_PATH, _) => resharings.confirm(body).await,
            (&Method::GET, _, None) => refusal(StatusCode::BAD_REQUEST, "give a nonce: ?nonce=HEX"),
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED, "GET or POST"),
        };
        Reply::Json(answer)
    }
}

impl Holders {
    pub(crate) fn quorum(&self) -> VerifiedQuorum {
        let holders = self.0.read();
        holders.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn replace(&self, quorum: VerifiedQuorum) {
        let holders = self.0.write();
        *holders.unwrap_or_else(PoisonError::into_inner) = quorum;
    }
}
