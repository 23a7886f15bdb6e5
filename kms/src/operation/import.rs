//! Imported key material: GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.

use std::sync::Arc;
use std::time::Duration;

use attestation::Timestamp;
use zeroize::Zeroizing;

use crate::audit;
use crate::error::KmsError;
use crate::key::{BackingKey, BackingKeyId, Import, Key};
use crate::material::Material;
use crate::multi_region;
use crate::permit::{Action, Conditions, Permit, action};
use crate::protocol::spec::{ExpirationModel, ImportType, KeySpec, Origin};
use crate::protocol::{Response, request, response};
use crate::record::ImportToken;
use crate::wrapping;

use super::key_state::{self, Row};
use super::{Context, Names, Outcome, Unfinished};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a wrapping key and its token are good.
const TOKEN_LIFETIME: Duration = DAY;

/// The days after which imported material expires at the latest, if it does.
const MAX_VALID_DAYS: u32 = 365;

/// GetParametersForImport: a new wrapping key each time, whose private half only the token holds.
pub(super) fn get_parameters_for_import(
    context: &mut Context<'_>,
    request: &request::GetParametersForImport<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = request.wrapping_algorithm;
    let spec = wrapping::key_pair_spec(algorithm, request.wrapping_key_spec)?;
    let conditions = Conditions {
        wrapping_algorithm: Some(algorithm),
        wrapping_key_spec: Some(request.wrapping_key_spec),
        ..Conditions::default()
    };
    let permit = permit_import(
        context,
        action::GetParametersForImport,
        &request.key_id,
        &conditions,
    )?;
    key_state::require(Row::GetImportParameters, permit.key())?;
    wrapping::require_room(permit.key().spec, algorithm, request.wrapping_key_spec)?;

    let Some(pair) = context.key_pair(spec)? else {
        return Ok(Outcome::unfinished(Unfinished::Slow));
    };
    let valid_to = context.now + TOKEN_LIFETIME;
    let key_arn = permit.key().arn();
    let token = ImportToken::new(key_arn, algorithm, valid_to, &pair.private_pkcs8);
    let token = context.state.seal_import_token(&token, context.random);
    Ok(Outcome::read(&response::GetParametersForImport {
        key_id: key_arn,
        import_token: &token,
        public_key: &pair.public_spki,
        parameters_valid_to: valid_to,
    }))
}

/// ImportKeyMaterial.
pub(super) fn import_key_material(
    context: &mut Context<'_>,
    request: &request::ImportKeyMaterial<'_>,
) -> Result<Outcome, KmsError> {
    let valid_to = expiry(request, context.now)?;
    let wanted = wanted_id(request)?;
    let conditions = Conditions {
        expiration_model: Some(match valid_to {
            Some(_) => ExpirationModel::Expires,
            None => ExpirationModel::DoesNotExpire,
        }),
        valid_to,
        ..Conditions::default()
    };
    let permit = permit_import(
        context,
        action::ImportKeyMaterial,
        &request.key_id,
        &conditions,
    )?;
    key_state::require(Row::ImportMaterial, permit.key())?;
    let key = permit.key();
    require_versions(
        key,
        &[
            ("ImportType", request.import_type.is_some()),
            ("KeyMaterialId", wanted.is_some()),
            (
                "KeyMaterialDescription",
                request.key_material_description.is_some(),
            ),
        ],
    )?;
    let material = unwrap(context, request, key)?;
    let material = Material::import(key.spec, key.usage, &material)
        .map_err(|error| KmsError::IncorrectKeyMaterial(error.to_string().into()))?;
    let mut backing = BackingKey::new(key.id(), material, context.now);
    let id = *backing.id();
    if wanted.is_some_and(|wanted| wanted != id) {
        return Err(incorrect_material(
            "The key material is not the one that the KeyMaterialId names.",
        ));
    }

    let known = require_expected(request.import_type, key, &id)?;
    let description = request.key_material_description.as_deref();
    let (created, rotation, import) = match known {
        Some(known) => (known.created, known.rotation, known.import),
        None => (key.next_version_time(context.now), None, None),
    };
    backing = backing.since(created);
    backing.rotation = rotation;
    backing.import = Some(Arc::new(Import {
        description: description
            .or(import.and_then(|import| import.description.as_deref()))
            .map(Into::into),
        valid_to,
        pending_rotation: match known {
            Some(known) => known.is_pending(),
            None => !key.versions().is_empty(),
        },
    }));

    let mut imported = Key::clone(key);
    imported.import(backing);
    let shown = shown_id(key, Some(id));
    if let Some(id) = &shown {
        context.event.key_material("keyMaterialId", id);
    }
    changed(context, key, shown.as_ref());
    let answer = response::ImportKeyMaterial {
        key_id: key.arn(),
        key_material_id: shown.as_ref().map(BackingKeyId::as_bytes),
    };
    Ok(Outcome::changes(
        answer.body(),
        multi_region::changes(context.state, imported)?,
    ))
}

