//! STS: who one is, and the sessions of roles.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kms::principal::Access;
use serde_json::{Value, json};

use crate::query::{text, texts};
use crate::server::{ACCOUNT, Client, REGION, Server};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}"#;
const SESSION_ARN: &str = "arn:aws:sts::111122223333:assumed-role/worker/s1";
const INVALID: &str = "The security token included in the request is invalid.";

#[test]
fn everybody_may_ask_who_it_is() {
    let mut server = Server::new();
    server.add_user(ACCOUNT, "bob", Access::None);
    let root = server.add_root(ACCOUNT);
    let role = server.create_role("worker", TRUST);
    let session = server.assume(&Client::of("alice"), &role, &[]);
    let role_id = text(
        &server.iam("GetRole", &[("RoleName", "worker")]).result(),
        "RoleId",
    );
    for (client, arn, id) in [
        (
            Client::of("bob"),
            format!("arn:aws:iam::{ACCOUNT}:user/bob"),
            "AIDABOB".to_owned(),
        ),
        (
            root,
            format!("arn:aws:iam::{ACCOUNT}:root"),
            ACCOUNT.to_owned(),
        ),
        (session, SESSION_ARN.to_owned(), format!("{role_id}:s1")),
    ] {
        let xml = server.sts_as(&client, "GetCallerIdentity", &[]).result();
        assert!(xml.contains("xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\""));
        assert_eq!(text(&xml, "Arn"), arn);
        assert_eq!(text(&xml, "UserId"), id);
        assert_eq!(text(&xml, "Account"), ACCOUNT);
    }
}

#[test]
fn a_role_is_assumed_for_a_while() {
    let mut server = Server::new();
    let role = server.create_role("worker", TRUST);
    let alice = Client::of("alice");
    let parameters = [("RoleArn", role.as_str()), ("RoleSessionName", "s1")];
    let answer = server.sts_as(&alice, "AssumeRole", &parameters);
    let xml = answer.result();
    assert_eq!(text(&xml, "Expiration"), "2026-03-01T13:00:00Z");
    assert!(text(&xml, "AccessKeyId").starts_with("ASIA"));
    assert!(text(&xml, "AssumedRoleId").starts_with("AROA"));
    assert!(text(&xml, "AssumedRoleId").ends_with(":s1"));
    assert_eq!(text(&xml, "Arn"), SESSION_ARN);
    assert_eq!(texts(&xml, "PackedPolicySize"), [""; 0]);
    assert_eq!(answer.event["eventSource"], "sts.amazonaws.com");
    assert_eq!(answer.event["awsRegion"], REGION);
    assert_eq!(answer.event["readOnly"], true);
    assert_eq!(
        answer.event["responseElements"],
        json!({
            "credentials": {
                "accessKeyId": text(&xml, "AccessKeyId"),
                "expiration": "Mar 1, 2026, 1:00:00 PM",
            },
            "assumedRoleUser": {
                "assumedRoleId": text(&xml, "AssumedRoleId"),
                "arn": SESSION_ARN,
            },
        })
    );
    for secret in ["SecretAccessKey", "SessionToken"] {
        let secret = text(&xml, secret);
        assert!(server.events.iter().all(|line| !line.contains(&secret)));
    }

    let session = server.assume(&alice, &role, &[]);
    server.pass(Duration::from_secs(3599));
    let answer = server.sts_as(&session, "GetCallerIdentity", &[]);
    answer.result();
    assert_eq!(
        answer.event["userIdentity"],
        json!({
            "type": "AssumedRole",
            "principalId": text(&xml, "AssumedRoleId"),
            "arn": SESSION_ARN,
            "accountId": ACCOUNT,
            "accessKeyId": session.access_key_id,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": text(&xml, "AssumedRoleId").replace(":s1", ""),
                    "arn": role,
                    "accountId": ACCOUNT,
                    "userName": "worker",
                },
                "attributes": {
                    "creationDate": "2026-03-01T12:00:00Z",
                    "mfaAuthenticated": "false",
                },
            },
        })
    );
    server.pass(Duration::from_secs(1));
    server
        .sts_as(&session, "GetCallerIdentity", &[])
        .expect_refusal(
            403,
            "ExpiredToken",
            "The security token included in the request is expired",
        );
    server
        .call_as(&session, "ListKeys", json!({}))
        .expect_error(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        );
}

