//! What one policy says of a request.

use super::{
    ACCOUNT, KEY, OTHER_ACCOUNT, Policy, Request, document, identity_policy, key_policy, says,
};

#[test]
fn a_deny_counts_before_an_allow_wherever_it_stands() {
    let policy = key_policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"},
           {"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}"#,
    );
    let request = Request::of_user(ACCOUNT, "alice");
    assert_eq!(says(&policy, &request), "Deny to Principal by 1");
    let encrypt = request.action("kms:Encrypt");
    assert_eq!(says(&policy, &encrypt), "Allow to Principal by 0");
    assert_eq!(says(&policy, &encrypt.action("s3:GetObject")), "nothing");
}

#[test]
fn the_statement_that_decides_is_named() {
    let policy = key_policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"kms:Encrypt","Resource":"*"},
           {"Sid":"the one","Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"},
           {"Sid":"another","Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"}"#,
    );
    let request = Request::of_user(ACCOUNT, "alice");
    let found = policy.evaluate(&request).unwrap();
    assert_eq!(
        (found.statement.index, found.statement.sid),
        (1, Some("the one"))
    );
    assert_eq!(found.statement.to_string(), "statement 1 (the one)");
    let encrypt = request.action("kms:Encrypt");
    let found = policy.evaluate(&encrypt).unwrap();
    assert_eq!((found.statement.index, found.statement.sid), (0, None));
    assert_eq!(found.statement.to_string(), "statement 0");
}

