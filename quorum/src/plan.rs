//! What a genesis or a resharing is asked for: the operators, and how many of them it takes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::operator_key::OperatorKey;
use crate::signing_key::SigningKey;

/// The most operators of one root key.
pub const MAX_OPERATORS: u8 = 16;

/// The longest name of an operator, in characters.
const MAX_NAME: usize = 64;

/// Who is to hold the shares of a root key.
///
/// ```json
/// {
///   "threshold": 2,
///   "operators": [
///     { "name": "ada", "key": "age1…", "signing_key": "ssh-ed25519 AAAA…" },
///     { "name": "grace", "key": "age1…", "signing_key": "ssh-ed25519 AAAA…" },
///     { "name": "mary", "key": "age1…" }
///   ],
///   "administrator": "age1…"
/// }
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// How many operators make the root key again: 2 to all of them.
    pub threshold: u8,
    /// 2 to [`MAX_OPERATORS`], each with a name and a key of its own.
    pub operators: Vec<Operator>,
    /// The key that the first administrator's access key is encrypted to. A genesis needs it, a
    /// resharing makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<OperatorKey>,
}

/// One who is to hold a share.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// 1 to 64 letters, digits, `.`, `_` and `-`; files are named after it.
    pub name: String,
    /// The key that the share is encrypted to.
    pub key: OperatorKey,
    /// The key that the operator signs release manifests with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SigningKey>,
}

