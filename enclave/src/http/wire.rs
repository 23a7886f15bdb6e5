//! A connection whose first bytes were looked at, and whose activity is known.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that gives back the bytes that were read ahead before it goes on.
pub(crate) struct Wire<S> {
    ahead: Bytes,
    stream: S,
    activity: Arc<Activity>,
    /// Who is told when there is something to read.
    bell: Arc<Bell>,
    bell_waker: Waker,
}

impl<S> Wire<S> {
    /// Puts `ahead` in front of what `stream` still has.
    pub(crate) fn new(ahead: Bytes, stream: S, activity: Arc<Activity>) -> Self {
        let bell = Arc::new(Bell {
            activity: Arc::clone(&activity),
            task: Mutex::new(Waker::noop().clone()),
        });
        Self {
            ahead,
            stream,
            activity,
            bell_waker: Arc::clone(&bell).into(),
            bell,
        }
    }
}

/// Wakes the task that reads, and notes when.
struct Bell {
    activity: Arc<Activity>,
    task: Mutex<Waker>,
}

impl Bell {
    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.activity.state();
        state.rung.get_or_insert_with(Instant::now);
        drop(state);
        self.task().wake_by_ref();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut rung = None;
        if this.ahead.is_empty() {
            let before = buffer.filled().len();
            this.bell.task().clone_from(cx.waker());
            rung = this.activity.state().rung.take();
            let mut cx = Context::from_waker(&this.bell_waker);
            ready!(Pin::new(&mut this.stream).poll_read(&mut cx, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
        } else {
            let length = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead.split_to(length));
        }
        this.activity.received(rung);
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
    /// When there was something to read that nobody has read yet.
    rung: Option<Instant>,
    /// How long what was read last had waited for that.
    waited: Duration,
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
            rung: None,
            waited: Duration::ZERO,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the numbers half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that bytes were read, and when they rang.
    fn received(&self, rung: Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        state.waited = rung.map_or(Duration::ZERO, |rung| now.saturating_duration_since(rung));
        if state.in_work == 0 {
            state.head_since.get_or_insert(now);
        }
    }

    /// How long the bytes that were read last had waited for a thread to read them.
    pub(crate) fn waited(&self) -> Duration {
        self.state().waited
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
    use std::pin::pin;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

        activity.received(None);
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

    #[tokio::test]
    async fn it_is_known_how_long_bytes_have_waited() {
        let (mut client, server) = tokio::io::duplex(64);
        let activity = Arc::new(Activity::new());
        let mut wire = Wire::new(Bytes::new(), server, Arc::clone(&activity));
        let mut cx = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let pause = Duration::from_millis(30);
        for late in [true, false] {
            let mut read = pin!(wire.read_exact(&mut byte));
            if late {
                assert!(read.as_mut().poll(&mut cx).is_pending());
                // Before there is something to read, nothing waits.
                std::thread::sleep(2 * pause);
            }
            client.write_all(&[1]).await.unwrap();
            let written = Instant::now();
            std::thread::sleep(pause);
            assert!(read.as_mut().poll(&mut cx).is_ready());
            let waited = activity.waited();
            match late {
                true => assert!(waited >= pause && waited <= written.elapsed() + pause),
                // It was not asked for before it was there.
                false => assert_eq!(waited, Duration::ZERO),
            }
        }
    }
}
