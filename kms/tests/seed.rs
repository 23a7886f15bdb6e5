//! Seeds: the documentation's example, idempotence, and every error.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../src/test_random.rs"]
mod test_random;

use kms::Timestamp;
use kms::identity_policy::TrustPolicy;
use kms::name::{AccountId, KeyId};
use kms::principal::{Access, Principal, PrincipalKind, Role};
use kms::protocol::spec::KeyState;
use kms::seed::{Seed, SeedError};
use kms::state::{Batch, Change, RootKey, State};
use test_random::TestRandom;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn account() -> AccountId {
    "123456789012".parse().unwrap()
}

fn empty() -> State {
    let mut random = TestRandom::new(1);
    let root_key = RootKey::generate(&mut random);
    State::genesis(&root_key, &mut random, NOW).0
}

fn changes(seed: &str, state: &State) -> Result<Vec<Change>, SeedError> {
    let seed = Seed::from_json(seed.as_bytes())?;
    seed.changes(account(), state, NOW, &mut TestRandom::new(2))
}

/// The state once all of the seed is in it.
fn sown(seed: &str, state: State) -> State {
    let changes = changes(seed, &state).unwrap();
    let mut batch = Batch::new(state);
    batch.push(changes);
    batch.seal(&mut TestRandom::new(3)).0
}

/// The example in docs/seed.md.
fn example() -> &'static str {
    let page = include_str!("../../docs/seed.md");
    let (_, rest) = page.split_once("```json\n").unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_documented_example_makes_what_it_says() {
    let state = sown(example(), empty());

    let alice = "arn:aws:iam::123456789012:user/alice";
    let principal = state.principal(alice).unwrap();
    assert_eq!(principal.access, Access::Full);
    assert!(
        matches!(principal.kind(), PrincipalKind::User { id, .. } if id.starts_with("AIDA") && id.len() == 21)
    );
    let access_key = state.access_key("AKIAIOSFODNN7EXAMPLE").unwrap();
    assert_eq!(&*access_key.principal, alice);
    assert_eq!(
        access_key.secret.expose(),
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    );
    assert!(access_key.active);
    let bob = state.access_key("test").unwrap();
    assert_eq!(&*bob.principal, "arn:aws:iam::000000000000:user/bob");

    let carol = state.principal("arn:aws:iam::123456789012:user/carol");
    let carol = carol.unwrap();
    assert_eq!(carol.access, Access::None);
    let names: Vec<_> = carol.policies.keys().map(|name| &**name).collect();
    assert_eq!(names, ["read"]);
    assert!(carol.policies["read"].text().contains("kms:Decrypt"));
    let worker = state.principal("arn:aws:iam::123456789012:role/worker");
    let worker = worker.unwrap();
    assert_eq!(worker.access, Access::None);
    let PrincipalKind::Role(role) = worker.kind() else {
        panic!("a role");
    };
    assert!(role.id().starts_with("AROA") && role.id().len() == 21);
    assert!(role.trust.text().contains("user/carol"));
    assert_eq!(role.max_session_seconds, 7200);
    assert!(worker.policies["encrypt"].text().contains("kms:Encrypt"));

    let region = "us-east-1".parse().unwrap();
    let id: KeyId = "1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
    let key = state.key(account(), &region, id).unwrap().unwrap();
    let material: Vec<u8> = (0..32).collect();
    assert_eq!(key.current().unwrap().material().expose(), material);
    assert_eq!(&*key.description, "Opens the blobs in our fixtures");
    assert_eq!(key.state, KeyState::Enabled);
    assert_eq!(key.tags["team"], "storage");
    let aliases = state.aliases_of(account(), &region, id);
    let aliases: Vec<_> = aliases.map(|alias| alias.name.as_str()).collect();
    assert_eq!(aliases, ["alias/app", "alias/app/backup"]);

    let disabled = state.key(
        "000000000000".parse().unwrap(),
        &"eu-central-1".parse().unwrap(),
        "0987dcba-09fe-87dc-65ba-ab0987654321".parse().unwrap(),
    );
    assert_eq!(disabled.unwrap().unwrap().state, KeyState::Disabled);
    let multi_region = state.key(
        account(),
        &"eu-west-1".parse().unwrap(),
        "mrk-1234abcd12ab34cd56ef1234567890ab".parse().unwrap(),
    );
    assert!(multi_region.unwrap().is_some());
}

