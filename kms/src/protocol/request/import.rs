//! The requests about imported key material.

use std::borrow::Cow;

use attestation::Timestamp;

use crate::error::KmsError;
use crate::protocol::members::Members;
use crate::protocol::spec::{ExpirationModel, ImportType, WrappingAlgorithm, WrappingKeySpec};

use super::shape;

/// GetParametersForImport.
pub struct GetParametersForImport<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// How the material will be wrapped.
    pub wrapping_algorithm: WrappingAlgorithm,
    /// What it will be wrapped with.
    pub wrapping_key_spec: WrappingKeySpec,
}

impl<'a> GetParametersForImport<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            wrapping_algorithm: members
                .required_choice("WrappingAlgorithm", WrappingAlgorithm::RsaesOaepSha256)?,
            wrapping_key_spec: members
                .required_choice("WrappingKeySpec", WrappingKeySpec::Rsa2048)?,
        })
    }
}

/// ImportKeyMaterial.
pub struct ImportKeyMaterial<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The token that came with the wrapping key.
    pub import_token: Vec<u8>,
    /// The material, wrapped.
    pub encrypted_key_material: Vec<u8>,
    /// When it expires.
    pub valid_to: Option<Timestamp>,
    /// Whether it expires; it does when absent.
    pub expiration_model: Option<ExpirationModel>,
    /// Whether the key has had it before; when absent, whether the key has had any.
    pub import_type: Option<ImportType>,
    /// What whoever imports it says about it.
    pub key_material_description: Option<Cow<'a, str>>,
    /// The id that it must have.
    pub key_material_id: Option<Cow<'a, str>>,
}

impl<'a> ImportKeyMaterial<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            import_token: members.required_blob("ImportToken", shape::CIPHERTEXT)?,
            encrypted_key_material: members
                .required_blob("EncryptedKeyMaterial", shape::CIPHERTEXT)?,
            valid_to: members.time("ValidTo")?,
            expiration_model: members.choice("ExpirationModel")?,
            import_type: members.choice("ImportType")?,
            key_material_description: members
                .text("KeyMaterialDescription", &shape::KEY_MATERIAL_DESCRIPTION)?,
            key_material_id: members.text("KeyMaterialId", &shape::KEY_MATERIAL_ID)?,
        })
    }
}

/// DeleteImportedKeyMaterial.
pub struct DeleteImportedKeyMaterial<'a> {
    /// The key: id or ARN.
    pub key_id: Cow<'a, str>,
    /// The material; the current one when absent.
    pub key_material_id: Option<Cow<'a, str>>,
}

impl<'a> DeleteImportedKeyMaterial<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            key_material_id: members.text("KeyMaterialId", &shape::KEY_MATERIAL_ID)?,
        })
    }
}
