//! Unmodified clients against `claviger dev`: the AWS CLI, boto3, the AWS SDKs for
//! JavaScript, Rust, Go and Ruby, plain sockets, and the attested flow written with
//! independent libraries. The tests themselves are in the folders beside this one.

use std::process::Command;

use claviger_tests::process::{ACCESS_KEY, Dev, SECRET_KEY};
use claviger_tests::suite;

#[test]
fn the_aws_command_line() {
    suite::pytest("test_aws_cli.py");
}

#[test]
fn boto3_keys_and_aliases() {
    suite::pytest("test_boto3_keys.py");
}

#[test]
fn boto3_data() {
    suite::pytest("test_boto3_data.py");
}

#[test]
fn boto3_lifecycle() {
    suite::pytest("test_boto3_lifecycle.py");
}

#[test]
fn boto3_asymmetric() {
    suite::pytest("test_boto3_asymmetric.py");
}

#[test]
fn boto3_policies_and_grants() {
    suite::pytest("test_boto3_policies.py");
}

#[test]
fn boto3_caller() {
    suite::pytest("test_boto3_caller.py");
}

#[test]
fn boto3_request_quotas() {
    suite::pytest("test_quotas.py");
}

#[test]
fn boto3_iam_and_sts() {
    suite::pytest("test_iam.py");
}

#[test]
fn the_attested_flow_with_independent_libraries() {
    suite::pytest("test_attested.py");
}

#[test]
fn bad_input() {
    suite::pytest("test_bad_input.py");
}

#[test]
fn tls_and_http2() {
    suite::pytest("test_tls.py");
}

#[test]
fn the_enclaves_own_identity() {
    suite::pytest("test_trust.py");
}

#[test]
fn an_enclave_takes_over_from_another() {
    suite::pytest("test_handover.py");
}

#[test]
fn the_shares_of_a_root_key_are_renewed() {
    suite::pytest("test_reshare.py");
}

#[test]
fn the_root_key_of_a_quorum() {
    suite::pytest("test_quorum.py");
}

#[test]
fn backup_and_restore() {
    suite::pytest("test_backup.py");
}

#[test]
fn audit() {
    suite::pytest("test_audit.py");
}

#[test]
fn the_contract_of_dev() {
    suite::pytest("test_dev.py");
}

#[test]
fn the_javascript_sdk() {
    let server = Dev::start(&[]);
    suite::node("client-kms", "client-kms.test.mjs", |command| {
        configure(command, &server)
    });
}

#[test]
fn every_operation_of_the_javascript_sdk() {
    let server = Dev::start(&[]);
    suite::node("operations", "operations.test.mjs", |command| {
        configure(command, &server)
    });
}

#[test]
fn the_javascript_sdk_over_tls() {
    let server = Dev::start(&["--tls"]);
    suite::node("client-kms-tls", "client-kms.test.mjs", |command| {
        configure(command, &server);
        command.env("NODE_EXTRA_CA_CERTS", server.data().join("ca.pem"));
    });
}

#[test]
fn every_operation_of_the_rust_sdk() {
    let server = Dev::start(&[]);
    suite::rust(|command| configure(command, &server));
}

#[test]
fn every_operation_of_the_go_sdk() {
    let server = Dev::start(&[]);
    suite::go(|command| configure(command, &server));
}

#[test]
fn every_operation_of_the_ruby_sdk() {
    let server = Dev::start(&[]);
    suite::ruby(|command| configure(command, &server));
}

fn configure(command: &mut Command, server: &Dev) {
    command
        .env("CLAVIGER_BIN", claviger_tests::claviger())
        .env("CLAVIGER_URL", &server.url)
        .env("CLAVIGER_DATA", server.data())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_PROFILE");
}
