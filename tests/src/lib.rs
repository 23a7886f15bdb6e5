//! End-to-end tests: real clients against real processes.
//!
//! The programs under test are the ones a user builds: [`claviger`] compiles
//! the binary with the profile that `cargo run` uses. The clients are the ones
//! a user installs: [`clients`] fetches the AWS CLI, boto3 and
//! `@aws-sdk/client-kms` into the build folder, at the versions pinned in
//! `tests/python/requirements.txt` and `tests/node/package-lock.json`.
//!
//! Client tests are written in the client's own language, under `tests/python`
//! and `tests/node`; [`suite`] runs them and fails if they fail or if there
//! were none.

pub mod call;
pub mod clients;
pub mod nitro;
pub mod process;
pub mod records;
pub mod suite;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The `claviger` binary, built on first use.
///
/// `CLAVIGER_BIN` names another binary to test instead.
///
/// # Panics
///
/// When cargo can't build it.
pub fn claviger() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CLAVIGER_BIN") {
        Some(given) => given.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--locked",
            "--package",
            "claviger",
            "--bin",
            "claviger",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo could not build claviger");
    let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.expect("cargo names the executable it built")
}

/// The root of the source tree.
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// The build folder, `target` unless cargo was told otherwise.
///
/// # Panics
///
/// When not called from a test that cargo built.
pub fn build_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    // target/debug/deps/the_test
    test.ancestors()
        .nth(3)
        .expect("cargo puts tests three folders deep")
        .to_owned()
}
