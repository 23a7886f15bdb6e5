//! AWS's rules for statements, and its words for those that break them.

use super::{
    IDENTITY_STATEMENT, KEY, KEY_STATEMENT, Request, TRUST_STATEMENT, document, errors,
    identity_error, key_error, says, trust_error,
};
use crate::policy::Policy;

#[test]
fn an_effect_is_allow_or_deny() {
    for (effect, expected) in [
        (r#""Effect":"Deny""#, ["", "", ""]),
        (
            r#""Effect":"allow""#,
            [
                "Invalid effect: allow",
                "The policy failed legacy parsing",
                "Invalid effect: allow",
            ],
        ),
        (
            r#""Effect":"Permit""#,
            [
                "Invalid effect: Permit",
                "Syntax errors in policy.",
                "Invalid effect: Permit",
            ],
        ),
        (
            r#""Sid":"x""#,
            [
                "Missing required field Effect",
                "Syntax errors in policy.",
                "Missing required field Effect",
            ],
        ),
    ] {
        let statements = [KEY_STATEMENT, IDENTITY_STATEMENT, TRUST_STATEMENT];
        for (kind, statement) in statements.into_iter().enumerate() {
            let text = document(&statement.replace(r#""Effect":"Allow""#, effect));
            assert_eq!(errors(&text)[kind], expected[kind], "{text}");
        }
    }
}

#[test]
fn actions_have_one_service_and_one_name() {
    for (action, expected) in [
        ("kms:Decrypt", ""),
        ("*", ""),
        ("*:*", ""),
        ("kms:*", ""),
        ("s3-s.x:List?", ""),
        ("iam: asdf safdsf af ", ""),
        (
            "Decrypt",
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            "",
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            "kms:De:crypt",
            "Actions/Condition can contain only one colon.",
        ),
        ("a a:Decrypt", "Vendor a a is not valid"),
        ("km*:Decrypt", "Vendor km* is not valid"),
    ] {
        for element in ["Action", "NotAction"] {
            let part = format!(r#""{element}":["kms:X","{action}"]"#);
            let key = document(&KEY_STATEMENT.replace(r#""Action":"kms:*""#, &part));
            let identity = document(&IDENTITY_STATEMENT.replace(r#""Action":"kms:*""#, &part));
            assert_eq!(key_error(&key), expected, "{action}");
            assert_eq!(identity_error(&identity), expected, "{action}");
        }
    }
}

#[test]
fn identity_policies_name_actions_and_resources() {
    for (statement, expected) in [
        (
            r#"{"Effect":"Allow","Resource":"*"}"#,
            "Policy statement must contain actions.",
        ),
        (
            r#"{"Effect":"Allow"}"#,
            "Policy statement must contain actions.",
        ),
        (
            r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#,
            "Policy statement must contain actions.",
        ),
        (
            r#"{"Effect":"Deny","NotAction":[],"Resource":"*"}"#,
            "Policy statement must contain actions.",
        ),
        (
            r#"{"Effect":"Allow","Action":"s3:X"}"#,
            "Policy statement must contain resources.",
        ),
        (
            r#"{"Effect":"Allow","Action":"s3:X","Resource":[]}"#,
            "Policy statement must contain resources.",
        ),
        (
            r#"{"Effect":"Allow","Action":"s3:X","NotResource":[]}"#,
            "Policy statement must contain resources.",
        ),
    ] {
        assert_eq!(
            identity_error(&document(statement)),
            expected,
            "{statement}"
        );
    }
}

const IAM_PATH: &str = "IAM resource path must either be \"*\" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.";

#[test]
fn resources_of_identity_policies_are_arns() {
    for (resource, expected) in [
        ("*", ""),
        ("arn:aws:s3:::bucket", ""),
        ("arn:aws-cn:s3:::bucket", ""),
        ("arn:*:s3:::bucket", ""),
        ("arn:aws:fdsasf", ""),
        ("arn:aws:kms:*", ""),
        ("arn:aws:kms:*:*:alias/${aws:username}", ""),
        (
            "invalid resource",
            "Resource invalid resource must be in ARN format or \"*\".",
        ),
        ("", "Resource  must be in ARN format or \"*\"."),
        (
            "a:bsdfdsafsad",
            "Partition \"bsdfdsafsad\" is not valid for resource \"arn:bsdfdsafsad:*:*:*:*\".",
        ),
        (
            "a:b:cadfsdf",
            "Partition \"b\" is not valid for resource \"arn:b:cadfsdf:*:*:*\".",
        ),
        (
            "a:b:c:d:e:f:g:h",
            "Partition \"b\" is not valid for resource \"arn:b:c:d:e:f:g:h\".",
        ),
        (
            "aws:s3:::example_bucket",
            "Partition \"s3\" is not valid for resource \"arn:s3:::example_bucket:*\".",
        ),
        (
            "arn:error:s3:::example_bucket",
            "Partition \"error\" is not valid for resource \"arn:error:s3:::example_bucket\".",
        ),
        (
            "arn:aws",
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        ("arn:aws:iam:*", ""),
        ("arn:aws:iam::*", "The policy failed legacy parsing"),
        ("arn:aws:iam::111122223333:*", ""),
        ("arn:aws:iam::111122223333:user/${aws:username}", ""),
        ("arn:aws:iam::111122223333:mfa/alice", ""),
        ("arn:aws:iam:::example_bucket", IAM_PATH),
        ("arn:aws:iam::111122223333:root", IAM_PATH),
        ("arn:aws:iam::111122223333", IAM_PATH),
        (
            "arn:aws:iam:us-east-1::x",
            "IAM resource arn:aws:iam:us-east-1::x cannot contain region information.",
        ),
        (
            "arn:aws:s3:us-east-1::x",
            "Resource arn:aws:s3:us-east-1::x can not contain region information.",
        ),
        ("arn:aws:s3:us-east-1:111122223333:accesspoint/x", ""),
        ("arn:aws:s3:*", ""),
        (
            "arn:aws:s3::example_bucket",
            "The policy failed legacy parsing",
        ),
        ("arn:aws::fdsasf", "The policy failed legacy parsing"),
        (
            "arn:aws::::example_bucket",
            "The policy failed legacy parsing",
        ),
    ] {
        for element in ["Resource", "NotResource"] {
            let part = format!(r#""{element}":"{resource}""#);
            let text = document(&IDENTITY_STATEMENT.replace(r#""Resource":"*""#, &part));
            assert_eq!(identity_error(&text), expected, "{resource}");
        }
    }
}

/// What was recorded of AWS: which of two mistakes is told. That no resource is named comes last.
#[test]
fn of_several_mistakes_identity_policies_tell_the_same_as_aws() {
    for (statements, expected) in [
        (
            r#"{"Effect":"Allow","Action":"invalid"}"#,
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            r#"{"Effect":"Allow","Action":"s3:X"},{"Effect":"Allow","Action":"s3:X","Resource":"first"}"#,
            "Resource first must be in ARN format or \"*\".",
        ),
        (
            r#"{"Effect":"Allow","Action":"s:3:X","Resource":"sdfsadf"}"#,
            "Resource sdfsadf must be in ARN format or \"*\".",
        ),
        (
            r#"{"Effect":"Allow","Resource":"arn:aws:s3::example_bucket"}"#,
            "The policy failed legacy parsing",
        ),
        (
            r#"{"Effect":"Allow","Action":"s3:X","Resource":"arn:error:s3:::x","Condition":{"DateGreaterThan":{"a":"x"}}}"#,
            "The policy failed legacy parsing",
        ),
        (
            r#"{"Effect":"Allow","Resource":"arn:aws:s3:::x","Condition":{"DateGreaterThan":{"a":{}}}}"#,
            "Syntax errors in policy.",
        ),
        (
            r#"{"Sid":"sdf","Effect":"Allow","Action":"s3:X","Resource":"*"},{"Sid":"sdf","Effect":"Allow"}"#,
            "Statement IDs (SID) in a single policy must be unique.",
        ),
        (
            r#"{"Sid":"sdf","Effect":"aLLow","Action":"s3:X","Resource":"*"},{"Sid":"sdf","Effect":"Allow"}"#,
            "The policy failed legacy parsing",
        ),
        (
            r#"{"Effect":"Deny"},{"Effect":"Allow","Action":"s3:X","Resource":"*"}"#,
            "Policy statement must contain actions.",
        ),
        (
            r#"{"Effect":"Allow","Action":"s3:X","Resource":["first","a:b"]}"#,
            "Resource first must be in ARN format or \"*\".",
        ),
    ] {
        assert_eq!(
            identity_error(&document(statements)),
            expected,
            "{statements}"
        );
    }
}

#[test]
fn a_sid_comes_once() {
    let twice = |statement: &str, sid: &str| {
        let statement = statement.replacen('{', &format!(r#"{{"Sid":"{sid}","#), 1);
        document(&format!("{statement},{statement}"))
    };
    let not_unique = "The Statement Ids in the policy are not unique";
    assert_eq!(key_error(&twice(KEY_STATEMENT, "a b")), not_unique);
    assert_eq!(trust_error(&twice(TRUST_STATEMENT, "a")), not_unique);
    assert_eq!(
        identity_error(&twice(IDENTITY_STATEMENT, "a")),
        "Statement IDs (SID) in a single policy must be unique."
    );
    assert_eq!(
        identity_error(&twice(IDENTITY_STATEMENT, "a b")),
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
    );
    assert_eq!(key_error(&twice(KEY_STATEMENT, "")), "");
    assert_eq!(identity_error(&twice(IDENTITY_STATEMENT, "")), "");
    assert_eq!(trust_error(&twice(TRUST_STATEMENT, "")), "");
}

#[test]
fn trust_policies_are_about_assuming_roles_and_name_no_resource() {
    let with = |part: &str| {
        trust_error(&document(
            &TRUST_STATEMENT.replace(r#""Action":"sts:AssumeRole""#, part),
        ))
    };
    for action in [
        "sts:AssumeRole",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
        "sts:TagSession",
        "sts:SetSourceIdentity",
        "sts:SetContext",
        "STS:assumerole",
    ] {
        assert_eq!(with(&format!(r#""Action":["{action}"]"#)), "", "{action}");
    }
    for action in ["*", "sts:*", "sts:GetCallerIdentity", "kms:Decrypt", ""] {
        assert_eq!(
            with(&format!(r#""Action":["sts:AssumeRole","{action}"]"#)),
            "AssumeRole policy may only specify STS AssumeRole actions.",
            "{action}"
        );
    }
    assert_eq!(with(r#""Action":[]"#), "Missing required field Action");
    assert_eq!(with(r#""Sid":"x""#), "Missing required field Action");
    assert_eq!(
        with(r#""Action":"sts:AssumeRole","Resource":"*""#),
        "Has prohibited field Resource"
    );
    assert_eq!(
        with(r#""Action":"sts:AssumeRole","NotResource":"*""#),
        "AssumeRole policy must not contain resources."
    );
}

#[test]
fn for_all_values_is_refused_where_it_lets_requests_without_the_key_through() {
    let with = |operator: &str, key: &str| {
        let condition = format!(r#"{{"Condition":{{"{operator}":{{"{key}":"x"}}}},"#);
        key_error(&document(&KEY_STATEMENT.replacen('{', &condition, 1)))
    };
    assert_eq!(
        with("ForAllValues:StringEquals", "kms:EncryptionContext:AppName"),
        "OverlyPermissiveCondition:EncryptionContext: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified encryption context or with an unspecified encryption context. To fix, remove ForAllValues."
    );
    assert_eq!(
        with("ForAllValues:StringLike", "AWS:RequestTag/Team"),
        "OverlyPermissiveCondition:RequestTag: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified tag or with an unspecified tag. To fix, remove ForAllValues."
    );
    assert_eq!(
        with("ForAllValues:StringEquals", "kms:EncryptionContextKeys"),
        ""
    );
    assert_eq!(
        with("ForAnyValue:StringEquals", "kms:EncryptionContext:AppName"),
        ""
    );
    assert_eq!(with("StringEquals", "kms:EncryptionContext:AppName"), "");
}

#[test]
fn a_not_element_of_a_key_policy_names_something() {
    for element in ["NotAction", "NotResource"] {
        let statement = format!(r#"{{"Effect":"Deny","Principal":"*","{element}":[]}}"#);
        assert_eq!(key_error(&document(&statement)), "Syntax errors in policy.");
    }
}

/// AWS has refused such statements since August 2025. What was stored before has to be read, and
/// still says nothing.
#[test]
fn a_new_key_policy_names_actions_and_resources() {
    let request = Request::of_root("111122223333").resource(KEY);
    for (elements, missing) in [
        ("", "Action"),
        (r#""Action":[],"Resource":"*","#, "Action"),
        (r#""Resource":"*","#, "Action"),
        (r#""Action":"kms:*","#, "Resource"),
        (r#""NotAction":"kms:Sign","#, "Resource"),
        (r#""Action":"kms:*","Resource":[],"#, "Resource"),
    ] {
        let statement = format!(r#"{{{elements}"Effect":"Allow","Principal":{{"AWS":"*"}}}}"#);
        let statements = document(&format!("{KEY_STATEMENT},{statement}"));
        assert_eq!(
            key_error(&statements),
            format!("Missing required field {missing}")
        );
        let stored = Policy::stored_key_policy(&document(&statement)).unwrap();
        assert_eq!(says(&stored, &request), "nothing", "{statement}");
        let stored = Policy::stored_key_policy(&statements).unwrap();
        assert_eq!(says(&stored, &request), "Allow to Account by 0");
    }
    for elements in [
        r#""NotAction":"kms:Sign","Resource":"*""#,
        r#""Action":"kms:*","NotResource":"x""#,
    ] {
        let statement = format!(r#"{{"Effect":"Deny","Principal":"*",{elements}}}"#);
        assert_eq!(key_error(&document(&statement)), "");
    }
}

#[test]
fn an_identity_policy_of_before_is_read_by_the_rules_of_before() {
    let text = document(&IDENTITY_STATEMENT.replace(
        r#""Resource":"*""#,
        r#""Resource":["*","arn:aws:iam:::example_bucket"]"#,
    ));
    assert_eq!(identity_error(&text), IAM_PATH);
    let stored = Policy::stored_identity_policy(&text).unwrap();
    let request = Request::of_root("111122223333");
    assert_eq!(says(&stored, &request), "Allow to Principal by 0");
    assert!(Policy::stored_identity_policy("{}").is_err());
}

#[test]
fn a_trust_policy_that_allows_all_but_some_is_refused_before_anything_else() {
    let excepting = r#"{"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"sts:AssumeRole"}"#;
    for first in [
        r#"{"Effect":"allow"}"#,
        r#"{"Effect":"Allow"}"#,
        &TRUST_STATEMENT.replace("sts:AssumeRole", "kms:Decrypt"),
    ] {
        assert_eq!(
            trust_error(&document(&format!("{first},{excepting}"))),
            "Allow with NotPrincipal is not allowed."
        );
    }
    assert_eq!(
        trust_error(&document(&excepting.replace("Allow", "Deny"))),
        "AssumeRole policy must not contain NotPrincipal field."
    );
}
