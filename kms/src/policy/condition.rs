//! Conditions: operators, and what they say of a request.
//!
//! Of several values in the policy one must match; with a negated operator, none. If the request
//! has several values for the key, one of them must match (none, with a negated operator), unless
//! `ForAllValues` asks it of each or `ForAnyValue` of at least one.
//!
//! What an absent key means:
//!
//! | operator | holds |
//! |---|---|
//! | plain, such as `StringEquals` | no |
//! | negated, such as `StringNotEquals` | yes |
//! | `…IfExists` | yes |
//! | `ForAllValues:…` | yes |
//! | `ForAnyValue:…` | no, not even with `IfExists` (observed on AWS) |
//! | `Null` | if the policy says `true` |
//!
//! A variable without a value matches nothing, so that a negated operator holds, as AWS documents.

use super::facts::Facts;
use super::keys;
use super::operand::{Comparison, Operands, Relation};
use super::pattern::Case;

/// One key of a condition, and what its values must be.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Condition {
    /// The key in lower case.
    key: Box<str>,
    operator: Operator,
    operands: Operands,
}

impl Condition {
    /// Reads a condition. `None` if a value is not one that the operator compares.
    pub(super) fn parse(
        operator: Operator,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Option<Self> {
        Some(Self {
            key: keys::fold(key).into(),
            operands: Operands::parse(operator.comparison, values, variables)?,
            operator,
        })
    }

    /// Whether it holds for a request.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        let found = facts.values(&self.key);
        if let Operands::Null(absent) = &self.operands {
            return absent.contains(&found.is_none());
        }
        let Operator {
            quantifier,
            negated,
            if_exists,
            ..
        } = self.operator;
        let Some(found) = found else {
            return match quantifier {
                Quantifier::None => negated || if_exists,
                Quantifier::All => true,
                Quantifier::Any => false,
            };
        };
        let matches = self.operands.compare(&found, facts);
        match (quantifier, negated) {
            (Quantifier::None | Quantifier::Any, false) => matches.some,
            (Quantifier::None | Quantifier::All, true) => !matches.some,
            (Quantifier::All, false) => matches.all,
            (Quantifier::Any, true) => !matches.all,
        }
    }
}

/// An operator with all that stands around its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Operator {
    comparison: Comparison,
    negated: bool,
    quantifier: Quantifier,
    if_exists: bool,
}

/// Of how many values of the request an operator must hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Quantifier {
    /// It does not say.
    None,
    /// `ForAllValues:`.
    All,
    /// `ForAnyValue:`.
    Any,
}

impl Operator {
    /// Parses a name such as `ForAllValues:StringNotLikeIfExists`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (quantifier, name) = if let Some(name) = name.strip_prefix("ForAllValues:") {
            (Quantifier::All, name)
        } else if let Some(name) = name.strip_prefix("ForAnyValue:") {
            (Quantifier::Any, name)
        } else {
            (Quantifier::None, name)
        };
        let (if_exists, name) = match name.strip_suffix("IfExists") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let (comparison, negated) = comparison(name)?;
        let plain = quantifier == Quantifier::None && !if_exists;
        (plain || comparison != Comparison::Null).then_some(Self {
            comparison,
            negated,
            quantifier,
            if_exists,
        })
    }

    /// Whether `ForAllValues:` stands before it.
    pub(super) fn is_for_all_values(self) -> bool {
        self.quantifier == Quantifier::All
    }
}

/// What an operator compares, and whether it is negated.
fn comparison(name: &str) -> Option<(Comparison, bool)> {
    let text = |wildcards, case| Comparison::Text { wildcards, case };
    Some(match name {
        "StringEquals" => (text(false, Case::Sensitive), false),
        "StringNotEquals" => (text(false, Case::Sensitive), true),
        "StringEqualsIgnoreCase" => (text(false, Case::Insensitive), false),
        "StringNotEqualsIgnoreCase" => (text(false, Case::Insensitive), true),
        "StringLike" => (text(true, Case::Sensitive), false),
        "StringNotLike" => (text(true, Case::Sensitive), true),
        "NumericEquals" => (Comparison::Number(Relation::Equal), false),
        "NumericNotEquals" => (Comparison::Number(Relation::Equal), true),
        "NumericLessThan" => (Comparison::Number(Relation::Less), false),
        "NumericLessThanEquals" => (Comparison::Number(Relation::LessOrEqual), false),
        "NumericGreaterThan" => (Comparison::Number(Relation::Greater), false),
        "NumericGreaterThanEquals" => (Comparison::Number(Relation::GreaterOrEqual), false),
        "DateEquals" => (Comparison::Date(Relation::Equal), false),
        "DateNotEquals" => (Comparison::Date(Relation::Equal), true),
        "DateLessThan" => (Comparison::Date(Relation::Less), false),
        "DateLessThanEquals" => (Comparison::Date(Relation::LessOrEqual), false),
        "DateGreaterThan" => (Comparison::Date(Relation::Greater), false),
        "DateGreaterThanEquals" => (Comparison::Date(Relation::GreaterOrEqual), false),
        "Bool" => (Comparison::Bool, false),
        "BinaryEquals" => (Comparison::Binary, false),
        "IpAddress" => (Comparison::Address, false),
        "NotIpAddress" => (Comparison::Address, true),
        "ArnEquals" | "ArnLike" => (Comparison::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, true),
        "Null" => (Comparison::Null, false),
        _ => return None,
    })
}
