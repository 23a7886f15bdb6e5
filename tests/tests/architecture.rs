//! The house's rules on who may know what, read off the dependency tree and
//! the source text.
//!
//! `attestation`, `image`, `kms` and `quorum` are pure: time, randomness and bytes come in as
//! arguments. The two ends never meet: nothing trusted knows the host proxy,
//! and the enclave carries nothing that only the host needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that a pure library must not reach, by what they would let in.
const IMPURE: &[(&str, &[&str])] = &[
    (
        "an async runtime",
        &[
            "async-executor",
            "async-io",
            "async-std",
            "embassy-executor",
            "futures-executor",
            "glommio",
            "io-uring",
            "mio",
            "monoio",
            "polling",
            "smol",
            "tokio",
            "tokio-util",
        ],
    ),
    (
        "a clock",
        &[
            "chrono",
            "coarsetime",
            "fastant",
            "humantime",
            "instant",
            "jiff",
            "minstant",
            "quanta",
            "time",
            "wasm-timer",
            "web-time",
        ],
    ),
    (
        "files",
        &[
            "cap-std",
            "directories",
            "dirs",
            "fjall",
            "fs-err",
            "fs2",
            "fs4",
            "glob",
            "heed",
            "memmap2",
            "notify",
            "redb",
            "rusqlite",
            "same-file",
            "sled",
            "tempfile",
            "walkdir",
        ],
    ),
    (
        "sockets",
        &[
            "axum",
            "curl",
            "h2",
            "h3",
            "hyper",
            "hyper-util",
            "quinn",
            "reqwest",
            "rustls",
            "socket2",
            "tokio-rustls",
            "tokio-vsock",
            "tonic",
            "tungstenite",
            "ureq",
            "vsock",
        ],
    ),
    (
        "the operating system",
        &[
            "clap",
            "nix",
            "rustix",
            "signal-hook",
            "tracing-subscriber",
            "windows-sys",
        ],
    ),
    ("randomness of its own", &["getrandom", "rand"]),
];

/// What only the host, or the operator's command line, may carry.
const HOST_ONLY: &[&str] = &[
    "claviger",
    "claviger-host-proxy",
    "claviger-image",
    "clap",
    "etcd-client",
    "fjall",
    "heed",
    "prometheus-client",
    "redb",
    "reqwest",
    "rusqlite",
    "tonic",
];

/// Which of the workspace's own crates each crate may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("claviger-attestation", &[]),
    ("claviger-kms", &["claviger-attestation"]),
    ("claviger-quorum", &["claviger-kms"]),
    ("claviger-link", &[]),
    (
        "claviger-enclave",
        &[
            "claviger-attestation",
            "claviger-kms",
            "claviger-link",
            "claviger-quorum",
        ],
    ),
    ("claviger-host-proxy", &["claviger-link"]),
    ("claviger-image", &[]),
    (
        "claviger",
        &[
            "claviger-attestation",
            "claviger-enclave",
            "claviger-host-proxy",
            "claviger-image",
            "claviger-kms",
            "claviger-link",
            "claviger-quorum",
        ],
    ),
];

/// What the source of a pure library must not name.
const IMPURE_PATHS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// The one file of `attestation` that touches the machine: the driver of `/dev/nsm`.
const DEVICE_DRIVER: &str = "attestation/src/nsm/device.rs";

#[test]
fn attestation_is_pure() {
    // `device` apart: it is the driver of /dev/nsm, which the enclave switches on.
    let features = [
        "--no-default-features",
        "--features",
        "aws-lc,rustcrypto,simulation",
    ];
    let closure = closure("claviger-attestation", &features);
    // rand_core 0.6 and rand 0.8 are what the `rsa` crate's generator arguments are made of.
    assert_pure("claviger-attestation", &closure, &["rand"]);
}

#[test]
fn attestation_for_the_browser_is_pure() {
    let closure = closure(
        "claviger-attestation",
        &["--no-default-features", "--features", "rustcrypto"],
    );
    assert_pure("claviger-attestation", &closure, &["rand"]);
    assert!(
        !closure.contains("aws-lc-sys"),
        "the portable backend must not need a C compiler"
    );
}

#[test]
fn only_the_device_driver_adds_the_operating_system() {
    let closure = closure("claviger-attestation", &["--features", "device"]);
    assert!(
        closure.contains("nix"),
        "the driver's own crate has changed: this test watches for nothing"
    );
    assert_pure("claviger-attestation", &closure, &["nix"]);
}

#[test]
fn kms_is_pure() {
    let closure = closure("claviger-kms", &[]);
    assert_pure("claviger-kms", &closure, &[]);
}

#[test]
fn quorum_is_pure() {
    let closure = closure("claviger-quorum", &[]);
    assert_pure("claviger-quorum", &closure, &[]);
}

#[test]
fn image_is_pure() {
    let closure = closure("claviger-image", &[]);
    assert_pure("claviger-image", &closure, &[]);
}

#[test]
fn the_enclave_carries_nothing_of_the_hosts() {
    let closure = closure("claviger-enclave", &["--all-features"]);
    assert!(
        closure.contains("tokio") && closure.contains("claviger-kms"),
        "an implausible tree: {closure:?}"
    );
    for name in HOST_ONLY {
        assert!(
            !closure.contains(*name),
            "claviger-enclave must not carry {name}: only the host needs it"
        );
    }
}

