//! Measures what the worst key policies cost: how long one decision takes, with a policy and a call
//! as large as may be, made to take long in one way each.
//!
//! ```sh
//! cargo run --release -p claviger-kms --example policy_cost -- [BYTES [CASE]]
//! ```
//!
//! `BYTES` is how much an encryption context holds (8192 if not given), `CASE` what a case's name
//! contains.

use std::sync::Arc;
use std::time::{Duration, Instant};

#[path = "../src/test_random.rs"]
mod test_random;

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use kms::key::KeyPolicy;
use kms::name::{AccountId, AliasName, KeyId, Region};
use kms::permit::{Asking, Conditions, action, authorize};
use kms::policy::MAX_KEY_POLICY_BYTES;
use kms::principal::{Access, Principal};
use kms::protocol::EncryptionContext;
use kms::state::{Alias, Batch, Change, Key, RootKey, State};
use kms::{Call, Timestamp};
use test_random::TestRandom;

type Failure = Box<dyn std::error::Error>;

const ANYTHING: &str = r#""Principal":"*","Action":"kms:*","Resource":"*""#;
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let bytes = arguments.next().map_or(Ok(8192), |bytes| bytes.parse())?;
    let chosen = arguments.next().unwrap_or_default();
    let server = Server::start()?;
    for case in cases(bytes) {
        if case.name.contains(&chosen) {
            println!("{:>11.3?}  {}", server.measure(&case)?, case.name);
        }
    }
    Ok(())
}

/// A policy, and a call that it takes long to decide on.
struct Case {
    name: &'static str,
    policy: String,
    context: EncryptionContext<'static>,
    user_agent: String,
}

impl Case {
    /// A statement filled up with more and more items, between a beginning and an end.
    fn new(
        name: &'static str,
        [start, end]: [&str; 2],
        item: impl Fn(usize) -> String,
        context: EncryptionContext<'static>,
    ) -> Self {
        let mut policy =
            format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{start}"#);
        let end = format!("{end}}}]}}");
        for number in 0.. {
            let item = item(number);
            if policy.len() + 1 + item.len() + end.len() > MAX_KEY_POLICY_BYTES {
                break;
            }
            if number > 0 {
                policy.push(',');
            }
            policy.push_str(&item);
        }
        policy.push_str(&end);
        Self {
            name,
            policy,
            context,
            user_agent: String::new(),
        }
    }

