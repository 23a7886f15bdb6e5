//! The answers about keys.

use attestation::Timestamp;
use zeroize::Zeroizing;

use crate::json_writer::{self, Object};
use crate::name::{AccountId, KeyId, Region};
use crate::protocol::spec::{
    EncapsulationAlgorithm, EncryptionAlgorithm, ExpirationModel, KeyAgreementAlgorithm,
    KeyManager, KeySpec, KeyState, KeyUsage, MacAlgorithm, MultiRegionKeyType, Origin,
    SigningAlgorithm,
};

use super::{
    KeyMaterialId, Response, write_algorithms, write_material, write_page, write_text, write_time,
};

/// CreateKey's answer.
pub struct CreateKey<'a> {
    /// The new key.
    pub key_metadata: KeyMetadata<'a>,
}

impl Response for CreateKey<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.object("KeyMetadata", |o| self.key_metadata.write(o));
        })
    }
}

/// DescribeKey's answer.
pub struct DescribeKey<'a> {
    /// The key.
    pub key_metadata: KeyMetadata<'a>,
}

impl Response for DescribeKey<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.object("KeyMetadata", |o| self.key_metadata.write(o));
        })
    }
}

/// ListKeys' answer.
pub struct ListKeys<'a> {
    /// The keys of this page.
    pub keys: Vec<KeyListEntry<'a>>,
    /// Where the next page begins; absent on the last one.
    pub next_marker: Option<String>,
}

impl Response for ListKeys<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.objects("Keys", self.keys.iter(), |o, key| key.write(o));
            write_page(o, self.next_marker.as_deref());
        })
    }
}

/// One key of a page.
pub struct KeyListEntry<'a> {
    /// The key's id.
    pub key_id: KeyId,
    /// The key's ARN.
    pub key_arn: &'a str,
}

impl KeyListEntry<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.display("KeyId", self.key_id);
        o.text("KeyArn", self.key_arn);
    }
}

/// ScheduleKeyDeletion's answer.
pub struct ScheduleKeyDeletion<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
    /// When it will be deleted; absent while replicas remain.
    pub deletion_date: Option<Timestamp>,
    /// Its state now.
    pub key_state: KeyState,
    /// The waiting time in days.
    pub pending_window_in_days: u16,
}

impl Response for ScheduleKeyDeletion<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
            write_time(o, "DeletionDate", self.deletion_date);
            o.text("KeyState", self.key_state.as_str());
            o.number("PendingWindowInDays", self.pending_window_in_days);
        })
    }
}

/// CancelKeyDeletion's answer.
pub struct CancelKeyDeletion<'a> {
    /// The key's ARN.
    pub key_id: &'a str,
}

impl Response for CancelKeyDeletion<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("KeyId", self.key_id);
        })
    }
}

/// All about a key, as CreateKey and DescribeKey tell it.
pub struct KeyMetadata<'a> {
    /// The account it belongs to.
    pub aws_account_id: AccountId,
    /// Its id.
    pub key_id: KeyId,
    /// Its ARN.
    pub arn: &'a str,
    /// When it was made.
    pub creation_date: Timestamp,
    /// Its description, "" when it has none.
    pub description: &'a str,
    /// What it is for.
    pub key_usage: KeyUsage,
    /// Its state. `Enabled` follows from it.
    pub key_state: KeyState,
    /// When it will be deleted.
    pub deletion_date: Option<Timestamp>,
    /// When its imported material expires.
    pub valid_to: Option<Timestamp>,
    /// Where its material comes from.
    pub origin: Origin,
    /// The custom key store it is in.
    pub custom_key_store_id: Option<&'a str>,
    /// The CloudHSM cluster it is in.
    pub cloud_hsm_cluster_id: Option<&'a str>,
    /// Whether its imported material expires.
    pub expiration_model: Option<ExpirationModel>,
    /// Who manages it.
    pub key_manager: KeyManager,
    /// What it is made of. `CustomerMasterKeySpec` repeats it.
    pub key_spec: KeySpec,
    /// The encryption algorithms it can be used with.
    pub encryption_algorithms: &'a [EncryptionAlgorithm],
    /// The signing algorithms it can be used with.
    pub signing_algorithms: &'a [SigningAlgorithm],
    /// The key agreement algorithms it can be used with.
    pub key_agreement_algorithms: &'a [KeyAgreementAlgorithm],
    /// The encapsulation algorithms it can be used with.
    pub encapsulation_algorithms: &'a [EncapsulationAlgorithm],
    /// The MAC algorithms it can be used with.
    pub mac_algorithms: &'a [MacAlgorithm],
    /// Its place among the keys of its set; `MultiRegion` follows from it.
    pub multi_region_configuration: Option<MultiRegionConfiguration<'a>>,
    /// The waiting time of a primary key that is deleted after its replicas.
    pub pending_deletion_window_in_days: Option<u16>,
    /// The external key behind it.
    pub xks_key_id: Option<&'a str>,
    /// Its current key material, of symmetric keys that have any.
    pub current_key_material_id: Option<&'a KeyMaterialId>,
}

