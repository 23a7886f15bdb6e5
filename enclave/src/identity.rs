//! Who this enclave is, for strangers: documents of its own that name its TLS keys.
//!
//! Every attestation document that the enclave asks for has a [`Statement`] for its user data, so
//! whoever verifies one knows by which certificates to recognise this enclave from then on.
//! `docs/attested-identity.md` has the bytes and says how to check them.

use std::sync::Arc;

use attestation::AttestationRequest;
use der::Encode as _;
use der::asn1::OctetStringRef;
use kms::state::RootKeyId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::config::Limits;
use crate::error::EnclaveError;
use crate::nsm::NsmHandle;
use crate::throttle::{Throttle, Turn};
use crate::tls::ServerCertificate;

/// Where a document is to be had: `GET /attestation?nonce=HEX`.
pub const ATTESTATION_PATH: &str = "/attestation";

/// The most bytes of a nonce that the enclave puts into a document for a stranger.
pub const MAX_NONCE_SIZE: usize = 64;

/// The media type of a document, as verifiers of several vendors' evidence name it (Veraison).
pub const MEDIA_TYPE: &str = "application/aws-nitro-document";

/// The certificate extension that holds a document: `id-pe-cmw` (RATS Conceptual Messages Wrapper,
/// draft-ietf-rats-msg-wrap, section 4.4).
pub(crate) const EXTENSION: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 35];

/// The wrapper's indicator for evidence (the same draft, section 3.1).
const EVIDENCE: u8 = 1 << 2;

/// What an enclave says of itself in the user data of its documents: JSON, at most 512 bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Statement {
    /// The version of this form: [`Statement::VERSION`].
    pub claviger: u32,
    /// Whether it has a root key.
    pub stage: Stage,
    /// The id of the root key that a sealed enclave needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_key_id: Option<String>,
    /// What it can promise against the rollback of its whole store.
    pub freshness: Freshness,
    /// How many simulated roots it believes: above 0, anybody can open what it keeps.
    pub simulated_roots: usize,
    /// Its certificates; absent when it serves in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsStatement>,
}

/// By which keys an enclave is to be recognised.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TlsStatement {
    /// SHA-256 of the authority's certificate in DER, the last one of the server's chain.
    #[serde(with = "hex::serde")]
    pub ca_sha256: [u8; 32],
    /// SHA-256 of the server's public key (SubjectPublicKeyInfo in DER).
    #[serde(with = "hex::serde")]
    pub key_sha256: [u8; 32],
}

/// How far an enclave is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Its store is empty: it waits for a genesis.
    New,
    /// It waits for shares of its root key.
    Sealed,
    /// It has its root key.
    Serving,
    /// It has stopped, for another enclave to take over.
    HandingOff,
}

/// Where an enclave stands with its root key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) stage: Stage,
    pub(crate) root_key_id: Option<RootKeyId>,
}

impl Situation {
    /// With a root key.
    pub(crate) const SERVING: Self = Self {
        stage: Stage::Serving,
        root_key_id: None,
    };

    /// With a root key, and a successor that may have it.
    pub(crate) const HANDING_OFF: Self = Self {
        stage: Stage::HandingOff,
        root_key_id: None,
    };
}

/// What an enclave says, in the user data of a document, of the shares that it has made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Receipt {
    /// The version of this form: [`Statement::VERSION`].
    pub claviger: u32,
    /// SHA-256, in hexadecimal, of the result of a genesis that the enclave answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis_sha256: Option<String>,
    /// The same of a resharing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resharing_sha256: Option<String>,
}

impl Receipt {
    /// The receipt for the result of a genesis.
    pub fn of_genesis(result: &[u8]) -> Self {
        Self {
            claviger: Statement::VERSION,
            genesis_sha256: Some(hex::encode(sha256(result))),
            resharing_sha256: None,
        }
    }

