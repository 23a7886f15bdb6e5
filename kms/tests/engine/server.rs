//! A server for tests: an engine with its state, and clients that sign.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use attestation::rand_core::{TryCryptoRng, TryRng};
use attestation::{Timestamp, TrustRoot, Verifier, VerifyOptions};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kms::Call;
use kms::engine::{Engine, EngineConfig, Reply, Step};
use kms::key_pair::{AwsLcKeyPairs, KeyPairSource};
use kms::name::AccountId;
use kms::principal::{Access, AccessKey, Principal};
use kms::sigv4::SecretAccessKey;
use kms::state::{Batch, Change, Opening, RecordId, RootKey, SealedKeys, State, Transaction};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The account of everything, unless a test says otherwise.
pub(crate) const ACCOUNT: &str = "111122223333";

/// The region of everything, unless a test says otherwise.
pub(crate) const REGION: &str = "eu-central-1";

/// The time at which a server starts: 2026-03-01T12:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_772_366_400);

/// A generator that gives the same bytes for the same seed: SHA-256 of a counter.
pub(crate) struct TestRandom {
    seed: u64,
    counter: u64,
}

impl TestRandom {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }
}

impl TryRng for TestRandom {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in out.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(self.seed.to_le_bytes());
            hash.update(self.counter.to_le_bytes());
            self.counter += 1;
            chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRandom {}

/// Who signs a call, and for which region.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) region: String,
    pub(crate) scheme: &'static str,
}

impl Client {
    /// The client that calls as this user, whose secret is made of its name.
    pub(crate) fn of(user: &str) -> Self {
        Self {
            access_key_id: format!("AKIA{}", user.to_uppercase()),
            secret: format!("secret-access-key-of-{user}-0123456789"),
            token: None,
            region: REGION.to_owned(),
            scheme: "http",
        }
    }

    /// The same client calling over TLS.
    pub(crate) fn over_tls(&self) -> Self {
        Self {
            scheme: "https",
            ..self.clone()
        }
    }

    /// The same client calling another region.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        Self {
            region: region.to_owned(),
            ..self.clone()
        }
    }
}

/// What came back of a call.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) event: Value,
}

impl Answer {
    /// The answer's JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The JSON of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.event.get("errorCode"), None);
        self.json()
    }

    /// An answer that must be a success without a body.
    #[track_caller]
    pub(crate) fn ok_empty(&self) {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        assert!(self.body.is_empty());
    }

    /// Name and message of an answer that must be an error, `""` for no message at all. Checks
    /// that the audit event says the same.
    #[track_caller]
    pub(crate) fn error(&self) -> (String, String) {
        assert_eq!(self.status, 400, "{}", String::from_utf8_lossy(&self.body));
        let json = self.json();
        let code = json["__type"].as_str().unwrap().to_owned();
        let member = match code.as_str() {
            "AccessDeniedException" => "Message",
            _ => "message",
        };
        let message = json
            .get(member)
            .map_or("", |message| message.as_str().unwrap());
        assert_eq!(self.event["errorCode"], code.as_str());
        assert_eq!(
            self.event
                .get("errorMessage")
                .map_or("", |message| message.as_str().unwrap()),
            message.get(..1024).unwrap_or(message),
        );
        assert_eq!(self.event["responseElements"], Value::Null);
        (code, message.to_owned())
    }

    /// Checks that the answer is this error.
    #[track_caller]
    pub(crate) fn expect_error(&self, code: &str, message: &str) {
        assert_eq!(self.error(), (code.to_owned(), message.to_owned()));
    }
}

/// A server for tests.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) random: TestRandom,
    /// Every audit event so far, as its line.
    pub(crate) events: Vec<String>,
    head: Vec<u8>,
    records: BTreeMap<RecordId, Vec<u8>>,
}

impl Server {
    /// A server that trusts no attestation document, with the user `alice` who may do everything.
    pub(crate) fn new() -> Self {
        Self::trusting(Vec::new())
    }

    /// A server that trusts documents under these roots.
    pub(crate) fn trusting(roots: Vec<TrustRoot>) -> Self {
        let verifier = Verifier::new(roots, VerifyOptions::default());
        Self::with(verifier, Arc::new(AwsLcKeyPairs), 1)
    }

