//! Custom key stores: there are none, and none can be made.

use kms::principal::Access;
use serde_json::{Value, json};

use crate::server::{Client, Server};

const STORE: &str = "cks-1234567890abcdef0";
const PASSWORD: &str = "kmsPswd-never-shown";
const SECRET: &str = "DXjSUawnel2fr6SKC7G25CNxTyWKE5PF9XX6H/u9pSo=";
const CLUSTER: &str = "cluster-1a23b4cdefg";

fn cloud_hsm() -> Value {
    json!({
        "CustomKeyStoreName": "ours",
        "CloudHsmClusterId": "cluster-2a23b4cdefg",
        "KeyStorePassword": PASSWORD,
        "TrustAnchorCertificate": "-----BEGIN CERTIFICATE-----",
    })
}

fn external() -> Value {
    json!({
        "CustomKeyStoreName": "ours",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyUriEndpoint": "https://myproxy.xks.example.com",
        "XksProxyUriPath": "/example-prefix/kms/xks/v1",
        "XksProxyAuthenticationCredential": {
            "AccessKeyId": "ABCDE12345670EXAMPLE".replace(['0', '1'], "2"),
            "RawSecretAccessKey": SECRET,
        },
    })
}

fn with(mut request: Value, member: &str, value: Value) -> Value {
    request[member] = value;
    request
}

#[test]
fn a_list_of_none() {
    let mut server = Server::new();
    let answer = server.call("DescribeCustomKeyStores", json!({"Limit": 1000}));
    assert_eq!(
        answer.ok(),
        json!({"CustomKeyStores": [], "Truncated": false})
    );
    let (code, _) = server
        .call("DescribeCustomKeyStores", json!({"Marker": "AAAA"}))
        .error();
    assert_eq!(code, "InvalidMarkerException");
    let both = json!({"CustomKeyStoreId": STORE, "CustomKeyStoreName": "ours"});
    let (code, _) = server.call("DescribeCustomKeyStores", both).error();
    assert_eq!(code, "ValidationException");
}

#[test]
fn no_store_is_found() {
    let mut server = Server::new();
    let id = json!({"CustomKeyStoreId": STORE});
    for (operation, request, store) in [
        ("DescribeCustomKeyStores", id.clone(), STORE),
        (
            "DescribeCustomKeyStores",
            json!({"CustomKeyStoreName": "ours"}),
            "ours",
        ),
        ("ConnectCustomKeyStore", id.clone(), STORE),
        ("DisconnectCustomKeyStore", id.clone(), STORE),
        ("DeleteCustomKeyStore", id.clone(), STORE),
        (
            "UpdateCustomKeyStore",
            with(id, "KeyStorePassword", PASSWORD.into()),
            STORE,
        ),
    ] {
        server.call(operation, request).expect_error(
            "CustomKeyStoreNotFoundException",
            &format!("Custom key store {store} is not found."),
        );
    }
}

#[test]
fn no_store_is_made() {
    let mut server = Server::new();
    server
        .call("CreateCustomKeyStore", cloud_hsm())
        .expect_error(
            "CloudHsmClusterNotFoundException",
            "CloudHSM cluster cluster-2a23b4cdefg is not found.",
        );
    server
        .call("CreateCustomKeyStore", external())
        .expect_error(
            "XksProxyUriUnreachableException",
            "This server does not reach external key store proxies.",
        );
    let service = "com.amazonaws.vpce.us-east-1.vpce-svc-example1example2";
    let request = with(
        external(),
        "XksProxyConnectivity",
        "VPC_ENDPOINT_SERVICE".into(),
    );
    server
        .call("CreateCustomKeyStore", request.clone())
        .expect_error(
            "ValidationException",
            "XksProxyVpcEndpointServiceName is required.",
        );
    let request = with(request, "XksProxyVpcEndpointServiceName", service.into());
    let (code, _) = server.call("CreateCustomKeyStore", request).error();
    assert_eq!(code, "XksProxyVpcEndpointServiceNotFoundException");
}

#[test]
fn each_kind_of_store_has_members_of_its_own() {
    let mut server = Server::new();
    for member in [
        "CloudHsmClusterId",
        "KeyStorePassword",
        "TrustAnchorCertificate",
    ] {
        let request = with(cloud_hsm(), member, Value::Null);
        server
            .call("CreateCustomKeyStore", request)
            .expect_error("ValidationException", &format!("{member} is required."));
        let request = with(external(), member, cloud_hsm()[member].clone());
        let (code, _) = server.call("CreateCustomKeyStore", request).error();
        assert_eq!(code, "ValidationException", "{member}");
    }
    for member in [
        "XksProxyConnectivity",
        "XksProxyUriEndpoint",
        "XksProxyUriPath",
        "XksProxyAuthenticationCredential",
    ] {
        let request = with(external(), member, Value::Null);
        server
            .call("CreateCustomKeyStore", request)
            .expect_error("ValidationException", &format!("{member} is required."));
        let request = with(cloud_hsm(), member, external()[member].clone());
        let (code, _) = server.call("CreateCustomKeyStore", request).error();
        assert_eq!(code, "ValidationException", "{member}");
    }
}

