//! Who looks for what arrives while a thread computes.

use tokio::runtime::Handle;

/// Has another thread of the runtime look for what arrives, if one has nothing to do. For whoever is
/// about to compute for some time; in calls the engine says when
/// ([`before_long_work`](kms::engine::EngineConfig::before_long_work)).
///
/// In tokio one thread waits for events, and goes to work on what they woke by itself unless that
/// is more than one task. So while it computes nobody waits for events, and what arrives stays
/// where it is although other threads, and processors, have nothing to do.
///
/// A thread that idles is woken when there are tasks that it can take, and has to wait for events
/// when it has done them. There must be two: the one spawned last is kept for the thread that
/// spawned it.
pub(crate) fn leave_to_another_thread() {
    // A thread of its own, such as those that make key pairs, has left it to others already.
    if let Ok(runtime) = Handle::try_current() {
        for _ in 0..2 {
            runtime.spawn(async {});
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream as Client;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{sleep, yield_now};
    use std::time::{Duration, Instant};

    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;
    use tokio::runtime::Builder;

    use super::*;

    /// A connection whose server waits for a byte.
    fn connection() -> (Client, UnixStream) {
        let (client, server) = Client::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        (client, UnixStream::from_std(server).unwrap())
    }

    #[test]
    fn what_arrives_is_taken_up_while_a_thread_computes() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        for _ in 0..20 {
            let answered = Arc::new(AtomicBool::new(false));
            let (mut first, mut long) = connection();
            let (mut second, mut short) = connection();
            let until = Arc::clone(&answered);
            let computing = runtime.spawn(async move {
                long.read_u8().await.unwrap();
                leave_to_another_thread();
                let begun = Instant::now();
                while !until.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(10) {
                    yield_now();
                }
            });
            let other = Arc::clone(&answered);
            runtime.spawn(async move {
                short.read_u8().await.unwrap();
                other.store(true, Ordering::SeqCst);
            });
            // Until both wait for their byte, and the threads for them.
            sleep(Duration::from_millis(10));
            first.write_all(&[1]).unwrap();
            sleep(Duration::from_millis(10));
            second.write_all(&[1]).unwrap();
            runtime.block_on(computing).unwrap();
            assert!(answered.load(Ordering::SeqCst), "it waited for the other");
        }
    }

    #[test]
    fn outside_of_a_runtime_there_is_nothing_to_leave() {
        leave_to_another_thread();
    }
}
