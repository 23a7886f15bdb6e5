//! Key policies and grants.

use std::collections::HashMap;

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::create_grant::{CreateGrantError, CreateGrantOutput};
use aws_sdk_kms::operation::put_key_policy::PutKeyPolicyError;
use aws_sdk_kms::operation::retire_grant::RetireGrantError;
use aws_sdk_kms::operation::revoke_grant::RevokeGrantError;
use aws_sdk_kms::types::{GrantConstraints, GrantOperation, KeyMetadata};
use serde_json::Value;

use crate::refusals::refused;
use crate::sdk::{assert_now, key, root};

pub async fn are_read_and_written(kms: &Client) {
    let key = key(kms).await;
    let mut policy = policy_of(kms, &key).await;
    let statement = &mut policy["Statement"][0];
    assert_eq!(statement["Principal"]["AWS"], root(&key));
    statement["Sid"] = "from Rust".into();
    let put = kms.put_key_policy().key_id(&key.key_id);
    let call = put.clone().policy(policy.to_string());
    call.send().await.unwrap();
    assert_eq!(policy_of(kms, &key).await, policy);

    let pages = kms.list_key_policies().key_id(&key.key_id);
    let pages = pages.into_paginator().items().send();
    assert_eq!(pages.try_collect().await.unwrap(), ["default"]);
    let answer = put.policy("{}").send().await;
    refused(
        answer,
        PutKeyPolicyError::is_malformed_policy_document_exception,
    );
}

async fn policy_of(kms: &Client, key: &KeyMetadata) -> Value {
    let call = kms.get_key_policy().key_id(&key.key_id);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.policy_name(), Some("default"));
    serde_json::from_str(answer.policy().unwrap()).unwrap()
}

fn tenant() -> HashMap<String, String> {
    HashMap::from([("tenant".to_owned(), "a".to_owned())])
}

async fn grant(kms: &Client, key: &KeyMetadata, name: &str) -> CreateGrantOutput {
    let constraints = GrantConstraints::builder();
    let constraints = constraints.set_encryption_context_equals(Some(tenant()));
    let call = kms.create_grant().key_id(&key.key_id).name(name);
    let call = call.grantee_principal(root(key));
    let call = call.retiring_principal(root(key));
    let call = call.operations(GrantOperation::Decrypt);
    let call = call.constraints(constraints.build());
    call.send().await.unwrap()
}

pub async fn have_grants_in_pages(kms: &Client) {
    let key = key(kms).await;
    for n in 0..5 {
        grant(kms, &key, &format!("grant-{n}")).await;
    }
    let pages = kms.list_grants().key_id(&key.key_id).into_paginator();
    let pages = pages.page_size(2).items().send();
    let mut grants = pages.try_collect().await.unwrap();
    grants.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(grants.len(), 5);
    for (n, grant) in grants.iter().enumerate() {
        assert_eq!(grant.name(), Some(format!("grant-{n}").as_str()));
        assert_eq!(grant.key_id, key.arn);
        assert_eq!(grant.grantee_principal(), Some(root(&key).as_str()));
        assert_eq!(grant.issuing_account(), Some(root(&key).as_str()));
        assert_eq!(grant.operations(), [GrantOperation::Decrypt]);
        let constraints = grant.constraints().unwrap();
        assert_eq!(constraints.encryption_context_equals(), Some(&tenant()));
        assert_now(grant.creation_date());
    }
}

pub async fn have_grants_that_end(kms: &Client) {
    let key = key(kms).await;
    let retired = grant(kms, &key, "retired").await;
    let revoked = grant(kms, &key, "revoked").await;
    assert!(can_be_retired(kms, &key, retired.grant_id()).await);
    let call = kms.retire_grant().set_grant_token(retired.grant_token);
    let answer = call.clone().dry_run(true).send().await;
    refused(answer, RetireGrantError::is_dry_run_operation_exception);
    call.send().await.unwrap();
    assert!(!can_be_retired(kms, &key, retired.grant_id.as_deref()).await);

    let call = kms.revoke_grant().key_id(&key.key_id);
    let call = call.set_grant_id(revoked.grant_id);
    call.clone().send().await.unwrap();
    let answer = call.send().await;
    refused(answer, RevokeGrantError::is_not_found_exception);
    let left = kms.list_grants().key_id(&key.key_id).send().await.unwrap();
    assert_eq!(left.grants(), []);
    assert!(!left.truncated);

    let call = kms.create_grant().key_id(&key.key_id);
    let call = call.operations(GrantOperation::Decrypt);
    let answer = call.grantee_principal("nobody").send().await;
    refused(answer, CreateGrantError::is_invalid_arn_exception);
}

async fn can_be_retired(kms: &Client, key: &KeyMetadata, grant: Option<&str>) -> bool {
    let call = kms.list_retirable_grants().retiring_principal(root(key));
    let pages = call.into_paginator().page_size(3).items().send();
    let grants = pages.try_collect().await.unwrap();
    grants.iter().any(|listed| listed.grant_id() == grant)
}
