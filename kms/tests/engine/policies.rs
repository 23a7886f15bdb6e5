//! Key policies: put, got, and decided by.

use kms::principal::Access;
use serde_json::{Value, json};

use crate::attested;
use crate::server::{ACCOUNT, Answer, Client, Server, base64, key_arn};

const OTHER_ACCOUNT: &str = "444455556666";

fn root() -> String {
    format!("arn:aws:iam::{ACCOUNT}:root")
}

fn user(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

/// A policy that leaves everything to the account, and these statements.
fn policy(statements: &[Value]) -> String {
    let delegation = json!({
        "Sid": "account", "Effect": "Allow", "Principal": {"AWS": root()}, "Action": "kms:*",
        "Resource": "*",
    });
    let statements: Vec<_> = std::iter::once(&delegation).chain(statements).collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn allow(name: &str, action: &str) -> Value {
    json!({
        "Sid": format!("for-{name}"), "Effect": "Allow", "Principal": {"AWS": user(name)},
        "Action": action, "Resource": "*",
    })
}

fn deny(action: &str, condition: Value) -> Value {
    json!({
        "Sid": "never", "Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*",
        "Condition": condition,
    })
}

fn with_condition(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

/// A server with `bob` and `carol`, who may do nothing.
fn server() -> Server {
    let mut server = attested::server();
    for name in ["bob", "carol"] {
        server.add_user(ACCOUNT, name, Access::None);
    }
    server
}

fn bob() -> Client {
    Client::of("bob")
}

fn create_key(server: &mut Server, policy: &str) -> String {
    let answer = server.call("CreateKey", json!({"Policy": policy})).ok();
    answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

fn put(server: &mut Server, key: &str, policy: &str) -> Answer {
    server.call("PutKeyPolicy", json!({"KeyId": key, "Policy": policy}))
}

fn encrypt(key: &str, context: Value) -> Value {
    json!({"KeyId": key, "Plaintext": base64("x"), "EncryptionContext": context})
}

#[track_caller]
fn denied(answer: &Answer, why: &str) {
    let (code, message) = answer.error();
    assert_eq!(code, "AccessDeniedException");
    assert!(message.ends_with(why), "{message}");
}

#[test]
fn a_policy_is_given_back_as_it_was_put() {
    let mut server = server();
    let key = server.create_key();
    let get = json!({"KeyId": key, "PolicyName": "default"});
    let default = server.call("GetKeyPolicy", get.clone()).ok();
    assert_eq!(default["PolicyName"], "default");
    let text = default["Policy"].as_str().unwrap();
    assert!(text.contains("\"Version\" : \"2012-10-17\""), "{text}");
    put(&mut server, &key, text).ok_empty();

    let text = format!("  {}\n", policy(&[allow("bob", "kms:Encrypt")]));
    put(&mut server, &key, &text).ok_empty();
    let got = server
        .call("GetKeyPolicy", json!({"KeyId": key_arn(&key)}))
        .ok();
    assert_eq!(got["Policy"], text.as_str());
    let names = server.call("ListKeyPolicies", json!({"KeyId": key})).ok();
    assert_eq!(
        names,
        json!({"PolicyNames": ["default"], "Truncated": false})
    );
    let other = json!({"KeyId": key, "PolicyName": "other"});
    let (code, _) = server.call("GetKeyPolicy", other).error();
    assert_eq!(code, "NotFoundException");
}

#[test]
fn a_policy_allows_principals_that_have_no_rights_of_their_own() {
    let mut server = server();
    let key = create_key(&mut server, &policy(&[allow("bob", "kms:Encrypt*")]));
    let answer = server.call_as(&bob(), "Encrypt", encrypt(&key, json!({})));
    answer.ok();
    let basis = &answer.event["additionalEventData"]["authorization"]["kms:Encrypt"];
    assert_eq!(
        basis,
        "statement 1 (for-bob) of the resource's policy allows it"
    );
    let carol = Client::of("carol");
    let answer = server.call_as(&carol, "Encrypt", encrypt(&key, json!({})));
    denied(
        &answer,
        "because no identity-based policy allows the kms:Encrypt action",
    );

    put(&mut server, &key, &policy(&[])).ok_empty();
    let answer = server.call_as(&bob(), "Encrypt", encrypt(&key, json!({})));
    denied(
        &answer,
        "because no identity-based policy allows the kms:Encrypt action",
    );
}

#[test]
fn without_the_account_in_it_a_policy_is_all_there_is() {
    let mut server = server();
    let only_bob = json!({
        "Statement": {"Effect": "Allow", "Principal": {"AWS": user("bob")}, "Action": "kms:*", "Resource": "*"},
    });
    let request = json!({
        "Policy": only_bob.to_string(), "BypassPolicyLockoutSafetyCheck": true,
    });
    let answer = server.call("CreateKey", request).ok();
    let key = answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let answer = server.call("Encrypt", encrypt(&key, json!({})));
    denied(
        &answer,
        "because no resource-based policy allows the kms:Encrypt action",
    );
    server
        .call_as(&bob(), "Encrypt", encrypt(&key, json!({})))
        .ok();
    let request = json!({"KeyId": key, "Policy": policy(&[])});
    server.call_as(&bob(), "PutKeyPolicy", request).ok_empty();
    server.call("Encrypt", encrypt(&key, json!({}))).ok();
}

#[test]
fn a_deny_is_final() {
    let mut server = server();
    let statements = [
        allow("bob", "kms:*"),
        deny(
            "kms:Decrypt",
            json!({"StringNotEquals": {"kms:EncryptionContext:stage": "test"}}),
        ),
    ];
    let key = create_key(&mut server, &policy(&statements));
    let context = json!({"stage": "production"});
    let blob =
        server.call("Encrypt", encrypt(&key, context.clone())).ok()["CiphertextBlob"].clone();
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": context, "KeyId": key});
    for client in [Client::of("alice"), bob()] {
        let answer = server.call_as(&client, "Decrypt", decrypt.clone());
        denied(&answer, "with an explicit deny in a resource-based policy");
    }
    // Not even a grant helps.
    let grant = json!({"KeyId": key, "GranteePrincipal": user("carol"), "Operations": ["Decrypt"]});
    server.call("CreateGrant", grant).ok();
    let answer = server.call_as(&Client::of("carol"), "Decrypt", decrypt);
    denied(&answer, "with an explicit deny in a resource-based policy");
    let good = json!({"stage": "test"});
    let blob = server.call("Encrypt", encrypt(&key, good.clone())).ok()["CiphertextBlob"].clone();
    let decrypt = json!({"CiphertextBlob": blob, "EncryptionContext": good});
    server
        .call_as(&Client::of("carol"), "Decrypt", decrypt)
        .ok();
}

#[test]
fn a_policy_can_ask_how_a_call_comes() {
    let mut server = server();
    let insecure = deny("kms:*", json!({"Bool": {"aws:SecureTransport": "false"}}));
    let agent = json!({"StringLike": {"aws:UserAgent": "claviger-tests/*"}});
    let statement = with_condition(allow("bob", "kms:GenerateDataKey"), agent);
    let key = create_key(&mut server, &policy(std::slice::from_ref(&statement)));
    let request = json!({"KeyId": key, "KeySpec": "AES_256"});
    server
        .call_as(&bob(), "GenerateDataKey", request.clone())
        .ok();
    let policy = policy(&[statement, insecure]).to_string();
    let put = json!({
        "KeyId": key, "Policy": policy, "BypassPolicyLockoutSafetyCheck": true,
    });
    server.call("PutKeyPolicy", put).ok_empty();
    let answer = server.call_as(&bob(), "GenerateDataKey", request.clone());
    denied(&answer, "with an explicit deny in a resource-based policy");
    server
        .call_as(&bob().over_tls(), "GenerateDataKey", request)
        .ok();
}

#[test]
fn a_policy_can_require_keys_of_the_encryption_context() {
    let mut server = server();
    let required = json!({
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["AppName", "FilePath"]},
        "Null": {"kms:EncryptionContextKeys": "false", "kms:EncryptionContext:AppName": "false"},
    });
    let statement = with_condition(allow("bob", "kms:GenerateDataKey"), required);
    let key = create_key(&mut server, &policy(&[statement]));
    for (context, allowed) in [
        (json!({"AppName": "x"}), true),
        (json!({"AppName": "x", "FilePath": "y"}), true),
        (json!({"FilePath": "y"}), false),
        (json!({"AppName": "x", "other": "z"}), false),
        (json!({"appname": "x"}), false),
        (json!({}), false),
    ] {
        let request = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context});
        let answer = server.call_as(&bob(), "GenerateDataKey", request);
        assert_eq!(answer.status == 200, allowed, "{context}");
    }
}

#[test]
fn measurements_count_only_with_a_verified_document() {
    let mut server = server();
    let (document, pcr0) = attested::document_and_pcr0();
    for (key_name, value, allowed) in [
        ("kms:RecipientAttestation:ImageSha384", pcr0.clone(), true),
        ("kms:RecipientAttestation:PCR0", pcr0.to_uppercase(), true),
        ("kms:RecipientAttestation:PCR0", "00".repeat(48), false),
        ("kms:RecipientAttestation:PCR31", pcr0.clone(), false),
    ] {
        let condition = json!({"StringEqualsIgnoreCase": {key_name: value}});
        let statement = with_condition(allow("bob", "kms:GenerateDataKey"), condition);
        let key = create_key(&mut server, &policy(&[statement]));
        let mut request = json!({"KeyId": key, "KeySpec": "AES_256"});
        let answer = server.call_as(&bob(), "GenerateDataKey", request.clone());
        denied(
            &answer,
            "because no identity-based policy allows the kms:GenerateDataKey action",
        );
        request["Recipient"] = attested::recipient(&document);
        let answer = server.call_as(&bob(), "GenerateDataKey", request);
        assert_eq!(answer.status == 200, allowed, "{key_name}");
    }
    // For all who are not attested, a negated operator holds.
    let condition = json!({"StringNotEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": pcr0}});
    let key = create_key(&mut server, &policy(&[deny("kms:Decrypt", condition)]));
    let blob = server.call("Encrypt", encrypt(&key, json!({}))).ok()["CiphertextBlob"].clone();
    let mut request = json!({"CiphertextBlob": blob, "KeyId": key});
    let answer = server.call("Decrypt", request.clone());
    denied(&answer, "with an explicit deny in a resource-based policy");
    request["Recipient"] = attested::recipient(&document);
    server.call("Decrypt", request).ok();
}