    /// A server with this verifier and source of key pairs, whose randomness has this seed.
    pub(crate) fn with(verifier: Verifier, key_pairs: Arc<dyn KeyPairSource>, seed: u64) -> Self {
        let mut random = TestRandom::new(seed);
        let root_key = RootKey::generate(&mut random);
        let (state, genesis) = State::genesis(&root_key, &mut random, START);
        let mut server = Self {
            engine: Engine::new(EngineConfig::default(), verifier, key_pairs),
            state,
            now: START,
            random,
            events: Vec::new(),
            head: Vec::new(),
            records: BTreeMap::new(),
        };
        server.store(genesis);
        server.add_user(ACCOUNT, "alice", Access::Full);
        server
    }

    /// Adds a user who signs as [`Client::of`] does.
    pub(crate) fn add_user(&mut self, account: &str, name: &str, access: Access) {
        let account: AccountId = account.parse().unwrap();
        let id = format!("AIDA{}", name.to_uppercase());
        let principal = Principal::user_with_id(account, name, &id, access, START);
        self.add_principal(principal, &Client::of(name));
    }

    /// Adds a principal with the access key of a client.
    pub(crate) fn add_principal(&mut self, principal: Principal, client: &Client) {
        let access_key = AccessKey {
            id: client.access_key_id.as_str().into(),
            secret: SecretAccessKey::new(client.secret.clone()),
            principal: principal.arn().clone(),
            created: START,
            active: true,
        };
        self.commit(vec![
            Change::PutPrincipal(principal),
            Change::PutAccessKey(access_key),
        ]);
    }

    /// Commits changes.
    pub(crate) fn commit(&mut self, changes: Vec<Change>) {
        let mut batch = Batch::new(self.state.clone());
        batch.push(changes);
        let (state, transaction) = batch.seal(&mut self.random);
        self.store(transaction);
        self.state = state;
    }

    fn store(&mut self, transaction: Transaction) {
        for id in transaction.deletes {
            self.records.remove(&id);
        }
        self.records.extend(transaction.puts);
        self.head = transaction.head;
    }

    /// Goes on with what is stored, with all keys sealed; gives them.
    pub(crate) fn restart(&mut self) -> SealedKeys {
        let opening = Opening::new(self.state.root_key(), &self.head).unwrap();
        let mut opening = opening.keys_last(0, 1);
        for (id, record) in &self.records {
            opening.record(*id, record).unwrap();
        }
        let (state, sealed) = opening.check().unwrap();
        self.state = state;
        sealed
    }

    /// Moves the clock.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// A call of `alice`.
    pub(crate) fn call(&mut self, operation: &str, request: Value) -> Answer {
        self.call_as(&Client::of("alice"), operation, request)
    }

    /// A call of another client.
    pub(crate) fn call_as(&mut self, client: &Client, operation: &str, request: Value) -> Answer {
        self.call_with_body(client, operation, &serde_json::to_vec(&request).unwrap())
    }

    /// A call with a body that may be anything.
    pub(crate) fn call_with_body(
        &mut self,
        client: &Client,
        operation: &str,
        body: &[u8],
    ) -> Answer {
        let request = signed(client, operation, body, self.now);
        self.send(&request)
    }

    /// A call as it comes from the network.
    pub(crate) fn send(&mut self, request: &http::Request<Vec<u8>>) -> Answer {
        let call = as_call(request);
        let (engine, random) = (&self.engine, &mut self.random);
        let mut step = engine.step(&self.state, &call, self.now, random);
        if let Step::Slow(_) = step {
            step = engine.step_slowly(&self.state, &call, self.now, random);
        }
        if let Step::Prepared(prepared, _) = step {
            step = engine.resume(&self.state, &call, Some(prepared), self.now, random);
        }
        let reply = match step {
            Step::Reply(reply) => reply,
            Step::Commit(changes, reply) => {
                assert!(!changes.is_empty());
                self.commit(changes);
                reply
            }
            Step::Slow(_) | Step::Prepared(..) => panic!("no step of it is the last"),
        };
        self.note(reply)
    }

