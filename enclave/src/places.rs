//! A bounded number of places, and a bounded queue before them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Gives out places.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    queue: Semaphore,
    /// How long one waits in the queue.
    time: Duration,
}

impl Places {
    /// So many places, for so many who wait no longer than that.
    pub(crate) fn new(places: usize, queue: usize, time: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(places)),
            queue: Semaphore::new(queue),
            time,
        }
    }

    /// A place, once there is one; none if too many wait already, or in time none becomes free.
    pub(crate) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        // Whoever waits is served first: what becomes free goes to the queue.
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(place);
        }
        let _in_queue = self.queue.try_acquire().ok()?;
        let place = Arc::clone(&self.free).acquire_owned();
        // In a box, as few wait: all others have the room for it in their futures.
        Box::pin(timeout(self.time, place)).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    const TIME: Duration = Duration::from_millis(500);

    #[tokio::test]
    async fn as_many_wait_as_may_and_no_longer_than_they_may() {
        let places = Places::new(1, 2, TIME);
        let taken = places.take().await.unwrap();
        let (mut second, mut third) = (pin!(places.take()), pin!(places.take()));
        for waiting in [&mut second, &mut third] {
            assert!(timeout(TIME / 50, waiting.as_mut()).await.is_err());
        }
        assert!(places.take().await.is_none(), "the queue is full");
        drop(taken);
        let _taken = second.await.unwrap();
        assert!(third.await.is_none(), "waited too long");
    }

    #[tokio::test]
    async fn nobody_is_overtaken() {
        let places = Places::new(1, 2, TIME);
        let taken = places.take().await.unwrap();
        let mut second = pin!(places.take());
        assert!(timeout(TIME / 50, second.as_mut()).await.is_err());
        drop(taken);
        let mut third = pin!(places.take());
        assert!(timeout(TIME / 50, third.as_mut()).await.is_err());
        assert!(second.await.is_some());
    }
}