#[test]
fn conditions_know_the_key_and_the_call() {
    let mut server = server();
    let tags = json!([{"TagKey": "Team", "TagValue": "storage"}]);
    for (condition, allowed) in [
        (
            json!({"StringEquals": {"kms:CallerAccount": ACCOUNT}}),
            true,
        ),
        (
            json!({"StringEquals": {"kms:CallerAccount": OTHER_ACCOUNT}}),
            false,
        ),
        (
            json!({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}),
            true,
        ),
        (
            json!({"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}}),
            false,
        ),
        (json!({"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}), true),
        (json!({"Bool": {"kms:MultiRegion": "false"}}), true),
        (
            json!({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}),
            true,
        ),
        (
            json!({"StringEquals": {"kms:RequestAlias": "alias/app"}}),
            true,
        ),
        (
            json!({"StringEquals": {"kms:RequestAlias": "alias/other"}}),
            false,
        ),
        (
            json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/app"}}),
            true,
        ),
        (
            json!({"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}),
            false,
        ),
        (
            json!({"StringEquals": {"aws:ResourceTag/Team": "storage"}}),
            true,
        ),
        (json!({"StringEquals": {"aws:username": "bob"}}), true),
        (json!({"StringEquals": {"aws:PrincipalType": "User"}}), true),
        (
            json!({"ArnEquals": {"aws:PrincipalArn": user("bob")}}),
            true,
        ),
        (
            json!({"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}),
            true,
        ),
        (
            json!({"DateLessThan": {"aws:CurrentTime": "2026-03-02T00:00:00Z"}}),
            true,
        ),
        (
            json!({"DateLessThan": {"aws:CurrentTime": "2026-02-02T00:00:00Z"}}),
            false,
        ),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), false),
        (
            json!({"StringEquals": {"aws:ResourceAccount": ACCOUNT}}),
            true,
        ),
        (
            json!({"StringEquals": {"aws:ResourceAccount": OTHER_ACCOUNT}}),
            false,
        ),
        (
            json!({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}),
            true,
        ),
        (
            json!({"Bool": {"aws:PrincipalIsAWSService": "false"}}),
            true,
        ),
        (json!({"Bool": {"aws:ViaAWSService": "false"}}), true),
        (json!({"StringLike": {"aws:userid": "AIDA*"}}), true),
        (
            json!({"NumericLessThan": {"aws:EpochTime": "1772409600"}}),
            true,
        ),
        (
            json!({"NumericLessThan": {"aws:EpochTime": "1769990400"}}),
            false,
        ),
    ] {
        let statement = with_condition(allow("bob", "kms:Encrypt"), condition.clone());
        let request = json!({"Policy": policy(&[statement]), "Tags": tags});
        let answer = server.call("CreateKey", request).ok();
        let alias =
            json!({"AliasName": "alias/app", "TargetKeyId": answer["KeyMetadata"]["KeyId"]});
        server.call("CreateAlias", alias).ok_empty();
        let answer = server.call_as(&bob(), "Encrypt", encrypt("alias/app", json!({})));
        assert_eq!(answer.status == 200, allowed, "{condition}");
        server
            .call("DeleteAlias", json!({"AliasName": "alias/app"}))
            .ok_empty();
    }
}

#[test]
fn conditions_know_the_tags_that_are_put_and_taken_away() {
    let mut server = server();
    let tags = |pairs: &[(&str, &str)]| -> Vec<Value> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| json!({"TagKey": key, "TagValue": value}))
            .collect()
    };
    let condition = json!({
        "StringEquals": {"aws:RequestTag/team": "storage"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["Team", "Env"]},
    });
    let put = with_condition(allow("bob", "kms:TagResource"), condition);
    let condition = json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "Env"}});
    let mut take = with_condition(allow("bob", "kms:UntagResource"), condition);
    take["Sid"] = "take".into();
    let key = create_key(&mut server, &policy(&[put, take]));
    for (sent, allowed) in [
        (tags(&[("Team", "storage")]), true),
        (tags(&[("Team", "storage"), ("Env", "test")]), true),
        (tags(&[("Team", "network")]), false),
        (tags(&[("Env", "test")]), false),
        (tags(&[("Team", "storage"), ("Owner", "bob")]), false),
    ] {
        let request = json!({"KeyId": key, "Tags": sent});
        let answer = server.call_as(&bob(), "TagResource", request);
        assert_eq!(answer.status == 200, allowed, "{sent:?}");
    }
    for (sent, allowed) in [(json!(["Env"]), true), (json!(["Team"]), false)] {
        let request = json!({"KeyId": key, "TagKeys": sent});
        let answer = server.call_as(&bob(), "UntagResource", request);
        assert_eq!(answer.status == 200, allowed, "{sent}");
    }

    // To make a key with tags takes both rights.
    let allow_iam = |actions: Value| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": actions, "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestTag/Team": "storage"}},
        }]})
        .to_string()
    };
    for (actions, sent, allowed) in [
        (json!("kms:CreateKey"), ("Team", "storage"), false),
        (
            json!(["kms:CreateKey", "kms:TagResource"]),
            ("Team", "storage"),
            true,
        ),
        (
            json!(["kms:CreateKey", "kms:TagResource"]),
            ("Team", "network"),
            false,
        ),
    ] {
        let document = allow_iam(actions.clone());
        let parameters = [
            ("UserName", "bob"),
            ("PolicyName", "keys"),
            ("PolicyDocument", document.as_str()),
        ];
        server.iam("PutUserPolicy", &parameters).result();
        let request = json!({"Tags": tags(&[sent])});
        let answer = server.call_as(&bob(), "CreateKey", request);
        assert_eq!(answer.status == 200, allowed, "{actions} {sent:?}");
        if sent.1 == "storage" && !allowed {
            denied(
                &answer,
                "because no identity-based policy allows the kms:TagResource action",
            );
        }
    }
}

