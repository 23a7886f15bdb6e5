//! IAM: users, roles, access keys and inline policies, by calls alone.

use kms::KmsError;
use kms::iam::Action;
use kms::principal::Access;
use kms::sigv4::Service;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::query::{FORM, IAM, STS, form, text, texts};
use crate::server::{ACCOUNT, Client, START, Server, as_call, posted, sign_for};

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}"#;

#[test]
fn a_user_is_made_found_and_deleted() {
    let mut server = Server::new();
    let made = server.iam("CreateUser", &[("UserName", "bob"), ("Path", "/team/a/")]);
    let xml = made.result();
    assert!(xml.starts_with(
        "<CreateUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><CreateUserResult><User><Path>"
    ));
    assert_eq!(text(&xml, "Path"), "/team/a/");
    assert_eq!(text(&xml, "UserName"), "bob");
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/team/a/bob");
    assert_eq!(text(&xml, "Arn"), arn);
    assert_eq!(text(&xml, "CreateDate"), "2026-03-01T12:00:00Z");
    let id = text(&xml, "UserId");
    assert!(id.starts_with("AIDA") && id.len() == 21);

    let found = server.iam("GetUser", &[("UserName", "bob")]).result();
    assert_eq!(text(&found, "UserId"), id);
    assert_eq!(text(&found, "Arn"), arn);
    server.iam("DeleteUser", &[("UserName", "bob")]).result();
    server
        .iam("GetUser", &[("UserName", "bob")])
        .expect_refusal(
            404,
            "NoSuchEntity",
            "The user with name bob cannot be found.",
        );
    let again = server.iam("CreateUser", &[("UserName", "bob")]).result();
    assert_ne!(text(&again, "UserId"), id);
}

#[test]
fn names_are_unique_whatever_their_case_and_path() {
    let mut server = Server::new();
    server.iam("CreateUser", &[("UserName", "Bob")]).result();
    for (name, path) in [("Bob", "/"), ("bob", "/"), ("BOB", "/team/")] {
        server
            .iam("CreateUser", &[("UserName", name), ("Path", path)])
            .expect_refusal(
                409,
                "EntityAlreadyExists",
                &format!("User with name {name} already exists."),
            );
    }
    // A role is no user.
    server.create_role("Bob", TRUST);
    let parameters = [("RoleName", "bob"), ("AssumeRolePolicyDocument", TRUST)];
    server.iam("CreateRole", &parameters).expect_refusal(
        409,
        "EntityAlreadyExists",
        "Role with name bob already exists.",
    );
    server
        .iam("GetUser", &[("UserName", "bob")])
        .expect_refusal(
            404,
            "NoSuchEntity",
            "The user with name bob cannot be found.",
        );
}

#[test]
fn who_asks_for_nobody_gets_itself() {
    let mut server = Server::new();
    let xml = server.iam("GetUser", &[]).result();
    assert_eq!(text(&xml, "UserName"), "alice");
    let root = server.add_root(ACCOUNT);
    let xml = server.iam_as(&root, "GetUser", &[]).result();
    assert_eq!(text(&xml, "UserId"), ACCOUNT);
    assert_eq!(text(&xml, "Arn"), format!("arn:aws:iam::{ACCOUNT}:root"));
    assert_eq!(texts(&xml, "UserName"), [""; 0]);
}

#[test]
fn users_are_listed_in_pages() {
    let mut server = Server::new();
    for (name, path) in [
        ("Carol", "/"),
        ("bob", "/team/"),
        ("dave", "/team/a/"),
        ("erin", "/t/"),
    ] {
        server
            .iam("CreateUser", &[("UserName", name), ("Path", path)])
            .result();
    }
    server.create_role("a-role", TRUST);
    let other = {
        server.add_user("444455556666", "mallory", Access::Full);
        Client::of("mallory")
    };
    let all = server.iam("ListUsers", &[]).result();
    assert_eq!(
        texts(&all, "UserName"),
        ["alice", "bob", "Carol", "dave", "erin"]
    );
    assert_eq!(text(&all, "IsTruncated"), "false");
    assert_eq!(texts(&all, "Marker"), [""; 0]);
    let others = server.iam_as(&other, "ListUsers", &[]).result();
    assert_eq!(texts(&others, "UserName"), ["mallory"]);
    for (prefix, expected) in [
        ("/team/", vec!["bob", "dave"]),
        ("/t", vec!["bob", "dave", "erin"]),
    ] {
        let xml = server.iam("ListUsers", &[("PathPrefix", prefix)]).result();
        assert_eq!(texts(&xml, "UserName"), expected);
    }

    let mut names = Vec::new();
    let mut marker: Option<String> = None;
    let mut pages = 0;
    loop {
        let mut parameters = vec![("MaxItems", "2")];
        parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let xml = server.iam("ListUsers", &parameters).result();
        names.extend(texts(&xml, "UserName"));
        pages += 1;
        match text(&xml, "IsTruncated").as_str() {
            "true" => marker = Some(text(&xml, "Marker")),
            _ => break,
        }
    }
    assert_eq!(names, ["alice", "bob", "Carol", "dave", "erin"]);
    assert_eq!(pages, 3);
    let marker = marker.unwrap();
    for (action, marker, prefix) in [
        ("ListUsers", "nonsense", "/"),
        ("ListUsers", &marker, "/t"),
        ("ListRoles", &marker, "/"),
    ] {
        let parameters = [("Marker", marker), ("PathPrefix", prefix)];
        server
            .iam(action, &parameters)
            .expect_refusal(400, "ValidationError", "Invalid Marker.");
    }
}

