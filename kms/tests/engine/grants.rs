//! Grants: made, listed, retired, revoked, and what they allow.

use kms::principal::Access;
use serde_json::{Value, json};

use crate::server::{ACCOUNT, Client, START, Server, base64, key_arn, seconds};

const OTHER_ACCOUNT: &str = "444455556666";

fn user_arn(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:user/{name}")
}

/// A server with `bob` and `carol`, who may do nothing, and a key of `alice`'s.
fn server() -> (Server, String) {
    let mut server = Server::new();
    for name in ["bob", "carol"] {
        server.add_user(ACCOUNT, name, Access::None);
    }
    let key = server.create_key();
    (server, key)
}

fn bob() -> Client {
    Client::of("bob")
}

/// Grants `bob` some operations and gives the grant's id and token.
fn grant(server: &mut Server, key: &str, operations: &[&str], more: Value) -> (String, String) {
    let mut request = json!({
        "KeyId": key, "GranteePrincipal": user_arn(ACCOUNT, "bob"), "Operations": operations,
    });
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    let answer = server.call("CreateGrant", request).ok();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("GrantId"), text("GrantToken"))
}

fn encrypt(key: &str, context: Value) -> Value {
    json!({"KeyId": key, "Plaintext": base64("x"), "EncryptionContext": context})
}

#[track_caller]
fn denied(server: &mut Server, client: &Client, operation: &str, request: Value) {
    let (code, _) = server.call_as(client, operation, request).error();
    assert_eq!(code, "AccessDeniedException");
}

#[test]
fn a_grant_allows_what_it_says_and_nothing_else() {
    let (mut server, key) = server();
    denied(&mut server, &bob(), "Encrypt", encrypt(&key, json!({})));
    let (id, _) = grant(&mut server, &key, &["Encrypt", "DescribeKey"], json!({}));
    assert_eq!(id.len(), 64);
    let answer = server.call_as(&bob(), "Encrypt", encrypt(&key, json!({})));
    let blob = answer.ok()["CiphertextBlob"].clone();
    server
        .call_as(&bob(), "DescribeKey", json!({"KeyId": key}))
        .ok();
    denied(
        &mut server,
        &bob(),
        "Decrypt",
        json!({"CiphertextBlob": blob}),
    );
    denied(&mut server, &bob(), "DisableKey", json!({"KeyId": key}));
    let carol = Client::of("carol");
    denied(&mut server, &carol, "Encrypt", encrypt(&key, json!({})));
    let other = server.create_key();
    denied(&mut server, &bob(), "Encrypt", encrypt(&other, json!({})));

    let revoke = json!({"KeyId": key, "GrantId": id});
    server.call("RevokeGrant", revoke.clone()).ok_empty();
    denied(&mut server, &bob(), "Encrypt", encrypt(&key, json!({})));
    server
        .call("RevokeGrant", revoke)
        .expect_error("NotFoundException", &format!("Grant ID {id} not found"));
}

#[test]
fn constraints_bind_a_grant_to_encryption_contexts() {
    let (mut server, key) = server();
    let constraints = json!({"EncryptionContextSubset": {"team": "storage"}});
    let operations = ["Encrypt", "Decrypt", "GenerateDataKey", "DescribeKey"];
    grant(
        &mut server,
        &key,
        &operations,
        json!({"Constraints": constraints}),
    );
    let good = json!({"team": "storage", "stage": "test"});
    let answer = server.call_as(&bob(), "Encrypt", encrypt(&key, good.clone()));
    let blob = answer.ok()["CiphertextBlob"].clone();
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": good});
    server.call_as(&bob(), "Decrypt", decrypt).ok();
    for context in [
        json!({}),
        json!({"team": "Storage"}),
        json!({"stage": "test"}),
    ] {
        denied(
            &mut server,
            &bob(),
            "Encrypt",
            encrypt(&key, context.clone()),
        );
        let request = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context});
        denied(&mut server, &bob(), "GenerateDataKey", request);
    }
    server
        .call_as(&bob(), "DescribeKey", json!({"KeyId": key}))
        .ok();
}