#[test]
fn conditions_know_the_grant_that_is_made() {
    let mut server = server();
    let condition = json!({
        "ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "Encrypt"]},
        "StringEquals": {
            "kms:GranteePrincipal": user("carol"),
            "kms:GrantConstraintType": "EncryptionContextSubset",
        },
        "Bool": {"kms:GrantIsForAWSResource": "false"},
    });
    let statement = with_condition(allow("bob", "kms:CreateGrant"), condition);
    let key = create_key(&mut server, &policy(&[statement]));
    let subset = json!({"EncryptionContextSubset": {"a": "1"}});
    for (grantee, operations, constraints, allowed) in [
        ("carol", json!(["Decrypt"]), subset.clone(), true),
        ("bob", json!(["Decrypt"]), subset.clone(), false),
        ("carol", json!(["Decrypt", "DescribeKey"]), subset, false),
        ("carol", json!(["Decrypt"]), json!({}), false),
    ] {
        let request = json!({
            "KeyId": key, "GranteePrincipal": user(grantee), "Operations": operations,
            "Constraints": constraints,
        });
        let answer = server.call_as(&bob(), "CreateGrant", request.clone());
        assert_eq!(answer.status == 200, allowed, "{request}");
    }
}

#[test]
fn other_accounts_need_the_key_policy_and_their_own() {
    let mut server = server();
    server.add_user(OTHER_ACCOUNT, "dave", Access::Full);
    server.add_user(OTHER_ACCOUNT, "erin", Access::None);
    let other_root = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    let statement = json!({
        "Effect": "Allow", "Principal": {"AWS": other_root}, "Action": "kms:Encrypt", "Resource": "*",
    });
    let key = create_key(&mut server, &policy(&[statement]));
    let arn = key_arn(&key);
    server
        .call_as(&Client::of("dave"), "Encrypt", encrypt(&arn, json!({})))
        .ok();
    let answer = server.call_as(&Client::of("erin"), "Encrypt", encrypt(&arn, json!({})));
    denied(
        &answer,
        "because no identity-based policy allows the kms:Encrypt action",
    );
    let describe = json!({"KeyId": arn});
    let answer = server.call_as(&Client::of("dave"), "DescribeKey", describe);
    denied(
        &answer,
        "or a resource-based policy explicitly denies access",
    );
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    let mut server = server();
    let key = server.create_key();
    let principals = "Policy contains a statement with one or more invalid principals.";
    let lock_out = "The new key policy will not allow you to update the key policy in the future.";
    let statement = |principal: Value| {
        let statement = json!({
            "Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*",
        });
        json!({"Statement": [statement]}).to_string()
    };
    for (text, message) in [
        (statement(json!({"AWS": user("nobody")})), Some(principals)),
        (
            statement(json!({"AWS": "arn:aws:iam::1:root"})),
            Some(principals),
        ),
        (statement(json!({"AWS": user("bob")})), Some(lock_out)),
        (
            policy(&[deny("kms:PutKeyPolicy", json!({}))]),
            Some(lock_out),
        ),
        ("{}".to_owned(), None),
        ("{".to_owned(), None),
        ("[]".to_owned(), None),
        (statement(json!("*")).replace("Allow", "Perhaps"), None),
        (
            policy(&[with_condition(
                allow("bob", "kms:*"),
                json!({"StringLooksLike": {"a": "b"}}),
            )]),
            None,
        ),
    ] {
        for (operation, request) in [
            ("PutKeyPolicy", json!({"KeyId": key, "Policy": text})),
            ("CreateKey", json!({"Policy": text})),
        ] {
            let (code, told) = server.call(operation, request).error();
            assert_eq!(code, "MalformedPolicyDocumentException", "{text}");
            assert!(
                message.is_none_or(|message| message == told),
                "{text}: {told}"
            );
        }
    }
    let long = policy(&[]) + &" ".repeat(32_768);
    assert_eq!(
        put(&mut server, &key, &long).error().0,
        "LimitExceededException"
    );
    let locked = json!({
        "KeyId": key, "Policy": statement(json!({"AWS": user("bob")})),
        "BypassPolicyLockoutSafetyCheck": true,
    });
    server.call("PutKeyPolicy", locked).ok_empty();
    let answer = put(&mut server, &key, &policy(&[]));
    denied(
        &answer,
        "because no resource-based policy allows the kms:PutKeyPolicy action",
    );
}