#[test]
fn a_release_enclave_has_no_simulation() {
    let features = cargo(&[
        "tree",
        "--locked",
        "-p",
        "claviger-enclave",
        "-e",
        "features,no-dev",
        "--prefix",
        "none",
    ]);
    assert!(
        features.contains("claviger-attestation feature \"device\""),
        "an implausible tree:\n{features}"
    );
    assert!(
        !features.contains("feature \"simulation\""),
        "the enclave's default features reach the simulated NSM:\n{features}"
    );
}

#[test]
fn arrows_point_one_way() {
    let metadata = cargo(&["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let own: BTreeSet<&str> = packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    for (name, allowed) in ARROWS {
        let package = packages.iter().find(|package| package["name"] == *name);
        let package = package.unwrap_or_else(|| panic!("{name} is not in the workspace"));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let needed = dependency["name"].as_str().expect("a name");
            // A crate's tests may look further than the crate.
            if dependency["kind"] != "dev" && own.contains(needed) {
                assert!(
                    allowed.contains(&needed),
                    "{name} must not depend on {needed}"
                );
            }
        }
    }
}

#[test]
fn pure_sources_name_no_clock_file_or_socket() {
    let mut seen = 0;
    for folder in ["attestation/src", "image/src", "kms/src", "quorum/src"] {
        for file in rust_files(&root().join(folder)) {
            let shown = file
                .strip_prefix(root())
                .expect("under the root")
                .display()
                .to_string();
            if shown == DEVICE_DRIVER || is_test_only(&file) {
                continue;
            }
            seen += 1;
            let text = fs::read_to_string(&file).expect("a source file");
            for path in std_paths(&code_only(&text)) {
                let banned = IMPURE_PATHS
                    .iter()
                    .find(|banned| path == **banned || path.starts_with(&format!("{banned}::")));
                assert!(
                    banned.is_none(),
                    "{shown} names {path}: a pure library takes it as an argument"
                );
            }
        }
    }
    assert!(seen > 0, "no source file was read");
}

#[test]
fn the_source_scan_sees_grouped_and_nested_imports() {
    let code = code_only(
        "use std::{fmt, time::{Duration, Instant}};\n// std::net in a comment\nlet s = \"std::env\"; std::fs::read(p);\n\
         #[cfg(test)]\nmod tests { use std::process; }",
    );
    let paths = std_paths(&code);
    assert!(paths.contains("std::time::Instant"), "{paths:?}");
    assert!(paths.contains("std::fs::read"), "{paths:?}");
    assert!(
        paths.iter().all(|path| !path.contains("net")
            && !path.contains("env")
            && !path.contains("process"))
    );
}

fn assert_pure(package: &str, closure: &BTreeSet<String>, except: &[&str]) {
    assert!(
        closure.contains(package),
        "an implausible tree: {closure:?}"
    );
    for (what, crates) in IMPURE {
        for name in crates.iter().filter(|name| !except.contains(name)) {
            assert!(
                !closure.contains(*name),
                "{package} must not know {what}, but depends on {name}; `cargo tree -p {package} -i {name}` shows how"
            );
        }
    }
}

/// The names of all crates that `package` needs at run time.
fn closure(package: &str, features: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec![
        "tree",
        "--locked",
        "-p",
        package,
        "-e",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    arguments.extend(features);
    cargo(&arguments)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo speaks UTF-8")
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ is in the workspace")
        .to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// `tests.rs` and everything under a `tests` folder is compiled for tests alone.
fn is_test_only(file: &Path) -> bool {
    file.components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// The text without comments, string literals, and the test module at its end.
fn code_only(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let mut quoted = false;
        let mut previous = ' ';
        let mut kept = String::with_capacity(line.len());
        for character in line.chars() {
            match character {
                '"' if previous != '\\' && previous != '\'' => quoted = !quoted,
                '/' if previous == '/' && !quoted => {
                    kept.pop();
                    break;
                }
                _ if !quoted => kept.push(character),
                _ => {}
            }
            previous = character;
        }
        code.push_str(&kept);
        code.push('\n');
    }
    code
}

/// Every path of the standard library that the code names, groups expanded.
fn std_paths(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut rest = code;
    while let Some(at) = rest.find("std::") {
        let starts_a_path =
            !rest[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        rest = &rest[at + "std::".len()..];
        if starts_a_path {
            expand("std", rest, &mut paths);
        }
    }
    paths
}

/// Reads what follows `prefix::` — a name, `name::…`, or `{…, …}` — and returns the rest.
fn expand<'a>(prefix: &str, text: &'a str, paths: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut inside) = text.strip_prefix('{') {
        loop {
            inside = expand(prefix, inside, paths).trim_start();
            match inside.strip_prefix(',') {
                Some(next) => inside = next,
                None => return inside.strip_prefix('}').unwrap_or(inside),
            }
        }
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = format!("{prefix}::{name}");
    match rest.strip_prefix("::") {
        Some(deeper) if !deeper.starts_with('<') => expand(&path, deeper, paths),
        _ => {
            paths.insert(path);
            rest
        }
    }
}
