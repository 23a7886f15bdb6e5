//! GenerateMac, VerifyMac.

use serde_json::json;

use crate::server::{Server, base64, blob, key_arn};

#[test]
fn every_algorithm_makes_and_verifies_macs_of_its_length() {
    let mut server = Server::new();
    for (spec, algorithm, length) in [
        ("HMAC_224", "HMAC_SHA_224", 28),
        ("HMAC_256", "HMAC_SHA_256", 32),
        ("HMAC_384", "HMAC_SHA_384", 48),
        ("HMAC_512", "HMAC_SHA_512", 64),
    ] {
        let id = server.create_key_of(spec, "GENERATE_VERIFY_MAC");
        let message = base64([1; 4096]);
        let token = server.grant_token(&id);
        let request = json!({
            "KeyId": id, "Message": message, "MacAlgorithm": algorithm, "GrantTokens": [token],
        });
        let answer = server.call("GenerateMac", request.clone());
        let made = answer.ok();
        assert_eq!(
            made,
            json!({"KeyId": key_arn(&id), "Mac": made["Mac"], "MacAlgorithm": algorithm})
        );
        assert_eq!(
            answer.event["requestParameters"],
            json!({"keyId": id, "macAlgorithm": algorithm})
        );
        assert_eq!(blob(&made["Mac"]).len(), length);
        assert_eq!(server.call("GenerateMac", request).ok(), made);

        let request = |message: &str, mac: &[u8]| {
            json!({
                "KeyId": id, "Message": message, "MacAlgorithm": algorithm, "Mac": base64(mac),
            })
        };
        let mac = blob(&made["Mac"]);
        let verified = server.call("VerifyMac", request(&message, &mac)).ok();
        assert_eq!(
            verified,
            json!({"KeyId": key_arn(&id), "MacValid": true, "MacAlgorithm": algorithm})
        );
        let mut other = mac.clone();
        other[0] ^= 1;
        let longer = [mac.as_slice(), b"x"].concat();
        for request in [
            request(&base64("other"), &mac),
            request(&message, &other),
            request(&message, &mac[..length - 1]),
            request(&message, &longer),
        ] {
            let answer = server.call("VerifyMac", request);
            answer.expect_error("KMSInvalidMacException", "");
        }
    }
}

#[test]
fn the_algorithm_must_be_the_keys() {
    let mut server = Server::new();
    let id = server.create_key_of("HMAC_224", "GENERATE_VERIFY_MAC");
    let request = json!({
        "KeyId": id, "Message": base64("m"), "MacAlgorithm": "HMAC_SHA_256", "Mac": base64("mac"),
    });
    for operation in ["GenerateMac", "VerifyMac"] {
        server.call(operation, request.clone()).expect_error(
            "InvalidKeyUsageException",
            "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.",
        );
    }
}

#[test]
fn keys_have_macs_of_their_own() {
    let mut server = Server::new();
    let mut mac = || {
        let id = server.create_key_of("HMAC_256", "GENERATE_VERIFY_MAC");
        let request = json!({"KeyId": id, "Message": base64("m"), "MacAlgorithm": "HMAC_SHA_256"});
        server.call("GenerateMac", request).ok()["Mac"].clone()
    };
    assert_ne!(mac(), mac());
}
