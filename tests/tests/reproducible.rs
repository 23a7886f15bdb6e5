//! The image can be built again, bit for bit: `tests/reproducible.sh`.

use std::process::Command;

/// Two builds for release take minutes, so this one is asked for: `CLAVIGER_REPRODUCIBLE` names the
/// folder for the results, which is emptied.
#[test]
fn two_builds_give_the_same_bytes() {
    let Some(folder) = std::env::var_os("CLAVIGER_REPRODUCIBLE") else {
        eprintln!("SKIPPED: CLAVIGER_REPRODUCIBLE does not name a folder to build in");
        return;
    };
    let status = Command::new(claviger_tests::workspace().join("tests/reproducible.sh"))
        .arg(folder)
        .env("CLAVIGER_BIN", claviger_tests::claviger())
        .status()
        .expect("the script starts");
    assert!(status.success(), "see above");
}
