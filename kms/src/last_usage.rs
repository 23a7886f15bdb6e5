//! When a key was last used, and for what.
//!
//! It is remembered beside the state, in memory: storing it would make a commit of every call. So
//! it is known since the enclave started, which is what GetKeyLastUsage says with its
//! `TrackingStartDate`. All versions of a key share one place. It is locked for no longer than a
//! copy takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attestation::Timestamp;
use uuid::Uuid;

use crate::audit::Event;
use crate::key::Key;
use crate::protocol::OperationName;

/// The last use of one key, if there was any.
#[derive(Debug, Default)]
pub struct LastUsage(Mutex<Option<LastUse>>);

/// One use of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LastUse {
    /// The operation.
    pub operation: OperationName,
    /// When it was.
    pub at: Timestamp,
    /// The id of its audit event.
    pub event_id: Uuid,
    /// The id of the request.
    pub request_id: Uuid,
}

impl LastUsage {
    /// The last use, if there was any.
    pub fn get(&self) -> Option<LastUse> {
        *self.place()
    }

    fn set(&self, last: LastUse) {
        *self.place() = Some(last);
    }

    fn place(&self) -> MutexGuard<'_, Option<LastUse>> {
        // Whoever holds it only copies.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Notes it as the use that this event records.
    pub fn note(&self, event: &Event) {
        let last = LastUse {
            operation: self.operation,
            at: self.at,
            event_id: event.event_id(),
            request_id: event.request_id(),
        };
        for key in self.keys.0.iter().flatten() {
            key.set(last);
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
