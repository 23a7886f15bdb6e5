//! Principals, as statements name them.

use crate::name::{self, AccountId};

use super::context::{Caller, CallerKind};
use super::document::Reach;
use super::error::PolicyError;
use super::json::{Json, Object};
use super::parse::Kind;

/// Whom a statement is about.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Principals {
    /// These: `Principal`.
    Only(Box<[Element]>),
    /// All but these: `NotPrincipal`. Only statements that deny have it.
    AllBut(Box<[Element]>),
}

/// One principal that a statement names.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Element {
    /// Everybody: `*`.
    Anyone,
    /// An account as a whole: its id, or the ARN of its root.
    Account(AccountId),
    /// A user, a role (in all its sessions) or a session.
    Arn(Box<str>),
    /// A user or a role by its unique id.
    Id(Box<str>),
    /// A service of AWS, an identity provider or a canonical user: none of them calls here.
    Stranger,
}

/// The name of a user or a role in a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PrincipalName<'p> {
    /// An ARN: of a user, a role, or a session of a role.
    Arn(&'p str),
    /// A unique id: `AIDA…`, `AROA…`.
    Id(&'p str),
}

impl Principals {
    /// Reads the `Principal` of a statement, or its `NotPrincipal`.
    pub(super) fn parse(kind: Kind, json: Json, negated: bool) -> Result<Self, PolicyError> {
        let elements = match json {
            Json::Object(members) => elements(kind, members)?,
            Json::Text(text) if kind == Kind::Trust && text == "*" => {
                return Err(PolicyError::StarPrincipal);
            }
            Json::Text(text) if text == "*" => Box::new([Element::Anyone]),
            Json::Text(_) if kind == Kind::Key => return Err(PolicyError::InvalidPrincipals),
            _ => return Err(kind.syntax_error()),
        };
        Ok(if negated {
            Self::AllBut(elements)
        } else {
            Self::Only(elements)
        })
    }

    /// Whether they include a caller, and how.
    pub(super) fn reach(&self, caller: &Caller<'_>) -> Option<Reach> {
        match self {
            Self::Only(elements) => elements
                .iter()
                .filter_map(|element| element.reach(caller))
                .max(),
            Self::AllBut(elements) => (!exempts(elements, caller)).then_some(Reach::Principal),
        }
    }

    /// The users and roles named.
    pub(super) fn names(&self) -> impl Iterator<Item = PrincipalName<'_>> {
        let (Self::Only(elements) | Self::AllBut(elements)) = self;
        elements.iter().filter_map(|element| match element {
            Element::Arn(arn) => Some(PrincipalName::Arn(arn)),
            Element::Id(id) => Some(PrincipalName::Id(id)),
            Element::Anyone | Element::Account(_) | Element::Stranger => None,
        })
    }
}

/// Whether a `NotPrincipal` leaves a caller out. It must name all that the caller is: the account,
/// the user or the role, and the session. So AWS documents it.
fn exempts(elements: &[Element], caller: &Caller<'_>) -> bool {
    let names_arn = |arn: &str| {
        elements
            .iter()
            .any(|e| matches!(e, Element::Arn(a) if **a == *arn))
    };
    let names_id = || {
        elements
            .iter()
            .any(|e| matches!(e, Element::Id(id) if **id == *caller.id))
    };
    let names_identity = match caller.kind {
        CallerKind::Root => true,
        CallerKind::User => names_arn(caller.arn) || names_id(),
        CallerKind::Session { role } => names_arn(caller.arn) && (names_arn(role) || names_id()),
    };
    elements.contains(&Element::Anyone)
        || (names_identity && elements.contains(&Element::Account(caller.account)))
}

/// Reads the members of a principal: a kind, and one name or a list of names.
fn elements(kind: Kind, members: Object) -> Result<Box<[Element]>, PolicyError> {
    let mut elements = Vec::new();
    for (of, names) in members {
        let names = names.into_texts().ok_or(kind.syntax_error())?;
        for name in names {
            let element = match of.as_str() {
                "AWS" => Element::parse(&name),
                "Service" => is_host_name(&name).then_some(Element::Stranger),
                "Federated" | "CanonicalUser" => Some(Element::Stranger),
                _ => None,
            };
            match element {
                Some(element) => elements.push(element),
                None if kind == Kind::Key => return Err(PolicyError::InvalidPrincipals),
                None => return Err(PolicyError::InvalidPrincipal { kind: of, name }),
            }
        }
    }
    if elements.is_empty() {
        return Err(kind.no_principal());
    }
    Ok(elements.into())
}

impl Element {
    /// Parses a name under `AWS`.
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Anyone);
        }
        if let Ok(account) = text.parse() {
            return Some(Self::Account(account));
        }
        if is_unique_id(text) {
            return Some(Self::Id(text.into()));
        }
        let (service, rest) = text.strip_prefix("arn:aws:")?.split_once("::")?;
        let (account, identity) = rest.split_once(':')?;
        let account: AccountId = account.parse().ok()?;
        if text == name::root_arn(account) {
            return Some(Self::Account(account));
        }
        let (of, name) = identity.split_once('/')?;
        let complete = match (service, of) {
            ("iam", "user" | "role") | ("sts", "federated-user") => !name.ends_with('/'),
            ("sts", "assumed-role") => name
                .split_once('/')
                .is_some_and(|(role, session)| !role.is_empty() && !session.is_empty()),
            _ => false,
        };
        let literal = |byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'*' | b'?');
        let valid = complete && !name.is_empty() && name.bytes().all(literal);
        valid.then(|| Self::Arn(text.into()))
    }

    fn reach(&self, caller: &Caller<'_>) -> Option<Reach> {
        let direct = match self {
            Self::Anyone => true,
            Self::Account(account) => {
                return (*account == caller.account).then_some(Reach::Account);
            }
            Self::Arn(arn) => {
                let role = match caller.kind {
                    CallerKind::Session { role } => role,
                    CallerKind::Root | CallerKind::User => caller.arn,
                };
                **arn == *caller.arn || **arn == *role
            }
            Self::Id(id) => **id == *caller.id,
            Self::Stranger => false,
        };
        direct.then_some(Reach::Principal)
    }
}

/// Whether a text can be the unique id of a user or a role.
fn is_unique_id(text: &str) -> bool {
    (text.starts_with("AIDA") || text.starts_with("AROA"))
        && (16..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether a text looks like the name of a service: `lambda.amazonaws.com`.
pub(crate) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.contains('.') && text.split('.').all(label)
}