/// DeleteImportedKeyMaterial: of a key that has none, nothing is deleted.
pub(super) fn delete_imported_key_material(
    context: &mut Context<'_>,
    request: &request::DeleteImportedKeyMaterial<'_>,
) -> Result<Outcome, KmsError> {
    let wanted = request
        .key_material_id
        .as_deref()
        .map(parse_id)
        .transpose()?;
    let permit = permit_import(
        context,
        action::DeleteImportedKeyMaterial,
        &request.key_id,
        &Conditions::default(),
    )?;
    key_state::require(Row::DeleteMaterial, permit.key())?;
    let key = permit.key();
    require_versions(key, &[("KeyMaterialId", wanted.is_some())])?;
    let current = key.current_version().map(|version| *version.id);
    let id = wanted.or(current);
    if let Some(id) = wanted
        && !key.versions().iter().any(|version| *version.id == id)
    {
        return Err(KmsError::NotFound(
            format!("Key material {id} is not found in {}.", key.arn()).into(),
        ));
    }

    let shown = shown_id(key, id);
    changed(context, key, shown.as_ref());
    let answer = response::DeleteImportedKeyMaterial {
        key_id: key.arn(),
        key_material_id: shown.as_ref().map(BackingKeyId::as_bytes),
    };
    let changes = match id {
        Some(id) if key.backing_key(&id).is_some() => {
            let mut without = Key::clone(key);
            without.remove_import(&id);
            multi_region::changes(context.state, without)?
        }
        _ => Vec::new(),
    };
    Ok(Outcome::changes(answer.body(), changes))
}

/// Decides whether the caller may do this to a key that takes imported material.
fn permit_import<A: Action>(
    context: &mut Context<'_>,
    action: A,
    key_id: &str,
    conditions: &Conditions<'_>,
) -> Result<Permit<A>, KmsError> {
    let permit = context.permit(action, key_id, Names::IdOrArn, conditions)?;
    if permit.key().origin != Origin::External {
        return Err(KmsError::wrong_origin(permit.key()));
    }
    Ok(permit)
}

/// Lets a key pass that can have several versions of its material, or for which no member was sent
/// that tells them apart.
fn require_versions(key: &Key, members: &[(&str, bool)]) -> Result<(), KmsError> {
    if key.spec == KeySpec::SymmetricDefault {
        return Ok(());
    }
    match members.iter().find(|(_, is_sent)| *is_sent) {
        None => Ok(()),
        Some((name, _)) => Err(KmsError::UnsupportedOperation(
            format!(
                "{name} can only be used with symmetric encryption keys, but the KeySpec of {} is {}.",
                key.arn(),
                key.spec
            )
            .into(),
        )),
    }
}

/// The id of a version, of the keys that AWS shows it of.
fn shown_id(key: &Key, id: Option<BackingKeyId>) -> Option<BackingKeyId> {
    id.filter(|_| key.spec == KeySpec::SymmetricDefault)
}

/// Records the version that changed, or just its key.
fn changed(context: &mut Context<'_>, key: &Key, id: Option<&BackingKeyId>) {
    context.event.changed(match id {
        Some(id) => audit::key_material(key.arn(), id),
        None => audit::key_id(key.arn()),
    });
}

