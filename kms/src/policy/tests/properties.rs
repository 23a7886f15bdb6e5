//! Random policies and requests: the evaluator and the naive one say the same.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use super::super::{Decision, decide};
use super::{ACCOUNT, KEY, OTHER_ACCOUNT, Policy, Request, naive};

const ACTIONS: [&str; 8] = [
    "kms:Decrypt",
    "kms:*",
    "*",
    "kms:?e*crypt",
    "KMS:decrypt",
    "kms:Encrypt",
    "s3:*",
    "*:En*",
];

const RESOURCES: [&str; 10] = [
    "*",
    KEY,
    "arn:aws:kms:*:111122223333:key/*",
    "arn:aws:kms:*",
    "arn:aws:kms:us-west-?:*:alias/${aws:username}",
    "arn:aws:kms:*:*:alias/${k:text, 'alice'}",
    "arn:aws:kms:*:*:alias/${k:none}",
    "arn:aws:kms:*:*:alias/${*}",
    "arn:aws:kms:*:*:?l*as/*a*",
    "arn:aws:kms:*:key/*",
];

const PRINCIPALS: [&str; 11] = [
    "*",
    "111122223333",
    "444455556666",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::444455556666:user/alice",
    "arn:aws:iam::111122223333:role/path/Role",
    "arn:aws:sts::111122223333:assumed-role/Role/one",
    "arn:aws:sts::111122223333:assumed-role/Role/two",
    "AIDA000000000000ALICE",
    "AROA0000000000000ROLE",
];

/// A kind of value: a key that holds it, operators, values in policies and in requests.
type Family = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const FAMILIES: [Family; 8] = [
    (
        "k:text",
        &[
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ],
        &[
            "a",
            "b",
            "ab",
            "A",
            "a*",
            "*b",
            "*a*b*",
            "?",
            "??",
            "a?*",
            "*",
            "",
            "${k:none}",
            "${k:none, 'ab'}",
            "${aws:username}",
            "al${k:none, 'I'}ce",
            "${*}",
            "a${?}",
            "${$}*",
            "${k:text}",
            "${k:number}*",
        ],
        &["a", "b", "ab", "aab", "AB", "", "*", "a?", "alice", "$x"],
    ),
    (
        "k:number",
        &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        &["1", "2", "2.0", "2.5", "-1"],
        &["1", "2", "02", "2.5", "-1.0", "many"],
    ),
    (
        "k:date",
        &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        &[
            "2020-01-01T00:00:00Z",
            "2020-01-01",
            "2020-01-01T01:00:00+01:00",
            "2020-01-02T00:00:00Z",
            "1577836800",
        ],
        &[
            "2020-01-01T00:00:00Z",
            "2020-01-02T00:00:00Z",
            "1577836801",
            "today",
        ],
    ),
    (
        "k:bool",
        &["Bool"],
        &["true", "false", "True"],
        &["true", "false", "FALSE", "yes"],
    ),
    (
        "k:binary",
        &["BinaryEquals"],
        &["QQ==", "QUI="],
        &["QQ==", "QUI=", "QUJD"],
    ),
    (
        "k:address",
        &["IpAddress", "NotIpAddress"],
        &[
            "10.0.0.0/8",
            "10.1.0.0/15",
            "10.1.2.3",
            "0.0.0.0/0",
            "2001:db8::/33",
            "::/0",
        ],
        &[
            "10.1.2.3",
            "10.2.0.0",
            "11.0.0.0",
            "2001:db8::1",
            "2001:db8:8000::",
            "somewhere",
        ],
    ),
    (
        "k:arn",
        &["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"],
        &[
            "arn:aws:s3:::a",
            "arn:aws:s3:::*",
            "arn:aws:*",
            "*",
            "arn:*:s3:*:*:?",
            "arn:aws:s3:::${aws:username}",
            "arn:aws:s3::*:${k:none, 'a'}",
            "arn:aws:s3",
        ],
        &[
            "arn:aws:s3:::a",
            "arn:aws:s3:::a:b",
            "arn:aws:s3:::alice",
            "arn:aws:sns:eu:1:a",
            "a",
        ],
    ),
    ("k:text", &["Null"], &["true", "false"], &["a"]),
];

fn some(values: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<&'static str>> {
    vec(select(values), 1..=most)
}

/// One value alone or a list, as both are allowed.
fn one_or_many(values: Vec<&str>) -> Value {
    match values.as_slice() {
        [value] => json!(value),
        values => json!(values),
    }
}

