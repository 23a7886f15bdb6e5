//! TLS handshakes, on a thread of their own.
//!
//! A handshake costs as much as many calls, and anybody may ask for one. On the threads that answer
//! calls they would take the turns of those who have a connection. So there is one thread for all of
//! them, of low priority: it gets what calls leave of the processors, and a tenth of one in any case.

use std::thread;

use rustix::process::nice;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::Task;

/// The priority of the thread.
const PRIORITY: i32 = 10;

/// Does handshakes, until it is dropped.
pub(super) struct Handshakes {
    thread: Handle,
    _end: oneshot::Sender<()>,
}

impl Handshakes {
    /// Starts the thread. Should that fail, they are done where everything else is.
    pub(super) fn start() -> Self {
        let (end, ended) = oneshot::channel();
        Self {
            thread: start(ended).unwrap_or_else(Handle::current),
            _end: end,
        }
    }

    /// Does one; `None` if that ended in a panic. Whoever waits no longer stops it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        handshake: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut task = Task(self.thread.spawn(handshake));
        (&mut task.0).await.ok()
    }
}

fn start(ended: oneshot::Receiver<()>) -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    let run = move || {
        // On Linux each thread has a priority of its own.
        let _ = nice(PRIORITY);
        // An error means that nobody is there any more, which is the end, too.
        let _ = runtime.block_on(ended);
    };
    let thread = thread::Builder::new().name("handshakes".to_owned());
    thread.spawn(run).ok()?;
    Some(handle)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::getpriority_process;
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn they_leave_the_processors_to_others() {
        let handshakes = Handshakes::start();
        let own = getpriority_process(None).unwrap();
        let first = handshakes.run(async { (getpriority_process(None), thread::current().id()) });
        let (priority, first) = first.await.unwrap();
        assert_eq!(priority.unwrap(), (own + PRIORITY).min(19));
        let second = handshakes.run(async { thread::current().id() });
        assert_eq!(second.await.unwrap(), first, "there is one thread for all");
    }

    #[tokio::test]
    async fn nothing_is_left_of_those_that_nobody_waits_for() {
        let handshakes = Handshakes::start();
        let (held, gone) = oneshot::channel::<()>();
        let waiting = handshakes.run(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert!(timeout(Duration::from_millis(20), waiting).await.is_err());
        assert!(timeout(LONG, gone).await.unwrap().is_err());
        let (held, gone) = oneshot::channel::<()>();
        let task = handshakes.thread.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(handshakes);
        assert!(timeout(LONG, gone).await.unwrap().is_err());
        assert!(task.await.is_err());
    }
}