#[test]
fn a_session_lasts_as_long_as_asked_for_within_the_roles_limit() {
    let mut server = Server::new();
    server
        .iam(
            "CreateRole",
            &[
                ("RoleName", "worker"),
                ("AssumeRolePolicyDocument", TRUST),
                ("MaxSessionDuration", "7200"),
            ],
        )
        .result();
    let role = format!("arn:aws:iam::{ACCOUNT}:role/worker");
    let alice = Client::of("alice");
    for (seconds, expected) in [
        ("900", "2026-03-01T12:15:00Z"),
        ("7200", "2026-03-01T14:00:00Z"),
    ] {
        let parameters = [
            ("RoleArn", role.as_str()),
            ("RoleSessionName", "s1"),
            ("DurationSeconds", seconds),
        ];
        let xml = server.sts_as(&alice, "AssumeRole", &parameters).result();
        assert_eq!(text(&xml, "Expiration"), expected);
    }
    for (seconds, message) in [
        (
            "7201",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ),
        (
            "899",
            "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
        ),
        (
            "43201",
            "1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200",
        ),
    ] {
        let parameters = [
            ("RoleArn", role.as_str()),
            ("RoleSessionName", "s1"),
            ("DurationSeconds", seconds),
        ];
        server
            .sts_as(&alice, "AssumeRole", &parameters)
            .expect_refusal(400, "ValidationError", message);
    }
}

#[test]
fn a_token_is_good_for_its_own_access_key_and_secret_only() {
    let mut server = Server::new();
    let role = server.create_role("worker", TRUST);
    let alice = Client::of("alice");
    let (one, two) = (
        server.assume(&alice, &role, &[]),
        server.assume(&alice, &role, &[]),
    );
    assert_ne!(one.access_key_id, two.access_key_id);
    assert_ne!(one.secret, two.secret);
    let mut flipped = STANDARD.decode(one.token.as_ref().unwrap()).unwrap();
    flipped[40] ^= 1;
    let token = |token: &str| Client {
        token: Some(token.to_owned()),
        ..one.clone()
    };
    for client in [
        Client {
            token: None,
            ..one.clone()
        },
        Client {
            token: two.token.clone(),
            ..one.clone()
        },
        Client {
            access_key_id: two.access_key_id.clone(),
            ..one.clone()
        },
        Client {
            token: one.token.clone(),
            ..alice.clone()
        },
        token("nonsense"),
        token(&STANDARD.encode(flipped)),
    ] {
        server
            .call_as(&client, "ListKeys", json!({}))
            .expect_error("UnrecognizedClientException", INVALID);
        server
            .sts_as(&client, "GetCallerIdentity", &[])
            .expect_refusal(403, "InvalidClientTokenId", INVALID);
    }
    let client = Client {
        secret: two.secret.clone(),
        ..one.clone()
    };
    let answer = server.call_as(&client, "ListKeys", json!({}));
    assert_eq!(answer.error().0, "InvalidSignatureException");
    // An expired token tells so to who holds its secret, and to nobody else.
    server.pass(Duration::from_secs(3600));
    let answer = server.call_as(&client, "ListKeys", json!({}));
    assert_eq!(answer.error().0, "InvalidSignatureException");
}