#[test]
fn principals_are_reached_directly_or_as_part_of_their_account() {
    let alice = Request::of_user(ACCOUNT, "alice");
    let session = Request::of_session(ACCOUNT, "path/Role", "session");
    let root = Request::of_root(ACCOUNT);
    let stranger = Request::of_user(OTHER_ACCOUNT, "alice");
    let (direct, account, no) = (
        "Allow to Principal by 0",
        "Allow to Account by 0",
        "nothing",
    );
    for (principal, expected) in [
        (r#""*""#, [direct, direct, direct, direct]),
        (r#"{"AWS":"*"}"#, [direct, direct, direct, direct]),
        (r#"{"AWS":"111122223333"}"#, [account, account, account, no]),
        (
            r#"{"AWS":"arn:aws:iam::111122223333:root"}"#,
            [account, account, account, no],
        ),
        (
            r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#,
            [direct, no, no, no],
        ),
        (
            r#"{"AWS":"arn:aws:iam::111122223333:user/Alice"}"#,
            [no, no, no, no],
        ),
        (
            r#"{"AWS":"AIDA000000000000ALICE"}"#,
            [direct, no, no, direct],
        ),
        (r#"{"AWS":"AROA0000000000000ROLE"}"#, [no, direct, no, no]),
        (
            r#"{"AWS":"arn:aws:iam::111122223333:role/path/Role"}"#,
            [no, direct, no, no],
        ),
        (
            r#"{"AWS":"arn:aws:iam::111122223333:role/Role"}"#,
            [no, no, no, no],
        ),
        (
            r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Role/session"}"#,
            [no, direct, no, no],
        ),
        (
            r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Role/other"}"#,
            [no, no, no, no],
        ),
        (
            r#"{"AWS":["444455556666","arn:aws:iam::111122223333:user/alice"]}"#,
            [direct, no, no, account],
        ),
        (
            r#"{"AWS":["111122223333","arn:aws:iam::111122223333:user/alice"]}"#,
            [direct, account, account, no],
        ),
        (r#"{"Service":"lambda.amazonaws.com"}"#, [no, no, no, no]),
        (r#"{"Federated":"*"}"#, [no, no, no, no]),
        (r#"{"CanonicalUser":"*"}"#, [no, no, no, no]),
    ] {
        let policy = key_policy(&format!(
            r#"{{"Effect":"Allow","Principal":{principal},"Action":"kms:*","Resource":"*"}}"#
        ));
        for (request, expected) in [&alice, &session, &root, &stranger]
            .into_iter()
            .zip(expected)
        {
            assert_eq!(
                says(&policy, request),
                expected,
                "{principal} {}",
                request.arn
            );
        }
    }
}

#[test]
fn of_two_statements_the_one_that_reaches_the_caller_directly_counts() {
    let account =
        r#"{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}"#;
    let alice = r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},"Action":"kms:*","Resource":"*"}"#;
    let request = Request::of_user(ACCOUNT, "alice");
    let policy = key_policy(&format!("{account},{alice}"));
    assert_eq!(says(&policy, &request), "Allow to Principal by 1");
    let policy = key_policy(&format!("{account},{account},{alice},{alice}"));
    assert_eq!(says(&policy, &request), "Allow to Principal by 2");
    let policy = key_policy(&format!("{account},{account}"));
    assert_eq!(says(&policy, &request), "Allow to Account by 0");
}

/// As the user guide has it, whoever is to be left out must be named with all that it is.
#[test]
fn not_principal_leaves_out_whom_it_names_entirely() {
    let alice = Request::of_user(ACCOUNT, "alice");
    let session = Request::of_session(ACCOUNT, "Role", "session");
    let root = Request::of_root(ACCOUNT);
    let stranger = Request::of_user(OTHER_ACCOUNT, "alice");
    let user_arn = "arn:aws:iam::111122223333:user/alice";
    let role_arn = "arn:aws:iam::111122223333:role/Role";
    let session_arn = "arn:aws:sts::111122223333:assumed-role/Role/session";
    let root_arn = "arn:aws:iam::111122223333:root";
    for (names, denied) in [
        (vec!["*"], [false, false, false, false]),
        (vec![user_arn], [true, true, true, true]),
        (vec![root_arn], [true, true, false, true]),
        (vec![user_arn, root_arn], [false, true, false, true]),
        (
            vec!["AIDA000000000000ALICE", root_arn],
            [false, true, false, true],
        ),
        (vec![user_arn, "444455556666"], [true, true, true, true]),
        (vec![role_arn, root_arn], [true, true, false, true]),
        (vec![session_arn, root_arn], [true, true, false, true]),
        (vec![session_arn, role_arn], [true, true, true, true]),
        (
            vec![session_arn, role_arn, root_arn],
            [true, false, false, true],
        ),
        (
            vec![session_arn, "AROA0000000000000ROLE", root_arn],
            [true, false, false, true],
        ),
    ] {
        let policy = key_policy(&format!(
            r#"{{"Effect":"Deny","NotPrincipal":{{"AWS":{names:?}}},"Action":"*","Resource":"*"}}"#
        ));
        for (request, denied) in [&alice, &session, &root, &stranger].into_iter().zip(denied) {
            let expected = if denied {
                "Deny to Principal by 0"
            } else {
                "nothing"
            };
            assert_eq!(
                says(&policy, request),
                expected,
                "{names:?} {}",
                request.arn
            );
        }
    }
}

#[test]
fn actions_are_matched_without_case() {
    for (element, action, matches) in [
        ("Action", "kms:Decrypt", true),
        ("Action", "KMS:decrypt", true),
        ("Action", "kms:*", true),
        ("Action", "kms:De*", true),
        ("Action", "kms:D?crypt", true),
        ("Action", "*:decrypt", true),
        ("Action", "*", true),
        ("Action", "kms:Encrypt", false),
        ("Action", "kms:Decryp", false),
        ("Action", "kms:Decrypt?", false),
        ("Action", "s3:*", false),
        ("NotAction", "kms:Decrypt", false),
        ("NotAction", "kms:*", false),
        ("NotAction", "kms:Encrypt", true),
    ] {
        let policy = identity_policy(&format!(
            r#"{{"Effect":"Allow","{element}":"{action}","Resource":"*"}}"#
        ));
        let found = policy.evaluate(&Request::of_user(ACCOUNT, "alice"));
        assert_eq!(found.is_some(), matches, "{element} {action}");
    }
    let policy =
        identity_policy(r#"{"Effect":"Allow","Action":["kms:A","kms:Decrypt"],"Resource":"*"}"#);
    assert!(
        policy
            .evaluate(&Request::of_user(ACCOUNT, "alice"))
            .is_some()
    );
    let policy =
        identity_policy(r#"{"Effect":"Allow","NotAction":["kms:A","kms:Decrypt"],"Resource":"*"}"#);
    assert!(
        policy
            .evaluate(&Request::of_user(ACCOUNT, "alice"))
            .is_none()
    );
}

#[test]
fn resources_are_matched_part_by_part() {
    let alias = "arn:aws:kms:us-west-2:111122223333:alias/alice/key";
    for (pattern, on_key, on_alias, on_star) in [
        ("*", true, true, true),
        (KEY, true, false, false),
        (
            "arn:aws:kms:us-west-2:111122223333:key/*",
            true,
            false,
            false,
        ),
        ("arn:aws:kms:*:111122223333:key/*", true, false, false),
        (
            "arn:aws:kms:*:*:key/1234abcd-????-34cd-56ef-1234567890ab",
            true,
            false,
            false,
        ),
        ("arn:aws:kms:*:*:KEY/*", false, false, false),
        ("arn:aws:kms:*:*:alias/*", false, true, false),
        (
            "arn:aws:kms:*:*:alias/${aws:username}/*",
            false,
            true,
            false,
        ),
        (
            "arn:aws:kms:*:*:alias/${aws:PrincipalTag/none}/*",
            false,
            false,
            false,
        ),
        ("arn:aws:kms:*:*:*", true, true, false),
        ("arn:aws:kms:*", true, true, false),
        ("arn:aws:kms:us-*", true, true, false),
        ("arn:aws:kms", false, false, false),
        ("arn:aws:k*", true, true, false),
        // A wildcard does not reach over a colon while there is a part behind it.
        ("arn:aws:kms:*:key/*", false, false, false),
        ("arn:aws:kms:us-west-2*:key/*", false, false, false),
        ("arn:aws:s3:::*", false, false, false),
        ("arn:aws:kms:*:*:key/*:x", false, false, false),
    ] {
        let statement = |element: &str| {
            identity_policy(&format!(
                r#"{{"Effect":"Allow","Action":"kms:*","{element}":["arn:aws:s3:::x","{pattern}"]}}"#
            ))
        };
        for (resource, matches) in [(KEY, on_key), (alias, on_alias), ("*", on_star)] {
            let request = Request::of_user(ACCOUNT, "alice").resource(resource);
            let (only, all_but) = (statement("Resource"), statement("NotResource"));
            assert_eq!(
                only.evaluate(&request).is_some(),
                matches,
                "{pattern} {resource}"
            );
            assert_eq!(
                all_but.evaluate(&request).is_none(),
                matches,
                "not {pattern} {resource}"
            );
        }
    }
}

#[test]
fn variables_in_resources_come_with_the_newer_version() {
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",
        "Resource":"arn:aws:kms:*:*:alias/${aws:username, 'x'}"}}"#;
    let alias = |name: &str| {
        Request::of_user(ACCOUNT, "alice")
            .resource(&format!("arn:aws:kms:us-west-2:111122223333:alias/{name}"))
    };
    let newer = Policy::identity_policy(text).unwrap();
    assert!(newer.evaluate(&alias("alice")).is_some());
    assert!(newer.evaluate(&alias("x")).is_none());
    let literal = "${aws:username, 'x'}";
    assert!(newer.evaluate(&alias(literal)).is_none());
    let older = Policy::identity_policy(&text.replace("2012", "2008")).unwrap();
    assert!(older.evaluate(&alias("alice")).is_none());
    assert!(older.evaluate(&alias(literal)).is_some());
    let none = Policy::identity_policy(&text.replace(r#""Version":"2012-10-17","#, "")).unwrap();
    assert_eq!(none, older);
}

#[test]
fn a_key_policy_statement_without_actions_or_resources_has_no_effect() {
    for rest in [
        r#""Action":"kms:*""#,
        r#""Resource":"*""#,
        r#""Action":[],"Resource":"*""#,
        r#""Action":"kms:*","Resource":[]"#,
        r#""Action":"kms:*","Resource":"arn:aws:dynamodb:*""#,
    ] {
        for effect in ["Allow", "Deny"] {
            let policy = key_policy(&format!(
                r#"{{"Effect":"{effect}","Principal":"*",{rest}}}"#
            ));
            assert_eq!(
                says(&policy, &Request::of_user(ACCOUNT, "alice")),
                "nothing",
                "{rest}"
            );
        }
    }
    let with_arn = key_policy(&format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"{KEY}"}}"#
    ));
    assert_eq!(
        says(&with_arn, &Request::of_user(ACCOUNT, "alice")),
        "Allow to Principal by 0"
    );
}

#[test]
fn a_trust_policy_is_about_its_role() {
    let policy = Policy::trust_policy(&document(
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},
            "Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"12345"}}}"#,
    ))
    .unwrap();
    let request = Request::of_user(ACCOUNT, "alice")
        .action("sts:AssumeRole")
        .resource("arn:aws:iam::111122223333:role/Role")
        .with("sts:ExternalId", &["12345"]);
    assert_eq!(says(&policy, &request), "Allow to Principal by 0");
    let without = request.clone().with("sts:ExternalId", &["1"]);
    assert_eq!(says(&policy, &without), "nothing");
    assert_eq!(says(&policy, &request.action("sts:TagSession")), "nothing");
}

/// The first example of the documentation: a context that must be there, and no other key in it.
#[test]
fn a_key_policy_can_require_an_encryption_context() {
    let policy = key_policy(
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/RoleForExampleApp"},
            "Action":"kms:GenerateDataKey","Resource":"*",
            "Condition":{
                "StringEquals":{"kms:EncryptionContext:AppName":"ExampleApp"},
                "ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["AppName"]}}}"#,
    );
    let request = |context: &[(&str, &str)]| {
        let mut request =
            Request::of_session(ACCOUNT, "RoleForExampleApp", "i-1").action("kms:GenerateDataKey");
        for (key, value) in context {
            request = request.with(&format!("kms:EncryptionContext:{key}"), &[value]);
        }
        let keys: Vec<_> = context.iter().map(|(key, _)| *key).collect();
        request.with("kms:EncryptionContextKeys", &keys)
    };
    let allowed = "Allow to Principal by 0";
    assert_eq!(
        says(&policy, &request(&[("AppName", "ExampleApp")])),
        allowed
    );
    assert_eq!(
        says(&policy, &request(&[("AppName", "OtherApp")])),
        "nothing"
    );
    assert_eq!(
        says(&policy, &request(&[("AppName", "exampleapp")])),
        "nothing"
    );
    assert_eq!(
        says(&policy, &request(&[("appname", "ExampleApp")])),
        "nothing"
    );
    assert_eq!(says(&policy, &request(&[])), "nothing");
    assert_eq!(
        says(
            &policy,
            &request(&[("AppName", "ExampleApp"), ("Stage", "x")])
        ),
        "nothing"
    );
}

/// The examples for Nitro enclaves: nobody without a verified document is let through.
#[test]
fn a_key_policy_can_require_an_attestation() {
    let policy = key_policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{
            "StringEqualsIgnoreCase":{
                "kms:RecipientAttestation:ImageSha384":"9FEDCBA8",
                "kms:RecipientAttestation:PCR4":"b9ca"}}}"#,
    );
    let request = Request::of_user(ACCOUNT, "alice");
    assert_eq!(says(&policy, &request), "nothing");
    let image = request.with("kms:RecipientAttestation:ImageSha384", &["9fedcba8"]);
    assert_eq!(says(&policy, &image), "nothing");
    let both = image
        .clone()
        .with("kms:RecipientAttestation:PCR4", &["b9ca"]);
    assert_eq!(says(&policy, &both), "Allow to Principal by 0");
    let other = image.with("kms:RecipientAttestation:PCR4", &["b9cb"]);
    assert_eq!(says(&policy, &other), "nothing");
}

/// What could take long takes its time in proportion.
#[test]
fn hostile_patterns_end() {
    let text = "a".repeat(8_000);
    let like = |pattern: &str| {
        let condition = format!(r#"{{"StringLike":{{"k:k":"{pattern}"}}}}"#);
        super::holds(
            &condition,
            &Request::of_user(ACCOUNT, "x").with("k:k", &[&text]),
        )
    };
    assert!(!like(&("*a".repeat(3_000) + "b")));
    assert!(!like(&("*".repeat(9_000) + "b")));
    assert!(!like(&("*?".repeat(3_000) + "b")));
    assert!(like(&"*a?*".repeat(3_000)));
    assert!(!like(&format!("*{}b*", "a".repeat(4_000))));
}
