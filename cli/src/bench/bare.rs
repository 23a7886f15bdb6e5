//! The other floor: a server that does nothing but HTTP, in the enclave's place behind a host proxy
//! of its own. It answers with bytes that the real one gave before.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, PoisonError, RwLock};

use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, USER_AGENT};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use super::requests;
use crate::Failure;
use crate::client::Endpoint;
use crate::part::parent_ended;
use crate::process::Process;
use crate::server::{HostProxyPlaces, StartError, start_host_proxy};

/// The header that AWS's answers have beside those of HTTP itself.
const REQUEST_ID: &str = "x-amzn-requestid";

/// Where an answer is put, before its number.
const ANSWERS: &str = "/answers/";

/// Options of the hidden `bare-enclave` subcommand.
#[derive(Args)]
pub(crate) struct BareOptions {
    /// The unix socket to listen on
    #[arg(long, value_name = "PATH")]
    listen: PathBuf,
    /// Speak TLS, with a certificate made for this run
    #[arg(long)]
    tls: bool,
    /// Speak HTTP/2, not HTTP/1.1
    #[arg(long)]
    http2: bool,
    /// Stop when standard input closes, as it does when the parent ends
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs the bare server's process.
pub(crate) fn bare_enclave(options: BareOptions) -> ExitCode {
    match crate::runtime(serve(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare-enclave: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: BareOptions) -> Result<(), Failure> {
    let listener = UnixListener::bind(&options.listen)?;
    let (acceptor, ca) = match options.tls {
        true => certify().map(|(acceptor, ca)| (Some(acceptor), Some(ca)))?,
        false => (None, None),
    };
    crate::screen::print(&format!("{}\n", json!({ "ca": ca })))?;
    let answers = Arc::new(Answers::default());
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
            let http2 = options.http2;
            tokio::spawn(async move {
                match acceptor {
                    None => answers.serve(stream, http2).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            answers.serve(stream, http2).await;
                        }
                    }
                }
            });
        }
    };
    tokio::select! {
        ended = accept => ended,
        () = parent_ended(options.until_stdin_closes) => Ok(()),
    }
}

/// A certificate that stands for itself, and its text for those who are to trust it.
fn certify() -> Result<(TlsAcceptor, String), Failure> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_no_client_auth()
    .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), made.cert.pem()))
}

/// What is answered, by the number in the request's `User-Agent`.
#[derive(Default)]
struct Answers(RwLock<BTreeMap<usize, (HeaderMap, Bytes)>>);

impl Answers {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: Arc<Self>,
        stream: S,
        http2: bool,
    ) {
        let service = service_fn(move |request| {
            let answers = Arc::clone(&self);
            async move { answers.answer(request).await }
        });
        let stream = TokioIo::new(stream);
        // How a connection ends is for its client to notice.
        let _ = match http2 {
            false => {
                let mut builder = http1::Builder::new();
                let builder = builder.half_close(true);
                builder.serve_connection(stream, service).await
            }
            true => {
                let builder = http2::Builder::new(TokioExecutor::new());
                builder.serve_connection(stream, service).await
            }
        };
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return Ok(status(StatusCode::BAD_REQUEST));
        };
        if parts.method == Method::PUT {
            let number = parts.uri.path().strip_prefix(ANSWERS);
            let Some(number) = number.and_then(|number| number.parse().ok()) else {
                return Ok(status(StatusCode::NOT_FOUND));
            };
            let kept = [CONTENT_TYPE.as_str(), REQUEST_ID];
            let headers = parts.headers.into_iter();
            let headers = headers
                .filter_map(|(name, value)| Some((name?, value)))
                .filter(|(name, _)| kept.contains(&name.as_str()))
                .collect();
            let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
            answers.insert(number, (headers, body.to_bytes()));
            return Ok(status(StatusCode::OK));
        }
        let number = parts.headers.get(USER_AGENT);
        let number = number.and_then(|agent| {
            let text = agent.to_str().ok()?;
            text.strip_prefix(requests::USER_AGENT)?.parse().ok()
        });
        let answers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some((headers, body)) = number.and_then(|number: usize| answers.get(&number)) else {
            return Ok(status(StatusCode::NOT_FOUND));
        };
        let mut response = Response::new(Full::new(body.clone()));
        *response.headers_mut() = headers.clone();
        Ok(response)
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// A bare server and its host proxy. Dropping it kills both.
pub(super) struct Bare {
    endpoint: Endpoint,
    server: Process,
    host_proxy: Process,
}

impl Bare {
    /// Starts both in a folder for their sockets and files.
    ///
    /// # Errors
    /// When one of them doesn't come up.
    pub(super) async fn start(folder: &Path, tls: bool, http2: bool) -> Result<Self, Failure> {
        let socket = folder.join("bare");
        let path = socket.to_string_lossy();
        let mut arguments = vec!["--listen", &path];
        if tls {
            arguments.push("--tls");
        }
        if http2 {
            arguments.push("--http2");
        }
        let mut server = Process::start("bare-enclave", &arguments, Stdio::inherit())?;
        let output = server.output().ok_or(StartError::NotHealthy)?;
        let line = BufReader::new(output).lines().next_line().await?;
        let line: Value = serde_json::from_str(&line.ok_or(StartError::NotHealthy)?)?;

        let any = "127.0.0.1:0".parse()?;
        let places = HostProxyPlaces {
            listen: any,
            admin: any,
            enclave: &format!("unix:{path}"),
            host: &format!("unix:{}", folder.join("bare-host").display()),
            data: &folder.join("bare-data"),
        };
        let (host_proxy, listen, _) = start_host_proxy(&places, Stdio::null()).await?;
        let authority = listen.to_string();
        let endpoint = match line["ca"].as_str() {
            Some(ca) => Endpoint::https(authority, ca.as_bytes())?,
            None => Endpoint::http(authority),
        };
        let endpoint = match http2 {
            true => endpoint.over_http2(),
            false => endpoint,
        };
        Ok(Self {
            endpoint,
            server,
            host_proxy,
        })
    }

    /// Where clients connect.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The ids of the server's process and of the host proxy's, as long as they run.
    pub(super) fn process_ids(&self) -> (Option<u32>, Option<u32>) {
        (self.server.id(), self.host_proxy.id())
    }

    /// Has requests of the scenario with this number answered as the real server has answered.
    pub(super) fn learn(&self, number: usize, head: &[u8], body: &[u8]) -> Result<(), Failure> {
        let mut request = format!("PUT {ANSWERS}{number} HTTP/1.1\r\nhost: bare\r\n").into_bytes();
        for line in head.split_inclusive(|byte| *byte == b'\n').skip(1) {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            if !name.eq_ignore_ascii_case(b"date") {
                request.extend_from_slice(line);
            }
        }
        request.extend_from_slice(body);
        match Connection::open(&self.endpoint)?.exchange(&request)?.status {
            200 => Ok(()),
            other => Err(format!("the bare server answered HTTP {other}").into()),
        }
    }

    /// Stops both.
    ///
    /// # Errors
    /// When one doesn't stop in time, or ends with an error.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        self.host_proxy.stop().await?;
        Ok(self.server.stop().await?)
    }
}
