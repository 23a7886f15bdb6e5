//! A second evaluator, as simple as can be: it walks the JSON of a policy for every request, and
//! shares no code with the first. Where the two differ, one is wrong.

use serde_json::{Map, Value};

use super::Request;

/// `(effect, reach, index)` of the statement that decides.
pub(super) type Answer = Option<(String, String, usize)>;

pub(super) fn evaluate(policy: &Value, request: &Request) -> Answer {
    let variables = policy["Version"] == "2012-10-17";
    let statements = list(&policy["Statement"]);
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        let Some(reach) = reach(statement, request) else {
            continue;
        };
        let action = &request.action.to_lowercase();
        let applies = selects(statement, "Action", |text| {
            glob(&tokens(&text.to_lowercase(), true, None), action)
        }) && selects(statement, "Resource", |text| {
            tokens_of(text, true, variables.then_some(request))
                .is_some_and(|tokens| arn_glob(&tokens, &request.resource))
        }) && conditions_hold(&statement["Condition"], variables, request);
        if applies {
            let effect = statement["Effect"].as_str().unwrap();
            found.push((effect.into(), reach.into(), index));
        }
    }
    let first = |effect: &str, reach: &str| {
        found
            .iter()
            .find(|(e, r, _)| e == effect && (reach.is_empty() || r == reach))
            .cloned()
    };
    first("Deny", "")
        .or_else(|| first("Allow", "Principal"))
        .or_else(|| first("Allow", "Account"))
}

/// Whether a request is allowed for the key of an account.
pub(super) fn is_allowed(
    key_policy: &Value,
    identity_policies: &[Value],
    owner: &str,
    request: &Request,
) -> bool {
    let key = evaluate(key_policy, request);
    let identity: Vec<_> = identity_policies
        .iter()
        .filter_map(|policy| evaluate(policy, request))
        .collect();
    let says = |answer: &(String, String, usize), effect: &str| answer.0 == effect;
    if key
        .iter()
        .chain(&identity)
        .any(|answer| says(answer, "Deny"))
    {
        return false;
    }
    let Some((_, reach, _)) = key else {
        return false;
    };
    let is_root = request.arn.ends_with(":root");
    let by_identity = is_root || identity.iter().any(|answer| says(answer, "Allow"));
    by_identity || (reach == "Principal" && request.account == owner)
}

/// All that a caller is called: its account, and then its role or user, and its session.
fn names(request: &Request) -> (String, Vec<Vec<String>>) {
    let mut names = Vec::new();
    if let Some(role) = &request.role {
        names.push(vec![request.arn.clone()]);
        names.push(vec![role.clone(), request.id.clone()]);
    } else if !request.arn.ends_with(":root") {
        names.push(vec![request.arn.clone(), request.id.clone()]);
    }
    (request.account.clone(), names)
}

fn reach(statement: &Value, request: &Request) -> Option<&'static str> {
    let (account, names) = names(request);
    let listed = |value: &Value| -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            value => list(&value["AWS"]).iter().map(text).collect(),
        }
    };
    let is_account =
        |name: &String| *name == account || *name == format!("arn:aws:iam::{account}:root");
    if let Some(not) = statement.get("NotPrincipal") {
        let listed = listed(not);
        let all_named = names
            .iter()
            .all(|level| level.iter().any(|name| listed.contains(name)));
        let exempt = listed.contains(&"*".into()) || (listed.iter().any(is_account) && all_named);
        return (!exempt).then_some("Principal");
    }
    let Some(principal) = statement.get("Principal") else {
        return Some("Principal");
    };
    let listed = listed(principal);
    let mut flat = names.concat();
    flat.push("*".into());
    if flat.iter().any(|name| listed.contains(name)) {
        Some("Principal")
    } else if listed.iter().any(is_account) {
        Some("Account")
    } else {
        None
    }
}

fn selects(statement: &Value, element: &str, matches: impl Fn(&str) -> bool) -> bool {
    let any = |value: &Value| {
        list(value)
            .iter()
            .any(|value| matches(value.as_str().unwrap()))
    };
    if let Some(only) = statement.get(element) {
        any(only)
    } else if let Some(not) = statement.get(format!("Not{element}")) {
        !any(not)
    } else {
        false
    }
}

fn conditions_hold(condition: &Value, variables: bool, request: &Request) -> bool {
    let empty = Map::new();
    let operators = condition.as_object().unwrap_or(&empty);
    operators.iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, expected)| {
            let found = request.values.get(&key.to_lowercase());
            let found = found.map(Vec::as_slice).unwrap_or_default();
            condition_holds(
                operator,
                found,
                &list(expected),
                variables.then_some(request),
            )
        })
    })
}

fn condition_holds(
    operator: &str,
    found: &[String],
    expected: &[Value],
    variables: Option<&Request>,
) -> bool {
    let expected: Vec<_> = expected.iter().map(text).collect();
    if operator == "Null" {
        let is_null = found.is_empty().to_string();
        return expected.iter().any(|value| value.to_lowercase() == is_null);
    }
    let mut parts = operator.rsplitn(2, ':');
    let name = parts.next().unwrap();
    let set = parts.next();
    let base = name.trim_end_matches("IfExists");
    let positive = base.replacen("Not", "", 1);
    let is_negated = positive != base;
    if found.is_empty() {
        return match set {
            Some("ForAnyValue") => false,
            Some(_) => true,
            None => is_negated || base != name,
        };
    }
    let matches = |value: &String| {
        expected
            .iter()
            .any(|expected| compare(&positive, value, expected, variables))
    };
    let results: Vec<bool> = found.iter().map(matches).collect();
    match (set, is_negated) {
        (Some("ForAllValues"), negated) => !results.contains(&negated),
        (Some(_), negated) => results.contains(&!negated),
        (None, false) => results.contains(&true),
        (None, true) => !results.contains(&true),
    }
}

