//! The answers about multi-Region keys.

use zeroize::Zeroizing;

use crate::json_writer;

use super::{KeyMetadata, Response, TagEntry};

/// ReplicateKey's answer.
pub struct ReplicateKey<'a> {
    /// The new replica.
    pub replica_key_metadata: KeyMetadata<'a>,
    /// Its key policy.
    pub replica_policy: &'a str,
    /// Its tags; left out when there are none.
    pub replica_tags: Vec<TagEntry<'a>>,
}

impl Response for ReplicateKey<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.object("ReplicaKeyMetadata", |o| self.replica_key_metadata.write(o));
            o.text("ReplicaPolicy", self.replica_policy);
            if !self.replica_tags.is_empty() {
                o.objects("ReplicaTags", self.replica_tags.iter(), |o, tag| {
                    tag.write(o);
                });
            }
        })
    }
}