#[test]
fn access_keys_sign_until_they_are_deactivated_or_deleted() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    assert!(bob.access_key_id.starts_with("AKIA") && bob.access_key_id.len() == 20);
    assert_eq!(bob.secret.len(), 40);
    let works = |server: &mut Server| {
        let answer = server.sts_as(&bob, "GetCallerIdentity", &[]);
        if answer.status != 200 {
            answer.expect_refusal(
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            );
        }
        answer.status == 200
    };
    assert!(works(&mut server));
    let id = bob.access_key_id.as_str();
    for (status, expected) in [("Inactive", false), ("Active", true)] {
        let parameters = [("UserName", "bob"), ("AccessKeyId", id), ("Status", status)];
        server.iam("UpdateAccessKey", &parameters).result();
        let listed = server
            .iam("ListAccessKeys", &[("UserName", "bob")])
            .result();
        assert_eq!(text(&listed, "Status"), status);
        assert_eq!(text(&listed, "AccessKeyId"), id);
        assert_eq!(works(&mut server), expected);
    }
    server
        .iam("DeleteUser", &[("UserName", "bob")])
        .expect_refusal(
            409,
            "DeleteConflict",
            "Cannot delete entity, must delete access keys first.",
        );
    let parameters = [("UserName", "bob"), ("AccessKeyId", id)];
    server.iam("DeleteAccessKey", &parameters).result();
    assert!(!works(&mut server));
    server.iam("DeleteUser", &[("UserName", "bob")]).result();
}

#[test]
fn a_user_has_two_access_keys_at_most_and_they_are_its_own() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    server
        .iam("CreateAccessKey", &[("UserName", "bob")])
        .result();
    server
        .iam("CreateAccessKey", &[("UserName", "bob")])
        .expect_refusal(
            409,
            "LimitExceeded",
            "Cannot exceed quota for AccessKeysPerUser: 2",
        );
    let listed = server.iam("ListAccessKeys", &[("UserName", "bob"), ("MaxItems", "1")]);
    let first = text(&listed.result(), "AccessKeyId");
    let marker = text(&listed.result(), "Marker");
    let rest = server
        .iam(
            "ListAccessKeys",
            &[("UserName", "bob"), ("Marker", &marker)],
        )
        .result();
    let second = text(&rest, "AccessKeyId");
    assert!(first < second);
    assert!([&first, &second].contains(&&bob.access_key_id));

    // Without a name it is the caller's own that is meant, which this one is not.
    for (user, id) in [
        (None, first.as_str()),
        (Some("bob"), "AKIAALICEALICEALICE0"),
    ] {
        let mut parameters = vec![("AccessKeyId", id)];
        parameters.extend(user.map(|user| ("UserName", user)));
        let message = format!("The Access Key with id {id} cannot be found.");
        server
            .iam("DeleteAccessKey", &parameters)
            .expect_refusal(404, "NoSuchEntity", &message);
    }
    let own = server.iam("CreateAccessKey", &[]).result();
    assert_eq!(text(&own, "UserName"), "alice");
}

#[test]
fn inline_policies_are_kept_as_they_were_given() {
    let mut server = Server::new();
    server.create_user("bob");
    server.create_role("worker", TRUST);
    for (kind, name) in [("User", "bob"), ("Role", "worker")] {
        let owner = format!("{kind}Name");
        let owner = (owner.as_str(), name);
        let put = format!("Put{kind}Policy");
        for policy in ["p2", "p1"] {
            let parameters = [owner, ("PolicyName", policy), ("PolicyDocument", POLICY)];
            server.iam(&put, &parameters).result();
        }
        let xml = server
            .iam(&format!("Get{kind}Policy"), &[owner, ("PolicyName", "p1")])
            .result();
        assert_eq!(text(&xml, "PolicyName"), "p1");
        assert_eq!(text(&xml, owner.0), name);
        let document = text(&xml, "PolicyDocument");
        assert!(
            document.starts_with("%7B%22Version%22%3A%222012-10-17%22%2C"),
            "{document}"
        );
        let decoded = percent_encoding::percent_decode_str(&document);
        assert_eq!(decoded.decode_utf8().unwrap(), POLICY);
        let list = format!("List{kind}Policies");
        let xml = server.iam(&list, &[owner]).result();
        assert_eq!(texts(&xml, "member"), ["p1", "p2"]);
        let xml = server.iam(&list, &[owner, ("MaxItems", "1")]).result();
        let marker = text(&xml, "Marker");
        let xml = server.iam(&list, &[owner, ("Marker", &marker)]).result();
        assert_eq!(texts(&xml, "member"), ["p2"]);

        server.pass(std::time::Duration::from_secs(1));
        let delete = format!("Delete{kind}Policy");
        server.iam(&delete, &[owner, ("PolicyName", "p1")]).result();
        let message = format!(
            "The {} policy with name p1 cannot be found.",
            kind.to_lowercase()
        );
        for action in [format!("Get{kind}Policy"), delete.clone()] {
            let answer = server.iam(&action, &[owner, ("PolicyName", "p1")]);
            answer.expect_refusal(404, "NoSuchEntity", &message);
        }
        if kind == "Role" {
            server.iam("DeleteRole", &[owner]).expect_refusal(
                409,
                "DeleteConflict",
                "Cannot delete entity, must delete policies first.",
            );
        }
        server.iam(&delete, &[owner, ("PolicyName", "p2")]).result();
    }
    server.iam("DeleteRole", &[("RoleName", "worker")]).result();
}

