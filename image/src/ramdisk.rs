//! The two ramdisks of this project's enclave.
//!
//! The first holds what any program of an enclave needs, the second the program with its settings:
//! so PCR1 measures what starts the machine, and PCR2 what runs on it.
//!
//! | ramdisk | holds |
//! |---|---|
//! | first | the folders `dev`, `proc`, `sys`, `modules`, `tmp`, `run`; kernel modules as `modules/00-NAME.ko`, in the order of loading |
//! | second | `init`, the enclave's program; `etc/claviger/enclave.json`, its settings |
//!
//! Each is a gzip of a cpio archive. The kernel unpacks one after the other.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};

use crate::archive::{Archive, ArchiveError};

/// The most modules: more would not sort by their two digits.
pub const MAX_MODULES: usize = 100;

/// Where the enclave's settings are, below the root.
pub const SETTINGS: &str = "etc/claviger/enclave.json";

/// The folders that the first ramdisk makes.
const FOLDERS: [&str; 6] = ["dev", "proc", "sys", "modules", "tmp", "run"];

/// gzip's own number for "unknown" (RFC 1952, section 2.3.1).
const UNKNOWN_SYSTEM: u8 = 255;

/// A kernel module.
#[derive(Clone, Copy, Debug)]
pub struct Module<'a> {
    /// Its name, without `.ko`.
    pub name: &'a str,
    /// The module, not compressed.
    pub content: &'a [u8],
}

/// The first ramdisk: folders, and modules in the order in which they are to be loaded.
///
/// # Errors
///
/// If a module's name is no file name, or there are more than [`MAX_MODULES`].
pub fn first(modules: &[Module<'_>]) -> Result<Vec<u8>, ArchiveError> {
    if modules.len() > MAX_MODULES {
        return Err(ArchiveError::TooManyModules);
    }
    let mut archive = Archive::new();
    for folder in FOLDERS {
        archive = archive.directory(folder);
    }
    for (index, module) in modules.iter().enumerate() {
        let name = format!("modules/{index:02}-{}.ko", module.name);
        archive = archive.file(name, 0o644, module.content);
    }
    Ok(compress(&archive.finish()?))
}

/// The second ramdisk: the enclave's program and its settings.
///
/// # Errors
///
/// If one of them is larger than an archive can hold.
pub fn second(program: &[u8], settings: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let archive = Archive::new()
        .file("init", 0o755, program)
        .directory("etc")
        .directory("etc/claviger")
        .file(SETTINGS, 0o644, settings);
    Ok(compress(&archive.finish()?))
}

/// gzip without a name, time or system.
///
/// The stream depends on the compressor, so its version is part of what a measurement depends on;
/// `Cargo.lock` fixes it, and a test notices when it changes.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_SYSTEM)
        .write(Vec::new(), Compression::best());
    writer
        .write_all(bytes)
        .and_then(|()| writer.finish())
        .unwrap_or_else(|_| unreachable!("memory takes what is written to it"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn names(ramdisk: &[u8]) -> Vec<String> {
        let mut archive = Vec::new();
        GzDecoder::new(ramdisk).read_to_end(&mut archive).unwrap();
        let mut rest = archive.as_slice();
        let mut names = Vec::new();
        loop {
            let reader = cpio::newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return names;
            }
            names.push(reader.entry().name().to_owned());
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn modules_keep_their_order() {
        let module = |name| Module {
            name,
            content: b"\x7fELF",
        };
        let ramdisk = first(&[module("virtio_mmio"), module("nsm")]).unwrap();
        assert_eq!(
            names(&ramdisk),
            [
                "dev",
                "proc",
                "sys",
                "modules",
                "tmp",
                "run",
                "modules/00-virtio_mmio.ko",
                "modules/01-nsm.ko"
            ]
        );
        assert!(first(&[module("../x")]).is_err());
        assert!(first(&vec![module("x"); MAX_MODULES]).is_ok());
        assert!(first(&vec![module("x"); MAX_MODULES + 1]).is_err());
    }

    #[test]
    fn the_program_comes_with_its_settings() {
        let ramdisk = second(b"program", b"{}").unwrap();
        assert_eq!(
            names(&ramdisk),
            ["init", "etc", "etc/claviger", "etc/claviger/enclave.json"]
        );
    }

    /// If this fails after an update of a dependency, every measurement has changed: say so in the
    /// changelog.
    #[test]
    fn the_same_parts_make_the_same_bytes() {
        let program: Vec<u8> = (0..100_000_u32)
            .map(|at| (at * 7 + at / 300).to_le_bytes()[0])
            .collect();
        let ramdisk = second(&program, b"{}").unwrap();
        assert_eq!(&ramdisk[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
        assert_eq!(
            hex::encode(Sha256::digest(&ramdisk)),
            "856d8a154a1fa5c172c84d82114f7aae8f3aab185571fd4fb05f9f4911312c7f"
        );
    }
}