#[test]
fn listed_grants_have_awss_shape() {
    let (mut server, key) = server();
    let more = json!({
        "Name": "for-bob", "RetiringPrincipal": user_arn(ACCOUNT, "carol"),
        "Constraints": {"EncryptionContextEquals": {"a\"\\": "1\n"}},
    });
    let (id, _) = grant(&mut server, &key, &["Decrypt", "Encrypt", "Decrypt"], more);
    let answer = server
        .call("ListGrants", json!({"KeyId": key_arn(&key)}))
        .ok();
    let entry = json!({
        "KeyId": key_arn(&key), "GrantId": id, "Name": "for-bob", "CreationDate": seconds(START),
        "GranteePrincipal": user_arn(ACCOUNT, "bob"),
        "RetiringPrincipal": user_arn(ACCOUNT, "carol"),
        "IssuingAccount": format!("arn:aws:iam::{ACCOUNT}:root"),
        "Operations": ["Decrypt", "Encrypt"],
        "Constraints": {"EncryptionContextEquals": {"a\"\\": "1\n"}},
    });
    assert_eq!(answer, json!({"Grants": [entry], "Truncated": false}));
    let retirable = json!({"RetiringPrincipal": user_arn(ACCOUNT, "carol")});
    let answer = server.call("ListRetirableGrants", retirable).ok();
    assert_eq!(answer, json!({"Grants": [entry], "Truncated": false}));
    let retirable = json!({"RetiringPrincipal": user_arn(ACCOUNT, "bob")});
    let answer = server.call("ListRetirableGrants", retirable).ok();
    assert_eq!(answer, json!({"Grants": [], "Truncated": false}));
}

#[test]
fn listings_are_filtered_and_come_in_pages() {
    let (mut server, key) = server();
    let mut ids: Vec<_> = (0..5)
        .map(|_| grant(&mut server, &key, &["Decrypt"], json!({})).0)
        .collect();
    ids.sort();
    let carol = json!({"GranteePrincipal": user_arn(ACCOUNT, "carol")});
    let (of_carol, _) = grant(&mut server, &key, &["Decrypt"], carol.clone());
    let list = |server: &mut Server, more: Value| {
        let mut request = json!({"KeyId": key});
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        server.call("ListGrants", request).ok()
    };
    let ids_of = |page: &Value| -> Vec<String> {
        let grants = page["Grants"].as_array().unwrap().iter();
        grants
            .map(|grant| grant["GrantId"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids_of(&list(&mut server, carol)), [of_carol.as_str()]);
    assert_eq!(
        ids_of(&list(&mut server, json!({"GrantId": ids[2]}))),
        [ids[2].as_str()]
    );
    let bobs = json!({"GranteePrincipal": user_arn(ACCOUNT, "bob"), "Limit": 2});
    let mut found = Vec::new();
    let mut page = list(&mut server, bobs.clone());
    loop {
        found.extend(ids_of(&page));
        if page["Truncated"] == false {
            assert_eq!(page.get("NextMarker"), None);
            break;
        }
        let mut next = bobs.clone();
        next["Marker"] = page["NextMarker"].clone();
        page = list(&mut server, next);
    }
    assert_eq!(found, ids);
    let answer = server.call("ListGrants", json!({"KeyId": key, "Limit": 101}));
    assert_eq!(answer.error().0, "ValidationException");
}

#[test]
fn a_name_makes_it_the_same_grant() {
    let (mut server, key) = server();
    let named = json!({"Name": "same"});
    let (first, token) = grant(&mut server, &key, &["Decrypt"], named.clone());
    let (second, other_token) = grant(&mut server, &key, &["Decrypt"], named.clone());
    assert_eq!(first, second);
    assert_ne!(token, other_token);
    let (other, _) = grant(&mut server, &key, &["Encrypt"], named);
    assert_ne!(first, other);
    let (unnamed, _) = grant(&mut server, &key, &["Decrypt"], json!({}));
    let (again, _) = grant(&mut server, &key, &["Decrypt"], json!({}));
    assert_ne!(unnamed, again);
}

#[test]
fn those_whom_a_grant_names_may_retire_it() {
    let (mut server, key) = server();
    let carol = Client::of("carol");
    let retired_by_carol = json!({"RetiringPrincipal": user_arn(ACCOUNT, "carol")});

    let (id, token) = grant(&mut server, &key, &["Decrypt"], retired_by_carol);
    denied(
        &mut server,
        &bob(),
        "RetireGrant",
        json!({"GrantToken": token}),
    );
    let by_id = json!({"KeyId": key_arn(&key), "GrantId": id});
    denied(&mut server, &bob(), "RetireGrant", by_id.clone());
    denied(&mut server, &bob(), "RevokeGrant", by_id.clone());
    denied(&mut server, &carol, "RevokeGrant", by_id.clone());
    let mut dry = by_id.clone();
    dry["DryRun"] = true.into();
    let (code, _) = server.call_as(&carol, "RetireGrant", dry).error();
    assert_eq!(code, "DryRunOperationException");
    let answer = server.call_as(&carol, "RetireGrant", json!({"GrantToken": token}));
    answer.ok_empty();
    assert_eq!(answer.event["additionalEventData"]["grantId"], id.as_str());
    let by_token = json!({"GrantToken": token});
    let (code, _) = server.call_as(&carol, "RetireGrant", by_token).error();
    assert_eq!(code, "NotFoundException");
    let (code, _) = server.call("RetireGrant", by_id.clone()).error();
    assert_eq!(code, "NotFoundException");
    // It was the grant that let her.
    denied(&mut server, &carol, "RetireGrant", by_id);

    let (_, token) = grant(&mut server, &key, &["Decrypt", "RetireGrant"], json!({}));
    server
        .call_as(&bob(), "RetireGrant", json!({"GrantToken": token}))
        .ok_empty();
    let (_, token) = grant(&mut server, &key, &["Decrypt"], json!({}));
    server
        .call("RetireGrant", json!({"GrantToken": token}))
        .ok_empty();
}

#[test]
fn a_grant_may_be_passed_on_but_not_widened() {
    let (mut server, key) = server();
    let constraints = json!({"EncryptionContextSubset": {"a": "1"}});
    let more = json!({"Constraints": constraints});
    grant(&mut server, &key, &["Decrypt", "CreateGrant"], more);
    let pass_on = |operations: Value, constraints: Value| {
        json!({
            "KeyId": key, "GranteePrincipal": user_arn(ACCOUNT, "carol"),
            "Operations": operations, "Constraints": constraints,
        })
    };
    denied(
        &mut server,
        &bob(),
        "CreateGrant",
        pass_on(json!(["Decrypt"]), json!({})),
    );
    denied(
        &mut server,
        &bob(),
        "CreateGrant",
        pass_on(json!(["Encrypt"]), constraints.clone()),
    );
    let request = pass_on(json!(["Decrypt"]), constraints);
    server.call_as(&bob(), "CreateGrant", request).ok();
    let blob = server
        .call("Encrypt", encrypt(&key, json!({"a": "1"})))
        .ok()["CiphertextBlob"]
        .clone();
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "1"}});
    server
        .call_as(&Client::of("carol"), "Decrypt", decrypt)
        .ok();
}

