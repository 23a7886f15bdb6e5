//! What the operators of conditions compare with: values of a policy, read once.

use core::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::context::RequestContext;
use super::number;
use super::pattern::{ArnPattern, Case, Pattern, Syntax};

/// How one number or date is to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    fn holds(self, found: i128, expected: i128) -> bool {
        match self {
            Self::Equal => found == expected,
            Self::Less => found < expected,
            Self::LessOrEqual => found <= expected,
            Self::Greater => found > expected,
            Self::GreaterOrEqual => found >= expected,
        }
    }
}

/// What is compared, and how, leaving negation aside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparison {
    /// `String*`.
    Text {
        /// `Like` takes wildcards.
        wildcards: bool,
        /// `IgnoreCase`.
        case: Case,
    },
    /// `Numeric*`.
    Number(Relation),
    /// `Date*`.
    Date(Relation),
    /// `Bool`.
    Bool,
    /// `BinaryEquals`.
    Binary,
    /// `IpAddress`.
    Address,
    /// `Arn*`.
    Arn,
    /// `Null`.
    Null,
}

/// The values of a policy that one comparison is made with.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Operands {
    Text(Case, Box<[Pattern]>),
    Number(Relation, Box<[i128]>),
    Date(Relation, Box<[i128]>),
    Bool(Box<[bool]>),
    Binary(Box<[Box<[u8]>]>),
    Address(Box<[Network]>),
    Arn(Box<[ArnPattern]>),
    /// Whether the key is to be absent.
    Null(Box<[bool]>),
}

impl Operands {
    /// Reads values. `None` if one of them can't be compared.
    pub(super) fn parse(
        comparison: Comparison,
        values: &[String],
        variables: bool,
    ) -> Option<Self> {
        fn all<T>(values: &[String], parse: impl Fn(&str) -> Option<T>) -> Option<Box<[T]>> {
            values.iter().map(|value| parse(value)).collect()
        }
        Some(match comparison {
            Comparison::Text { wildcards, case } => {
                let syntax = Syntax {
                    wildcards,
                    variables,
                };
                Self::Text(case, all(values, |value| Pattern::parse(value, syntax))?)
            }
            Comparison::Number(relation) => Self::Number(relation, all(values, number::decimal)?),
            Comparison::Date(relation) => Self::Date(relation, all(values, number::date)?),
            Comparison::Bool => Self::Bool(all(values, boolean)?),
            Comparison::Binary => Self::Binary(all(values, binary)?),
            Comparison::Address => Self::Address(all(values, Network::parse)?),
            Comparison::Arn => Self::Arn(all(values, |value| ArnPattern::parse(value, variables))?),
            Comparison::Null => Self::Null(all(values, boolean)?),
        })
    }

    /// Whether a value of the request matches one of these at least. A value that is not of the
    /// kind compared matches none.
    pub(super) fn match_value(&self, value: &str, request: &dyn RequestContext) -> bool {
        match self {
            Self::Text(case, patterns) => patterns
                .iter()
                .any(|pattern| pattern.matches(value, *case, request)),
            Self::Number(relation, expected) => {
                related(*relation, number::decimal(value), expected)
            }
            Self::Date(relation, expected) => related(*relation, number::date(value), expected),
            Self::Bool(expected) => boolean(value).is_some_and(|found| expected.contains(&found)),
            Self::Binary(expected) => binary(value).is_some_and(|found| expected.contains(&found)),
            Self::Address(networks) => value
                .parse()
                .is_ok_and(|address| networks.iter().any(|network| network.contains(address))),
            Self::Arn(patterns) => {
                value.starts_with("arn:")
                    && patterns
                        .iter()
                        .any(|pattern| pattern.matches(value, request))
            }
            // It asks for the key and not for a value.
            Self::Null(_) => false,
        }
    }
}

fn related(relation: Relation, found: Option<i128>, expected: &[i128]) -> bool {
    found.is_some_and(|found| {
        expected
            .iter()
            .any(|expected| relation.holds(found, *expected))
    })
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn binary(text: &str) -> Option<Box<[u8]>> {
    BASE64.decode(text).ok().map(Into::into)
}

/// A range of IP addresses: `203.0.113.0/24`, `2001:db8::/32`. Without a length it is one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Network {
    address: IpAddr,
    /// How many leading bits count.
    length: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => bits,
            Some(length) => {
                let digits = length.bytes().all(|byte| byte.is_ascii_digit());
                length
                    .parse()
                    .ok()
                    .filter(|length| digits && *length <= bits)?
            }
        };
        Some(Self { address, length })
    }

    fn contains(self, address: IpAddr) -> bool {
        // The bits that differ lie all behind the prefix.
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.length
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.length
            }
            _ => false,
        }
    }
}
