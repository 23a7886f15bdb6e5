//! What is a policy of each kind, and AWS's words for what is not.

use super::super::{MAX_DOCUMENT_BYTES, MAX_KEY_POLICY_BYTES, Policy, PolicyError, PrincipalName};
use super::{document, key_policy};
use crate::error::KmsError;

/// Why each kind refuses a document; empty if it takes it.
fn errors(text: &str) -> [String; 3] {
    [
        Policy::key_policy,
        Policy::identity_policy,
        Policy::trust_policy,
    ]
    .map(|read| {
        read(text)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    })
}

fn key_error(text: &str) -> String {
    errors(text)[0].clone()
}

fn identity_error(text: &str) -> String {
    errors(text)[1].clone()
}

fn trust_error(text: &str) -> String {
    errors(text)[2].clone()
}

const KEY_STATEMENT: &str =
    r#"{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}"#;
const IDENTITY_STATEMENT: &str = r#"{"Effect":"Allow","Action":"kms:*","Resource":"*"}"#;
const TRUST_STATEMENT: &str =
    r#"{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}"#;

#[test]
fn each_kind_takes_its_own_statements() {
    assert_eq!(key_error(&document(KEY_STATEMENT)), "");
    assert_eq!(identity_error(&document(IDENTITY_STATEMENT)), "");
    assert_eq!(trust_error(&document(TRUST_STATEMENT)), "");
    assert_eq!(
        identity_error(&document(KEY_STATEMENT)),
        "Policy document should not specify a principal."
    );
    assert_eq!(
        key_error(&document(IDENTITY_STATEMENT)),
        "Policy contains a statement with no principal."
    );
    assert_eq!(
        trust_error(&document(IDENTITY_STATEMENT)),
        "Missing required field Principal"
    );
}

