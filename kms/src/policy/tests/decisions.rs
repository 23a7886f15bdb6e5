//! Decisions from several policies, and the safety check.

use super::super::{
    Decision, Lacking, Source, StatementRef, allows_policy_update, decide, default_key_policy,
};
use super::{ACCOUNT, KEY, OTHER_ACCOUNT, Policy, Request, identity_policy, key_policy};

const ALLOW: &str = r#"{"Sid":"yes","Effect":"Allow","Action":"kms:*","Resource":"*"}"#;
const DENY: &str = r#"{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}"#;
const OTHER: &str = r#"{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}"#;

fn decision<'p>(
    request: &Request,
    resource_policy: Option<&'p Policy>,
    identity_policies: &'p [Policy],
) -> Decision<'p> {
    let named = ["first", "second", "third"]
        .into_iter()
        .zip(identity_policies);
    decide(request, ACCOUNT.parse().unwrap(), resource_policy, named)
}

fn statement(index: usize, sid: Option<&str>) -> StatementRef<'_> {
    StatementRef { index, sid }
}

fn for_principal(effect: &str, principal: &str) -> Policy {
    key_policy(&format!(
        r#"{{"Effect":"{effect}","Principal":{{"AWS":"{principal}"}},"Action":"kms:*","Resource":"*"}}"#
    ))
}

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const STRANGER: &str = "arn:aws:iam::444455556666:user/alice";

#[test]
fn a_key_policy_that_names_the_caller_is_enough_in_its_own_account() {
    let policy = for_principal("Allow", ALICE);
    let alice = Request::of_user(ACCOUNT, "alice");
    let allowed = Decision::Allowed {
        by: Source::ResourcePolicy(statement(0, None)),
        delegated: None,
    };
    assert_eq!(decision(&alice, Some(&policy), &[]), allowed);
    assert_eq!(
        decision(&alice, Some(&policy), &[identity_policy(OTHER)]),
        allowed
    );
    let bob = Request::of_user(ACCOUNT, "bob");
    let policies = [identity_policy(ALLOW)];
    assert_eq!(
        decision(&bob, Some(&policy), &policies),
        Decision::NotAllowed(Lacking::ResourcePolicy)
    );
    assert_eq!(
        decision(&Request::of_root(ACCOUNT), Some(&policy), &policies),
        Decision::NotAllowed(Lacking::ResourcePolicy)
    );
}

#[test]
fn a_key_policy_that_names_the_account_leaves_it_to_the_identity_policies() {
    let policy = Policy::key_policy(&default_key_policy(ACCOUNT.parse().unwrap())).unwrap();
    let alice = Request::of_user(ACCOUNT, "alice");
    let none = Decision::NotAllowed(Lacking::IdentityPolicy);
    assert_eq!(decision(&alice, Some(&policy), &[]), none);
    let policies = [identity_policy(OTHER)];
    assert_eq!(decision(&alice, Some(&policy), &policies), none);
    let policies = [
        identity_policy(OTHER),
        identity_policy(ALLOW),
        identity_policy(ALLOW),
    ];
    let found = decision(&alice, Some(&policy), &policies);
    let delegated = statement(0, Some("Enable IAM User Permissions"));
    assert_eq!(
        found,
        Decision::Allowed {
            by: Source::IdentityPolicy {
                name: "second",
                statement: statement(0, Some("yes")),
            },
            delegated: Some(delegated),
        }
    );
    assert_eq!(
        found.to_string(),
        "statement 0 (Enable IAM User Permissions) of the resource's policy leaves it to the account; statement 0 (yes) of the identity policy second allows it"
    );
    let root = decision(&Request::of_root(ACCOUNT), Some(&policy), &[]);
    assert_eq!(
        root,
        Decision::Allowed {
            by: Source::RootUser,
            delegated: Some(delegated),
        }
    );
    assert_eq!(
        root.to_string(),
        "statement 0 (Enable IAM User Permissions) of the resource's policy leaves it to the account; being the root user allows it"
    );
}

#[test]
fn a_deny_anywhere_counts() {
    let allow = for_principal("Allow", ALICE);
    let deny = for_principal("Deny", ACCOUNT);
    let alice = Request::of_user(ACCOUNT, "alice");
    let found = decision(&alice, Some(&deny), &[]);
    let by = Source::ResourcePolicy(statement(0, None));
    assert_eq!(found, Decision::ExplicitlyDenied { by });
    assert_eq!(
        found.to_string(),
        "statement 0 of the resource's policy denies it"
    );
    assert_eq!(
        decision(&Request::of_root(ACCOUNT), Some(&deny), &[]),
        Decision::ExplicitlyDenied { by }
    );
    let policies = [
        identity_policy(ALLOW),
        identity_policy(&format!("{ALLOW},{DENY}")),
    ];
    let by = Source::IdentityPolicy {
        name: "second",
        statement: statement(1, None),
    };
    for resource_policy in [Some(&allow), None] {
        let found = decision(&alice, resource_policy, &policies);
        assert_eq!(found, Decision::ExplicitlyDenied { by });
        assert_eq!(
            found.to_string(),
            "statement 1 of the identity policy second denies it"
        );
    }
}

