//! A point in time; always an argument, never read from a clock here.

use core::ops::{Add, Sub};
use core::time::Duration;

/// Milliseconds since the Unix epoch, the unit of a Nitro document's own timestamp.
///
/// Arithmetic saturates: no input can make it overflow.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A timestamp from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A timestamp from whole seconds since the Unix epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_millis(duration)))
    }
}

fn saturating_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::from_millis(500) - second, Timestamp::default());
        assert_eq!(
            Timestamp::from_millis(u64::MAX) + second,
            Timestamp::from_secs(u64::MAX)
        );
        assert_eq!(
            Timestamp::from_secs(3) - second,
            Timestamp::from_millis(2000)
        );
        assert_eq!(Timestamp::from_millis(1999).as_secs(), 1);
        assert_eq!(
            Timestamp::from_secs(3).saturating_since(Timestamp::from_secs(1)),
            second * 2
        );
    }
}
