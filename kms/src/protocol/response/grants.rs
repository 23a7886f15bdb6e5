//! The answers about grants.

use attestation::Timestamp;
use zeroize::Zeroizing;

use crate::grant::{GrantConstraints, GrantId, Grantee};
use crate::json_writer::{self, Object};
use crate::protocol::EncryptionContext;
use crate::protocol::spec::GrantOperation;

use super::{Response, write_page, write_text};

/// CreateGrant's answer.
pub struct CreateGrant<'a> {
    /// A token of the grant, different each time.
    pub grant_token: &'a str,
    /// The grant's id.
    pub grant_id: GrantId,
}

impl Response for CreateGrant<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("GrantToken", self.grant_token);
            o.display("GrantId", self.grant_id);
        })
    }
}

/// The answer of ListGrants and ListRetirableGrants.
pub struct ListGrants<'a> {
    /// The grants of this page.
    pub grants: Vec<GrantListEntry<'a>>,
    /// Where the next page begins; absent on the last one.
    pub next_marker: Option<String>,
}

impl Response for ListGrants<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.objects("Grants", self.grants.iter(), |o, grant| grant.write(o));
            write_page(o, self.next_marker.as_deref());
        })
    }
}

/// One grant of a page.
pub struct GrantListEntry<'a> {
    /// The ARN of the grant's key.
    pub key_id: String,
    /// Its id.
    pub grant_id: GrantId,
    /// Its name.
    pub name: Option<&'a str>,
    /// When it was made.
    pub creation_date: Timestamp,
    /// Who gets the permissions.
    pub grantee: &'a Grantee,
    /// Who may retire it.
    pub retiring: Option<&'a Grantee>,
    /// The account it was issued under.
    pub issuing_account: &'a str,
    /// What it allows.
    pub operations: &'a [GrantOperation],
    /// What it depends on.
    pub constraints: &'a GrantConstraints,
}

impl GrantListEntry<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.text("KeyId", &self.key_id);
        o.display("GrantId", self.grant_id);
        write_text(o, "Name", self.name);
        o.time("CreationDate", self.creation_date);
        match self.grantee {
            Grantee::Principal(arn) => o.text("GranteePrincipal", arn),
            Grantee::Service(name) => o.text("GranteeServicePrincipal", name),
        }
        match self.retiring {
            Some(Grantee::Principal(arn)) => o.text("RetiringPrincipal", arn),
            Some(Grantee::Service(name)) => o.text("RetiringServicePrincipal", name),
            None => {}
        }
        o.text("IssuingAccount", self.issuing_account);
        let operations = self.operations.iter();
        o.names("Operations", operations.map(|operation| operation.as_str()));
        if *self.constraints != GrantConstraints::default() {
            o.object("Constraints", |o| write_constraints(o, self.constraints));
        }
    }
}

fn write_constraints(o: &mut Object<'_>, constraints: &GrantConstraints) {
    let contexts: [(&str, &Option<EncryptionContext<'_>>); 2] = [
        (
            "EncryptionContextSubset",
            &constraints.encryption_context_subset,
        ),
        (
            "EncryptionContextEquals",
            &constraints.encryption_context_equals,
        ),
    ];
    for (name, context) in contexts {
        if let Some(context) = context {
            o.object(name, |o| {
                for (key, value) in context.iter() {
                    o.entry(key, value);
                }
            });
        }
    }
    write_text(o, "SourceArn", constraints.source_arn.as_deref());
}
