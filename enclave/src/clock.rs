//! The enclave's clock: the only place that reads the time of day.
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

/// The value of a `Date` header: SDKs set their own clock from it.
pub(crate) fn http_date(now: Timestamp) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(now.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_in_the_form_of_rfc_9110() {
        assert_eq!(
            http_date(Timestamp::from_millis(784_111_777_999)),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }
}
