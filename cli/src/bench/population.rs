//! Who and what is there when the load begins.

use kms::seed::Seed;
use serde_json::{Value, json};

use crate::Failure;
use crate::credentials::Credentials;
use crate::random::system_random;

/// The account of everything.
pub(super) const ACCOUNT: &str = "123456789012";

/// The user that may do little by its policy, and more by a grant.
const GRANTEE: &str = "grantee";

/// How many grants the key of that scenario has; the last is the one that matters.
const GRANTS: usize = 10;

/// The principals and keys that are seeded.
pub(super) struct Population {
    /// May do everything.
    pub(super) administrator: Credentials,
    /// May do what its policy and a grant allow.
    pub(super) grantee: Credentials,
    /// How many keys there are beside those that the set-up makes.
    pub(super) keys: u32,
}

impl Population {
    /// With new credentials.
    pub(super) fn new(keys: u32) -> Self {
        Self {
            administrator: Credentials::generate(&mut system_random()),
            grantee: Credentials::generate(&mut system_random()),
            keys,
        }
    }

    /// The ids of the seeded keys.
    pub(super) fn key_ids(&self) -> impl Iterator<Item = String> {
        (0..self.keys).map(|number| format!("5eed0000-0000-4000-8000-{number:012x}"))
    }

    /// Whom grants are given to.
    pub(super) fn grantees(&self) -> impl Iterator<Item = String> {
        (1..=GRANTS).map(|number| {
            let name = if number == GRANTS { GRANTEE } else { "bench" };
            format!("arn:aws:iam::{ACCOUNT}:user/{name}")
        })
    }

    /// All of it as the server takes it.
    pub(super) fn seed(&self) -> Result<Seed, Failure> {
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [
                { "Effect": "Allow", "Action": ["kms:Decrypt", "kms:Encrypt"], "Resource": "*",
                  "Condition": { "StringEquals": { "kms:EncryptionContext:purpose": "bench" } } },
                { "Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Resource": "*" },
            ],
        });
        let keys: Vec<Value> = self.key_ids().map(|id| json!({ "key_id": id })).collect();
        let text = json!({
            "users": [{
                "name": GRANTEE,
                "access_key_id": self.grantee.access_key_id,
                "secret_access_key": self.grantee.secret_access_key.as_str(),
                "policies": { "use": policy },
            }],
            "keys": keys,
        });
        let mut seed = Seed::from_json(&serde_json::to_vec(&text)?)?;
        let Credentials {
            access_key_id,
            secret_access_key,
        } = &self.administrator;
        seed.add_user("bench", access_key_id, secret_access_key);
        Ok(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seeded_is_a_seed() {
        let population = Population::new(300);
        population.seed().unwrap();
        let ids: std::collections::BTreeSet<_> = population.key_ids().collect();
        assert_eq!(ids.len(), 300);
        assert!(
            population
                .grantees()
                .last()
                .unwrap()
                .ends_with("user/grantee")
        );
    }
}
