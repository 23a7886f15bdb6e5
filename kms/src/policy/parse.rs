//! From JSON to a policy.
//!
//! A document is taken apart into [`Draft`]s first, which is where its grammar is checked. Then
//! come the rules of its kind ([`check`]), and then what is left is read.

use super::check;
use super::condition::{Condition, Operator};
use super::document::{Effect, Policy, Set, Statement};
use super::error::PolicyError;
use super::json::{Json, Object};
use super::pattern::{ArnPattern, Pattern, Syntax};
use super::principal::Principals;

/// The longest key policy that KMS takes, in bytes.
pub const MAX_KEY_POLICY_BYTES: usize = 32_768;

/// The longest document that IAM takes as a parameter. The quotas for what is stored are lower.
pub const MAX_DOCUMENT_BYTES: usize = 131_072;

/// What a policy is attached to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A KMS key.
    Key,
    /// A user or a role.
    Identity,
    /// A role, to say who may assume it.
    Trust,
}

/// By which rules a document is checked beyond its grammar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rules {
    /// By those that AWS has for new policies.
    Todays,
    /// By the least strict ones that there ever were here.
    OfOld,
}

impl Policy {
    /// Reads a key policy that somebody puts.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] with the text that KMS answers.
    pub fn key_policy(text: &str) -> Result<Self, PolicyError> {
        Self::key_policy_by(Rules::Todays, text)
    }

    /// Reads a key policy that was taken before, maybe under rules less strict than today's. It
    /// means what it meant.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] if it would never have been taken.
    pub fn stored_key_policy(text: &str) -> Result<Self, PolicyError> {
        Self::key_policy_by(Rules::OfOld, text)
    }

    fn key_policy_by(rules: Rules, text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_KEY_POLICY_BYTES {
            return Err(PolicyError::TooLong {
                limit: MAX_KEY_POLICY_BYTES,
            });
        }
        read(Kind::Key, rules, text)
    }

    /// Reads a policy that somebody gives a user or a role.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] with the text that IAM answers.
    pub fn identity_policy(text: &str) -> Result<Self, PolicyError> {
        read(Kind::Identity, Rules::Todays, text)
    }

    /// Reads a policy that a user or a role was given before, maybe under rules less strict than
    /// today's. It means what it meant.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] if it would never have been taken.
    pub fn stored_identity_policy(text: &str) -> Result<Self, PolicyError> {
        read(Kind::Identity, Rules::OfOld, text)
    }

    /// Reads the policy that says who may assume a role.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] with the text that IAM answers.
    pub fn trust_policy(text: &str) -> Result<Self, PolicyError> {
        read(Kind::Trust, Rules::Todays, text)
    }
}

impl Kind {
    pub(super) fn syntax_error(self) -> PolicyError {
        match self {
            Self::Key | Self::Identity => PolicyError::Syntax,
            Self::Trust => PolicyError::TrustSyntax,
        }
    }

    pub(super) fn no_principal(self) -> PolicyError {
        match self {
            Self::Key | Self::Identity => PolicyError::NoPrincipal,
            Self::Trust => PolicyError::EmptyPrincipal,
        }
    }

    fn not_json(self) -> PolicyError {
        match self {
            Self::Key => PolicyError::NotJson,
            Self::Identity => PolicyError::Syntax,
            Self::Trust => PolicyError::InvalidJson,
        }
    }

    fn no_statement(self) -> PolicyError {
        match self {
            Self::Key | Self::Identity => PolicyError::Syntax,
            Self::Trust => PolicyError::EmptyStatement,
        }
    }

    fn invalid_version(self) -> PolicyError {
        match self {
            Self::Key | Self::Identity => PolicyError::Syntax,
            Self::Trust => PolicyError::InvalidVersion,
        }
    }

    fn unknown_field(self, name: String) -> PolicyError {
        match self {
            Self::Identity => PolicyError::Syntax,
            Self::Key | Self::Trust => PolicyError::UnknownField(name),
        }
    }

    pub(super) fn duplicate_sid(self) -> PolicyError {
        match self {
            Self::Identity => PolicyError::DuplicateSid,
            Self::Key | Self::Trust => PolicyError::DuplicateStatementId,
        }
    }
}

/// A statement, taken apart.
pub(super) struct Draft {
    sid: Option<String>,
    pub(super) effect: Option<String>,
    pub(super) principals: Option<Negatable<Json>>,
    pub(super) actions: Option<Negatable<Vec<String>>>,
    pub(super) resources: Option<Negatable<Vec<String>>>,
    pub(super) conditions: Vec<(Operator, String, Vec<String>)>,
}

/// An element that has a counterpart with `Not` in front.
pub(super) struct Negatable<T> {
    pub(super) negated: bool,
    pub(super) value: T,
}

fn read(kind: Kind, rules: Rules, text: &str) -> Result<Policy, PolicyError> {
    if !text.chars().all(is_allowed) {
        return Err(PolicyError::Character);
    }
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(kind.syntax_error());
    }
    let Json::Object(document) = Json::parse(text).ok_or(kind.not_json())? else {
        return Err(kind.syntax_error());
    };
    let (drafts, variables) = take_apart(kind, document)?;
    match kind {
        Kind::Key => check::key_policy(&drafts, rules)?,
        Kind::Identity => check::identity_policy(&drafts, variables, rules)?,
        Kind::Trust => check::trust_policy(&drafts)?,
    }
    let statements = drafts
        .into_iter()
        .map(|draft| draft.into_statement(kind, variables));
    Ok(Policy::new(statements.collect::<Result<_, _>>()?))
}

