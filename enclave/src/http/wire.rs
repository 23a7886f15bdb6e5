//! A connection whose first bytes were looked at, and whose activity is known.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that gives back the bytes that were read ahead before it goes on.
pub(crate) struct Wire<S> {
    ahead: Bytes,
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Wire<S> {
    /// Puts `ahead` in front of what `stream` still has.
    pub(crate) fn new(ahead: Bytes, stream: S, activity: Arc<Activity>) -> Self {
        Self {
            ahead,
            stream,
            activity,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
        } else {
            let length = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead.split_to(length));
        }
        this.activity.received();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What a connection is doing.
pub(crate) struct Activity(Mutex<State>);

struct State {
    /// Requests that a service works on.
    in_work: usize,
    /// When the first byte of a request arrived whose head is not complete.
    head_since: Option<Instant>,
    /// When the last request was answered, or the connection began.
    idle_since: Instant,
}

/// How a connection used up its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Overdue {
    /// The head of a request does not end.
    Head,
    /// There is no request.
    Idle,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            in_work: 0,
            head_since: None,
            idle_since: Instant::now(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the numbers half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self) {
        let mut state = self.state();
        if state.in_work == 0 {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// Notes that a request's head is complete; the answer is ready when the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InWork {
        let mut state = self.state();
        state.in_work += 1;
        state.head_since = None;
        InWork(Arc::clone(self))
    }

    /// Whether bytes of a request came whose head is not complete.
    pub(crate) fn is_mid_head(&self) -> bool {
        self.state().head_since.is_some()
    }

    /// Whether the connection took longer than it may. Where bytes don't begin a request's head,
    /// as the frames of HTTP/2 don't, there is no limit on heads.
    pub(crate) fn overdue(
        &self,
        now: Instant,
        head: Option<Duration>,
        idle: Duration,
    ) -> Option<Overdue> {
        let state = self.state();
        let longer = |since, limit| now.saturating_duration_since(since) >= limit;
        match (head, state.head_since) {
            _ if state.in_work > 0 => None,
            // However long it was idle before: a request is on its way now.
            (Some(limit), Some(since)) => longer(since, limit).then_some(Overdue::Head),
            _ => longer(state.idle_since, idle).then_some(Overdue::Idle),
        }
    }
}

/// A request in work.
pub(crate) struct InWork(Arc<Activity>);

impl Drop for InWork {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_work -= 1;
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const HEAD: Duration = Duration::from_secs(2);
    const IDLE: Duration = Duration::from_secs(60);

    fn after(activity: &Activity, seconds: u64) -> Option<Overdue> {
        let now = Instant::now() + Duration::from_secs(seconds);
        activity.overdue(now, Some(HEAD), IDLE)
    }

    #[test]
    fn time_runs_by_what_the_connection_does() {
        let activity = Arc::new(Activity::new());
        assert_eq!(after(&activity, 30), None);
        assert_eq!(after(&activity, 60), Some(Overdue::Idle));

        activity.received();
        assert!(activity.is_mid_head());
        assert_eq!(after(&activity, 0), None);
        assert_eq!(after(&activity, 2), Some(Overdue::Head));
        let minutes_later = Instant::now() + 2 * IDLE;
        assert_eq!(
            activity.overdue(minutes_later, Some(4 * IDLE), IDLE),
            None,
            "a head that arrives ends the idle time"
        );
        assert_eq!(
            activity.overdue(minutes_later, None, IDLE),
            Some(Overdue::Idle)
        );

        let first = activity.begin();
        let second = activity.begin();
        assert!(!activity.is_mid_head());
        assert_eq!(after(&activity, 1000), None, "a request is in work");
        drop(first);
        assert_eq!(after(&activity, 1000), None, "another still is");
        drop(second);
        assert_eq!(after(&activity, 30), None);
        assert_eq!(after(&activity, 60), Some(Overdue::Idle));
    }

    #[tokio::test]
    async fn what_was_read_ahead_comes_first() {
        let activity = Arc::new(Activity::new());
        let mut wire = Wire::new(Bytes::from_static(b"abc"), &b"def"[..], activity);
        let mut all = String::new();
        wire.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "abcdef");
    }
}