    /// One condition with as many values as fit.
    fn values(
        name: &'static str,
        operator: &str,
        key: &str,
        item: impl Fn(usize) -> String,
        context: EncryptionContext<'static>,
    ) -> Self {
        let start = format!(r#"{ANYTHING},"Condition":{{"{operator}":{{"{key}":["#);
        Self::new(
            name,
            [&start, "]}}"],
            |number| format!("\"{}\"", item(number)),
            context,
        )
    }

    /// One operator with as many keys as fit, all of them the same but for the case.
    fn keys(
        name: &'static str,
        operator: &str,
        key: &str,
        value: &str,
        context: EncryptionContext<'static>,
    ) -> Self {
        let start = format!(r#"{ANYTHING},"Condition":{{"{operator}":{{"#);
        let item = |number| format!(r#""{}":"{value}""#, in_case(key, number));
        Self::new(name, [&start, "}}"], item, context)
    }
}

fn cases(bytes: usize) -> Vec<Case> {
    const ONE: &str = "kms:EncryptionContext:a";
    const KEYS: &str = "kms:EncryptionContextKeys";
    let half = bytes / 2;
    let one = || EncryptionContext::from_iter([("a", "a".repeat(bytes))]);
    let many = || numbered(bytes, |number| format!("{number:x}"));
    let alike = || numbered(bytes, |number| format!("{}{number:x}", "a".repeat(60)));
    let mut cases = vec![
        Case::values(
            "one star, then marks",
            "StringLike",
            ONE,
            |_| format!("*{}b", "a?".repeat(bytes / 4)),
            one(),
        ),
        Case::values(
            "one star, then text",
            "StringLike",
            ONE,
            |_| format!("*{}b", "a".repeat(half)),
            one(),
        ),
        Case::values(
            "stars and marks",
            "StringLike",
            ONE,
            |_| "*a?*?a*ab".into(),
            one(),
        ),
        Case::values(
            "short texts between stars",
            "StringLike",
            ONE,
            |number| format!("*{}b*", "a".repeat(number % 3 + 1)),
            one(),
        ),
        Case::values(
            "stars against many values",
            "ForAnyValue:StringLike",
            KEYS,
            |number| format!("*{number:x}z"),
            many(),
        ),
        Case::values(
            "equal texts against many values",
            "ForAnyValue:StringEquals",
            KEYS,
            |number| format!("{number:x}z"),
            many(),
        ),
        Case::values(
            "texts of any case against many values",
            "ForAnyValue:StringEqualsIgnoreCase",
            KEYS,
            |number| format!("{}Z", "A".repeat(number % 100)),
            alike(),
        ),
        Case::values(
            "an ARN",
            "ArnLike",
            ONE,
            |_| format!("arn:aws:*:*:*:*{}b", "a?".repeat(bytes / 4)),
            EncryptionContext::from_iter([("a", format!("arn:aws:s3:::{}", "a".repeat(bytes)))]),
        ),
        Case::values(
            "a variable",
            "StringLike",
            ONE,
            |number| format!("*${{kms:EncryptionContext:b}}{number:x}"),
            EncryptionContext::from_iter([("a", "a".repeat(half)), ("b", "a".repeat(half / 2))]),
        ),
        Case::values(
            "long variables",
            "StringLike",
            ONE,
            |number| format!("*${{kms:EncryptionContext:{:x}}}{number:x}", number % 9 + 1),
            EncryptionContext::from_iter(
                (1..10)
                    .map(|number| (number.to_string(), "a".repeat(half / 9)))
                    .chain([("a".to_owned(), "a".repeat(half))]),
            ),
        ),
        Case::values(
            "characters of all kinds",
            "ForAnyValue:StringLike",
            ONE,
            |_| "*????*?z".into(),
            EncryptionContext::from_iter([(
                "a",
                ('\u{4e00}'..).take(bytes / 3).collect::<String>(),
            )]),
        ),
        Case::values(
            "a variable against many values",
            "ForAnyValue:StringLike",
            KEYS,
            |number| format!("*${{kms:EncryptionContext:0}}{number:x}z"),
            many(),
        ),
        Case::values(
            "many variables",
            "StringLike",
            ONE,
            |number| format!("*${{kms:EncryptionContext:{number:x}}}z"),
            EncryptionContext::from_iter(
                numbered(half, |number| format!("{number:x}"))
                    .iter()
                    .map(|(key, _)| (key.to_owned(), "a".to_owned()))
                    .chain([("a".to_owned(), "a".repeat(half))]),
            ),
        ),
        Case::keys(
            "many conditions on many values",
            "ForAllValues:StringLike",
            KEYS,
            "?*",
            many(),
        ),
        Case::keys(
            "many conditions on one long value",
            "StringLike",
            ONE,
            "*a*",
            one(),
        ),
        Case::keys(
            "many conditions on numbers",
            "ForAllValues:NumericLessThan",
            KEYS,
            "10000000000",
            numbered(bytes, |number| number.to_string()),
        ),
        Case::values(
            "numbers",
            "ForAnyValue:NumericEquals",
            KEYS,
            |number| (1_000_000 + number).to_string(),
            numbered(bytes, |number| number.to_string()),
        ),
        Case::values(
            "dates",
            "ForAnyValue:DateEquals",
            KEYS,
            |number| (1_000_000 + number).to_string(),
            numbered(bytes, |number| number.to_string()),
        ),
        Case::values(
            "addresses",
            "ForAnyValue:IpAddress",
            KEYS,
            |number| format!("2::{number:x}"),
            numbered(bytes, |number| format!("1::{number:x}")),
        ),
        Case::values(
            "binary values",
            "ForAnyValue:BinaryEquals",
            KEYS,
            |number| format!("z{:03}", number % 1000),
            numbered(bytes, |number| format!("{number:04}")),
        ),
        Case::new(
            "actions",
            [r#""Principal":"*","Resource":"*","Action":["#, "]"],
            |_| format!("\"kms:*{}z\"", "?".repeat(18)),
            one(),
        ),
        Case::new(
            "resources",
            [r#""Principal":"*","Action":"kms:*","Resource":["#, "]"],
            |_| format!("\"arn:aws:kms:*:*:*{}z\"", "?".repeat(20)),
            one(),
        ),
        Case::new(
            "principals",
            [
                r#""Action":"kms:*","Resource":"*","Principal":{"AWS":["#,
                "]}",
            ],
            |number| format!("\"arn:aws:iam::111122223333:user/alic{number}\""),
            one(),
        ),
        Case::values(
            "aliases",
            "ForAnyValue:StringLike",
            "kms:ResourceAliases",
            |_| format!("*{}z", "a?".repeat(60)),
            one(),
        ),
        Case::new(
            "tags",
            [
                &format!(r#"{ANYTHING},"Condition":{{"StringNotEquals":{{"#),
                "}}",
            ],
            |number| format!(r#""aws:ResourceTag/{}{number}":"x""#, "a".repeat(120)),
            one(),
        ),
        Case::new(
            "many statements",
            [
                &format!(r#"{ANYTHING},"Condition":{{"Null":{{"a":"false"}}}}}},"#),
                &format!(r#",{{"Effect":"Deny",{ANYTHING},"Condition":{{"Null":{{"a":"false"}}}}"#),
            ],
            |number| {
                format!(
                    r#"{{"Effect":"Allow",{ANYTHING},"Condition":{{"StringLike":{{"{KEYS}":"*{number:x}z"}}}}}}"#
                )
            },
            many(),
        ),
    ];
    let mut agent = Case::values(
        "a long user agent",
        "StringLike",
        "aws:UserAgent",
        |_| format!("*{}b", "a?".repeat(8_000)),
        one(),
    );
    agent.user_agent = "a".repeat(60_000);
    cases.push(agent);
    cases
}

/// An encryption context with keys made of numbers, and empty values.
fn numbered(bytes: usize, key: impl Fn(usize) -> String) -> EncryptionContext<'static> {
    let mut left = bytes;
    (0..)
        .map(key)
        .take_while(|key| {
            let fits = key.len() <= left;
            left = left.saturating_sub(key.len());
            fits
        })
        .map(|key| (key, ""))
        .collect()
}

/// A text with those letters in upper case that the bits of a number select.
fn in_case(text: &str, number: usize) -> String {
    text.chars()
        .enumerate()
        .map(|(place, letter)| match number >> (place % 16) & 1 {
            0 => letter.to_ascii_lowercase(),
            _ => letter.to_ascii_uppercase(),
        })
        .collect()
}

/// A key with fifty aliases, and somebody who wants to use it.
struct Server {
    state: State,
    key: Key,
    region: Region,
    principal: Principal,
}

impl Server {
    fn start() -> Result<Self, Failure> {
        let mut random = TestRandom::new(1);
        let (account, region): (AccountId, Region) =
            ("111122223333".parse()?, "eu-central-1".parse()?);
        let (state, _) = State::genesis(&RootKey::from_bytes(&[7; 32]), &mut random, NOW);
        let id = KeyId::new([1; 16], false);
        let mut key = Key::generate(account, region.clone(), id, NOW, &mut random);
        key.tags = (0..50)
            .map(|number| (format!("{}{number}", "a".repeat(126)), String::new()))
            .collect();
        let mut batch = Batch::new(state);
        let mut changes = vec![Change::PutKey(key.clone())];
        for number in 0..50 {
            changes.push(Change::PutAlias(Alias {
                account,
                region: region.clone(),
                name: AliasName::parse(&format!("alias/{}{number}", "a".repeat(240)))?,
                target: id,
                created: NOW,
                updated: NOW,
            }));
        }
        batch.push(changes);
        let (state, _) = batch.seal(&mut random);
        Ok(Self {
            state,
            key,
            region,
            principal: Principal::user(account, "alice", Access::None, NOW, &mut random),
        })
    }

    /// The shortest time of several decisions, or that of the first if it takes long.
    fn measure(&self, case: &Case) -> Result<Duration, Failure> {
        let policy =
            KeyPolicy::parse(&case.policy).map_err(|error| format!("{}: {error}", case.name))?;
        let mut key = self.key.clone();
        key.policy = Some(policy);
        let key = Arc::new(key);
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_str(&case.user_agent)?);
        let (method, uri) = (Method::POST, Uri::from_static("/"));
        let call = Call {
            method: &method,
            uri: &uri,
            headers: &headers,
            is_encrypted: true,
            body: &[],
            authority: "localhost",
        };
        let asking = Asking {
            principal: &self.principal,
            region: &self.region,
            call: &call,
            now: NOW,
            state: &self.state,
        };
        let conditions = Conditions {
            encryption_context: Some(&case.context),
            ..Conditions::default()
        };
        let mut shortest = Duration::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            let _ = authorize(asking, action::Encrypt, Arc::clone(&key), &conditions);
            shortest = shortest.min(start.elapsed());
            if shortest > Duration::from_secs(1) {
                break;
            }
        }
        Ok(shortest)
    }
}