#[test]
fn a_user_with_a_policy_is_not_deleted() {
    let mut server = Server::new();
    server.iam("CreateUser", &[("UserName", "bob")]).result();
    let parameters = [
        ("UserName", "bob"),
        ("PolicyName", "p"),
        ("PolicyDocument", POLICY),
    ];
    server.iam("PutUserPolicy", &parameters).result();
    server
        .iam("DeleteUser", &[("UserName", "bob")])
        .expect_refusal(
            409,
            "DeleteConflict",
            "Cannot delete entity, must delete policies first.",
        );
}

#[test]
fn the_quota_of_policies_counts_all_of_them_without_white_space() {
    let mut server = Server::new();
    server.create_user("bob");
    server.create_role("worker", TRUST);
    let policy = |length: usize| {
        let bare = POLICY.replace(
            "kms:*",
            &format!("kms:{}*", "a".repeat(length - POLICY.len())),
        );
        assert_eq!(bare.len(), length);
        bare.replace(',', ", \n")
    };
    for (kind, name, most) in [("User", "bob", 2048), ("Role", "worker", 10_240)] {
        let owner = format!("{kind}Name");
        let put = |server: &mut Server, policy: &str, document: &str| {
            server.iam(
                &format!("Put{kind}Policy"),
                &[
                    (&owner, name),
                    ("PolicyName", policy),
                    ("PolicyDocument", document),
                ],
            )
        };
        put(&mut server, "p", &policy(most)).result();
        let message = format!(
            "Maximum policy size of {most} bytes exceeded for {} {name}",
            kind.to_lowercase()
        );
        put(&mut server, "q", POLICY).expect_refusal(409, "LimitExceeded", &message);
        put(&mut server, "p", &policy(most + 1)).expect_refusal(409, "LimitExceeded", &message);
        // One that takes its own place.
        put(&mut server, "p", &policy(most - POLICY.len())).result();
        put(&mut server, "q", POLICY).result();
    }
}

#[test]
fn what_is_no_policy_is_refused() {
    let mut server = Server::new();
    server.create_user("bob");
    for document in ["x", "[]", "{}", r#"{"Statement":"#] {
        let parameters = [
            ("UserName", "bob"),
            ("PolicyName", "p"),
            ("PolicyDocument", document),
        ];
        let answer = server.iam("PutUserPolicy", &parameters);
        assert_eq!(answer.status, 400, "{document}");
        assert_eq!(
            answer.event["errorCode"],
            "MalformedPolicyDocumentException"
        );
        let parameters = [("RoleName", "r"), ("AssumeRolePolicyDocument", document)];
        let answer = server.iam("CreateRole", &parameters);
        assert_eq!(
            answer.event["errorCode"],
            "MalformedPolicyDocumentException"
        );
    }
    let xml = server
        .iam("ListUserPolicies", &[("UserName", "bob")])
        .result();
    assert_eq!(texts(&xml, "member"), [""; 0]);
}

#[test]
fn a_role_is_made_found_changed_and_deleted() {
    let mut server = Server::new();
    let made = server
        .iam(
            "CreateRole",
            &[
                ("RoleName", "worker"),
                ("Path", "/team/"),
                ("AssumeRolePolicyDocument", TRUST),
                ("Description", "works & \"rests\""),
                ("MaxSessionDuration", "43200"),
            ],
        )
        .result();
    let found = server.iam("GetRole", &[("RoleName", "worker")]).result();
    let listed = server.iam("ListRoles", &[]).result();
    for xml in [&made, &found, &listed] {
        assert_eq!(text(xml, "RoleName"), "worker");
        assert_eq!(text(xml, "Path"), "/team/");
        assert_eq!(
            text(xml, "Arn"),
            format!("arn:aws:iam::{ACCOUNT}:role/team/worker")
        );
        assert!(text(xml, "RoleId").starts_with("AROA"));
        assert_eq!(text(xml, "Description"), "works & \"rests\"");
    }
    assert_eq!(texts(&made, "MaxSessionDuration"), [""; 0]);
    for xml in [&found, &listed] {
        assert_eq!(text(xml, "MaxSessionDuration"), "43200");
    }
    let other = TRUST.replace(":root", ":user/alice");
    let parameters = [("RoleName", "worker"), ("PolicyDocument", other.as_str())];
    server.iam("UpdateAssumeRolePolicy", &parameters).result();
    let found = server.iam("GetRole", &[("RoleName", "worker")]).result();
    assert!(text(&found, "AssumeRolePolicyDocument").contains("user%2Falice"));
    assert_eq!(text(&found, "RoleId"), text(&made, "RoleId"));
    server.iam("DeleteRole", &[("RoleName", "worker")]).result();
    for action in ["GetRole", "DeleteRole", "ListRolePolicies"] {
        server
            .iam(action, &[("RoleName", "worker")])
            .expect_refusal(
                404,
                "NoSuchEntity",
                "The role with name worker cannot be found.",
            );
    }
    let long = TRUST.replace(
        "\"Action\"",
        &format!("\"Sid\":\"{}\",\"Action\"", "a".repeat(2048)),
    );
    let parameters = [
        ("RoleName", "r"),
        ("AssumeRolePolicyDocument", long.as_str()),
    ];
    server.iam("CreateRole", &parameters).expect_refusal(
        409,
        "LimitExceeded",
        "Cannot exceed quota for ACLSizePerRole: 2048",
    );
}

