//! Texts of a policy that a text of the request is compared with: wildcards and variables.
//!
//! `*` stands for any number of characters and `?` for one. `${name}` stands for the value of that
//! condition key in the request, `${name, 'text'}` has a text for when there is none, and `${*}`,
//! `${?}` and `${$}` are the characters themselves. A value that a variable brings in is taken
//! literally, wildcards and all.

use std::borrow::Cow;

use super::context::{RequestContext, Values};
use super::keys;

/// What is special in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Syntax {
    /// `*` and `?` are wildcards.
    pub(super) wildcards: bool,
    /// `${…}` are variables.
    pub(super) variables: bool,
}

/// Whether capital letters differ from small ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Case {
    /// They do.
    Sensitive,
    /// They don't.
    Insensitive,
}

/// A text with wildcards and variables.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Pattern(Box<[Atom]>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Atom {
    /// These characters.
    Text(Box<str>),
    /// One character.
    One,
    /// Any number of characters.
    Many,
    /// What a variable stands for.
    Variable(Box<Variable>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Variable {
    /// The name in lower case.
    key: Box<str>,
    /// What to take if the request has no value.
    default: Option<Box<str>>,
}

impl Pattern {
    /// Parses a text. `None` if a variable in it is not well-formed.
    pub(super) fn parse(text: &str, syntax: Syntax) -> Option<Self> {
        let atoms = atoms(text, syntax)?;
        Some(Self(atoms.into()))
    }

    /// Whether a text of the request matches. A variable without a value matches nothing.
    pub(super) fn matches(&self, text: &str, case: Case, request: &dyn RequestContext) -> bool {
        match self.resolve(request) {
            Some(atoms) => matches(&atoms, text, case),
            None => false,
        }
    }

    /// The atoms with values in place of variables.
    fn resolve(&self, request: &dyn RequestContext) -> Option<Cow<'_, [Atom]>> {
        if !self.0.iter().any(|atom| matches!(atom, Atom::Variable(_))) {
            return Some(Cow::Borrowed(&self.0));
        }
        let value = |atom: &Atom| match atom {
            Atom::Variable(variable) => variable.value(request).map(Atom::Text),
            atom => Some(atom.clone()),
        };
        self.0
            .iter()
            .map(value)
            .collect::<Option<_>>()
            .map(Cow::Owned)
    }
}

impl Variable {
    /// Its one value in the request, or the default. A key with several values has none here.
    fn value(&self, request: &dyn RequestContext) -> Option<Box<str>> {
        let value = request
            .condition_values(&self.key)
            .and_then(Values::single)
            .map(Into::into);
        value.or_else(|| self.default.clone())
    }
}

/// Takes a text apart.
fn atoms(text: &str, syntax: Syntax) -> Option<Vec<Atom>> {
    let mut atoms = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix("${").filter(|_| syntax.variables) {
            let (meaning, after) = variable(after)?;
            match meaning {
                Meaning::Character(character) => literal.push(character),
                Meaning::Variable(variable) => {
                    flush(&mut literal, &mut atoms);
                    atoms.push(Atom::Variable(variable.into()));
                }
            }
            rest = after;
            continue;
        }
        let mut characters = rest.chars();
        match characters.next() {
            None => break,
            Some('*') if syntax.wildcards => {
                flush(&mut literal, &mut atoms);
                if atoms.last() != Some(&Atom::Many) {
                    atoms.push(Atom::Many);
                }
            }
            Some('?') if syntax.wildcards => {
                flush(&mut literal, &mut atoms);
                atoms.push(Atom::One);
            }
            Some(character) => literal.push(character),
        }
        rest = characters.as_str();
    }
    flush(&mut literal, &mut atoms);
    Some(atoms)
}

/// Ends a run of literal characters.
fn flush(literal: &mut String, atoms: &mut Vec<Atom>) {
    if !literal.is_empty() {
        atoms.push(Atom::Text(std::mem::take(literal).into()));
    }
}

/// What stands between `${` and `}`.
enum Meaning {
    Character(char),
    Variable(Variable),
}

