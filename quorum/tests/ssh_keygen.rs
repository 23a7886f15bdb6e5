//! Release manifests signed with the `ssh-keygen` of this machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use kms::state::RootKey;
use quorum::{Plan, Quorum, RELEASE_NAMESPACE, ReleaseError, SignatureError};
use serde_json::{Value, json};

/// What the shares are encrypted to; nobody opens them here.
const SHARE_KEYS: [&str; 3] = [
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    include_str!("vectors/keys/rsa-2048.pem"),
    include_str!("vectors/keys/rsa-4096.pem"),
];

#[test]
fn what_ssh_keygen_signs_is_authorized() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "there is no ssh-keygen");
        eprintln!("SKIPPED: there is no ssh-keygen");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = [
        ("ada", "ed25519", "256"),
        ("grace", "ecdsa", "256"),
        ("mary", "rsa", "3072"),
    ];
    let operators: Vec<Value> = keys
        .iter()
        .zip(SHARE_KEYS)
        .map(|((name, kind, bits), key)| {
            let comment = format!("{name} @ work");
            let made = ["-t", kind, "-b", bits, "-N", "", "-C", &comment, "-f", name];
            ssh_keygen(folder, &made);
            let signing_key = fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap();
            json!({ "name": name, "key": key, "signing_key": signing_key })
        })
        .collect();
    let plan = json!({ "threshold": 2, "operators": operators, "administrator": SHARE_KEYS[0] });
    let plan = Plan::from_json(plan.to_string().as_bytes()).unwrap();
    let mut random = UnwrapErr(SysRng);
    let root_key = RootKey::generate(&mut random);
    let (quorum, _) = Quorum::establish(&plan, &root_key, &mut random).unwrap();
    let quorum = Quorum::from_bytes(quorum.as_bytes()).unwrap();
    let quorum = quorum.verify(&root_key).unwrap();

    let manifest = include_bytes!("vectors/release/release.json");
    fs::write(folder.join("release.json"), manifest).unwrap();
    let mut signatures = Vec::new();
    for (name, _, _) in keys {
        for hash in ["sha256", "sha512"] {
            let signature = sign(folder, name, RELEASE_NAMESPACE, hash);
            signatures.push((name, signature));
        }
    }
    for (name, signature) in &signatures {
        let alone = quorum.authorize(manifest, &[signature]).unwrap_err();
        let expected = ReleaseError::TooFewSigners {
            signers: vec![(*name).to_owned()],
            threshold: 2,
        };
        assert_eq!(alone, expected);
        let other = quorum.authorize(b"{}", &[signature]).unwrap_err();
        let error = SignatureError::Altered((*name).to_owned());
        assert_eq!(other, ReleaseError::Signature { number: 1, error });
    }
    let all: Vec<&str> = signatures.iter().map(|(_, text)| text.as_str()).collect();
    let authorized = quorum.authorize(manifest, &all).unwrap();
    assert_eq!(authorized.signers(), ["ada", "grace", "mary"]);

    let mail = sign(folder, "ada", "mail", "sha512");
    let refused = quorum.authorize(manifest, &[all[2], all[4], &mail]);
    let error = SignatureError::Namespace("mail".to_owned());
    let expected = ReleaseError::Signature { number: 3, error };
    assert_eq!(refused.unwrap_err(), expected);
}

/// A signature of `release.json`.
fn sign(folder: &Path, name: &str, namespace: &str, hash: &str) -> String {
    let hash = format!("hashalg={hash}");
    let signing = ["-Y", "sign", "-n", namespace, "-O", &hash, "-f", name];
    ssh_keygen(folder, &[&signing[..], &["release.json"]].concat());
    let file = folder.join("release.json.sig");
    let signature = fs::read_to_string(&file).expect("ssh-keygen has written it");
    // It would ask before it wrote another one over it.
    fs::remove_file(file).expect("it is ours");
    signature
}

fn ssh_keygen(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    let ended = command
        .arg("-q")
        .args(arguments)
        .current_dir(folder)
        .output();
    let ended = ended.expect("ssh-keygen was there before");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{arguments:?}: {told}");
}
