//! There are none: AWS's own errors for that.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::connect_custom_key_store::ConnectCustomKeyStoreError;
use aws_sdk_kms::operation::create_custom_key_store::CreateCustomKeyStoreError;
use aws_sdk_kms::operation::create_key::CreateKeyError;
use aws_sdk_kms::operation::delete_custom_key_store::DeleteCustomKeyStoreError;
use aws_sdk_kms::operation::describe_custom_key_stores::DescribeCustomKeyStoresError;
use aws_sdk_kms::operation::disconnect_custom_key_store::DisconnectCustomKeyStoreError;
use aws_sdk_kms::operation::update_custom_key_store::UpdateCustomKeyStoreError;
use aws_sdk_kms::types::{
    CustomKeyStoreType, OriginType, XksProxyAuthenticationCredentialType, XksProxyConnectivityType,
};

use crate::refusals::refused;

const ID: &str = "cks-1234567890abcdef0";

pub async fn are_none(kms: &Client) {
    let pages = kms.describe_custom_key_stores().into_paginator();
    assert_eq!(pages.items().send().try_collect().await.unwrap(), []);

    let call = kms.describe_custom_key_stores().custom_key_store_id(ID);
    let expected = DescribeCustomKeyStoresError::is_custom_key_store_not_found_exception;
    assert_not_found(refused(call.send().await, expected));
    let call = kms.connect_custom_key_store().custom_key_store_id(ID);
    let expected = ConnectCustomKeyStoreError::is_custom_key_store_not_found_exception;
    assert_not_found(refused(call.send().await, expected));
    let call = kms.disconnect_custom_key_store().custom_key_store_id(ID);
    let expected = DisconnectCustomKeyStoreError::is_custom_key_store_not_found_exception;
    assert_not_found(refused(call.send().await, expected));
    let call = kms.update_custom_key_store().custom_key_store_id(ID);
    let expected = UpdateCustomKeyStoreError::is_custom_key_store_not_found_exception;
    assert_not_found(refused(call.send().await, expected));
    let call = kms.delete_custom_key_store().custom_key_store_id(ID);
    let expected = DeleteCustomKeyStoreError::is_custom_key_store_not_found_exception;
    assert_not_found(refused(call.send().await, expected));
    let call = kms.create_key().origin(OriginType::AwsCloudhsm);
    let call = call.custom_key_store_id(ID);
    let expected = CreateKeyError::is_custom_key_store_not_found_exception;
    assert_not_found(refused(call.send().await, expected));
}

fn assert_not_found(message: String) {
    assert_eq!(message, format!("Custom key store {ID} is not found."));
}

pub async fn cannot_be_made(kms: &Client) {
    let call = kms.create_custom_key_store().custom_key_store_name("store");
    let of_cloudhsm = call
        .clone()
        .cloud_hsm_cluster_id("cluster-2a23b4cdefg")
        .key_store_password("password1")
        .trust_anchor_certificate("-----BEGIN CERTIFICATE-----");
    refused(
        of_cloudhsm.send().await,
        CreateCustomKeyStoreError::is_cloud_hsm_cluster_not_found_exception,
    );
    let credential = XksProxyAuthenticationCredentialType::builder()
        .access_key_id("ABCDE23456723EXAMPLE")
        .raw_secret_access_key("DXjSUawnel2fr6SKC7G25CNxTyWKE5PF9XX6H/u9pSo=")
        .build()
        .unwrap();
    let external = call
        .xks_proxy_authentication_credential(credential)
        .custom_key_store_type(CustomKeyStoreType::ExternalKeyStore)
        .xks_proxy_connectivity(XksProxyConnectivityType::PublicEndpoint)
        .xks_proxy_uri_endpoint("https://proxy.example")
        .xks_proxy_uri_path("/kms/xks/v1");
    refused(
        external.send().await,
        CreateCustomKeyStoreError::is_xks_proxy_uri_unreachable_exception,
    );
}
