//! What is inside the record of a grant.

use std::collections::BTreeMap;

use attestation::Timestamp;
use minicbor::{CborLen, Decode, Encode};

use super::account;
use crate::grant::{Grant, GrantConstraints, GrantId, Grantee};
use crate::name::KeyId;
use crate::protocol::EncryptionContext;
use crate::protocol::spec::GrantOperation;

#[derive(CborLen, Decode, Encode)]
pub(in crate::record) struct GrantPayload<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    account: [u8; 12],
    #[b(1)]
    region: &'a str,
    #[cbor(n(2), with = "minicbor::bytes")]
    key: [u8; KeyId::LEN],
    #[cbor(n(3), with = "minicbor::bytes")]
    id: [u8; GrantId::LEN],
    #[b(4)]
    name: Option<&'a str>,
    #[b(5)]
    grantee: GranteePayload<'a>,
    #[b(6)]
    retiring: Option<GranteePayload<'a>>,
    #[b(7)]
    issuing_account: &'a str,
    #[b(8)]
    operations: Vec<&'a str>,
    #[b(9)]
    context_subset: Option<BTreeMap<&'a str, &'a str>>,
    #[b(10)]
    context_equals: Option<BTreeMap<&'a str, &'a str>>,
    #[b(11)]
    source_arn: Option<&'a str>,
    #[n(12)]
    created: u64,
}

#[derive(CborLen, Decode, Encode)]
struct GranteePayload<'a> {
    #[b(0)]
    name: &'a str,
    #[n(1)]
    is_service: bool,
}

impl<'a> GrantPayload<'a> {
    pub(in crate::record) fn new(grant: &'a Grant) -> Self {
        let constraints = &grant.constraints;
        let context = |context: &'a Option<EncryptionContext<'_>>| {
            context.as_ref().map(|context| context.iter().collect())
        };
        let operations = grant.operations.iter().map(|operation| operation.as_str());
        Self {
            account: *grant.account.as_bytes(),
            region: grant.region.as_str(),
            key: grant.key.to_bytes(),
            id: *grant.id.as_bytes(),
            name: grant.name.as_deref(),
            grantee: GranteePayload::new(&grant.grantee),
            retiring: grant.retiring.as_ref().map(GranteePayload::new),
            issuing_account: &grant.issuing_account,
            operations: operations.collect(),
            context_subset: context(&constraints.encryption_context_subset),
            context_equals: context(&constraints.encryption_context_equals),
            source_arn: constraints.source_arn.as_deref(),
            created: grant.created.as_millis(),
        }
    }

    pub(in crate::record) fn into_grant(self) -> Option<Grant> {
        let operations = self.operations.into_iter();
        let own = |pairs| EncryptionContext::from_iter(pairs).into_owned();
        Some(Grant {
            account: account(&self.account)?,
            region: self.region.parse().ok()?,
            key: KeyId::from_bytes(&self.key)?,
            id: GrantId::from_bytes(self.id),
            name: self.name.map(Into::into),
            grantee: self.grantee.into_grantee(),
            retiring: self.retiring.map(GranteePayload::into_grantee),
            issuing_account: self.issuing_account.into(),
            operations: operations
                .map(GrantOperation::from_name)
                .collect::<Option<_>>()?,
            constraints: GrantConstraints {
                encryption_context_subset: self.context_subset.map(own),
                encryption_context_equals: self.context_equals.map(own),
                source_arn: self.source_arn.map(Into::into),
            },
            created: Timestamp::from_millis(self.created),
        })
    }
}

impl<'a> GranteePayload<'a> {
    fn new(grantee: &'a Grantee) -> Self {
        match grantee {
            Grantee::Principal(name) => Self {
                name,
                is_service: false,
            },
            Grantee::Service(name) => Self {
                name,
                is_service: true,
            },
        }
    }

    fn into_grantee(self) -> Grantee {
        if self.is_service {
            Grantee::Service(self.name.into())
        } else {
            Grantee::Principal(self.name.into())
        }
    }
}