#[test]
fn a_session_ends_with_its_role() {
    let mut server = Server::new();
    let role = server.create_role("worker", TRUST);
    let session = server.assume(&Client::of("alice"), &role, &[]);
    server.sts_as(&session, "GetCallerIdentity", &[]).result();
    server.iam("DeleteRole", &[("RoleName", "worker")]).result();
    let refused = |server: &mut Server| {
        server
            .sts_as(&session, "GetCallerIdentity", &[])
            .expect_refusal(403, "InvalidClientTokenId", INVALID);
    };
    refused(&mut server);
    // A role of the same name is another one.
    server.create_role("worker", TRUST);
    refused(&mut server);
}

#[test]
fn a_session_of_a_role_without_policies_may_do_nothing() {
    let mut server = Server::new();
    let role = server.create_role("worker", TRUST);
    let session = server.assume(&Client::of("alice"), &role, &[]);
    server.call_as(&session, "ListKeys", json!({})).expect_error(
        "AccessDeniedException",
        &format!(
            "User: {SESSION_ARN} is not authorized to perform: kms:ListKeys on resource: * because no identity-based policy allows the kms:ListKeys action"
        ),
    );
    server.iam_as(&session, "GetUser", &[]).expect_refusal(
        400,
        "ValidationError",
        "Must specify userName when calling with non-User credentials",
    );
}

/// A trust policy with one statement.
fn trusting(principal: &str, more: &Value) -> String {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
    });
    let members = statement.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// An identity policy with one statement.
fn policy(effect: &str, action: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": effect, "Action": action, "Resource": "*"}],
    })
    .to_string()
}

fn user(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:user/{name}")
}

#[track_caller]
fn denied(server: &mut Server, client: &Client, caller: &str, arn: &str) {
    let parameters = [("RoleArn", arn), ("RoleSessionName", "s1")];
    server
        .sts_as(client, "AssumeRole", &parameters)
        .expect_refusal(
            403,
            "AccessDenied",
            &format!(
                "User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            ),
        );
}

#[test]
fn a_role_is_not_for_everybody_to_assume() {
    let mut server = Server::new();
    let role = server.create_role("worker", TRUST);
    server.add_user(ACCOUNT, "bob", Access::None);
    server.add_user("444455556666", "mallory", Access::Full);
    for (name, account) in [("bob", ACCOUNT), ("mallory", "444455556666")] {
        // Whether there is such a role is not told.
        for arn in [role.clone(), format!("{role}2")] {
            denied(&mut server, &Client::of(name), &user(account, name), &arn);
        }
    }
    let root = server.add_root(ACCOUNT);
    let parameters = [("RoleArn", role.as_str()), ("RoleSessionName", "s1")];
    server
        .sts_as(&root, "AssumeRole", &parameters)
        .expect_refusal(
            403,
            "AccessDenied",
            "Roles may not be assumed by root accounts.",
        );
    let alice = user(ACCOUNT, "alice");
    let parameters = [("RoleArn", alice.as_str()), ("RoleSessionName", "s1")];
    let answer = server.sts_as(&Client::of("alice"), "AssumeRole", &parameters);
    answer.expect_refusal(400, "ValidationError", &format!("{alice} is invalid"));
    // A path may have colons, and names have none.
    let bad = format!("arn:aws:iam::{ACCOUNT}:role/demo:bad");
    let parameters = [("RoleArn", bad.as_str()), ("RoleSessionName", "s1")];
    let answer = server.sts_as(&Client::of("alice"), "AssumeRole", &parameters);
    answer.expect_refusal(400, "ValidationError", &format!("{bad} is invalid"));
    let parameters = [
        ("RoleName", "demo"),
        ("Path", "/a:b/"),
        ("AssumeRolePolicyDocument", TRUST),
    ];
    server.iam("CreateRole", &parameters).result();
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/a:b/demo");
    server.assume(&Client::of("alice"), &arn, &[]);
}

#[test]
fn who_is_trusted_by_name_needs_no_policy_of_its_own() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    let carol = server.create_user("carol");
    let role = server.create_role("worker", &trusting(&user(ACCOUNT, "bob"), &json!({})));
    server.assume(&bob, &role, &[]);
    denied(&mut server, &carol, &user(ACCOUNT, "carol"), &role);
    // Full rights in the account are none to a role that trusts somebody else.
    denied(
        &mut server,
        &Client::of("alice"),
        &user(ACCOUNT, "alice"),
        &role,
    );
    let deny = policy("Deny", "sts:AssumeRole");
    let parameters = [
        ("UserName", "bob"),
        ("PolicyName", "p"),
        ("PolicyDocument", deny.as_str()),
    ];
    server.iam("PutUserPolicy", &parameters).result();
    denied(&mut server, &bob, &user(ACCOUNT, "bob"), &role);
}

