//! Markers: where the next page of a listing begins.
//!
//! A marker is opaque to clients and bound to its listing: the account, region and filter it was
//! given for. It names the last entry of the page before, so that entries that come and go between
//! two pages don't shift the others. It is no secret and no credential, so its digest is there to
//! recognise a marker that was damaged or made for another listing, not to authenticate it.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

use crate::error::KmsError;
use crate::name::{AccountId, KeyId, Region};
use crate::protocol::OperationName;

/// How many bytes of the digest a marker carries.
const DIGEST_BYTES: usize = 16;

/// A listing that can take more than one page.
pub(super) struct Listing<'a> {
    /// The operation.
    pub(super) operation: OperationName,
    /// The account whose things are listed.
    pub(super) account: AccountId,
    /// The region they are in.
    pub(super) region: &'a Region,
    /// The one key they belong to, if the listing is about one.
    pub(super) key: Option<KeyId>,
}

impl Listing<'_> {
    /// The entry after which the page of this marker begins; `None` for the first page.
    ///
    /// # Errors
    ///
    /// InvalidMarkerException if the marker is not one that this listing gave out.
    pub(super) fn start<T: FromStr>(&self, marker: Option<&str>) -> Result<Option<T>, KmsError> {
        let Some(marker) = marker else {
            return Ok(None);
        };
        BASE64
            .decode(marker)
            .ok()
            .and_then(|bytes| {
                let (digest, entry) = bytes.split_at_checked(DIGEST_BYTES)?;
                let entry = str::from_utf8(entry).ok()?;
                (digest == self.digest(entry)).then(|| entry.parse().ok())?
            })
            .map(Some)
            .ok_or_else(|| {
                KmsError::InvalidMarker("The marker is not valid for this request.".into())
            })
    }

    /// One page: the first entries, and the marker of the next page if there are more.
    pub(super) fn page<T, N: Display>(
        &self,
        entries: impl Iterator<Item = T>,
        limit: usize,
        name: impl Fn(&T) -> N,
    ) -> (Vec<T>, Option<String>) {
        let mut entries = entries.fuse();
        let page: Vec<T> = entries.by_ref().take(limit).collect();
        let more = entries.next().is_some();
        let next = page
            .last()
            .filter(|_| more)
            .map(|last| self.marker_after(&name(last)));
        (page, next)
    }

    /// The marker of the page that begins after this entry.
    fn marker_after(&self, entry: &impl Display) -> String {
        let entry = entry.to_string();
        let mut marker = self.digest(&entry).to_vec();
        marker.extend_from_slice(entry.as_bytes());
        BASE64.encode(marker)
    }

    fn digest(&self, entry: &str) -> [u8; DIGEST_BYTES] {
        let filter = self.key.map(|key| key.to_string()).unwrap_or_default();
        let mut hash = Sha256::new();
        for field in [
            self.operation.as_str(),
            &self.account.to_string(),
            self.region.as_str(),
            &filter,
            entry,
        ] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(hash.finalize().split_at(DIGEST_BYTES).0);
        digest
    }
}

/// How many entries a page has, where the service allows fewer than its model.
pub(super) fn page_length(limit: Option<u16>, default: u16, most: u16) -> Result<usize, KmsError> {
    match limit {
        None => Ok(default.into()),
        Some(limit) if limit <= most => Ok(limit.into()),
        Some(limit) => Err(KmsError::validation(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value less than or equal to {most}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    fn listing(region: &Region) -> Listing<'_> {
        Listing {
            operation: OperationName::ListAliases,
            account: "111122223333".parse().unwrap(),
            region,
            key: None,
        }
    }

    #[test]
    fn a_marker_leads_back_to_its_entry() {
        let region = region("eu-west-1");
        let marker = listing(&region).marker_after(&"alias/some/name");
        assert!(!marker.contains("alias"));
        let start = listing(&region).start::<String>(Some(&marker));
        assert_eq!(start, Ok(Some("alias/some/name".to_owned())));
        assert_eq!(listing(&region).start::<String>(None), Ok(None));
    }

    #[test]
    fn pages_follow_each_other() {
        let region = region("eu-west-1");
        let listing = listing(&region);
        let (page, marker) = listing.page(["a", "b", "c"].into_iter(), 2, |name| *name);
        assert_eq!(page, ["a", "b"]);
        let start = listing.start::<String>(marker.as_deref());
        assert_eq!(start, Ok(Some("b".to_owned())));
        let (page, marker) = listing.page(["c"].into_iter(), 1, |name| *name);
        assert_eq!((page, marker), (vec!["c"], None));
    }

    #[test]
    fn a_marker_is_of_no_use_to_another_listing() {
        let (here, there) = (region("eu-west-1"), region("eu-west-2"));
        let marker = listing(&here).marker_after(&"alias/a");
        let mut others = [
            listing(&there),
            listing(&here),
            listing(&here),
            listing(&here),
        ];
        others[1].operation = OperationName::ListKeys;
        others[2].account = "444455556666".parse().unwrap();
        others[3].key = Some(KeyId::new([1; 16], false));
        for other in others {
            let start = other.start::<String>(Some(&marker));
            assert!(matches!(start, Err(KmsError::InvalidMarker(_))));
        }
    }

    #[test]
    fn a_damaged_marker_is_refused() {
        let region = region("eu-west-1");
        let marker = listing(&region).marker_after(&"alias/a");
        for (at, _) in marker.char_indices() {
            let mut damaged = marker.clone();
            let other = if &damaged[at..=at] == "A" { "B" } else { "A" };
            damaged.replace_range(at..=at, other);
            assert!(
                listing(&region).start::<String>(Some(&damaged)).is_err(),
                "{damaged}"
            );
        }
        for nonsense in ["", "x", "AAAA", "not base64!", &"A".repeat(1024)] {
            assert!(
                listing(&region).start::<String>(Some(nonsense)).is_err(),
                "{nonsense}"
            );
        }
    }
}