#[test]
fn the_first_policy_of_the_documentation_does_what_it_says() {
    let mut server = server();
    let (document, pcr0) = attested::document_and_pcr0();
    let page = include_str!("../../../docs/policies.md");
    let (_, example) = page.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example = example
        .replace("123456789012", ACCOUNT)
        .replace("5c1f…the PCR0 of the release, 96 digits…", &pcr0);
    let key = create_key(&mut server, &example);
    let request = |context: Value, recipient: Option<Value>| {
        let mut request = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context});
        if let Some(recipient) = recipient {
            request["Recipient"] = recipient;
        }
        request
    };
    let tenant = || json!({"tenant": "a"});
    let recipient = || Some(attested::recipient(&document));
    for (context, recipient, allowed) in [
        (tenant(), recipient(), true),
        (json!({}), recipient(), false),
        (json!({"other": "a"}), recipient(), false),
        (tenant(), None, false),
    ] {
        let answer = server.call("GenerateDataKey", request(context, recipient));
        if allowed {
            answer.ok();
        } else {
            denied(&answer, "with an explicit deny in a resource-based policy");
        }
    }
    server.call("Encrypt", encrypt(&key, tenant())).ok();
    let answer = server.call("Encrypt", encrypt(&key, json!({})));
    denied(&answer, "with an explicit deny in a resource-based policy");
}

