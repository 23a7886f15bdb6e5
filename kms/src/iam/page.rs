//! Listings in pages.
//!
//! A marker names the last entry of the page before and is bound to its listing, as those of KMS
//! are: it is no secret and no credential, and its digest only tells that it belongs here.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

use super::parameters::{Parameters, Shape};
use super::xml::Element;
use super::{Context, IamError};

/// How many entries a page has unless the request says.
const DEFAULT_ITEMS: usize = 100;

/// How many bytes of the digest a marker carries.
const DIGEST_BYTES: usize = 16;

const MARKER: Shape = Shape::new(1..=320, r"[\u0020-\u00FF]+", |text| {
    text.chars().all(|c| matches!(c, ' '..='\u{ff}'))
});

/// Which page is asked for.
pub(super) struct Page<'a> {
    marker: Option<Cow<'a, str>>,
    max_items: usize,
}

/// A page of a listing.
pub(super) struct Listed<T> {
    pub(super) entries: Vec<T>,
    next_marker: Option<String>,
}

impl<'a> Page<'a> {
    pub(super) fn read(parameters: &mut Parameters<'a>) -> Self {
        let max_items = parameters.number("MaxItems", 1..=1000);
        Self {
            marker: parameters.text("Marker", &MARKER),
            max_items: max_items.map_or(DEFAULT_ITEMS, |number| number as usize),
        }
    }

    /// The name after which the page begins; `None` for the first page. `listing` says what is
    /// listed.
    ///
    /// # Errors
    ///
    /// ValidationError if the marker is not one that this listing gave out.
    pub(super) fn start(
        &self,
        context: &Context<'_>,
        listing: &str,
    ) -> Result<Option<String>, IamError> {
        let Some(marker) = &self.marker else {
            return Ok(None);
        };
        let name = BASE64.decode(&**marker).ok().and_then(|bytes| {
            let (found, name) = bytes.split_at_checked(DIGEST_BYTES)?;
            let name = str::from_utf8(name).ok()?;
            (found == digest(context, listing, name)).then(|| name.to_owned())
        });
        match name {
            Some(name) => Ok(Some(name)),
            None => Err(IamError::Validation("Invalid Marker.".to_owned())),
        }
    }

    /// The page, of the entries that begin where it does.
    pub(super) fn of<T>(
        &self,
        context: &Context<'_>,
        listing: &str,
        entries: impl Iterator<Item = T>,
        name: impl Fn(&T) -> String,
    ) -> Listed<T> {
        let mut entries = entries.fuse();
        let page: Vec<T> = entries.by_ref().take(self.max_items).collect();
        let last = page.last().filter(|_| entries.next().is_some());
        let next_marker = last.map(name).map(|name| {
            let mut marker = digest(context, listing, &name).to_vec();
            marker.extend_from_slice(name.as_bytes());
            BASE64.encode(marker)
        });
        Listed {
            entries: page,
            next_marker,
        }
    }
}

impl<T> Listed<T> {
    /// Whether there are more pages, and where the next one begins.
    pub(super) fn write_end(&self, result: &mut Element<'_>) {
        result.display("IsTruncated", self.next_marker.is_some());
        if let Some(marker) = &self.next_marker {
            result.text("Marker", marker);
        }
    }
}

fn digest(context: &Context<'_>, listing: &str, name: &str) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha256::new();
    for field in [
        context.action.as_str(),
        &context.account().to_string(),
        listing,
        name,
    ] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(hash.finalize().split_at(DIGEST_BYTES).0);
    digest
}
