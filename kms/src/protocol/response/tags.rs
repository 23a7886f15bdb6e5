//! The answers about tags.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::json_writer::{self, Object};

use super::{Response, write_page};

/// ListResourceTags' answer.
pub struct ListResourceTags<'a> {
    /// The tags of this page.
    pub tags: Vec<TagEntry<'a>>,
    /// Where the next page begins; absent on the last one.
    pub next_marker: Option<String>,
}

impl Response for ListResourceTags<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.objects("Tags", self.tags.iter(), |o, tag| tag.write(o));
            write_page(o, self.next_marker.as_deref());
        })
    }
}

/// One tag.
pub struct TagEntry<'a> {
    /// `TagKey`.
    pub key: &'a str,
    /// `TagValue`.
    pub value: &'a str,
}

impl<'a> TagEntry<'a> {
    /// All tags of a key, sorted as it holds them.
    pub fn all(tags: &'a BTreeMap<String, String>) -> impl Iterator<Item = Self> {
        tags.iter().map(|(key, value)| Self { key, value })
    }

    pub(super) fn write(&self, o: &mut Object<'_>) {
        o.text("TagKey", self.key);
        o.text("TagValue", self.value);
    }
}
