//! The policy that AWS gives to a key made without.
//!
//! It has a single statement, which gives the key's account all rights on the key, and so lets
//! that account's identity policies decide.

use serde::Deserialize;
use serde_json::Value;

use crate::error::KmsError;
use crate::name::{self, AccountId};

use super::parse::MAX_KEY_POLICY_BYTES as MAX_POLICY_BYTES;

/// The text of the default key policy, laid out as AWS does.
pub fn default_key_policy(account: AccountId) -> String {
    let root = name::root_arn(account);
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "{root}"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

/// Takes a policy that means the same as the default one.
///
/// # Errors
///
/// LimitExceededException if it is too long, MalformedPolicyDocumentException if it isn't a policy
/// at all, UnsupportedOperationException if it says anything else than the default does.
pub(crate) fn require_default(policy: &str, account: AccountId) -> Result<(), KmsError> {
    if policy.len() > MAX_POLICY_BYTES {
        return Err(KmsError::LimitExceeded(
            format!("The key policy is longer than {MAX_POLICY_BYTES} bytes.").into(),
        ));
    }
    let document: Value = serde_json::from_str(policy)
        .map_err(|_| KmsError::MalformedPolicyDocument("The policy is not valid JSON.".into()))?;
    if document.get("Statement").is_none() {
        return Err(KmsError::MalformedPolicyDocument(
            "The policy has no Statement.".into(),
        ));
    }
    if is_default(&document, account) {
        Ok(())
    } else {
        Err(KmsError::UnsupportedOperation(
            "This version enforces the default key policy only, so it does not accept another one."
                .into(),
        ))
    }
}

/// Whether a stored policy is, or means the same as, the default one.
pub(crate) fn is_default_text(policy: &str, account: AccountId) -> bool {
    serde_json::from_str(policy).is_ok_and(|document| is_default(&document, account))
}

fn is_default(document: &Value, account: AccountId) -> bool {
    let Ok(policy) = Policy::deserialize(document) else {
        return false;
    };
    let statement = match policy.statement {
        OneOrMany::One(statement) => statement,
        OneOrMany::Many(statements) => match <[Statement; 1]>::try_from(statements) {
            Ok([statement]) => statement,
            Err(_) => return false,
        },
    };
    let root = name::root_arn(account);
    matches!(
        policy.version.as_deref(),
        None | Some("2012-10-17" | "2008-10-17")
    ) && statement.effect == "Allow"
        && (statement.principal.aws.is(&root) || statement.principal.aws.is(&account.to_string()))
        && statement.action.is("kms:*")
        && statement.resource.is("*")
}

/// The members that the default policy has, and no other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    #[serde(rename = "Version")]
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    #[serde(rename = "Statement")]
    statement: OneOrMany<Statement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    #[serde(rename = "Effect")]
    effect: String,
    #[serde(rename = "Principal")]
    principal: Principal,
    #[serde(rename = "Action")]
    action: OneOrMany<String>,
    #[serde(rename = "Resource")]
    resource: OneOrMany<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    #[serde(rename = "AWS")]
    aws: OneOrMany<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl OneOrMany<String> {
    /// Whether it holds this text and nothing else.
    fn is(&self, text: &str) -> bool {
        match self {
            Self::One(one) => one == text,
            Self::Many(many) => matches!(many.as_slice(), [one] if one == text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        "111122223333".parse().unwrap()
    }

    fn code(policy: &str) -> &'static str {
        match require_default(policy, account()) {
            Ok(()) => "accepted",
            Err(error) => error.wire().code,
        }
    }

    #[test]
    fn the_default_policy_is_accepted() {
        assert_eq!(code(&default_key_policy(account())), "accepted");
        assert!(is_default_text(&default_key_policy(account()), account()));
    }

    #[test]
    fn a_policy_that_means_the_same_is_accepted() {
        for policy in [
            r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}}"#,
            r#"{"Version":"2008-10-17","Statement":[{"Sid":"x","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root"]},"Action":["kms:*"],"Resource":["*"]}]}"#,
        ] {
            assert_eq!(code(policy), "accepted", "{policy}");
        }
    }

    #[test]
    fn a_policy_that_says_anything_else_is_refused() {
        let default = default_key_policy(account());
        for (part, other) in [
            ("Allow", "Deny"),
            ("kms:*", "kms:Decrypt"),
            ("111122223333:root", "444455556666:root"),
            ("111122223333:root", "111122223333:user/alice"),
            (r#""Resource" : "*""#, r#""Resource" : "arn:aws:kms:x""#),
            (
                r#""Resource" : "*""#,
                r#""Resource" : "*", "Condition" : {}"#,
            ),
            (r#""Action" : "kms:*""#, r#""NotAction" : "kms:*""#),
            (r#""AWS" : "#, r#""Service" : "x", "AWS" : "#),
            ("2012-10-17", "2030-01-01"),
        ] {
            let policy = default.replace(part, other);
            assert_ne!(policy, default);
            assert_eq!(code(&policy), "UnsupportedOperationException", "{policy}");
            assert!(!is_default_text(&policy, account()));
        }
        let two = default.replace(
            "} ]",
            r#"}, {"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"} ]"#,
        );
        assert_eq!(code(&two), "UnsupportedOperationException");
    }

    #[test]
    fn what_is_no_policy_is_malformed() {
        for policy in ["", "kms:*", "{", "[]", "{}", r#"{"Version":"2012-10-17"}"#] {
            assert_eq!(code(policy), "MalformedPolicyDocumentException", "{policy}");
        }
        assert_eq!(
            code(&" ".repeat(MAX_POLICY_BYTES + 1)),
            "LimitExceededException"
        );
    }
}
