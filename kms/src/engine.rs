//! The engine: one call in, one answer out, and between them every check in AWS's order.
//!
//! It does no I/O and never waits. State, time and randomness are arguments; what a call changes
//! is returned for the edge to commit before the answer leaves ([`Step::Commit`]). The same state,
//! time and randomness give the same bytes, with two exceptions that crypto libraries force on us,
//! both behind doors that a test can replace: key pairs ([`KeyPairSource`]) and the padding of
//! RSAES-OAEP (the verifier's backend).
//!
//! A call travels like this, and may stop at each step with that step's error:
//!
//! 1. the operation's name, then whether the body is JSON of the right types;
//! 2. the caller: Signature Version 4 against the access keys of the state;
//! 3. the shape: AWS's constraints on each member, then what members say together;
//! 4. the recipient: an attestation document becomes a recipient's key, or nothing goes on;
//! 5. the key: id, ARN or alias to a key that exists;
//! 6. the permit: may this caller do this to this key;
//! 7. the key's state, its usage, the algorithm;
//! 8. the end of a dry run;
//! 9. the operation.

use std::sync::Arc;

use attestation::rand_core::CryptoRng;
use attestation::{Timestamp, Verifier};
use zeroize::Zeroizing;

use crate::audit::Event;
use crate::call::Call;
use crate::error::KmsError;
use crate::key_pair::{self, KeyPairSource};
use crate::operation::{self, Caller, Context, Outcome};
use crate::protocol::{OperationName, Request, request, response};
use crate::sigv4::{self, Authorization};
use crate::state::{Change, State};

/// The media type of every answer.
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// What an operator may set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// How many aliases a key may have; AWS's quota is 50.
    pub max_aliases_per_key: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_aliases_per_key: 50,
        }
    }
}

/// The KMS API over a state.
pub struct Engine {
    config: EngineConfig,
    verifier: Verifier,
    key_pairs: Arc<dyn KeyPairSource>,
}

/// Where the edge should run a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// Anywhere, on the newest snapshot: it changes nothing.
    Read,
    /// Like [`Read`](Self::Read), but off the threads that serve other calls: it makes an RSA key
    /// pair.
    Slow,
    /// On the writer, against the state with all changes before it: it may change something.
    Write,
}

/// What a call comes to.
pub enum Step {
    /// The reply may leave.
    Reply(Reply),
    /// The reply may leave once the changes are durable.
    Commit(Vec<Change>, Reply),
}

/// The answer to a call, and its record in the audit trail.
pub struct Reply {
    /// What the caller gets.
    pub response: Response,
    /// What the audit trail gets.
    pub event: Event,
}

/// An HTTP response, but for the headers that the edge adds: `Date`, `Content-Length` and
/// `x-amzn-RequestId`.
pub struct Response {
    /// The status.
    pub status: http::StatusCode,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The value of `x-amzn-RequestId`.
    pub request_id: String,
    /// The body, which may hold plaintext and is wiped when dropped. Empty for operations without
    /// output.
    pub body: Zeroizing<Vec<u8>>,
}

impl Engine {
    /// An engine that believes the attestation documents this verifier accepts.
    pub fn new(
        config: EngineConfig,
        verifier: Verifier,
        key_pairs: Arc<dyn KeyPairSource>,
    ) -> Self {
        Self {
            config,
            verifier,
            key_pairs,
        }
    }

    /// Where to run a call. Looks at no more than the operation and the kind of key pair, and is
    /// not a check: [`step`](Self::step) answers whatever is wrong with the call.
    pub fn route(&self, call: &Call<'_>) -> Route {
        match OperationName::of(call) {
            Ok(
                OperationName::CancelKeyDeletion
                | OperationName::CreateAlias
                | OperationName::CreateGrant
                | OperationName::CreateKey
                | OperationName::DeleteAlias
                | OperationName::DisableKey
                | OperationName::EnableKey
                | OperationName::PutKeyPolicy
                | OperationName::RetireGrant
                | OperationName::RevokeGrant
                | OperationName::ScheduleKeyDeletion
                | OperationName::UpdateAlias,
            ) => Route::Write,
            Ok(
                operation @ (OperationName::GenerateDataKeyPair
                | OperationName::GenerateDataKeyPairWithoutPlaintext),
            ) if asks_for_slow_key_pair(operation, call.body) => Route::Slow,
            _ => Route::Read,
        }
    }

