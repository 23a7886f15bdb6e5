//! Tags and descriptions: TagResource, UntagResource, ListResourceTags, UpdateKeyDescription.

use serde_json::{Value, json};

use crate::server::{Server, key_arn};

fn tag(key: &str, value: &str) -> Value {
    json!({"TagKey": key, "TagValue": value})
}

/// All tags of a key, asked for in one page.
fn tags_of(server: &mut Server, id: &str) -> Value {
    let answer = server.call("ListResourceTags", json!({"KeyId": id})).ok();
    assert_eq!(answer["Truncated"], false);
    assert_eq!(answer.get("NextMarker"), None);
    answer["Tags"].clone()
}

#[test]
fn tags_are_put_replaced_taken_away_and_listed_by_key() {
    let mut server = Server::new();
    let other = server.create_key();
    let request = json!({"Tags": [tag("b", "1"), tag("a", "")]});
    let created = server.call("CreateKey", request).ok();
    let id = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    assert_eq!(
        tags_of(&mut server, &id),
        json!([tag("a", ""), tag("b", "1")])
    );

    let request = json!({"KeyId": id, "Tags": [tag("c", "3"), tag("b", "2"), tag("B", "x")]});
    let answer = server.call("TagResource", request.clone());
    answer.ok_empty();
    assert_eq!(
        answer.event["responseElements"],
        json!({"keyId": key_arn(&id)})
    );
    assert_eq!(
        answer.event["requestParameters"],
        json!({"keyId": id, "tags": [
            {"tagKey": "c", "tagValue": "3"},
            {"tagKey": "b", "tagValue": "2"},
            {"tagKey": "B", "tagValue": "x"},
        ]})
    );
    let all = json!([tag("B", "x"), tag("a", ""), tag("b", "2"), tag("c", "3")]);
    assert_eq!(tags_of(&mut server, &id), all);

    let request = json!({"KeyId": key_arn(&id), "TagKeys": ["a", "missing", "B", "a"]});
    let answer = server.call("UntagResource", request);
    answer.ok_empty();
    assert_eq!(
        answer.event["requestParameters"]["tagKeys"],
        json!(["a", "missing", "B", "a"])
    );
    assert_eq!(
        tags_of(&mut server, &id),
        json!([tag("b", "2"), tag("c", "3")])
    );
    assert_eq!(tags_of(&mut server, &other), json!([]));
}

#[test]
fn a_tag_that_aws_would_refuse_changes_nothing() {
    let mut server = Server::new();
    let id = server.create_key();
    let numbered = |range: std::ops::Range<u32>| -> Vec<Value> {
        range.map(|n| tag(&n.to_string(), "")).collect()
    };
    let request = json!({"KeyId": id, "Tags": numbered(0..49)});
    server.call("TagResource", request).ok_empty();
    let before = tags_of(&mut server, &id);
    for (tags, message) in [
        (vec![tag("x", "1"), tag("x", "2")], "Duplicate tag keys"),
        (vec![tag("x", ""), tag("y", "")], "Too many tags"),
        (numbered(0..51), "Too many tags"),
        (
            vec![tag("x", ""), tag("AWS:x", "")],
            "Tags beginning with aws: are reserved",
        ),
    ] {
        let request = json!({"KeyId": id, "Tags": tags});
        server
            .call("TagResource", request)
            .expect_error("TagException", message);
    }
    let request = json!({"KeyId": id, "TagKeys": ["0", "aws:x"]});
    server
        .call("UntagResource", request)
        .expect_error("TagException", "Tags beginning with aws: are reserved");
    assert_eq!(tags_of(&mut server, &id), before);
    // The fiftieth fits, and so does another value for one that is there.
    let request = json!({"KeyId": id, "Tags": [tag("x", ""), tag("0", "new")]});
    server.call("TagResource", request).ok_empty();
    assert_eq!(tags_of(&mut server, &id).as_array().unwrap().len(), 50);
}