#[test]
fn who_is_trusted_as_an_account_or_from_elsewhere_needs_a_policy_of_its_own() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    let by_account = server.create_role("worker", TRUST);
    denied(&mut server, &bob, &user(ACCOUNT, "bob"), &by_account);
    let allow = policy("Allow", "sts:AssumeRole");
    let parameters = [
        ("UserName", "bob"),
        ("PolicyName", "p"),
        ("PolicyDocument", allow.as_str()),
    ];
    server.iam("PutUserPolicy", &parameters).result();
    server.assume(&bob, &by_account, &[]);

    for (name, access) in [("mallory", Access::Full), ("trent", Access::None)] {
        server.add_user("444455556666", name, access);
        let caller = user("444455556666", name);
        let role = server.create_role(&format!("for-{name}"), &trusting(&caller, &json!({})));
        if access == Access::Full {
            let session = server.assume(&Client::of(name), &role, &[]);
            let told = server.sts_as(&session, "GetCallerIdentity", &[]).result();
            assert_eq!(text(&told, "Account"), ACCOUNT);
        } else {
            denied(&mut server, &Client::of(name), &caller, &role);
        }
    }
}

#[test]
fn trust_may_have_conditions() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    let caller = user(ACCOUNT, "bob");
    let condition = json!({"Condition": {
        "StringEquals": {"sts:ExternalId": "shared", "aws:username": "bob"},
        "StringLike": {"sts:RoleSessionName": "s*"},
    }});
    let role = server.create_role("worker", &trusting(&caller, &condition));
    server.assume(&bob, &role, &[("ExternalId", "shared")]);
    denied(&mut server, &bob, &caller, &role);
    for (name, external_id) in [("s1", "other"), ("x1", "shared")] {
        let parameters = [
            ("RoleArn", role.as_str()),
            ("RoleSessionName", name),
            ("ExternalId", external_id),
        ];
        let answer = server.sts_as(&bob, "AssumeRole", &parameters);
        assert_eq!(answer.event["errorCode"], "AccessDenied", "{name}");
    }
}

#[test]
fn a_session_may_do_what_its_role_may() {
    let mut server = Server::new();
    let id = server.create_key();
    let role = server.create_role("worker", TRUST);
    let session = server.assume(&Client::of("alice"), &role, &[]);
    let allow = policy("Allow", "kms:Encrypt");
    let parameters = [
        ("RoleName", "worker"),
        ("PolicyName", "p"),
        ("PolicyDocument", allow.as_str()),
    ];
    server.iam("PutRolePolicy", &parameters).result();
    let encrypt = json!({"KeyId": id, "Plaintext": "eA=="});
    let answer = server.call_as(&session, "Encrypt", encrypt.clone());
    answer.ok();
    assert_eq!(answer.event["userIdentity"]["type"], "AssumedRole");
    let answer = server.call_as(&session, "DescribeKey", json!({"KeyId": id}));
    assert_eq!(answer.error().0, "AccessDeniedException");
    // What is taken from the role is taken from its sessions.
    let parameters = [("RoleName", "worker"), ("PolicyName", "p")];
    server.iam("DeleteRolePolicy", &parameters).result();
    let answer = server.call_as(&session, "Encrypt", encrypt);
    assert_eq!(answer.error().0, "AccessDeniedException");
}