#[test]
fn a_second_time_nothing_changes() {
    let state = sown(example(), empty());
    assert!(changes(example(), &state).unwrap().is_empty());
}

#[test]
fn a_seed_survives_the_enclaves_configuration() {
    let seed = Seed::from_json(example().as_bytes()).unwrap();
    let again = serde_json::to_string(&seed).unwrap();
    let state = sown(&again, empty());
    assert!(changes(example(), &state).unwrap().is_empty());
}

#[test]
fn what_changed_since_is_left_alone() {
    let state = sown(example(), empty());
    let region = "us-east-1".parse().unwrap();
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
    let mut key = kms::state::Key::clone(state.key(account(), &region, id).unwrap().unwrap());
    key.state = KeyState::Disabled;
    key.description = "Changed".into();
    let mut alias =
        kms::state::Alias::clone(state.aliases_of(account(), &region, id).next().unwrap());
    alias.target = KeyId::new([9; 16], false);
    let mut batch = Batch::new(state);
    batch.push(vec![Change::PutKey(key), Change::PutAlias(alias)]);
    let (state, _) = batch.seal(&mut TestRandom::new(4));
    assert!(changes(example(), &state).unwrap().is_empty());
}

#[test]
fn a_user_may_have_two_access_keys() {
    let state = sown(
        r#"{"users": [
            {"name": "a", "access_key_id": "A1", "secret_access_key": "s"},
            {"name": "a", "access_key_id": "A2", "secret_access_key": "t"}
        ]}"#,
        empty(),
    );
    assert_eq!(state.principals().count(), 1);
    assert_eq!(state.access_keys().count(), 2);
}

