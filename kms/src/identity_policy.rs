//! The policies that principals have: what each may do, and who may assume a role.
//!
//! Both are kept as they were given and read once. One that was accepted and that this version
//! can't read denies everything: it may have denied something.

use std::sync::{Arc, LazyLock};

use crate::policy::{Policy, PolicyError};

/// The name that the policy behind [`Access::Full`](crate::principal::Access::Full) goes by.
pub(crate) const FULL_ACCESS: &str = "AdministratorAccess";

const ALL_ALLOWED: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const ALL_DENIED: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
const NOBODY_TRUSTED: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;

/// An identity policy of a user, role or session. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityPolicy {
    text: Arc<str>,
    policy: Policy,
}

impl IdentityPolicy {
    /// Reads a policy that somebody gives us.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if it is none.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy = Policy::identity_policy(text)?;
        Ok(Self {
            text: text.into(),
            policy,
        })
    }

    /// A policy that was accepted before.
    pub fn stored(text: &str) -> Self {
        static DENIED: LazyLock<Policy> = LazyLock::new(|| {
            Policy::identity_policy(ALL_DENIED).expect("the text is an identity policy")
        });
        Self {
            text: text.into(),
            policy: Policy::stored_identity_policy(text).unwrap_or_else(|_| DENIED.clone()),
        }
    }

    /// The policy as it was given.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The policy as it is evaluated.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// The policy of a principal with full access: it allows everything.
pub(crate) fn full_access() -> &'static Policy {
    static ALLOWED: LazyLock<Policy> = LazyLock::new(|| {
        Policy::identity_policy(ALL_ALLOWED).expect("the text is an identity policy")
    });
    &ALLOWED
}

/// Who may assume a role. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustPolicy {
    text: Arc<str>,
    policy: Policy,
}

impl TrustPolicy {
    /// Reads a policy that somebody gives us.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if it is none.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy = Policy::trust_policy(text)?;
        Ok(Self {
            text: text.into(),
            policy,
        })
    }

    /// A policy that was accepted before.
    pub fn stored(text: &str) -> Self {
        static DENIED: LazyLock<Policy> = LazyLock::new(|| {
            Policy::trust_policy(NOBODY_TRUSTED).expect("the text is a trust policy")
        });
        Self::parse(text).unwrap_or_else(|_| Self {
            text: text.into(),
            policy: DENIED.clone(),
        })
    }

    /// The policy as it was given.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The policy as it is evaluated.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

#[cfg(test)]
mod tests {
    use crate::name::AccountId;
    use crate::policy::{Caller, CallerKind, Effect, RequestContext, Values};

    use super::*;

    struct Any;

    impl RequestContext for Any {
        fn caller(&self) -> Caller<'_> {
            Caller {
                account: account(),
                arn: "arn:aws:iam::111122223333:user/alice",
                id: "AIDAALICE",
                kind: CallerKind::User,
            }
        }

        fn action(&self) -> &str {
            "sts:AssumeRole"
        }

        fn resource(&self) -> &str {
            "arn:aws:iam::111122223333:role/r"
        }

        fn condition_values(&self, _: &str) -> Option<Values<'_>> {
            None
        }
    }

    fn account() -> AccountId {
        "111122223333".parse().unwrap()
    }

    fn effect(policy: &Policy) -> Option<Effect> {
        policy.evaluate(&Any).map(|found| found.effect)
    }

    #[test]
    fn a_policy_that_cannot_be_read_denies_everything() {
        let identity = IdentityPolicy::stored("from the future");
        assert_eq!(&**identity.text(), "from the future");
        assert_eq!(effect(identity.policy()), Some(Effect::Deny));
        let trust = TrustPolicy::stored("from the future");
        assert_eq!(&**trust.text(), "from the future");
        assert_eq!(effect(trust.policy()), Some(Effect::Deny));
    }

    #[test]
    fn one_that_can_be_is_read() {
        let identity = IdentityPolicy::stored(ALL_ALLOWED);
        assert_eq!(effect(identity.policy()), Some(Effect::Allow));
        assert_eq!(effect(full_access()), Some(Effect::Allow));
        let trust = TrustPolicy::stored(&NOBODY_TRUSTED.replace("Deny", "Allow"));
        assert_eq!(effect(trust.policy()), Some(Effect::Allow));
        assert!(IdentityPolicy::parse(NOBODY_TRUSTED).is_err());
        assert!(TrustPolicy::parse(ALL_ALLOWED).is_err());
    }
}
