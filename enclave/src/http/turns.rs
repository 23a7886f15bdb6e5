//! Turns for what takes long and is asked for by anybody: TLS handshakes.
//!
//! A handshake takes as much of a processor as ten calls, and its ClientHello costs a client nearly
//! nothing. Were they done as they come, those who have a connection would wait behind all who ask
//! for one. So they take turns: however many there are, half of the threads are left for calls.

use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::task::Poll;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use crate::polling;

/// Turns, of which each that is taken keeps a thread busy.
pub(super) struct Turns(Semaphore);

impl Turns {
    /// For half of the threads, which are as many as there are processors.
    pub(super) fn for_half_of_the_threads() -> Self {
        let threads = available_parallelism().map_or(1, usize::from);
        Self(Semaphore::new((threads / 2).max(1)))
    }

    /// Does this work. While it waits for its client, others have the turn.
    pub(super) async fn work<W: Future>(&self, work: W) -> W::Output {
        let mut work = pin!(work);
        loop {
            // Nobody closes it.
            let turn = self.0.acquire().await;
            // Half of the threads are left for calls, so one of them has to know of these.
            polling::leave_to_another_thread();
            let step = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
            drop(turn);
            if let Poll::Ready(done) = step {
                return done;
            }
            let mut woken = false;
            poll_fn(|_| match mem::replace(&mut woken, true) {
                true => Poll::Ready(()),
                // Who wakes the work was told by its step.
                false => Poll::Pending,
            })
            .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::task::{JoinSet, yield_now};
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn one_at_a_time() -> Arc<Turns> {
        Arc::new(Turns(Semaphore::new(1)))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_threads_than_turns_are_busy() {
        let turns = one_at_a_time();
        let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut all = JoinSet::new();
        for number in 0..32 {
            let (turns, busy, most) = (Arc::clone(&turns), Arc::clone(&busy), Arc::clone(&most));
            all.spawn(async move {
                let work = async {
                    for _ in 0..3 {
                        let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                        busy.fetch_sub(1, Ordering::SeqCst);
                        yield_now().await;
                    }
                    number
                };
                turns.work(work).await
            });
        }
        let mut done = timeout(LONG, all.join_all()).await.unwrap();
        done.sort_unstable();
        assert_eq!(done, Vec::from_iter(0..32));
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn whoever_waits_leaves_the_turn_to_others() {
        let turns = one_at_a_time();
        let (answer, asked) = oneshot::channel();
        let waiting = turns.work(asked);
        let other = async {
            let done = turns.work(async { 1 }).await;
            answer.send(done).unwrap();
        };
        let both = async { tokio::join!(waiting, other) };
        assert_eq!(timeout(LONG, both).await.unwrap(), (Ok(1), ()));
    }

    #[tokio::test]
    async fn who_gives_up_takes_no_turn_along() {
        let turns = one_at_a_time();
        for _ in 0..3 {
            let never = turns.work(std::future::pending::<()>());
            assert!(timeout(Duration::from_millis(5), never).await.is_err());
        }
        assert_eq!(timeout(LONG, turns.work(async { 1 })).await, Ok(1));
    }
}
