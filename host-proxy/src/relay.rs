//! Carries the clients' bytes to the enclave and back.
//!
//! The relay does not parse: what passes is TLS, or may as well be. It adds
//! what a network needs, back-pressure included: a byte is read from one side
//! only when there is room for it, and a fixed amount, on the way to the other.

mod pump;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use link::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::enclaves::Enclaves;
use crate::metrics::Metrics;
use crate::stop::Stop;

/// How long the enclave may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long a client waits for a place before it is turned away.
const QUEUE_TIME: Duration = Duration::from_secs(2);

/// Pause after a failed accept: it is out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The listener that clients connect to, and what it needs.
pub(crate) struct Relay {
    pub(crate) listener: TcpListener,
    pub(crate) enclaves: Arc<Enclaves>,
    pub(crate) max_connections: usize,
    /// How long open connections may go on when it is time to stop.
    pub(crate) drain: Duration,
    pub(crate) metrics: Arc<Metrics>,
}

/// What all connections share.
struct Shared {
    enclaves: Arc<Enclaves>,
    metrics: Arc<Metrics>,
    /// Places for connections being relayed.
    places: Arc<Semaphore>,
    /// Places for those waiting for one of the former.
    queue: Arc<Semaphore>,
    /// Whether the last attempt to reach the enclave succeeded.
    reachable: AtomicBool,
}

impl Relay {
    /// Accepts and relays until asked to stop, then lets open connections go
    /// on for a while and cuts what is left.
    pub(crate) async fn serve(self, mut stop: Stop) {
        let shared = Arc::new(Shared {
            enclaves: self.enclaves,
            metrics: self.metrics,
            places: Arc::new(Semaphore::new(self.max_connections)),
            queue: Arc::new(Semaphore::new(self.max_connections.div_ceil(4))),
            reachable: AtomicBool::new(true),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.requested() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((client, _)) => {
                        shared.metrics.connections.inc();
                        if let Some(admission) = shared.admit() {
                            let shared = Arc::clone(&shared);
                            connections.spawn(async move { shared.serve(client, admission).await });
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a client connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        tracing::info!(open = connections.len(), "draining client connections");
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(self.drain, drained).await.is_err() {
            tracing::warn!(open = connections.len(), "client connections cut");
        }
    }
}

/// Whether a connection may be relayed now, or only once another has ended.
enum Admission {
    Now(OwnedSemaphorePermit),
    Queued(OwnedSemaphorePermit),
}

impl Shared {
    /// Decides over a new connection; `None` turns it away.
    ///
    /// Beyond the limit a client is better served by a short wait than by an
    /// error, since most connections that make up a peak are short; and by a
    /// quick error, which its SDK retries, than by a long wait. So some may
    /// queue, for a limited time, and the others are closed at once.
    fn admit(&self) -> Option<Admission> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(Admission::Now(place));
        }
        if let Ok(place) = Arc::clone(&self.queue).try_acquire_owned() {
            return Some(Admission::Queued(place));
        }
        self.metrics.connections_refused.inc();
        None
    }

    async fn serve(&self, client: TcpStream, admission: Admission) {
        let _place = match admission {
            Admission::Now(place) => place,
            Admission::Queued(_waiting) => {
                let place = Arc::clone(&self.places).acquire_owned();
                match timeout(QUEUE_TIME, place).await {
                    // The semaphore is never closed.
                    Ok(Ok(place)) => place,
                    Ok(Err(_)) | Err(_) => {
                        self.metrics.connections_refused.inc();
                        return;
                    }
                }
            }
        };
        self.metrics.connections_open.inc();
        let ended = self.relay(client).await;
        self.metrics.connections_open.dec();
        if let Err(error) = ended {
            tracing::debug!(%error, "a client connection ended early");
        }
    }

    async fn relay(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let enclave = self.connect().await?;
        pump::both_ways(client, enclave, &self.metrics).await
    }

    async fn connect(&self) -> io::Result<Stream> {
        let enclave = self.enclaves.current();
        let connected = timeout(CONNECT_TIME, link::connect(enclave))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let reachable = connected.is_ok();
        if !reachable {
            self.metrics.connections_unreachable.inc();
        }
        // Said when it changes, not once per client.
        if self.reachable.swap(reachable, Ordering::Relaxed) != reachable {
            match &connected {
                Ok(_) => tracing::info!(%enclave, "the enclave is reachable again"),
                Err(error) => {
                    tracing::warn!(%enclave, %error, "the enclave is unreachable");
                }
            }
        }
        connected
    }
}