fn condition() -> impl Strategy<Value = (String, String, Value)> {
    select(FAMILIES.as_slice()).prop_flat_map(|(key, operators, expected, _)| {
        let set = select(["", "", "ForAllValues:", "ForAnyValue:"].as_slice());
        let suffix = select(["", "", "IfExists"].as_slice());
        let key = select(vec![key.to_owned(), key.to_uppercase()]);
        (set, select(operators), suffix, key, some(expected, 3)).prop_map(
            |(set, operator, suffix, key, expected)| {
                let operator = match operator {
                    "Null" => operator.to_owned(),
                    _ => format!("{set}{operator}{suffix}"),
                };
                (operator, key, one_or_many(expected))
            },
        )
    })
}

fn conditions() -> impl Strategy<Value = Value> {
    vec(condition(), 0..3).prop_map(|conditions| {
        let mut operators = Map::new();
        for (operator, key, expected) in conditions {
            let keys = operators.entry(operator).or_insert_with(|| json!({}));
            keys[key] = expected;
        }
        Value::Object(operators)
    })
}

/// An element or its counterpart. Only key policies may lack it.
fn element(
    name: &'static str,
    values: &'static [&'static str],
) -> impl Strategy<Value = (String, Value)> {
    (any::<bool>(), some(values, 3)).prop_map(move |(not, values)| {
        let not = if not { "Not" } else { "" };
        (format!("{not}{name}"), one_or_many(values))
    })
}

fn identity_statement() -> impl Strategy<Value = Value> {
    let effect = select(["Allow", "Allow", "Deny"].as_slice());
    (effect, element("Action", &ACTIONS), element("Resource", &RESOURCES), conditions()).prop_map(
        |(effect, (action, actions), (resource, resources), conditions)| {
            json!({"Effect": effect, action: actions, resource: resources, "Condition": conditions})
        },
    )
}

fn key_statement() -> impl Strategy<Value = Value> {
    let lacking = select([None, None, None, None, Some("Action"), Some("Resource")].as_slice());
    (
        identity_statement(),
        some(&PRINCIPALS, 3),
        any::<bool>(),
        lacking,
    )
        .prop_map(|(mut statement, principals, not, lacking)| {
            let members = statement.as_object_mut().unwrap();
            let not = not && members["Effect"] == "Deny";
            let name = if not { "NotPrincipal" } else { "Principal" };
            let principals = match principals.as_slice() {
                ["*"] => json!("*"),
                _ => json!({"AWS": one_or_many(principals)}),
            };
            members.insert(name.into(), principals);
            if let Some(element) = lacking {
                members.retain(|name, _| !name.ends_with(element));
            }
            statement
        })
}

fn policy(statement: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let version = select(["2012-10-17", "2012-10-17", "2008-10-17"].as_slice());
    (version, vec(statement, 1..5)).prop_map(|(version, statements)| {
        let statement = match statements.as_slice() {
            [statement] => statement.clone(),
            statements => json!(statements),
        };
        json!({"Version": version, "Statement": statement})
    })
}

fn request() -> impl Strategy<Value = Request> {
    let caller = select(vec![
        Request::of_user(ACCOUNT, "alice"),
        Request::of_user(ACCOUNT, "bob"),
        Request::of_user(OTHER_ACCOUNT, "alice"),
        Request::of_session(ACCOUNT, "path/Role", "one"),
        Request::of_session(ACCOUNT, "path/Role", "two"),
        Request::of_root(ACCOUNT),
        Request::of_root(OTHER_ACCOUNT),
    ]);
    let action = select(["kms:Decrypt", "kms:Encrypt", "kms:CreateKey"].as_slice());
    let resource = select(
        [
            KEY,
            "arn:aws:kms:us-west-2:111122223333:alias/alice",
            "arn:aws:kms:us-west-2:111122223333:alias/*",
            "*",
        ]
        .as_slice(),
    );
    let values = subsequence(&FAMILIES[..7], 0..=7).prop_flat_map(|families| {
        families
            .into_iter()
            .map(|(key, _, _, found)| (Just(key), vec(select(found), 0..3)))
            .collect::<Vec<_>>()
    });
    (caller, action, resource, values).prop_map(|(caller, action, resource, values)| {
        let request = caller.action(action).resource(resource);
        values
            .into_iter()
            .fold(request, |request, (key, values)| request.with(key, &values))
    })
}

/// A text of many pieces; every other one an ARN.
fn long(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let start = select(["", "arn:"].as_slice());
    (start, vec(select(pieces), 0..most))
        .prop_map(|(start, pieces)| [start, &pieces.concat()].concat())
}

