//! Texts of a policy that a text of the request is compared with: wildcards and variables.
//!
//! `*` stands for any number of characters and `?` for one. `${name}` stands for the value of that
//! condition key in the request, `${name, 'text'}` has a text for when there is none, and `${*}`,
//! `${?}` and `${$}` are the characters themselves. A value that a variable brings in is taken
//! literally, wildcards and all.

use super::facts::Facts;
use super::keys;
use super::texts::{Places, Scope, Texts};

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

impl Case {
    /// What stands for a character and those that count as the same.
    pub(super) fn folded(self, character: char) -> char {
        match self {
            Self::Sensitive => character,
            Self::Insensitive if character.is_ascii() => character.to_ascii_lowercase(),
            Self::Insensitive => {
                // One character, and only that, has two in lower case, and no other has the same.
                let mut lower = character.to_lowercase();
                match lower.len() {
                    1 => lower.next().unwrap_or(character),
                    _ => character,
                }
            }
        }
    }

    /// What comes in a text after these characters, if it begins with them.
    fn after<'t>(self, beginning: &str, text: &'t str) -> Option<&'t str> {
        if self == Self::Sensitive {
            return text.strip_prefix(beginning);
        }
        let mut rest = text.chars();
        beginning
            .chars()
            .all(|expected| {
                let found = rest.next().map(|found| self.folded(found));
                found == Some(self.folded(expected))
            })
            .then_some(rest.as_str())
    }
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

    /// Whether it matches a text, which is laid out only if that is needed: most patterns are
    /// characters, and perhaps a `*` behind them.
    pub(super) fn matches<'t>(
        &self,
        text: &str,
        case: Case,
        laid_out: impl Fn() -> &'t Texts,
        facts: &Facts<'_>,
    ) -> bool {
        self.matches_at_sight(text, case).unwrap_or_else(|| {
            let places = self.places(laid_out(), facts);
            places.is_some_and(|places| places.arrived())
        })
    }

    /// The same where it can be seen at once.
    fn matches_at_sight(&self, text: &str, case: Case) -> Option<bool> {
        match &*self.0 {
            [] => Some(text.is_empty()),
            [Atom::Many] => Some(true),
            [Atom::Text(all)] => Some(case.after(all, text) == Some("")),
            [Atom::Text(beginning), Atom::Many] => Some(case.after(beginning, text).is_some()),
            _ => None,
        }
    }

    /// Its characters, if it has nothing else.
    fn literal(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Atom::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Where it leads in texts of the request. A variable without a value leads nowhere.
    pub(super) fn places<'t>(&self, texts: &'t Texts, facts: &Facts<'_>) -> Option<Places<'t>> {
        let mut places = texts.places();
        self.go_on(&mut places, Scope::All, facts).then_some(places)
    }

    fn go_on(&self, places: &mut Places<'_>, scope: Scope, facts: &Facts<'_>) -> bool {
        self.0.iter().all(|atom| match atom {
            Atom::Text(text) => places.text(text),
            Atom::One => places.one(scope),
            Atom::Many => places.many(scope),
            Atom::Variable(variable) => variable.go_on(places, scope, facts),
        })
    }
}

impl Variable {
    /// Goes on by its one value in the request, or the default. A key with several values has none
    /// here.
    fn go_on(&self, places: &mut Places<'_>, scope: Scope, facts: &Facts<'_>) -> bool {
        let fits = |text: &str| scope == Scope::All || !text.contains(':');
        let found = facts.values(&self.key);
        match (
            found.as_ref().and_then(|found| found.single()),
            &self.default,
        ) {
            (Some(value), _) => fits(value) && places.variable(&self.key, value),
            (None, Some(default)) => fits(default) && places.text(default),
            (None, None) => false,
        }
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

    /// Whether it matches a text, which is laid out only if that is needed.
    pub(super) fn matches<'t>(
        &self,
        text: &str,
        laid_out: impl Fn() -> &'t Texts,
        facts: &Facts<'_>,
    ) -> bool {
        self.matches_at_sight(text).unwrap_or_else(|| {
            let places = self.places(laid_out(), facts);
            places.is_some_and(|places| places.arrived())
        })
    }

    /// The same where it can be seen at once: if no part but the last has more than characters.
    fn matches_at_sight(&self, text: &str) -> Option<bool> {
        let (last, parts) = self.0.split_last()?;
        let mut rest = text;
        for part in parts {
            let after = rest.strip_prefix(part.literal()?);
            match after.and_then(|after| after.strip_prefix(':')) {
                Some(after) => rest = after,
                None => return Some(false),
            }
        }
        last.matches_at_sight(rest, Case::Sensitive)
    }

    /// Where it leads in texts of the request: ARNs, or the `*` of an action without a resource.
    pub(super) fn places<'t>(&self, texts: &'t Texts, facts: &Facts<'_>) -> Option<Places<'t>> {
        let mut places = texts.places();
        let (last, parts) = self.0.split_last()?;
        let leads = parts
            .iter()
            .all(|part| part.go_on(&mut places, Scope::Part, facts) && places.text(":"))
            && last.go_on(&mut places, Scope::All, facts);
        leads.then_some(places)
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
