//! Encrypt, Decrypt, ReEncrypt.

use crate::ciphertext::Header;
use crate::error::KmsError;
use crate::key::{BackingKeyId, Key};
use crate::permit::{Action, Conditions, action};
use crate::protocol::spec::{DryRunModifier, EncryptionAlgorithm};
use crate::protocol::{OperationName, request, response};
use crate::state::State;

use super::release::Release;
use super::{Context, Found, Names, Outcome, cipher, missing, stop_if_dry_run, usage};

/// The one algorithm whose ciphertexts tell their key.
const SYMMETRIC: EncryptionAlgorithm = EncryptionAlgorithm::SymmetricDefault;

/// Encrypt.
pub(super) fn encrypt(
    context: &mut Context<'_>,
    request: &request::Encrypt<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = algorithm(request.encryption_algorithm);
    let conditions = Conditions {
        encryption_context: Some(&request.encryption_context),
        encryption_algorithm: Some(algorithm),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit(action::Encrypt, &request.key_id, Names::All, &conditions)?;
    usage::require_encryption(OperationName::Encrypt, algorithm, permit.key())?;
    let (plaintext, encryption_context) = (&request.plaintext, &request.encryption_context);
    cipher::require_encryptable(&permit, algorithm, plaintext, encryption_context)?;
    stop_if_dry_run(request.dry_run)?;

    let random = &mut *context.random;
    let encrypted = cipher::encrypt(&permit, algorithm, plaintext, encryption_context, random)?;
    record_material(context, "keyMaterialId", encrypted.material.as_ref());
    Ok(Outcome::read(&response::Encrypt {
        ciphertext_blob: &encrypted.blob,
        key_id: permit.key().arn(),
        encryption_algorithm: algorithm,
    }))
}

/// Decrypt.
pub(super) fn decrypt(
    context: &mut Context<'_>,
    request: request::Decrypt<'_>,
) -> Result<Outcome, KmsError> {
    let algorithm = algorithm(request.encryption_algorithm);
    let source = Source::of(
        request.ciphertext_blob.as_deref(),
        request.key_id.as_deref(),
        ["ciphertextBlob", "keyId"],
        request.dry_run,
        &request.dry_run_modifiers,
    )?;
    source.require_key_name(algorithm, "KeyId")?;
    let release = Release::of(context, request.recipient)?;
    let found = source.find::<action::Decrypt>(context)?;
    let conditions = Conditions {
        encryption_context: Some(&request.encryption_context),
        recipient: release.document(),
        encryption_algorithm: Some(algorithm),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let permit = context.permit_found(action::Decrypt, found, &conditions)?;
    source.require_made_by(permit.key(), algorithm, context.state)?;
    usage::require_encryption(OperationName::Decrypt, algorithm, permit.key())?;
    let Some(blob) = source.blob() else {
        return Err(KmsError::DryRunOperation);
    };
    let decrypted = cipher::decrypt(
        context,
        &permit,
        algorithm,
        blob,
        &request.encryption_context,
    )?;
    stop_if_dry_run(request.dry_run)?;

    record_material(context, "keyMaterialId", decrypted.material.as_ref());
    let released = release.apply(decrypted.plaintext, context.random)?;
    Ok(Outcome::read(&response::Decrypt {
        key_id: permit.key().arn(),
        plaintext: released.as_plaintext(),
        encryption_algorithm: algorithm,
        key_material_id: decrypted.material.as_ref().map(BackingKeyId::as_bytes),
    }))
}

/// ReEncrypt: the plaintext never leaves.
pub(super) fn re_encrypt(
    context: &mut Context<'_>,
    request: &request::ReEncrypt<'_>,
) -> Result<Outcome, KmsError> {
    let source_algorithm = algorithm(request.source_encryption_algorithm);
    let destination_algorithm = algorithm(request.destination_encryption_algorithm);
    let source = Source::of(
        request.ciphertext_blob.as_deref(),
        request.source_key_id.as_deref(),
        ["ciphertextBlob", "sourceKeyId"],
        request.dry_run,
        &request.dry_run_modifiers,
    )?;
    source.require_key_name(source_algorithm, "SourceKeyId")?;
    let from = source.find::<action::ReEncryptFrom>(context)?;
    let to = context.find::<action::ReEncryptTo>(&request.destination_key_id, Names::All)?;
    let common = Conditions {
        reencrypt_on_same_key: Some(from.key.arn() == to.key.arn()),
        grant_tokens: &request.grant_tokens,
        ..Conditions::default()
    };
    let conditions = Conditions {
        encryption_context: Some(&request.source_encryption_context),
        encryption_algorithm: Some(source_algorithm),
        ..common
    };
    let from = context.permit_found(action::ReEncryptFrom, from, &conditions)?;
    let conditions = Conditions {
        encryption_context: Some(&request.destination_encryption_context),
        encryption_algorithm: Some(destination_algorithm),
        ..common
    };
    let to = context.permit_found(action::ReEncryptTo, to, &conditions)?;
    source.require_made_by(from.key(), source_algorithm, context.state)?;
    usage::require_encryption(OperationName::ReEncrypt, source_algorithm, from.key())?;
    usage::require_encryption(OperationName::ReEncrypt, destination_algorithm, to.key())?;
    let Some(blob) = source.blob() else {
        return Err(KmsError::DryRunOperation);
    };
    let source_context = &request.source_encryption_context;
    let decrypted = cipher::decrypt(context, &from, source_algorithm, blob, source_context)?;
    let plaintext = &decrypted.plaintext;
    let destination_context = &request.destination_encryption_context;
    cipher::require_encryptable(&to, destination_algorithm, plaintext, destination_context)?;
    stop_if_dry_run(request.dry_run)?;

    let encrypted = cipher::encrypt(
        &to,
        destination_algorithm,
        plaintext,
        destination_context,
        context.random,
    )?;
    let (source, destination) = (decrypted.material.as_ref(), encrypted.material.as_ref());
    record_material(context, "sourceKeyMaterialId", source);
    record_material(context, "destinationKeyMaterialId", destination);
    Ok(Outcome::read(&response::ReEncrypt {
        ciphertext_blob: &encrypted.blob,
        source_key_id: from.key().arn(),
        key_id: to.key().arn(),
        source_encryption_algorithm: source_algorithm,
        destination_encryption_algorithm: destination_algorithm,
        source_key_material_id: source.map(BackingKeyId::as_bytes),
        destination_key_material_id: destination.map(BackingKeyId::as_bytes),
    }))
}

fn algorithm(named: Option<EncryptionAlgorithm>) -> EncryptionAlgorithm {
    named.unwrap_or(SYMMETRIC)
}

/// Records the key material that was used, of symmetric keys.
fn record_material(context: &mut Context<'_>, name: &'static str, id: Option<&BackingKeyId>) {
    if let Some(id) = id {
        context.event.key_material(name, id);
    }
}

/// What is to be decrypted, and the name of the key that encrypted it.
///
/// A symmetric ciphertext tells its key, so the name may be missing; a dry run that ignores the
/// ciphertext has only the name.
enum Source<'a> {
    Blob(&'a [u8]),
    BlobOfKey(&'a [u8], &'a str),
    Key(&'a str),
}

impl<'a> Source<'a> {
    /// The source that a request's members describe.
    ///
    /// # Errors
    ///
    /// ValidationException for the member that is missing, under its name.
    fn of(
        blob: Option<&'a [u8]>,
        key: Option<&'a str>,
        [blob_name, key_name]: [&str; 2],
        dry_run: bool,
        modifiers: &[DryRunModifier],
    ) -> Result<Self, KmsError> {
        let ignore_blob = dry_run && modifiers.contains(&DryRunModifier::IgnoreCiphertext);
        match (blob.filter(|_| !ignore_blob), key) {
            (Some(blob), None) => Ok(Self::Blob(blob)),
            (Some(blob), Some(key)) => Ok(Self::BlobOfKey(blob, key)),
            (None, Some(key)) if ignore_blob => Ok(Self::Key(key)),
            (None, _) if ignore_blob => Err(missing(key_name)),
            (None, _) => Err(missing(blob_name)),
        }
    }

    /// The ciphertext.
    fn blob(&self) -> Option<&'a [u8]> {
        match self {
            Self::Blob(blob) | Self::BlobOfKey(blob, _) => Some(blob),
            Self::Key(_) => None,
        }
    }

    /// Lets pass what tells its key, or is sent along with the name of one.
    ///
    /// # Errors
    ///
    /// ValidationException for an RSA ciphertext without the name of its key.
    fn require_key_name(
        &self,
        algorithm: EncryptionAlgorithm,
        key_name: &str,
    ) -> Result<(), KmsError> {
        match self {
            Self::Blob(blob) if algorithm != SYMMETRIC && Header::parse(blob).is_none() => {
                Err(KmsError::validation(format!("{key_name} must not be null")))
            }
            _ => Ok(()),
        }
    }

    /// The key to decrypt with: the one that is named, else the one that the ciphertext tells.
    ///
    /// # Errors
    ///
    /// Those of the two ways.
    fn find<A: Action>(&self, context: &Context<'_>) -> Result<Found, KmsError> {
        match self {
            Self::BlobOfKey(_, name) | Self::Key(name) => context.find::<A>(name, Names::All),
            Self::Blob(blob) => context.find_by_ciphertext::<A>(blob),
        }
    }
}

impl Source<'_> {
    /// Lets a ciphertext pass that this key made, or that tells nothing because it is an RSA key's.
    /// AWS looks at that before it looks at the key's usage, state and spec.
    ///
    /// # Errors
    ///
    /// IncorrectKeyException for the ciphertext of another key, InvalidCiphertextException for what
    /// is none of ours.
    fn require_made_by(
        &self,
        key: &Key,
        algorithm: EncryptionAlgorithm,
        state: &State,
    ) -> Result<(), KmsError> {
        let Some(blob) = self.blob().filter(|_| algorithm == SYMMETRIC) else {
            return Ok(());
        };
        let header = Header::parse(blob).ok_or(KmsError::InvalidCiphertext)?;
        if header.key_id == key.id() {
            return Ok(());
        }
        let other = state.keys_with_id(header.key_id)?.next();
        Err(match other {
            Some(_) => KmsError::IncorrectKey,
            None => KmsError::InvalidCiphertext,
        })
    }
}
