//! Keys whose waiting period is over are deleted for good.

use std::time::Duration;

use kms::expiry::settle;
use kms::state::Batch;
use serde_json::{Value, json};

use crate::server::{ACCOUNT, REGION, Server, key_arn};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Does what is due, and returns the events.
pub(crate) fn expire(server: &mut Server, most: usize) -> Vec<Value> {
    let mut batch = Batch::new(server.state.clone());
    let events = settle(&mut batch, server.now, most, &mut server.random);
    server.state = batch.seal(&mut server.random).0;
    let lines = events.iter().map(|event| event.to_json_line());
    lines
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

#[test]
fn a_key_is_deleted_on_its_date_with_its_aliases_and_grants() {
    let mut server = Server::new();
    let kept = server.create_key();
    let id = server.create_key();
    for (alias, target) in [("alias/a", &id), ("alias/b", &id), ("alias/kept", &kept)] {
        let request = json!({"AliasName": alias, "TargetKeyId": target});
        server.call("CreateAlias", request).ok_empty();
    }
    let encrypted = server
        .call("Encrypt", json!({"KeyId": id, "Plaintext": "AAAA"}))
        .ok();
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let grant = json!({
        "KeyId": id, "GranteePrincipal": root, "RetiringPrincipal": root,
        "Operations": ["Decrypt"],
    });
    server.call("CreateGrant", grant).ok();
    let retirable = json!({"RetiringPrincipal": root});
    let grants = server.call("ListRetirableGrants", retirable.clone()).ok();
    assert_eq!(grants["Grants"].as_array().unwrap().len(), 1);
    let request = json!({"KeyId": id, "PendingWindowInDays": 7});
    server.call("ScheduleKeyDeletion", request).ok();

    server.pass(DAY * 7 - Duration::from_secs(1));
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new());
    server.call("DescribeKey", json!({"KeyId": id})).ok();

    server.pass(Duration::from_secs(1));
    let events = expire(&mut server, 10);
    let arn = key_arn(&id);
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event["eventName"], "DeleteKey");
    assert_eq!(event["eventType"], "AwsServiceEvent");
    assert_eq!(event["userIdentity"]["invokedBy"], "AWS Internal");
    assert_eq!(event["userIdentity"]["accountId"], ACCOUNT);
    assert_eq!(event["awsRegion"], REGION);
    assert_eq!(event["readOnly"], false);
    assert_eq!(event["serviceEventDetails"], json!({"keyId": id}));
    assert_eq!(
        event["resources"],
        json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn}])
    );
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new(), "once only");

    server
        .call("DescribeKey", json!({"KeyId": id}))
        .expect_error("NotFoundException", &format!("Key '{arn}' does not exist"));
    let aliases = server.call("ListAliases", json!({})).ok();
    assert_eq!(aliases["Aliases"].as_array().unwrap().len(), 1);
    assert_eq!(aliases["Aliases"][0]["AliasName"], "alias/kept");
    let grants = server.call("ListRetirableGrants", retirable).ok();
    assert_eq!(grants["Grants"], json!([]));
    let request = json!({"CiphertextBlob": encrypted["CiphertextBlob"]});
    assert!(server.call("Decrypt", request).status == 400);
}

#[test]
fn many_keys_are_deleted_a_few_at_a_time() {
    let mut server = Server::new();
    for _ in 0..5 {
        let id = server.create_key();
        server
            .call("ScheduleKeyDeletion", json!({"KeyId": id}))
            .ok();
    }
    server.pass(DAY * 31);
    let deleted = [2, 2, 2, 2].map(|most| expire(&mut server, most).len());
    assert_eq!(deleted, [2, 2, 1, 0]);
}
