//! The front door: accepts connections, and speaks HTTP on them within limits.

mod body;
mod connection;
mod handshakes;
mod service;
mod turns;
mod wiped;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::Full;
use kms::engine::Response as Answer;
use link::{Listener, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use self::body::BodyReader;
pub(crate) use self::body::WholeBody;
use self::handshakes::Handshakes;
use self::wiped::Wiped;
use crate::ceremony::{self, Ceremony};
use crate::config::Limits;
use crate::counters::{Counters, add};
use crate::driver::Driver;
use crate::handing_off::Parting;
use crate::health::Health;
use crate::identity::{self, NoDocument, PublicIdentity};
use crate::log::Notice;
use crate::operators::Operators;

/// The header by which SDKs name a request in their logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

/// What a client learns that asks for a document without a nonce, which would not be known to be new.
const NONCE_NEEDED: &str =
    "Give a nonce of 1 to 64 bytes in hexadecimal: GET /attestation?nonce=0123456789abcdef\n";

/// What a client learns when too many ask for documents.
const TOO_MANY_DOCUMENTS: &str =
    "Too many documents are asked for at the moment. Try again in a second.\n";

/// The wait after a connection could not be accepted, usually for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What answers are made of, whatever carries them.
type Response = http::Response<Full<Bytes>>;

/// Whom a server is for.
pub(crate) enum Front {
    /// Callers of the API.
    Callers {
        driver: Arc<Driver>,
        health: Health,
        /// Who answers operators, where there are any.
        operators: Option<Arc<Operators>>,
    },
    /// Operators of an enclave that has no root key yet.
    Operators(Arc<Ceremony>),
    /// The enclave that is to take over.
    Successor(Arc<Parting>),
}

impl Front {
    fn counters(&self) -> &Counters {
        match self {
            Self::Callers { driver, .. } => driver.counters(),
            Self::Operators(ceremony) => ceremony.counters(),
            Self::Successor(parting) => parting.counters(),
        }
    }
}

/// What all connections share.
pub(crate) struct Server {
    front: Front,
    identity: PublicIdentity,
    bodies: BodyReader,
    limits: Limits,
    tls: Option<Handshakes>,
}

impl Server {
    pub(crate) fn new(
        front: Front,
        identity: PublicIdentity,
        limits: Limits,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        Self {
            front,
            identity,
            bodies: BodyReader::new(&limits),
            limits,
            tls: tls.map(Handshakes::new),
        }
    }

    /// Serves until `shutdown` becomes true, and then until the requests that are in work are
    /// answered or the time for that is over.
    pub(crate) async fn run(self, listener: Listener, mut shutdown: watch::Receiver<bool>) {
        let server = Arc::new(self);
        let places = Arc::new(Semaphore::new(server.limits.connections));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = server.accept(&listener, &places) => accepted,
                _ = shutdown.wait_for(|down| *down) => break,
            };
            if let Some((stream, place)) = accepted {
                let server = Arc::clone(&server);
                let shutdown = shutdown.clone();
                connections.spawn(async move {
                    connection::serve(stream, &server, shutdown).await;
                    server
                        .front
                        .counters()
                        .connections_open
                        .fetch_sub(1, Ordering::Relaxed);
                    drop(place);
                });
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(server.limits.shutdown_time(), all).await.is_err() {
            let connections_left = connections.len();
            Notice::ShutdownImpatient {
                connections: connections_left,
            }
            .log();
            connections.shutdown().await;
        }
    }

    /// The next connection, once there is a place for it.
    async fn accept(
        &self,
        listener: &Listener,
        places: &Arc<Semaphore>,
    ) -> Option<(Stream, OwnedSemaphorePermit)> {
        if places.available_permits() == 0 {
            let limit = self.limits.connections;
            Notice::ConnectionsExhausted { limit }.log();
        }
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        match listener.accept().await {
            Ok(stream) => {
                let counters = self.front.counters();
                add(&counters.connections, 1);
                add(&counters.connections_open, 1);
                Some((stream, place))
            }
            Err(error) => {
                Notice::AcceptFailed { kind: error.kind() }.log();
                sleep(ACCEPT_RETRY).await;
                None
            }
        }
    }

    /// An answer of the engine with the headers that are the edge's part; hyper adds the `Date`. It
    /// takes over the memory of other headers, and hyper that of the answer's for the next request's:
    /// a connection has one piece of it.
    fn response(&self, answer: Answer, mut memory: HeaderMap) -> Response {
        memory.clear();
        let mut text = Uuid::encode_buffer();
        let text = answer.request_id.hyphenated().encode_lower(&mut text);
        let request_id = HeaderValue::from_str(text);
        // Wiped once hyper has written it.
        let body = Bytes::from_owner(Wiped::from(answer.body));
        let mut response = answer_with(memory, answer.status, answer.content_type, body);
        // A request id is a UUID, which any header may hold.
        if let Ok(request_id) = request_id {
            response.headers_mut().insert(REQUEST_ID, request_id);
        }
        response
    }

    /// The answer to `GET /health`.
    async fn health(&self) -> Response {
        match &self.front {
            Front::Callers { driver, health, .. } => {
                let body = health.to_json(&driver.state(), driver.counters());
                let status = match driver.counters().clock_wrong.load(Ordering::Relaxed) {
                    true => StatusCode::SERVICE_UNAVAILABLE,
                    false => StatusCode::OK,
                };
                self.answer(status, JSON, body.into())
            }
            Front::Operators(ceremony) => self.json(ceremony.health().await),
            Front::Successor(parting) => self.json(parting.health()),
        }
    }

    fn json(&self, answer: ceremony::Answer) -> Response {
        self.answer(answer.status, JSON, answer.body.to_string().into())
    }

    /// The answer to `GET /attestation`: a new document with the nonce of the query.
    async fn attestation(&self, query: Option<&str>) -> Response {
        let Some(nonce) = identity::nonce(query) else {
            return self.answer(StatusCode::BAD_REQUEST, "text/plain", NONCE_NEEDED.into());
        };
        match self.identity.document(nonce).await {
            Ok(document) => self.answer(StatusCode::OK, identity::MEDIA_TYPE, document.into()),
            Err(NoDocument::Throttled) => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                let mut answer = self.answer(status, "text/plain", TOO_MANY_DOCUMENTS.into());
                let headers = answer.headers_mut();
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                answer
            }
            Err(NoDocument::Failed) => {
                Notice::AttestationFailed.log();
                let text = "The Nitro security module gave no document. Try again.\n";
                self.answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text.into())
            }
        }
    }

    fn answer(&self, status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
        answer_with(HeaderMap::new(), status, content_type, body)
    }
}

/// An answer that has these headers, too.
fn answer_with(
    mut headers: HeaderMap,
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
) -> Response {
    if body.is_empty() {
        // Of others hyper says how long they are.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut response = http::Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
