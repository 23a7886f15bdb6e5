//! Making and looking at KMS keys: CreateKey, DescribeKey, ListKeys.

use crate::audit;
use crate::error::KmsError;
use crate::key::{BackingKey, Key};
use crate::key_pair::{self, PreparedKeyPair};
use crate::material::{self, Material};
use crate::name::{self, KeyId};
use crate::permit::{AccountResource, Conditions, action};
use crate::protocol::response::{self, KeyListEntry};
use crate::protocol::spec::{KeyPairSpec, KeySpec, KeyState, KeyUsage, Origin, ResourceOwner};
use crate::protocol::{OperationName, Response as _, request};
use crate::state::Change;

use super::marker::Listing;
use super::{
    Context, Names, Outcome, Unfinished, custom_key_store, key_policy, metadata, tag, usage,
};

/// How many keys a page has unless the request says.
const DEFAULT_PAGE: usize = 100;

/// CreateKey.
pub(super) fn create_key(
    context: &mut Context<'_>,
    request: &request::CreateKey<'_>,
) -> Result<Outcome, KmsError> {
    let spec = spec(request)?;
    let usage = usage(request, spec)?;
    let origin = request.origin.unwrap_or(Origin::AwsKms);
    if request.xks_key_id.is_some() && origin != Origin::ExternalKeyStore {
        return Err(KmsError::validation(
            "XksKeyId is valid only with the Origin EXTERNAL_KEY_STORE.",
        ));
    }
    let tags = tag::new_tags(&request.tags)?;
    let conditions = Conditions {
        bypass_policy_lockout_safety_check: Some(request.bypass_policy_lockout_safety_check),
        key_spec: Some(spec),
        key_usage: Some(usage),
        key_origin: Some(origin),
        multi_region: Some(request.multi_region),
        request_tags: Some(&tags),
        ..Conditions::default()
    };
    let account = AccountResource(context.account());
    let _permit = context.permit_resource(action::CreateKey, account, &conditions)?;
    if !tags.is_empty() {
        let account = AccountResource(context.account());
        let _permit = context.permit_resource(action::TagResource, account, &conditions)?;
    }
    if let Some(id) = &request.custom_key_store_id {
        return Err(custom_key_store::not_found(id));
    }
    require_supported(spec, origin)?;
    let id = KeyId::generate(request.multi_region, context.random);
    let arn = name::key_arn(&context.caller.region, context.account(), id);
    let policy = request.policy.as_deref();
    let policy = policy
        .map(|policy| key_policy::read(context, policy, &arn, &conditions))
        .transpose()?;
    let material = match (origin, slow_key_pair(spec)) {
        (Origin::External, _) => None,
        (_, None) => Some(Material::generate(
            spec,
            usage,
            context.key_pairs,
            context.random,
        )?),
        (_, Some(pair_spec)) => match context.prepared.take() {
            None => {
                return Ok(Outcome::unfinished(match context.key_pair(pair_spec)? {
                    Some(pair) => Unfinished::Prepared(PreparedKeyPair::new(pair_spec, pair)),
                    None => Unfinished::Slow,
                }));
            }
            Some(prepared) => Some(Material::of_pair(spec, usage, prepared.of(pair_spec)?)?),
        },
    };
    let mut key = Key::new(
        context.account(),
        context.caller.region.clone(),
        id,
        context.now,
        material
            .map(|material| BackingKey::new(id, material, context.now))
            .into_iter()
            .collect(),
    );
    key.spec = spec;
    key.usage = usage;
    key.origin = origin;
    if origin == Origin::External {
        key.state = KeyState::PendingImport;
    }
    key.description = request.description.as_deref().unwrap_or_default().into();
    key.policy = policy;
    key.tags = tags;
    context.event.key(&key);
    let answer = response::CreateKey {
        key_metadata: metadata::of(&key),
    };
    context
        .event
        .changed(audit::created_key(&answer.key_metadata));
    Ok(Outcome::change(answer.body(), Change::PutKey(key)))
}

/// DescribeKey.
pub(super) fn describe_key(
    context: &mut Context<'_>,
    request: &request::DescribeKey<'_>,
) -> Result<Outcome, KmsError> {
    let conditions = Conditions {
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(
        action::DescribeKey,
        &request.key_id,
        Names::All,
        &conditions,
    )?;
    Ok(Outcome::read(&response::DescribeKey {
        key_metadata: metadata::of(permit.key()),
    }))
}

/// ListKeys.
pub(super) fn list_keys(
    context: &mut Context<'_>,
    request: &request::ListKeys<'_>,
) -> Result<Outcome, KmsError> {
    let account = context.account();
    let _permit = context.permit_resource(
        action::ListKeys,
        AccountResource(account),
        &Conditions::default(),
    )?;
    let region = &context.caller.region;
    let listing = Listing {
        operation: OperationName::ListKeys,
        account,
        region,
        key: None,
    };
    let after = listing.start::<KeyId>(request.marker.as_deref())?;
    // Keys that other accounts share through AWS RAM: there are none.
    let own = request.resource_owners.is_empty()
        || request.resource_owners.contains(&ResourceOwner::Caller);
    let keys = context
        .state
        .keys_after(account, region, after)?
        .filter(|_| own);
    let limit = request.limit.map_or(DEFAULT_PAGE, usize::from);
    let (keys, next_marker) = listing.page(keys, limit, |key| key.id());
    Ok(Outcome::read(&response::ListKeys {
        keys: keys
            .into_iter()
            .map(|key| KeyListEntry {
                key_id: key.id(),
                key_arn: key.arn(),
            })
            .collect(),
        next_marker,
    }))
}

/// The spec of the key to make, under its new or its deprecated name.
fn spec(request: &request::CreateKey<'_>) -> Result<KeySpec, KmsError> {
    match (request.key_spec, request.customer_master_key_spec) {
        (Some(_), Some(_)) => Err(KmsError::validation(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
        )),
        (Some(spec), None) | (None, Some(spec)) => Ok(spec),
        (None, None) => Ok(KeySpec::SymmetricDefault),
    }
}

/// The usage of the key to make: only symmetric encryption keys have a default.
fn usage(request: &request::CreateKey<'_>, spec: KeySpec) -> Result<KeyUsage, KmsError> {
    match request.key_usage {
        None if spec == KeySpec::SymmetricDefault => Ok(KeyUsage::EncryptDecrypt),
        None => Err(KmsError::validation(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        )),
        Some(usage) if usage::usages(spec).contains(&usage) => Ok(usage),
        Some(usage) => Err(KmsError::validation(format!(
            "KeyUsage {usage} is not compatible with KeySpec {spec}"
        ))),
    }
}

/// The key pair that a key of this spec is, if it takes long to make one.
fn slow_key_pair(spec: KeySpec) -> Option<KeyPairSpec> {
    KeyPairSpec::from_name(spec.as_str()).filter(|spec| key_pair::is_slow(*spec))
}

/// Lets pass what this version can make: all but SM2, which AWS offers in its China regions only.
fn require_supported(spec: KeySpec, origin: Origin) -> Result<(), KmsError> {
    if spec == KeySpec::Sm2 {
        return Err(key_pair::unsupported("KeySpec", spec));
    }
    if origin == Origin::External && !material::is_importable(spec) {
        return Err(KmsError::UnsupportedOperation(
            format!("KeySpec {spec} is not supported for Origin {origin}").into(),
        ));
    }
    if !matches!(origin, Origin::AwsKms | Origin::External) {
        return Err(KmsError::UnsupportedOperation(
            format!("Origin {origin} is not available in this version.").into(),
        ));
    }
    Ok(())
}
