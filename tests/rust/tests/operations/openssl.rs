//! What the SDK is not to be trusted with: the `openssl` command, on files in the build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Encrypts with RSAES_OAEP_SHA_256.
pub fn encrypt(public_key: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER"]);
    openssl.args(["-pkeyopt", "rsa_padding_mode:oaep"]);
    openssl.args(["-pkeyopt", "rsa_oaep_md:sha256"]);
    openssl.arg("-inkey").arg(file("public-key", public_key));
    openssl.arg("-in").arg(file("plaintext", plaintext));
    output(&mut openssl)
}

/// Panics unless a signature over SHA-384 of `message` is right.
pub fn verify_sha384(public_key: &[u8], message: &[u8], signature: &[u8]) {
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha384", "-keyform", "DER"]);
    openssl.arg("-verify").arg(file("public-key", public_key));
    openssl.arg("-signature").arg(file("signature", signature));
    openssl.arg(file("message", message));
    output(&mut openssl);
}

pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-binary", "-mac", "HMAC", "-macopt"]);
    openssl.arg(format!("hexkey:{digits}"));
    openssl.arg(file("message", message));
    output(&mut openssl)
}

/// The public half of a private key, both as DER.
pub fn public_half(private_key: &[u8]) -> Vec<u8> {
    let mut openssl = Command::new("openssl");
    openssl.args(["pkey", "-inform", "DER", "-pubout", "-outform", "DER"]);
    openssl.arg("-in").arg(file("private-key", private_key));
    output(&mut openssl)
}

/// A path in the build folder.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = path(name);
    fs::write(&path, content).expect("a file in the build folder");
    path
}

/// What a command writes to its standard output; it must succeed.
pub fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}