/// Why a plan is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Not JSON of this form.
    #[error("the plan can't be read: {0}")]
    Json(String),
    /// Too few or too many.
    #[error("a plan has 2 to {MAX_OPERATORS} operators, not {0}")]
    Operators(usize),
    /// One alone, or more than there are.
    #[error("a threshold of {threshold} is not from 2 to {operators}, the number of operators")]
    Threshold {
        /// The threshold asked for.
        threshold: u8,
        /// How many operators there are.
        operators: usize,
    },
    /// A name that can't be.
    #[error("{0:?} is not an operator's name: 1 to {MAX_NAME} letters, digits, '.', '_' and '-'")]
    Name(String),
    /// Two operators have the same name.
    #[error("two operators are named {0:?}")]
    SameName(String),
    /// Two operators have the same key, so that one person would hold two shares.
    #[error("two operators have the key {0}")]
    SameKey(OperatorKey),
    /// Two operators sign with the same key, so that one person would sign for two.
    #[error("two operators have the signing key {0}")]
    SameSigningKey(SigningKey),
    /// Some operators can sign, and too few for any release.
    #[error(
        "{signing} operators have a signing key: no release could ever be signed by {threshold}. \
         Give none, or enough"
    )]
    SigningKeys {
        /// How many have one.
        signing: usize,
        /// How many it takes.
        threshold: u8,
    },
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    ///
    /// [`PlanError`], with what to change.
    pub fn from_json(text: &[u8]) -> Result<Self, PlanError> {
        let plan: Self =
            serde_json::from_slice(text).map_err(|error| PlanError::Json(error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), PlanError> {
        let count = self.operators.len();
        if !(2..=usize::from(MAX_OPERATORS)).contains(&count) {
            return Err(PlanError::Operators(count));
        }
        if !(2..=count).contains(&usize::from(self.threshold)) {
            return Err(PlanError::Threshold {
                threshold: self.threshold,
                operators: count,
            });
        }
        let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
        let mut signing_keys = BTreeSet::new();
        for operator in &self.operators {
            let Operator { name, key, .. } = operator;
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
                return Err(PlanError::Name(name.clone()));
            }
            // As files, on systems that don't tell capital letters apart.
            if !names.insert(name.to_ascii_lowercase()) {
                return Err(PlanError::SameName(name.clone()));
            }
            if !keys.insert(key) {
                return Err(PlanError::SameKey(key.clone()));
            }
            if let Some(key) = &operator.signing_key
                && !signing_keys.insert(key.numbers())
            {
                return Err(PlanError::SameSigningKey(key.clone()));
            }
        }
        let signing = signing_keys.len();
        if (1..usize::from(self.threshold)).contains(&signing) {
            let threshold = self.threshold;
            return Err(PlanError::SigningKeys { signing, threshold });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Random, key_pair};

    const ADA: &str = include_str!("../tests/vectors/release/ada.pub");
    const GRACE: &str = include_str!("../tests/vectors/release/grace.pub");

    fn plan() -> Value {
        let mut random = Random::new(1);
        let mut operator = |name: &str| json!({"name": name, "key": key_pair(&mut random).1});
        json!({
            "threshold": 2,
            "operators": [operator("ada"), operator("grace"), operator("mary")],
            "administrator": key_pair(&mut Random::new(2)).1,
        })
    }

    fn read(plan: &Value) -> Result<Plan, PlanError> {
        Plan::from_json(plan.to_string().as_bytes())
    }

    #[test]
    fn a_plan_is_read() {
        let read = read(&plan()).unwrap();
        assert_eq!((read.threshold, read.operators.len()), (2, 3));
        assert_eq!(serde_json::to_value(read).unwrap(), plan());
    }

    #[test]
    fn operators_may_have_a_signing_key() {
        let mut plan = plan();
        plan["operators"][0]["signing_key"] = ADA.into();
        plan["operators"][2]["signing_key"] = GRACE.into();
        let read = read(&plan).unwrap();
        let keys = read.operators.iter().map(|operator| &operator.signing_key);
        let keys: Vec<_> = keys.cloned().collect();
        let expected = [ADA, GRACE].map(|line| SigningKey::from_text(line).ok());
        assert_eq!(keys, [expected[0].clone(), None, expected[1].clone()]);
        plan["operators"][1]["signing_key"] = "ssh-ed25519 AAAA".into();
        assert!(matches!(self::read(&plan), Err(PlanError::Json(_))));
    }

    #[test]
    fn plans_that_can_not_be_are_refused() {
        let key = plan()["operators"][0]["key"].clone();
        type Change = fn(&mut Value);
        let cases: [(Change, PlanError); 9] = [
            (
                |plan| plan["threshold"] = 1.into(),
                PlanError::Threshold {
                    threshold: 1,
                    operators: 3,
                },
            ),
            (
                |plan| plan["threshold"] = 4.into(),
                PlanError::Threshold {
                    threshold: 4,
                    operators: 3,
                },
            ),
            (
                |plan| plan["operators"].as_array_mut().unwrap().truncate(1),
                PlanError::Operators(1),
            ),
            (
                |plan| plan["operators"][1]["name"] = "ADA".into(),
                PlanError::SameName("ADA".into()),
            ),
            (
                |plan| plan["operators"][1]["name"] = "a/b".into(),
                PlanError::Name("a/b".into()),
            ),
            (
                |plan| plan["operators"][1]["name"] = "".into(),
                PlanError::Name(String::new()),
            ),
            (
                |plan| plan["operators"][1]["key"] = plan["operators"][0]["key"].clone(),
                PlanError::SameKey(serde_json::from_value(key).unwrap()),
            ),
            (
                |plan| {
                    plan["operators"][0]["signing_key"] = ADA.into();
                    plan["operators"][2]["signing_key"] = ADA.replace(" ada", " mary").into();
                },
                PlanError::SameSigningKey(SigningKey::from_text(ADA).unwrap()),
            ),
            (
                |plan| plan["operators"][1]["signing_key"] = ADA.into(),
                PlanError::SigningKeys {
                    signing: 1,
                    threshold: 2,
                },
            ),
        ];
        for (change, expected) in cases {
            let mut plan = plan();
            change(&mut plan);
            assert_eq!(read(&plan).unwrap_err(), expected);
        }
        for text in ["", "{}", r#"{"threshold":2}"#] {
            let refused = Plan::from_json(text.as_bytes());
            assert!(matches!(refused, Err(PlanError::Json(_))), "{text}");
        }
        let mut more = plan();
        more["more"] = 1.into();
        assert!(matches!(read(&more), Err(PlanError::Json(_))));
    }
}
