//! Every operator, by the tables of AWS's documentation.

use super::{ACCOUNT, Request, holds};

/// A request that has these values for the key `k:k`; no values are none at all.
fn with(values: &[&str]) -> Request {
    Request::of_user(ACCOUNT, "alice").with("k:k", values)
}

fn without() -> Request {
    Request::of_user(ACCOUNT, "alice")
}

/// Whether an operator holds between the values of a policy (as JSON) and of a request.
fn operator(name: &str, expected: &str, found: &[&str]) -> bool {
    holds(
        &format!(r#"{{"{name}":{{"k:k":{expected}}}}}"#),
        &with(found),
    )
}

const POSITIVE: [&str; 20] = [
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "NumericEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "ArnEquals",
    "ArnLike",
    "ForAnyValue:StringLike",
    "ForAnyValue:ArnLike",
];

const NEGATED: [&str; 8] = [
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
    "NumericNotEquals",
    "DateNotEquals",
    "NotIpAddress",
    "ArnNotEquals",
    "ArnNotLike",
];

/// A value that each kind of operator takes.
fn some_value(name: &str) -> &'static str {
    let name = name.trim_start_matches("ForAnyValue:");
    match &name[..3] {
        "Boo" => r#""true""#,
        "Bin" => r#""QUJD""#,
        "IpA" | "Not" => r#""10.0.0.0/8""#,
        "Num" | "Dat" => r#""7""#,
        _ => r#""x""#,
    }
}