fn answer(policy: &Policy, request: &Request) -> naive::Answer {
    policy.evaluate(request).map(|found| {
        let (effect, reach) = (format!("{:?}", found.effect), format!("{:?}", found.reach));
        (effect, reach, found.statement.index)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn key_policies_say_what_the_naive_evaluator_says(
        document in policy(key_statement()),
        requests in vec(request(), 1..6),
    ) {
        let policy = Policy::stored_key_policy(&document.to_string()).unwrap();
        for request in requests {
            let expected = naive::evaluate(&document, &request);
            prop_assert_eq!(answer(&policy, &request), expected, "{} {:?}", document, request);
        }
    }

    #[test]
    fn single_conditions_hold_when_the_naive_evaluator_says_so(
        (operator, key, expected) in condition(),
        requests in vec(request(), 1..6),
    ) {
        let document = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {operator: {key: expected}},
        }});
        let policy = Policy::identity_policy(&document.to_string()).unwrap();
        for request in requests {
            let expected = naive::evaluate(&document, &request);
            prop_assert_eq!(answer(&policy, &request), expected, "{} {:?}", document, request);
        }
    }

    #[test]
    fn decisions_are_what_the_naive_evaluator_decides(
        key in policy(key_statement()),
        identity in vec(policy(identity_statement()), 0..3),
        request in request(),
    ) {
        let key_policy = Policy::stored_key_policy(&key.to_string()).unwrap();
        let identity_policies: Vec<_> = identity
            .iter()
            .map(|document| Policy::identity_policy(&document.to_string()).unwrap())
            .collect();
        let named = identity_policies.iter().map(|policy| ("inline", policy));
        let decision = decide(&request, ACCOUNT.parse().unwrap(), Some(&key_policy), named);
        let allowed = matches!(decision, Decision::Allowed { .. });
        prop_assert_eq!(allowed, naive::is_allowed(&key, &identity, ACCOUNT, &request));
    }

    #[test]
    fn texts_match_patterns_as_in_the_table_of_all_beginnings(
        pattern in "[ab*?é]{0,12}",
        text in "[abé]{0,10}",
    ) {
        let document = json!({"Statement": {
            "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"StringLike": {"k:text": pattern}},
        }});
        let policy = Policy::identity_policy(&document.to_string()).unwrap();
        let request = Request::of_user(ACCOUNT, "alice").with("k:text", &[&text]);
        prop_assert_eq!(answer(&policy, &request), naive::evaluate(&document, &request));
    }

    #[test]
    fn long_texts_match_long_patterns_as_in_the_table_of_all_beginnings(
        set in select(["", "ForAllValues:", "ForAnyValue:"].as_slice()),
        operator in select([
            "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringLike",
            "StringNotLike", "ArnLike", "ArnNotLike",
        ].as_slice()),
        patterns in vec(long(&[
            "*", "?", "a", "aa", "ab", "b", "é", ":", "arn:", "${k:value}", "${k:none, 'a'}", "${k:b}",
        ], 12), 1..4),
        texts in vec(long(&["a", "a", "aaa", "b", "A", "é", ":"], 120), 1..4),
        value in vec(select(["a", "a", "aaa", "b"].as_slice()), 0..40),
    ) {
        let document = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {format!("{set}{operator}"): {"k:text": patterns}},
        }});
        let policy = Policy::identity_policy(&document.to_string()).unwrap();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let request = Request::of_user(ACCOUNT, "alice")
            .with("k:text", &texts)
            .with("k:value", &[&value.concat()])
            .with("k:b", &["b"]);
        prop_assert_eq!(answer(&policy, &request), naive::evaluate(&document, &request));
    }

    /// Whatever it is, it is read or refused.
    #[test]
    fn no_document_is_too_strange_to_be_read(
        pieces in vec(select([
            "{", "}", "[", "]", ":", ",", "\"", "\"Statement\":", "\"Effect\":\"Allow\"", "\"Action\":",
            "\"*\"", "\"Resource\":", "\"Condition\":", "\"StringLike\":", "\"k\"", "${", "'", "null",
            "-1e400", "\\u0000", "\"Principal\":", "\"AWS\":", "é", " ",
        ].as_slice()), 0..40),
    ) {
        let text = pieces.concat();
        let _ = Policy::key_policy(&text);
        let _ = Policy::identity_policy(&text);
        let _ = Policy::trust_policy(&text);
    }
}
