//! TLS handshakes, on threads of their own.
//!
//! A handshake costs as much as many calls, and anybody may ask for one. On the threads that answer
//! calls they would take the turns of those who have a connection. So there are threads for them, of
//! low priority: they get what calls leave of the processors, and a tenth of one in any case.

use std::thread::available_parallelism;

use rustix::process::nice;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::Task;

/// The priority of the threads.
const PRIORITY: i32 = 10;

/// Does handshakes, until it is dropped.
pub(super) struct Handshakes(Option<Runtime>);

impl Handshakes {
    /// Starts the threads, half as many as there are processors. Should that fail, handshakes are
    /// done where everything else is.
    pub(super) fn start() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(processors.div_ceil(2))
            .thread_name("handshakes")
            .on_thread_start(|| {
                // On Linux each thread has a priority of its own.
                let _ = nice(PRIORITY);
            })
            .enable_all()
            .build();
        Self(runtime.ok())
    }

    /// Does one; `None` if that ended in a panic. Whoever waits no longer stops it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        handshake: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut task = Task(self.threads().spawn(handshake));
        (&mut task.0).await.ok()
    }

    fn threads(&self) -> Handle {
        match &self.0 {
            Some(runtime) => runtime.handle().clone(),
            None => Handle::current(),
        }
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for the threads here would hold up others.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::getpriority_process;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn they_leave_the_processors_to_others() {
        let handshakes = Handshakes::start();
        let own = getpriority_process(None).unwrap();
        for _ in 0..2 * available_parallelism().unwrap().get() {
            let priority = handshakes.run(async { getpriority_process(None) }).await;
            // 19 is the last.
            assert_eq!(priority.unwrap().unwrap(), (own + PRIORITY).min(19));
        }
        assert_eq!(getpriority_process(None).unwrap(), own);
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
        let task = handshakes.threads().spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(handshakes);
        assert!(timeout(LONG, gone).await.unwrap().is_err());
        assert!(task.await.is_err());
    }
}