#[test]
fn tags_come_in_pages_of_at_most_fifty() {
    let mut server = Server::new();
    let id = server.create_key();
    let keys: Vec<String> = (10..60).map(|n| format!("key {n}")).collect();
    let tags: Vec<Value> = keys.iter().map(|key| tag(key, "v")).collect();
    let request = json!({"KeyId": id, "Tags": tags});
    server.call("TagResource", request).ok_empty();
    assert_eq!(tags_of(&mut server, &id), json!(tags));

    let mut listed = Vec::new();
    let mut request = json!({"KeyId": id, "Limit": 20});
    for (length, more) in [(20, true), (20, true), (10, false)] {
        let page = server.call("ListResourceTags", request.clone()).ok();
        assert_eq!(page["Truncated"], more);
        assert_eq!(page.get("NextMarker").is_some(), more);
        assert_eq!(page["Tags"].as_array().unwrap().len(), length);
        listed.extend(page["Tags"].as_array().unwrap().clone());
        request["Marker"] = page["NextMarker"].clone();
    }
    assert_eq!(listed, tags);

    server
        .call("ListResourceTags", json!({"KeyId": id, "Limit": 51}))
        .expect_error(
            "ValidationException",
            "1 validation error detected: Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50",
        );
    // A marker of another key's list.
    let other = server.create_key();
    let page = server
        .call("ListResourceTags", json!({"KeyId": id, "Limit": 1}))
        .ok();
    let request = json!({"KeyId": other, "Marker": page["NextMarker"]});
    let (code, _) = server.call("ListResourceTags", request).error();
    assert_eq!(code, "InvalidMarkerException");
}

#[test]
fn a_description_is_replaced() {
    let mut server = Server::new();
    let id = server.create_key();
    let describe = |server: &mut Server| {
        let answer = server.call("DescribeKey", json!({"KeyId": id})).ok();
        answer["KeyMetadata"]["Description"].clone()
    };
    for description in ["what it is for", "", "é🔑"] {
        let request = json!({"KeyId": id, "Description": description});
        let answer = server.call("UpdateKeyDescription", request.clone());
        answer.ok_empty();
        assert_eq!(
            answer.event["requestParameters"],
            json!({"keyId": id, "description": description})
        );
        assert_eq!(describe(&mut server), description);
    }
    server
        .call("UpdateKeyDescription", json!({"KeyId": id}))
        .expect_error(
            "ValidationException",
            "1 validation error detected: Value null at 'description' failed to satisfy constraint: Member must not be null",
        );
}

#[test]
fn a_key_that_waits_for_its_deletion_is_not_written_on() {
    let mut server = Server::new();
    let id = server.create_key();
    let request = json!({"KeyId": id, "Tags": [tag("a", "1")]});
    server.call("TagResource", request).ok_empty();
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    let writes = [
        ("TagResource", json!({"KeyId": id, "Tags": [tag("a", "2")]})),
        ("UntagResource", json!({"KeyId": id, "TagKeys": ["b"]})),
        (
            "UpdateKeyDescription",
            json!({"KeyId": id, "Description": "d"}),
        ),
    ];
    for (operation, request) in &writes {
        server.call(operation, request.clone()).ok_empty();
    }
    server
        .call("ScheduleKeyDeletion", json!({"KeyId": id}))
        .ok();
    for (operation, request) in &writes {
        server.call(operation, request.clone()).expect_error(
            "KMSInvalidStateException",
            &format!("{} is pending deletion.", key_arn(&id)),
        );
    }
    assert_eq!(tags_of(&mut server, &id), json!([tag("a", "2")]));
}

#[test]
fn a_key_is_not_managed_by_its_alias() {
    let mut server = Server::new();
    let id = server.create_key();
    let request = json!({"AliasName": "alias/a", "TargetKeyId": id});
    server.call("CreateAlias", request).ok_empty();
    for (operation, members) in [
        ("TagResource", json!({"Tags": [tag("a", "")]})),
        ("UntagResource", json!({"TagKeys": ["a"]})),
        ("ListResourceTags", json!({})),
        ("UpdateKeyDescription", json!({"Description": ""})),
    ] {
        let mut request = members.clone();
        request["KeyId"] = "alias/a".into();
        server.call(operation, request).expect_error(
            "InvalidArnException",
            "Key Aliases are not supported for this operation.",
        );
    }
}
