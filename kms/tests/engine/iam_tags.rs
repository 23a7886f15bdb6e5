//! Tags of users and roles, and what policies make of them.

use serde_json::json;

use crate::query::{text, texts};
use crate::server::{ACCOUNT, Client, Server};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}"#;

/// The parameters that are these tags.
fn tags(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    let numbered = (1..).zip(tags);
    numbered
        .flat_map(|(number, (key, value))| {
            [("Key", key), ("Value", value)]
                .map(|(name, text)| (format!("Tags.member.{number}.{name}"), (*text).to_owned()))
        })
        .collect()
}

/// Some parameters, and these.
fn with<'a>(
    parameters: &[(&'a str, &'a str)],
    more: &'a [(String, String)],
) -> Vec<(&'a str, &'a str)> {
    let more = more
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    parameters.iter().copied().chain(more).collect()
}

/// What a user or role is called by, and by what.
const OWNERS: [(&str, &str, &str); 2] =
    [("User", "UserName", "bob"), ("Role", "RoleName", "worker")];

fn put_policy(server: &mut Server, user: &str, statement: serde_json::Value) {
    let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let parameters = [
        ("UserName", user),
        ("PolicyName", "p"),
        ("PolicyDocument", policy.as_str()),
    ];
    server.iam("PutUserPolicy", &parameters).result();
}

#[test]
fn tags_are_put_listed_and_taken_away() {
    let mut server = Server::new();
    for (kind, parameter, name) in OWNERS {
        let owner = (parameter, name);
        let first = tags(&[("Team", "storage"), ("stage", "")]);
        let mut parameters = with(&[owner], &first);
        if kind == "Role" {
            parameters.push(("AssumeRolePolicyDocument", TRUST));
        }
        let made = server.iam(&format!("Create{kind}"), &parameters);
        let shown = "<member><Key>Team</Key><Value>storage</Value></member><member><Key>stage</Key><Value></Value></member>";
        assert_eq!(text(&made.result(), "Tags"), shown);
        assert_eq!(
            made.event["requestParameters"]["tags"],
            json!([{"key": "Team", "value": "storage"}, {"key": "stage", "value": ""}])
        );
        let found = server.iam(&format!("Get{kind}"), &[owner]).result();
        assert_eq!(text(&found, "Tags"), shown);
        let listed = server.iam(&format!("List{kind}s"), &[]).result();
        assert_eq!(texts(&listed, "Tags"), [""; 0]);

        // Case counts for what is kept, and not for which tag it is.
        let more = tags(&[("team", "kms"), ("a", "b")]);
        server
            .iam(&format!("Tag{kind}"), &with(&[owner], &more))
            .result();
        let list = format!("List{kind}Tags");
        let listed = server.iam(&list, &[owner]).result();
        assert_eq!(texts(&listed, "Key"), ["a", "stage", "team"]);
        assert_eq!(texts(&listed, "Value"), ["b", "", "kms"]);
        assert_eq!(text(&listed, "IsTruncated"), "false");
        let page = server.iam(&list, &[owner, ("MaxItems", "2")]).result();
        assert_eq!(texts(&page, "Key"), ["a", "stage"]);
        let marker = text(&page, "Marker");
        let rest = server.iam(&list, &[owner, ("Marker", &marker)]).result();
        assert_eq!(texts(&rest, "Key"), ["team"]);

        let taken = [
            owner,
            ("TagKeys.member.1", "A"),
            ("TagKeys.member.2", "stage"),
            ("TagKeys.member.3", "none"),
        ];
        let answer = server.iam(&format!("Untag{kind}"), &taken);
        answer.result();
        assert_eq!(
            answer.event["requestParameters"]["tagKeys"],
            json!(["A", "stage", "none"])
        );
        let listed = server.iam(&list, &[owner]).result();
        assert_eq!(texts(&listed, "Key"), ["team"]);
        server
            .iam(
                &format!("Untag{kind}"),
                &[owner, ("TagKeys.member.1", "team")],
            )
            .result();
        let found = server.iam(&format!("Get{kind}"), &[owner]).result();
        assert_eq!(texts(&found, "Tags"), [""; 0]);
        // That is how an empty list looks.
        server
            .iam(&format!("Tag{kind}"), &[owner, ("Tags", "")])
            .result();
        server.iam(&format!("Delete{kind}"), &[owner]).result();
        for action in ["Tag", "Untag", "List"] {
            let parameters = match action {
                "Tag" => with(&[owner], &more),
                "Untag" => vec![owner, ("TagKeys.member.1", "a")],
                _ => vec![owner],
            };
            let action = match action {
                "List" => list.clone(),
                action => format!("{action}{kind}"),
            };
            let message = format!(
                "The {} with name {name} cannot be found.",
                kind.to_lowercase()
            );
            server
                .iam(&action, &parameters)
                .expect_refusal(404, "NoSuchEntity", &message);
        }
    }
}