/// Reads a variable behind its `${`, and gives what comes after its `}`.
fn variable(text: &str) -> Option<(Meaning, &str)> {
    for character in ['*', '?', '$'] {
        let after = text
            .strip_prefix(character)
            .and_then(|t| t.strip_prefix('}'));
        if let Some(after) = after {
            return Some((Meaning::Character(character), after));
        }
    }
    let end = text.find(['}', ','])?;
    let (name, after) = text.split_at_checked(end)?;
    let (default, after) = match after.strip_prefix(',') {
        None => (None, after),
        Some(after) => {
            let (default, after) = after.trim_start().strip_prefix('\'')?.split_once('\'')?;
            (Some(default.into()), after)
        }
    };
    let after = after.strip_prefix('}')?;
    let key = keys::fold(name.trim()).into_boxed_str();
    if key.is_empty() {
        return None;
    }
    Some((Meaning::Variable(Variable { key, default }), after))
}

/// Compares a text with atoms, none of which is a variable.
///
/// After a mismatch, only the last `Many` passed is tried with one character more: what an earlier
/// one took can stay as it is. So the steps are at most the product of the two lengths.
fn matches(atoms: &[Atom], text: &str, case: Case) -> bool {
    let (mut left, mut rest) = (atoms, text);
    let mut retry: Option<(&[Atom], &str)> = None;
    loop {
        let step = match left.split_first() {
            None if rest.is_empty() => return true,
            None => None,
            Some((Atom::Many, [])) => return true,
            Some((Atom::Many, after)) => {
                retry = Some((after, rest));
                Some((after, rest))
            }
            Some((Atom::One, after)) => without_first(rest).map(|rest| (after, rest)),
            Some((Atom::Text(literal), after)) => {
                strip_prefix(rest, literal, case).map(|rest| (after, rest))
            }
            Some((Atom::Variable(_), _)) => return false,
        };
        let step = step.or_else(|| {
            let (after, from) = retry?;
            let from = without_first(from)?;
            retry = Some((after, from));
            retry
        });
        match step {
            Some(next) => (left, rest) = next,
            None => return false,
        }
    }
}

fn without_first(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next()?;
    Some(characters.as_str())
}

fn strip_prefix<'t>(text: &'t str, prefix: &str, case: Case) -> Option<&'t str> {
    match case {
        Case::Sensitive => text.strip_prefix(prefix),
        Case::Insensitive => {
            let mut characters = text.chars();
            let same = prefix.chars().all(|expected| {
                characters.next().is_some_and(|found| {
                    found == expected || found.to_lowercase().eq(expected.to_lowercase())
                })
            });
            same.then_some(characters.as_str())
        }
    }
}

/// A pattern of ARNs: `*` and `?` stay within one of the six parts between colons.
///
/// A pattern of fewer parts ends with one that may match across colons, so `arn:aws:kms:*` matches
/// every ARN of KMS, and `*` everything.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct ArnPattern(Box<[Pattern]>);

impl ArnPattern {
    /// How many parts an ARN has. The last may hold colons itself.
    const PARTS: usize = 6;

    /// Parses a text. `None` if a variable in it is not well-formed.
    pub(super) fn parse(text: &str, variables: bool) -> Option<Self> {
        let syntax = Syntax {
            wildcards: true,
            variables,
        };
        let parts = split_at_colons(atoms(text, syntax)?);
        Some(Self(
            parts.into_iter().map(|part| Pattern(part.into())).collect(),
        ))
    }

    /// Whether an ARN of the request, or the `*` of an action without a resource, matches.
    pub(super) fn matches(&self, arn: &str, request: &dyn RequestContext) -> bool {
        let parts = arn.splitn(self.0.len(), ':');
        parts.clone().count() == self.0.len()
            && parts
                .zip(&self.0)
                .all(|(text, pattern)| pattern.matches(text, Case::Sensitive, request))
    }
}

/// Splits at the colons that are literal, and not part of a variable's name.
fn split_at_colons(atoms: Vec<Atom>) -> Vec<Vec<Atom>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    for atom in atoms {
        let Atom::Text(text) = atom else {
            part.push(atom);
            continue;
        };
        let mut pieces = text.splitn(ArnPattern::PARTS - parts.len(), ':').peekable();
        while let Some(piece) = pieces.next() {
            if !piece.is_empty() {
                part.push(Atom::Text(piece.into()));
            }
            if pieces.peek().is_some() {
                parts.push(std::mem::take(&mut part));
            }
        }
    }
    parts.push(part);
    parts
}