#[test]
fn another_account_needs_both_policies() {
    let stranger = Request::of_user(OTHER_ACCOUNT, "alice");
    let policies = [identity_policy(ALLOW)];
    for principal in [STRANGER, OTHER_ACCOUNT, "*"] {
        let policy = for_principal("Allow", principal);
        assert_eq!(
            decision(&stranger, Some(&policy), &[]),
            Decision::NotAllowed(Lacking::IdentityPolicy)
        );
        assert_eq!(
            decision(&stranger, Some(&policy), &policies),
            Decision::Allowed {
                by: Source::IdentityPolicy {
                    name: "first",
                    statement: statement(0, Some("yes")),
                },
                delegated: Some(statement(0, None)),
            }
        );
    }
    for policy in [Some(&for_principal("Allow", ACCOUNT)), None] {
        assert_eq!(
            decision(&stranger, policy, &policies),
            Decision::NotAllowed(Lacking::ResourcePolicy)
        );
    }
}

#[test]
fn a_resource_without_a_policy_is_left_to_its_account() {
    let alice = Request::of_user(ACCOUNT, "alice")
        .action("kms:CreateKey")
        .resource("*");
    let found = decision(&alice, None, &[]);
    assert_eq!(found, Decision::NotAllowed(Lacking::IdentityPolicy));
    assert_eq!(found.to_string(), "no identity-based policy allows it");
    let policies = [identity_policy(ALLOW)];
    let found = decision(&alice, None, &policies);
    assert_eq!(
        found,
        Decision::Allowed {
            by: Source::IdentityPolicy {
                name: "first",
                statement: statement(0, Some("yes")),
            },
            delegated: None,
        }
    );
    assert_eq!(
        found.to_string(),
        "statement 0 (yes) of the identity policy first allows it"
    );
    let root = Request {
        action: alice.action,
        resource: alice.resource,
        ..Request::of_root(ACCOUNT)
    };
    assert_eq!(
        decision(&root, None, &[]),
        Decision::Allowed {
            by: Source::RootUser,
            delegated: None
        }
    );
    let stranger = decision(&Request::of_root(OTHER_ACCOUNT), None, &[]);
    assert_eq!(stranger, Decision::NotAllowed(Lacking::ResourcePolicy));
    assert_eq!(stranger.to_string(), "no resource-based policy allows it");
}

#[test]
fn a_key_policy_must_let_its_author_change_it() {
    let alice = Request::of_user(ACCOUNT, "alice")
        .action("kms:CreateKey")
        .resource("*");
    let safe = |statement: &str| allows_policy_update(&key_policy(statement), &alice, KEY);
    let with = |rest: &str| {
        safe(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"{ALICE}"}},{rest}}}"#
        ))
    };
    assert!(with(r#""Action":"kms:*","Resource":"*""#));
    assert!(with(r#""Action":"kms:Put*","Resource":"*""#));
    assert!(with(&format!(
        r#""Action":"kms:PutKeyPolicy","Resource":"{KEY}""#
    )));
    assert!(!with(r#""Action":"kms:CreateKey","Resource":"*""#));
    assert!(!with(r#""Action":"kms:PutKeyPolicy""#));
    assert!(!with(
        r#""Action":"kms:PutKeyPolicy","Resource":"arn:aws:dynamodb:*""#
    ));
    let condition = r#""Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"k:k":"v"}}"#;
    assert!(!with(condition));
    let policy = key_policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":"{ALICE}"}},{condition}}}"#
    ));
    assert!(allows_policy_update(
        &policy,
        &alice.clone().with("k:k", &["v"]),
        KEY
    ));

    let account =
        r#"{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}"#;
    assert!(safe(account));
    let deny = r#"{"Effect":"Deny","Principal":"*","Action":"kms:PutKeyPolicy","Resource":"*"}"#;
    assert!(!safe(&format!("{account},{deny}")));
    assert!(!safe(&account.replace(ACCOUNT, OTHER_ACCOUNT)));
    assert!(!safe(
        &account.replace(ACCOUNT, "arn:aws:iam::111122223333:user/bob")
    ));
}