#[test]
fn a_key_policy_knows_a_session_by_its_role() {
    let mut server = Server::new();
    let id = server.create_key();
    let role = server.create_role("worker", TRUST);
    let session = server.assume(&Client::of("alice"), &role, &[]);
    let key_policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "kms:Encrypt", "Resource": "*"},
    ]});
    let put = json!({"KeyId": id, "Policy": key_policy.to_string()});
    server.call("PutKeyPolicy", put).ok_empty();
    let encrypt = json!({"KeyId": id, "Plaintext": "eA=="});
    server.call_as(&session, "Encrypt", encrypt).ok();
}

#[test]
fn a_session_policy_takes_away_and_never_gives() {
    let mut server = Server::new();
    let id = server.create_key();
    let role = server.create_role("worker", TRUST);
    let allow = policy("Allow", "kms:*");
    let parameters = [
        ("RoleName", "worker"),
        ("PolicyName", "p"),
        ("PolicyDocument", allow.as_str()),
    ];
    server.iam("PutRolePolicy", &parameters).result();
    let alice = Client::of("alice");
    let limited = policy("Allow", "kms:DescribeKey");
    let limited = server.assume(&alice, &role, &[("Policy", &limited)]);
    let describe = json!({"KeyId": id});
    server
        .call_as(&limited, "DescribeKey", describe.clone())
        .ok();
    let encrypt = json!({"KeyId": id, "Plaintext": "eA=="});
    let answer = server.call_as(&limited, "Encrypt", encrypt.clone());
    let (code, message) = answer.error();
    assert_eq!(code, "AccessDeniedException");
    assert!(
        message.ends_with("because no session policy allows the kms:Encrypt action"),
        "{message}"
    );
    let without_limit = server.assume(&alice, &role, &[]);
    server.call_as(&without_limit, "Encrypt", encrypt).ok();

    // It gives nothing that the role does not have.
    let more = policy("Allow", "*");
    let more = server.assume(&alice, &role, &[("Policy", &more)]);
    let resource = format!("arn:aws:iam::{ACCOUNT}:user/");
    server.iam_as(&more, "ListUsers", &[]).expect_refusal(
        403,
        "AccessDenied",
        &format!("User: {SESSION_ARN} is not authorized to perform: iam:ListUsers on resource: {resource} because no identity-based policy allows the iam:ListUsers action"),
    );
}

#[test]
fn a_session_policy_bounds_calls_of_iam_too() {
    let mut server = Server::new();
    let role = server.create_role("admin", TRUST);
    let allow = policy("Allow", "*");
    let parameters = [
        ("RoleName", "admin"),
        ("PolicyName", "p"),
        ("PolicyDocument", allow.as_str()),
    ];
    server.iam("PutRolePolicy", &parameters).result();
    let alice = Client::of("alice");
    let session = server.assume(&alice, &role, &[]);
    server.iam_as(&session, "ListUsers", &[]).result();
    for (session_policy, why) in [
        (
            policy("Allow", "kms:*"),
            "because no session policy allows the iam:ListUsers action",
        ),
        (
            policy("Deny", "iam:*"),
            "with an explicit deny in a session policy",
        ),
    ] {
        let session = server.assume(&alice, &role, &[("Policy", &session_policy)]);
        let answer = server.iam_as(&session, "ListUsers", &[]);
        assert_eq!(answer.status, 403);
        let message = answer.event["errorMessage"].as_str().unwrap();
        assert!(message.ends_with(why), "{message}");
    }
}

