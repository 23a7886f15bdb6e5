//! Keys, their states, tags and aliases.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::create_alias::CreateAliasError;
use aws_sdk_kms::operation::describe_key::DescribeKeyError;
use aws_sdk_kms::operation::enable_key::EnableKeyError;
use aws_sdk_kms::operation::encrypt::EncryptError;
use aws_sdk_kms::operation::list_keys::ListKeysError;
use aws_sdk_kms::operation::tag_resource::TagResourceError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    EncryptionAlgorithmSpec, KeyManagerType, KeySpec, KeyState, KeyUsageType, OriginType, Tag,
};

use crate::refusals::refused;
use crate::sdk::{
    DAY, assert_after_now, assert_now, create, describe, is_material_id, key, variable,
};

pub async fn are_made_and_described(kms: &Client) {
    let made = create(kms.create_key().description("first")).await;
    let account = made.aws_account_id().unwrap();
    let region = variable("AWS_REGION");
    let arn = format!("arn:aws:kms:{region}:{account}:key/{}", made.key_id);
    assert_eq!(made.arn(), Some(arn.as_str()));
    assert!(made.enabled);
    assert_eq!(made.key_state(), Some(&KeyState::Enabled));
    assert_eq!(made.key_spec(), Some(&KeySpec::SymmetricDefault));
    assert_eq!(made.key_usage(), Some(&KeyUsageType::EncryptDecrypt));
    assert_eq!(made.origin(), Some(&OriginType::AwsKms));
    assert_eq!(made.key_manager(), Some(&KeyManagerType::Customer));
    assert_eq!(
        made.encryption_algorithms(),
        [EncryptionAlgorithmSpec::SymmetricDefault]
    );
    assert!(is_material_id(made.current_key_material_id()));
    assert_eq!(made.multi_region(), Some(false));
    assert_now(made.creation_date());

    let update = kms.update_key_description().key_id(&made.key_id);
    update.description("second").send().await.unwrap();
    let described = describe(kms, &arn).await;
    assert_eq!(described.description(), Some("second"));
    assert_eq!(described.creation_date(), made.creation_date());
}

pub async fn come_in_pages(kms: &Client) {
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(key(kms).await);
    }
    let pages = kms.list_keys().into_paginator().page_size(2);
    let listed = pages.items().send().try_collect().await.unwrap();
    for key in made {
        let entry = listed.iter().find(|entry| entry.key_arn == key.arn);
        assert_eq!(entry.and_then(|it| it.key_id()), Some(key.key_id()));
    }
    let answer = kms.list_keys().marker("nonsense").send().await;
    refused(answer, ListKeysError::is_invalid_marker_exception);
}

pub async fn are_disabled_and_enabled(kms: &Client) {
    let key = key(kms).await;
    let id = key.key_id();
    kms.disable_key().key_id(id).send().await.unwrap();
    let call = kms.encrypt().key_id(id).plaintext(Blob::new("x"));
    let message = refused(call.send().await, EncryptError::is_disabled_exception);
    assert_eq!(message, format!("{} is disabled.", key.arn().unwrap()));
    kms.enable_key().key_id(id).send().await.unwrap();
    assert!(describe(kms, id).await.enabled);
}

pub async fn are_scheduled_for_deletion(kms: &Client) {
    let key = key(kms).await;
    let (id, arn) = (key.key_id(), key.arn().unwrap());
    let call = kms.schedule_key_deletion().key_id(id);
    let scheduled = call.pending_window_in_days(7).send().await.unwrap();
    assert_eq!(scheduled.key_id(), Some(arn));
    assert_eq!(scheduled.key_state(), Some(&KeyState::PendingDeletion));
    assert_eq!(scheduled.pending_window_in_days(), Some(7));
    assert_after_now(scheduled.deletion_date(), DAY * 7);
    assert_eq!(
        describe(kms, id).await.deletion_date(),
        scheduled.deletion_date()
    );

    let answer = kms.enable_key().key_id(id).send().await;
    let message = refused(answer, EnableKeyError::is_kms_invalid_state_exception);
    assert_eq!(message, format!("{arn} is pending deletion."));
    let cancelled = kms.cancel_key_deletion().key_id(id).send().await.unwrap();
    assert_eq!(cancelled.key_id(), Some(arn));
    assert_eq!(
        describe(kms, id).await.key_state(),
        Some(&KeyState::Disabled)
    );
}

