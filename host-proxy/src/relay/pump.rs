//! Copies between two connections, both ways, until both have ended.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::sleep;

use crate::metrics::Metrics;

/// Bytes under way in each direction of a connection: room for a request with
/// an attestation document, and for a TLS record.
const BUFFER: usize = 16 * 1024;

/// How often a connection is looked at for progress.
const LOOK: Duration = Duration::from_secs(30);

/// Looks without progress after which a connection is cut: five minutes, well
/// beyond what the enclave grants an idle client.
const IDLE_LOOKS: u32 = 10;

/// The same for a connection of which one side has ended: between half a
/// minute and a minute. Some vsock back ends never pass a half-close on, so
/// the other side may not know that it should end too.
const HALF_CLOSED_LOOKS: u32 = 2;

/// Copies until both sides have ended, either has failed, or nothing has moved
/// for too long. The end of one direction is passed on as a half-close.
pub(super) async fn both_ways<C, E>(client: C, enclave: E, metrics: &Metrics) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    E: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Activity::default();
    let mut client = Watched {
        stream: client,
        activity: &activity,
        bytes: &metrics.bytes_to_enclave,
    };
    let mut enclave = Watched {
        stream: enclave,
        activity: &activity,
        bytes: &metrics.bytes_from_enclave,
    };
    tokio::select! {
        biased;
        copied = copy_bidirectional_with_sizes(&mut client, &mut enclave, BUFFER, BUFFER) => {
            copied.map(|_| ())
        }
        () = activity.stalled() => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Whether a connection moves.
#[derive(Default)]
struct Activity {
    /// Counts reads and writes that moved something.
    moves: AtomicU64,
    /// Whether one side has ended.
    half_closed: AtomicBool,
}

impl Activity {
    async fn stalled(&self) {
        let mut seen = 0;
        let mut idle = 0;
        loop {
            sleep(LOOK).await;
            let moves = self.moves.load(Ordering::Relaxed);
            idle = if moves == seen { idle + 1 } else { 0 };
            seen = moves;
            let limit = match self.half_closed.load(Ordering::Relaxed) {
                true => HALF_CLOSED_LOOKS,
                false => IDLE_LOOKS,
            };
            if idle >= limit {
                return;
            }
        }
    }
}

/// A connection whose reads and writes are noticed.
struct Watched<'a, S> {
    stream: S,
    activity: &'a Activity,
    /// Counts what is read from it.
    bytes: &'a Counter,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = polled {
            let read = buf.filled().len() - before;
            if read == 0 {
                this.activity.half_closed.store(true, Ordering::Relaxed);
            } else {
                this.bytes.inc_by(read as u64);
            }
            this.activity.moves.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(1..)) = polled {
            this.activity.moves.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// A relay in memory: the client's end, the enclave's end.
    fn relay() -> (DuplexStream, DuplexStream, JoinHandle<io::Result<()>>) {
        let (client, near) = duplex(1024);
        let (far, enclave) = duplex(1024);
        let task = tokio::spawn(async move { both_ways(near, far, &Metrics::new()).await });
        (client, enclave, task)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_moves_now_and_then_stays() {
        let (mut client, mut enclave, task) = relay();
        for _ in 0..20 {
            sleep(LOOK * 4).await;
            client.write_all(b"x").await.unwrap();
            let mut byte = [0];
            enclave.read_exact(&mut byte).await.unwrap();
        }
        assert!(!task.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_cut_in_the_end() {
        let (mut client, _enclave, task) = relay();
        let start = Instant::now();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert!(start.elapsed() >= LOOK * (IDLE_LOOKS - 1));
        assert_eq!(
            task.await.unwrap().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_closed_connection_is_cut_sooner() {
        let (mut client, mut enclave, task) = relay();
        client.shutdown().await.unwrap();
        assert_eq!(enclave.read(&mut [0]).await.unwrap(), 0);
        let start = Instant::now();
        // The enclave, which has not understood, says nothing.
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert!(start.elapsed() >= LOOK);
        assert!(start.elapsed() <= LOOK * (HALF_CLOSED_LOOKS + 1));
        assert!(task.await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_in_is_bounded_while_the_other_side_does_not_read() {
        let (mut client, _enclave, _task) = relay();
        let mut taken = 0;
        while let Ok(written) = timeout(Duration::from_secs(1), client.write(&[0; 4096])).await {
            taken += written.unwrap();
        }
        // Both pipes and the buffer between them.
        assert!(taken <= 1024 + BUFFER + 1024, "{taken}");
        assert!(taken >= BUFFER);
    }
}