#[test]
fn a_session_that_assumes_a_role_gets_an_hour_at_most() {
    let mut server = Server::new();
    let allow = policy("Allow", "sts:AssumeRole");
    let first = server.create_role("first", TRUST);
    let parameters = [
        ("RoleName", "first"),
        ("PolicyName", "p"),
        ("PolicyDocument", allow.as_str()),
    ];
    server.iam("PutRolePolicy", &parameters).result();
    let parameters = [
        ("RoleName", "second"),
        ("AssumeRolePolicyDocument", TRUST),
        ("MaxSessionDuration", "43200"),
    ];
    server.iam("CreateRole", &parameters).result();
    let second = format!("arn:aws:iam::{ACCOUNT}:role/second");
    let alice = Client::of("alice");
    server.assume(&alice, &second, &[("DurationSeconds", "3601")]);
    let session = server.assume(&alice, &first, &[]);
    server.assume(&session, &second, &[("DurationSeconds", "3600")]);
    let parameters = [
        ("RoleArn", second.as_str()),
        ("RoleSessionName", "s1"),
        ("DurationSeconds", "3601"),
    ];
    server
        .sts_as(&session, "AssumeRole", &parameters)
        .expect_refusal(
            400,
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        );
}

#[test]
fn a_session_policy_is_a_policy_of_bounded_size() {
    let mut server = Server::new();
    let role = server.create_role("worker", TRUST);
    let assume = |server: &mut Server, policy: &str| {
        let parameters = [
            ("RoleArn", role.as_str()),
            ("RoleSessionName", "s1"),
            ("Policy", policy),
        ];
        server.sts_as(&Client::of("alice"), "AssumeRole", &parameters)
    };
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;
    let longest = format!("{policy}{}", " ".repeat(2048 - policy.len()));
    let xml = assume(&mut server, &longest).result();
    assert_eq!(text(&xml, "PackedPolicySize"), "100");
    assume(&mut server, &format!("{longest} ")).expect_refusal(
        400,
        "PackedPolicyTooLarge",
        "Packed policy consumes 101% of allotted space, please use smaller policy.",
    );
    let answer = assume(&mut server, "nonsense");
    assert_eq!(
        answer.event["errorCode"],
        "MalformedPolicyDocumentException"
    );
}

#[test]
fn limits_on_sessions_that_are_not_supported_are_refused() {
    let mut server = Server::new();
    let role = server.create_role("worker", TRUST);
    for name in [
        "PolicyArns.member.1.arn",
        "SerialNumber",
        "SourceIdentity",
        "Tags.member.1.Key",
    ] {
        let parameters = [
            ("RoleArn", role.as_str()),
            ("RoleSessionName", "s1"),
            (name, "value"),
        ];
        server
            .sts_as(&Client::of("alice"), "AssumeRole", &parameters)
            .expect_refusal(
                400,
                "InvalidInput",
                &format!("This server does not support the parameter {name}."),
            );
    }
}

#[test]
fn an_access_key_id_tells_its_account() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    let alice = Client::of("alice");
    server.add_user("444455556666", "mallory-with-a-long-name", Access::Full);
    let mallory = Client::of("mallory-with-a-long-name").access_key_id;
    assert!(mallory.contains('-'), "not one that IAM makes");
    for (id, account) in [
        (bob.access_key_id.as_str(), ACCOUNT),
        ("ASIAQNZGKIQY56JQ7WML", "029608264753"),
        ("AKIA7777777777777777", "1099511627775"),
    ] {
        let xml = server
            .sts_as(&alice, "GetAccessKeyInfo", &[("AccessKeyId", id)])
            .result();
        assert_eq!(text(&xml, "Account"), account);
    }
    let id = "AKIAIOSFODNN7EXAMPLE";
    let answer = server.sts_as(&alice, "GetAccessKeyInfo", &[("AccessKeyId", id)]);
    answer.expect_refusal(400, "ValidationError", "Access key ID is not valid.");
    let answer = server.sts_as(&alice, "GetAccessKeyInfo", &[("AccessKeyId", "a-b")]);
    answer.expect_refusal(
        400,
        "ValidationError",
        "2 validation errors detected: Value 'a-b' at 'accessKeyId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w]*; Value 'a-b' at 'accessKeyId' failed to satisfy constraint: Member must have length greater than or equal to 16",
    );
    let answer = server.sts_as(&bob, "GetAccessKeyInfo", &[("AccessKeyId", id)]);
    assert_eq!(answer.event["errorCode"], "AccessDenied");
}