    /// The receipt for the new shares of a resharing.
    pub fn of_resharing(result: &[u8]) -> Self {
        Self {
            claviger: Statement::VERSION,
            genesis_sha256: None,
            resharing_sha256: Some(hex::encode(sha256(result))),
        }
    }

    /// Whether it is the user data of a document.
    pub fn is(&self, user_data: &[u8]) -> bool {
        serde_json::from_slice(user_data).is_ok_and(|receipt: Self| receipt == *self)
    }
}

/// What is known of the age of an enclave's state.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Freshness {
    /// Nothing: a host that puts back an older copy of the whole store is not found out.
    None,
}

impl Statement {
    /// The only version there is.
    pub const VERSION: u32 = 1;

    fn new(situation: Situation, simulated_roots: usize, tls: Option<TlsStatement>) -> Self {
        Self {
            claviger: Self::VERSION,
            stage: situation.stage,
            root_key_id: situation.root_key_id.map(|id| id.to_string()),
            freshness: Freshness::None,
            simulated_roots,
            tls,
        }
    }

    /// Reads the user data of a document. `None` if it is no statement of this version.
    pub fn from_user_data(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|statement: &Self| statement.claviger == Self::VERSION)
    }
}

/// The enclave's own documents.
#[derive(Clone)]
pub(crate) struct Identity {
    nsm: NsmHandle,
    simulated_roots: usize,
    situation: Situation,
    public_key: Option<Vec<u8>>,
}

impl Identity {
    pub(crate) fn new(nsm: NsmHandle, simulated_roots: usize, situation: Situation) -> Self {
        Self {
            nsm,
            simulated_roots,
            situation,
            public_key: None,
        }
    }

    /// With a key that others encrypt to: an RSA SubjectPublicKeyInfo in DER.
    pub(crate) fn with_public_key(self, spki: &[u8]) -> Self {
        Self {
            public_key: Some(spki.to_vec()),
            ..self
        }
    }

    /// A new document that names these TLS keys.
    pub(crate) async fn document(
        &self,
        tls: Option<TlsStatement>,
        nonce: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, EnclaveError> {
        self.attest(&self.statement(tls), nonce, None).await
    }

    /// A new document that stands for the shares of a genesis, of which there is one.
    pub(crate) async fn receipt(
        &self,
        receipt: &Receipt,
        nonce: Vec<u8>,
    ) -> Result<Vec<u8>, EnclaveError> {
        self.attest(receipt, Some(nonce), None).await
    }

    fn statement(&self, tls: Option<TlsStatement>) -> Statement {
        Statement::new(self.situation, self.simulated_roots, tls)
    }

    /// A stranger's turn goes with the request: it lasts until the module has done it, whether or
    /// not the stranger waits for that.
    async fn attest(
        &self,
        user_data: &impl Serialize,
        nonce: Option<Vec<u8>>,
        turn: Option<Turn>,
    ) -> Result<Vec<u8>, EnclaveError> {
        let user_data = serde_json::to_vec(user_data)
            .unwrap_or_else(|_| unreachable!("numbers and texts are JSON"));
        let public_key = self.public_key.clone();
        let document = self.nsm.ask(move |nsm| {
            let _turn = turn;
            nsm.attest(AttestationRequest {
                public_key: public_key.as_deref(),
                user_data: Some(&user_data),
                nonce: nonce.as_deref(),
            })
        });
        Ok(document.await??)
    }
}

/// Documents for whoever asks.
pub(crate) struct PublicIdentity {
    pub(crate) identity: Arc<Identity>,
    certificate: Option<Arc<ServerCertificate>>,
    throttle: Throttle,
}

/// Why a stranger gets no document.
pub(crate) enum NoDocument {
    /// Too many ask.
    Throttled,
    /// The module gave none.
    Failed,
}

impl PublicIdentity {
    /// Of an enclave with this certificate, or none when it serves in clear.
    pub(crate) fn new(
        identity: Arc<Identity>,
        certificate: Option<Arc<ServerCertificate>>,
        limits: &Limits,
    ) -> Self {
        Self {
            identity,
            certificate,
            throttle: Throttle::new(limits),
        }
    }