pub fn tag(key: &str, value: &str) -> Tag {
    let tag = Tag::builder().tag_key(key).tag_value(value);
    tag.build().unwrap()
}

pub async fn have_tags(kms: &Client) {
    let call = kms.create_key().tags(tag("a", "1")).tags(tag("b", "2"));
    let key = create(call).await;
    let id = key.key_id();
    let call = kms.tag_resource().key_id(id);
    call.tags(tag("c", "3")).send().await.unwrap();
    let call = kms.untag_resource().key_id(id);
    call.tag_keys("a").send().await.unwrap();

    let pages = kms.list_resource_tags().key_id(id).into_paginator();
    let pages = pages.page_size(1).items().send();
    let mut tags = pages.try_collect().await.unwrap();
    tags.sort_by(|one, other| one.tag_key.cmp(&other.tag_key));
    assert_eq!(tags, [tag("b", "2"), tag("c", "3")]);

    let call = kms.tag_resource().key_id(id).tags(tag("aws:a", "1"));
    let message = refused(call.send().await, TagResourceError::is_tag_exception);
    assert_eq!(message, "Tags beginning with aws: are reserved");
}

pub async fn have_aliases(kms: &Client) {
    let (first, second) = (key(kms).await, key(kms).await);
    let name = format!("alias/rust-{}", first.key_id);
    let create = |key: &str| kms.create_alias().alias_name(&name).target_key_id(key);
    create(&first.key_id).send().await.unwrap();
    assert_eq!(describe(kms, &name).await.arn, first.arn);
    let answer = create(&second.key_id).send().await;
    let message = refused(answer, CreateAliasError::is_already_exists_exception);
    assert!(message.ends_with(&format!("{name} already exists")));

    let call = kms.update_alias().alias_name(&name);
    call.target_key_id(&second.key_id).send().await.unwrap();
    assert_eq!(describe(kms, &name).await.arn, second.arn);
    let call = kms.delete_alias().alias_name(&name);
    call.send().await.unwrap();
    let answer = kms.describe_key().key_id(&name).send().await;
    let message = refused(answer, DescribeKeyError::is_not_found_exception);
    assert!(message.ends_with(&format!("{name} is not found.")));
}

pub async fn have_aliases_in_pages(kms: &Client) {
    let key = key(kms).await;
    let names: Vec<_> = (0..5)
        .map(|n| format!("alias/rust-{}/{n}", key.key_id))
        .collect();
    for name in &names {
        let call = kms.create_alias().alias_name(name);
        call.target_key_id(&key.key_id).send().await.unwrap();
    }
    let pages = kms.list_aliases().key_id(&key.key_id).into_paginator();
    let pages = pages.page_size(2).send();
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    let sizes: Vec<_> = pages.iter().map(|page| page.aliases().len()).collect();
    assert_eq!(sizes, [2, 2, 1]);

    let mut aliases: Vec<_> = pages.iter().flat_map(|page| page.aliases()).collect();
    aliases.sort_by_key(|alias| alias.alias_name());
    assert_eq!(aliases.len(), names.len());
    for (alias, name) in aliases.into_iter().zip(&names) {
        assert_eq!(alias.alias_name(), Some(name.as_str()));
        assert!(alias.alias_arn().unwrap().ends_with(name));
        assert_eq!(alias.target_key_id(), Some(key.key_id()));
        assert_now(alias.creation_date());
        assert_now(alias.last_updated_date());
    }
}
