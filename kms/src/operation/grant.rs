//! Grants: CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::audit;
use crate::crypto::Fields;
use crate::error::KmsError;
use crate::grant::{Grant, GrantConstraints, GrantId, Grantee};
use crate::key::Key;
use crate::name::{self, KeyId, NameError};
use crate::permit::{AccountResource, Conditions, action};
use crate::policy::is_host_name;
use crate::protocol::response::{self, GrantListEntry};
use crate::protocol::spec::GrantOperation;
use crate::protocol::{EncryptionContext, OperationName, Response as _, request};
use crate::state::Change;

use super::grant_token::{self, GrantName};
use super::key_state::{self, Row};
use super::marker::{Listing, page_length};
use super::{Context, Names, Outcome, stop_if_dry_run, usage};

/// How many grants a page has unless the request says, and the most it may say. The service model
/// would allow 1000.
const DEFAULT_PAGE: u16 = 50;
const MAX_PAGE: u16 = 100;

/// AWS's quota of grants on one key.
const MAX_GRANTS: usize = 50_000;

/// How many pairs a constraint has at most, and how many characters a value of them.
const MAX_PAIRS: usize = 8;
const MAX_VALUE: usize = 384;

/// CreateGrant.
pub(super) fn create_grant(
    context: &mut Context<'_>,
    request: &request::CreateGrant<'_>,
) -> Result<Outcome, KmsError> {
    let grantee = required_grantee(
        request.grantee_principal.as_deref(),
        request.grantee_service_principal.as_deref(),
    )?;
    let retiring = grantee_of(
        "RetiringPrincipal",
        request.retiring_principal.as_deref(),
        request.retiring_service_principal.as_deref(),
    )?;
    let constraints = constraints(request.constraints.as_ref())?;
    require_service_constraints(&grantee, retiring.as_ref(), &constraints)?;

    let found = context.find::<action::CreateGrant>(&request.key_id, Names::IdOrArn)?;
    let grant = Grant {
        account: found.key.account(),
        region: found.key.region().clone(),
        key: found.key.id(),
        id: GrantId::LOWEST,
        name: request.name.as_deref().map(Into::into),
        grantee,
        retiring,
        issuing_account: name::root_arn(context.account()).into(),
        operations: request
            .operations
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        constraints,
        created: context.now,
    };
    let conditions = Conditions {
        grant: Some(&grant),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit_found(action::CreateGrant, found, &conditions)?;
    // Not earlier: who may not make grants must not learn which users and roles there are.
    for named in std::iter::once(&grant.grantee).chain(&grant.retiring) {
        require_principal(context, named)?;
    }
    key_state::require(Row::CreateGrant, permit.key())?;
    require_fit(&grant, permit.key())?;
    stop_if_dry_run(request.dry_run)?;

    let id = match grant.name {
        Some(_) => context.state.named_grant_id(&content(&grant)),
        None => GrantId::generate(context.random),
    };
    let grant = Grant { id, ..grant };
    let present = context
        .state
        .grant(grant.account, &grant.region, grant.key, id)
        .is_some();
    if !present {
        require_room(context, permit.key())?;
    }
    let token = grant_token::make(context.state, &grant, context.random);
    let key_arn = permit.key().arn();
    context.event.changed(audit::created_grant(key_arn, id));
    let answer = response::CreateGrant {
        grant_token: &token,
        grant_id: id,
    };
    let changes = if present {
        Vec::new()
    } else {
        vec![Change::PutGrant(grant)]
    };
    Ok(Outcome::changes(answer.body(), changes))
}

/// ListGrants.
pub(super) fn list_grants(
    context: &mut Context<'_>,
    request: &request::ListGrants<'_>,
) -> Result<Outcome, KmsError> {
    let limit = page_length(request.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let only = request.grant_id.as_deref().map(grant_id).transpose()?;
    let grantee = grantee_of(
        "GranteePrincipal",
        request.grantee_principal.as_deref(),
        request.grantee_service_principal.as_deref(),
    )?;
    let permit = context.permit(
        action::ListGrants,
        &request.key_id,
        Names::IdOrArn,
        &Conditions::default(),
    )?;
    let key = permit.key();
    let listing = Listing {
        operation: OperationName::ListGrants,
        account: key.account(),
        region: key.region(),
        key: Some(key.id()),
    };
    let after = listing.start::<GrantId>(request.marker.as_deref())?;
    let grants = context
        .state
        .grants_on(key.account(), key.region(), key.id(), after)
        .filter(|grant| only.is_none_or(|only| grant.id == only))
        .filter(|grant| grantee.as_ref().is_none_or(|to| grant.grantee == *to));
    let (grants, next_marker) = listing.page(grants, limit, |grant| grant.id);
    Ok(Outcome::read(&response::ListGrants {
        grants: grants.into_iter().map(|grant| list_entry(grant)).collect(),
        next_marker,
    }))
}

/// ListRetirableGrants.
pub(super) fn list_retirable_grants(
    context: &mut Context<'_>,
    request: &request::ListRetirableGrants<'_>,
) -> Result<Outcome, KmsError> {
    let limit = page_length(request.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let retiring = grantee_of(
        "RetiringPrincipal",
        request.retiring_principal.as_deref(),
        request.retiring_service_principal.as_deref(),
    )?
    .ok_or_else(|| super::missing("retiringPrincipal"))?;
    let account = context.account();
    let _permit = context.permit_resource(
        action::ListRetirableGrants,
        AccountResource(account),
        &Conditions::default(),
    )?;
    let region = &context.caller.region;
    let listing = Listing {
        operation: OperationName::ListRetirableGrants,
        account,
        region,
        key: None,
    };
    let after = listing.start::<Place>(request.marker.as_deref())?;
    let after = after.map(|Place(key, id)| (key, id));
    let grants = context.state.retirable_by(account, region, retiring, after);
    let (grants, next_marker) = listing.page(grants, limit, |grant| Place(grant.key, grant.id));
    Ok(Outcome::read(&response::ListGrants {
        grants: grants.into_iter().map(|grant| list_entry(grant)).collect(),
        next_marker,
    }))
}

/// RetireGrant: by those whom the grant names, or who may do it by policy.
pub(super) fn retire_grant(
    context: &mut Context<'_>,
    request: &request::RetireGrant<'_>,
) -> Result<Outcome, KmsError> {
    let (key, id, has_token) = match (&request.grant_token, &request.key_id, &request.grant_id) {
        (Some(token), None, None) => {
            let GrantName { key, id } = grant_token::read(context.state, token)
                .ok_or_else(|| KmsError::InvalidGrantToken("Invalid grant token".into()))?;
            (key, id, true)
        }
        (None, Some(key), Some(id)) => (key.to_string(), grant_id(id)?, false),
        _ => {
            return Err(KmsError::validation(
                "Grant token OR (grant ID, key ID) must be specified",
            ));
        }
    };
    let found = context.find::<action::RetireGrant>(&key, Names::IdOrArn)?;
    let grant = existing_grant(context, &found.key, id);
    // Who has no right on the key learns of no grant, but whoever has its token knows of it.
    if has_token && let Err(gone) = grant {
        return Err(gone);
    }
    let conditions = Conditions {
        grant: grant.as_deref().ok(),
        ..Conditions::default()
    };
    let permit = context.permit_found(action::RetireGrant, found, &conditions)?;
    let grant = grant?;
    stop_if_dry_run(request.dry_run)?;
    context.event.changed(audit::key_id(permit.key().arn()));
    context.event.retired_grant(id);
    Ok(Outcome::void(vec![deletion(&grant)]))
}

/// RevokeGrant: by those who manage the key.
pub(super) fn revoke_grant(
    context: &mut Context<'_>,
    request: &request::RevokeGrant<'_>,
) -> Result<Outcome, KmsError> {
    let id = grant_id(&request.grant_id)?;
    let found = context.find::<action::RevokeGrant>(&request.key_id, Names::IdOrArn)?;
    let grant = existing_grant(context, &found.key, id);
    let conditions = Conditions {
        grant: grant.as_deref().ok(),
        ..Conditions::default()
    };
    let permit = context.permit_found(action::RevokeGrant, found, &conditions)?;
    let grant = grant?;
    stop_if_dry_run(request.dry_run)?;
    context.event.changed(audit::key_id(permit.key().arn()));
    Ok(Outcome::void(vec![deletion(&grant)]))
}

fn deletion(grant: &Grant) -> Change {
    Change::DeleteGrant {
        account: grant.account,
        region: grant.region.clone(),
        key: grant.key,
        id: grant.id,
    }
}

fn existing_grant(context: &Context<'_>, key: &Key, id: GrantId) -> Result<Arc<Grant>, KmsError> {
    context
        .state
        .grant(key.account(), key.region(), key.id(), id)
        .cloned()
        .ok_or_else(|| KmsError::NotFound(format!("Grant ID {id} not found").into()))
}

fn list_entry(grant: &Grant) -> GrantListEntry<'_> {
    GrantListEntry {
        key_id: name::key_arn(&grant.region, grant.account, grant.key),
        grant_id: grant.id,
        name: grant.name.as_deref(),
        creation_date: grant.created,
        grantee: &grant.grantee,
        retiring: grant.retiring.as_ref(),
        issuing_account: &grant.issuing_account,
        operations: &grant.operations,
        constraints: &grant.constraints,
    }
}

fn grant_id(text: &str) -> Result<GrantId, KmsError> {
    text.parse()
        .map_err(|_| KmsError::InvalidGrantId("Invalid grant ID".into()))
}

/// What two members that exclude each other say of a grantee or retiring principal.
fn grantee_of(
    member: &str,
    principal: Option<&str>,
    service: Option<&str>,
) -> Result<Option<Grantee>, KmsError> {
    match (principal, service) {
        (None, None) => Ok(None),
        (Some(arn), None) => Ok(Some(Grantee::Principal(arn.into()))),
        (None, Some(name)) => Ok(Some(Grantee::Service(name.into()))),
        (Some(_), Some(_)) => {
            let service = member.replace("Principal", "ServicePrincipal");
            Err(KmsError::validation(format!(
                "You cannot specify both {member} and {service}."
            )))
        }
    }
}

fn required_grantee(principal: Option<&str>, service: Option<&str>) -> Result<Grantee, KmsError> {
    grantee_of("GranteePrincipal", principal, service)?
        .ok_or_else(|| super::missing("granteePrincipal"))
}

/// Lets a grantee pass that exists, as far as this server can know. AWS takes services in place of
/// principals.
fn require_principal(context: &Context<'_>, grantee: &Grantee) -> Result<(), KmsError> {
    let Grantee::Principal(arn) = grantee else {
        return Ok(());
    };
    let is_service = arn.ends_with(".amazonaws.com") && is_host_name(arn);
    if is_service || context.state.is_principal(arn) {
        return Ok(());
    }
    Err(KmsError::InvalidArn(
        format!("ARN does not refer to a valid principal: {arn}").into(),
    ))
}

fn constraints(
    request: Option<&request::GrantConstraints<'_>>,
) -> Result<GrantConstraints, KmsError> {
    let Some(request) = request else {
        return Ok(GrantConstraints::default());
    };
    let contexts = [
        &request.encryption_context_subset,
        &request.encryption_context_equals,
    ];
    if contexts.iter().all(|pairs| pairs.is_some()) {
        return Err(KmsError::validation("More than one constraint supplied"));
    }
    for pairs in contexts.into_iter().flatten() {
        require_small(pairs)?;
    }
    let own = |pairs: &Option<EncryptionContext<'_>>| {
        let pairs = pairs.clone();
        pairs.map(EncryptionContext::into_owned)
    };
    Ok(GrantConstraints {
        encryption_context_subset: own(&request.encryption_context_subset),
        encryption_context_equals: own(&request.encryption_context_equals),
        source_arn: request.source_arn.as_deref().map(Into::into),
    })
}

fn require_small(pairs: &EncryptionContext<'_>) -> Result<(), KmsError> {
    if pairs.len() > MAX_PAIRS {
        return Err(KmsError::validation(format!(
            "An encryption context grant constraint can include up to {MAX_PAIRS} encryption context pairs."
        )));
    }
    if pairs
        .iter()
        .any(|(_, value)| value.chars().count() > MAX_VALUE)
    {
        return Err(KmsError::validation(format!(
            "The encryption context value in a grant constraint cannot exceed {MAX_VALUE} characters."
        )));
    }
    Ok(())
}

/// A grant for a service needs the resource it is for and somebody who can retire it.
fn require_service_constraints(
    grantee: &Grantee,
    retiring: Option<&Grantee>,
    constraints: &GrantConstraints,
) -> Result<(), KmsError> {
    let is_service = matches!(grantee, Grantee::Service(_));
    if is_service && (constraints.source_arn.is_none() || retiring.is_none()) {
        return Err(KmsError::validation(
            "A grant for a GranteeServicePrincipal must have a SourceArn constraint and a retiring principal.",
        ));
    }
    if !is_service && constraints.source_arn.is_some() {
        return Err(KmsError::validation(
            "A SourceArn constraint is valid only with a GranteeServicePrincipal.",
        ));
    }
    Ok(())
}

/// Lets a grant pass whose operations and constraints its key can have.
fn require_fit(grant: &Grant, key: &Key) -> Result<(), KmsError> {
    if *grant.operations == [GrantOperation::CreateGrant] {
        return Err(KmsError::validation(
            "Grants must not contain only the CreateGrant operation.",
        ));
    }
    let possible = usage::grant_operations(key.spec, key.usage);
    if let Some(other) = grant.operations.iter().find(|op| !possible.contains(op)) {
        return Err(KmsError::validation(format!(
            "Operation {other} is not valid in a grant on a KMS key with KeySpec {} and KeyUsage {}.",
            key.spec, key.usage
        )));
    }
    let GrantConstraints {
        encryption_context_subset: subset,
        encryption_context_equals: equals,
        ..
    } = &grant.constraints;
    if (subset.is_some() || equals.is_some()) && !usage::takes_encryption_context(key.spec) {
        return Err(KmsError::validation(
            "Encryption context grant constraints are valid only for symmetric encryption KMS keys.",
        ));
    }
    Ok(())
}

fn require_room(context: &Context<'_>, key: &Key) -> Result<(), KmsError> {
    let grants = context
        .state
        .grants_on(key.account(), key.region(), key.id(), None);
    if grants.take(MAX_GRANTS).count() < MAX_GRANTS {
        return Ok(());
    }
    Err(KmsError::LimitExceeded(
        format!("Grants per key quota is {MAX_GRANTS}, current usage is {MAX_GRANTS}.").into(),
    ))
}

/// All that makes a grant what it is, but for its id and time.
fn content(grant: &Grant) -> Fields {
    let grantee = |fields: Fields, grantee: Option<&Grantee>| match grantee {
        None => fields.number(0),
        Some(Grantee::Principal(arn)) => fields.number(1).text(arn),
        Some(Grantee::Service(name)) => fields.number(2).text(name),
    };
    let context = |fields: Fields, context: &Option<EncryptionContext<'_>>| match context {
        None => fields.number(0),
        Some(context) => context.iter().fold(
            fields.number(1 + context.len() as u64),
            |fields, (key, value)| fields.text(key).text(value),
        ),
    };
    let fields = Fields::default()
        .bytes(grant.account.as_bytes())
        .text(grant.region.as_str())
        .bytes(&grant.key.to_bytes())
        .text(grant.name.as_deref().unwrap_or_default())
        .text(&grant.issuing_account);
    let fields = grantee(fields, Some(&grant.grantee));
    let fields = grantee(fields, grant.retiring.as_ref());
    let operations = grant.operations.iter();
    let fields = operations.fold(
        fields.number(grant.operations.len() as u64),
        |fields, operation| fields.text(operation.as_str()),
    );
    let fields = context(fields, &grant.constraints.encryption_context_subset);
    let fields = context(fields, &grant.constraints.encryption_context_equals);
    fields.text(grant.constraints.source_arn.as_deref().unwrap_or_default())
}

/// The place of a grant in a listing over all keys.
struct Place(KeyId, GrantId);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl FromStr for Place {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (key, id) = text.split_once('/').ok_or(NameError {
            what: "the place of a grant",
        })?;
        Ok(Self(key.parse()?, id.parse()?))
    }
}
