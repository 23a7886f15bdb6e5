//! The answer about the last usage of a key.

use attestation::Timestamp;
use zeroize::Zeroizing;

use crate::json_writer;
use crate::last_usage::LastUse;
use crate::name::KeyId;

use super::Response;

/// GetKeyLastUsage's answer.
pub struct GetKeyLastUsage {
    /// The key's id.
    pub key_id: KeyId,
    /// Its last use; an empty object when there was none.
    pub key_last_usage: Option<LastUse>,
    /// Since when uses are noted.
    pub tracking_start_date: Timestamp,
    /// When the key was made.
    pub key_creation_date: Timestamp,
}

impl Response for GetKeyLastUsage {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.display("KeyId", self.key_id);
            o.object("KeyLastUsage", |o| {
                if let Some(last) = &self.key_last_usage {
                    o.text("Operation", last.operation.as_str());
                    o.time("Timestamp", last.at);
                    o.display("CloudTrailEventId", last.event_id);
                    o.display("KmsRequestId", last.request_id);
                }
            });
            o.time("TrackingStartDate", self.tracking_start_date);
            o.time("KeyCreationDate", self.key_creation_date);
        })
    }
}
