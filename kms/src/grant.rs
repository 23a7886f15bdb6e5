//! Grants: permissions on one KMS key, given to one principal apart from all policies.
//!
//! A grant allows and never denies. What it allows may depend on the encryption context
//! ([`GrantConstraints`]). It takes effect at once; a grant token, which in AWS bridges the time
//! until a new grant is known everywhere, only names its grant here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use attestation::Timestamp;
use rand_core::CryptoRng;

use crate::name::{AccountId, KeyId, NameError, Region};
use crate::protocol::EncryptionContext;
use crate::protocol::spec::GrantOperation;

/// A grant on a KMS key.
#[derive(Clone)]
pub struct Grant {
    /// The account of the key.
    pub account: AccountId,
    /// The region of the key.
    pub region: Region,
    /// The key.
    pub key: KeyId,
    /// The grant's id, unique for the key.
    pub id: GrantId,
    /// A name, which makes creating the same grant again give the same grant.
    pub name: Option<Box<str>>,
    /// Who gets the permissions.
    pub grantee: Grantee,
    /// Who may retire the grant, beside the account and, if it is among the operations, the grantee.
    pub retiring: Option<Grantee>,
    /// The account it was issued under, as the ARN of its root user.
    pub issuing_account: Arc<str>,
    /// What it allows, each once.
    pub operations: Box<[GrantOperation]>,
    /// What it depends on.
    pub constraints: GrantConstraints,
    /// When it was made.
    pub created: Timestamp,
}

/// Whom a grant names.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Grantee {
    /// A principal, by its ARN.
    Principal(Arc<str>),
    /// An AWS service, by its name. No service calls this server, so such a grant allows nobody
    /// anything; it can be kept, listed and revoked.
    Service(Arc<str>),
}

/// What has to be true of a call for a grant to allow it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GrantConstraints {
    /// The encryption context has at least these pairs.
    pub encryption_context_subset: Option<EncryptionContext<'static>>,
    /// The encryption context has these pairs and no others.
    pub encryption_context_equals: Option<EncryptionContext<'static>>,
    /// The call is made for this resource, by a service.
    pub source_arn: Option<Box<str>>,
}

impl Grant {
    /// Whether it allows an operation on its key under an encryption context. Operations that take
    /// none ([`GrantOperation::takes_encryption_context`]) don't depend on it.
    pub fn allows(&self, operation: GrantOperation, context: &EncryptionContext<'_>) -> bool {
        self.operations.contains(&operation)
            && (!operation.takes_encryption_context() || self.constraints.hold(context))
    }

    /// Whether this grant allows all that another does, whatever is asked: whoever has it may pass
    /// the other on.
    pub fn covers(&self, other: &Self) -> bool {
        let operations = other.operations.iter();
        operations
            .into_iter()
            .all(|operation| self.operations.contains(operation))
            && self.constraints.cover(&other.constraints)
    }
}

impl GrantConstraints {
    /// Whether they are met. A source ARN never is: no service calls.
    fn hold(&self, context: &EncryptionContext<'_>) -> bool {
        let equals = self.encryption_context_equals.as_ref();
        let subset = self.encryption_context_subset.as_ref();
        self.source_arn.is_none()
            && equals.is_none_or(|equals| equals == context)
            && subset.is_none_or(|subset| includes(context, subset))
    }

    /// Whether whatever meets the others meets these.
    fn cover(&self, others: &Self) -> bool {
        let equals = match (
            &self.encryption_context_equals,
            &others.encryption_context_equals,
        ) {
            (None, _) => true,
            (Some(ours), Some(theirs)) => ours == theirs,
            (Some(_), None) => false,
        };
        let subset = match &self.encryption_context_subset {
            None => true,
            Some(ours) => [
                &others.encryption_context_equals,
                &others.encryption_context_subset,
            ]
            .into_iter()
            .flatten()
            .any(|theirs| includes(theirs, ours)),
        };
        let source = self.source_arn.is_none() || self.source_arn == others.source_arn;
        equals && subset && source
    }
}

/// Whether a context has all these pairs.
fn includes(context: &EncryptionContext<'_>, pairs: &EncryptionContext<'_>) -> bool {
    pairs
        .iter()
        .all(|(key, value)| context.get(key) == Some(value))
}

/// The id of a grant: 256 bits, 64 hexadecimal digits in text.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GrantId([u8; GrantId::LEN]);

