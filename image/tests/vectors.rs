//! Images and measurements that `vectors/make.py` made, without any of this crate's code.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use image::eif::{Architecture, Eif};
use image::measurements::{Measurements, Pcr};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn known() -> Value {
    let text = fs::read(folder().join("pcrs.json")).expect("the vectors are there");
    serde_json::from_slice(&text).expect("they are JSON")
}

#[test]
fn images_are_measured_as_python_measures_them() {
    let known = known();
    for name in [
        "one-ramdisk",
        "two-ramdisks",
        "no-metadata",
        "three-ramdisks-aarch64",
        "signed",
    ] {
        let file = fs::read(folder().join(name).with_extension("eif")).unwrap();
        let image = Eif::parse(&file).unwrap();
        let measured = Measurements::of(&image).unwrap();
        let pcr8 = measured.pcr8.map(|pcr| pcr.to_string());
        assert_eq!(known[name]["PCR0"], measured.pcr0.to_string(), "{name}");
        assert_eq!(known[name]["PCR1"], measured.pcr1.to_string(), "{name}");
        assert_eq!(known[name]["PCR2"], measured.pcr2.to_string(), "{name}");
        assert_eq!(known[name]["PCR8"].as_str(), pcr8.as_deref(), "{name}");
        assert_eq!(image.to_bytes().unwrap(), file, "{name}");
    }
}

#[test]
fn the_parent_is_measured_as_python_measures_it() {
    let known = &known()["parent"];
    let role = Pcr::of_role("arn:aws:iam::123456789012:role/Example");
    assert_eq!(known["PCR3"], role.to_string());
    assert_eq!(
        known["PCR4"],
        Pcr::of_instance("i-0123456789abcdef0").to_string()
    );
}

#[test]
fn an_image_has_the_bytes_that_python_writes() {
    let made = Eif::new(Architecture::X86_64, b"a kernel", "console=ttyS0")
        .with_ramdisk(&[1; 100])
        .with_ramdisk(&[2; 200])
        .to_bytes()
        .unwrap();
    assert_eq!(made, fs::read(folder().join("no-metadata.eif")).unwrap());
}

#[test]
fn python_makes_the_same_vectors_again() {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vectors");
    fs::create_dir_all(&made).unwrap();
    let script = Command::new("python3")
        .arg(folder().join("make.py"))
        .arg(&made)
        .status();
    match script {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: there is no python3");
            return;
        }
        other => assert!(other.unwrap().success()),
    }
    let mut files = 0;
    for file in fs::read_dir(&made).unwrap() {
        let file = file.unwrap();
        let committed = fs::read(folder().join(file.file_name())).unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), committed, "{file:?}");
        files += 1;
    }
    assert_eq!(files, 6);
}