#[test]
fn tags_have_their_limits() {
    let mut server = Server::new();
    server.create_user("bob");
    let bob = [("UserName", "bob")];
    for (wrong, message) in [
        (
            tags(&[("Team", "a"), ("team", "b")]),
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
        ),
        (
            tags(&[("AWS:team", "a")]),
            "aws: prefixed tag key names are not allowed for external use.",
        ),
    ] {
        for (action, owner) in [("TagUser", "bob"), ("CreateUser", "new")] {
            server
                .iam(action, &with(&[("UserName", owner)], &wrong))
                .expect_refusal(400, "InvalidInput", message);
        }
    }
    let names: Vec<_> = (0..51).map(|number| format!("key{number}")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
    let too_many = tags(&all);
    server
        .iam("TagUser", &with(&bob, &too_many))
        .expect_refusal(
            400,
            "ValidationError",
            "1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50",
        );
    let most = tags(all.split_last().unwrap().1);
    server.iam("TagUser", &with(&bob, &most)).result();
    server.iam("TagUser", &with(&bob, &most)).result();
    let one_more = tags(&[("another", "v")]);
    server
        .iam("TagUser", &with(&bob, &one_more))
        .expect_refusal(
            409,
            "LimitExceeded",
            "The number of tags has reached the maximum limit.",
        );
    let (key, value) = ("k".repeat(128), "\u{e9}".repeat(256));
    let longest = tags(&[(&key, &value)]);
    let parameters = with(&[("UserName", "long")], &longest);
    let xml = server.iam("CreateUser", &parameters).result();
    assert_eq!(text(&xml, "Value"), value);
    for (key, value) in [("k".repeat(129), value.clone()), (key, format!("{value}x"))] {
        let longer = tags(&[(&key, &value)]);
        let answer = server.iam("TagUser", &with(&bob, &longer));
        let message = answer.event["errorMessage"].as_str().unwrap();
        assert!(message.contains("' at 'tags.1.member."), "{message}");
        assert!(message.contains("length less than or equal to"));
    }
}

#[test]
fn policies_ask_for_the_tags_of_a_request_and_of_whom_it_is_about() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    put_policy(
        &mut server,
        "bob",
        json!([
            {
                "Effect": "Allow",
                "Action": ["iam:CreateUser", "iam:TagUser"],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"aws:RequestTag/team": "storage"},
                    "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "stage"]},
                },
            },
            {
                "Effect": "Allow",
                "Action": "iam:UntagUser",
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"iam:ResourceTag/Team": "storage"},
                    "ForAnyValue:StringEquals": {"aws:TagKeys": "stage"},
                },
            },
            {
                "Effect": "Allow",
                "Action": "iam:DeleteUser",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:ResourceTag/team": "storage"}},
            },
        ]),
    );
    let good = tags(&[("team", "storage"), ("stage", "test")]);
    let new = [("UserName", "new")];
    for wrong in [
        vec![],
        tags(&[("team", "kms")]),
        tags(&[("team", "storage"), ("cost", "0")]),
    ] {
        let answer = server.iam_as(&bob, "CreateUser", &with(&new, &wrong));
        assert_eq!(answer.event["errorCode"], "AccessDenied", "{wrong:?}");
    }
    let answer = server.iam_as(&bob, "CreateUser", &with(&new, &good));
    answer.result();
    let authorization = &answer.event["additionalEventData"]["authorization"];
    for action in ["iam:CreateUser", "iam:TagUser"] {
        assert_eq!(
            authorization[action],
            "statement 0 of the identity policy p allows it"
        );
    }
    for (name, key, allowed) in [
        ("new", "team", false),
        ("new", "stage", true),
        ("bob", "stage", false),
    ] {
        let parameters = [("UserName", name), ("TagKeys.member.1", key)];
        let answer = server.iam_as(&bob, "UntagUser", &parameters);
        assert_eq!(answer.status == 200, allowed, "{name} {key}");
    }
    let answer = server.iam_as(&bob, "DeleteUser", &[("UserName", "alice")]);
    assert_eq!(answer.event["errorCode"], "AccessDenied");
    server.iam_as(&bob, "DeleteUser", &new).result();
}