#[test]
fn without_rights_nothing_is_done_and_nothing_is_told() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    server.create_role("worker", TRUST);
    let user = format!("arn:aws:iam::{ACCOUNT}:user/bob");
    let on_user = |name: &str| format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    let key = ("AccessKeyId", bob.access_key_id.as_str());
    for (action, parameters, resource) in [
        ("CreateUser", vec![("UserName", "new")], on_user("new")),
        ("GetUser", vec![("UserName", "alice")], on_user("alice")),
        ("GetUser", vec![("UserName", "nobody")], on_user("nobody")),
        ("GetUser", vec![], on_user("bob")),
        ("ListUsers", vec![], on_user("")),
        ("DeleteUser", vec![("UserName", "alice")], on_user("alice")),
        ("CreateAccessKey", vec![], on_user("bob")),
        (
            "CreateAccessKey",
            vec![("UserName", "alice")],
            on_user("alice"),
        ),
        ("DeleteAccessKey", vec![key], on_user("bob")),
        (
            "UpdateAccessKey",
            vec![key, ("Status", "Inactive")],
            on_user("bob"),
        ),
        (
            "ListAccessKeys",
            vec![("UserName", "alice")],
            on_user("alice"),
        ),
        (
            "PutUserPolicy",
            vec![
                ("UserName", "bob"),
                ("PolicyName", "p"),
                ("PolicyDocument", POLICY),
            ],
            on_user("bob"),
        ),
        (
            "PutRolePolicy",
            vec![
                ("RoleName", "worker"),
                ("PolicyName", "p"),
                ("PolicyDocument", POLICY),
            ],
            format!("arn:aws:iam::{ACCOUNT}:role/worker"),
        ),
        (
            "UpdateAssumeRolePolicy",
            vec![("RoleName", "worker"), ("PolicyDocument", TRUST)],
            format!("arn:aws:iam::{ACCOUNT}:role/worker"),
        ),
        (
            "CreateRole",
            vec![("RoleName", "mine"), ("AssumeRolePolicyDocument", TRUST)],
            format!("arn:aws:iam::{ACCOUNT}:role/mine"),
        ),
        ("ListRoles", vec![], format!("arn:aws:iam::{ACCOUNT}:role/")),
        (
            "DeleteRole",
            vec![("RoleName", "worker")],
            format!("arn:aws:iam::{ACCOUNT}:role/worker"),
        ),
    ] {
        let answer = server.iam_as(&bob, action, &parameters);
        answer.expect_refusal(
            403,
            "AccessDenied",
            &format!(
                "User: {user} is not authorized to perform: iam:{action} on resource: {resource} because no identity-based policy allows the iam:{action} action"
            ),
        );
    }
}

#[test]
fn other_accounts_are_out_of_reach() {
    let mut server = Server::new();
    server.create_user("bob");
    server.add_user("444455556666", "mallory", Access::Full);
    let mallory = Client::of("mallory");
    let found = server.iam_as(&mallory, "GetUser", &[("UserName", "bob")]);
    found.expect_refusal(
        404,
        "NoSuchEntity",
        "The user with name bob cannot be found.",
    );
}

