//! Whom statements may name.

use super::super::PrincipalName;
use super::{
    KEY_STATEMENT, TRUST_STATEMENT, document, identity_error, key_error, key_policy, trust_error,
};

#[test]
fn principals_are_accounts_users_roles_and_sessions() {
    let key = |principal: &str| {
        key_error(&document(
            &KEY_STATEMENT.replace(r#"{"AWS":"111122223333"}"#, principal),
        ))
    };
    let trust = |principal: &str| {
        trust_error(&document(
            &TRUST_STATEMENT.replace(r#"{"AWS":"111122223333"}"#, principal),
        ))
    };
    for name in [
        "*",
        "111122223333",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:user/alice",
        "arn:aws:iam::111122223333:user/a/path/alice+=,.@_-",
        "arn:aws:iam::111122223333:role/service-role/Role",
        "arn:aws:sts::111122223333:assumed-role/Role/session",
        "arn:aws:sts::111122223333:federated-user/bob",
        "AIDACKCEVSQ6C2EXAMPLE",
        "AROACKCEVSQ6C2EXAMPLE",
    ] {
        let principal = format!(r#"{{"AWS":["{name}"]}}"#);
        assert_eq!(key(&principal), "", "{name}");
        assert_eq!(trust(&principal), "", "{name}");
    }
    for name in [
        "",
        "alice",
        "**",
        "11112222333",
        "1111222233334",
        "arn:aws:iam::*:root",
        "arn:aws:iam::111122223333:*",
        "arn:aws:iam::111122223333:root/",
        "arn:aws:iam::111122223333:user/",
        "arn:aws:iam::111122223333:user/*",
        "arn:aws:iam::111122223333:user/a?",
        "arn:aws:iam::111122223333:user/a b",
        "arn:aws:iam::111122223333:user/path/",
        "arn:aws:iam::111122223333:group/admins",
        "arn:aws:iam::111122223333:assumed-role/Role/session",
        "arn:aws:sts::111122223333:assumed-role/Role",
        "arn:aws:sts::111122223333:assumed-role/Role/",
        "arn:aws:sts::111122223333:assumed-role//session",
        "arn:aws:sts::111122223333:user/alice",
        "arn:aws:s3:::bucket",
        "arn:aws-cn:iam::111122223333:root",
        "arn:aws:iam:us-east-1:111122223333:root",
        "aidackcevsq6c2example",
        "AIDA",
        "AKIAIOSFODNN7EXAMPLE",
    ] {
        let principal = format!(r#"{{"AWS":"{name}"}}"#);
        assert_eq!(
            key(&principal),
            "Policy contains a statement with one or more invalid principals.",
            "{name}"
        );
        assert_eq!(
            trust(&principal),
            format!(r#"Invalid principal in policy: "AWS":"{name}""#),
        );
    }
    for principal in [
        r#"{"Service":"lambda.amazonaws.com"}"#,
        r#"{"Service":["ec2.amazonaws.com","a-b.c.d"],"AWS":"111122223333"}"#,
        r#"{"Federated":"cognito-identity.amazonaws.com"}"#,
        r#"{"CanonicalUser":"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}"#,
    ] {
        assert_eq!(key(principal), "", "{principal}");
        assert_eq!(trust(principal), "", "{principal}");
    }
    let invalid = "Policy contains a statement with one or more invalid principals.";
    for (principal, on_key, on_trust) in [
        (
            "\"*\"",
            "",
            "AssumeRolepolicy contained an invalid principal: \"STAR\":\"*\".",
        ),
        ("\"111122223333\"", invalid, "Syntax error in policy."),
        (
            "[\"*\"]",
            "Syntax errors in policy.",
            "Syntax error in policy.",
        ),
        (
            "null",
            "Syntax errors in policy.",
            "Syntax error in policy.",
        ),
        (
            r#"{"AWS":{}}"#,
            "Syntax errors in policy.",
            "Syntax error in policy.",
        ),
        (
            r#"{"AWS":[]}"#,
            "Policy contains a statement with no principal.",
            "Missing required field Principal cannot be empty!",
        ),
        (
            "{}",
            "Policy contains a statement with no principal.",
            "Missing required field Principal cannot be empty!",
        ),
        (
            r#"{"Aws":"*"}"#,
            invalid,
            r#"Invalid principal in policy: "Aws":"*""#,
        ),
        (
            r#"{"Service":"*"}"#,
            invalid,
            r#"Invalid principal in policy: "Service":"*""#,
        ),
        (
            r#"{"Service":"a..b"}"#,
            invalid,
            r#"Invalid principal in policy: "Service":"a..b""#,
        ),
        (
            r#"{"Service":"lambda"}"#,
            invalid,
            r#"Invalid principal in policy: "Service":"lambda""#,
        ),
    ] {
        assert_eq!(key(principal), on_key, "{principal}");
        assert_eq!(trust(principal), on_trust, "{principal}");
    }
}

#[test]
fn the_users_and_roles_that_a_policy_names_can_be_looked_up() {
    let policy = key_policy(
        r#"{"Effect":"Allow","Principal":{"AWS":["*","111122223333","arn:aws:iam::111122223333:user/a"],"Service":"a.b"}},
           {"Effect":"Deny","NotPrincipal":{"AWS":["AIDACKCEVSQ6C2EXAMPLE","arn:aws:iam::111122223333:role/r"]}}"#,
    );
    let names: Vec<_> = policy.principal_names().collect();
    assert_eq!(
        names,
        [
            PrincipalName::Arn("arn:aws:iam::111122223333:user/a"),
            PrincipalName::Id("AIDACKCEVSQ6C2EXAMPLE"),
            PrincipalName::Arn("arn:aws:iam::111122223333:role/r"),
        ]
    );
}

#[test]
fn not_principal_only_denies() {
    let with = |statement: &str, effect: &str| {
        let statement = statement
            .replace(r#""Principal""#, r#""NotPrincipal""#)
            .replace("Allow", effect);
        document(&statement)
    };
    let not_allowed = "Allow with NotPrincipal is not allowed.";
    assert_eq!(key_error(&with(KEY_STATEMENT, "Allow")), not_allowed);
    assert_eq!(key_error(&with(KEY_STATEMENT, "Deny")), "");
    assert_eq!(trust_error(&with(TRUST_STATEMENT, "Allow")), not_allowed);
    assert_eq!(
        trust_error(&with(TRUST_STATEMENT, "Deny")),
        "AssumeRole policy must not contain NotPrincipal field."
    );
    assert_eq!(
        identity_error(&with(KEY_STATEMENT, "Deny")),
        "Policy document should not specify a principal."
    );
}