#[test]
fn who_makes_somebody_with_tags_must_be_allowed_to_put_them() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    let statement = json!({"Effect": "Allow", "Action": "iam:Create*", "Resource": "*"});
    put_policy(&mut server, "bob", statement);
    server
        .iam_as(&bob, "CreateUser", &[("UserName", "plain")])
        .result();
    let some = tags(&[("team", "storage")]);
    for (kind, parameter, name) in [("User", "UserName", "new"), ("Role", "RoleName", "new")] {
        let mut parameters = with(&[(parameter, name)], &some);
        if kind == "Role" {
            parameters.push(("AssumeRolePolicyDocument", TRUST));
        }
        let answer = server.iam_as(&bob, &format!("Create{kind}"), &parameters);
        let resource = format!("arn:aws:iam::{ACCOUNT}:{}/new", kind.to_lowercase());
        answer.expect_refusal(
            403,
            "AccessDenied",
            &format!("User: arn:aws:iam::{ACCOUNT}:user/bob is not authorized to perform: iam:Tag{kind} on resource: {resource} because no identity-based policy allows the iam:Tag{kind} action"),
        );
    }
}

#[test]
fn a_key_opens_to_whom_its_policy_knows_by_tags() {
    let mut server = Server::new();
    let id = server.create_key();
    let bob = server.create_user("bob");
    let carol = server.create_user("carol");
    let role = server.create_role("worker", TRUST);
    let session = server.assume(&Client::of("alice"), &role, &[]);
    let root = server.add_root(ACCOUNT);
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"},
        {
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": "kms:Encrypt",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:PrincipalTag/Team": "storage"}},
        },
        {
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "kms:Encrypt",
            "Resource": "*",
            "Condition": {"StringNotEquals": {
                "kms:EncryptionContext:team": "${aws:PrincipalTag/team, 'none'}",
            }},
        },
    ]});
    let put = json!({"KeyId": id, "Policy": policy.to_string()});
    server.call("PutKeyPolicy", put).ok_empty();
    let mut tagged = tags(&[("team", "storage")]);
    for (action, owner) in [
        ("TagUser", ("UserName", "bob")),
        ("TagRole", ("RoleName", "worker")),
    ] {
        server.iam(action, &with(&[owner], &tagged)).result();
    }
    let encrypt = |server: &mut Server, client: &Client, team: &str| {
        let request =
            json!({"KeyId": id, "Plaintext": "eA==", "EncryptionContext": {"team": team}});
        server.call_as(client, "Encrypt", request).status == 200
    };
    // A session begun before has its role's tags as they are now.
    for (client, allowed) in [(&bob, true), (&session, true), (&carol, false)] {
        assert_eq!(encrypt(&mut server, client, "storage"), allowed);
        assert!(!encrypt(&mut server, client, "kms"));
    }
    assert!(encrypt(&mut server, &root, "none"));
    assert!(!encrypt(&mut server, &root, "storage"));
    tagged[1].1 = "kms".into();
    server
        .iam("TagUser", &with(&[("UserName", "bob")], &tagged))
        .result();
    assert!(!encrypt(&mut server, &bob, "storage"));
}

#[test]
fn who_may_assume_a_role_may_depend_on_tags() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    let statement = json!({
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
    });
    put_policy(&mut server, "bob", statement);
    let role = server.create_role("worker", TRUST);
    let parameters = [("RoleArn", role.as_str()), ("RoleSessionName", "s1")];
    let answer = server.sts_as(&bob, "AssumeRole", &parameters);
    assert_eq!(answer.event["errorCode"], "AccessDenied");
    let team = tags(&[("team", "storage")]);
    server
        .iam("TagUser", &with(&[("UserName", "bob")], &team))
        .result();
    let answer = server.sts_as(&bob, "AssumeRole", &parameters);
    assert_eq!(answer.event["errorCode"], "AccessDenied");
    server
        .iam("TagRole", &with(&[("RoleName", "worker")], &team))
        .result();
    server.assume(&bob, &role, &[]);
}