    /// Keeps the reply's event and gives the answer.
    pub(crate) fn note(&mut self, reply: Reply) -> Answer {
        if let Some(usage) = &reply.usage {
            usage.note(&reply.event);
        }
        let line = reply.event.to_json_line();
        assert!(!line.contains('\n'));
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["requestID"], reply.response.request_id.to_string());
        let is_xml = reply.response.body.starts_with(b"<");
        let expected = if is_xml {
            "text/xml"
        } else {
            "application/x-amz-json-1.1"
        };
        assert_eq!(reply.response.content_type, expected);
        self.events.push(line);
        Answer {
            status: reply.response.status.as_u16(),
            request_id: reply.response.request_id.to_string(),
            body: reply.response.body.to_vec(),
            event,
        }
    }

    /// Makes a key of this spec and usage and gives its id.
    pub(crate) fn create_key_of(&mut self, spec: &str, usage: &str) -> String {
        let request = json!({"KeySpec": spec, "KeyUsage": usage});
        let answer = self.call("CreateKey", request).ok();
        answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }

    /// Makes a grant on a key and gives its token.
    pub(crate) fn grant_token(&mut self, id: &str) -> String {
        let request = json!({
            "KeyId": id,
            "GranteePrincipal": format!("arn:aws:iam::{ACCOUNT}:root"),
            "Operations": ["DescribeKey"],
        });
        let answer = self.call("CreateGrant", request).ok();
        answer["GrantToken"].as_str().unwrap().to_owned()
    }

    /// Makes a key and gives its id.
    pub(crate) fn create_key(&mut self) -> String {
        let answer = self.call("CreateKey", json!({})).ok();
        answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }
}

/// A request signed by AWS's own signer.
pub(crate) fn signed(
    client: &Client,
    operation: &str,
    body: &[u8],
    now: Timestamp,
) -> http::Request<Vec<u8>> {
    let mut request = posted("application/x-amz-json-1.1", body);
    let target = format!("TrentService.{operation}");
    request
        .headers_mut()
        .insert("x-amz-target", target.parse().unwrap());
    *request.uri_mut() = format!("{}://127.0.0.1:8080/", client.scheme)
        .parse()
        .unwrap();
    sign_for("kms", client, request, now)
}

/// A request that is not signed.
pub(crate) fn posted(content_type: &str, body: &[u8]) -> http::Request<Vec<u8>> {
    http::Request::builder()
        .method("POST")
        .uri("http://127.0.0.1:8080/")
        .header("host", "127.0.0.1:8080")
        .header("content-type", content_type)
        .header("user-agent", "claviger-tests/1")
        .body(body.to_vec())
        .unwrap()
}

/// Signs a request for a service.
pub(crate) fn sign_for(
    service: &str,
    client: &Client,
    mut request: http::Request<Vec<u8>>,
    now: Timestamp,
) -> http::Request<Vec<u8>> {
    let credentials = Credentials::new(
        &client.access_key_id,
        &client.secret,
        client.token.clone(),
        None,
        "tests",
    )
    .into();
    let parameters = v4::SigningParams::builder()
        .identity(&credentials)
        .region(&client.region)
        .name(service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_millis(now.as_millis()))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let signable = SignableRequest::new(
        "POST",
        request.uri().to_string(),
        headers,
        SignableBody::Bytes(request.body()),
    );
    let (instructions, _) = sign(signable.unwrap(), &parameters).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request
}

/// A request as the edge gives it to the engine.
pub(crate) fn as_call(request: &http::Request<Vec<u8>>) -> Call<'_> {
    Call {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        is_encrypted: request.uri().scheme_str() == Some("https"),
        body: request.body(),
        authority: request.headers()["host"].to_str().unwrap(),
    }
}

/// The ARN of a key of [`ACCOUNT`] in [`REGION`].
pub(crate) fn key_arn(id: &str) -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}")
}

/// The ARN of an alias of [`ACCOUNT`] in [`REGION`].
pub(crate) fn alias_arn(alias: &str) -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:{alias}")
}

/// A moment as answers have it: seconds, with a fraction.
pub(crate) fn seconds(moment: Timestamp) -> Value {
    json!(moment.as_secs() as f64)
}

/// Base64 of some bytes.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a blob in an answer.
#[track_caller]
pub(crate) fn blob(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("a blob")).unwrap()
}
