//! Every operation that `aws-sdk-kms` has, through it: none is left out, and all answers parse.

mod asymmetric;
mod attested;
mod custom_key_stores;
mod data;
mod imports;
mod keys;
mod openssl;
mod policies;
mod refusals;
mod rotation;
mod sdk;

use std::process::Command;

use sdk::Session;

#[tokio::test]
async fn every_operation_of_the_rust_sdk() {
    let session = Session::from_environment();
    let kms = &session.kms;

    keys::are_made_and_described(kms).await;
    keys::come_in_pages(kms).await;
    keys::are_disabled_and_enabled(kms).await;
    keys::are_scheduled_for_deletion(kms).await;
    keys::have_tags(kms).await;
    keys::have_aliases(kms).await;
    keys::have_aliases_in_pages(kms).await;

    data::is_encrypted_and_decrypted(kms).await;
    data::is_moved_to_another_key(kms).await;
    data::keys_are_generated(kms).await;
    data::key_pairs_are_generated(kms).await;
    data::bytes_are_random(kms).await;
    data::calls_can_be_dry_runs(kms).await;
    data::last_use_is_known(kms).await;

    attested::answers_open_with_the_recipients_key_alone(kms).await;
    attested::documents_are_verified(kms).await;

    asymmetric::signatures_verify(kms).await;
    asymmetric::encryption_from_outside_is_decrypted(kms).await;
    asymmetric::macs_verify(kms).await;
    asymmetric::both_sides_derive_the_same_secret(kms).await;
    asymmetric::encapsulated_secrets_are_decapsulated(kms).await;

    policies::are_read_and_written(kms).await;
    policies::have_grants_in_pages(kms).await;
    policies::have_grants_that_end(kms).await;

    rotation::is_enabled_and_disabled(kms).await;
    rotation::happens_on_demand(kms).await;
    rotation::follows_to_replicas(kms, &session.elsewhere).await;

    imports::can_be_deleted_and_repeated(kms).await;
    imports::can_rotate(kms).await;
    imports::are_used_as_they_are(kms).await;
    imports::need_their_own_token(kms).await;

    custom_key_stores::are_none(kms).await;
    custom_key_stores::cannot_be_made(kms).await;

    let known = operations_of_the_sdk();
    assert!(known.len() >= 56, "{known:?}");
    let never_called: Vec<_> = known
        .iter()
        .filter(|operation| !session.has_called(operation))
        .collect();
    assert!(never_called.is_empty(), "never called: {never_called:?}");
    println!("{} operations of aws-sdk-kms", known.len());
}

/// The names of the modules in the SDK's own source, one for each operation.
fn operations_of_the_sdk() -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version=1"])
        // Crates for other platforms have not been fetched.
        .args(["--filter-platform", "host-tuple"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {output:?}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let sdk = packages.iter().find(|it| it["name"] == "aws-sdk-kms");
    let manifest = sdk.expect("the SDK")["manifest_path"].as_str();
    let sources = std::path::Path::new(manifest.expect("a path")).with_file_name("src/operation");

    let modules = std::fs::read_dir(sources).expect("the SDK's source");
    let paths = modules.map(|entry| entry.expect("an entry").path());
    let names = paths.filter(|path| path.is_dir()).map(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.expect("a name").to_owned()
    });
    names.collect()
}