/// Whether policies may hold a character.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}')
}

/// Checks the grammar of a document. Gives its statements, and whether it has variables.
fn take_apart(kind: Kind, document: Object) -> Result<(Vec<Draft>, bool), PolicyError> {
    let mut variables = false;
    let mut statements = None;
    for (name, value) in document {
        match (name.as_str(), value) {
            ("Version", Json::Text(version)) => match version.as_str() {
                "2012-10-17" => variables = true,
                "2008-10-17" => {}
                _ => return Err(kind.invalid_version()),
            },
            ("Id", Json::Text(_)) => {}
            ("Statement", value @ (Json::Object(_) | Json::List(_))) => {
                statements = Some(value.into_list());
            }
            ("Version" | "Id" | "Statement", _) => return Err(kind.syntax_error()),
            _ => return Err(kind.unknown_field(name)),
        }
    }
    let statements = statements.filter(|statements| !statements.is_empty());
    let drafts = statements
        .ok_or(kind.no_statement())?
        .into_iter()
        .map(|statement| Draft::parse(kind, statement));
    Ok((drafts.collect::<Result<_, _>>()?, variables))
}

impl Draft {
    fn parse(kind: Kind, statement: Json) -> Result<Self, PolicyError> {
        let Json::Object(members) = statement else {
            return Err(kind.syntax_error());
        };
        let mut draft = Self {
            sid: None,
            effect: None,
            principals: None,
            actions: None,
            resources: None,
            conditions: Vec::new(),
        };
        for (name, value) in members {
            let negated = name.starts_with("Not");
            let done = match name.as_str() {
                "Sid" => set(&mut draft.sid, value.into_text()),
                "Effect" => set(&mut draft.effect, value.into_text()),
                "Principal" | "NotPrincipal" => {
                    set(&mut draft.principals, Some(Negatable { negated, value }))
                }
                "Action" | "NotAction" => set(&mut draft.actions, texts(value, negated)),
                "Resource" | "NotResource" => set(&mut draft.resources, texts(value, negated)),
                "Condition" => conditions(value).map(|conditions| draft.conditions = conditions),
                _ => return Err(kind.unknown_field(name)),
            };
            done.ok_or(kind.syntax_error())?;
        }
        Ok(draft)
    }

    /// The `Sid`. An empty one is none.
    pub(super) fn sid(&self) -> Option<&str> {
        self.sid.as_deref().filter(|sid| !sid.is_empty())
    }

    /// Reads what is left to be read. What the rules of its kind have checked can't fail any more.
    fn into_statement(self, kind: Kind, variables: bool) -> Result<Statement, PolicyError> {
        let effect = effect(self.effect.as_deref())?;
        let principals = match self.principals {
            Some(Negatable { negated, value }) => Some(Principals::parse(kind, value, negated)?),
            None => None,
        };
        let action = |text: &str| {
            let syntax = Syntax {
                wildcards: true,
                variables: false,
            };
            Pattern::parse(text, syntax)
        };
        let resource = |text: &str| ArnPattern::parse(text, variables);
        let malformed = || kind.syntax_error();
        let conditions = self
            .conditions
            .iter()
            .map(|(operator, key, values)| Condition::parse(*operator, key, values, variables));
        Ok(Statement {
            effect,
            principals,
            actions: selection(self.actions, action).ok_or_else(malformed)?,
            resources: match kind {
                Kind::Trust => None,
                Kind::Key | Kind::Identity => {
                    Some(selection(self.resources, resource).ok_or_else(malformed)?)
                }
            },
            conditions: conditions.collect::<Option<_>>().ok_or_else(malformed)?,
            sid: self.sid.map(Into::into),
        })
    }
}

/// Sets a member that stands alone. `None` if there is no value, or one already: an element and its
/// counterpart exclude each other.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    match place.replace(value?) {
        None => Some(()),
        Some(_) => None,
    }
}

fn texts(value: Json, negated: bool) -> Option<Negatable<Vec<String>>> {
    let value = value.into_texts()?;
    Some(Negatable { negated, value })
}

/// Takes a condition apart: operators, keys, and one value or a list of values.
fn conditions(value: Json) -> Option<Vec<(Operator, String, Vec<String>)>> {
    let Json::Object(operators) = value else {
        return None;
    };
    let mut conditions = Vec::new();
    for (name, keys) in operators {
        let operator = Operator::parse(&name)?;
        let Json::Object(keys) = keys else {
            return None;
        };
        for (key, values) in keys {
            conditions.push((operator, key, values.into_scalars()?));
        }
    }
    Some(conditions)
}

/// The effect that a text names.
pub(super) fn effect(text: Option<&str>) -> Result<Effect, PolicyError> {
    match text {
        Some("Allow") => Ok(Effect::Allow),
        Some("Deny") => Ok(Effect::Deny),
        Some(other) => Err(PolicyError::InvalidEffect(other.to_owned())),
        None => Err(PolicyError::MissingField("Effect")),
    }
}

/// Reads the patterns of an element. An element that is missing selects nothing.
fn selection<P>(
    element: Option<Negatable<Vec<String>>>,
    parse: impl Fn(&str) -> Option<P>,
) -> Option<Set<P>> {
    let Some(Negatable { negated, value }) = element else {
        return Some(Set::Only(Box::default()));
    };
    let patterns = value
        .iter()
        .map(|text| parse(text))
        .collect::<Option<_>>()?;
    Some(if negated {
        Set::AllBut(patterns)
    } else {
        Set::Only(patterns)
    })
}
