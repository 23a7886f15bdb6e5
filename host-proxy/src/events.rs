//! Answers the events channel of the link: audit lines, metrics, public files.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use link::{EventReply, FrameReader, FrameWriter, HostEvent, Lines, LinkError, Numbered};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::audit::Batch;
use crate::metrics::Metrics;
use crate::publish::publish;

/// Events of one connection that may be under way: read, but their last reply
/// not yet sent.
const UNDER_WAY: usize = 64;

/// How long replies are waited for after the enclave has closed its side.
const LAST_REPLIES: Duration = Duration::from_secs(3);

/// What the events of the enclave reach.
#[derive(Clone)]
pub(crate) struct Events {
    /// The folder of public files.
    pub(crate) data: PathBuf,
    /// The audit trail.
    pub(crate) audit: mpsc::Sender<Batch>,
    /// The metrics.
    pub(crate) metrics: Arc<Metrics>,
}

/// A reply to send, with the place among those under way that it gives back.
struct Reply {
    message: Numbered<EventReply>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Events {
    /// Takes events until the enclave closes the channel, and answers each.
    ///
    /// At most [`UNDER_WAY`] are under way, a reply that the enclave does not
    /// read included: what waits beyond that, the connection holds back.
    pub(crate) async fn serve<R, W>(
        self,
        mut reader: FrameReader<R>,
        mut writer: FrameWriter<W>,
    ) -> Result<(), LinkError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let places = Arc::new(Semaphore::new(UNDER_WAY));
        let (replies, mut to_send) = mpsc::unbounded_channel::<Reply>();
        let receive = async move {
            // The semaphore is never closed.
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let Some(Numbered { number, body }) = reader.receive().await? else {
                    break;
                };
                self.take(number, body, place, &replies).await;
            }
            Ok::<(), LinkError>(())
        };
        let send = async move {
            while let Some(reply) = to_send.recv().await {
                writer.send(&reply.message).await?;
            }
            Ok::<(), LinkError>(())
        };
        let mut send = pin!(send);
        tokio::select! {
            received = receive => received?,
            sent = &mut send => return sent,
        }
        // The enclave has closed its side. It may wait for the last replies,
        // but those to events that cannot be written now must not keep the
        // connection, or one that reconnects again and again would use up all.
        timeout(LAST_REPLIES, send).await.unwrap_or(Ok(()))
    }

    async fn take(
        &self,
        number: u64,
        event: HostEvent,
        place: OwnedSemaphorePermit,
        replies: &mpsc::UnboundedSender<Reply>,
    ) {
        let body = match event {
            // A line break within a line would forge another event.
            HostEvent::Audit { lines } if lines.has_broken_lines() => {
                refused("an audit line contains a line break")
            }
            HostEvent::Audit { lines } => return self.audit(number, lines, place, replies).await,
            HostEvent::Metrics { samples } => {
                self.metrics.take(&samples);
                EventReply::Done
            }
            HostEvent::Publish { file, bytes } => {
                let data = self.data.clone();
                let work = move || publish(&data, file, &bytes);
                match tokio::task::spawn_blocking(work).await {
                    Ok(Ok(())) => EventReply::Done,
                    Ok(Err(error)) => refused(&error.to_string()),
                    Err(panic) => refused(&panic.to_string()),
                }
            }
        };
        if let EventReply::Refused { what } = &body {
            tracing::error!(number, what, "an event of the enclave was refused");
        }
        let message = Numbered { number, body };
        // Fails only when the connection is ending.
        let _ = replies.send(Reply {
            message,
            _place: Some(place),
        });
    }

    /// Hands the lines to the audit trail, and lets a task of its own wait for
    /// them so that what follows is not held up.
    async fn audit(
        &self,
        number: u64,
        lines: Lines,
        place: OwnedSemaphorePermit,
        replies: &mpsc::UnboundedSender<Reply>,
    ) {
        let (delayed, delay) = oneshot::channel();
        let (written, done) = oneshot::channel();
        let batch = Batch {
            lines,
            delayed,
            written,
        };
        if self.audit.send(batch).await.is_err() {
            return;
        }
        let replies = replies.clone();
        tokio::spawn(async move {
            if let Ok(what) = delay.await {
                let message = Numbered {
                    number,
                    body: EventReply::Delayed { what },
                };
                let _ = replies.send(Reply {
                    message,
                    _place: None,
                });
            }
            // Without an answer when the process ends before they are written.
            if done.await.is_ok() {
                let message = Numbered {
                    number,
                    body: EventReply::Done,
                };
                let _ = replies.send(Reply {
                    message,
                    _place: Some(place),
                });
            }
        });
    }
}

fn refused(what: &str) -> EventReply {
    EventReply::Refused {
        what: what.to_owned(),
    }
}
