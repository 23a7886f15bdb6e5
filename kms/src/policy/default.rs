//! The policy that AWS gives to a key made without.
//!
//! It has a single statement, which gives the key's account all rights on the key, and so lets
//! that account's identity policies decide.

use crate::name::{self, AccountId};

/// The text of the default key policy, laid out as AWS does.
pub fn default_key_policy(account: AccountId) -> String {
    let root = name::root_arn(account);
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "{root}"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn it_is_a_key_policy() {
        let account = "111122223333".parse().unwrap();
        let policy = Policy::key_policy(&default_key_policy(account)).unwrap();
        assert_eq!(policy.principal_names().count(), 0);
    }
}
