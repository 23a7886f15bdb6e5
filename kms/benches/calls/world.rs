//! The server whose calls are measured, and who calls.

use std::cell::RefCell;
use std::convert::Infallible;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use attestation::rand_core::{TryCryptoRng, TryRng};
use kms::engine::{Reply, Step};
use kms::key::Key;
use kms::name::AccountId;
use kms::principal::Principal;
use kms::seed::Seed;
use serde_json::{Value, json};

use crate::cases::Prepared;
use crate::documents::Documents;
use crate::server::{ACCOUNT, Client, START, Server, as_call, base64, signed};

pub(crate) type Request = Rc<http::Request<Vec<u8>>>;

/// A server with a key, ciphertexts of it, and ten grants on it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) documents: RefCell<Documents>,
    pub(crate) key_id: String,
    ciphertext: Value,
    large_ciphertext: Value,
}

/// Bytes of what a large call encrypts or decrypts: the most that KMS takes.
pub(crate) const LARGE: usize = 4096;

impl World {
    pub(crate) fn new() -> Self {
        let documents = Documents::new();
        let mut server = Server::trusting(vec![documents.root()]);
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [
                { "Effect": "Allow", "Action": ["kms:Decrypt", "kms:Encrypt"], "Resource": "*",
                  "Condition": { "StringEquals": { "kms:EncryptionContext:purpose": "bench" } } },
                { "Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Resource": "*" },
            ],
        });
        let bob = Client::of("bob");
        let seed = json!({
            "users": [{
                "name": "bob", "access_key_id": bob.access_key_id,
                "secret_access_key": bob.secret, "policies": { "use": policy },
            }],
        });
        let seed = Seed::from_json(&serde_json::to_vec(&seed).unwrap()).unwrap();
        let account = ACCOUNT.parse().unwrap();
        let changes = seed.changes(account, &server.state, START, &mut CheapRandom(2));
        server.commit(changes.unwrap());
        let key_id = server.create_key();
        for grantee in (0..9).map(|_| "alice").chain(["bob"]) {
            let grant = json!({
                "KeyId": key_id, "Operations": ["GenerateDataKey"],
                "GranteePrincipal": format!("arn:aws:iam::{ACCOUNT}:user/{grantee}"),
                "Constraints": { "EncryptionContextSubset": { "purpose": "bench" } },
            });
            server.call("CreateGrant", grant).ok();
        }
        let mut encrypt = |length| {
            let request = Self::to_encrypt(&key_id, length);
            server.call("Encrypt", request).ok()["CiphertextBlob"].clone()
        };
        let (ciphertext, large_ciphertext) = (encrypt(32), encrypt(LARGE));
        Self {
            server,
            documents: RefCell::new(documents),
            key_id,
            ciphertext,
            large_ciphertext,
        }
    }

    /// The key.
    pub(crate) fn key(&self) -> Arc<Key> {
        let id = self.key_id.parse().unwrap();
        let key = self.server.state.keys_with_id(id).unwrap().next();
        Arc::clone(key.unwrap())
    }

    pub(crate) fn principal(&self, name: &str) -> Arc<Principal> {
        let account: AccountId = ACCOUNT.parse().unwrap();
        let arn = kms::name::user_arn(account, name);
        Arc::clone(self.server.state.principal(&arn).unwrap())
    }

    pub(crate) fn request_as(&self, user: &str, operation: &str, input: &Value) -> Request {
        let body = serde_json::to_vec(input).unwrap();
        signed(&Client::of(user), operation, &body, START).into()
    }

    pub(crate) fn request(&self, operation: &str, input: &Value) -> Request {
        self.request_as("alice", operation, input)
    }

    pub(crate) fn generate_data_key(&self) -> Value {
        json!({ "KeyId": self.key_id, "KeySpec": "AES_256", "EncryptionContext": context() })
    }

    pub(crate) fn attested(&self, document: &[u8]) -> Value {
        let mut input = self.generate_data_key();
        input["Recipient"] = json!({
            "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
            "AttestationDocument": base64(document),
        });
        input
    }

    pub(crate) fn encrypt(&self, length: usize) -> Value {
        Self::to_encrypt(&self.key_id, length)
    }

    fn to_encrypt(key_id: &str, length: usize) -> Value {
        let plaintext = base64(vec![7; length]);
        json!({ "KeyId": key_id, "Plaintext": plaintext, "EncryptionContext": context() })
    }

    pub(crate) fn decrypt(&self, is_large: bool) -> Value {
        let ciphertext = match is_large {
            true => &self.large_ciphertext,
            false => &self.ciphertext,
        };
        json!({ "CiphertextBlob": ciphertext, "EncryptionContext": context() })
    }

    /// The engine's whole work on a request that it answers.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let server = &self.server;
        let mut random = CheapRandom(1);
        let call = as_call(request);
        match server.engine.step(&server.state, &call, START, &mut random) {
            Step::Reply(reply) if reply.response.status == 200 => reply,
            Step::Reply(reply) => panic!("{}", String::from_utf8_lossy(&reply.response.body)),
            _ => panic!("a call that is no read"),
        }
    }

    /// That, to be done.
    pub(crate) fn step(self: &Rc<Self>, request: Request) -> Prepared {
        let this = Rc::clone(self);
        Box::new(move || drop(black_box(this.answer(&request))))
    }
}

fn context() -> Value {
    json!({ "purpose": "bench", "order": "4711" })
}

/// A generator that costs next to nothing, so that randomness is no part of what is measured:
/// SplitMix64.
pub(crate) struct CheapRandom(pub(crate) u64);

impl TryRng for CheapRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for CheapRandom {}
