//! New material for keys, and the same material in other regions.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::rotate_key_on_demand::RotateKeyOnDemandError;
use aws_sdk_kms::types::{
    IncludeKeyMaterial, KeyMaterialState, KeySpec, KeyUsageType, MultiRegionKeyType, RotationType,
};

use crate::keys::tag;
use crate::refusals::refused_silently;
use crate::sdk::{
    DAY, OTHER_REGION, assert_after_now, assert_now, create, decrypt, describe, encrypt, key,
};

pub async fn is_enabled_and_disabled(kms: &Client) {
    let key = key(kms).await;
    let call = kms.enable_key_rotation().key_id(&key.key_id);
    call.rotation_period_in_days(90).send().await.unwrap();
    let status = kms.get_key_rotation_status().key_id(&key.key_id);
    let enabled = status.clone().send().await.unwrap();
    assert!(enabled.key_rotation_enabled);
    assert_eq!(enabled.rotation_period_in_days(), Some(90));
    assert_after_now(enabled.next_rotation_date(), DAY * 90);
    assert!(enabled.key_id().unwrap().ends_with(&key.key_id));

    let call = kms.disable_key_rotation().key_id(&key.key_id);
    call.send().await.unwrap();
    assert!(!status.send().await.unwrap().key_rotation_enabled);
}

pub async fn happens_on_demand(kms: &Client) {
    let key = key(kms).await;
    let before = encrypt(kms, &key, "before").await;
    let call = kms.rotate_key_on_demand().key_id(&key.key_id);
    let rotated = call.send().await.unwrap();
    assert!(rotated.key_id().unwrap().ends_with(&key.key_id));
    assert_eq!(decrypt(kms, Some(before)).await, b"before");

    let call = kms.list_key_rotations().key_id(&key.key_id);
    let call = call.include_key_material(IncludeKeyMaterial::AllKeyMaterial);
    let pages = call.into_paginator().page_size(1).items().send();
    let listed = pages.try_collect().await.unwrap();
    let current = describe(kms, &key.key_id).await.current_key_material_id;
    assert_ne!(current, key.current_key_material_id);
    let material = |state| {
        let found = listed
            .iter()
            .find(|it| it.key_material_state() == Some(&state));
        found.unwrap_or_else(|| panic!("{state:?}: {listed:?}"))
    };
    assert_eq!(listed.len(), 2);
    let new = material(KeyMaterialState::Current);
    assert_eq!(new.key_material_id, current);
    assert_eq!(new.rotation_type(), Some(&RotationType::OnDemand));
    assert_now(new.rotation_date());
    let old = material(KeyMaterialState::NonCurrent);
    assert_eq!(old.key_material_id, key.current_key_material_id);

    let call = kms.create_key().key_spec(KeySpec::EccNistP256);
    let signing = create(call.key_usage(KeyUsageType::SignVerify)).await;
    let call = kms.rotate_key_on_demand().key_id(signing.key_id);
    refused_silently(
        call.send().await,
        RotateKeyOnDemandError::is_unsupported_operation_exception,
    );
}

pub async fn follows_to_replicas(kms: &Client, elsewhere: &Client) {
    let primary = create(kms.create_key().multi_region(true)).await;
    let call = kms.replicate_key().key_id(&primary.key_id);
    let call = call.replica_region(OTHER_REGION).tags(tag("a", "1"));
    let replicated = call.send().await.unwrap();
    assert_eq!(replicated.replica_tags(), [tag("a", "1")]);
    assert!(replicated.replica_policy().unwrap().contains("Statement"));
    let replica = replicated.replica_key_metadata().unwrap();
    assert_eq!(replica.key_id, primary.key_id);
    let regions = replica.multi_region_configuration().unwrap();
    assert_eq!(
        regions.multi_region_key_type(),
        Some(&MultiRegionKeyType::Replica)
    );
    assert_eq!(regions.primary_key().unwrap().arn, primary.arn);

    let blob = encrypt(kms, &primary, "x").await;
    let call = elsewhere.decrypt().ciphertext_blob(blob);
    assert_eq!(call.send().await.unwrap().key_id, replica.arn);
    let call = kms.update_primary_region().key_id(&primary.key_id);
    call.primary_region(OTHER_REGION).send().await.unwrap();
    let regions = describe(kms, &primary.key_id).await;
    let regions = regions.multi_region_configuration.unwrap();
    assert_eq!(regions.primary_key().unwrap().region(), Some(OTHER_REGION));
    assert_eq!(regions.replica_keys()[0].arn, primary.arn);
}