#[test]
fn a_document_has_a_version_an_id_and_statements() {
    for (kind, statement) in [KEY_STATEMENT, IDENTITY_STATEMENT, TRUST_STATEMENT]
        .into_iter()
        .enumerate()
    {
        for text in [
            format!(r#"{{"Statement":{statement}}}"#),
            format!(r#"{{"Statement":[{statement}]}}"#),
            format!(
                r#"{{"Version":"2008-10-17","Id":"any text","Statement":[{statement},{statement}]}}"#
            ),
            format!("\r\n\t {{\"Version\":\"2012-10-17\",\"Statement\":{statement}}} "),
        ] {
            assert_eq!(errors(&text)[kind], "", "{text}");
        }
        let syntax = [
            "Syntax errors in policy.",
            "Syntax errors in policy.",
            "Syntax error in policy.",
        ][kind];
        for text in [
            "[]".to_owned(),
            "\"Statement\"".to_owned(),
            "null".to_owned(),
            r#"{"Statement":null}"#.to_owned(),
            r#"{"Statement":"x"}"#.to_owned(),
            r#"{"Statement":["x"]}"#.to_owned(),
            r#"{"Statement":[[]]}"#.to_owned(),
            format!(r#"{{"Version":20121017,"Statement":{statement}}}"#),
            format!(r#"{{"Version":["2012-10-17"],"Statement":{statement}}}"#),
            format!(r#"{{"Id":{{}},"Statement":{statement}}}"#),
            format!(r#"{{"Id":["x"],"Statement":{statement}}}"#),
        ] {
            assert_eq!(errors(&text)[kind], syntax, "{text}");
        }
    }
    for (texts, expected) in [
        (
            [
                "",
                "policy",
                "{",
                "{}{}",
                "{\"Statement\":[],}",
                "{\"Statement\":1,\"Statement\":1}",
            ]
            .as_slice(),
            [
                "The policy is not in the valid JSON format.",
                "Syntax errors in policy.",
                "This policy contains invalid Json",
            ],
        ),
        (
            &["{}", r#"{"Statement":[]}"#, r#"{"Version":"2012-10-17"}"#],
            [
                "Syntax errors in policy.",
                "Syntax errors in policy.",
                "Could not parse the policy: Statement is empty!",
            ],
        ),
        (
            &[r#"{"Version":"2013-10-17","Statement":[]}"#],
            [
                "Syntax errors in policy.",
                "Syntax errors in policy.",
                "The policy must contain a valid version string",
            ],
        ),
        (
            &[r#"{"Statements":[]}"#],
            [
                "Unknown field Statements",
                "Syntax errors in policy.",
                "Unknown field Statements",
            ],
        ),
    ] {
        for text in texts {
            assert_eq!(errors(text), expected, "{text}");
        }
    }
}

#[test]
fn a_statement_has_known_members_of_known_types() {
    for (kind, statement) in [KEY_STATEMENT, IDENTITY_STATEMENT, TRUST_STATEMENT]
        .into_iter()
        .enumerate()
    {
        let syntax = [
            "Syntax errors in policy.",
            "Syntax errors in policy.",
            "Syntax error in policy.",
        ][kind];
        for (name, member) in [
            ("Action", r#""Action":{}"#),
            ("Action", r#""Action":[[]]"#),
            ("Action", r#""Action":null"#),
            ("", r#""NotAction":"kms:*""#),
            ("", r#""NotAction":[]"#),
            ("", r#""Condition":[]"#),
            ("", r#""Condition":"a""#),
            ("", r#""Condition":{"a":"b"}"#),
            ("", r#""Condition":{"Equals":{"a":"1"}}"#),
            ("", r#""Condition":{"Equals":{}}"#),
            ("", r#""Condition":{"stringequals":{"a":"1"}}"#),
            ("", r#""Condition":{"ForAnyValue::StringEquals":{"a":"1"}}"#),
            ("", r#""Condition":{"ForSomeValue:StringEquals":{"a":"1"}}"#),
            (
                "",
                r#""Condition":{"StringEqualsIfExistsIfExists":{"a":"1"}}"#,
            ),
            ("", r#""Condition":{"NullIfExists":{"a":"true"}}"#),
            ("", r#""Condition":{"ForAnyValue:Null":{"a":"true"}}"#),
            ("", r#""Condition":{"StringEquals":[]}"#),
            ("", r#""Condition":{"StringEquals":{"a":{}}}"#),
            ("", r#""Condition":{"StringEquals":{"a":null}}"#),
            ("", r#""Condition":{"StringEquals":{"a":["1",[]]}}"#),
            ("", r#""Sid":{}"#),
            ("", r#""Sid":[]"#),
        ] {
            let mut members: serde_json::Value = serde_json::from_str(statement).unwrap();
            members.as_object_mut().unwrap().remove(name);
            let text = members
                .to_string()
                .replacen('{', &format!("{{{member},"), 1);
            assert_eq!(errors(&document(&text))[kind], syntax, "{text}");
        }
    }
    let extra = |statement: &str| document(&statement.replacen('{', r#"{"Extra":"x","#, 1));
    assert_eq!(key_error(&extra(KEY_STATEMENT)), "Unknown field Extra");
    assert_eq!(
        identity_error(&extra(IDENTITY_STATEMENT)),
        "Syntax errors in policy."
    );
    assert_eq!(trust_error(&extra(TRUST_STATEMENT)), "Unknown field Extra");
}

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
fn values_must_be_what_their_operator_compares() {
    let key = |condition: &str| {
        document(&KEY_STATEMENT.replacen('{', &format!("{{\"Condition\":{condition},"), 1))
    };
    let identity = |condition: &str| {
        document(&IDENTITY_STATEMENT.replacen('{', &format!("{{\"Condition\":{condition},"), 1))
    };
    for condition in [
        r#"{"NumericEquals":{"a":"seven"}}"#,
        r#"{"NumericEquals":{"a":["7","seven"]}}"#,
        r#"{"DateGreaterThan":{"a":"sdfdsf"}}"#,
        r#"{"DateLessThanEquals":{"a":"234-13"}}"#,
        r#"{"DateLessThanEquals":{"a":"2016-12-13t2:00:00.593194+1"}}"#,
        r#"{"Bool":{"a":"yes"}}"#,
        r#"{"Null":{"a":"maybe"}}"#,
        r#"{"BinaryEquals":{"a":"?"}}"#,
        r#"{"IpAddress":{"a":"10.0.0.0/33"}}"#,
        r#"{"IpAddress":{"a":"10.0.0.0/+8"}}"#,
        r#"{"IpAddress":{"a":"10.0.0.0/"}}"#,
        r#"{"IpAddress":{"a":"::/129"}}"#,
        r#"{"NotIpAddress":{"a":"10.0.0"}}"#,
        r#"{"NotIpAddress":{"a":"*"}}"#,
        r#"{"StringLike":{"a":"${aws:username"}}"#,
        r#"{"StringLike":{"a":"${}"}}"#,
        r#"{"StringLike":{"a":"${ , 'x'}"}}"#,
        r#"{"StringLike":{"a":"${aws:username, x}"}}"#,
        r#"{"StringLike":{"a":"${aws:username, 'x"}}"#,
        r#"{"StringLike":{"a":"${aws:username, 'x' }"}}"#,
        r#"{"ArnLike":{"a":"arn:aws:iam::*:user/${"}}"#,
        r#"{"NumericEquals":{"a":"${aws:EpochTime}"}}"#,
    ] {
        assert_eq!(
            key_error(&key(condition)),
            "Syntax errors in policy.",
            "{condition}"
        );
        assert_eq!(
            identity_error(&identity(condition)),
            "The policy failed legacy parsing",
            "{condition}"
        );
    }
    for condition in [
        "{}",
        r#"{"DateGreaterThan":{}}"#,
        r#"{"DateGreaterThan":{"a":[]}}"#,
        r#"{"Bool":{"a":true}}"#,
        r#"{"NumericEquals":{"a":7}}"#,
        r#"{"NumericEquals":{"a":[7,"7.5"]}}"#,
        r#"{"Null":{"a":false}}"#,
        r#"{"StringLike":{"a":"$ {} $a }"}}"#,
        r#"{"ForAnyValue:StringEqualsIfExists":{"a":"asf"}}"#,
        r#"{"ForAllValues:StringEquals":{"aws:TagKeys":"Department"}}"#,
        r#"{"DateLessThanEquals":{"a":"2016-12-13T21:20:37.593194+00:00"}}"#,
        r#"{"DateLessThanEquals":{"a":"2016-12-13t2:00:00.593194+23"}}"#,
    ] {
        assert_eq!(key_error(&key(condition)), "", "{condition}");
        assert_eq!(identity_error(&identity(condition)), "", "{condition}");
    }
}

/// Before the newer version, what looks like a variable is text, wildcards and all.
#[test]
fn the_older_version_has_no_variables() {
    let text = r#"{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*",
        "Condition":{"StringLike":{"a":"${aws:username"}}}}"#;
    assert_eq!(identity_error(text), "");
    assert_eq!(
        identity_error(&text.replace("2008-10-17", "2012-10-17")),
        "The policy failed legacy parsing"
    );
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

/// What moto recorded on AWS: which of two mistakes is told.
#[test]
fn of_several_mistakes_identity_policies_tell_the_same_as_aws() {
    for (statements, expected) in [
        (
            r#"{"Effect":"Allow","Action":"invalid"}"#,
            "Policy statement must contain resources.",
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

#[test]
fn a_document_is_of_limited_length_and_characters() {
    let filled = |statement: &str, length: usize| {
        let text = document(statement);
        let padding = " ".repeat(length - text.len());
        text + &padding
    };
    assert_eq!(key_error(&filled(KEY_STATEMENT, MAX_KEY_POLICY_BYTES)), "");
    let error = Policy::key_policy(&filled(KEY_STATEMENT, MAX_KEY_POLICY_BYTES + 1)).unwrap_err();
    assert_eq!(error, PolicyError::TooLong { limit: 32_768 });
    assert_eq!(
        KmsError::from(error),
        KmsError::LimitExceeded("The key policy is longer than 32768 bytes.".into())
    );
    assert_eq!(
        identity_error(&filled(IDENTITY_STATEMENT, MAX_DOCUMENT_BYTES)),
        ""
    );
    assert_eq!(
        identity_error(&filled(IDENTITY_STATEMENT, MAX_DOCUMENT_BYTES + 1)),
        "Syntax errors in policy."
    );
    for (character, allowed) in [
        ('\u{7}', false),
        ('\u{b}', false),
        ('\u{1f}', false),
        (' ', true),
        ('~', true),
        ('ÿ', true),
        ('\u{100}', false),
        ('😀', false),
    ] {
        let text = format!("{{\"Id\":\"{character}\",\"Statement\":{KEY_STATEMENT}}}");
        assert_eq!(key_error(&text).is_empty(), allowed, "{character:?}");
        let refused = Policy::key_policy(&text) == Err(PolicyError::Character);
        assert_eq!(refused, !allowed, "{character:?}");
    }
    for error in [PolicyError::Character, PolicyError::InvalidPrincipals] {
        let text = error.to_string().into();
        assert_eq!(
            KmsError::from(error),
            KmsError::MalformedPolicyDocument(text)
        );
    }
}