#[test]
fn conditions_know_the_algorithm_of_every_use() {
    let mut server = server();
    let string = |key: &str, value: &str| json!({"StringEquals": {(key): value}});
    let message = base64("message");
    // The P-256 generator: a point that everybody knows.
    let point = "3059301306072a8648ce3d020106082a8648ce3d030107034200\
        046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
        4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let point = base64(hex::decode(point).unwrap());
    for (spec, usage, operation, mut request, conditions) in [
        (
            "ECC_NIST_EDWARDS25519",
            "SIGN_VERIFY",
            "Sign",
            json!({"Message": message, "SigningAlgorithm": "ED25519_SHA_512"}),
            vec![
                string("kms:SigningAlgorithm", "ED25519_SHA_512"),
                string("kms:MessageType", "RAW"),
            ],
        ),
        (
            "HMAC_256",
            "GENERATE_VERIFY_MAC",
            "GenerateMac",
            json!({"Message": message, "MacAlgorithm": "HMAC_SHA_256"}),
            vec![string("kms:MacAlgorithm", "HMAC_SHA_256")],
        ),
        (
            "ECC_NIST_P256",
            "KEY_AGREEMENT",
            "DeriveSharedSecret",
            json!({"KeyAgreementAlgorithm": "ECDH", "PublicKey": point}),
            vec![string("kms:KeyAgreementAlgorithm", "ECDH")],
        ),
    ] {
        let key = server.create_key_of(spec, usage);
        request["KeyId"] = json!(key);
        for condition in conditions {
            let action = format!("kms:{operation}");
            let statement = with_condition(allow("bob", &action), condition.clone());
            put(&mut server, &key, &policy(&[statement])).ok_empty();
            server.call_as(&bob(), operation, request.clone()).ok();
            // The same names with another value.
            let other = condition.to_string();
            let (names, _) = other.rsplit_once(':').unwrap();
            let other: Value = serde_json::from_str(&format!("{names}:\"OTHER\"}}}}")).unwrap();
            let statement = with_condition(allow("bob", &action), other);
            put(&mut server, &key, &policy(&[statement])).ok_empty();
            let answer = server.call_as(&bob(), operation, request.clone());
            denied(&answer, &format!("allows the {action} action"));
        }
    }
}
