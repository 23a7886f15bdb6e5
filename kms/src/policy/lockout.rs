//! The safety check against a key policy that nobody can change any more.

use super::context::{Caller, RequestContext, Values};
use super::document::{Effect, Policy};

/// Whether a key policy lets the caller of `request` put another one in its place, directly or by
/// leaving it to the caller's account. KMS refuses a key policy that does not, unless told to
/// bypass this check.
///
/// The conditions are looked at as they are in `request`, which puts the policy on the key whose
/// ARN is `key`, or makes the key.
pub fn allows_policy_update(policy: &Policy, request: &dyn RequestContext, key: &str) -> bool {
    let update = Update { request, key };
    policy
        .evaluate(&update)
        .is_some_and(|found| found.effect == Effect::Allow)
}

/// The same request, but for a change of the key policy.
struct Update<'a> {
    request: &'a dyn RequestContext,
    key: &'a str,
}

impl RequestContext for Update<'_> {
    fn caller(&self) -> Caller<'_> {
        self.request.caller()
    }

    fn action(&self) -> &str {
        "kms:PutKeyPolicy"
    }

    fn resource(&self) -> &str {
        self.key
    }

    fn condition_values(&self, key: &str) -> Option<Values<'_>> {
        self.request.condition_values(key)
    }
}
