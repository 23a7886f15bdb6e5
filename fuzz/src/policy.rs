//! The policies that callers give.

use kms::policy::{Caller, CallerKind, Policy, RequestContext, Values};

/// A request that has a value for every key.
struct Request;

impl RequestContext for Request {
    fn caller(&self) -> Caller<'_> {
        Caller {
            account: "111122223333".parse().expect("an account id"),
            arn: "arn:aws:sts::111122223333:assumed-role/Role/session",
            id: "AROACKCEVSQ6C2EXAMPLE",
            kind: CallerKind::Session {
                role: "arn:aws:iam::111122223333:role/Role",
            },
        }
    }

    fn action(&self) -> &str {
        "kms:Decrypt"
    }

    fn resource(&self) -> &str {
        "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    }

    fn condition_values(&self, key: &str) -> Option<Values<'_>> {
        assert_eq!(kms::policy::keys::fold(key), key, "a key not in lower case");
        Some(match key.len() % 4 {
            0 => Values::from("2020-01-01T00:00:00Z"),
            1 => Values::from("10.0.0.1"),
            2 => ["7", "true", "aaaa", "arn:aws:s3:::a"]
                .into_iter()
                .collect(),
            _ => Values::from(key.to_owned()),
        })
    }
}

/// A document. What is read as a policy of any kind can be evaluated.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for read in [
        Policy::key_policy,
        Policy::identity_policy,
        Policy::trust_policy,
    ] {
        match read(text) {
            Ok(policy) => {
                policy.evaluate(&Request);
                policy.principal_names().for_each(drop);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
