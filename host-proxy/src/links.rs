//! Takes the link connections that the enclave dials.

use std::sync::Arc;
use std::time::Duration;

use link::{Channel, LinkError, Listener, Stream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::events::Events;
use crate::metrics::Metrics;
use crate::stop::Stop;
use crate::store::{self, RecordStore};

/// Link connections at a time. An enclave needs two; the rest is for those it
/// dials anew while the old ones have yet to be noticed as gone.
const MAX_LINKS: usize = 8;

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the enclave has, when it is time to stop, to close its channels
/// itself: it may be stopping too, with audit events still to hand over.
const GRACE: Duration = Duration::from_secs(2);

/// The listener that the enclave dials, and what answers it.
pub(crate) struct Links {
    pub(crate) listener: Listener,
    pub(crate) store: Arc<dyn RecordStore>,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
}

impl Links {
    /// Takes connections and answers them until asked to stop.
    pub(crate) async fn serve(self, mut stop: Stop) {
        let places = Arc::new(Semaphore::new(MAX_LINKS));
        let mut connections = JoinSet::new();
        loop {
            let accept = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            tokio::select! {
                () = stop.requested() => break,
                Some(_) = connections.join_next() => {}
                (place, accepted) = accept => match accepted {
                    Ok(stream) => {
                        self.metrics.links.inc();
                        let answer = self.answer(stream);
                        connections.spawn(async move {
                            answer.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a link connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        let closed = async { while connections.join_next().await.is_some() {} };
        if timeout(GRACE, closed).await.is_err() {
            tracing::info!(
                open = connections.len(),
                "link connections closed by the host"
            );
        }
    }

    /// Answers one connection to its end.
    fn answer(&self, stream: Stream) -> impl Future<Output = ()> + Send + 'static {
        let store = Arc::clone(&self.store);
        let events = self.events.clone();
        let metrics = Arc::clone(&self.metrics);
        async move {
            if let Err(error) = converse(stream, store, events, Arc::clone(&metrics)).await {
                metrics.link_errors.inc();
                tracing::warn!(%error, "a link connection failed");
            }
        }
    }
}

async fn converse(
    stream: Stream,
    store: Arc<dyn RecordStore>,
    events: Events,
    metrics: Arc<Metrics>,
) -> Result<(), LinkError> {
    let (channel, reader, writer) = link::accept(stream).await?;
    tracing::info!(?channel, "the enclave opened a channel");
    match channel {
        Channel::Store => store::serve(reader, writer, store, metrics).await?,
        Channel::Events => events.serve(reader, writer).await?,
    }
    tracing::info!(?channel, "the enclave closed a channel");
    Ok(())
}
