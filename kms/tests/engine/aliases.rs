//! Aliases.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{ACCOUNT, Client, REGION, START, Server, alias_arn, base64, key_arn, seconds};

const PAUSE: Duration = Duration::from_secs(5);

#[test]
fn an_alias_names_a_key_until_it_names_another() {
    let mut server = Server::new();
    let (first, second) = (server.create_key(), server.create_key());
    let request = json!({"AliasName": "alias/app/main_1-x", "TargetKeyId": first});
    server.call("CreateAlias", request).ok_empty();
    let target = |server: &mut Server| {
        let request = json!({"KeyId": "alias/app/main_1-x", "Plaintext": base64("x")});
        server.call("Encrypt", request).ok()["KeyId"].clone()
    };
    assert_eq!(target(&mut server), key_arn(&first));

    server.pass(PAUSE);
    let request = json!({"AliasName": "alias/app/main_1-x", "TargetKeyId": key_arn(&second)});
    server.call("UpdateAlias", request).ok_empty();
    assert_eq!(target(&mut server), key_arn(&second));
    let listed = server.call("ListAliases", json!({})).ok();
    assert_eq!(
        listed,
        json!({
            "Aliases": [{
                "AliasName": "alias/app/main_1-x",
                "AliasArn": alias_arn("alias/app/main_1-x"),
                "TargetKeyId": second,
                "CreationDate": seconds(START),
                "LastUpdatedDate": seconds(START + PAUSE),
            }],
            "Truncated": false,
        })
    );

    server
        .call("DeleteAlias", json!({"AliasName": "alias/app/main_1-x"}))
        .ok_empty();
    assert_eq!(
        server.call("ListAliases", json!({})).ok()["Aliases"],
        json!([])
    );
    let missing = format!("Alias {} is not found.", alias_arn("alias/app/main_1-x"));
    for (operation, request) in [
        ("DescribeKey", json!({"KeyId": "alias/app/main_1-x"})),
        ("DeleteAlias", json!({"AliasName": "alias/app/main_1-x"})),
        (
            "UpdateAlias",
            json!({"AliasName": "alias/app/main_1-x", "TargetKeyId": first}),
        ),
    ] {
        server
            .call(operation, request)
            .expect_error("NotFoundException", &missing);
    }
}