#[test]
fn parameters_are_checked_in_the_words_of_iam() {
    let mut server = Server::new();
    let long = "a".repeat(65);
    for (action, parameters, message) in [
        (
            "CreateUser",
            vec![],
            "1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            "CreateUser",
            vec![("UserName", long.as_str())],
            format!("1 validation error detected: Value '{long}' at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64"),
        ),
        (
            "CreateUser",
            vec![("UserName", "a b")],
            "The specified value for userName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-".to_owned(),
        ),
        (
            "CreateUser",
            vec![("UserName", "b\u{fc}rger")],
            "The specified value for userName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-".to_owned(),
        ),
        (
            "PutUserPolicy",
            vec![("UserName", "bob")],
            "2 validation errors detected: Value null at 'policyName' failed to satisfy constraint: Member must not be null; Value null at 'policyDocument' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            "ListUsers",
            vec![("MaxItems", "1001")],
            "1 validation error detected: Value '1001' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 1000".to_owned(),
        ),
        (
            "CreateRole",
            vec![("RoleName", "r"), ("AssumeRolePolicyDocument", TRUST), ("MaxSessionDuration", "3599")],
            "1 validation error detected: Value '3599' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600".to_owned(),
        ),
        (
            "UpdateAccessKey",
            vec![("AccessKeyId", "AKIAAAAAAAAAAAAAAAAA"), ("Status", "On")],
            "1 validation error detected: Value 'On' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]".to_owned(),
        ),
        (
            "GetAccessKeyLastUsed",
            vec![("AccessKeyId", "a-b")],
            "2 validation errors detected: Value 'a-b' at 'accessKeyId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w]+; Value 'a-b' at 'accessKeyId' failed to satisfy constraint: Member must have length greater than or equal to 16".to_owned(),
        ),
        (
            "GetAccessKeyLastUsed",
            vec![("AccessKeyId", "")],
            "2 validation errors detected: Value '' at 'accessKeyId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w]+; Value '' at 'accessKeyId' failed to satisfy constraint: Member must have length greater than or equal to 16".to_owned(),
        ),
        (
            "ListAttachedUserPolicies",
            vec![("UserName", "bob"), ("PathPrefix", "/a//b/")],
            "1 validation error detected: Value '/a//b/' at 'pathPrefix' failed to satisfy constraint: Member must satisfy regular expression pattern: ((/[A-Za-z0-9\\.,\\+@=_-]+)*)/".to_owned(),
        ),
        (
            "TagUser",
            vec![("UserName", "bob"), ("Tags.member.1.Key", "a#"), ("Tags.member.2.Value", "\u{e9} 1\u{a0}_.:/=+-@")],
            "3 validation errors detected: Value 'a#' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+; Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null; Value null at 'tags.2.member.key' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            "UntagUser",
            vec![("UserName", "bob"), ("TagKeys.member.1", "a"), ("TagKeys.member.2", "")],
            "1 validation error detected: Value '[a, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+]".to_owned(),
        ),
        (
            "TagRole",
            vec![("RoleName", "r")],
            "1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
    ] {
        server
            .iam(action, &parameters)
            .expect_refusal(400, "ValidationError", &message);
    }
    for path in ["", "team", "/team", "team/", "//\u{fc}/"] {
        let answer = server.iam("CreateUser", &[("UserName", "bob"), ("Path", path)]);
        assert_eq!(answer.event["errorCode"], "ValidationException", "{path}");
    }
}

#[test]
fn what_is_not_supported_is_refused_and_not_ignored() {
    let mut server = Server::new();
    for (name, value) in [
        (
            "PermissionsBoundary",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
        ),
        ("Tags.member.2.Key", "team"),
        ("NoSuchParameter", "x"),
    ] {
        server
            .iam("CreateUser", &[("UserName", "bob"), (name, value)])
            .expect_refusal(
                400,
                "InvalidInput",
                &format!("This server does not support the parameter {name}."),
            );
    }
    server
        .iam("CreateGroup", &[("GroupName", "g")])
        .expect_refusal(
            400,
            "InvalidAction",
            "Could not find operation CreateGroup for version 2010-05-08",
        );
    let alice = Client::of("alice");
    server
        .query("iam", "2009-01-01", &alice, "CreateUser", &[])
        .expect_refusal(
            400,
            "InvalidAction",
            "Could not find operation CreateUser for version 2009-01-01",
        );
    let answer = server.iam("CreateUser", &[("UserName", "bob"), ("UserName", "eve")]);
    answer.expect_refusal(400, "MalformedInput", "A parameter occurs more than once.");
}

#[test]
fn who_calls_is_proven_for_this_service_and_body() {
    let mut server = Server::new();
    let alice = Client::of("alice");
    let parameters = [("UserName", "bob")];
    server
        .query("kms", IAM, &alice, "CreateUser", &parameters)
        .expect_refusal(
            403,
            "SignatureDoesNotMatch",
            "Credential should be scoped to correct service: 'iam'.",
        );
    let mut request = posted(FORM, form(IAM, "CreateUser", &parameters).as_bytes());
    server.send(&request).expect_refusal(
        403,
        "MissingAuthenticationToken",
        "Request is missing Authentication Token",
    );
    request = sign_for("iam", &alice, request, START);
    *request.body_mut() = form(IAM, "CreateUser", &[("UserName", "eve")]).into_bytes();
    let answer = server.send(&request);
    assert_eq!(answer.event["errorCode"], "SignatureDoesNotMatch");
    assert_eq!(answer.status, 403);
    // A KMS call that is a form is none, and a form with a target is none of IAM.
    request
        .headers_mut()
        .insert("x-amz-target", "TrentService.ListKeys".parse().unwrap());
    let answer = server.send(&request);
    assert_eq!(answer.error().0, "UnknownOperationException");
}

#[test]
fn a_change_that_could_not_be_stored_is_a_fault_of_ours() {
    let mut server = Server::new();
    let alice = Client::of("alice");
    let request = posted(
        FORM,
        form(IAM, "CreateUser", &[("UserName", "bob")]).as_bytes(),
    );
    let request = sign_for("iam", &alice, request, START);
    let call = as_call(&request);
    let error = KmsError::DependencyTimeout("The record store did not answer.".into());
    let refused = server
        .engine
        .refuse(&call, &error, START, &mut server.random);
    let kms::engine::Step::Commit(_, reply) =
        server
            .engine
            .step(&server.state, &call, START, &mut server.random)
    else {
        panic!("a change");
    };
    for reply in [refused, reply.fail(&error)] {
        let answer = server.note(reply);
        let xml = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 500);
        assert_eq!(text(&xml, "Type"), "Receiver");
        assert_eq!(text(&xml, "Code"), "ServiceFailure");
        assert_eq!(answer.event["eventName"], "CreateUser");
        assert_eq!(answer.event["responseElements"], Value::Null);
    }
}

