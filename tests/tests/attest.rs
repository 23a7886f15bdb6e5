//! `claviger attest`: documents for anyone's tests.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn attest(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(claviger_tests::claviger())
        .arg("attest")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("claviger starts")
}

#[test]
fn a_document_is_made_shown_and_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = attest(
        folder.path(),
        &[
            "new",
            "--ca",
            "ca.pem",
            "--root-out",
            "root.pem",
            "--recipient-key",
            "key.pem",
            "--nonce",
            "4711",
            "--at",
            "2026-01-31T12:00:00Z",
            "--out",
            "document",
        ],
    );
    assert!(made.status.success(), "{made:?}");

    let shown = attest(folder.path(), &["show", "document"]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(
        shown.status.success() && text.contains("2026-01-31T12:00:00Z"),
        "{text}"
    );
    assert!(
        text.contains("34373131") && text.contains("not verified"),
        "{text}"
    );

    let verify = |arguments: &[&str]| {
        let all = [&["verify", "document", "--root", "root.pem"], arguments].concat();
        attest(folder.path(), &all).status.success()
    };
    assert!(verify(&["--at", "2026-01-31T12:04:59Z"]));
    assert!(!verify(&["--at", "2026-01-31T12:05:01Z"]), "too old");
    assert!(!verify(&[]), "far too old");
    let under_aws = attest(
        folder.path(),
        &["verify", "document", "--at", "2026-01-31T12:00:00Z"],
    );
    assert!(!under_aws.status.success(), "AWS's root did not sign it");

    let path = folder.path().join("document");
    let mut bytes = fs::read(&path).expect("the document");
    *bytes.last_mut().expect("some bytes") ^= 1;
    fs::write(&path, bytes).expect("written");
    assert!(!verify(&["--at", "2026-01-31T12:00:00Z"]), "tampered with");
}