#[test]
fn alias_names_follow_awss_rules() {
    let mut server = Server::new();
    let id = server.create_key();
    for (name, code, message) in [
        (
            "ExampleAlias",
            "ValidationException",
            "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        ),
        (
            "alias/my:alias",
            "ValidationException",
            "alias/my:alias contains invalid characters for an alias",
        ),
    ] {
        for operation in ["CreateAlias", "UpdateAlias"] {
            let request = json!({"AliasName": name, "TargetKeyId": id});
            server.call(operation, request).expect_error(code, message);
        }
        let request = json!({"AliasName": name});
        server
            .call("DeleteAlias", request)
            .expect_error(code, message);
    }
    let request = json!({"AliasName": "alias/aws/s3", "TargetKeyId": id});
    assert_eq!(
        server.call("CreateAlias", request).error().0,
        "NotAuthorizedException"
    );
    let request = json!({"AliasName": "alias/a b", "TargetKeyId": id});
    let (code, message) = server.call("CreateAlias", request).error();
    assert_eq!(code, "ValidationException");
    assert!(
        message.contains("Value 'alias/a b' at 'aliasName'"),
        "{message}"
    );
}

#[test]
fn an_alias_is_unique_in_its_account_and_region() {
    let mut server = Server::new();
    let id = server.create_key();
    let request = json!({"AliasName": "alias/a", "TargetKeyId": id});
    server.call("CreateAlias", request.clone()).ok_empty();
    server.call("CreateAlias", request).expect_error(
        "AlreadyExistsException",
        &format!(
            "An alias with the name {} already exists",
            alias_arn("alias/a")
        ),
    );
    let elsewhere = Client::of("alice").in_region("us-west-2");
    let there = server.call_as(&elsewhere, "CreateKey", json!({})).ok();
    let request = json!({"AliasName": "alias/a", "TargetKeyId": there["KeyMetadata"]["KeyId"]});
    server
        .call_as(&elsewhere, "CreateAlias", request)
        .ok_empty();
}

#[test]
fn an_alias_needs_a_key_of_its_own_account_and_region() {
    let mut server = Server::new();
    let unknown = "00000000-0000-4000-8000-000000000000";
    let request = |target: &str| json!({"AliasName": "alias/a", "TargetKeyId": target});
    server.call("CreateAlias", request(unknown)).expect_error(
        "NotFoundException",
        &format!("Key '{}' does not exist", key_arn(unknown)),
    );
    server.call("CreateAlias", request("alias/b")).expect_error(
        "ValidationException",
        "Aliases must refer to keys. Not aliases",
    );
    let foreign = format!("arn:aws:kms:{REGION}:444455556666:key/{unknown}");
    let (code, _) = server.call("CreateAlias", request(&foreign)).error();
    assert_eq!(code, "AccessDeniedException");
}

#[test]
fn a_key_has_at_most_fifty_aliases() {
    let mut server = Server::new();
    let (full, other) = (server.create_key(), server.create_key());
    for number in 0..50 {
        let request = json!({"AliasName": format!("alias/{number}"), "TargetKeyId": full});
        server.call("CreateAlias", request).ok_empty();
    }
    let request = json!({"AliasName": "alias/50", "TargetKeyId": full});
    let (code, _) = server.call("CreateAlias", request).error();
    assert_eq!(code, "LimitExceededException");
    let request = json!({"AliasName": "alias/50", "TargetKeyId": other});
    server.call("CreateAlias", request).ok_empty();
    let request = json!({"AliasName": "alias/50", "TargetKeyId": full});
    let (code, _) = server.call("UpdateAlias", request).error();
    assert_eq!(code, "LimitExceededException");
    let request = json!({"AliasName": "alias/7", "TargetKeyId": full});
    server.call("UpdateAlias", request).ok_empty();
}

#[test]
fn an_alias_stays_with_keys_that_do_the_same() {
    let mut server = Server::new();
    let mut make = |spec: &str, usage: &str| server.create_key_of(spec, usage);
    let keys = [
        (0, make("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")),
        (0, make("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")),
        (1, make("RSA_2048", "ENCRYPT_DECRYPT")),
        (2, make("RSA_2048", "SIGN_VERIFY")),
        (2, make("ECC_NIST_P256", "SIGN_VERIFY")),
        (3, make("ECC_NIST_P256", "KEY_AGREEMENT")),
        (4, make("HMAC_256", "GENERATE_VERIFY_MAC")),
        (4, make("HMAC_512", "GENERATE_VERIFY_MAC")),
    ];
    for (kind, id) in &keys {
        let request = json!({"AliasName": "alias/a", "TargetKeyId": id});
        server.call("CreateAlias", request).ok_empty();
        for (other_kind, other) in &keys {
            let request = json!({"AliasName": "alias/a", "TargetKeyId": other});
            let answer = server.call("UpdateAlias", request);
            if kind == other_kind {
                answer.ok_empty();
            } else {
                answer.expect_error(
                    "ValidationException",
                    "The current and the new key of an alias must be of the same type and have the same key usage.",
                );
            }
        }
        let request = json!({"AliasName": "alias/a"});
        server.call("DeleteAlias", request).ok_empty();
    }
}

#[test]
fn aliases_are_listed_in_pages_and_by_key() {
    let mut server = Server::new();
    let (first, second) = (server.create_key(), server.create_key());
    for number in 0..60 {
        let target = if number % 3 == 0 { &first } else { &second };
        let request = json!({"AliasName": format!("alias/{number:02}"), "TargetKeyId": target});
        server.call("CreateAlias", request).ok_empty();
    }
    let page = server.call("ListAliases", json!({})).ok();
    assert_eq!(
        page["Aliases"].as_array().unwrap().len(),
        50,
        "AWS's default page"
    );
    assert_eq!(page["Truncated"], true);

    let all = list(&mut server, json!({"Limit": 7}));
    assert_eq!(
        all,
        (0..60).map(|n| format!("alias/{n:02}")).collect::<Vec<_>>()
    );
    for key in [first.clone(), key_arn(&first)] {
        let filtered = list(&mut server, json!({"Limit": 6, "KeyId": key}));
        let expected = (0..20)
            .map(|n| format!("alias/{:02}", n * 3))
            .collect::<Vec<_>>();
        assert_eq!(filtered, expected);
    }

    let marker = &server
        .call("ListAliases", json!({"Limit": 1, "KeyId": first}))
        .ok()["NextMarker"];
    let request = json!({"Marker": marker});
    let (code, _) = server.call("ListAliases", request).error();
    assert_eq!(code, "InvalidMarkerException", "made for another listing");
}

#[test]
fn an_alias_that_goes_away_between_pages_shifts_no_other() {
    let mut server = Server::new();
    let id = server.create_key();
    for name in ["alias/a", "alias/b", "alias/c"] {
        server
            .call("CreateAlias", json!({"AliasName": name, "TargetKeyId": id}))
            .ok_empty();
    }
    let page = server.call("ListAliases", json!({"Limit": 1})).ok();
    server
        .call("DeleteAlias", json!({"AliasName": "alias/a"}))
        .ok_empty();
    let rest = server
        .call("ListAliases", json!({"Marker": page["NextMarker"]}))
        .ok();
    assert_eq!(names(&rest), ["alias/b", "alias/c"]);
}

#[test]
fn a_page_of_aliases_has_at_most_100() {
    let mut server = Server::new();
    server.call("ListAliases", json!({"Limit": 100})).ok();
    server.call("ListAliases", json!({"Limit": 101})).expect_error(
        "ValidationException",
        "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100",
    );
}

#[test]
fn an_alias_in_another_account_is_denied_like_one_that_does_not_exist() {
    let mut server = Server::new();
    let id = server.create_key();
    server
        .call(
            "CreateAlias",
            json!({"AliasName": "alias/a", "TargetKeyId": id}),
        )
        .ok_empty();
    server.add_user("444455556666", "mallory", kms::principal::Access::Full);
    let mallory = Client::of("mallory");
    let mut denied = Vec::new();
    for name in ["alias/a", "alias/none"] {
        let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:{name}");
        denied.push(
            server
                .call_as(&mallory, "DescribeKey", json!({"KeyId": arn}))
                .error(),
        );
    }
    assert_eq!(denied[0].0, "AccessDeniedException");
    assert_eq!(denied[0], denied[1]);

    let mut denied = Vec::new();
    for id in [id.as_str(), "00000000-0000-4000-8000-000000000000"] {
        let request = json!({"KeyId": key_arn(id)});
        denied.push(server.call_as(&mallory, "ListAliases", request).error());
    }
    assert_eq!(denied[0].0, "AccessDeniedException");
    assert_eq!(denied[0], denied[1]);
}

fn list(server: &mut Server, mut request: Value) -> Vec<String> {
    let mut listed = Vec::new();
    loop {
        let page = server.call("ListAliases", request.clone()).ok();
        listed.extend(names(&page));
        match page.get("NextMarker") {
            Some(marker) => request["Marker"] = marker.clone(),
            None => return listed,
        }
    }
}

fn names(page: &Value) -> Vec<String> {
    let aliases = page["Aliases"].as_array().unwrap().iter();
    aliases
        .map(|alias| alias["AliasName"].as_str().unwrap().to_owned())
        .collect()
}
