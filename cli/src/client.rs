//! A small KMS client: enough to set up a development server and to play the
//! demo. Users bring their own SDK.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::credentials::Credentials;

/// How long an answer may take, connecting included.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Where a server is and how to reach it.
#[derive(Clone)]
pub struct Endpoint {
    authority: String,
    tls: Option<Arc<rustls::ClientConfig>>,
    is_http2: bool,
}

impl Endpoint {
    /// A server at `authority` (`host:port`) that speaks plain HTTP.
    pub fn http(authority: impl Into<String>) -> Self {
        Self {
            authority: authority.into(),
            tls: None,
            is_http2: false,
        }
    }

    /// A server at `authority` that speaks HTTPS with a certificate under the
    /// authority in `ca_pem`.
    ///
    /// # Errors
    /// When `ca_pem` holds no usable certificate.
    pub fn https(authority: impl Into<String>, ca_pem: &[u8]) -> Result<Self, ClientError> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            roots
                .add(certificate.map_err(|_| ClientError::CertificateAuthority)?)
                .map_err(|_| ClientError::CertificateAuthority)?;
        }
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
        Ok(Self {
            authority: authority.into(),
            tls: Some(Arc::new(config)),
            is_http2: false,
        })
    }

    /// The same, for a load that speaks HTTP/2.
    pub(crate) fn over_http2(self) -> Self {
        Self {
            is_http2: true,
            ..self
        }
    }

    /// Whether a load speaks HTTP/2 to it.
    pub(crate) fn is_http2(&self) -> bool {
        self.is_http2
    }

    /// The URL to hand to an SDK.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// The server's `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// How its certificate is checked, if it speaks HTTPS.
    pub(crate) fn tls(&self) -> Option<&Arc<rustls::ClientConfig>> {
        self.tls.as_ref()
    }

    /// The name that its certificate must have.
    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, ClientError> {
        let host = self.authority.rsplit_once(':').map_or("", |(host, _)| host);
        ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| ClientError::HostName)
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// When the server can't be reached, or its answer is cut off or takes longer than
    /// [`ANSWER_TIME`].
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), ClientError> {
        timeout(ANSWER_TIME, self.send_untimed(request))
            .await
            .map_err(|_| ClientError::TimedOut)?
    }

    async fn send_untimed(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(u16, Bytes), ClientError> {
        let tcp = TcpStream::connect(&self.authority).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => exchange(tcp, request).await,
            Some(config) => {
                let stream = TlsConnector::from(config.clone())
                    .connect(self.server_name()?, tcp)
                    .await?;
                exchange(stream, request).await
            }
        }
    }

    /// Asks `GET /health`; true once the enclave serves.
    pub async fn is_healthy(&self) -> bool {
        let request = Request::get("/health")
            .header("host", &self.authority)
            .body(Full::default());
        match request {
            Ok(request) => matches!(self.send(request).await, Ok((200, _))),
            Err(_) => false,
        }
    }
}

/// Sends one request over a connection and reads the whole answer.
pub(crate) async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), ClientError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    };
    // In one task, not two: a connection that ended on another thread just when the request was
    // handed to it has been seen to leave the request without any answer. It ends by itself once
    // the sender is dropped; what it ends with, the answer has been told already.
    tokio::join!(answer, connection).0
}

/// Calls KMS operations of one region with one access key.
pub struct Client {
    endpoint: Endpoint,
    credentials: Credentials,
    region: String,
}

impl Client {
    /// A client that signs for `region`.
    pub fn new(endpoint: Endpoint, credentials: Credentials, region: impl Into<String>) -> Self {
        Self {
            endpoint,
            credentials,
            region: region.into(),
        }
    }

    /// Calls `operation` with `input` and gives its output.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when KMS answers with an error, others when no
    /// answer could be had.
    pub async fn call(&self, operation: &str, input: &Value) -> Result<Value, ClientError> {
        let body = serde_json::to_vec(input)?;
        let (status, answer) = self.endpoint.send(self.signed(operation, body)?).await?;
        if status == 200 {
            return if answer.is_empty() {
                Ok(Value::Null)
            } else {
                Ok(serde_json::from_slice(&answer)?)
            };
        }
        let Ok(error) = serde_json::from_slice::<Value>(&answer) else {
            let text = String::from_utf8_lossy(&answer).into_owned();
            return Err(ClientError::NotKms { status, text });
        };
        let text = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| error[*name].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        Err(ClientError::Refused {
            status,
            code: text(&["__type"]),
            message: text(&["message", "Message"]),
        })
    }

    fn signed(&self, operation: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder().method(Method::POST).uri("/");
        for (name, value) in self.signed_headers(operation, &body)? {
            request = request.header(name, value);
        }
        Ok(request.body(Full::from(body))?)
    }

    /// The headers of a call, those that sign it among them: all but `content-length`.
    pub(crate) fn signed_headers(
        &self,
        operation: &str,
        body: &[u8],
    ) -> Result<Vec<(String, String)>, ClientError> {
        let target = format!("TrentService.{operation}");
        let headers = [
            ("host", self.endpoint.authority.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", &target),
        ];
        let identity = aws_credential_types::Credentials::from_keys(
            &self.credentials.access_key_id,
            self.credentials.secret_access_key.as_str(),
            None,
        )
        .into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("kms")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| ClientError::Signing(error.to_string()))?
            .into();
        let mut uri = self.endpoint.url();
        uri.write_char('/')
            .map_err(|error| ClientError::Signing(error.to_string()))?;
        let signable = SignableRequest::new(
            "POST",
            &uri,
            headers.iter().copied(),
            SignableBody::Bytes(body),
        )
        .map_err(|error| ClientError::Signing(error.to_string()))?;
        let (instructions, _signature) = sign(signable, &parameters)
            .map_err(|error| ClientError::Signing(error.to_string()))?
            .into_parts();
        Ok(headers
            .into_iter()
            .chain(instructions.headers())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// Why a call gave no output.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// KMS answered with an error.
    #[error("{code} (HTTP {status}): {message}")]
    Refused {
        /// The HTTP status code.
        status: u16,
        /// The error's name, for instance `NotFoundException`.
        code: String,
        /// The error's text; empty when AWS sends none.
        message: String,
    },
    /// The answer is an error that does not come from KMS.
    #[error("HTTP {status}: {text}")]
    NotKms {
        /// The HTTP status code.
        status: u16,
        /// The answer's body.
        text: String,
    },
    /// The CA file holds no usable certificate.
    #[error("the CA file holds no usable certificate")]
    CertificateAuthority,
    /// The endpoint's host is no name a certificate could be checked against.
    #[error("the endpoint's host is not a valid server name")]
    HostName,
    /// The request could not be signed.
    #[error("the request could not be signed: {0}")]
    Signing(String),
    /// No connection, or it broke.
    #[error("no connection to the server")]
    Connection(#[from] std::io::Error),
    /// No answer in time.
    #[error("the server did not answer within {} s", ANSWER_TIME.as_secs())]
    TimedOut,
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP exchange failed.
    #[error("the HTTP exchange failed")]
    Http(#[from] hyper::Error),
    /// The request is not valid HTTP.
    #[error("the request is not valid HTTP")]
    Request(#[from] hyper::http::Error),
    /// The answer is not JSON.
    #[error("the answer is not JSON")]
    Json(#[from] serde_json::Error),
}
