//! What stands between cargo and rustc: `profile/rustc`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// The arguments that the compiler gets, one a line.
fn given_to_rustc(arguments: &[&str]) -> String {
    let ended = Command::new(claviger_tests::workspace().join("profile/rustc"))
        .args(["printf", "%s\n"])
        .args(arguments)
        .env("CARGO_PKG_NAME", "example")
        .env("CARGO_PKG_VERSION", "1.2.3")
        .env_remove("CLAVIGER_TAKE_PROFILE")
        .output()
        .unwrap();
    assert!(ended.status.success());
    String::from_utf8(ended.stdout).unwrap()
}

#[test]
fn a_build_for_release_gets_the_profile() {
    let profile = claviger_tests::workspace().join("profile/calls.profdata");
    let release = ["a file", "-C", "codegen-units=1", "-C", "metadata=0123"];
    let expected = format!(
        "a file\n-C\ncodegen-units=1\n-C\nmetadata=example-1.2.3\n\
         -C\nprofile-use={}\n-C\nllvm-args=-no-pgo-warn-mismatch\n",
        profile.canonicalize().unwrap().display()
    );
    assert_eq!(given_to_rustc(&release), expected);
}

#[test]
fn all_others_pass_as_they_are() {
    for other in [
        &["-vV"][..],
        &["a file", "-C", "opt-level=1", "-C", "metadata=0123"],
        &["--test", "-C", "codegen-units=1", "-C", "metadata=0123"],
    ] {
        assert_eq!(given_to_rustc(other), other.join("\n") + "\n");
    }
}

#[test]
fn variables_with_any_name_pass() {
    let ended = Command::new(claviger_tests::workspace().join("profile/rustc"))
        .args(["printenv", "CARGO_BIN_EXE_with-hyphens"])
        .env("CARGO_BIN_EXE_with-hyphens", "kept")
        .output()
        .unwrap();
    assert_eq!(ended.stdout, b"kept\n");
}
