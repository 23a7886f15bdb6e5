//! The decision on a request, from all the policies that bear on it.

use std::fmt;

use crate::name::AccountId;

use super::context::{CallerKind, RequestContext};
use super::document::{Effect, Match, Policy, Reach, StatementRef};
use super::facts::Facts;

/// What policies make of a request, and which statement of which policy does. The caller never
/// sees the reason; the audit trail does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision<'p> {
    /// It is allowed.
    Allowed {
        /// What allows it.
        by: Source<'p>,
        /// The statement of the resource's policy that leaves it to the caller's account.
        delegated: Option<StatementRef<'p>>,
    },
    /// It is denied, whatever else allows it.
    ExplicitlyDenied {
        /// What denies it.
        by: Source<'p>,
    },
    /// It is denied because nothing allows it. A grant still may.
    NotAllowed(Lacking),
}

/// What allows or denies a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source<'p> {
    /// A statement of the policy of the resource: a key policy, or the trust policy of a role.
    ResourcePolicy(StatementRef<'p>),
    /// A statement of an identity policy.
    IdentityPolicy {
        /// The policy's name.
        name: &'p str,
        /// The statement.
        statement: StatementRef<'p>,
    },
    /// The caller is the root user of its account, and needs no identity policy.
    RootUser,
}

/// Which policy does not allow a request that needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lacking {
    /// The identity policies of the caller: `no identity-based policy allows …`.
    IdentityPolicy,
    /// The policy of the resource: `no resource-based policy allows …`.
    ResourcePolicy,
}

/// Decides on a request for a resource of the account `owner`.
///
/// `resource_policy` is `None` for resources of a kind that has none: they are their account's
/// own. The identity policies are those of the caller, with their names. A caller from another
/// account needs both, the resource's policy and one of its own.
pub fn decide<'p>(
    request: &dyn RequestContext,
    owner: AccountId,
    resource_policy: Option<&'p Policy>,
    identity_policies: impl IntoIterator<Item = (&'p str, &'p Policy)>,
) -> Decision<'p> {
    let facts = Facts::new(request);
    let by_resource = resource_policy.and_then(|policy| policy.evaluate_on(&facts));
    if let Some(Match {
        effect: Effect::Deny,
        statement,
        ..
    }) = by_resource
    {
        let by = Source::ResourcePolicy(statement);
        return Decision::ExplicitlyDenied { by };
    }

    let caller = request.caller();
    let mut by_identity = (caller.kind == CallerKind::Root).then_some(Source::RootUser);
    for (name, policy) in identity_policies {
        let Some(found) = policy.evaluate_on(&facts) else {
            continue;
        };
        let by = Source::IdentityPolicy {
            name,
            statement: found.statement,
        };
        match found.effect {
            Effect::Deny => return Decision::ExplicitlyDenied { by },
            Effect::Allow => by_identity = by_identity.or(Some(by)),
        }
    }

    let own = caller.account == owner;
    let delegated = match by_resource {
        Some(found) if own && found.reach == Reach::Principal => {
            let by = Source::ResourcePolicy(found.statement);
            return Decision::Allowed {
                by,
                delegated: None,
            };
        }
        Some(found) => Some(found.statement),
        None if own && resource_policy.is_none() => None,
        None => return Decision::NotAllowed(Lacking::ResourcePolicy),
    };
    match by_identity {
        Some(by) => Decision::Allowed { by, delegated },
        None => Decision::NotAllowed(Lacking::IdentityPolicy),
    }
}

impl fmt::Display for Decision<'_> {
    /// The decision in words, for the audit trail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed { by, delegated } => {
                if let Some(statement) = delegated {
                    write!(
                        f,
                        "{statement} of the resource's policy leaves it to the account; "
                    )?;
                }
                write!(f, "{by} allows it")
            }
            Self::ExplicitlyDenied { by } => write!(f, "{by} denies it"),
            Self::NotAllowed(Lacking::IdentityPolicy) => {
                f.write_str("no identity-based policy allows it")
            }
            Self::NotAllowed(Lacking::ResourcePolicy) => {
                f.write_str("no resource-based policy allows it")
            }
        }
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResourcePolicy(statement) => write!(f, "{statement} of the resource's policy"),
            Self::IdentityPolicy { name, statement } => {
                write!(f, "{statement} of the identity policy {name}")
            }
            Self::RootUser => f.write_str("being the root user"),
        }
    }
}

impl fmt::Display for StatementRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement {}", self.index)?;
        match self.sid {
            Some(sid) => write!(f, " ({sid})"),
            None => Ok(()),
        }
    }
}
