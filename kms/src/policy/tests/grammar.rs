//! What is a policy of each kind.

use super::super::{MAX_DOCUMENT_BYTES, MAX_KEY_POLICY_BYTES, Policy, PolicyError};
use super::{
    IDENTITY_STATEMENT, KEY_STATEMENT, TRUST_STATEMENT, document, errors, identity_error,
    key_error, trust_error,
};
use crate::error::KmsError;

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