/// When the material of a request is to expire, if it is.
fn expiry(
    request: &request::ImportKeyMaterial<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, KmsError> {
    let model = request.expiration_model;
    match (model.unwrap_or(ExpirationModel::Expires), request.valid_to) {
        (ExpirationModel::Expires, None) => Err(KmsError::validation(
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        )),
        (ExpirationModel::DoesNotExpire, Some(_)) => Err(KmsError::validation(
            "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
        )),
        (ExpirationModel::Expires, Some(date)) if date <= now => Err(KmsError::validation(
            "The validTo date must be in the future",
        )),
        (ExpirationModel::Expires, Some(date)) if date > now + DAY * MAX_VALID_DAYS => {
            Err(KmsError::validation(format!(
                "The validTo date must be at most {MAX_VALID_DAYS} days in the future"
            )))
        }
        (_, valid_to) => Ok(valid_to),
    }
}

/// The id that the material of a request must have.
fn wanted_id(request: &request::ImportKeyMaterial<'_>) -> Result<Option<BackingKeyId>, KmsError> {
    let Some(id) = request.key_material_id.as_deref() else {
        return Ok(None);
    };
    if request.import_type == Some(ImportType::NewKeyMaterial) {
        return Err(KmsError::validation(
            "A KeyMaterialId can not be set if the ImportType is NEW_KEY_MATERIAL",
        ));
    }
    parse_id(id).map(Some)
}

/// The id that a member names, whose shape was checked.
fn parse_id(id: &str) -> Result<BackingKeyId, KmsError> {
    id.parse()
        .map_err(|_| KmsError::validation(format!("Invalid KeyMaterialId {id}")))
}

/// The material of a request.
///
/// # Errors
///
/// InvalidImportTokenException for a token that is not one of this key's,
/// ExpiredImportTokenException for one whose time is over, InvalidCiphertextException for material
/// that its wrapping key does not unwrap.
fn unwrap(
    context: &Context<'_>,
    request: &request::ImportKeyMaterial<'_>,
    key: &Key,
) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    let content = context.state.open_import_token(&request.import_token);
    let content = content.ok_or(KmsError::InvalidImportToken)?;
    let token = ImportToken::read(&content)
        .filter(|token| token.key_arn == key.arn().as_ref())
        .ok_or(KmsError::InvalidImportToken)?;
    if token.valid_to() <= context.now {
        return Err(KmsError::ExpiredImportToken);
    }
    let algorithm = token.algorithm().ok_or(KmsError::InvalidImportToken)?;
    let wrapped = &request.encrypted_key_material;
    wrapping::unwrap(algorithm, token.private_pkcs8, wrapped)
}

/// Lets material pass that a key may take now; the version that it is, if the key has had it.
///
/// # Errors
///
/// IncorrectKeyMaterialException for new material where the key expects what it has had, and for
/// the reverse; KMSInvalidStateException while other material waits for a rotation.
fn require_expected<'k>(
    import_type: Option<ImportType>,
    key: &'k Key,
    id: &BackingKeyId,
) -> Result<Option<crate::import::Version<'k>>, KmsError> {
    let versions = key.versions();
    let known = versions.iter().find(|version| version.id == id).copied();
    let default = match versions.is_empty() {
        true => ImportType::NewKeyMaterial,
        false => ImportType::ExistingKeyMaterial,
    };
    match (import_type.unwrap_or(default), known) {
        (ImportType::ExistingKeyMaterial, Some(known)) => Ok(Some(known)),
        (ImportType::ExistingKeyMaterial, None) => Err(incorrect_material(
            "The key material is not one that was imported into the key before.",
        )),
        (ImportType::NewKeyMaterial, Some(known)) if known.is_pending() => Ok(Some(known)),
        (ImportType::NewKeyMaterial, Some(_)) => Err(incorrect_material(
            "The key material is associated with the key already.",
        )),
        (ImportType::NewKeyMaterial, None) => {
            if key.is_replica() {
                super::multi_region::require_primary(key)?;
            }
            match key.pending_version() {
                Some(pending) => Err(KmsError::KmsInvalidState(
                    format!(
                        "New key material (id: {id}) cannot be imported into KMS key {}, because another key material (id: {}) is pending rotation.",
                        key.arn(),
                        pending.id,
                    )
                    .into(),
                )),
                None => Ok(None),
            }
        }
    }
}

fn incorrect_material(message: &'static str) -> KmsError {
    KmsError::IncorrectKeyMaterial(message.into())
}
