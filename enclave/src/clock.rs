//! The enclave's clock: the only place that reads the time of day, but for hyper, which dates answers.
//!
//! An enclave's kernel follows the hypervisor's clock, not the parent instance's, and there is no
//! network time. Nothing here asks the host.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attestation::Timestamp;

/// Reads the time of day.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// By how much a test is ahead of its time.
    #[cfg(test)]
    pub(crate) ahead: Duration,
}

impl Clock {
    /// The time now.
    pub(crate) fn now(self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            // A clock before 1970 is a clock that was never set: every signature and document is
            // then from the future and refused.
            .unwrap_or(Duration::ZERO);
        #[cfg(test)]
        let since_epoch = since_epoch + self.ahead;
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}
