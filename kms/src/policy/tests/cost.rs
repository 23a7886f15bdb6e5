//! What policies at the limits of their size cost: not in time, which differs from machine to
//! machine, but in steps.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::texts::WORDS;
use super::super::{Caller, MAX_KEY_POLICY_BYTES, RequestContext, Values, decide};
use super::{ACCOUNT, Policy, Request, naive};

/// A policy with one condition, with as many values as may be.
fn full_policy(operator: &str, key: &str, value: impl Fn(usize) -> String) -> Value {
    let policy = |values: &[String]| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
            "Condition": {operator: {key: values}},
        }]})
    };
    let mut length = policy(&[]).to_string().len();
    let values: Vec<_> = (0..)
        .map(value)
        .take_while(|value| {
            length += json!(value).to_string().len() + 1;
            length <= MAX_KEY_POLICY_BYTES
        })
        .collect();
    policy(&values)
}

/// A request with values of 8 KB.
fn full_request() -> Request {
    let keys: Vec<_> = (0..2300).map(|number| format!("{number:x}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    Request::of_user(ACCOUNT, "alice")
        .with("k:long", &[&"a".repeat(8192)])
        .with("k:half", &[&"a".repeat(4096)])
        .with("k:short_one", &[&"a".repeat(16)])
        .with("k:many", &keys)
}

#[test]
fn the_worst_patterns_take_no_more_steps_than_others() {
    let request = full_request();
    let most = |document: &str| {
        let places = 8192_usize + 1;
        // A long value of a variable counts once, however often it comes.
        (document.len() + 4096) * places.div_ceil(64)
    };
    type Value = fn(usize) -> String;
    let cases: [(&str, &str, Value); 11] = [
        ("StringLike", "k:long", |_| {
            format!("*{}b", "a?".repeat(2000))
        }),
        ("StringLike", "k:long", |_| {
            format!("*{}b", "a".repeat(4000))
        }),
        ("StringLike", "k:long", |_| "*a?*?a*ab".into()),
        ("StringLike", "k:long", |_| "*a*b*".into()),
        ("StringLike", "k:long", |_| "*${k:short_one}b".into()),
        ("StringNotLike", "k:long", |number| {
            format!("${{k:half}}*{number}")
        }),
        ("StringLike", "k:long", |_| {
            "*${k:half}${k:half}${k:many}".into()
        }),
        ("ForAllValues:StringLike", "k:many", |number| {
            format!("*{number:x}*")
        }),
        ("ForAnyValue:StringLike", "k:many", |number| {
            format!("*${{aws:username}}{number}")
        }),
        ("ForAnyValue:StringEquals", "k:many", |number| {
            format!("{number:x}z")
        }),
        ("ForAnyValue:StringEqualsIgnoreCase", "k:many", |number| {
            format!("{number:X}Z")
        }),
    ];
    for (operator, key, value) in cases {
        let document = full_policy(operator, key, value).to_string();
        let policy = Policy::key_policy(&document).unwrap();
        WORDS.set(0);
        policy.evaluate(&request);
        let steps = WORDS.get();
        assert!(
            (1..=most(&document)).contains(&steps),
            "{operator} {}: {steps}",
            value(0)
        );
    }
}

#[test]
fn texts_at_the_limit_match_as_the_naive_evaluator_says() {
    let request = full_request();
    let almost = "a".repeat(4095);
    for (pattern, matches) in [
        (format!("*{}", "a?".repeat(4000)), true),
        (format!("*{}b", "a?".repeat(4000)), false),
        (format!("{almost}??{almost}"), true),
        (format!("{almost}???{almost}"), false),
        (format!("?{almost}${{k:half}}"), true),
        (format!("?{almost}${{k:half}}?"), false),
        (format!("{almost}*${{k:half}}?"), true),
        (format!("{almost}*${{k:half}}??"), false),
    ] {
        let document = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
            "Condition": {"StringLike": {"k:long": pattern}},
        }});
        let policy = Policy::key_policy(&document.to_string()).unwrap();
        let start = &pattern[..20];
        assert_eq!(policy.evaluate(&request).is_some(), matches, "{start}");
        assert_eq!(
            naive::evaluate(&document, &request).is_some(),
            matches,
            "{start}"
        );
    }
}

/// A request that counts how often each key is asked for.
struct Counting {
    request: Request,
    asked: RefCell<BTreeMap<String, usize>>,
}

impl RequestContext for Counting {
    fn caller(&self) -> Caller<'_> {
        self.request.caller()
    }

    fn action(&self) -> &str {
        &self.request.action
    }

    fn resource(&self) -> &str {
        &self.request.resource
    }

    fn condition_values(&self, key: &str) -> Option<Values<'_>> {
        *self.asked.borrow_mut().entry(key.into()).or_default() += 1;
        self.request.condition_values(key)
    }
}

#[test]
fn a_key_is_asked_for_once_by_all_policies_together() {
    let statement = json!({
        "Effect": "Allow", "Action": "*", "Resource": "arn:aws:kms:*:*:*/${k:none, 'x'}*",
        "Condition": {
            "StringNotLike": {"k:many": ["${k:none}", "${aws:username}"], "K:Many": "${k:half}"},
            "ForAnyValue:StringLike": {"k:many": ["${k:half}", "${K:HALF}*", "*"]},
            "NumericLessThanIfExists": {"k:none": "1", "k:None": "2"},
        },
    });
    let identity = json!({"Version": "2012-10-17", "Statement": [statement, statement]});
    let identity = Policy::identity_policy(&identity.to_string()).unwrap();
    let mut statement = statement;
    statement["Principal"] = json!("*");
    let key = json!({"Version": "2012-10-17", "Statement": [statement, statement]});
    let key = Policy::key_policy(&key.to_string()).unwrap();
    let request = Counting {
        request: full_request().resource("arn:aws:kms:eu-central-1:111122223333:key/x"),
        asked: RefCell::default(),
    };
    decide(
        &request,
        ACCOUNT.parse().unwrap(),
        Some(&key),
        [("one", &identity), ("two", &identity)],
    );
    let asked = request.asked.into_inner();
    let expected = ["aws:username", "k:half", "k:many", "k:none"];
    assert_eq!(asked, expected.map(|key| (key.to_owned(), 1)).into());
}