    /// A new document with the stranger's nonce.
    pub(crate) async fn document(&self, nonce: Vec<u8>) -> Result<Vec<u8>, NoDocument> {
        self.document_of(&self.identity, nonce).await
    }

    /// The same of this enclave with a public key.
    pub(crate) async fn document_of(
        &self,
        identity: &Identity,
        nonce: Vec<u8>,
    ) -> Result<Vec<u8>, NoDocument> {
        let tls = self.certificate.as_ref().map(|one| one.statement());
        let statement = identity.statement(tls);
        let turn = self.turn()?;
        let document = identity.attest(&statement, Some(nonce), Some(turn));
        document.await.map_err(|_| NoDocument::Failed)
    }

    /// A new document that stands for shares which anybody may ask for.
    pub(crate) async fn receipt(
        &self,
        receipt: &Receipt,
        nonce: Vec<u8>,
    ) -> Result<Vec<u8>, NoDocument> {
        let turn = self.turn()?;
        let document = self.identity.attest(receipt, Some(nonce), Some(turn));
        document.await.map_err(|_| NoDocument::Failed)
    }

    fn turn(&self) -> Result<Turn, NoDocument> {
        let turn = self.throttle.turn(Instant::now());
        turn.ok_or(NoDocument::Throttled)
    }
}

/// The nonce in the query of a request, 1 to [`MAX_NONCE_SIZE`] bytes in hexadecimal.
pub(crate) fn nonce(query: Option<&str>) -> Option<Vec<u8>> {
    let nonce = hex::decode(query?.strip_prefix("nonce=")?).ok()?;
    (1..=MAX_NONCE_SIZE).contains(&nonce.len()).then_some(nonce)
}

/// The content of the certificate extension for a document: the wrapper's record
/// `[type, value, indicator]` in CBOR, in an OCTET STRING.
pub(crate) fn extension_content(document: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(document.len() + 64);
    let mut encoder = minicbor::Encoder::new(&mut record);
    // Writing to memory does not fail, nor does DER of less than 256 MiB.
    let encoded = encoder
        .array(3)
        .and_then(|encoder| encoder.str(MEDIA_TYPE))
        .and_then(|encoder| encoder.bytes(document))
        .and_then(|encoder| encoder.u8(EVIDENCE));
    debug_assert!(encoded.is_ok());
    OctetStringRef::new(&record)
        .and_then(|record| record.to_der())
        .unwrap_or_default()
}

/// SHA-256, for the statement.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::testing::Module;

    #[test]
    fn a_statement_is_short_json_and_is_read_back() {
        let tls = TlsStatement {
            ca_sha256: [0x11; 32],
            key_sha256: [0x22; 32],
        };
        let sealed = Situation {
            stage: Stage::Sealed,
            root_key_id: Some(RootKeyId::from_bytes([0x33; 16])),
        };
        for (statement, text) in [
            (
                Statement::new(Situation::SERVING, 0, None),
                r#"{"claviger":1,"stage":"serving","freshness":"none","simulated_roots":0}"#
                    .to_owned(),
            ),
            (
                Statement::new(sealed, 2, Some(tls)),
                format!(
                    r#"{{"claviger":1,"stage":"sealed","root_key_id":"{}","freshness":"none","simulated_roots":2,"tls":{{"ca_sha256":"{}","key_sha256":"{}"}}}}"#,
                    "33".repeat(16),
                    "11".repeat(32),
                    "22".repeat(32)
                ),
            ),
        ] {
            assert_eq!(serde_json::to_string(&statement).unwrap(), text);
            assert!(text.len() <= 512);
            assert_eq!(Statement::from_user_data(text.as_bytes()), Some(statement));
        }
    }

