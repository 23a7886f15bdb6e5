//! `responseElements`: what changed, for the operations that change something.
//!
//! AWS records `null` for all others, and an object with the key's ARN even for operations whose
//! answer is empty.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use crate::grant::GrantId;
use crate::key::BackingKeyId;
use crate::protocol::response::{KeyMetadata, ReplicateKey, ScheduleKeyDeletion};
use crate::protocol::spec::KeyState;

use super::{MAX_TEXT_BYTES, bounded, date};

/// The elements of an operation that changed a key or its aliases and says no more.
pub(crate) fn key_id(key_arn: &str) -> Value {
    json!({ "keyId": key_arn })
}

/// The elements of CreateGrant. The token is not among them.
pub(crate) fn created_grant(key_arn: &str, id: GrantId) -> Value {
    json!({ "grantId": id.to_string(), "keyId": key_arn })
}

/// The elements of an operation that changed one version of a key's imported material.
pub(crate) fn key_material(key_arn: &str, id: &BackingKeyId) -> Value {
    json!({ "keyId": key_arn, "keyMaterialId": id.to_string() })
}

/// The elements of ScheduleKeyDeletion.
pub(crate) fn scheduled_deletion(answer: &ScheduleKeyDeletion<'_>) -> Value {
    let mut elements = Map::new();
    elements.insert("keyId".into(), answer.key_id.into());
    elements.insert("keyState".into(), answer.key_state.as_str().into());
    if let Some(moment) = answer.deletion_date {
        elements.insert("deletionDate".into(), date::in_words(moment).into());
    }
    elements.insert(
        "pendingWindowInDays".into(),
        answer.pending_window_in_days.into(),
    );
    elements.into()
}

/// The elements of CreateKey.
pub(crate) fn created_key(key: &KeyMetadata<'_>) -> Value {
    json!({ "keyMetadata": key_metadata(key) })
}

/// The elements of ReplicateKey. The replica's tags are those of the request.
pub(crate) fn replicated_key(answer: &ReplicateKey<'_>) -> Value {
    json!({
        "replicaKeyMetadata": key_metadata(&answer.replica_key_metadata),
        "replicaPolicy": bounded(answer.replica_policy, MAX_TEXT_BYTES),
    })
}

fn key_metadata(key: &KeyMetadata<'_>) -> Value {
    let mut metadata = json!({
        "AWSAccountId": key.aws_account_id.to_string(),
        "keyId": key.key_id.to_string(),
        "arn": key.arn,
        "creationDate": date::in_words(key.creation_date),
        "enabled": key.key_state == KeyState::Enabled,
        "description": bounded(key.description, MAX_TEXT_BYTES),
        "keyUsage": key.key_usage.as_str(),
        "keyState": key.key_state.as_str(),
        "origin": key.origin.as_str(),
        "keyManager": key.key_manager.as_str(),
        "customerMasterKeySpec": key.key_spec.as_str(),
        "keySpec": key.key_spec.as_str(),
        "multiRegion": key.multi_region_configuration.is_some(),
    });
    if let Value::Object(metadata) = &mut metadata {
        let lists = [
            ("encryptionAlgorithms", names(key.encryption_algorithms)),
            ("signingAlgorithms", names(key.signing_algorithms)),
            (
                "keyAgreementAlgorithms",
                names(key.key_agreement_algorithms),
            ),
            (
                "encapsulationAlgorithms",
                names(key.encapsulation_algorithms),
            ),
            ("macAlgorithms", names(key.mac_algorithms)),
        ];
        for (name, algorithms) in lists {
            if !algorithms.is_empty() {
                metadata.insert(name.into(), algorithms.into());
            }
        }
        if let Some(id) = key.current_key_material_id {
            metadata.insert("currentKeyMaterialId".into(), hex::encode(id).into());
        }
    }
    metadata
}

fn names(algorithms: &[impl Display]) -> Vec<String> {
    algorithms.iter().map(ToString::to_string).collect()
}
