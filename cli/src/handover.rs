//! `claviger handover`: carries one enclave's root key to the one that takes its place.
//!
//! The command is a courier that nobody has to trust: what it carries is for the eyes of the
//! successor only, and each enclave decides by itself.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use enclave::{ATTESTATION_PATH, HANDOVER_MESSAGE_PATH, HANDOVER_PATH, UNSEAL_PATH};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use link::Address;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::Failure;
use crate::client::{self, ANSWER_TIME};
use crate::operators::refusal;
use crate::screen::print;
use crate::trust;

/// How long the one may take to stop, and the other to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// The wait between two questions.
const AGAIN: Duration = Duration::from_millis(200);

/// How long one that has just started may take to open its keys, and the wait before it is asked
/// again. A million take some ten seconds.
const OPENING: Duration = Duration::from_secs(600);
const STILL_OPENING: Duration = Duration::from_secs(1);

/// Options of `claviger handover`.
#[derive(Args)]
pub struct Options {
    /// The enclave that serves: https://HOST:PORT, vsock:CID:PORT or unix:/path
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Address,
    /// The sealed enclave that is to take over, in the same way
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    to: Address,
    /// The manifest of the release that takes over, if it is another one (docs/root-key.md)
    #[arg(long, value_name = "JSON", requires = "signatures")]
    release: Option<PathBuf>,
    /// An operator's signature of the manifest, as ssh-keygen -Y sign makes it (repeatable)
    #[arg(long = "signature", value_name = "FILE", requires = "release")]
    signatures: Vec<PathBuf>,
}

/// Has a sealed enclave take over from the one that serves.
///
/// # Errors
/// When one of them can't be reached, or refuses the other.
pub async fn run(options: Options) -> Result<(), Failure> {
    let release = release(&options)?;
    let Options { from, to, .. } = options;
    let nonce = accepted(&from, &to, release).await?;
    print(&format!("{from} answers no more calls\n"))?;

    let path = format!("{HANDOVER_MESSAGE_PATH}?nonce={nonce}");
    let message = until(async || match ask(&from, get(&path).ok()?).await {
        Ok((200, message)) => Some(message),
        _ => None,
    });
    let message = message.await.ok_or("the root key did not come in time")?;
    answered(ask(&to, post(UNSEAL_PATH, message)?).await?)?;
    print(&format!("{to} has the root key\n"))?;

    let serving = until(
        async || match ask(&to, get(link::HEALTH_PATH).ok()?).await {
            Ok((200, _)) => Some(()),
            _ => None,
        },
    );
    serving.await.ok_or(
        "the other enclave does not serve, see its log. This one has given the root key away, and does \
         not serve again: let the operators unseal",
    )?;
    Ok(print(&format!("{to} serves\n"))?)
}

/// Has the one that serves accept the other; gives the nonce that the other's document answers.
///
/// One that is still opening its keys refuses, and is asked again.
async fn accepted(from: &Address, to: &Address, release: Option<Value>) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Issued {
        nonce: String,
    }
    let began = Instant::now();
    let mut told = false;
    loop {
        let issued = answered(ask(from, get(HANDOVER_PATH)?).await?)?;
        let Issued { nonce } = serde_json::from_slice(&issued)?;
        let path = format!("{ATTESTATION_PATH}?nonce={nonce}");
        let document = answered(ask(to, get(&path)?).await?)?;
        let request = json!({
            "nonce": nonce,
            "document": BASE64_STANDARD.encode(document),
            "release": release,
        });
        let answer = ask(from, post(HANDOVER_PATH, request.to_string())?).await?;
        let is_opening = answer.0 == StatusCode::SERVICE_UNAVAILABLE.as_u16();
        if !is_opening || began.elapsed() >= OPENING {
            answered(answer)?;
            return Ok(nonce);
        }
        if !told {
            print(&format!(
                "{from} is not ready, and is asked again until it is: {}\n",
                refusal(&answer.1)
            ))?;
            told = true;
        }
        sleep(STILL_OPENING).await;
    }
}

/// The manifest and the signatures, as the enclave takes them.
fn release(options: &Options) -> Result<Option<Value>, Failure> {
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let Some(manifest) = &options.release else {
        return Ok(None);
    };
    let signatures: Result<Vec<_>, _> = options.signatures.iter().map(read).collect();
    Ok(Some(
        json!({ "manifest": read(manifest)?, "signatures": signatures? }),
    ))
}