/// Credentials of a client's own that end.
fn own_session(server: &mut Server, client: &Client, more: &[(&str, &str)]) -> (Client, String) {
    let xml = server.sts_as(client, "GetSessionToken", more).result();
    let session = Client {
        access_key_id: text(&xml, "AccessKeyId"),
        secret: text(&xml, "SecretAccessKey"),
        token: Some(text(&xml, "SessionToken")),
        ..client.clone()
    };
    (session, text(&xml, "Expiration"))
}

#[test]
fn a_users_session_is_the_user_for_a_while() {
    let mut server = Server::new();
    let id = server.create_key();
    let bob = server.create_user("bob");
    let answer = server.sts_as(&bob, "GetSessionToken", &[]);
    let xml = answer.result();
    assert_eq!(answer.event["readOnly"], true);
    assert_eq!(
        answer.event["responseElements"],
        json!({"credentials": {
            "accessKeyId": text(&xml, "AccessKeyId"),
            "expiration": "Mar 2, 2026, 12:00:00 AM",
        }})
    );
    for secret in ["SecretAccessKey", "SessionToken"] {
        let secret = text(&xml, secret);
        assert!(server.events.iter().all(|line| !line.contains(&secret)));
    }
    let (session, expires) = own_session(&mut server, &bob, &[("DurationSeconds", "900")]);
    assert_eq!(expires, "2026-03-01T12:15:00Z");
    assert!(session.access_key_id.starts_with("ASIA"));
    let told = server.sts_as(&session, "GetCallerIdentity", &[]);
    assert_eq!(text(&told.result(), "Arn"), user(ACCOUNT, "bob"));
    assert_eq!(told.event["userIdentity"]["type"], "IAMUser");
    assert_eq!(
        told.event["userIdentity"]["sessionContext"],
        json!({"attributes": {
            "creationDate": "2026-03-01T12:00:00Z",
            "mfaAuthenticated": "false",
        }})
    );

    // What the user may do its session may do, as long as the user may.
    let encrypt = json!({"KeyId": id, "Plaintext": "eA=="});
    let answer = server.call_as(&session, "Encrypt", encrypt.clone());
    assert_eq!(answer.error().0, "AccessDeniedException");
    let statement = json!({
        "Effect": "Allow",
        "Action": "kms:Encrypt",
        "Resource": "*",
        "Condition": {
            "Bool": {"aws:MultiFactorAuthPresent": "false"},
            "DateEquals": {"aws:TokenIssueTime": "2026-03-01T12:00:00Z"},
        },
    });
    let allow = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let parameters = [
        ("UserName", "bob"),
        ("PolicyName", "p"),
        ("PolicyDocument", allow.as_str()),
    ];
    server.iam("PutUserPolicy", &parameters).result();
    server.call_as(&session, "Encrypt", encrypt.clone()).ok();
    // Those who sign with an access key have no token.
    let answer = server.call_as(&bob, "Encrypt", encrypt);
    assert_eq!(answer.error().0, "AccessDeniedException");

    server.pass(Duration::from_secs(900));
    let answer = server.sts_as(&session, "GetCallerIdentity", &[]);
    assert_eq!(answer.event["errorCode"], "ExpiredToken");
}

