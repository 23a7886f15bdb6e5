//! The engine: one call in, one answer out, and between them every check in AWS's order.
//!
//! It does no I/O and never waits. State, time and randomness are arguments; what a call changes
//! is returned for the edge to commit before the answer leaves ([`Step::Commit`]). The same state,
//! time and randomness give the same bytes, as long as nobody exceeds a quota, and with exceptions
//! that crypto libraries force on us: two
//! behind doors that a test can replace, key pairs ([`KeyPairSource`]) and the sealing for a
//! recipient (the verifier's backend); and what RSA, ECDSA, ML-DSA and ML-KEM keys draw when they
//! are used.
//!
//! A call travels like this, and may stop at each step with that step's error:
//!
//! 1. the operation's name, then whether the body is JSON of the right types;
//! 2. the caller: Signature Version 4 against the access keys of the state, and its quota;
//! 3. the shape: AWS's constraints on each member, then what members say together;
//! 4. the recipient: an attestation document becomes a recipient's key, or nothing goes on;
//! 5. the key: id, ARN or alias to a key that exists;
//! 6. the permit: may this caller do this to this key;
//! 7. the key's state, its usage, the algorithm;
//! 8. the end of a dry run;
//! 9. the operation.
//!
//! A call that posts a form is one of IAM or STS and goes to [`iam`].

use std::sync::Arc;

use attestation::rand_core::CryptoRng;
use attestation::{Timestamp, Verifier};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::audit::Event;
use crate::authentication::authenticate;
use crate::call::Call;
use crate::error::KmsError;
use crate::iam;
use crate::key_pair::{KeyPairSource, PreparedKeyPair};
use crate::last_usage::{Usage, UsedKeys};
use crate::operation::{self, Context, Outcome, Unfinished};
use crate::protocol::{OperationName, request, response};
use crate::quota::RequestQuotas;
use crate::sigv4::Service;
use crate::state::{Change, State};

/// What an operator may set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// How many aliases a key may have; AWS's quota is 50.
    pub max_aliases_per_key: usize,
    /// When this process began to note the last usage of keys.
    pub usage_tracked_since: Timestamp,
    /// Whether each principal may call as often as AWS lets an account by default, and no more.
    pub aws_request_quotas: bool,
    /// Called on a call's thread before that computes for 0.1 ms or more in one piece: verifies an
    /// attestation document that it does not know; signs, verifies, decrypts or agrees with an
    /// asymmetric key, or makes one, of whatever kind but P-256 and Ed25519. So the edge can have
    /// another thread look for new calls meanwhile.
    pub before_long_work: fn(),
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_aliases_per_key: 50,
            usage_tracked_since: Timestamp::default(),
            aws_request_quotas: false,
            before_long_work: || {},
        }
    }
}

/// The KMS API over a state.
pub struct Engine {
    config: EngineConfig,
    verifier: Verifier,
    key_pairs: Arc<dyn KeyPairSource>,
    quotas: Option<RequestQuotas>,
}

/// What a call comes to.
pub enum Step {
    /// The reply may leave.
    Reply(Reply),
    /// The reply may leave once the changes are durable.
    Commit(Vec<Change>, Reply),
    /// There is a key pair to make that takes long. The call is to be stepped again where that
    /// holds up nobody ([`Engine::step_slowly`]); the reply is for when that can't be.
    Slow(Reply),
    /// The part that takes long is done. The call is to be stepped again with it
    /// ([`Engine::resume`]), on the writer; the reply is for when that can't be.
    Prepared(PreparedKeyPair, Reply),
}

/// Which of the steps of a call.
enum Pass {
    First,
    /// Where it may take long.
    Slow,
    /// On the writer, with what took long.
    Last(Option<PreparedKeyPair>),
}

/// The answer to a call, and its record in the audit trail.
pub struct Reply {
    /// What the caller gets.
    pub response: Response,
    /// What the audit trail gets.
    pub event: Event,
    /// What it means for the last usage of keys, to be noted when the response leaves.
    pub usage: Option<Usage>,
    protocol: Protocol,
}

/// How a call is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// AWS JSON 1.1, which KMS speaks.
    Json,
    /// AWS Query, which IAM and STS speak.
    Query(Service),
}

impl Protocol {
    /// The media type of every answer.
    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Query(_) => "text/xml",
        }
    }
}