#[test]
fn the_audit_trail_tells_what_was_made_and_no_secret() {
    let mut server = Server::new();
    let answer = server.iam("CreateUser", &[("UserName", "bob")]);
    assert_eq!(
        answer.event["responseElements"],
        json!({"user": {
            "path": "/",
            "arn": format!("arn:aws:iam::{ACCOUNT}:user/bob"),
            "userId": text(&answer.result(), "UserId"),
            "createDate": "Mar 1, 2026, 12:00:00 PM",
            "userName": "bob",
        }})
    );
    for (member, expected) in [
        ("eventSource", json!("iam.amazonaws.com")),
        ("eventName", json!("CreateUser")),
        ("awsRegion", json!("us-east-1")),
        ("readOnly", json!(false)),
        ("requestParameters", json!({"userName": "bob"})),
        (
            "additionalEventData",
            json!({"authorization": {"iam:CreateUser": "statement 0 of the identity policy AdministratorAccess allows it"}}),
        ),
    ] {
        assert_eq!(answer.event[member], expected, "{member}");
    }
    let answer = server.iam("CreateAccessKey", &[("UserName", "bob")]);
    let xml = answer.result();
    assert_eq!(
        answer.event["responseElements"],
        json!({"accessKey": {
            "accessKeyId": text(&xml, "AccessKeyId"),
            "status": "Active",
            "userName": "bob",
            "createDate": "Mar 1, 2026, 12:00:00 PM",
        }})
    );
    let secret = text(&xml, "SecretAccessKey");
    assert!(server.events.iter().all(|line| !line.contains(&secret)));
    let parameters = [
        ("UserName", "bob"),
        ("PolicyName", "p"),
        ("PolicyDocument", POLICY),
    ];
    let answer = server.iam("PutUserPolicy", &parameters);
    assert_eq!(
        answer.event["requestParameters"],
        json!({"userName": "bob", "policyName": "p", "policyDocument": POLICY})
    );
    assert_eq!(answer.event["responseElements"], Value::Null);
}

#[test]
fn policies_say_who_may_manage_whom() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["iam:CreateUser", "iam:GetUser"],
                "Resource": format!("arn:aws:iam::{ACCOUNT}:user/team/*"),
            },
            {
                "Effect": "Allow",
                "Action": "iam:*AccessKey*",
                "Resource": format!("arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"),
            },
            {"Effect": "Deny", "Action": "iam:DeleteAccessKey", "Resource": "*"},
        ],
    });
    let parameters = [
        ("UserName", "bob"),
        ("PolicyName", "manage"),
        ("PolicyDocument", &policy.to_string()),
    ];
    server.iam("PutUserPolicy", &parameters).result();
    let made = [("UserName", "carol"), ("Path", "/team/")];
    let answer = server.iam_as(&bob, "CreateUser", &made);
    answer.result();
    assert_eq!(
        answer.event["additionalEventData"]["authorization"]["iam:CreateUser"],
        "statement 0 of the identity policy manage allows it"
    );
    // Found by its name, carol is where she is: under the path.
    server
        .iam_as(&bob, "GetUser", &[("UserName", "carol")])
        .result();
    server.iam_as(&bob, "CreateAccessKey", &[]).result();
    for (action, parameters) in [
        ("CreateUser", vec![("UserName", "dave")]),
        ("GetUser", vec![("UserName", "alice")]),
        ("CreateAccessKey", vec![("UserName", "carol")]),
        ("DeleteUser", vec![("UserName", "carol")]),
    ] {
        let answer = server.iam_as(&bob, action, &parameters);
        assert_eq!(answer.status, 403, "{action}");
        let message = answer.event["errorMessage"].as_str().unwrap();
        assert!(message.ends_with(&format!(
            "because no identity-based policy allows the iam:{action} action"
        )));
    }
    let own = [("AccessKeyId", bob.access_key_id.as_str())];
    server
        .iam_as(&bob, "DeleteAccessKey", &own)
        .expect_refusal(
            403,
            "AccessDenied",
            &format!(
                "User: arn:aws:iam::{ACCOUNT}:user/bob is not authorized to perform: iam:DeleteAccessKey on resource: arn:aws:iam::{ACCOUNT}:user/bob with an explicit deny in an identity-based policy"
            ),
        );
    // A policy that is gone allows nothing.
    let parameters = [("UserName", "bob"), ("PolicyName", "manage")];
    server.iam("DeleteUserPolicy", &parameters).result();
    let answer = server.iam_as(&bob, "GetUser", &[("UserName", "carol")]);
    assert_eq!(answer.status, 403);
}