#[test]
fn an_absent_key_fails_what_is_plain_and_passes_what_is_negated() {
    for absent in [without(), with(&[])] {
        for name in POSITIVE {
            let condition = format!(r#"{{"{name}":{{"k:k":{}}}}}"#, some_value(name));
            assert!(!holds(&condition, &absent), "{name}");
        }
        for name in NEGATED {
            let condition = format!(r#"{{"{name}":{{"k:k":{}}}}}"#, some_value(name));
            assert!(holds(&condition, &absent), "{name}");
        }
    }
}

#[test]
fn if_exists_and_for_all_values_pass_without_the_key_and_for_any_value_never_does() {
    for absent in [without(), with(&[])] {
        for name in POSITIVE.into_iter().chain(NEGATED) {
            let name = name.trim_start_matches("ForAnyValue:");
            let value = some_value(name);
            for (operator, expected) in [
                (format!("{name}IfExists"), true),
                (format!("ForAllValues:{name}"), true),
                (format!("ForAllValues:{name}IfExists"), true),
                (format!("ForAnyValue:{name}"), false),
                (format!("ForAnyValue:{name}IfExists"), false),
            ] {
                let condition = format!(r#"{{"{operator}":{{"k:k":{value}}}}}"#);
                assert_eq!(holds(&condition, &absent), expected, "{operator}");
            }
        }
    }
}

#[test]
fn if_exists_compares_a_key_that_is_there() {
    assert!(operator("StringEqualsIfExists", r#""a""#, &["a"]));
    assert!(!operator("StringEqualsIfExists", r#""a""#, &["b"]));
    assert!(!operator("StringNotEqualsIfExists", r#""a""#, &["a"]));
    assert!(operator("StringNotEqualsIfExists", r#""a""#, &["b"]));
}

#[test]
fn null_asks_whether_the_key_is_absent() {
    for (value, present, absent) in [
        (r#""true""#, false, true),
        (r#""false""#, true, false),
        ("true", false, true),
        ("false", true, false),
        (r#""TRUE""#, false, true),
        (r#"["true","false"]"#, true, true),
        ("[]", false, false),
    ] {
        let condition = format!(r#"{{"Null":{{"K:k":{value}}}}}"#);
        assert_eq!(holds(&condition, &with(&["x"])), present, "{value}");
        assert_eq!(holds(&condition, &with(&["x", "y"])), present, "{value}");
        assert_eq!(holds(&condition, &without()), absent, "{value}");
        assert_eq!(holds(&condition, &with(&[])), absent, "{value}");
    }
}

#[test]
fn of_several_values_in_the_policy_one_must_match_or_none() {
    let expected = r#"["a","b"]"#;
    for (found, matches) in [("a", true), ("b", true), ("c", false)] {
        assert_eq!(operator("StringEquals", expected, &[found]), matches);
        assert_eq!(operator("StringNotEquals", expected, &[found]), !matches);
    }
    assert!(!operator("StringEquals", "[]", &["a"]));
    assert!(operator("StringNotEquals", "[]", &["a"]));
}

/// The table of the user guide: what the request has, what the policy has.
#[test]
fn set_operators_ask_of_all_values_or_of_any() {
    let expected = r#"["PostDateTime","Message","Tags"]"#;
    let within: &[&str] = &["PostDateTime", "Message"];
    let across: &[&str] = &["PostDateTime", "UserName"];
    let outside: &[&str] = &["UserName", "ID"];
    for (name, on_within, on_across, on_outside) in [
        ("ForAllValues:StringLike", true, false, false),
        ("ForAnyValue:StringLike", true, true, false),
        ("ForAllValues:StringNotLike", false, false, true),
        ("ForAnyValue:StringNotLike", false, true, true),
        // Without a set operator, one value is enough to match, and too much not to.
        ("StringLike", true, true, false),
        ("StringNotLike", false, false, true),
    ] {
        assert_eq!(operator(name, expected, within), on_within, "{name}");
        assert_eq!(operator(name, expected, across), on_across, "{name}");
        assert_eq!(operator(name, expected, outside), on_outside, "{name}");
    }
}

/// What is no number is not among those that a comparison holds for, and so not all are.
#[test]
fn a_value_that_cannot_be_read_is_one_for_which_nothing_holds() {
    for (name, expected) in [
        ("NumericLessThan", r#""9""#),
        ("NumericEquals", r#"["5","9"]"#),
    ] {
        let (all, any) = (
            format!("ForAllValues:{name}"),
            format!("ForAnyValue:{name}"),
        );
        for (found, of_all, of_any) in [
            (&["5"][..], true, true),
            (&["5", "five"], false, true),
            (&["five"], false, false),
            (&["five", "six"], false, false),
        ] {
            assert_eq!(operator(&all, expected, found), of_all, "{all} {found:?}");
            assert_eq!(operator(&any, expected, found), of_any, "{any} {found:?}");
        }
    }
}

#[test]
fn all_keys_and_all_operators_must_hold() {
    let condition = r#"{
        "StringEquals": {"a:a": "1", "b:b": "2"},
        "NumericLessThan": {"c:c": "10"}
    }"#;
    let request = |a: &str, b: &str, c: &str| {
        without()
            .with("a:a", &[a])
            .with("b:b", &[b])
            .with("c:c", &[c])
    };
    assert!(holds(condition, &request("1", "2", "9")));
    assert!(!holds(condition, &request("0", "2", "9")));
    assert!(!holds(condition, &request("1", "0", "9")));
    assert!(!holds(condition, &request("1", "2", "10")));
    assert!(holds("{}", &without()));
    assert!(holds(r#"{"StringEquals":{}}"#, &without()));
}

#[test]
fn key_names_have_no_case() {
    let request = without().with("kms:EncryptionContext:AppName", &["ExampleApp"]);
    for key in [
        "kms:EncryptionContext:AppName",
        "kms:EncryptionContext:Appname",
        "KMS:ENCRYPTIONCONTEXT:APPNAME",
    ] {
        let condition = |value| format!(r#"{{"StringEquals":{{"{key}":"{value}"}}}}"#);
        assert!(holds(&condition("ExampleApp"), &request), "{key}");
        assert!(!holds(&condition("exampleapp"), &request), "{key}");
    }
}

#[test]
fn strings_are_compared_with_or_without_case_and_wildcards() {
    for (name, expected, found, matches) in [
        ("StringEquals", "abc", "abc", true),
        ("StringEquals", "abc", "ABC", false),
        ("StringEquals", "a*", "abc", false),
        ("StringEquals", "a*", "a*", true),
        ("StringEquals", "a?", "ab", false),
        ("StringEquals", "", "", true),
        ("StringEquals", "", "a", false),
        ("StringEqualsIgnoreCase", "aBc", "AbC", true),
        ("StringEqualsIgnoreCase", "É", "é", true),
        ("StringEqualsIgnoreCase", "abc", "abcd", false),
        ("StringEqualsIgnoreCase", "abcd", "abc", false),
        ("StringEqualsIgnoreCase", "a*", "abc", false),
        ("StringLike", "a*c", "abbc", true),
        ("StringLike", "a*c", "ABBC", false),
        ("StringLike", "a?c", "abc", true),
        ("StringLike", "a?c", "ac", false),
        ("StringLike", "*", "", true),
        ("StringLike", "?", "", false),
        ("StringLike", "?", "é", true),
    ] {
        let value = format!(r#""{expected}""#);
        assert_eq!(
            operator(name, &value, &[found]),
            matches,
            "{name} {expected} {found}"
        );
        let negated = name.replace("String", "StringNot");
        assert_eq!(
            operator(&negated, &value, &[found]),
            !matches,
            "{negated} {expected} {found}"
        );
    }
}

#[test]
fn numbers_and_dates_are_ordered() {
    let names = [
        "Equals",
        "LessThan",
        "LessThanEquals",
        "GreaterThan",
        "GreaterThanEquals",
    ];
    for (expected, found, holds) in [
        ("10", "9", [false, true, true, false, false]),
        ("10", "10", [true, false, true, false, true]),
        ("10", "10.0", [true, false, true, false, true]),
        ("10", "11", [false, false, false, true, true]),
        ("-1", "-2", [false, true, true, false, false]),
        ("0.1", "0.10", [true, false, true, false, true]),
    ] {
        for (name, holds) in names.into_iter().zip(holds) {
            let numeric = format!("Numeric{name}");
            for value in [expected.to_owned(), format!("\"{expected}\"")] {
                assert_eq!(
                    operator(&numeric, &value, &[found]),
                    holds,
                    "{found} {name} {value}"
                );
            }
        }
        assert_eq!(operator("NumericNotEquals", expected, &[found]), !holds[0]);
    }
    for (expected, found, holds) in [
        (
            "2020-01-01T00:00:01Z",
            "1577836800",
            [false, true, true, false, false],
        ),
        (
            "2020-01-01T00:00:01Z",
            "1577836801",
            [true, false, true, false, true],
        ),
        (
            "2020-01-01T00:00:01Z",
            "2020-01-01T01:00:01+01:00",
            [true, false, true, false, true],
        ),
        (
            "2020-01-01T00:00:01Z",
            "2020-01-01T00:00:02Z",
            [false, false, false, true, true],
        ),
        (
            "1577836801",
            "2020-01-01T00:00:02Z",
            [false, false, false, true, true],
        ),
    ] {
        for (name, holds) in names.into_iter().zip(holds) {
            let value = format!("\"{expected}\"");
            assert_eq!(
                operator(&format!("Date{name}"), &value, &[found]),
                holds,
                "{found} {name} {value}"
            );
        }
        assert_eq!(
            operator("DateNotEquals", &format!("\"{expected}\""), &[found]),
            !holds[0]
        );
    }
    // What is no number equals none, and so differs from all.
    assert!(!operator("NumericEquals", "7", &["seven"]));
    assert!(!operator("NumericLessThan", "7", &[""]));
    assert!(operator("NumericNotEquals", "7", &["seven"]));
}

#[test]
fn booleans_and_binaries_are_compared_by_meaning() {
    assert!(operator("Bool", r#""true""#, &["true"]));
    assert!(operator("Bool", "true", &["True"]));
    assert!(operator("Bool", "false", &["false"]));
    assert!(!operator("Bool", "true", &["false"]));
    assert!(!operator("Bool", "false", &["no"]));
    assert!(operator("BinaryEquals", r#""QmluYXJ5""#, &["QmluYXJ5"]));
    assert!(!operator("BinaryEquals", r#""QmluYXJ5""#, &["QmluYXJ6"]));
    assert!(!operator("BinaryEquals", r#""QmluYXJ5""#, &["Binary"]));
}

#[test]
fn addresses_are_in_networks_of_their_family() {
    for (network, address, matches) in [
        ("203.0.113.0/24", "203.0.113.0", true),
        ("203.0.113.0/24", "203.0.113.255", true),
        ("203.0.113.0/24", "203.0.114.0", false),
        ("203.0.113.7/24", "203.0.113.200", true),
        ("203.0.113.7/24", "203.0.113.1", true),
        ("203.0.113.7/24", "203.0.113.255", true),
        ("203.0.113.7", "203.0.113.7", true),
        ("203.0.113.7", "203.0.113.6", false),
        ("203.0.113.7/32", "203.0.113.6", false),
        ("203.0.113.6/31", "203.0.113.7", true),
        ("0.0.0.0/0", "255.255.255.255", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "127.0.0.1", false),
        (
            "2001:DB8:1234:5678::/64",
            "2001:db8:1234:5678:ffff::1",
            true,
        ),
        ("2001:DB8:1234:5678::/64", "2001:db8:1234:5679::", false),
        ("2001:db8:1234::9/48", "2001:db8:1234::1", true),
        (
            "2001:db8:1234::9/48",
            "2001:db8:1234:ffff:ffff:ffff:ffff:ffff",
            true,
        ),
        (
            "2001:db8:1234::9/48",
            "2001:db8:1233:ffff:ffff:ffff:ffff:ffff",
            false,
        ),
        ("2001:db8::1", "2001:db8::1", true),
        ("2001:db8::1", "2001:db8::2", false),
        ("::/0", "2001:db8::2", true),
        ("203.0.113.0/24", "::ffff:203.0.113.9", true),
        ("203.0.113.0/24", "here", false),
    ] {
        let value = format!(r#""{network}""#);
        assert_eq!(
            operator("IpAddress", &value, &[address]),
            matches,
            "{network} {address}"
        );
        assert_eq!(
            operator("NotIpAddress", &value, &[address]),
            !matches,
            "{network} {address}"
        );
    }
}

/// The example of the user guide: a wildcard stays between its colons.
#[test]
fn arns_are_compared_part_by_part() {
    let pattern = "arn:aws:someservice:*:111122223333:finance/*";
    let long =
        "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt";
    let short = "arn:aws:someservice:us-east-2:111122223333:finance/document.txt";
    let value = format!(r#""{pattern}""#);
    assert!(operator("StringLike", &value, &[long]));
    for (plain, negated) in [("ArnLike", "ArnNotLike"), ("ArnEquals", "ArnNotEquals")] {
        assert!(!operator(plain, &value, &[long]));
        assert!(operator(negated, &value, &[long]));
        assert!(operator(plain, &value, &[short]));
        assert!(!operator(negated, &value, &[short]));
        assert!(!operator(plain, r#""*""#, &["no ARN"]));
        assert!(!operator(plain, &value, &[&short.to_uppercase()]));
    }
    let last = r#""arn:aws:sns:*:*:a:b*""#;
    assert!(operator("ArnLike", last, &["arn:aws:sns:eu:1:a:bcd"]));
    assert!(!operator("ArnLike", last, &["arn:aws:sns:eu:1:a"]));
    // The sixth part holds all colons that follow, and wildcards reach over them there.
    let across = r#""arn:aws:sns:*:*:a*:d""#;
    assert!(operator("ArnLike", across, &["arn:aws:sns:eu:1:a:b:c:d"]));
    assert!(!operator("ArnLike", across, &["arn:aws:sns:eu:1:a:b:c"]));
}

#[test]
fn variables_stand_for_values_of_the_request() {
    let request = Request::of_user(ACCOUNT, "alice")
        .with("kms:EncryptionContext:user", &["alice"])
        .with("aws:PrincipalTag/Team", &["a*"])
        .with("aws:TagKeys", &["a", "b"])
        .with("k:price", &["5$ *?"]);
    for (name, key, expected, holds_for) in [
        (
            "StringEquals",
            "kms:EncryptionContext:user",
            "${aws:username}",
            true,
        ),
        (
            "StringEquals",
            "kms:EncryptionContext:user",
            "${AWS:UserName}",
            true,
        ),
        (
            "StringEquals",
            "kms:EncryptionContext:user",
            "${aws:username}s",
            false,
        ),
        (
            "StringEqualsIgnoreCase",
            "kms:EncryptionContext:user",
            "AL${k:x, 'Ice'}",
            true,
        ),
        (
            "StringEquals",
            "kms:EncryptionContext:user",
            "${k:x, 'alice'}",
            true,
        ),
        (
            "StringEquals",
            "kms:EncryptionContext:user",
            "${k:x,'alice'}",
            true,
        ),
        (
            "StringEquals",
            "kms:EncryptionContext:user",
            "${aws:username, 'bob'}",
            true,
        ),
        (
            "StringEquals",
            "kms:EncryptionContext:user",
            "${aws:TagKeys, 'alice'}",
            true,
        ),
        (
            "StringEquals",
            "kms:EncryptionContext:user",
            "${aws:TagKeys}",
            false,
        ),
        ("StringLike", "kms:EncryptionContext:user", "${k:x}*", false),
        (
            "StringNotLike",
            "kms:EncryptionContext:user",
            "${k:x}*",
            true,
        ),
        (
            "StringNotEquals",
            "kms:EncryptionContext:user",
            "${k:x}",
            true,
        ),
        (
            "StringLike",
            "kms:EncryptionContext:user",
            "${aws:PrincipalTag/Team}",
            false,
        ),
        (
            "StringLike",
            "aws:PrincipalTag/Team",
            "${aws:PrincipalTag/Team}",
            true,
        ),
        ("StringLike", "aws:PrincipalTag/Team", "a${*}", true),
        ("StringLike", "kms:EncryptionContext:user", "a${*}", false),
        ("StringLike", "k:price", "?${$} ${*}${?}", true),
        ("StringEquals", "k:price", "5${$} ${*}${?}", true),
        ("StringEquals", "k:price", "5$ *?", true),
        ("StringLike", "k:price", "5$ ??", true),
    ] {
        let condition = format!(r#"{{"{name}":{{"{key}":"{expected}"}}}}"#);
        assert_eq!(holds(&condition, &request), holds_for, "{condition}");
    }
}

#[test]
fn a_long_value_of_a_variable_is_found_wherever_it_stands() {
    let value = "value-of-a-variable-of-some-length";
    for before in [0, 1, 29, 30, 31, 63, 64, 100, 127] {
        let text = format!("{}{value}", "x".repeat(before));
        let request = with(&[&text]).with("k:v", &[value]);
        let holds = |end: &str| {
            let pattern = format!("{}${{k:v}}{end}", "x".repeat(before));
            holds(
                &format!(r#"{{"StringLike":{{"k:k":"{pattern}"}}}}"#),
                &request,
            )
        };
        assert!(holds(""), "{before}");
        assert!(holds("*"), "{before}");
        assert!(!holds("?"), "{before}");
    }
}

#[test]
fn a_variable_stays_within_a_part_of_an_arn() {
    let like = |pattern: &str| {
        let request = with(&["arn:a:b:c:d:e:f"])
            .with("k:one", &["b"])
            .with("k:two", &["b:c"])
            .with("k:end", &["e:f"]);
        holds(&format!(r#"{{"ArnLike":{{"k:k":"{pattern}"}}}}"#), &request)
    };
    assert!(like("arn:a:${k:one}:c:d:e:f"));
    assert!(like("arn:a:b:c:d:${k:end}"));
    assert!(!like("arn:a:${k:two}:d:e:f"));
    assert!(!like("arn:a:${k:none, 'b:c'}:d:e:f"));
}