fn compare(operator: &str, found: &str, expected: &str, variables: Option<&Request>) -> bool {
    if operator.starts_with("Numeric") || operator.starts_with("Date") {
        let parse = if operator.starts_with("Date") {
            date
        } else {
            number
        };
        let (Some(found), Some(expected)) = (parse(found), parse(expected)) else {
            return false;
        };
        return match operator
            .trim_start_matches("Numeric")
            .trim_start_matches("Date")
        {
            "Equals" => found == expected,
            "LessThan" => found < expected,
            "LessThanEquals" => found <= expected,
            "GreaterThan" => found > expected,
            "GreaterThanEquals" => found >= expected,
            other => panic!("{other}"),
        };
    }
    match operator {
        "StringEquals" => {
            tokens_of(expected, false, variables).is_some_and(|tokens| glob(&tokens, found))
        }
        "StringEqualsIgnoreCase" => tokens_of(expected, false, variables).is_some_and(|tokens| {
            let lower: Vec<_> = tokens.into_iter().map(Token::lower).collect();
            glob(&lower, &found.to_lowercase())
        }),
        "StringLike" => {
            tokens_of(expected, true, variables).is_some_and(|tokens| glob(&tokens, found))
        }
        "ArnEquals" | "ArnLike" => {
            found.starts_with("arn:")
                && tokens_of(expected, true, variables)
                    .is_some_and(|tokens| arn_glob(&tokens, found))
        }
        "Bool" => {
            ["true", "false"].contains(&found.to_lowercase().as_str())
                && found.to_lowercase() == expected.to_lowercase()
        }
        "BinaryEquals" => found == expected,
        "IpAddress" => {
            let (network, length) = match expected.split_once('/') {
                Some((network, length)) => (network, length.parse().unwrap()),
                None => (expected, 128),
            };
            let (network, found) = (bits(network), bits(found));
            !found.is_empty()
                && network.len() == found.len()
                && network
                    .chars()
                    .zip(found.chars())
                    .take(length)
                    .all(|(a, b)| a == b)
        }
        other => panic!("{other}"),
    }
}

/// Tenths.
fn number(text: &str) -> Option<i64> {
    text.parse::<f64>()
        .ok()
        .map(|value| (value * 10.0).round() as i64)
}

/// The few dates that the tests make, in seconds.
fn date(text: &str) -> Option<i64> {
    Some(match text {
        "2020-01-01T00:00:00Z" | "2020-01-01" | "2020-01-01T01:00:00+01:00" => 1_577_836_800,
        "2020-01-02T00:00:00Z" => 1_577_923_200,
        text => text.parse().ok()?,
    })
}

/// An address bit by bit; empty if it is none.
fn bits(address: &str) -> String {
    match address.parse() {
        Ok(core::net::IpAddr::V4(address)) => address
            .octets()
            .map(|octet| format!("{octet:08b}"))
            .concat(),
        Ok(core::net::IpAddr::V6(address)) => address
            .segments()
            .map(|part| format!("{part:016b}"))
            .concat(),
        Err(_) => String::new(),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Is(char),
    Any,
    Star,
}

impl Token {
    fn lower(self) -> Self {
        match self {
            Self::Is(character) => Self::Is(character.to_lowercase().next().unwrap()),
            token => token,
        }
    }
}

fn tokens_of(text: &str, wildcards: bool, variables: Option<&Request>) -> Option<Vec<Token>> {
    let tokens = tokens(text, wildcards, variables);
    // An unknown variable leaves this mark, which no policy of the tests has.
    (!tokens.contains(&Token::Is('\0'))).then_some(tokens)
}

/// A text as tokens, with the values of variables in place.
fn tokens(text: &str, wildcards: bool, variables: Option<&Request>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let (Some(request), true) = (variables, rest.starts_with("${")) {
            let end = rest.find('}').unwrap();
            let inside = &rest[2..end];
            rest = &rest[end + 1..];
            let (name, default) = inside.split_once(", ").unwrap_or((inside, "'\0'"));
            let value = match request.values.get(&name.to_lowercase()).map(Vec::as_slice) {
                _ if ["*", "?", "$"].contains(&name) => name,
                Some([value]) => value,
                _ => default.trim_matches('\''),
            };
            tokens.extend(value.chars().map(Token::Is));
            continue;
        }
        tokens.push(match character {
            '*' if wildcards => Token::Star,
            '?' if wildcards => Token::Any,
            character => Token::Is(character),
        });
        rest = &rest[character.len_utf8()..];
    }
    tokens
}

/// Whether a text matches, by the table of all beginnings of both.
fn glob(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut table = vec![vec![false; text.len() + 1]; pattern.len() + 1];
    table[0][0] = true;
    for (i, token) in pattern.iter().enumerate() {
        for j in 0..=text.len() {
            table[i + 1][j] = match token {
                Token::Star => table[i][j] || (j > 0 && table[i + 1][j - 1]),
                Token::Any => j > 0 && table[i][j - 1],
                Token::Is(character) => j > 0 && table[i][j - 1] && text[j - 1] == *character,
            };
        }
    }
    table[pattern.len()][text.len()]
}

/// The same for ARNs. The tests have no colons in values of variables.
fn arn_glob(pattern: &[Token], arn: &str) -> bool {
    let parts: Vec<_> = pattern
        .splitn(6, |token| *token == Token::Is(':'))
        .collect();
    let texts: Vec<_> = arn.splitn(parts.len(), ':').collect();
    parts.len() == texts.len() && parts.iter().zip(texts).all(|(part, text)| glob(part, text))
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.clone(),
        Value::Null => Vec::new(),
        value => vec![value.clone()],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
