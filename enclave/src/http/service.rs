//! One request in, one answer out.

use std::convert::Infallible;
use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Method, Request, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use kms::KmsError;

use super::body::{BodyError, WholeBody};
use super::wire::Activity;
use super::{Front, OCTETS, Response, Server};
use crate::driver::Received;
use crate::identity::{self, ATTESTATION_PATH};
use crate::operators::{Operators, Reply};

/// What a client learns that speaks HTTP to a port for HTTPS.
const TLS_NEEDED: &str =
    "This port speaks HTTPS. Use https:// and the certificate authority in ca.pem.\n";

/// The most that the future of a request takes. Allocators are quick up to about that size, and it
/// is moved: what only few requests need is in boxes.
const FUTURE_BYTES: usize = 1024;

/// Answers the requests of one connection.
#[derive(Clone)]
pub(super) struct Service {
    server: Arc<Server>,
    activity: Arc<Activity>,
    only_health: bool,
    /// Whether each request has a task of its own, as those of HTTP/2 have.
    has_tasks: bool,
}

impl Service {
    /// Answers everything.
    pub(super) fn new(server: &Arc<Server>, activity: &Arc<Activity>) -> Self {
        Self {
            server: Arc::clone(server),
            activity: Arc::clone(activity),
            only_health: false,
            has_tasks: false,
        }
    }

    /// Answers each request on a task of its own.
    pub(super) fn on_tasks(self) -> Self {
        Self {
            has_tasks: true,
            ..self
        }
    }

    /// Answers nothing but the health, to which no secret belongs: for connections in clear.
    pub(super) fn only_health(self) -> Self {
        Self {
            only_health: true,
            ..self
        }
    }

    /// The parts are taken when they are needed: moved from one future into the next, they would
    /// be in each of them.
    async fn respond(&self, parts: &mut Parts, body: &mut Incoming, waited: Duration) -> Response {
        let server = &self.server;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if reads && parts.uri.path() == link::HEALTH_PATH {
            return Box::pin(server.health()).await;
        }
        if reads && !self.only_health && parts.uri.path() == ATTESTATION_PATH {
            return Box::pin(server.attestation(parts.uri.query())).await;
        }
        let waits_for_permission = parts.headers.contains_key(header::EXPECT);
        let body = server.bodies.read(body, waits_for_permission).await;
        if self.only_health {
            return server.answer(StatusCode::BAD_REQUEST, "text/plain", TLS_NEEDED.into());
        }
        let (method, path) = (&parts.method, parts.uri.path());
        let nonce = || identity::nonce(parts.uri.query());
        let driver = match &server.front {
            Front::Callers {
                driver,
                operators: Some(operators),
                ..
            } if Operators::is_theirs(path) => {
                let body = body.unwrap_or_default();
                let (asked, identity) = ((method, path), &server.identity);
                let sealed_keys = driver.state().sealed_keys();
                let answer = operators.answer(asked, nonce(), &body, identity, sealed_keys);
                return match Box::pin(answer).await {
                    Reply::Json(answer) => server.json(answer),
                    Reply::Document(document) => {
                        server.answer(StatusCode::OK, identity::MEDIA_TYPE, document.into())
                    }
                };
            }
            Front::Callers { driver, .. } => driver,
            Front::Operators(ceremony) => {
                let body = body.unwrap_or_default();
                let answer = ceremony.answer(method, path, &body, &server.identity, nonce());
                return server.json(Box::pin(answer).await);
            }
            Front::Successor(parting) => {
                return match parting.answer(method, path, nonce().as_deref()) {
                    Ok(message) => server.answer(StatusCode::OK, OCTETS, message.into()),
                    Err(refusal) => server.json(refusal),
                };
            }
        };
        let (body, error) = match body {
            Ok(body) => (body, None),
            Err(error) => (WholeBody::default(), Some(kms_error(error))),
        };
        let received = Received {
            method: take(&mut parts.method),
            uri: take(&mut parts.uri),
            headers: take(&mut parts.headers),
            // Without it, requests in clear did not come this far.
            is_encrypted: server.tls.is_some(),
            body,
            waited,
        };
        let answer = match error {
            None => driver.answer(received, &mut parts.headers).await,
            Some(error) => driver.refuse(&received, &error),
        };
        server.response(answer, take(&mut parts.headers))
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_work = self.activity.begin();
        let head_only = request.method() == Method::HEAD;
        let (mut parts, mut body) = request.into_parts();
        let this = self.clone();
        let read = this.has_tasks.then(Instant::now);
        let future = async move {
            // A task of its own waits for its turn, too.
            let for_task = read.map_or(Duration::ZERO, |read| read.elapsed());
            let waited = this.activity.waited() + for_task;
            let mut response = this.respond(&mut parts, &mut body, waited).await;
            if head_only {
                // hyper leaves it out in HTTP/1, but sends it in HTTP/2.
                let body = take(response.body_mut());
                let length = body.size_hint().exact().unwrap_or_default();
                response
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, length.into());
            }
            drop(in_work);
            Ok(response)
        };
        debug_assert!(size_of_val(&future) <= FUTURE_BYTES);
        Box::pin(future)
    }
}

fn kms_error(error: BodyError) -> KmsError {
    match error {
        BodyError::TooLarge => KmsError::RequestTooLarge,
        BodyError::TooSlow => KmsError::validation("The request's body did not arrive in time."),
        BodyError::Broken => KmsError::Serialization("The request's body is incomplete.".into()),
        BodyError::NoRoom => KmsError::Throttling,
    }
}
