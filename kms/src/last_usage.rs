//! When a key was last used, and for what.
//!
//! It is remembered beside the state, in memory: storing it would make a commit of every call. So
//! it is known since the enclave started, which is what GetKeyLastUsage says with its
//! `TrackingStartDate`. All versions of a key share one place, and to write it costs one relaxed
//! atomic store: of two calls at the same moment either may count as the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use attestation::Timestamp;

use crate::key::Key;
use crate::protocol::OperationName;

/// The bits that tell the operation. The time takes the others, and lasts for a million years.
const OPERATION_BITS: u32 = 6;

/// The last use of one key: one more than the operation's place in [`OperationName::ALL`], and the
/// time; 0 while there was none.
#[derive(Debug, Default)]
pub struct LastUsage(AtomicU64);

impl LastUsage {
    fn note(&self, operation: OperationName, at: Timestamp) {
        let number = operation as u64 + 1;
        let packed = at.as_millis() << OPERATION_BITS | number;
        self.0.store(packed, Ordering::Relaxed);
    }

    /// The operation and when it was, if there was any.
    pub fn get(&self) -> Option<(OperationName, Timestamp)> {
        let packed = self.0.load(Ordering::Relaxed);
        let number = packed & ((1 << OPERATION_BITS) - 1);
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        let operation = OperationName::ALL.get(place)?;
        let at = Timestamp::from_millis(packed >> OPERATION_BITS);
        Some((*operation, at))
    }
}

/// The keys that a call uses: ReEncrypt uses two.
#[derive(Default)]
pub(crate) struct UsedKeys([Option<Arc<LastUsage>>; 2]);

impl UsedKeys {
    /// Adds a key that the caller may use.
    pub(crate) fn add(&mut self, key: &Key) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(Arc::clone(&key.last_usage));
        }
    }
}

/// What a successful call means for the last usage of its keys, to be noted when the answer leaves.
pub struct Usage {
    operation: OperationName,
    at: Timestamp,
    keys: UsedKeys,
}

impl Usage {
    /// The usage of keys by an operation, if it is one that counts.
    pub(crate) fn of(operation: OperationName, at: Timestamp, keys: UsedKeys) -> Option<Self> {
        is_cryptographic(operation).then_some(Self {
            operation,
            at,
            keys,
        })
    }

    /// Notes it.
    pub fn note(&self) {
        for key in self.keys.0.iter().flatten() {
            key.note(self.operation, self.at);
        }
    }
}

/// Whether an operation counts as a use of its key: those of the model's
/// `KeyLastUsageTrackingOperation`.
fn is_cryptographic(operation: OperationName) -> bool {
    use OperationName as Name;
    matches!(
        operation,
        Name::Decapsulate
            | Name::Decrypt
            | Name::DeriveSharedSecret
            | Name::Encapsulate
            | Name::Encrypt
            | Name::GenerateDataKey
            | Name::GenerateDataKeyPair
            | Name::GenerateDataKeyPairWithoutPlaintext
            | Name::GenerateDataKeyWithoutPlaintext
            | Name::GenerateMac
            | Name::ReEncrypt
            | Name::Sign
            | Name::Verify
            | Name::VerifyMac
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_use_is_what_was_noted_last() {
        let usage = LastUsage::default();
        assert_eq!(usage.get(), None);
        for (place, operation) in OperationName::ALL.iter().enumerate() {
            let at = Timestamp::from_millis(1_772_366_400_123 + place as u64);
            usage.note(*operation, at);
            assert_eq!(usage.get(), Some((*operation, at)));
        }
    }
}
