//! Refusals: what the caller is told, in AWS's words, and what the audit trail learns.

use crate::error::KmsError;
use crate::name::AccountId;
use crate::principal::Principal;

/// A refusal.
#[derive(Debug)]
pub struct Denial {
    action: &'static str,
    resource: String,
    principal: String,
    refusal: Refusal,
}

/// Why a call is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    kind: Kind,
    /// The real reason, for the audit trail.
    reason: String,
    /// Whether the resource belongs to another account than the caller.
    elsewhere: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A policy denies it.
    Denied(PolicyType),
    /// No policy allows it.
    Lacking(PolicyType),
}

/// The kinds of policy, as AWS's texts tell them apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PolicyType {
    Identity,
    Resource,
    Session,
}

impl PolicyType {
    fn with_article(self) -> &'static str {
        match self {
            Self::Identity => "an identity-based policy",
            Self::Resource => "a resource-based policy",
            Self::Session => "a session policy",
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Resource => "resource-based policy",
            Self::Session => "session policy",
        }
    }
}

/// How a refusal names the resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// By its ARN, which the caller named.
    Named,
    /// As what a ciphertext tells: the caller did not name it, and does not learn its name.
    ByCiphertext,
}

impl Refusal {
    pub(super) fn denied(in_resource_policy: bool, reason: String) -> Self {
        Self::new(Kind::Denied(policy_type(in_resource_policy)), reason)
    }

    pub(super) fn lacking(in_resource_policy: bool, reason: String) -> Self {
        Self::new(Kind::Lacking(policy_type(in_resource_policy)), reason)
    }

    pub(super) fn denied_by_session() -> Self {
        let kind = Kind::Denied(PolicyType::Session);
        Self::new(kind, "the session policy denies it".to_owned())
    }

    pub(super) fn lacking_in_session() -> Self {
        let kind = Kind::Lacking(PolicyType::Session);
        Self::new(kind, "the session policy does not allow it".to_owned())
    }

    /// A key policy that this version can't read lets nobody through.
    pub(super) fn unreadable() -> Self {
        let kind = Kind::Lacking(PolicyType::Resource);
        Self::new(kind, "the key policy can't be evaluated".to_owned())
    }

    fn new(kind: Kind, reason: String) -> Self {
        Self {
            kind,
            reason,
            elsewhere: false,
        }
    }

    pub(super) fn of_owner(self, owner: AccountId, principal: &Principal) -> Self {
        Self {
            elsewhere: owner != principal.account(),
            ..self
        }
    }
}

fn policy_type(in_resource_policy: bool) -> PolicyType {
    if in_resource_policy {
        PolicyType::Resource
    } else {
        PolicyType::Identity
    }
}

impl Denial {
    pub(super) fn new(
        action: &'static str,
        resource: &str,
        principal: &Principal,
        refusal: Refusal,
    ) -> Self {
        Self {
            action,
            resource: resource.to_owned(),
            principal: principal.arn().to_string(),
            refusal,
        }
    }

    /// The real reason: which statement of which policy, or what is missing.
    pub fn reason(&self) -> &str {
        &self.refusal.reason
    }

    /// AWS's AccessDeniedException. Whoever is refused by the policy of another account's resource
    /// gets the same text as for one that does not exist.
    pub fn error(&self, shown: Shown) -> KmsError {
        let Self {
            action, principal, ..
        } = self;
        let resource = match shown {
            Shown::Named => format!("resource: {}", self.resource),
            Shown::ByCiphertext => BY_CIPHERTEXT.to_owned(),
        };
        let why = match self.refusal.kind {
            Kind::Denied(PolicyType::Resource) | Kind::Lacking(PolicyType::Resource)
                if self.refusal.elsewhere =>
            {
                return elsewhere(principal, action, shown);
            }
            Kind::Denied(policy) => format!("with an explicit deny in {}", policy.with_article()),
            Kind::Lacking(policy) => {
                format!("because no {} allows the {action} action", policy.as_str())
            }
        };
        let message =
            format!("User: {principal} is not authorized to perform: {action} on {resource} {why}");
        KmsError::AccessDenied(message.into())
    }
}

/// The refusal for a resource of another account: the same whether it exists there or not.
pub(crate) fn denied_elsewhere(principal: &Principal, action: &str, shown: Shown) -> KmsError {
    elsewhere(principal.arn(), action, shown)
}

const BY_CIPHERTEXT: &str = "the resource associated with this ciphertext";

fn elsewhere(principal: &str, action: &str, shown: Shown) -> KmsError {
    let resource = match shown {
        Shown::Named => "this resource",
        Shown::ByCiphertext => BY_CIPHERTEXT,
    };
    let message = format!(
        "User: {principal} is not authorized to perform: {action} on {resource} because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
    );
    KmsError::AccessDenied(message.into())
}