    /// Answers a call.
    pub fn step(
        &self,
        state: &State,
        call: &Call<'_>,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Step {
        let mut event = Event::begin(call, now, random);
        match self.answer(state, call, now, random, &mut event) {
            Ok(Outcome { body, changes }) => {
                let reply = Reply::success(body, event);
                if changes.is_empty() {
                    Step::Reply(reply)
                } else {
                    Step::Commit(changes, reply)
                }
            }
            Err(error) => Step::Reply(Reply::failure(&error, event)),
        }
    }

    /// The reply to a call that the edge could not give to the engine, such as one with too large
    /// a body. For a commit that failed, [`Reply::fail`] keeps what the event knows.
    pub fn refuse(
        &self,
        call: &Call<'_>,
        error: &KmsError,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Reply {
        let mut event = Event::begin(call, now, random);
        if let Ok(operation) = OperationName::of(call) {
            event.operation(operation);
        }
        Reply::failure(error, event)
    }

    fn answer(
        &self,
        state: &State,
        call: &Call<'_>,
        now: Timestamp,
        random: &mut dyn CryptoRng,
        event: &mut Event,
    ) -> Result<Outcome, KmsError> {
        let operation = OperationName::of(call)?;
        event.operation(operation);
        let request = request::parse(operation, call.body);
        if let Err(error @ KmsError::Serialization(_)) = request {
            return Err(error);
        }
        let caller = authenticate(state, call, now, event)?;
        let request = request?;
        event.request(&request);
        let mut context = Context {
            state,
            caller: &caller,
            now,
            random,
            config: &self.config,
            verifier: &self.verifier,
            key_pairs: self.key_pairs.as_ref(),
            event,
        };
        operation::perform(&mut context, request)
    }
}

impl Reply {
    /// The same reply turned into an error, for a commit that did not come about. The event keeps
    /// caller, request and resources.
    #[must_use]
    pub fn fail(self, error: &KmsError) -> Self {
        Self::failure(error, self.event)
    }

    fn success(body: Zeroizing<Vec<u8>>, event: Event) -> Self {
        Self {
            response: Response {
                status: http::StatusCode::OK,
                content_type: CONTENT_TYPE,
                request_id: event.request_id().to_owned(),
                body,
            },
            event,
        }
    }

    fn failure(error: &KmsError, mut event: Event) -> Self {
        event.failed(error);
        let wire = error.wire();
        Self {
            response: Response {
                status: wire.status,
                content_type: CONTENT_TYPE,
                request_id: event.request_id().to_owned(),
                body: response::error_body(error),
            },
            event,
        }
    }
}

/// Who calls, proven by the signature.
///
/// Region and account are those of the signed scope and of the principal: never the client's word
/// alone.
fn authenticate(
    state: &State,
    call: &Call<'_>,
    now: Timestamp,
    event: &mut Event,
) -> Result<Caller, KmsError> {
    let authorization = Authorization::parse(call)?;
    let access_key_id = authorization.access_key_id();
    event.claimed_access_key(access_key_id);
    let signer = state
        .access_key(access_key_id)
        .filter(|key| key.active)
        .and_then(|key| Some((key, state.principal(&key.principal)?)));
    let secret = signer.map(|(key, _)| &key.secret);
    let authenticated = sigv4::verify(call, &authorization, secret, now)?;
    // Without a signer there was no secret, which `verify` refuses.
    let Some((_, principal)) = signer else {
        return Err(KmsError::UnrecognizedClient("".into()));
    };
    event.caller(principal, access_key_id, authenticated.region());
    Ok(Caller {
        principal: Arc::clone(principal),
        region: authenticated.region().clone(),
    })
}

/// Whether a request asks for a key pair that takes long to make. Read as it will be when it is
/// answered, so that no spelling of the same request gets around it.
fn asks_for_slow_key_pair(operation: OperationName, body: &[u8]) -> bool {
    match request::parse(operation, body) {
        Ok(Request::GenerateDataKeyPair(request)) => key_pair::is_slow(request.key_pair_spec),
        Ok(Request::GenerateDataKeyPairWithoutPlaintext(request)) => {
            key_pair::is_slow(request.key_pair_spec)
        }
        _ => false,
    }
}
