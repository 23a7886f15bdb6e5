//! Clients: hyper's for well-formed requests, a bare socket for everything else.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use link::Address;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{ACCESS_KEY_ID, LONG, REGION, SECRET_ACCESS_KEY};

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The name of the error.
    pub(crate) fn error(&self) -> String {
        self.json()["__type"].as_str().unwrap().to_owned()
    }

    /// The JSON of a successful answer.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        if self.body.is_empty() {
            return Value::Null;
        }
        self.json()
    }
}

/// One connection that hyper speaks HTTP on.
pub(crate) enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(crate) async fn http1(address: &Address) -> Self {
        Self::http1_over(link::connect(address).await.unwrap()).await
    }

    pub(crate) async fn http2(address: &Address) -> Self {
        Self::http2_over(link::connect(address).await.unwrap()).await
    }

    /// `None` if nobody listens.
    pub(crate) async fn try_http1(address: &Address) -> Option<Self> {
        Some(Self::http1_over(link::connect(address).await.ok()?).await)
    }

    pub(crate) async fn http1_over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Http1(sender)
    }

    pub(crate) async fn http2_over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        Self::Http2(sender)
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.try_send(request).await.unwrap()
    }

    pub(crate) async fn try_send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> hyper::Result<Answer> {
        let answer = async {
            let response = match self {
                Self::Http1(sender) => {
                    let target = request.uri().path_and_query().unwrap().as_str();
                    *request.uri_mut() = target.parse().unwrap();
                    sender.ready().await?;
                    sender.send_request(request).await?
                }
                Self::Http2(sender) => {
                    request.headers_mut().remove("host");
                    sender.clone().send_request(request).await?
                }
            };
            let (parts, body) = response.into_parts();
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        timeout(LONG, answer).await.expect("no answer in time")
    }

    /// Calls an operation of the API.
    pub(crate) async fn call(&mut self, operation: &str, body: Value) -> Answer {
        self.send(signed(operation, body.to_string())).await
    }

    pub(crate) async fn health(&mut self) -> Value {
        let request = Request::get("http://enclave/health")
            .header("host", "enclave")
            .body(Full::default())
            .unwrap();
        self.send(request).await.ok()
    }
}

/// A call signed by the Rust SDK's signer.
pub(crate) fn signed(operation: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let body = body.into();
    let identity = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("kms")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let target = format!("TrentService.{operation}");
    let uri = "http://kms.test/";
    let headers = [
        ("host", "kms.test"),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
    ];
    let signable =
        SignableRequest::new("POST", uri, headers.into_iter(), SignableBody::Bytes(&body));
    let (instructions, _) = sign(signable.unwrap(), &parameters).unwrap().into_parts();
    let request = headers
        .into_iter()
        .chain(instructions.headers())
        .fold(Request::post(uri), |request, (name, value)| {
            request.header(name, value)
        });
    request.body(Full::new(body)).unwrap()
}

/// The bytes of a signed call in HTTP/1.1, with further header lines.
pub(crate) fn signed_bytes(operation: &str, body: &str, more: &str) -> Vec<u8> {
    let request = signed(operation, body.to_owned());
    let mut bytes = b"POST / HTTP/1.1\r\n".to_vec();
    for (name, value) in request.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(more.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Sends bytes and reads to the end of the connection, which has to come.
pub(crate) async fn exchange(address: &Address, bytes: &[u8]) -> String {
    let stream = link::connect(address).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let bytes = bytes.to_vec();
    // Like most clients, sends everything before it looks for the answer; unlike them it does not
    // mind when the server closes first.
    let sending = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        write
    });
    let mut answer = Vec::new();
    timeout(LONG, read.read_to_end(&mut answer))
        .await
        .expect("the connection is not closed in time")
        .expect("the connection is closed, not reset");
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}
