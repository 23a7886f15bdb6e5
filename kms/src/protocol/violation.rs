//! Violated constraints, in AWS's words.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};
use std::ops::RangeInclusive;

use crate::error::KmsError;

use super::spec::Enumeration;

/// The violated constraints of one request.
#[derive(Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    /// AWS stops at ten (kinesalite, which records what AWS answers, has it so).
    const MAX: usize = 10;

    /// Notes that the member at `path`, with this value, violates this constraint.
    pub(crate) fn add(&mut self, value: Shown<'_>, path: &Path<'_>, constraint: impl Display) {
        if self.0.len() < Self::MAX {
            self.0.push(format!(
                "Value{value} at '{path}' failed to satisfy constraint: {constraint}"
            ));
        }
    }

    /// Whether the request holds.
    ///
    /// # Errors
    ///
    /// One ValidationException that lists all violations.
    pub(crate) fn into_result(self) -> Result<(), KmsError> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let errors = if count == 1 { "error" } else { "errors" };
        let all = self.0.join("; ");
        Err(KmsError::validation(format!(
            "{count} validation {errors} detected: {all}"
        )))
    }
}

/// How a message shows the value that violates a constraint.
pub(crate) enum Shown<'v> {
    /// The member is missing.
    Null,
    /// The member is secret, or holds bytes: not at all.
    Hidden,
    /// As it is.
    Number(i32),
    /// As it is.
    Text(&'v str),
    /// `[a, b]`.
    List(&'v [Option<Cow<'v, str>>]),
    /// `{key=null}`: the only value that a map of texts can't have.
    MapWithNull(&'v str),
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str(" null"),
            Self::Hidden => Ok(()),
            Self::Number(number) => write!(f, " '{number}'"),
            Self::Text(text) => write!(f, " '{}'", Echo(text)),
            Self::List(items) => {
                let items = items.iter().map(|item| item.as_deref().unwrap_or("null"));
                let list = items.collect::<Vec<_>>().join(", ");
                write!(f, " '{}'", Echo(&format!("[{list}]")))
            }
            Self::MapWithNull(key) => write!(f, " '{{{}=null}}'", Echo(key)),
        }
    }
}

/// How many characters of a text a message repeats. AWS repeats them all; here an answer stays
/// small whatever was sent. Values near a valid length are shown whole.
const MAX_ECHO: usize = 2100;

/// A text, cut off where it gets too long.
struct Echo<'t>(&'t str);

impl Display for Echo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_ECHO) {
            None => f.write_str(self.0),
            Some((end, _)) => write!(f, "{}...", self.0.get(..end).unwrap_or_default()),
        }
    }
}

/// Where a member is, in AWS's spelling: `recipient.attestationDocument`, `tags.1.member.tagKey`.
pub(crate) struct Path<'p> {
    /// What leads to the structure that the member is in.
    pub(crate) prefix: &'p str,
    /// The member's name.
    pub(crate) name: &'p str,
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = self.name.chars();
        f.write_str(self.prefix)?;
        if let Some(first) = name.next() {
            f.write_char(first.to_ascii_lowercase())?;
        }
        f.write_str(name.as_str())
    }
}

/// A constraint, in words.
pub(crate) enum Constraint {
    NotNull,
    LengthAtMost(usize),
    LengthAtLeast(usize),
    ValueAtMost(u32),
    ValueAtLeast(u32),
    Pattern(&'static str),
    /// The names of an enumeration's values.
    OneOf(Vec<&'static str>),
    /// What all items of a list must satisfy.
    Items(Vec<Constraint>),
    /// What all values of a map must satisfy.
    MapValues(Vec<Constraint>),
}

impl Constraint {
    pub(super) fn one_of<E: Enumeration>(choices: &[E]) -> Self {
        Self::OneOf(choices.iter().map(|choice| choice.name()).collect())
    }

    /// The constraint that a length violates, if it does.
    pub(crate) fn on_length(length: usize, allowed: &RangeInclusive<usize>) -> Option<Self> {
        if length > *allowed.end() {
            Some(Self::LengthAtMost(*allowed.end()))
        } else if length < *allowed.start() {
            Some(Self::LengthAtLeast(*allowed.start()))
        } else {
            None
        }
    }
}

impl Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull => f.write_str("Member must not be null"),
            Self::LengthAtMost(length) => {
                write!(f, "Member must have length less than or equal to {length}")
            }
            Self::LengthAtLeast(length) => {
                write!(
                    f,
                    "Member must have length greater than or equal to {length}"
                )
            }
            Self::ValueAtMost(value) => {
                write!(f, "Member must have value less than or equal to {value}")
            }
            Self::ValueAtLeast(value) => {
                write!(f, "Member must have value greater than or equal to {value}")
            }
            Self::Pattern(expression) => write!(
                f,
                "Member must satisfy regular expression pattern: {expression}"
            ),
            Self::OneOf(names) => {
                write!(
                    f,
                    "Member must satisfy enum value set: [{}]",
                    names.join(", ")
                )
            }
            Self::Items(constraints) => {
                write!(f, "Member must satisfy constraint: {}", All(constraints))
            }
            Self::MapValues(constraints) => {
                write!(f, "Map value must satisfy constraint: {}", All(constraints))
            }
        }
    }
}

/// Several constraints: `[a, b]`.
struct All<'c>(&'c [Constraint]);

impl Display for All<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, constraint) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{constraint}")?;
        }
        f.write_str("]")
    }
}
