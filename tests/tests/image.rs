//! `claviger image`: built from parts, read back, refused.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// The smallest static program: an ELF header for x86-64 and one segment.
fn static_program() -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56];
    bytes[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    for (at, value) in [
        (16, 2),
        (18, 62),
        (20, 1),
        (32, 64),
        (52, 64),
        (54, 56),
        (56, 1),
        (64, 1),
    ] {
        bytes[at] = value;
    }
    bytes[25] = 0x10;
    bytes
}

/// A folder with everything that an image needs.
fn parts() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, content: &[u8]| {
        fs::write(folder.path().join(name), content).expect("written");
    };
    write("bzImage", b"a kernel");
    write("cmdline", b"console=ttyS0 reboot=k\n");
    write("virtio_mmio.ko", b"\x7fELF one");
    write("nsm.ko", b"\x7fELF two");
    write("enclave", &static_program());
    let config = json!({
        "listen": "vsock:16:5000",
        "host": "vsock:3:5001",
        "account": "123456789012",
        "nsm": { "simulated": { "ca": "ca.pem" } },
        "root_key": { "dev_file": "root-key.json" },
    });
    write("enclave.json", config.to_string().as_bytes());
    folder
}

const BUILD: &[&str] = &[
    "build",
    "--kernel",
    "bzImage",
    "--cmdline-file",
    "cmdline",
    "--module",
    "virtio_mmio.ko",
    "--module",
    "nsm.ko",
    "--binary",
    "enclave",
    "--config",
    "enclave.json",
    "--output",
    "enclave.eif",
];

fn image(folder: &Path, arguments: &[&[&str]]) -> Output {
    Command::new(claviger_tests::claviger())
        .arg("image")
        .args(arguments.concat())
        .current_dir(folder)
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .expect("claviger starts")
}

/// What it printed, if it succeeded.
fn measurements(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    printed["Measurements"].clone()
}

/// Why it failed.
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_builds_are_alike_and_measured_alike() {
    let folders = [parts(), parts()];
    let mut built = Vec::new();
    for folder in &folders {
        let output = image(folder.path(), &[BUILD, &["--simulation"]]);
        let measured = measurements(&output);
        assert_eq!(measured["HashAlgorithm"], "Sha384 { ... }");
        let again = image(folder.path(), &[&["pcrs", "enclave.eif"]]);
        assert_eq!(measurements(&again), measured);
        let file = fs::read(folder.path().join("enclave.eif")).expect("the image");
        built.push((file, measured));
        // File times are the only thing that a second build could see of the day.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    assert!(built[0] == built[1], "two builds of the same parts differ");
}

#[test]
fn each_part_is_measured_where_it_belongs() {
    let folder = parts();
    let build = |arguments: &[&str]| {
        let output = image(folder.path(), &[BUILD, &["--simulation"], arguments]);
        let measured = measurements(&output);
        ["PCR0", "PCR1", "PCR2"].map(|name| measured[name].as_str().expect("a PCR").to_owned())
    };
    let base = build(&[]);
    let named = build(&["--name", "other", "--version", "2"]);
    assert_eq!(named, base, "a name is not measured");

    let path = folder.path().join("nsm.ko");
    let module = fs::read(&path).expect("a module");
    fs::write(&path, b"\x7fELF other").expect("written");
    let changed = build(&[]);
    assert!(changed[0] != base[0] && changed[1] != base[1] && changed[2] == base[2]);
    fs::write(&path, module).expect("written");

    let path = folder.path().join("enclave.json");
    let config = fs::read_to_string(&path).expect("the settings");
    fs::write(&path, config.replace("123456789012", "210987654321")).expect("written");
    let changed = build(&[]);
    assert!(changed[0] != base[0] && changed[1] == base[1] && changed[2] != base[2]);
}

#[test]
fn settings_of_an_enclave_that_operators_hold_need_no_permission() {
    let folder = parts();
    let mut config = json!({
        "listen": "vsock:16:5000",
        "host": "vsock:3:5001",
        "account": "123456789012",
        "tls": { "names": ["kms.example.test"] },
        "nsm": "device",
        "root_key": "quorum",
    });
    let path = folder.path().join("enclave.json");
    fs::write(&path, config.to_string()).expect("written");
    measurements(&image(folder.path(), &[BUILD]));
    config.as_object_mut().expect("an object").remove("tls");
    fs::write(&path, config.to_string()).expect("written");
    let refused = refusal(&image(folder.path(), &[BUILD]));
    assert!(refused.contains("without `tls`"), "{refused}");
}

#[test]
fn known_images_have_their_known_measurements() {
    let vectors = claviger_tests::workspace().join("image/tests/vectors");
    let text = fs::read(vectors.join("pcrs.json")).expect("the vectors");
    let known: Value = serde_json::from_slice(&text).expect("JSON");
    let arguments = [
        "--role-arn",
        "arn:aws:iam::123456789012:role/Example",
        "--instance-id",
        "i-0123456789abcdef0",
    ];
    for name in ["two-ramdisks", "signed"] {
        let file = format!("{name}.eif");
        let output = image(&vectors, &[&["pcrs", &file], &arguments]);
        let mut measured = measurements(&output);
        measured
            .as_object_mut()
            .expect("an object")
            .remove("HashAlgorithm");
        let mut expected = known[name].clone();
        for pcr in ["PCR3", "PCR4"] {
            expected[pcr] = known["parent"][pcr].clone();
        }
        assert_eq!(measured, expected, "{name}");
    }
}

#[test]
fn what_can_not_be_an_enclave_is_refused() {
    let folder = parts();
    let path = |name: &str| folder.path().join(name);

    let told = refusal(&image(folder.path(), &[BUILD]));
    assert!(
        told.contains("nsm.simulated, root_key.dev_file is for simulation"),
        "{told}"
    );
    assert!(!path("enclave.eif").exists());

    let build = || refusal(&image(folder.path(), &[BUILD, &["--simulation"]]));
    let config = fs::read(path("enclave.json")).expect("the settings");
    fs::write(path("enclave.json"), br#"{"lisen": 1}"#).expect("written");
    let told = build();
    assert!(told.contains("unknown field `lisen`"), "{told}");
    fs::write(path("enclave.json"), config).expect("written");

    fs::copy(claviger_tests::claviger(), path("enclave")).expect("copied");
    let told = build();
    assert!(told.contains("enclave: not static"), "{told}");
    fs::write(path("enclave"), static_program()).expect("written");

    fs::write(path("nsm.ko"), b"\xfd7zXZ\0").expect("written");
    let told = build();
    assert!(told.contains("nsm.ko: not a kernel module"), "{told}");
    fs::write(path("nsm.ko"), b"\x7fELF").expect("written");

    measurements(&image(folder.path(), &[BUILD, &["--simulation"]]));
    let mut file = fs::read(path("enclave.eif")).expect("the image");
    *file.last_mut().expect("some bytes") ^= 1;
    fs::write(path("enclave.eif"), file).expect("written");
    let told = refusal(&image(folder.path(), &[&["pcrs", "enclave.eif"]]));
    assert!(told.contains("the file is damaged"), "{told}");
}