impl KeyMetadata<'_> {
    pub(super) fn write(&self, o: &mut Object<'_>) {
        o.display("AWSAccountId", self.aws_account_id);
        o.display("KeyId", self.key_id);
        o.text("Arn", self.arn);
        o.time("CreationDate", self.creation_date);
        o.flag("Enabled", self.key_state == KeyState::Enabled);
        o.text("Description", self.description);
        o.text("KeyUsage", self.key_usage.as_str());
        o.text("KeyState", self.key_state.as_str());
        write_time(o, "DeletionDate", self.deletion_date);
        write_time(o, "ValidTo", self.valid_to);
        o.text("Origin", self.origin.as_str());
        write_text(o, "CustomKeyStoreId", self.custom_key_store_id);
        write_text(o, "CloudHsmClusterId", self.cloud_hsm_cluster_id);
        write_text(
            o,
            "ExpirationModel",
            self.expiration_model.map(ExpirationModel::as_str),
        );
        o.text("KeyManager", self.key_manager.as_str());
        o.text("CustomerMasterKeySpec", self.key_spec.as_str());
        o.text("KeySpec", self.key_spec.as_str());
        write_algorithms(o, "EncryptionAlgorithms", self.encryption_algorithms);
        write_algorithms(o, "SigningAlgorithms", self.signing_algorithms);
        write_algorithms(o, "KeyAgreementAlgorithms", self.key_agreement_algorithms);
        write_algorithms(o, "EncapsulationAlgorithms", self.encapsulation_algorithms);
        o.flag("MultiRegion", self.key_id.is_multi_region());
        if let Some(configuration) = &self.multi_region_configuration {
            o.object("MultiRegionConfiguration", |o| configuration.write(o));
        }
        if let Some(days) = self.pending_deletion_window_in_days {
            o.number("PendingDeletionWindowInDays", days);
        }
        write_algorithms(o, "MacAlgorithms", self.mac_algorithms);
        if let Some(id) = self.xks_key_id {
            o.object("XksKeyConfiguration", |o| o.text("Id", id));
        }
        write_material(o, "CurrentKeyMaterialId", self.current_key_material_id);
    }
}

/// The set that a multi-Region key belongs to.
pub struct MultiRegionConfiguration<'a> {
    /// Which of the set this key is.
    pub multi_region_key_type: MultiRegionKeyType,
    /// The primary key.
    pub primary_key: MultiRegionKey<'a>,
    /// The replicas.
    pub replica_keys: Vec<MultiRegionKey<'a>>,
}

impl MultiRegionConfiguration<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.text("MultiRegionKeyType", self.multi_region_key_type.as_str());
        o.object("PrimaryKey", |o| self.primary_key.write(o));
        o.objects("ReplicaKeys", self.replica_keys.iter(), |o, key| {
            key.write(o)
        });
    }
}

/// One key of a multi-Region set.
pub struct MultiRegionKey<'a> {
    /// Its ARN.
    pub arn: String,
    /// Its region.
    pub region: &'a Region,
}

impl MultiRegionKey<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.text("Arn", &self.arn);
        o.text("Region", self.region.as_str());
    }
}
