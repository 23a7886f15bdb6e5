//! GetKeyLastUsage: the last successful cryptographic operation with a key.

use serde_json::{Value, json};

use crate::expiry::DAY;
use crate::server::{Answer, START, Server, base64, seconds};

fn last_usage(server: &mut Server, id: &str) -> Value {
    let answer = server.call("GetKeyLastUsage", json!({"KeyId": id})).ok();
    assert_eq!(answer["KeyId"], id);
    answer["KeyLastUsage"].clone()
}

/// The usage that this call is.
fn used(call: &Answer, operation: &str, days: u32) -> Value {
    json!({
        "Operation": operation,
        "Timestamp": seconds(START + DAY * days),
        "CloudTrailEventId": call.event["eventID"],
        "KmsRequestId": call.event["requestID"],
    })
}

#[test]
fn the_last_successful_use_counts() {
    let mut server = Server::new();
    let (id, other) = (server.create_key(), server.create_key());
    assert_eq!(
        server.call("GetKeyLastUsage", json!({"KeyId": id})).ok(),
        json!({
            "KeyId": id, "KeyLastUsage": {}, "TrackingStartDate": seconds(START),
            "KeyCreationDate": seconds(START),
        })
    );
    server.pass(DAY);
    let request = json!({"KeyId": id, "Plaintext": base64("x")});
    let call = server.call("Encrypt", request.clone());
    let encrypted = call.ok()["CiphertextBlob"].clone();
    let encryption = used(&call, "Encrypt", 1);
    assert_eq!(last_usage(&mut server, &id), encryption);
    assert_eq!(last_usage(&mut server, &other), json!({}));

    // What fails, is only tried, or is no use of the material does not count.
    server.pass(DAY);
    let mut dry_run = request;
    dry_run["DryRun"] = true.into();
    server.call("Encrypt", dry_run).error();
    let wrong = json!({"CiphertextBlob": encrypted, "EncryptionContext": {"a": "b"}});
    server.call("Decrypt", wrong).error();
    server.call("DescribeKey", json!({"KeyId": id})).ok();
    let tags = json!({"KeyId": id, "Tags": [{"TagKey": "a", "TagValue": "b"}]});
    server.call("TagResource", tags).ok_empty();
    assert_eq!(last_usage(&mut server, &id), encryption);

    // ReEncrypt counts for both keys.
    let request = json!({"CiphertextBlob": encrypted, "DestinationKeyId": other});
    let call = server.call("ReEncrypt", request);
    call.ok();
    let reencryption = used(&call, "ReEncrypt", 2);
    for key in [&id, &other] {
        assert_eq!(last_usage(&mut server, key), reencryption);
    }
    // It survives a change of the key.
    server.pass(DAY);
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    assert_eq!(last_usage(&mut server, &id), reencryption);
}
