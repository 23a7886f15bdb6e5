//! The requests about grants.

use std::borrow::Cow;

use crate::error::KmsError;
use crate::protocol::EncryptionContext;
use crate::protocol::members::Members;
use crate::protocol::spec::GrantOperation;

use super::shape;

/// CreateGrant.
pub struct CreateGrant<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// Who gets the permissions, by ARN.
    pub grantee_principal: Option<Cow<'a, str>>,
    /// Who may retire the grant, by ARN.
    pub retiring_principal: Option<Cow<'a, str>>,
    /// What the grant allows.
    pub operations: Vec<GrantOperation>,
    /// What it depends on.
    pub constraints: Option<GrantConstraints<'a>>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// A name that makes creating the same grant again give the same grant.
    pub name: Option<Cow<'a, str>>,
    /// Whether to check only.
    pub dry_run: bool,
    /// The service that gets the permissions.
    pub grantee_service_principal: Option<Cow<'a, str>>,
    /// The service that may retire the grant.
    pub retiring_service_principal: Option<Cow<'a, str>>,
}

impl<'a> CreateGrant<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            grantee_principal: members.text("GranteePrincipal", &shape::PRINCIPAL_ID)?,
            retiring_principal: members.text("RetiringPrincipal", &shape::PRINCIPAL_ID)?,
            operations: members.required_choices("Operations", shape::SOME)?,
            constraints: members.structure("Constraints", GrantConstraints::read)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            name: members.text("Name", &shape::GRANT_NAME)?,
            dry_run: members.flag("DryRun")?,
            grantee_service_principal: members
                .text("GranteeServicePrincipal", &shape::SERVICE_PRINCIPAL)?,
            retiring_service_principal: members
                .text("RetiringServicePrincipal", &shape::SERVICE_PRINCIPAL)?,
        })
    }
}

/// What a grant is to depend on.
pub struct GrantConstraints<'a> {
    /// Pairs that the encryption context must have.
    pub encryption_context_subset: Option<EncryptionContext<'a>>,
    /// The pairs that the encryption context must consist of.
    pub encryption_context_equals: Option<EncryptionContext<'a>>,
    /// The resource that a service must call for.
    pub source_arn: Option<Cow<'a, str>>,
}

impl<'a> GrantConstraints<'a> {
    fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            encryption_context_subset: members.optional_context("EncryptionContextSubset")?,
            encryption_context_equals: members.optional_context("EncryptionContextEquals")?,
            source_arn: members.text("SourceArn", &shape::SOURCE_ARN)?,
        })
    }
}

/// ListGrants.
pub struct ListGrants<'a> {
    /// How many at most.
    pub limit: Option<u16>,
    /// Where the previous page ended.
    pub marker: Option<Cow<'a, str>>,
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// Only the grant with this id.
    pub grant_id: Option<Cow<'a, str>>,
    /// Only the grants for this principal.
    pub grantee_principal: Option<Cow<'a, str>>,
    /// Only the grants for this service.
    pub grantee_service_principal: Option<Cow<'a, str>>,
}

impl<'a> ListGrants<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            limit: members.integer("Limit", shape::LIMIT)?,
            marker: members.text("Marker", &shape::MARKER)?,
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            grant_id: members.text("GrantId", &shape::GRANT_ID)?,
            grantee_principal: members.text("GranteePrincipal", &shape::PRINCIPAL_ID)?,
            grantee_service_principal: members
                .text("GranteeServicePrincipal", &shape::SERVICE_PRINCIPAL)?,
        })
    }
}

/// ListRetirableGrants.
pub struct ListRetirableGrants<'a> {
    /// How many at most.
    pub limit: Option<u16>,
    /// Where the previous page ended.
    pub marker: Option<Cow<'a, str>>,
    /// Whose grants to retire, by ARN.
    pub retiring_principal: Option<Cow<'a, str>>,
    /// The service whose grants to retire.
    pub retiring_service_principal: Option<Cow<'a, str>>,
}

impl<'a> ListRetirableGrants<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            limit: members.integer("Limit", shape::LIMIT)?,
            marker: members.text("Marker", &shape::MARKER)?,
            retiring_principal: members.text("RetiringPrincipal", &shape::PRINCIPAL_ID)?,
            retiring_service_principal: members
                .text("RetiringServicePrincipal", &shape::SERVICE_PRINCIPAL)?,
        })
    }
}

/// RetireGrant.
pub struct RetireGrant<'a> {
    /// A token of the grant; or else its key and id.
    pub grant_token: Option<Cow<'a, str>>,
    /// The grant's key, by ARN.
    pub key_id: Option<Cow<'a, str>>,
    /// The grant's id.
    pub grant_id: Option<Cow<'a, str>>,
    /// Whether to check only.
    pub dry_run: bool,
}

impl<'a> RetireGrant<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            grant_token: members.text("GrantToken", &shape::GRANT_TOKEN)?,
            key_id: members.text("KeyId", &shape::KEY_ID)?,
            grant_id: members.text("GrantId", &shape::GRANT_ID)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// RevokeGrant.
pub struct RevokeGrant<'a> {
    /// The grant's key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The grant's id.
    pub grant_id: Cow<'a, str>,
    /// Whether to check only.
    pub dry_run: bool,
}

impl<'a> RevokeGrant<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            grant_id: members.required_text("GrantId", &shape::GRANT_ID)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}
