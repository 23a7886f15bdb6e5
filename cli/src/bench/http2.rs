//! An HTTP/2 connection of the load generator: one request at a time, like those of HTTP/1.1, but
//! with a runtime on the thread that uses it. The generator's processor time is more with it.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::{Answer, MAX_HEADERS};
use crate::client::{ANSWER_TIME, ClientError, Endpoint};

/// The connection, and what it last received.
pub(super) struct Http2Connection {
    runtime: Runtime,
    sender: http2::SendRequest<Full<Bytes>>,
    url: String,
    head: String,
    body: Bytes,
}

impl Http2Connection {
    /// Connects, TLS handshake included.
    pub(super) fn open(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sender = runtime.block_on(async {
            let tcp = TcpStream::connect(endpoint.authority()).await?;
            tcp.set_nodelay(true)?;
            match endpoint.tls() {
                None => handshake(tcp).await,
                Some(config) => {
                    let mut config = rustls::ClientConfig::clone(config);
                    config.alpn_protocols = vec![b"h2".to_vec()];
                    let connector = TlsConnector::from(Arc::new(config));
                    handshake(connector.connect(endpoint.server_name()?, tcp).await?).await
                }
            }
        })?;
        Ok(Self {
            runtime,
            sender,
            url: endpoint.url(),
            head: String::new(),
            body: Bytes::new(),
        })
    }

    /// Sends a request, which is given as one of HTTP/1.1, and reads its whole answer.
    pub(super) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        let request = self.request(request)?;
        let sending = self.sender.send_request(request);
        let answer = async {
            let (parts, body) = sending.await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Response::from_parts(parts, body))
        };
        let answer = self
            .runtime
            .block_on(async { timeout(ANSWER_TIME, answer).await });
        let answer = answer?.map_err(io::Error::other)?;
        self.head.clear();
        self.head.push_str("HTTP/2\r\n");
        for (name, value) in answer.headers() {
            let value = String::from_utf8_lossy(value.as_bytes());
            // Writing to a string cannot fail.
            let _ = write!(self.head, "{name}: {value}\r\n");
        }
        self.head.push_str("\r\n");
        let status = answer.status().as_u16();
        self.body = answer.into_body();
        Ok(Answer {
            status,
            head: self.head.as_bytes(),
            body: &self.body,
        })
    }

    fn request(&self, text: &[u8]) -> io::Result<Request<Full<Bytes>>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = parsed.parse(text) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let body = text.get(length..).unwrap_or_default().to_vec();
        let mut request = Request::builder()
            .method(parsed.method.unwrap_or_default())
            .uri(format!("{}{}", self.url, parsed.path.unwrap_or_default()));
        for header in parsed.headers.iter() {
            // It is in the URL.
            if !header.name.eq_ignore_ascii_case(HOST.as_str()) {
                request = request.header(header.name, header.value);
            }
        }
        request.body(Full::from(body)).map_err(io::Error::other)
    }
}

async fn handshake<S>(stream: S) -> Result<http2::SendRequest<Full<Bytes>>, ClientError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // How it ends, the request that waits for its answer is told.
    tokio::spawn(connection);
    Ok(sender)
}