impl GrantId {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The lowest id there is.
    pub(crate) const LOWEST: Self = Self([0; Self::LEN]);

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// A new random id.
    pub fn generate(random: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; Self::LEN];
        random.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl FromStr for GrantId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const ERROR: NameError = NameError { what: "a grant id" };
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ERROR);
        }
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ERROR)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(pairs: &[(&'static str, &'static str)]) -> EncryptionContext<'static> {
        pairs.iter().copied().collect()
    }

    fn grant(operations: &[GrantOperation], constraints: GrantConstraints) -> Grant {
        Grant {
            account: "111122223333".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            key: KeyId::new([1; 16], false),
            id: GrantId::from_bytes([2; 32]),
            name: None,
            grantee: Grantee::Principal("arn:aws:iam::111122223333:user/bob".into()),
            retiring: None,
            issuing_account: "arn:aws:iam::111122223333:root".into(),
            operations: operations.into(),
            constraints,
            created: Timestamp::default(),
        }
    }

    fn equals(pairs: &[(&'static str, &'static str)]) -> GrantConstraints {
        GrantConstraints {
            encryption_context_equals: Some(context(pairs)),
            ..GrantConstraints::default()
        }
    }

    fn subset(pairs: &[(&'static str, &'static str)]) -> GrantConstraints {
        GrantConstraints {
            encryption_context_subset: Some(context(pairs)),
            ..GrantConstraints::default()
        }
    }

    use GrantOperation::{CreateGrant, Decrypt, DescribeKey, Encrypt};

    #[test]
    fn constraints_look_at_the_encryption_context() {
        let a = context(&[("a", "1")]);
        let ab = context(&[("a", "1"), ("b", "2")]);
        let none = context(&[]);
        for (constraints, with_a, with_ab, with_none) in [
            (GrantConstraints::default(), true, true, true),
            (equals(&[("a", "1")]), true, false, false),
            (subset(&[("a", "1")]), true, true, false),
            (subset(&[("A", "1")]), false, false, false),
            (subset(&[("a", "2")]), false, false, false),
            (equals(&[]), false, false, true),
        ] {
            let grant = grant(&[Decrypt], constraints);
            assert_eq!(grant.allows(Decrypt, &a), with_a);
            assert_eq!(grant.allows(Decrypt, &ab), with_ab);
            assert_eq!(grant.allows(Decrypt, &none), with_none);
            assert!(!grant.allows(Encrypt, &a));
        }
    }

    #[test]
    fn operations_without_a_context_are_not_constrained() {
        let grant = grant(&[DescribeKey, CreateGrant], subset(&[("a", "1")]));
        for operation in [DescribeKey, CreateGrant] {
            assert!(grant.allows(operation, &EncryptionContext::default()));
        }
    }

    #[test]
    fn a_grant_for_a_service_resource_allows_nobody_anything() {
        let constraints = GrantConstraints {
            source_arn: Some("arn:aws:s3:::bucket".into()),
            ..GrantConstraints::default()
        };
        let grant = grant(&[Decrypt], constraints);
        assert!(!grant.allows(Decrypt, &EncryptionContext::default()));
    }

    #[test]
    fn what_is_passed_on_is_no_more_than_what_was_given() {
        let a = || subset(&[("a", "1")]);
        let ab = || subset(&[("a", "1"), ("b", "2")]);
        let parent = grant(&[Decrypt, CreateGrant], a());
        for (operations, constraints, covered) in [
            (&[Decrypt][..], a(), true),
            (&[Decrypt, CreateGrant], ab(), true),
            (&[Decrypt], equals(&[("a", "1"), ("c", "3")]), true),
            (&[Decrypt], equals(&[("c", "3")]), false),
            (&[Decrypt], GrantConstraints::default(), false),
            (&[Decrypt], subset(&[("b", "2")]), false),
            (&[Encrypt], a(), false),
        ] {
            let child = grant(operations, constraints);
            assert_eq!(parent.covers(&child), covered, "{:?}", child.constraints);
        }
        let strict = grant(&[Decrypt], equals(&[("a", "1")]));
        assert!(strict.covers(&grant(&[Decrypt], equals(&[("a", "1")]))));
        assert!(!strict.covers(&grant(&[Decrypt], subset(&[("a", "1")]))));
        assert!(grant(&[Decrypt], GrantConstraints::default()).covers(&strict));
    }

    #[test]
    fn ids_are_64_lower_case_digits() {
        let id = GrantId::from_bytes([0xab; 32]);
        assert_eq!(id.to_string(), "ab".repeat(32));
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "ab",
            &"AB".repeat(32),
            &"zz".repeat(32),
            &"ab".repeat(33),
        ] {
            assert!(text.parse::<GrantId>().is_err(), "{text}");
        }
    }
}
