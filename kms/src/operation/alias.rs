//! Aliases: CreateAlias, UpdateAlias, DeleteAlias, ListAliases.
//!
//! Each needs a permit for the alias and one for every key that the alias names before or after.

use std::sync::Arc;

use crate::audit;
use crate::error::KmsError;
use crate::key::{Alias, Key};
use crate::name::{self, AliasName, KeyRef};
use crate::permit::{AccountResource, Action, AliasResource, Conditions, action};
use crate::protocol::response::{self, AliasListEntry};
use crate::protocol::spec::KeySpec;
use crate::protocol::{OperationName, request};
use crate::state::Change;

use super::key_state::{self, Row};
use super::marker::{Listing, page_length};
use super::{Context, Found, Names, Outcome};

/// How many aliases a page has unless the request says, and the most it may say. The service model
/// would allow 1000.
const DEFAULT_PAGE: u16 = 50;
const MAX_PAGE: u16 = 100;

/// CreateAlias.
pub(super) fn create_alias(
    context: &mut Context<'_>,
    request: &request::CreateAlias<'_>,
) -> Result<Outcome, KmsError> {
    let name = AliasName::parse(&request.alias_name)?;
    refuse_alias(&request.target_key_id)?;
    let conditions = Conditions::default();
    let target = context.permit(
        action::CreateAlias,
        &request.target_key_id,
        Names::IdOrArn,
        &conditions,
    )?;
    context.permit_alias(action::CreateAlias, &name)?;
    key_state::require(Row::NameByAlias, target.key())?;
    if context.alias(&name).is_some() {
        return Err(KmsError::alias_exists(&context.alias_arn(&name)));
    }
    require_room(context, target.key())?;

    context.event.changed(audit::key_id(target.key().arn()));
    Ok(Outcome::void(vec![Change::PutAlias(Alias {
        account: context.account(),
        region: context.caller.region.clone(),
        name,
        target: target.key().id(),
        created: context.now,
        updated: context.now,
    })]))
}

/// UpdateAlias.
pub(super) fn update_alias(
    context: &mut Context<'_>,
    request: &request::UpdateAlias<'_>,
) -> Result<Outcome, KmsError> {
    let name = AliasName::parse(&request.alias_name)?;
    refuse_alias(&request.target_key_id)?;
    let alias = context.existing_alias(&name)?;
    context.permit_alias(action::UpdateAlias, &name)?;
    context.permit_named_key(action::UpdateAlias, &alias)?;
    let conditions = Conditions::default();
    let target = context.permit(
        action::UpdateAlias,
        &request.target_key_id,
        Names::IdOrArn,
        &conditions,
    )?;
    key_state::require(Row::NameByAlias, target.key())?;
    if target.key().id() != alias.target {
        require_like(context, &alias, target.key())?;
        require_room(context, target.key())?;
    }

    context.event.changed(audit::key_id(target.key().arn()));
    Ok(Outcome::void(vec![Change::PutAlias(Alias {
        target: target.key().id(),
        updated: context.now,
        ..alias
    })]))
}

/// Lets a key pass that can take the place of an alias's key, so that what is done by the alias goes
/// on: both symmetric, both for MACs or both with a public half, and for the same use.
fn require_like(context: &Context<'_>, alias: &Alias, key: &Key) -> Result<(), KmsError> {
    let old = context
        .state
        .key(alias.account, &alias.region, alias.target)?;
    let is_like = |old: &Key| {
        let symmetric = |key: &Key| key.spec == KeySpec::SymmetricDefault;
        old.usage == key.usage && symmetric(old) == symmetric(key)
    };
    if old.is_none_or(|old| is_like(old)) {
        return Ok(());
    }
    Err(KmsError::validation(
        "The current and the new key of an alias must be of the same type and have the same key usage.",
    ))
}

/// DeleteAlias.
pub(super) fn delete_alias(
    context: &mut Context<'_>,
    request: &request::DeleteAlias<'_>,
) -> Result<Outcome, KmsError> {
    let name = AliasName::parse(&request.alias_name)?;
    let alias = context.existing_alias(&name)?;
    context.permit_alias(action::DeleteAlias, &name)?;
    context.permit_named_key(action::DeleteAlias, &alias)?;

    let arn = name::key_arn(&alias.region, alias.account, alias.target);
    context.event.changed(audit::key_id(&arn));
    Ok(Outcome::void(vec![Change::DeleteAlias {
        account: alias.account,
        region: alias.region,
        name,
    }]))
}

