//! The answers about aliases.

use attestation::Timestamp;
use zeroize::Zeroizing;

use crate::json_writer::{self, Object};
use crate::name::KeyId;

use super::{Response, write_page, write_time};

/// ListAliases' answer.
pub struct ListAliases<'a> {
    /// The aliases of this page.
    pub aliases: Vec<AliasListEntry<'a>>,
    /// Where the next page begins; absent on the last one.
    pub next_marker: Option<String>,
}

impl Response for ListAliases<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.objects("Aliases", self.aliases.iter(), |o, alias| alias.write(o));
            write_page(o, self.next_marker.as_deref());
        })
    }
}

/// One alias of a page.
pub struct AliasListEntry<'a> {
    /// The alias, `alias/` included.
    pub alias_name: &'a str,
    /// The alias's ARN.
    pub alias_arn: String,
    /// The key it names.
    pub target_key_id: Option<KeyId>,
    /// When it was made.
    pub creation_date: Option<Timestamp>,
    /// When it was last pointed to a key.
    pub last_updated_date: Option<Timestamp>,
}

impl AliasListEntry<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.text("AliasName", self.alias_name);
        o.text("AliasArn", &self.alias_arn);
        if let Some(key_id) = self.target_key_id {
            o.display("TargetKeyId", key_id);
        }
        write_time(o, "CreationDate", self.creation_date);
        write_time(o, "LastUpdatedDate", self.last_updated_date);
    }
}
