//! Bounds how much strangers can ask of the security module.
//!
//! The module does one thing after the other, and the enclave itself needs it too: to hold its clock
//! against, to renew its certificates, for fresh randomness. Anybody may ask for a document, so
//! few strangers' requests wait for the module at the same time, and only so many come in a second;
//! whoever comes beyond that learns so at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::config::Limits;

/// Gives out turns.
pub(crate) struct Throttle {
    places: Arc<Semaphore>,
    /// The time between two turns, if all turns were taken evenly.
    interval: Duration,
    /// When the turns given so far would all have been taken evenly.
    spent_until: Mutex<Instant>,
}

/// What is over is somebody else's turn.
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
}

impl Throttle {
    /// As the settings have it.
    pub(crate) fn new(limits: &Limits) -> Self {
        let interval = Duration::from_secs(1).checked_div(limits.documents_per_second);
        Self {
            places: Arc::new(Semaphore::new(limits.documents)),
            interval: interval.unwrap_or(Duration::MAX),
            spent_until: Mutex::new(Instant::now()),
        }
    }

    /// A turn, unless too many are taken.
    pub(crate) fn turn(&self, now: Instant) -> Option<Turn> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        self.spend(now).then_some(Turn { _place: place })
    }

    /// How many could have a turn at the same time beside those who have.
    #[cfg(test)]
    pub(crate) fn places_left(&self) -> usize {
        self.places.available_permits()
    }

    /// Takes one of the turns of the second that begins `now`, if one is left.
    fn spend(&self, now: Instant) -> bool {
        let lock = self.spent_until.lock();
        let mut spent_until = lock.unwrap_or_else(PoisonError::into_inner);
        let spent = spent_until
            .saturating_duration_since(now)
            .saturating_add(self.interval);
        if spent > Duration::from_secs(1) {
            return false;
        }
        *spent_until = now + spent;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn throttle(documents: usize, documents_per_second: u32) -> Throttle {
        Throttle::new(&Limits {
            documents,
            documents_per_second,
            ..Limits::default()
        })
    }

    #[tokio::test]
    async fn a_second_has_so_many_turns() {
        let throttle = throttle(1, 4);
        let now = Instant::now();
        let taken = |at| (0..10).filter(|_| throttle.turn(at).is_some()).count();
        assert_eq!(taken(now), 4, "at once");
        assert_eq!(taken(now + SECOND / 4), 1, "and then evenly");
        assert_eq!(taken(now + SECOND / 4 * 3), 2);
        assert_eq!(taken(now + SECOND * 3600), 4, "and no more after a pause");
        // A clock that stands still or goes back makes none.
        assert_eq!(taken(now), 0);
    }

    #[tokio::test]
    async fn few_have_a_turn_at_the_same_time() {
        let throttle = throttle(2, 1000);
        let now = Instant::now();
        let first = throttle.turn(now);
        let second = throttle.turn(now);
        assert!(first.is_some() && second.is_some());
        assert!(throttle.turn(now).is_none());
        drop(first);
        assert!(throttle.turn(now).is_some());
    }

    #[tokio::test]
    async fn none_is_none() {
        assert!(throttle(0, 1).turn(Instant::now()).is_none());
        assert!(throttle(1, 0).turn(Instant::now()).is_none());
    }
}
