//! ARNs: of what there is here, and who calls.

use std::fmt;

use super::{AccountId, AliasName, Region};

/// The partition all our ARNs are in.
pub(super) const PARTITION: &str = "aws";

/// The ARN of a key.
pub fn key_arn(region: &Region, account: AccountId, id: impl fmt::Display) -> String {
    format!("arn:{PARTITION}:kms:{region}:{account}:key/{id}")
}

/// The ARN of an alias.
pub fn alias_arn(region: &Region, account: AccountId, alias: &AliasName) -> String {
    format!("arn:{PARTITION}:kms:{region}:{account}:{alias}")
}

/// Whether a text is the ARN of the root user of some account.
pub(crate) fn is_root_arn(text: &str) -> bool {
    let mut parts = text.split(':');
    parts.nth(4).is_some_and(|account| {
        account
            .parse()
            .is_ok_and(|account| text == root_arn(account))
    })
}

/// The account and the role's name in the ARN of a session.
pub(crate) fn role_of_session(arn: &str) -> Option<(AccountId, &str)> {
    let (account, resource) = arn.strip_prefix("arn:aws:sts::")?.split_once(':')?;
    let (role, session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
    let account = account.parse().ok()?;
    (!session.is_empty()).then_some((account, role))
}

/// The ARN of an IAM user.
pub fn user_arn(account: AccountId, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:user/{name}")
}

/// The ARN of an IAM user under a path: `/`, or more between two of them.
pub fn user_arn_under(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:user{path}{name}")
}

/// The ARN of an IAM role under a path.
pub fn role_arn(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:role{path}{name}")
}

/// The ARN of a session of a role, which leaves out the role's path.
pub fn session_arn(account: AccountId, role: &str, session: &str) -> String {
    format!("arn:{PARTITION}:sts::{account}:assumed-role/{role}/{session}")
}

/// The ARN that stands for a whole account: its root user.
pub fn root_arn(account: AccountId) -> String {
    format!("arn:{PARTITION}:iam::{account}:root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_those_of_aws() {
        let account: AccountId = "123456789012".parse().expect("an account");
        for (arn, expected) in [
            (
                user_arn(account, "ada"),
                "arn:aws:iam::123456789012:user/ada",
            ),
            (root_arn(account), "arn:aws:iam::123456789012:root"),
        ] {
            assert_eq!(arn, expected);
        }
    }
}
