//! The enclave as it is released: the executable that `image/build-enclave.sh` makes refuses
//! everything that is for simulation, however it is asked, and has none of it inside.
//!
//! `CLAVIGER_RELEASE_ENCLAVE` names the executable, which takes minutes to build; `.ci/run` builds
//! it. Without, these tests say SKIPPED.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn release() -> Option<PathBuf> {
    let named = std::env::var_os("CLAVIGER_RELEASE_ENCLAVE");
    if named.is_none() {
        eprintln!("SKIPPED: CLAVIGER_RELEASE_ENCLAVE does not name the released executable");
    }
    named.map(PathBuf::from)
}

/// Settings of which only the root key is for simulation.
fn settings() -> Value {
    json!({
        "listen": "unix:enclave.sock",
        "host": "unix:host.sock",
        "account": "123456789012",
        "nsm": "device",
        "root_key": { "dev_file": "root-key.json" },
    })
}

/// Everything that is for simulation, by its setting's name, with settings that ask for it.
fn simulated() -> Vec<(&'static str, Value)> {
    let with = |pointer: &str, value: Value| {
        let mut settings = settings();
        settings["trust"] = json!({});
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        settings.pointer_mut(parent).expect("a member")[name] = value;
        settings
    };
    let pem = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    vec![
        (
            "nsm.simulated",
            with("/nsm", json!({ "simulated": { "ca": "ca.pem" } })),
        ),
        (
            "nsm.emulated",
            with("/nsm", json!({ "emulated": { "root": "root.pem" } })),
        ),
        ("trust.roots", with("/trust/roots", json!(["root.pem"]))),
        ("trust.roots", with("/trust/roots", json!([pem]))),
        (
            "trust.accept_debug",
            with("/trust/accept_debug", json!(true)),
        ),
        ("seed", with("/seed", json!({}))),
        ("root_key.dev_file", settings()),
    ]
}

/// What the executable says to its end, which has to be a failure.
fn refusal(command: &mut Command, input: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the executable starts");
    // Who refuses its arguments does not read its input.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output: Output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_refuses_simulation_in_its_settings() {
    let Some(executable) = release() else { return };
    for (name, settings) in simulated() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings.to_string();
        fs::write(folder.path().join("enclave.json"), &settings).expect("written");
        let expected = format!("{name} is for simulation: it needs a build with the feature");
        for arguments in [&["--config", "enclave.json"][..], &["--config", "-"], &[]] {
            let mut command = Command::new(&executable);
            command.args(arguments).current_dir(folder.path());
            let told = refusal(&mut command, settings.as_bytes());
            assert!(told.contains(&expected), "{name}, {arguments:?}: {told}");
        }
        let left = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 1, "it made a file before it refused");
    }
}

#[test]
fn it_does_not_serve_in_clear() {
    let Some(executable) = release() else { return };
    let mut settings = settings();
    settings["root_key"] = json!("quorum");
    let told = refusal(
        &mut Command::new(&executable),
        settings.to_string().as_bytes(),
    );
    assert!(told.contains("without `tls`"), "{told}");
    // With all that it needs, it looks for the module that this machine has not.
    settings["tls"] = json!({});
    let told = refusal(
        &mut Command::new(&executable),
        settings.to_string().as_bytes(),
    );
    assert!(told.contains("security module"), "{told}");
}

#[test]
fn it_refuses_simulation_in_its_environment_and_arguments() {
    let Some(executable) = release() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let settings = simulated().remove(0).1.to_string();
    let mut command = Command::new(&executable);
    command.current_dir(folder.path());
    for name in [
        "SIMULATION",
        "NSM",
        "ACCEPT_DEBUG",
        "TRUST_ROOTS",
        "ROOT_KEY",
        "DEV",
        "SEED",
    ] {
        command.env(name, "1").env(format!("CLAVIGER_{name}"), "1");
    }
    let told = refusal(&mut command, settings.as_bytes());
    assert!(told.contains("nsm.simulated is for simulation"), "{told}");

    for arguments in [
        &["--simulation"][..],
        &["--features", "simulation"],
        &["--nsm", "simulated"],
        &["--trust-root", "root.pem"],
        &["--accept-debug"],
        &["--seed", "seed.json"],
        &["dev"],
        &["--config", "-", "--simulation"],
    ] {
        let mut command = Command::new(&executable);
        command.args(arguments).current_dir(folder.path());
        let told = refusal(&mut command, settings.as_bytes());
        assert!(
            told.starts_with("usage: claviger-enclave"),
            "{arguments:?}: {told}"
        );
    }
}

#[test]
fn it_holds_nothing_of_the_simulation() {
    let Some(executable) = release() else { return };
    let release = fs::read(executable).expect("the released executable");
    // The command line is built with the simulation: what is searched for is really there.
    let simulation = fs::read(claviger_tests::claviger()).expect("claviger");
    let holds = |bytes: &[u8], text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    for text in MARKS {
        assert!(holds(&simulation, text), "{text:?} is not in a simulation");
        assert!(!holds(&release, text), "{text:?} is in the release");
    }
    // And it is the enclave that was searched.
    assert!(holds(&release, " is for simulation: it needs a build") && holds(&release, "/dev/nsm"));
}

/// Texts of the simulated NSM and of what makes it.
const MARKS: &[&str] = &[
    "claviger simulated image",
    "not the certificate authority of a simulated NSM",
    "simulated-crl.invalid",
];
