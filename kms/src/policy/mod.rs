//! The policy language of IAM: what a policy says, and what it means for one request.
//!
//! A [`Policy`] is read once, from JSON, by the rules of its kind: key policies name principals,
//! identity policies must not, and the trust policy of a role names no resources. What is read is
//! a compact form that holds no JSON, costs nothing to clone, and answers for one
//! [`RequestContext`] after the other. Whatever could not be evaluated later is refused on reading,
//! with AWS's own text.
//!
//! - [`Policy::evaluate`] asks one policy, [`decide`] all that bear on a request: an explicit deny
//!   counts before everything else, and what nothing allows is denied.
//! - A statement of a key policy may allow a principal directly, or its account as a whole
//!   ([`Reach`]). In the second case the identity policies of the account decide.
//! - [`allows_policy_update`] is the safety check against a key policy that locks everybody out.
//!
//! The work is bounded, whoever writes policy and request: a policy is at most
//! [`MAX_KEY_POLICY_BYTES`] (key policies) or [`MAX_DOCUMENT_BYTES`] long, and nothing recurses but
//! the JSON parser (128 levels). The values of a condition key are asked for and laid out once for
//! all statements of all policies (`facts`), and each character of a policy, or of the value of a
//! variable, is compared with all of them at once, 64 places in a step (`texts`). The example
//! `policy_cost` measures it.

mod check;
mod condition;
mod context;
mod decide;
mod default;
mod document;
mod error;
mod facts;
mod json;
pub mod keys;
mod lockout;
mod number;
mod operand;
mod parse;
mod pattern;
mod principal;
mod texts;

#[cfg(test)]
mod tests;

pub use context::{Caller, CallerKind, RequestContext, Values};
pub use decide::{Decision, Lacking, Source, decide};
pub use default::default_key_policy;
pub use document::{Effect, Match, Policy, Reach, StatementRef};
pub use error::PolicyError;
pub use lockout::allows_policy_update;
pub use parse::{MAX_DOCUMENT_BYTES, MAX_KEY_POLICY_BYTES};
pub use principal::PrincipalName;
pub(crate) use principal::is_host_name;