#[test]
fn an_inline_policy_opens_keys() {
    let mut server = Server::new();
    let id = server.create_key();
    let bob = server.create_user("bob");
    let encrypt = json!({"KeyId": id, "Plaintext": "eA=="});
    let answer = server.call_as(&bob, "Encrypt", encrypt.clone());
    assert_eq!(answer.error().0, "AccessDeniedException");
    let policy = POLICY.replace("kms:*", "kms:Encrypt");
    let parameters = [
        ("UserName", "bob"),
        ("PolicyName", "p"),
        ("PolicyDocument", policy.as_str()),
    ];
    server.iam("PutUserPolicy", &parameters).result();
    let blob = server.call_as(&bob, "Encrypt", encrypt).ok()["CiphertextBlob"].clone();
    let answer = server.call_as(&bob, "Decrypt", json!({"CiphertextBlob": blob}));
    assert_eq!(answer.error().0, "AccessDeniedException");
}

#[test]
fn only_who_exists_can_be_trusted() {
    let mut server = Server::new();
    server.create_role("worker", TRUST);
    server.create_user("Bob");
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role");
    for (principal, exists) in [
        (format!("arn:aws:iam::{ACCOUNT}:user/Bob"), true),
        (format!("arn:aws:iam::{ACCOUNT}:role/worker"), true),
        (format!("{session}/worker/any"), true),
        ("arn:aws:iam::444455556666:root".to_owned(), true),
        (format!("arn:aws:iam::{ACCOUNT}:user/bob"), false),
        (format!("arn:aws:iam::{ACCOUNT}:user/team/Bob"), false),
        (format!("arn:aws:iam::{ACCOUNT}:role/Bob"), false),
        ("arn:aws:iam::444455556666:user/Bob".to_owned(), false),
        (format!("{session}/Worker/any"), false),
        (format!("{session}/other/any"), false),
    ] {
        let trust = TRUST.replace("arn:aws:iam::111122223333:root", &principal);
        let parameters = [("RoleName", "worker"), ("PolicyDocument", trust.as_str())];
        let answer = server.iam("UpdateAssumeRolePolicy", &parameters);
        if exists {
            answer.result();
        } else {
            let message = format!("Invalid principal in policy: \"AWS\":\"{principal}\"");
            answer.expect_refusal(400, "MalformedPolicyDocument", &message);
        }
    }
}

/// What tools ask for whatever they do, because at AWS a user or a role may have it.
#[test]
fn of_what_there_is_not_the_list_is_empty() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    server.create_role("worker", TRUST);
    let user = format!("arn:aws:iam::{ACCOUNT}:user/bob");
    for (action, owner, list) in [
        ("ListGroupsForUser", "UserName", "Groups"),
        ("ListAttachedUserPolicies", "UserName", "AttachedPolicies"),
        ("ListSSHPublicKeys", "UserName", "SSHPublicKeys"),
        ("ListMFADevices", "UserName", "MFADevices"),
        ("ListSigningCertificates", "UserName", "Certificates"),
        (
            "ListServiceSpecificCredentials",
            "UserName",
            "ServiceSpecificCredentials",
        ),
        ("ListAttachedRolePolicies", "RoleName", "AttachedPolicies"),
        (
            "ListInstanceProfilesForRole",
            "RoleName",
            "InstanceProfiles",
        ),
        ("ListVirtualMFADevices", "", "VirtualMFADevices"),
    ] {
        let (kind, name) = match owner {
            "RoleName" => ("role", "worker"),
            _ => ("user", "bob"),
        };
        let parameters: Vec<_> = [(owner, name)]
            .into_iter()
            .filter(|p| !p.0.is_empty())
            .collect();
        let answer = server.iam(action, &parameters);
        let xml = answer.result();
        assert_eq!(text(&xml, list), "", "{action}");
        assert_eq!(text(&xml, "IsTruncated"), "false");
        assert_eq!(answer.event["readOnly"], true);
        let marked = [&parameters[..], &[("Marker", "nonsense")]].concat();
        server
            .iam(action, &marked)
            .expect_refusal(400, "ValidationError", "Invalid Marker.");
        let resource = match owner {
            "" => format!("arn:aws:iam::{ACCOUNT}:mfa/"),
            _ => format!("arn:aws:iam::{ACCOUNT}:{kind}/{name}"),
        };
        let refused = format!(
            "User: {user} is not authorized to perform: iam:{action} on resource: {resource} because no identity-based policy allows the iam:{action} action"
        );
        let answer = server.iam_as(&bob, action, &parameters);
        answer.expect_refusal(403, "AccessDenied", &refused);
        if !owner.is_empty() {
            let message = format!("The {kind} with name nobody cannot be found.");
            let answer = server.iam(action, &[(owner, "nobody")]);
            answer.expect_refusal(404, "NoSuchEntity", &message);
        }
    }
    server.iam("ListMFADevices", &[]).result();
}

#[test]
fn nobody_has_a_password() {
    let mut server = Server::new();
    server.create_user("bob");
    for action in ["GetLoginProfile", "DeleteLoginProfile"] {
        for (parameters, name) in [(vec![("UserName", "bob")], "bob"), (vec![], "alice")] {
            let message = format!("Login Profile for User {name} cannot be found.");
            let answer = server.iam(action, &parameters);
            answer.expect_refusal(404, "NoSuchEntity", &message);
        }
        server.iam(action, &[("UserName", "eve")]).expect_refusal(
            404,
            "NoSuchEntity",
            "The user with name eve cannot be found.",
        );
    }
}