#[test]
fn a_name_is_given_once_whatever_its_case() {
    let role = Role::new("worker", "AROAEXAMPLE", TrustPolicy::stored("{}"));
    let user = Principal::user_under(account(), "/team/", "bob", "AIDABOB", NOW);
    let mut batch = Batch::new(empty());
    batch.push(vec![
        Change::PutPrincipal(user),
        Change::PutPrincipal(Principal::role(account(), "/", role, NOW)),
    ]);
    let (state, _) = batch.seal(&mut TestRandom::new(3));
    let user = |name: &str, key: &str, more: &str| {
        format!(r#"{{"name": "{name}", "access_key_id": "{key}", "secret_access_key": "s"{more}}}"#)
    };
    let users = |users: &[String]| format!(r#"{{"users": [{}]}}"#, users.join(","));
    let role = |name: &str| {
        let trust = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}}"#;
        format!(r#"{{"name": "{name}", "trust_policy": {trust}}}"#)
    };
    let roles = |roles: &[String]| format!(r#"{{"roles": [{}]}}"#, roles.join(","));
    let taken = "is taken, in another case or under a path, in the store; change the seed, or start with another store (an empty data folder)";
    for (seed, expected) in [
        (
            users(&[user("bob", "A", "")]),
            format!("users[0].name: {taken}"),
        ),
        (roles(&[role("Worker")]), format!("roles[0].name: {taken}")),
        (
            users(&[user("a", "A", ""), user("A", "B", "")]),
            "users[1].name: occurs in another case".to_owned(),
        ),
        (
            users(&[user("a", "A", ""), user("a", "B", r#", "policies": {}"#)]),
            "users[1].policies: must be the same wherever the user is listed".to_owned(),
        ),
        (
            roles(&[role("r"), role("r")]),
            "roles[1].name: occurs twice".to_owned(),
        ),
    ] {
        let error = changes(&seed, &state).err().unwrap().to_string();
        assert_eq!(error, expected, "{seed}");
    }
    assert!(
        changes(&roles(&[role("worker")]), &state)
            .unwrap()
            .is_empty()
    );
    // A user and a role may have one name.
    let both = format!(
        r#"{{"users": [{}], "roles": [{}]}}"#,
        user("a", "A", ""),
        role("a")
    );
    assert_eq!(changes(&both, &state).unwrap().len(), 3);
}

#[test]
fn an_added_user_is_not_added_twice() {
    let mut seed = Seed::default();
    seed.add_user("developer", "AKIA", "secret");
    seed.add_user("developer", "AKIA", "secret");
    let changes = seed.changes(account(), &empty(), NOW, &mut TestRandom::new(2));
    assert_eq!(changes.unwrap().len(), 2, "a principal and its access key");

    seed.add_user("developer", "AKIA", "other");
    let error = seed.changes(account(), &empty(), NOW, &mut TestRandom::new(2));
    assert_eq!(
        error.err().unwrap().to_string(),
        "users[1].access_key_id: occurs twice"
    );
}

#[test]
fn an_added_user_takes_its_access_key_over() {
    let added = |secret: &str| {
        let mut seed = Seed::default();
        seed.add_user("developer", "AKIA", secret);
        serde_json::to_string(&seed).unwrap()
    };
    let state = sown(&added("old"), empty());
    let state = sown(&added("new"), state);
    let key = state.access_key("AKIA").unwrap();
    assert_eq!(key.secret.expose(), "new");
    assert!(changes(&added("new"), &state).unwrap().is_empty());

    let other = added("new").replace(r#""name":"developer""#, r#""name":"other""#);
    let state = sown(&other, state);
    let owner = &state.access_key("AKIA").unwrap().principal;
    assert_eq!(**owner, *"arn:aws:iam::123456789012:user/other");
}

#[test]
fn random_material_is_not_compared() {
    let seed = r#"{"keys": [{"key_id": "1234abcd-12ab-34cd-56ef-1234567890ab"}]}"#;
    let state = sown(seed, empty());
    assert!(changes(seed, &state).unwrap().is_empty());
}

#[test]
fn conflicts_with_the_store() {
    let state = sown(example(), empty());
    let cases = [
        (
            r#"{"keys": [{"key_id": "1234abcd-12ab-34cd-56ef-1234567890ab",
                "key_material": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="}]}"#,
            "keys[0].key_material: is another in the store",
        ),
        (
            r#"{"users": [{"name": "bob", "account": "000000000000", "access_key_id": "test",
                "secret_access_key": "other"}]}"#,
            "users[0].secret_access_key: is another in the store",
        ),
        (
            r#"{"users": [{"name": "bob", "access_key_id": "test", "secret_access_key": "test"}]}"#,
            "users[0].access_key_id: belongs to another user in the store",
        ),
    ];
    for (seed, expected) in cases {
        let error = changes(seed, &state).err().unwrap().to_string();
        let advice = "; change the seed, or start with another store (an empty data folder)";
        assert_eq!(error, format!("{expected}{advice}"));
    }
}

#[test]
fn errors_say_where_and_quote_no_secret() {
    let key = |members: &str| {
        format!(r#"{{"keys": [{{"key_id": "1234abcd-12ab-34cd-56ef-1234567890ab"{members}}}]}}"#)
    };
    let user = |name: &str, id: &str, secret: &str| {
        format!(
            r#"{{"users": [{{"name": "{name}", "access_key_id": "{id}", "secret_access_key": "{secret}"}}]}}"#
        )
    };
    let twice = r#"{"keys": [{"key_id": "1234abcd-12ab-34cd-56ef-1234567890ab"},
        {"key_id": "1234abcd-12ab-34cd-56ef-1234567890ab", "account": "123456789012"}]}"#;
    let cases = [
        ("", "line 1, column 0: not JSON"),
        (r#"{"users": ["#, "line 1, column 11: not JSON"),
        (r#""hidden""#, "line 1, column 8: expected struct Seed"),
        (
            " []",
            "line 1, column 1: expected an object with `users`, `roles` and `keys`",
        ),
        (
            r#"{"user": []}"#,
            "line 1, column 7: unknown field `user`, expected one of `users`, `roles`, `keys`",
        ),
        (
            r#"{"users": [{"name": "a", "access_key_id": "A"}]}"#,
            "line 1, column 46: missing field `secret_access_key`",
        ),
        (
            r#"{"users": [{"name": "a", "access_key_id": "A", "secret_access_key": 4711}]}"#,
            "line 1, column 72: expected a string",
        ),
        (
            &user("", "A", "hidden"),
            "users[0].name: must be 1 to 64 letters, digits and _+=,.@-",
        ),
        (
            &user("a", "A/B", "hidden"),
            "users[0].access_key_id: must be 1 to 128 letters, digits, _ and -",
        ),
        (
            &user("a", "A", ""),
            "users[0].secret_access_key: must not be empty",
        ),
        (
            r#"{"users": [{"name": "a", "access_key_id": "A", "secret_access_key": "hidden",
                "policies": {"p": {"Version": "2012-10-17"}}}]}"#,
            "users[0].policies.p: is no identity policy: Syntax errors in policy.",
        ),
        (
            r#"{"users": [{"name": "a", "access_key_id": "A", "secret_access_key": "hidden",
                "policies": {"p q": "{}"}}]}"#,
            "users[0].policies.p q: must have a name of 1 to 128 letters, digits and _+=,.@-",
        ),
        (
            r#"{"roles": [{"name": "r", "trust_policy": "nonsense"}]}"#,
            "roles[0].trust_policy: is no trust policy: This policy contains invalid Json",
        ),
        (
            r#"{"roles": [{"name": "r", "trust_policy": "", "max_session_duration": 60}]}"#,
            "roles[0].max_session_duration: must be 3600 to 43200 seconds",
        ),
        (
            &key("").replace("1234abcd-", "1234ABCD-"),
            "keys[0].key_id: is not a key id",
        ),
        (
            &key(r#", "region": "mars""#),
            "keys[0].region: is not a region",
        ),
        (
            &key(r#", "account": "1""#),
            "keys[0].account: is not an account id of 12 digits",
        ),
        (
            &key(r#", "key_material": "aGlkZGVu""#),
            "keys[0].key_material: must be 32 bytes in base64",
        ),
        (
            &key(r#", "key_material": "hidden""#),
            "keys[0].key_material: must be 32 bytes in base64",
        ),
        (
            &key(&format!(r#", "key_material": "{}""#, "A".repeat(44))),
            "keys[0].key_material: must be 32 bytes in base64",
        ),
        (
            &key(r#", "aliases": ["alias/a", "app"]"#),
            "keys[0].aliases[1]: Alias must start with the prefix \"alias/\". Please see \
             https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        ),
        (
            &key(r#", "aliases": ["alias/aws/s3"]"#),
            "keys[0].aliases[0]: is reserved",
        ),
        (
            &key(r#", "aliases": ["alias/a", "alias/a"]"#),
            "keys[0].aliases[1]: occurs twice",
        ),
        (
            &key(r#", "tags": {"": "x"}"#),
            "keys[0].tags: must be at most 50, with keys of 1 to 128 characters and values of at most 256",
        ),
        (
            &key(&format!(r#", "description": "{}""#, "x".repeat(8193))),
            "keys[0].description: must have at most 8192 characters",
        ),
        (twice, "keys[1].key_id: occurs twice"),
    ];
    for (seed, expected) in cases {
        let error = changes(seed, &empty()).err().unwrap().to_string();
        assert_eq!(error, expected, "{seed}");
        assert!(!error.contains("hidden"), "{error}");
    }
}
