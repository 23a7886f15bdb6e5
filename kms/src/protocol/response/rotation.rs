//! The answers about the rotation of key material.

use attestation::Timestamp;
use zeroize::Zeroizing;

use crate::json_writer::{self, Object};
use crate::protocol::spec::{ExpirationModel, ImportState, KeyMaterialState, RotationType};

use super::{KeyMaterialId, Response, write_material, write_page, write_text, write_time};

/// GetKeyRotationStatus' answer.
pub struct GetKeyRotationStatus<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// Whether it is rotated by itself.
    pub key_rotation_enabled: bool,
    /// The days from one rotation to the next.
    pub rotation_period_in_days: Option<u16>,
    /// When the next one is due.
    pub next_rotation_date: Option<Timestamp>,
}

impl Response for GetKeyRotationStatus<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            o.flag("KeyRotationEnabled", self.key_rotation_enabled);
            if let Some(days) = self.rotation_period_in_days {
                o.number("RotationPeriodInDays", days);
            }
            write_time(o, "NextRotationDate", self.next_rotation_date);
        })
    }
}

/// RotateKeyOnDemand's answer.
pub struct RotateKeyOnDemand<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
}

impl Response for RotateKeyOnDemand<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
        })
    }
}

/// ListKeyRotations' answer.
pub struct ListKeyRotations<'a> {
    /// The versions of this page.
    pub rotations: Vec<RotationsListEntry<'a>>,
    /// Where the next page begins; absent on the last one.
    pub next_marker: Option<String>,
}

impl Response for ListKeyRotations<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.objects("Rotations", self.rotations.iter(), |o, entry| {
                entry.write(o);
            });
            write_page(o, self.next_marker.as_deref());
        })
    }
}

/// One version of a key's material.
pub struct RotationsListEntry<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// The material's id.
    pub key_material_id: &'a KeyMaterialId,
    /// What whoever imported it says about it.
    pub key_material_description: Option<&'a str>,
    /// Whether imported material is here.
    pub import_state: Option<ImportState>,
    /// What it is used for.
    pub key_material_state: KeyMaterialState,
    /// Whether imported material expires.
    pub expiration_model: Option<ExpirationModel>,
    /// When it does.
    pub valid_to: Option<Timestamp>,
    /// When it took the place of the version before.
    pub rotation_date: Option<Timestamp>,
    /// How it did.
    pub rotation_type: Option<RotationType>,
}

impl RotationsListEntry<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.text("KeyId", self.key_id);
        write_material(o, "KeyMaterialId", Some(self.key_material_id));
        write_text(o, "KeyMaterialDescription", self.key_material_description);
        write_text(o, "ImportState", self.import_state.map(ImportState::as_str));
        o.text("KeyMaterialState", self.key_material_state.as_str());
        write_text(
            o,
            "ExpirationModel",
            self.expiration_model.map(ExpirationModel::as_str),
        );
        write_time(o, "ValidTo", self.valid_to);
        write_time(o, "RotationDate", self.rotation_date);
        write_text(
            o,
            "RotationType",
            self.rotation_type.map(RotationType::as_str),
        );
    }
}
