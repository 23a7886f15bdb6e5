//! The answers about imported key material.

use attestation::Timestamp;
use zeroize::Zeroizing;

use crate::json_writer;

use super::{KeyMaterialId, Response, write_material};

/// GetParametersForImport's answer.
pub struct GetParametersForImport<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// What ImportKeyMaterial needs to unwrap the material.
    pub import_token: &'a [u8],
    /// The wrapping key: DER of an X.509 SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
    /// When both expire.
    pub parameters_valid_to: Timestamp,
}

impl Response for GetParametersForImport<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            o.blob("ImportToken", self.import_token);
            o.blob("PublicKey", self.public_key);
            o.time("ParametersValidTo", self.parameters_valid_to);
        })
    }
}

/// ImportKeyMaterial's answer.
pub struct ImportKeyMaterial<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The material's id, of symmetric keys.
    pub key_material_id: Option<&'a KeyMaterialId>,
}

impl Response for ImportKeyMaterial<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            write_material(o, "KeyMaterialId", self.key_material_id);
        })
    }
}

/// DeleteImportedKeyMaterial's answer.
pub struct DeleteImportedKeyMaterial<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The material's id, of symmetric keys that have had any.
    pub key_material_id: Option<&'a KeyMaterialId>,
}

impl Response for DeleteImportedKeyMaterial<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            write_material(o, "KeyMaterialId", self.key_material_id);
        })
    }
}