#[test]
fn when_an_access_key_was_used_is_not_known() {
    let mut server = Server::new();
    let bob = server.create_user("bob");
    server.add_user("444455556666", "mallory-of-another-account", Access::Full);
    let id = bob.access_key_id.as_str();
    let xml = server
        .iam("GetAccessKeyLastUsed", &[("AccessKeyId", id)])
        .result();
    assert_eq!(text(&xml, "UserName"), "bob");
    assert_eq!(
        text(&xml, "AccessKeyLastUsed"),
        "<Region>N/A</Region><ServiceName>N/A</ServiceName>"
    );
    let mallory = Client::of("mallory-of-another-account");
    for (client, id, name) in [
        (Client::of("alice"), "AKIAAAAAAAAAAAAAAAAA", "alice"),
        (bob.clone(), "AKIAAAAAAAAAAAAAAAAA", "bob"),
    ] {
        server
            .iam_as(&client, "GetAccessKeyLastUsed", &[("AccessKeyId", id)])
            .expect_refusal(
                403,
                "AccessDenied",
                &format!("User: arn:aws:iam::{ACCOUNT}:user/{name} is not authorized to perform iam:GetAccessKeyLastUsed on resource: access key {id}"),
            );
    }
    for client in [bob.clone(), mallory] {
        let answer = server.iam_as(&client, "GetAccessKeyLastUsed", &[("AccessKeyId", id)]);
        assert_eq!(answer.event["errorCode"], "AccessDenied");
    }
}

#[test]
fn a_role_is_updated() {
    let mut server = Server::new();
    server.create_role("worker", TRUST);
    let role = ("RoleName", "worker");
    let state = |server: &mut Server| {
        let xml = server.iam("GetRole", &[role]).result();
        let description = texts(&xml, "Description").pop();
        (description, text(&xml, "MaxSessionDuration"))
    };
    let xml = server
        .iam(
            "UpdateRole",
            &[
                role,
                ("Description", "works"),
                ("MaxSessionDuration", "7200"),
            ],
        )
        .result();
    assert!(
        xml.contains("<UpdateRoleResult></UpdateRoleResult>"),
        "{xml}"
    );
    assert_eq!(state(&mut server), (Some("works".into()), "7200".into()));
    let xml = server
        .iam("UpdateRoleDescription", &[role, ("Description", "rests")])
        .result();
    assert_eq!(text(&xml, "Description"), "rests");
    assert_eq!(text(&xml, "RoleName"), "worker");
    assert_eq!(state(&mut server), (Some("rests".into()), "7200".into()));
    server.iam("UpdateRole", &[role]).result();
    assert_eq!(state(&mut server), (Some("rests".into()), "3600".into()));
    let bob = server.create_user("bob");
    for action in ["UpdateRole", "UpdateRoleDescription"] {
        let parameters = [role, ("Description", "x")];
        let answer = server.iam_as(&bob, action, &parameters);
        assert_eq!(answer.event["errorCode"], "AccessDenied");
        server
            .iam(action, &[("RoleName", "other"), ("Description", "x")])
            .expect_refusal(
                404,
                "NoSuchEntity",
                "The role with name other cannot be found.",
            );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is posted as a form, it is answered in XML, and what is wrong is the caller's.
    #[test]
    fn no_form_makes_it_fail(
        action in select(Action::ALL),
        names in vec(select(PARAMETERS), 0..5),
        values in vec("\\PC{0,20}|[a-z]{1,20}|[0-9]{1,6}|\\{\"Statement\":\\[\\]\\}", 5),
        garbage in vec(any::<u8>(), 0..20),
    ) {
        let mut server = Server::new();
        let parameters: Vec<_> = names.iter().copied().zip(values.iter().map(String::as_str)).collect();
        let version = if action.service() == Service::Sts { STS } else { IAM };
        let mut body = form(version, action.as_str(), &parameters).into_bytes();
        if !garbage.is_empty() {
            body.push(b'&');
            body.extend_from_slice(&garbage);
        }
        let service = action.service().name();
        let request = sign_for(service, &Client::of("alice"), posted(FORM, &body), START);
        let answer = server.send(&request);
        prop_assert!((200..500).contains(&answer.status), "{}", answer.status);
        let xml = String::from_utf8(answer.body).unwrap();
        prop_assert_eq!(text(&xml, "RequestId"), answer.request_id);
        let allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\u{7f}'..='\u{9f}');
        prop_assert!(xml.chars().all(allowed));
    }
}

/// Parameters that some action has.
const PARAMETERS: &[&str] = &[
    "UserName",
    "RoleName",
    "PolicyName",
    "PolicyDocument",
    "AssumeRolePolicyDocument",
    "Path",
    "PathPrefix",
    "Marker",
    "MaxItems",
    "AccessKeyId",
    "Status",
    "RoleArn",
    "RoleSessionName",
    "DurationSeconds",
    "Policy",
    "Description",
    "Tags",
    "Tags.member.1.Key",
    "Tags.member.1.Value",
    "TagKeys.member.1",
];