    #[test]
    fn other_user_data_is_no_statement() {
        for text in [
            "",
            "{}",
            "hello",
            r#"{"claviger":1,"freshness":"none","simulated_roots":0}"#,
            r#"{"claviger":2,"stage":"serving","freshness":"none","simulated_roots":0}"#,
            r#"{"claviger":1,"stage":"serving","freshness":"perfect","simulated_roots":0}"#,
            r#"{"claviger":1,"stage":"serving","freshness":"none","simulated_roots":-1}"#,
            r#"{"claviger":1,"stage":"serving","freshness":"none","simulated_roots":0,"tls":{"ca_sha256":"00","key_sha256":"00"}}"#,
        ] {
            assert_eq!(Statement::from_user_data(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_receipt_stands_for_one_result() {
        let receipt = Receipt::of_genesis(b"result");
        let user_data = serde_json::to_vec(&receipt).unwrap();
        assert!(receipt.is(&user_data));
        assert!(!Receipt::of_genesis(b"another").is(&user_data));
        assert!(!Receipt::of_resharing(b"result").is(&user_data));
        assert!(!receipt.is(b"{}"));
    }

    #[tokio::test]
    async fn strangers_leave_the_module_to_the_enclave() {
        const LONG: Duration = Duration::from_secs(20);
        let (release, held) = mpsc::channel();
        let module = Module::with_documents(move || held.recv().unwrap());
        let nsm = NsmHandle::new(Box::new(module));
        let identity = Arc::new(Identity::new(nsm, 0, Situation::SERVING));
        let limits = Limits {
            documents: 2,
            documents_per_second: 1000,
            ..Limits::default()
        };
        let public = Arc::new(PublicIdentity::new(Arc::clone(&identity), None, &limits));
        let ask = || {
            let public = Arc::clone(&public);
            tokio::spawn(async move { public.document(vec![1]).await })
        };
        let (first, second) = (ask(), ask());
        let both_wait = async {
            while public.throttle.places_left() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, both_wait).await.unwrap();
        // However long the module takes, whoever comes now does not wait for it; and whoever goes
        // away leaves no room for another one, as long as the module has his request.
        first.abort();
        second.abort();
        for _ in 0..100 {
            let refused = timeout(LONG, ask()).await.unwrap().unwrap();
            assert!(matches!(refused, Err(NoDocument::Throttled)));
        }
        let own = tokio::spawn(async move { identity.document(None, None).await });
        for document in [b"first", b"other", b"own's"] {
            release.send(Ok(document.to_vec())).unwrap();
        }
        let own = timeout(LONG, own).await.unwrap().unwrap().unwrap();
        assert_eq!(own, b"own's");
        release.send(Ok(b"third".to_vec())).unwrap();
        let third = timeout(LONG, ask()).await.unwrap().unwrap();
        assert_eq!(third.ok().unwrap(), b"third");
    }

    #[test]
    fn a_nonce_has_1_to_64_bytes() {
        let longest = "ab".repeat(MAX_NONCE_SIZE);
        assert_eq!(nonce(Some("nonce=00fF")), Some(vec![0, 255]));
        assert_eq!(
            nonce(Some(&format!("nonce={longest}"))),
            Some(vec![0xab; MAX_NONCE_SIZE])
        );
        for query in [
            None,
            Some(""),
            Some("nonce="),
            Some("nonce=0"),
            Some("nonce=0g"),
            Some("none=00"),
            Some("nonce=00&x=1"),
            Some(format!("nonce={longest}00").as_str()),
        ] {
            assert_eq!(nonce(query), None, "{query:?}");
        }
    }

    /// OCTET STRING { [ "application/aws-nitro-document", h'010203', 4 ] }.
    #[test]
    fn the_extension_is_a_wrapped_record() {
        let mut expected = vec![0x04, 38, 0x83, 0x78, 30];
        expected.extend(b"application/aws-nitro-document");
        expected.extend([0x43, 1, 2, 3, 4]);
        expected[1] = u8::try_from(expected.len() - 2).unwrap();
        assert_eq!(extension_content(&[1, 2, 3]), expected);
    }
}
