//! Tests of the whole: documents read and evaluated.

mod conditions;
mod cost;
mod decisions;
mod evaluation;
mod grammar;
mod naive;
mod principals;
mod properties;
mod rules;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Caller, CallerKind, Match, Policy, RequestContext, Values};

const ACCOUNT: &str = "111122223333";
const OTHER_ACCOUNT: &str = "444455556666";
const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A request made of texts.
#[derive(Clone, Debug)]
struct Request {
    account: String,
    arn: String,
    id: String,
    /// The ARN of the role, for a session.
    role: Option<String>,
    action: String,
    resource: String,
    /// Values by keys in lower case.
    values: BTreeMap<String, Vec<String>>,
}

impl Request {
    /// A request to decrypt, of the user with this name.
    fn of_user(account: &str, name: &str) -> Self {
        Self {
            account: account.into(),
            arn: format!("arn:aws:iam::{account}:user/{name}"),
            id: format!("AIDA{:0>17}", name.to_uppercase()),
            role: None,
            action: "kms:Decrypt".into(),
            resource: KEY.into(),
            values: BTreeMap::new(),
        }
        .with("aws:username", &[name])
    }

    /// A request to decrypt, of a session of the role with this path and name.
    fn of_session(account: &str, role: &str, session: &str) -> Self {
        let name = role.rsplit('/').next().unwrap();
        Self {
            arn: format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
            id: format!("AROA{:0>17}", name.to_uppercase()),
            role: Some(format!("arn:aws:iam::{account}:role/{role}")),
            values: BTreeMap::new(),
            ..Self::of_user(account, name)
        }
    }

    /// A request to decrypt, of the root user.
    fn of_root(account: &str) -> Self {
        Self {
            arn: format!("arn:aws:iam::{account}:root"),
            id: account.into(),
            values: BTreeMap::new(),
            ..Self::of_user(account, "root")
        }
    }

    fn with(mut self, key: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.into()).collect();
        self.values.insert(key.to_lowercase(), values);
        self
    }

    fn action(mut self, action: &str) -> Self {
        self.action = action.into();
        self
    }

    fn resource(mut self, resource: &str) -> Self {
        self.resource = resource.into();
        self
    }
}

impl RequestContext for Request {
    fn caller(&self) -> Caller<'_> {
        let kind = match &self.role {
            Some(role) => CallerKind::Session { role },
            None if self.arn.ends_with(":root") => CallerKind::Root,
            None => CallerKind::User,
        };
        Caller {
            account: self.account.parse().unwrap(),
            arn: &self.arn,
            id: &self.id,
            kind,
        }
    }

    fn action(&self) -> &str {
        &self.action
    }

    fn resource(&self) -> &str {
        &self.resource
    }

    fn condition_values(&self, key: &str) -> Option<Values<'_>> {
        let values = self.values.get(key)?;
        Some(match values.as_slice() {
            [value] => Values::from(value.as_str()),
            values => values.iter().map(String::as_str).collect(),
        })
    }
}

/// A document with these statements, of the newer version.
fn document(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

/// A key policy as it is stored, with statements too that are no longer taken.
fn key_policy(statements: &str) -> Policy {
    Policy::stored_key_policy(&document(statements)).unwrap()
}

fn identity_policy(statements: &str) -> Policy {
    Policy::identity_policy(&document(statements)).unwrap()
}

/// Whether a condition holds for a request.
fn holds(condition: &str, request: &Request) -> bool {
    let policy = identity_policy(&format!(
        r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}"#
    ));
    policy.evaluate(request).is_some()
}

/// What a policy says, in short: `Allow to Principal by 0`.
fn says(policy: &Policy, request: &Request) -> Cow<'static, str> {
    match policy.evaluate(request) {
        None => "nothing".into(),
        Some(Match {
            effect,
            reach,
            statement,
        }) => format!("{effect:?} to {reach:?} by {}", statement.index).into(),
    }
}

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
