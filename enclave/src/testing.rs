//! A stepper with one user and one key, for unit tests; a host that agrees to everything; and a
//! security module that does what a test says.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use attestation::nsm::{NsmDescription, PcrState};
use attestation::{AttestationRequest, Nsm, NsmError, TrustRoot, Verifier, VerifyOptions};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, Method, Uri};
use kms::engine::{Engine, EngineConfig};
use kms::key_pair::KeyPairSource;
use kms::seed::Seed;
use kms::state::{Batch, Opening, RootKey, SealedKeys, State};
use link::{Address, Channel, Numbered, StoreReply, StoreRequest};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::audit::{self, AuditDelivery};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::driver::{Received, Stepper};
use crate::random::{NSM_SEED_BYTES, Random};
use crate::writer::Current;

/// The id of the key that there is.
pub(crate) const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

const REGION: &str = "eu-central-1";
const SEED: &str = r#"{
    "users": [{ "name": "alice", "access_key_id": "AKIAEXAMPLE", "secret_access_key": "secret" }],
    "keys": [{ "key_id": "1234abcd-12ab-34cd-56ef-1234567890ab", "region": "eu-central-1" }]
}"#;

/// A stepper, and what would deliver its audit events.
pub(crate) fn stepper(
    key_pairs: Arc<dyn KeyPairSource>,
    clock: Clock,
) -> (Arc<Stepper>, AuditDelivery) {
    let (stepper, delivery, sealed) = sealed_stepper(key_pairs, clock, 1);
    assert_eq!(sealed.count(), 0);
    (stepper, delivery)
}

/// The same with its key sealed, if it is one more than may be open.
pub(crate) fn sealed_stepper(
    key_pairs: Arc<dyn KeyPairSource>,
    clock: Clock,
    most_keys: u64,
) -> (Arc<Stepper>, AuditDelivery, SealedKeys) {
    let mut random = Random::new(&[0; NSM_SEED_BYTES]).unwrap();
    let root_key = RootKey::generate(&mut random);
    let (state, genesis) = State::genesis(&root_key, &mut random, clock.now());
    let account = "111122223333".parse().unwrap();
    let seed = Seed::from_json(SEED.as_bytes()).unwrap();
    let changes = seed.changes(account, &state, clock.now(), &mut random);
    let mut batch = Batch::new(state);
    batch.push(changes.unwrap());
    let (_, seeding) = batch.seal(&mut random);
    let opening = Opening::new(&root_key, &seeding.head).unwrap();
    let mut opening = opening.keys_last(most_keys, 1);
    for (id, record) in genesis.puts.iter().chain(&seeding.puts) {
        opening.record(*id, record).unwrap();
    }
    let (state, sealed) = opening.check().unwrap();
    let verifier = Verifier::new(Vec::new(), VerifyOptions::default());
    let counters = Arc::new(Counters::default());
    let nowhere = Address::Unix("/nonexistent".into());
    let (audit, delivery) = audit::channel(
        nowhere,
        1000,
        Arc::clone(&counters),
        None,
        clock,
        random.clone(),
    );
    let stepper = Stepper {
        engine: Engine::new(EngineConfig::default(), verifier, key_pairs),
        current: Current::new(state),
        clock,
        random,
        audit,
        counters,
    };
    (Arc::new(stepper), delivery, sealed)
}

/// A call of that user.
pub(crate) fn call(operation: &str, body: &Value) -> Received {
    let body = body.to_string();
    let target = format!("TrentService.{operation}");
    let headers = [
        ("host", "kms.test"),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
    ];
    let identity = Credentials::new("AKIAEXAMPLE", "secret", None, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("kms")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let signed_body = SignableBody::Bytes(body.as_bytes());
    let signable =
        SignableRequest::new("POST", "http://kms.test/", headers.into_iter(), signed_body);
    let (instructions, _) = sign(signable.unwrap(), &parameters).unwrap().into_parts();
    let headers: HeaderMap = headers
        .into_iter()
        .chain(instructions.headers())
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    Received {
        method: Method::POST,
        uri: Uri::from_static("/"),
        headers,
        is_encrypted: false,
        body: body.into_bytes().into(),
        waited: Duration::ZERO,
    }
}

/// A host whose store takes every commit and keeps nothing.
pub(crate) async fn agreeing_host(address: &Address) -> JoinHandle<()> {
    let listener = link::listen(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok(stream) = listener.accept().await {
            let (channel, mut reader, mut writer) = link::accept(stream).await.unwrap();
            assert_eq!(channel, Channel::Store);
            while let Ok(Some(request)) = reader.receive::<Numbered<StoreRequest>>().await {
                assert!(matches!(request.body, StoreRequest::Commit(_)));
                let (number, body) = (request.number, StoreReply::Committed);
                writer.send(&Numbered { number, body }).await.unwrap();
            }
        }
    })
}

type Attest = dyn FnMut() -> Result<Vec<u8>, NsmError> + Send;
type FillRandom = dyn FnMut(&mut [u8]) -> Result<(), NsmError> + Send;

/// A module that can do what a test gives it to do.
pub(crate) struct Module {
    root: TrustRoot,
    attest: Box<Attest>,
    random: Box<FillRandom>,
}

impl Module {
    /// One with randomness.
    pub(crate) fn with_random(
        random: impl FnMut(&mut [u8]) -> Result<(), NsmError> + Send + 'static,
    ) -> Self {
        Self {
            root: TrustRoot::aws(),
            attest: Box::new(|| Err(NsmError::InvalidOperation)),
            random: Box::new(random),
        }
    }

    /// One with documents.
    pub(crate) fn with_documents(
        attest: impl FnMut() -> Result<Vec<u8>, NsmError> + Send + 'static,
    ) -> Self {
        let without_random = Self::with_random(|_| Err(NsmError::InvalidOperation));
        Self {
            attest: Box::new(attest),
            ..without_random
        }
    }
}

impl Nsm for Module {
    fn trust_root(&self) -> &TrustRoot {
        &self.root
    }

    fn describe(&mut self) -> Result<NsmDescription, NsmError> {
        Err(NsmError::InvalidOperation)
    }

    fn attest(&mut self, _: AttestationRequest<'_>) -> Result<Vec<u8>, NsmError> {
        (self.attest)()
    }

    fn random(&mut self, out: &mut [u8]) -> Result<(), NsmError> {
        (self.random)(out)
    }

    fn describe_pcr(&mut self, _: u16) -> Result<PcrState, NsmError> {
        Err(NsmError::InvalidOperation)
    }

    fn extend_pcr(&mut self, _: u16, _: &[u8]) -> Result<Vec<u8>, NsmError> {
        Err(NsmError::InvalidOperation)
    }

    fn lock_pcr(&mut self, _: u16) -> Result<(), NsmError> {
        Err(NsmError::InvalidOperation)
    }

    fn lock_pcrs(&mut self, _: u16) -> Result<(), NsmError> {
        Err(NsmError::InvalidOperation)
    }
}