#[test]
fn a_users_session_manages_nobody() {
    let mut server = Server::new();
    let role = server.create_role("worker", TRUST);
    let alice = Client::of("alice");
    let root = server.add_root(ACCOUNT);
    for client in [alice.clone(), root] {
        let (session, _) = own_session(&mut server, &client, &[]);
        for (action, parameters) in [
            ("GetUser", vec![]),
            ("ListUsers", vec![]),
            ("CreateAccessKey", vec![]),
        ] {
            server.iam_as(&session, action, &parameters).expect_refusal(
                403,
                "InvalidClientTokenId",
                INVALID,
            );
        }
        for (action, parameters) in [
            ("GetSessionToken", vec![]),
            (
                "GetAccessKeyInfo",
                vec![("AccessKeyId", "AKIAQAAAAAAAAAAA")],
            ),
        ] {
            let message = format!("Cannot call {action} with session credentials");
            server.sts_as(&session, action, &parameters).expect_refusal(
                403,
                "AccessDenied",
                &message,
            );
        }
        server.call_as(&session, "ListKeys", json!({})).ok();
    }
    let (session, _) = own_session(&mut server, &alice, &[]);
    let of_role = server.assume(&session, &role, &[]);
    server
        .sts_as(&of_role, "GetSessionToken", &[])
        .expect_refusal(
            403,
            "AccessDenied",
            "Cannot call GetSessionToken with session credentials",
        );
}

#[test]
fn a_users_session_lasts_as_long_as_asked_for_and_a_root_users_an_hour() {
    let mut server = Server::new();
    let (alice, root) = (Client::of("alice"), server.add_root(ACCOUNT));
    for (client, seconds, expected) in [
        (&alice, None, "2026-03-02T00:00:00Z"),
        (&alice, Some("129600"), "2026-03-03T00:00:00Z"),
        (&root, None, "2026-03-01T13:00:00Z"),
        (&root, Some("3601"), "2026-03-01T13:00:00Z"),
        (&root, Some("900"), "2026-03-01T12:15:00Z"),
    ] {
        let more: Vec<_> = seconds
            .map(|text| ("DurationSeconds", text))
            .into_iter()
            .collect();
        assert_eq!(own_session(&mut server, client, &more).1, expected);
    }
    for (seconds, constraint) in [
        ("899", "greater than or equal to 900"),
        ("129601", "less than or equal to 129600"),
    ] {
        let parameters = [("DurationSeconds", seconds)];
        let answer = server.sts_as(&alice, "GetSessionToken", &parameters);
        answer.expect_refusal(400, "ValidationError", &format!("1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value {constraint}"));
    }
    // Nobody has a device, and none is believed in.
    let parameters = [
        ("SerialNumber", "arn:aws:iam::111122223333:mfa/alice"),
        ("TokenCode", "123456"),
    ];
    server
        .sts_as(&alice, "GetSessionToken", &parameters)
        .expect_refusal(
            400,
            "InvalidInput",
            "This server does not support the parameter SerialNumber.",
        );
}

#[test]
fn a_users_session_ends_with_the_user() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    let (session, _) = own_session(&mut server, &bob, &[]);
    server.sts_as(&session, "GetCallerIdentity", &[]).result();
    let key = [
        ("UserName", "bob"),
        ("AccessKeyId", bob.access_key_id.as_str()),
    ];
    server.iam("DeleteAccessKey", &key).result();
    server.iam("DeleteUser", &[("UserName", "bob")]).result();
    for _ in 0..2 {
        server
            .sts_as(&session, "GetCallerIdentity", &[])
            .expect_refusal(403, "InvalidClientTokenId", INVALID);
        // A user of the same name is another one.
        server.iam("CreateUser", &[("UserName", "bob")]);
    }
    // One client's token is no good with another's key.
    let (alices, _) = own_session(&mut server, &Client::of("alice"), &[]);
    let mixed = Client {
        access_key_id: session.access_key_id.clone(),
        ..alices
    };
    server
        .sts_as(&mixed, "GetCallerIdentity", &[])
        .expect_refusal(403, "InvalidClientTokenId", INVALID);
}
