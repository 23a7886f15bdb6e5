//! What the operators of conditions compare with: values of a policy, read once.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::facts::{Facts, Found};
use super::number;
use super::pattern::{ArnPattern, Case, Pattern, Syntax};
use super::texts::Scope;

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
    /// Whether a number or date is so to one at least of several in order.
    fn holds(self, found: i128, expected: &[i128]) -> bool {
        let (least, most) = (expected.first(), expected.last());
        match self {
            Self::Equal => expected.binary_search(&found).is_ok(),
            Self::Less => most.is_some_and(|most| found < *most),
            Self::LessOrEqual => most.is_some_and(|most| found <= *most),
            Self::Greater => least.is_some_and(|least| found > *least),
            Self::GreaterOrEqual => least.is_some_and(|least| found >= *least),
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

/// The values of a policy that one comparison is made with. What can be put in order is.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Operands {
    Text(Case, Box<[Pattern]>),
    Number(Relation, Box<[i128]>),
    Date(Relation, Box<[i128]>),
    Bool(Box<[bool]>),
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
        fn all<T, C: FromIterator<T>>(
            values: &[String],
            parse: impl Fn(&str) -> Option<T>,
        ) -> Option<C> {
            values.iter().map(|value| parse(value)).collect()
        }
        fn sorted<T: Ord>(
            values: &[String],
            parse: impl Fn(&str) -> Option<T>,
        ) -> Option<Box<[T]>> {
            let values: BTreeSet<_> = all(values, parse)?;
            Some(values.into_iter().collect())
        }
        Some(match comparison {
            Comparison::Text { wildcards, case } => {
                let syntax = Syntax {
                    wildcards,
                    variables,
                };
                Self::Text(case, all(values, |value| Pattern::parse(value, syntax))?)
            }
            Comparison::Number(relation) => {
                Self::Number(relation, sorted(values, number::decimal)?)
            }
            Comparison::Date(relation) => Self::Date(relation, sorted(values, number::date)?),
            Comparison::Bool => Self::Bool(sorted(values, boolean)?),
            Comparison::Binary => Self::Text(Case::Sensitive, all(values, binary)?),
            Comparison::Address => Self::Address(Network::disjoint(all(values, Network::parse)?)),
            Comparison::Arn => Self::Arn(all(values, |value| ArnPattern::parse(value, variables))?),
            Comparison::Null => Self::Null(sorted(values, boolean)?),
        })
    }

    /// Which values of the request match one of these at least. A value that is not of the kind
    /// compared matches none.
    pub(super) fn compare(&self, found: &Found<'_>, facts: &Facts<'_>) -> Outcome {
        match self {
            Self::Text(case, patterns) => {
                if let Some(text) = found.single() {
                    let laid_out = || found.texts(*case);
                    let matches = |p: &Pattern| p.matches(text, *case, laid_out, facts);
                    return Outcome::of_one(patterns.iter().any(matches));
                }
                let texts = found.texts(*case);
                let places = patterns.iter().filter_map(|p| p.places(texts, facts));
                texts.matched(places).outcome()
            }
            Self::Arn(patterns) => {
                let texts = found.texts(Case::Sensitive);
                let places = patterns.iter().filter_map(|p| p.places(texts, facts));
                let mut matched = texts.matched(places);
                let mut arns = texts.places();
                arns.text("arn:");
                arns.many(Scope::All);
                matched.retain(&arns);
                matched.outcome()
            }
            Self::Number(relation, expected) => found
                .numbers()
                .compare(|found| relation.holds(found, expected)),
            Self::Date(relation, expected) => found
                .dates()
                .compare(|found| relation.holds(found, expected)),
            Self::Bool(expected) => found.booleans().compare(|found| expected.contains(&found)),
            Self::Address(networks) => found
                .addresses()
                .compare(|found| Network::contain(networks, found)),
            // It asks for the key and not for a value.
            Self::Null(_) => Outcome {
                some: false,
                all: false,
            },
        }
    }
}

/// What a comparison says of several values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Outcome {
    /// It holds for one at least.
    pub(super) some: bool,
    /// It holds for each.
    pub(super) all: bool,
}

impl Outcome {
    /// What it says of one value.
    fn of_one(holds: bool) -> Self {
        Self {
            some: holds,
            all: holds,
        }
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Bytes in base64. They have one form only, so to compare that is to compare them.
fn binary(text: &str) -> Option<Pattern> {
    BASE64.decode(text).ok()?;
    let syntax = Syntax {
        wildcards: false,
        variables: false,
    };
    Pattern::parse(text, syntax)
}

/// An IPv4 address that comes as an IPv6 address is one of IPv4.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// A range of IP addresses: `203.0.113.0/24`, `2001:db8::/32`. Without a length it is one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Network {
    first: IpAddr,
    last: IpAddr,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = match length {
            None => bits,
            Some(length) => {
                let digits = length.bytes().all(|byte| byte.is_ascii_digit());
                length
                    .parse()
                    .ok()
                    .filter(|length| digits && *length <= bits)?
            }
        };
        Some(match address {
            IpAddr::V4(address) => {
                let (address, rest) = (address.to_bits(), u32::MAX.checked_shr(length));
                let rest = rest.unwrap_or(0);
                Self {
                    first: Ipv4Addr::from_bits(address & !rest).into(),
                    last: Ipv4Addr::from_bits(address | rest).into(),
                }
            }
            IpAddr::V6(address) => {
                let (address, rest) = (address.to_bits(), u128::MAX.checked_shr(length));
                let rest = rest.unwrap_or(0);
                Self {
                    first: Ipv6Addr::from_bits(address & !rest).into(),
                    last: Ipv6Addr::from_bits(address | rest).into(),
                }
            }
        })
    }

    /// In order, without those that lie in others. Networks never overlap otherwise.
    fn disjoint(mut networks: Vec<Self>) -> Box<[Self]> {
        networks.sort_by_key(|network| (network.first, Reverse(network.last)));
        networks.dedup_by(|inner, outer| inner.last <= outer.last);
        networks.into()
    }

    /// Whether an address is in one of several disjoint networks.
    fn contain(networks: &[Self], address: IpAddr) -> bool {
        let before = networks.partition_point(|network| network.first <= address);
        let nearest = before.checked_sub(1).and_then(|at| networks.get(at));
        nearest.is_some_and(|network| address <= network.last)
    }
}