/// Asks again and again, until there is an answer or the time is over.
async fn until<T>(question: impl AsyncFn() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = question().await {
            return Some(answer);
        }
        if began.elapsed() >= PATIENCE {
            return None;
        }
        sleep(AGAIN).await;
    }
}

fn get(path: &str) -> Result<Request<Full<Bytes>>, Failure> {
    let request = Request::get(path).header("host", "localhost");
    Ok(request.body(Full::default())?)
}

fn post(path: &str, body: impl Into<Bytes>) -> Result<Request<Full<Bytes>>, Failure> {
    let request = Request::post(path).header("host", "localhost");
    Ok(request.body(Full::from(body.into()))?)
}

/// The body of an answer, or the words of a refusal.
fn answered((status, body): (u16, Bytes)) -> Result<Bytes, Failure> {
    match status {
        200 | 202 => Ok(body),
        _ => Err(refusal(&body)),
    }
}

/// Sends a request to whoever is there.
async fn ask(address: &Address, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), Failure> {
    let answer = async {
        let stream = link::connect(address)
            .await
            .map_err(|error| format!("no connection to {address}: {error}"))?;
        let name = match address {
            Address::Tcp { host, .. } => ServerName::try_from(host.clone())?,
            _ => ServerName::try_from("localhost")?,
        };
        let stream = TlsConnector::from(trust::of_anybody()?)
            .connect(name, stream)
            .await
            .map_err(|error| format!("no TLS with {address}: {error}"))?;
        Ok(client::exchange(stream, request).await?)
    };
    timeout(ANSWER_TIME, answer)
        .await
        .map_err(|_| client::ClientError::TimedOut)?
}

/// `https://HOST[:PORT]`, or an address in the form of the settings.
fn address(text: &str) -> Result<Address, String> {
    if !text.starts_with("https://") {
        return text.parse().map_err(|error| format!("{error}"));
    }
    let authority = trust::authority(text)?;
    format!("tcp:{authority}")
        .parse()
        .map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use hyper::Response;
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::net::UnixListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// One that answers with TLS on a socket: a new nonce and any document when it is asked, and to
    /// what is posted first that it is not ready, then yes.
    fn not_ready_at_first(socket: &Path) -> Arc<AtomicU64> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = rustls::ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = UnixListener::bind(socket).unwrap();
        let posted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&posted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                let answer = service_fn(move |request: Request<Incoming>| {
                    let earlier = match *request.method() == hyper::Method::POST {
                        true => count.fetch_add(1, Ordering::Relaxed),
                        false => count.load(Ordering::Relaxed),
                    };
                    let (status, body) = match (request.method().as_str(), earlier) {
                        ("POST", 0) => (503, json!({ "error": "2 keys are left" })),
                        ("POST", _) => (202, json!({})),
                        _ => (200, json!({ "nonce": format!("{earlier:02}") })),
                    };
                    let body = Full::new(Bytes::from(body.to_string()));
                    let answer = Response::builder().status(status).body(body);
                    async move { answer }
                });
                let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
                let _: hyper::Result<()> =
                    http1::Builder::new().serve_connection(stream, answer).await;
            }
        });
        posted
    }

    #[tokio::test]
    async fn one_that_is_still_opening_its_keys_is_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("enclave");
        let posted = not_ready_at_first(&socket);
        let address: Address = format!("unix:{}", socket.display()).parse().unwrap();
        // Each time with a new nonce: one is good for a minute only.
        let nonce = accepted(&address, &address, None).await.unwrap();
        assert_eq!((nonce.as_str(), posted.load(Ordering::Relaxed)), ("01", 2));
    }

    #[test]
    fn an_address_is_a_url_or_one_of_the_settings() {
        for (text, expected) in [
            ("https://kms.example.test", Some("tcp:kms.example.test:443")),
            ("https://127.0.0.1:8443/", Some("tcp:127.0.0.1:8443")),
            ("vsock:16:5000", Some("vsock:16:5000")),
            ("unix:/run/enclave.sock", Some("unix:/run/enclave.sock")),
            ("http://127.0.0.1:8080", None),
            ("", None),
        ] {
            let read = address(text).ok().map(|address| address.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
