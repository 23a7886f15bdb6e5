//! How often a principal may call.

use std::sync::Arc;
use std::time::Duration;

use attestation::{Verifier, VerifyOptions};
use kms::engine::{Engine, EngineConfig, Step};
use kms::key_pair::AwsLcKeyPairs;
use kms::principal::Access;
use serde_json::json;

use crate::server::{ACCOUNT, Client, Server, as_call, signed};

const TEXT: &str =
    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";

fn server() -> Server {
    let mut server = Server::new();
    let mut config = EngineConfig::default();
    config.aws_request_quotas = true;
    let verifier = Verifier::new(Vec::new(), VerifyOptions::default());
    server.engine = Engine::new(config, verifier, Arc::new(AwsLcKeyPairs));
    server
}

#[test]
fn a_principal_that_calls_too_often_is_told_so_as_by_aws() {
    let mut server = server();
    server.add_user(ACCOUNT, "bob", Access::Full);
    for _ in 0..5 {
        server.call("CreateKey", json!({})).ok();
    }
    let refused = server.call("CreateKey", json!({}));
    refused.expect_error("ThrottlingException", TEXT);
    assert_eq!(refused.event["userIdentity"]["userName"], "alice");
    assert_eq!(refused.event["errorCode"], "ThrottlingException");
    // Others, and other operations, have quotas of their own.
    server.call("ListKeys", json!({})).ok();
    let bob = Client::of("bob");
    server.call_as(&bob, "CreateKey", json!({})).ok();
    server.now = server.now + Duration::from_secs(1);
    for _ in 0..5 {
        server.call("CreateKey", json!({})).ok();
    }
}

#[test]
fn nobody_uses_up_the_quota_of_somebody_else() {
    let mut server = server();
    let forger = Client {
        secret: "not hers".to_owned(),
        ..Client::of("alice")
    };
    for _ in 0..20 {
        let refused = server.call_as(&forger, "CreateKey", json!({}));
        assert_eq!(refused.event["errorCode"], "InvalidSignatureException");
    }
    server.call("CreateKey", json!({})).ok();
}

#[test]
fn a_call_counts_once_however_many_steps_it_takes() {
    let mut server = server();
    let request = signed(&Client::of("alice"), "CreateKey", b"{}", server.now);
    let call = as_call(&request);
    let (state, now, random) = (&server.state, server.now, &mut server.random);
    for _ in 0..5 {
        let step = server.engine.step(state, &call, now, random);
        assert!(matches!(step, Step::Commit(..)));
        let step = server.engine.resume(state, &call, None, now, random);
        assert!(matches!(step, Step::Commit(..)));
    }
    let step = server.engine.step(state, &call, now, random);
    assert!(matches!(step, Step::Reply(_)));
}

#[test]
fn without_quotas_everybody_may_call_as_often_as_can_be_answered() {
    let mut server = Server::new();
    for _ in 0..20 {
        server.call("CreateKey", json!({})).ok();
    }
}
