//! The answers about key policies.

use zeroize::Zeroizing;

use crate::json_writer;

use super::{Response, write_page};

/// GetKeyPolicy's answer.
pub struct GetKeyPolicy<'a> {
    /// The policy, as it was put.
    pub policy: &'a str,
    /// The policy's name.
    pub policy_name: &'static str,
}

impl Response for GetKeyPolicy<'_> {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.text("Policy", self.policy);
            o.text("PolicyName", self.policy_name);
        })
    }
}

/// ListKeyPolicies' answer.
pub struct ListKeyPolicies {
    /// The names of this page.
    pub policy_names: Vec<&'static str>,
    /// Where the next page begins; absent on the last one.
    pub next_marker: Option<String>,
}

impl Response for ListKeyPolicies {
    fn body(&self) -> Zeroizing<Vec<u8>> {
        json_writer::object(|o| {
            o.names("PolicyNames", self.policy_names.iter().copied());
            write_page(o, self.next_marker.as_deref());
        })
    }
}