/// An HTTP response, but for the headers that the edge adds: `Date`, `Content-Length` and
/// `x-amzn-RequestId`.
pub struct Response {
    /// The status.
    pub status: http::StatusCode,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The value of `x-amzn-RequestId`.
    pub request_id: Uuid,
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
            quotas: config.aws_request_quotas.then(RequestQuotas::new),
            config,
            verifier,
            key_pairs,
        }
    }

    /// Answers a call, in little time: an RSA key pair it gives out only if one is ready.
    pub fn step(
        &self,
        state: &State,
        call: &Call<'_>,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Step {
        self.step_with(state, call, Pass::First, now, random)
    }

    /// Answers a call whose first step came to [`Step::Slow`], and makes the key pair that it needs.
    pub fn step_slowly(
        &self,
        state: &State,
        call: &Call<'_>,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Step {
        self.step_with(state, call, Pass::Slow, now, random)
    }

    /// Answers a call again whose first step came to [`Step::Commit`], on the state with all changes
    /// before it, or to [`Step::Prepared`], with what was prepared. It is decided anew, and what was
    /// prepared gives no rights; only quotas have counted it already.
    pub fn resume(
        &self,
        state: &State,
        call: &Call<'_>,
        prepared: Option<PreparedKeyPair>,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Step {
        self.step_with(state, call, Pass::Last(prepared), now, random)
    }

    fn step_with(
        &self,
        state: &State,
        call: &Call<'_>,
        pass: Pass,
        now: Timestamp,
        random: &mut dyn CryptoRng,
    ) -> Step {
        if iam::is_for(call) {
            return iam::step(state, call, now, random);
        }
        let mut event = Event::begin(call, now, random);
        match self.answer(state, call, pass, now, random, &mut event) {
            Ok((outcome, usage)) => {
                let Outcome {
                    body,
                    changes,
                    unfinished,
                } = outcome;
                let reply = Reply {
                    usage,
                    ..Reply::success(Protocol::Json, body, event)
                };
                match unfinished {
                    Some(Unfinished::Slow) => Step::Slow(reply),
                    Some(Unfinished::Prepared(prepared)) => Step::Prepared(prepared, reply),
                    None => reply.after(changes),
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
        if iam::is_for(call) {
            return iam::refuse(call, error, now, random);
        }
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
        pass: Pass,
        now: Timestamp,
        random: &mut dyn CryptoRng,
        event: &mut Event,
    ) -> Result<(Outcome, Option<Usage>), KmsError> {
        let operation = OperationName::of(call)?;
        event.operation(operation);
        let request = request::parse(operation, call.body);
        if let Err(error @ KmsError::Serialization(_)) = request {
            return Err(error);
        }
        let caller = authenticate(state, call, Service::Kms, now, event)?;
        let request = request?;
        event.request(&request);
        if let (Some(quotas), Pass::First) = (&self.quotas, &pass) {
            let call = (operation, &request);
            quotas.spend(&caller.principal, &caller.region, call, now)?;
        }
        let mut context = Context {
            state,
            call,
            caller: &caller,
            now,
            random,
            config: &self.config,
            verifier: &self.verifier,
            key_pairs: self.key_pairs.as_ref(),
            may_take_long: matches!(pass, Pass::Slow),
            prepared: match pass {
                Pass::First | Pass::Slow => None,
                Pass::Last(prepared) => prepared,
            },
            event,
            used: UsedKeys::default(),
        };
        let outcome = operation::perform(&mut context, request)?;
        Ok((outcome, Usage::of(operation, now, context.used)))
    }
}

impl Reply {
    /// The same reply turned into an error, for a commit that did not come about. The event keeps
    /// caller, request and resources.
    #[must_use]
    pub fn fail(self, error: &KmsError) -> Self {
        match self.protocol {
            Protocol::Json => Self::failure(error, self.event),
            Protocol::Query(service) => iam::failure(service, &error.clone().into(), self.event),
        }
    }

    /// The step that this reply is, with what has to be durable before it leaves.
    pub(crate) fn after(self, changes: Vec<Change>) -> Step {
        if changes.is_empty() {
            Step::Reply(self)
        } else {
            Step::Commit(changes, self)
        }
    }

    /// The answer to a call that did what it was to do.
    pub(crate) fn success(protocol: Protocol, body: Zeroizing<Vec<u8>>, event: Event) -> Self {
        Self::new(protocol, http::StatusCode::OK, body, event)
    }

    fn failure(error: &KmsError, mut event: Event) -> Self {
        let wire = error.wire();
        event.failed(wire.code, wire.message);
        Self::new(
            Protocol::Json,
            wire.status,
            response::error_body(error),
            event,
        )
    }

    /// A reply whose event says what came of the call.
    pub(crate) fn new(
        protocol: Protocol,
        status: http::StatusCode,
        body: Zeroizing<Vec<u8>>,
        event: Event,
    ) -> Self {
        Self {
            response: Response {
                status,
                content_type: protocol.content_type(),
                request_id: event.request_id(),
                body,
            },
            event,
            usage: None,
            protocol,
        }
    }
}