/// ListAliases.
pub(super) fn list_aliases(
    context: &mut Context<'_>,
    request: &request::ListAliases<'_>,
) -> Result<Outcome, KmsError> {
    let limit = page_length(request.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let filter = request.key_id.as_deref();
    let filter = filter
        .map(|key| context.find_own::<action::ListAliases>(key))
        .transpose()?;
    let account = context.account();
    let _permit = context.permit_resource(
        action::ListAliases,
        AccountResource(account),
        &Conditions::default(),
    )?;
    let region = &context.caller.region;
    let filter = filter.map(|Found { key, .. }| key.id());
    let listing = Listing {
        operation: OperationName::ListAliases,
        account,
        region,
        key: filter,
    };
    let after = listing.start::<AliasName>(request.marker.as_deref())?;
    let name = |alias: &&Arc<Alias>| alias.name.clone();
    let (aliases, next_marker) = match filter {
        None => {
            let aliases = context.state.aliases_after(account, region, after.as_ref());
            listing.page(aliases, limit, name)
        }
        Some(key) => {
            let aliases = context.state.aliases_of(account, region, key);
            let rest =
                aliases.filter(|alias| after.as_ref().is_none_or(|after| alias.name > *after));
            listing.page(rest, limit, name)
        }
    };
    Ok(Outcome::read(&response::ListAliases {
        aliases: aliases.into_iter().map(|alias| list_entry(alias)).collect(),
        next_marker,
    }))
}

fn list_entry(alias: &Alias) -> AliasListEntry<'_> {
    AliasListEntry {
        alias_name: alias.name.as_str(),
        alias_arn: name::alias_arn(&alias.region, alias.account, &alias.name),
        target_key_id: Some(alias.target),
        creation_date: Some(alias.created),
        last_updated_date: Some(alias.updated),
    }
}

impl Context<'_> {
    /// The caller's alias of this name, in the region called.
    fn alias(&self, name: &AliasName) -> Option<&Arc<Alias>> {
        self.state.alias(self.account(), &self.caller.region, name)
    }

    /// The same, which must exist.
    fn existing_alias(&self, name: &AliasName) -> Result<Alias, KmsError> {
        let alias = self.alias(name).map(|alias| Alias::clone(alias));
        alias.ok_or_else(|| KmsError::alias_not_found(&self.alias_arn(name)))
    }

    fn alias_arn(&self, name: &AliasName) -> String {
        name::alias_arn(&self.caller.region, self.account(), name)
    }

    /// Decides whether the caller may do this to an alias of this name.
    fn permit_alias<A: Action>(&mut self, action: A, name: &AliasName) -> Result<(), KmsError> {
        let arn = self.alias_arn(name);
        self.event.alias(self.account(), &arn);
        let resource = AliasResource {
            account: self.account(),
            arn: &arn,
        };
        self.permit_resource(action, resource, &Conditions::default())
            .map(drop)
    }

    /// Decides whether the caller may do this to the key that an alias names.
    fn permit_named_key<A: Action>(&mut self, action: A, alias: &Alias) -> Result<(), KmsError> {
        let key = self.state.key(alias.account, &alias.region, alias.target)?;
        let Some(key) = key else {
            return Ok(());
        };
        let found = Found::new(key, None);
        self.permit_found(action, found, &Conditions::default())
            .map(drop)
    }
}

/// Lets a target pass that is not itself named by an alias.
fn refuse_alias(target: &str) -> Result<(), KmsError> {
    match KeyRef::parse(target)? {
        KeyRef::Alias(_) | KeyRef::AliasArn { .. } => Err(KmsError::validation(
            "Aliases must refer to keys. Not aliases",
        )),
        KeyRef::Id(_) | KeyRef::Arn { .. } => Ok(()),
    }
}

/// Lets a key pass that can have one more alias.
fn require_room(context: &Context<'_>, key: &Key) -> Result<(), KmsError> {
    let most = context.config.max_aliases_per_key;
    let usage = context
        .state
        .aliases_of(key.account(), key.region(), key.id())
        .count();
    if usage < most {
        return Ok(());
    }
    Err(KmsError::LimitExceeded(
        format!(
            "Aliases per key quota for this account in this region is {most}, current usage is {usage}."
        )
        .into(),
    ))
}
