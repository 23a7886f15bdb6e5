//! From JSON to a policy: the grammar, and what else AWS checks before it takes a policy.
//!
//! A document is taken apart into [`Draft`]s first, which is where its grammar is checked. Then
//! come the rules of its kind, in AWS's order, because a document that breaks two of them gets the
//! text of the first.

use std::collections::BTreeSet;

use super::condition::{Condition, Operator};
use super::document::{Effect, Policy, Set, Statement};
use super::error::PolicyError;
use super::json::{Json, Object};
use super::keys;
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

impl Policy {
    /// Reads a key policy.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] with the text that KMS answers.
    pub fn key_policy(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_KEY_POLICY_BYTES {
            return Err(PolicyError::TooLong {
                limit: MAX_KEY_POLICY_BYTES,
            });
        }
        read(Kind::Key, text)
    }

    /// Reads a policy of a user or a role.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] with the text that IAM answers.
    pub fn identity_policy(text: &str) -> Result<Self, PolicyError> {
        read(Kind::Identity, text)
    }

    /// Reads the policy that says who may assume a role.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] with the text that IAM answers.
    pub fn trust_policy(text: &str) -> Result<Self, PolicyError> {
        read(Kind::Trust, text)
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

    fn duplicate_sid(self) -> PolicyError {
        match self {
            Self::Identity => PolicyError::DuplicateSid,
            Self::Key | Self::Trust => PolicyError::DuplicateStatementId,
        }
    }
}

/// A statement, taken apart.
struct Draft {
    sid: Option<String>,
    effect: Option<String>,
    principals: Option<Negatable<Json>>,
    actions: Option<Negatable<Vec<String>>>,
    resources: Option<Negatable<Vec<String>>>,
    conditions: Vec<(Operator, String, Vec<String>)>,
}

/// An element that has a counterpart with `Not` in front.
struct Negatable<T> {
    negated: bool,
    value: T,
}

fn read(kind: Kind, text: &str) -> Result<Policy, PolicyError> {
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
        Kind::Key => check_key_policy(&drafts)?,
        Kind::Identity => check_identity_policy(&drafts, variables)?,
        Kind::Trust => check_trust_policy(&drafts)?,
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

    fn sid(&self) -> Option<&str> {
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

fn effect(text: Option<&str>) -> Result<Effect, PolicyError> {
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

/// A statement without actions or resources is taken, and has no effect.
fn check_key_policy(drafts: &[Draft]) -> Result<(), PolicyError> {
    for draft in drafts {
        let effect = effect(draft.effect.as_deref())?;
        match &draft.principals {
            None => return Err(PolicyError::NoPrincipal),
            Some(principals) if principals.negated && effect == Effect::Allow => {
                return Err(PolicyError::AllowNotPrincipal);
            }
            Some(_) => {}
        }
        for element in [&draft.actions, &draft.resources].into_iter().flatten() {
            if element.negated && element.value.is_empty() {
                return Err(PolicyError::Syntax);
            }
        }
        if let Some(actions) = &draft.actions {
            actions
                .value
                .iter()
                .try_for_each(|text| check_action(text))?;
        }
        check_quantifiers(draft)?;
    }
    check_sids(Kind::Key, drafts)
}

/// Refuses `ForAllValues` before keys with one value: it lets requests through that lack the key.
fn check_quantifiers(draft: &Draft) -> Result<(), PolicyError> {
    for (operator, key, _) in &draft.conditions {
        if !operator.is_for_all_values() {
            continue;
        }
        let key = keys::fold(key);
        let families = [
            (
                keys::ENCRYPTION_CONTEXT_PREFIX,
                "EncryptionContext",
                "encryption context",
            ),
            (keys::REQUEST_TAG_PREFIX, "RequestTag", "tag"),
        ];
        for (prefix, family, what) in families {
            if key.starts_with(prefix) {
                return Err(PolicyError::OverlyPermissive { key: family, what });
            }
        }
    }
    Ok(())
}

fn check_identity_policy(drafts: &[Draft], variables: bool) -> Result<(), PolicyError> {
    for draft in drafts {
        let known = draft.effect.as_deref().is_some_and(|effect| {
            effect.eq_ignore_ascii_case("Allow") || effect.eq_ignore_ascii_case("Deny")
        });
        if !known {
            return Err(PolicyError::Syntax);
        }
    }
    if drafts.iter().any(|draft| draft.principals.is_some()) {
        return Err(PolicyError::PrincipalProhibited);
    }
    let mut resource_error = None;
    for draft in drafts {
        check_values(draft, variables)?;
        for resource in draft.resources.iter().flat_map(|element| &element.value) {
            if let Err(error) = check_resource(resource) {
                resource_error.get_or_insert(error);
            } else if resource_error.is_none() {
                check_arn(resource)?;
            }
        }
    }
    let sid_character = |byte: u8| byte.is_ascii_alphanumeric();
    if !drafts
        .iter()
        .filter_map(Draft::sid)
        .flat_map(str::bytes)
        .all(sid_character)
    {
        return Err(PolicyError::SidCharacter);
    }
    check_sids(Kind::Identity, drafts)?;
    let given = |element: &Option<Negatable<Vec<String>>>| {
        element
            .as_ref()
            .is_some_and(|element| !element.value.is_empty())
    };
    if !drafts.iter().all(|draft| given(&draft.actions)) {
        return Err(PolicyError::NoActions);
    }
    if !drafts.iter().all(|draft| given(&draft.resources)) {
        return Err(PolicyError::NoResources);
    }
    if let Some(error) = resource_error {
        return Err(error);
    }
    drafts
        .iter()
        .flat_map(|draft| &draft.actions)
        .flat_map(|element| &element.value)
        .try_for_each(|action| check_action(action))
}

/// What IAM calls legacy parsing, but for the resources.
fn check_values(draft: &Draft, variables: bool) -> Result<(), PolicyError> {
    effect(draft.effect.as_deref()).map_err(|_| PolicyError::LegacyParsing)?;
    for (operator, key, values) in &draft.conditions {
        if Condition::parse(*operator, key, values, variables).is_none() {
            return Err(PolicyError::LegacyParsing);
        }
    }
    Ok(())
}

/// The form of a resource, as far as IAM has words for it.
fn check_resource(text: &str) -> Result<(), PolicyError> {
    if text == "*" {
        return Ok(());
    }
    let Some((_, rest)) = text.split_once(':') else {
        return Err(PolicyError::ResourceNotArn(text.to_owned()));
    };
    let (partition, rest) = match rest.split_once(':') {
        Some((partition, rest)) => (partition, Some(rest)),
        None => (rest, None),
    };
    match (partition, rest) {
        ("aws" | "aws-cn" | "aws-us-gov" | "*", Some(_)) => Ok(()),
        ("aws" | "aws-cn" | "aws-us-gov" | "*", None) => Err(PolicyError::ResourceWithoutVendor),
        _ => {
            // AWS fills an ARN's other four parts up with wildcards.
            let rest = rest.filter(|rest| !rest.is_empty());
            let mut parts: Vec<_> = rest.unwrap_or("*").splitn(4, ':').collect();
            parts.resize(4, "*");
            Err(PolicyError::Partition {
                partition: partition.to_owned(),
                rest: parts.join(":"),
            })
        }
    }
}

/// The form of a resource, as far as IAM has no words for it: `arn:aws:s3::bucket` lacks a part.
fn check_arn(text: &str) -> Result<(), PolicyError> {
    let lacks_part = text.contains("::") && text.matches(':').count() < 5;
    if text != "*" && (lacks_part || text.split(':').nth(2) == Some("")) {
        return Err(PolicyError::LegacyParsing);
    }
    Ok(())
}

/// The form of an action: `*`, or a service and a name.
fn check_action(text: &str) -> Result<(), PolicyError> {
    let mut parts = text.split(':');
    let vendor = parts.next().unwrap_or_default();
    match parts.count() {
        0 if vendor == "*" => return Ok(()),
        0 => return Err(PolicyError::ActionWithoutVendor),
        1 => {}
        _ => return Err(PolicyError::ActionColons),
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if vendor == "*" || vendor.bytes().all(valid) {
        Ok(())
    } else {
        Err(PolicyError::InvalidVendor(vendor.to_owned()))
    }
}

fn check_trust_policy(drafts: &[Draft]) -> Result<(), PolicyError> {
    for draft in drafts {
        let effect = effect(draft.effect.as_deref())?;
        match &draft.principals {
            None => return Err(PolicyError::MissingField("Principal")),
            Some(principals) if principals.negated && effect == Effect::Allow => {
                return Err(PolicyError::AllowNotPrincipal);
            }
            Some(principals) if principals.negated => {
                return Err(PolicyError::NotPrincipalProhibited);
            }
            Some(_) => {}
        }
        let actions = draft.actions.iter().flat_map(|element| &element.value);
        if actions.clone().next().is_none() {
            return Err(PolicyError::MissingField("Action"));
        }
        if !actions.into_iter().all(|action| assumes_role(action)) {
            return Err(PolicyError::TrustAction);
        }
        match &draft.resources {
            None => {}
            Some(element) if element.negated => return Err(PolicyError::NotResourceProhibited),
            Some(_) => return Err(PolicyError::ResourceProhibited),
        }
    }
    check_sids(Kind::Trust, drafts)
}

/// Whether an action has its place in a trust policy. Wildcards have none.
fn assumes_role(action: &str) -> bool {
    const ACTIONS: [&str; 6] = [
        "sts:AssumeRole",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
        "sts:SetContext",
        "sts:SetSourceIdentity",
        "sts:TagSession",
    ];
    ACTIONS
        .iter()
        .any(|known| action.eq_ignore_ascii_case(known))
}

fn check_sids(kind: Kind, drafts: &[Draft]) -> Result<(), PolicyError> {
    let mut seen = BTreeSet::new();
    if drafts
        .iter()
        .filter_map(Draft::sid)
        .all(|sid| seen.insert(sid))
    {
        Ok(())
    } else {
        Err(kind.duplicate_sid())
    }
}