#[test]
fn grants_cross_accounts_for_those_whose_own_account_lets_them() {
    let (mut server, key) = server();
    server.add_user(OTHER_ACCOUNT, "dave", Access::Full);
    server.add_user(OTHER_ACCOUNT, "erin", Access::None);
    let arn = key_arn(&key);
    for (name, allowed) in [("dave", true), ("erin", false)] {
        let client = Client::of(name);
        denied(&mut server, &client, "Encrypt", encrypt(&arn, json!({})));
        let grantee = json!({"GranteePrincipal": user_arn(OTHER_ACCOUNT, name)});
        grant(&mut server, &key, &["Encrypt"], grantee);
        let answer = server.call_as(&client, "Encrypt", encrypt(&arn, json!({})));
        assert_eq!(answer.status == 200, allowed, "{name}");
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let (mut server, key) = server();
    let bob_arn = user_arn(ACCOUNT, "bob");
    let nobody = user_arn(ACCOUNT, "nobody");
    let base = json!({"KeyId": key, "GranteePrincipal": bob_arn, "Operations": ["Decrypt"]});
    let with = |name: &str, value: Value| {
        let mut request = base.clone();
        request[name] = value;
        request
    };
    let long = "v".repeat(385);
    let nine: serde_json::Map<_, _> = (0..9).map(|n| (n.to_string(), "v".into())).collect();
    for (request, code) in [
        (with("GranteePrincipal", Value::Null), "ValidationException"),
        (
            with("GranteePrincipal", "not an arn!".into()),
            "ValidationException",
        ),
        (
            with("GranteePrincipal", "bob".into()),
            "InvalidArnException",
        ),
        (
            with("GranteePrincipal", nobody.clone().into()),
            "InvalidArnException",
        ),
        (
            with("RetiringPrincipal", nobody.into()),
            "InvalidArnException",
        ),
        (
            with("Operations", json!(["Decrypt", "Sign"])),
            "ValidationException",
        ),
        (with("Operations", json!(["Sing"])), "ValidationException"),
        (
            with("GranteeServicePrincipal", "a.b.c".into()),
            "ValidationException",
        ),
        (
            with(
                "Constraints",
                json!({"EncryptionContextSubset": {"k": long}}),
            ),
            "ValidationException",
        ),
        (
            with("Constraints", json!({"EncryptionContextEquals": nine})),
            "ValidationException",
        ),
        (
            with(
                "Constraints",
                json!({"SourceArn": "arn:aws:s3:::an-example-bucket"}),
            ),
            "ValidationException",
        ),
        (with("KeyId", "alias/a".into()), "InvalidArnException"),
        (with("Operations", json!([])), "ValidationException"),
        (
            with("Operations", json!(["CreateGrant"])),
            "ValidationException",
        ),
        (
            with(
                "Constraints",
                json!({"EncryptionContextEquals": {"a": "b"}, "EncryptionContextSubset": {"a": "b"}}),
            ),
            "ValidationException",
        ),
        (with("DryRun", true.into()), "DryRunOperationException"),
    ] {
        let (answered, message) = server.call("CreateGrant", request.clone()).error();
        assert_eq!(answered, code, "{request}: {message}");
    }
    let none = server.call("ListGrants", json!({"KeyId": key})).ok();
    assert_eq!(none["Grants"], json!([]));
    for request in [
        json!({}),
        json!({"KeyId": key}),
        json!({"GrantToken": "x", "KeyId": key, "GrantId": "y"}),
    ] {
        server.call("RetireGrant", request).expect_error(
            "ValidationException",
            "Grant token OR (grant ID, key ID) must be specified",
        );
    }
    for token in ["bogus", &"A".repeat(8192)] {
        let (code, _) = server
            .call("RetireGrant", json!({"GrantToken": token}))
            .error();
        assert_eq!(code, "InvalidGrantTokenException");
    }
    let request = json!({"KeyId": key, "GrantId": "short"});
    assert_eq!(
        server.call("RevokeGrant", request).error().0,
        "InvalidGrantIdException"
    );
}

#[test]
fn a_service_may_stand_in_the_place_of_a_principal() {
    let (mut server, key) = server();
    let service = "dynamodb.us-west-1.amazonaws.com";
    let request = json!({
        "KeyId": key, "GranteePrincipal": service, "RetiringPrincipal": service,
        "Operations": ["Encrypt", "Decrypt"],
    });
    server.call("CreateGrant", request).ok();
    let grants = server.call("ListGrants", json!({"KeyId": key})).ok();
    let grant = &grants["Grants"][0];
    assert_eq!(grant["GranteePrincipal"], service);
    assert_eq!(grant["RetiringPrincipal"], service);
    for other in ["dynamodb.example.com", "amazonaws.com", "a b.amazonaws.com"] {
        let request = json!({"KeyId": key, "GranteePrincipal": other, "Operations": ["Decrypt"]});
        server.call("CreateGrant", request).error();
    }
}

#[test]
fn a_forged_token_is_refused() {
    let (mut server, key) = server();
    let (_, token) = grant(&mut server, &key, &["Encrypt"], json!({}));
    let mut forged = token.clone().into_bytes();
    let last = forged.len() - 1;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let with_token = |token: &str| {
        let mut request = encrypt(&key, json!({}));
        request["GrantTokens"] = json!([token]);
        request
    };
    server.call_as(&bob(), "Encrypt", with_token(&token)).ok();
    for none in [&forged, "AQpAM2RhZ", "no base64"] {
        let (code, _) = server.call("Encrypt", with_token(none)).error();
        assert_eq!(code, "InvalidGrantTokenException");
    }
    let (code, _) = server
        .call("RetireGrant", json!({"GrantToken": forged}))
        .error();
    assert_eq!(code, "InvalidGrantTokenException");
}

#[test]
fn a_key_must_be_enabled_to_be_granted_but_its_grants_stay() {
    let (mut server, key) = server();
    let (id, _) = grant(&mut server, &key, &["Decrypt"], json!({}));
    server.call("DisableKey", json!({"KeyId": key})).ok_empty();
    let request = json!({
        "KeyId": key, "GranteePrincipal": user_arn(ACCOUNT, "bob"), "Operations": ["Decrypt"],
    });
    let (code, _) = server.call("CreateGrant", request).error();
    assert_eq!(code, "DisabledException");
    server
        .call("ScheduleKeyDeletion", json!({"KeyId": key}))
        .ok();
    let grants = server.call("ListGrants", json!({"KeyId": key})).ok();
    assert_eq!(grants["Grants"][0]["GrantId"], id.as_str());
    server
        .call("RevokeGrant", json!({"KeyId": key, "GrantId": id}))
        .ok_empty();
}
