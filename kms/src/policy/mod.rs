//! Key policies. For now there is one: the default policy.
//!
//! A policy that says anything else is refused when a key is made, because a policy that is stored
//! but not enforced would be a promise broken silently.

mod default;

pub use default::default_key_policy;
pub(crate) use default::{is_default_text, require_default};