#[test]
fn members_are_held_to_the_model() {
    let mut server = Server::new();
    let secret = "Value at 'xksProxyAuthenticationCredential.rawSecretAccessKey'";
    let too_short =
        "failed to satisfy constraint: Member must have length greater than or equal to";
    let pattern = "failed to satisfy constraint: Member must satisfy regular expression pattern:";
    for (member, value, expected) in [
        (
            "CloudHsmClusterId",
            json!("cluster-1234567890a"),
            format!(
                "Value 'cluster-1234567890a' at 'cloudHsmClusterId' {pattern} cluster-[2-7a-zA-Z]{{11,16}}"
            ),
        ),
        (
            "KeyStorePassword",
            json!("secret"),
            format!("Value at 'keyStorePassword' {too_short} 7"),
        ),
        (
            "XksProxyUriEndpoint",
            json!("http://myproxy.example.com"),
            format!(
                "Value 'http://myproxy.example.com' at 'xksProxyUriEndpoint' {pattern} ^https://[a-zA-Z0-9.-]+$"
            ),
        ),
        (
            "XksProxyUriPath",
            json!("/kms/xks/v100"),
            format!(
                r"Value '/kms/xks/v100' at 'xksProxyUriPath' {pattern} ^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{{1,2}})$|^(/kms/xks/v\d{{1,2}})$"
            ),
        ),
        (
            "XksProxyVpcEndpointServiceName",
            json!("com.amazonaws.vpce.us-east-1.vpce-svc-"),
            format!(
                r"Value 'com.amazonaws.vpce.us-east-1.vpce-svc-' at 'xksProxyVpcEndpointServiceName' {pattern} ^(com|eu)\.amazonaws\.vpce\.([a-z]+-){{2,3}}\d+\.vpce-svc-[0-9a-z]+$"
            ),
        ),
        (
            "XksProxyVpcEndpointServiceOwner",
            json!("11112222333x"),
            format!(
                "Value '11112222333x' at 'xksProxyVpcEndpointServiceOwner' {pattern} [0-9]{{12}}"
            ),
        ),
        (
            "XksProxyAuthenticationCredential",
            json!({"AccessKeyId": "A".repeat(20), "RawSecretAccessKey": "x".repeat(42)}),
            format!("{secret} {too_short} 43"),
        ),
        (
            "XksProxyAuthenticationCredential",
            json!({"AccessKeyId": "A".repeat(20)}),
            format!("{secret} failed to satisfy constraint: Member must not be null"),
        ),
    ] {
        let request = with(json!({"CustomKeyStoreId": STORE}), member, value);
        server.call("UpdateCustomKeyStore", request).expect_error(
            "ValidationException",
            &format!("1 validation error detected: {expected}"),
        );
    }
    // What the patterns allow.
    for (member, value) in [
        ("CloudHsmClusterId", json!("cluster-2a23b4cdefg")),
        ("XksProxyUriPath", json!("/kms/xks/v1")),
        ("XksProxyUriPath", json!("/a/b_c-d/kms/xks/v12")),
        (
            "XksProxyVpcEndpointServiceName",
            json!("eu.amazonaws.vpce.us-gov-west-1.vpce-svc-0example"),
        ),
    ] {
        let request = with(json!({"CustomKeyStoreId": STORE}), member, value);
        let (code, message) = server.call("UpdateCustomKeyStore", request).error();
        assert_eq!(code, "CustomKeyStoreNotFoundException", "{message}");
    }
    let (code, _) = server
        .call(
            "UpdateCustomKeyStore",
            with(
                json!({"CustomKeyStoreId": STORE}),
                "CloudHsmClusterId",
                CLUSTER.into(),
            ),
        )
        .error();
    assert_eq!(code, "ValidationException", "the model has no digit 1");
}

#[test]
fn the_audit_trail_has_no_password_and_no_credential() {
    let mut server = Server::new();
    let answer = server.call("CreateCustomKeyStore", cloud_hsm());
    assert_eq!(answer.event["readOnly"], false);
    assert_eq!(
        answer.event["requestParameters"],
        json!({
            "customKeyStoreName": "ours",
            "cloudHsmClusterId": "cluster-2a23b4cdefg",
            "trustAnchorCertificate": "-----BEGIN CERTIFICATE-----",
        })
    );
    let answer = server.call("CreateCustomKeyStore", external());
    assert_eq!(
        answer.event["requestParameters"],
        json!({
            "customKeyStoreName": "ours",
            "customKeyStoreType": "EXTERNAL_KEY_STORE",
            "xksProxyConnectivity": "PUBLIC_ENDPOINT",
            "xksProxyUriEndpoint": "https://myproxy.xks.example.com",
            "xksProxyUriPath": "/example-prefix/kms/xks/v1",
        })
    );
    let request = with(external(), "CustomKeyStoreId", STORE.into());
    let request = with(request, "KeyStorePassword", PASSWORD.into());
    server.call("UpdateCustomKeyStore", request).error();
    for line in &server.events {
        assert!(!line.contains(PASSWORD) && !line.contains(SECRET), "{line}");
        assert!(!line.contains("ABCDE"), "{line}");
    }
}

#[test]
fn whoever_may_not_ask_is_not_answered() {
    let mut server = Server::new();
    server.add_user("111122223333", "bob", Access::None);
    let id = json!({"CustomKeyStoreId": STORE});
    for (operation, request) in [
        ("CreateCustomKeyStore", cloud_hsm()),
        ("CreateCustomKeyStore", external()),
        ("DescribeCustomKeyStores", json!({})),
        ("ConnectCustomKeyStore", id.clone()),
        ("DisconnectCustomKeyStore", id.clone()),
        ("DeleteCustomKeyStore", id.clone()),
        ("UpdateCustomKeyStore", id),
    ] {
        let (code, message) = server
            .call_as(&Client::of("bob"), operation, request)
            .error();
        assert_eq!(code, "AccessDeniedException");
        let expected = format!("not authorized to perform: kms:{operation} on resource: *");
        assert!(message.contains(&expected), "{message}");
    }
}
