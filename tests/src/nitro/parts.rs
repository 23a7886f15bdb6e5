//! What an emulated machine is made of; fetched and built on first use.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use image::archive::Archive;
use image::ramdisk::{self, Module};

/// The monitor of the stock machine.
const STOCK_QEMU: &str = "qemu-system-x86_64";

/// The target of the enclave's static build. Saying it keeps the flags of that build away from
/// what runs while building.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What Debian has of a machine.
#[derive(Debug)]
pub struct Debian {
    /// The kernel.
    pub kernel: PathBuf,
    /// Its modules, in the order of loading.
    pub modules: Vec<PathBuf>,
}

/// The stock monitor and kernel, if this machine has or can have them.
pub fn debian() -> Option<&'static Debian> {
    static DEBIAN: OnceLock<Option<Debian>> = OnceLock::new();
    let get = || {
        if !runs(STOCK_QEMU, "--version") || !runs("apt-get", "--version") {
            skip("install qemu-system-x86 on Debian");
            return None;
        }
        let folder = crate::build_folder().join("nitro/kernel");
        run(script("kernel").arg(&folder));
        let modules = fs::read_dir(folder.join("modules")).expect("the kernel's modules");
        let mut modules: Vec<_> = modules
            .map(|entry| entry.expect("a module").path())
            .collect();
        modules.sort();
        Some(Debian {
            kernel: folder.join("vmlinuz"),
            modules,
        })
    };
    DEBIAN.get_or_init(get).as_ref()
}

/// The stock monitor.
pub fn stock_qemu() -> &'static Path {
    Path::new(STOCK_QEMU)
}

/// The monitor that `tests/nitro/qemu/build` has built, if it has: at `CLAVIGER_QEMU`, or in the
/// user's cache.
pub fn nitro_qemu() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("CLAVIGER_QEMU") {
        let qemu = Path::new(&folder).join(STOCK_QEMU);
        assert!(qemu.exists(), "no {} of CLAVIGER_QEMU", qemu.display());
        return Some(qemu);
    }
    let of_home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let folder = cache.or_else(of_home)?.join("claviger/qemu");
    let qemu = folder.join(STOCK_QEMU);
    if !qemu.exists() {
        skip("bash tests/nitro/qemu/build ~/.cache/claviger/qemu");
        return None;
    }
    Some(qemu)
}

/// The vsock device of `tests/nitro`.
pub fn vsock_device() -> &'static Path {
    static DEVICE: OnceLock<PathBuf> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let target = crate::clients::folder("nitro");
        let mut build = cargo();
        build
            .args(["build", "--quiet", "--locked"])
            .current_dir(crate::workspace().join("tests/nitro"))
            .env("CARGO_TARGET_DIR", &target);
        run(&mut build);
        target.join("debug/claviger-vsock-device")
    })
}

/// The enclave's program with simulation, in one piece: there is nothing else in its image.
/// `CLAVIGER_STATIC_ENCLAVE` names another one.
pub fn enclave() -> &'static [u8] {
    static ENCLAVE: OnceLock<Vec<u8>> = OnceLock::new();
    ENCLAVE.get_or_init(|| {
        let built = match std::env::var_os("CLAVIGER_STATIC_ENCLAVE") {
            Some(given) => PathBuf::from(given),
            None => build_enclave(),
        };
        let small = crate::build_folder().join("nitro/claviger-enclave");
        fs::create_dir_all(small.parent().expect("a folder")).expect("the build folder");
        run(Command::new("strip").arg("-o").arg(&small).arg(built));
        fs::read(small).expect("the enclave's program")
    })
}

fn build_enclave() -> PathBuf {
    let mut build = cargo();
    build
        .args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "claviger-enclave",
        ])
        .args(["--features", "simulation", "--target", TARGET])
        .current_dir(crate::workspace())
        .env("CARGO_TARGET_DIR", crate::build_folder())
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut build);
    crate::build_folder()
        .join(TARGET)
        .join("debug/claviger-enclave")
}

/// The ramdisks of an image: what starts the machine; the enclave and its settings; and files for
/// this test alone, which a release image has no place for.
pub fn ramdisks(debian: &Debian, settings: &[u8], files: &[(&str, &[u8])]) -> [Vec<u8>; 3] {
    let contents: Vec<_> = debian
        .modules
        .iter()
        .map(|path| fs::read(path).expect("a module"))
        .collect();
    let names = debian.modules.iter().map(|path| {
        // 10-virtio_mmio.ko
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        stem.and_then(|stem| stem.split_once('-'))
            .expect("a numbered module")
            .1
    });
    let modules: Vec<_> = std::iter::zip(names, &contents)
        .map(|(name, content)| Module { name, content })
        .collect();
    let mut archive = Archive::new();
    for (name, content) in files {
        archive = archive.file(*name, 0o600, content);
    }
    let first = ramdisk::first(&modules).expect("the first ramdisk");
    let second = ramdisk::second(enclave(), settings).expect("the second ramdisk");
    // An archive that is not compressed begins where the kernel finds a word, after any zeros.
    let mut third = vec![0; (first.len() + second.len()).wrapping_neg() % 4];
    third.extend(archive.finish().expect("the test's ramdisk"));
    [first, second, third]
}

/// Says past libtest's capture what this machine lacks. In CI that is a failure, unless CI itself
/// has said that it goes without.
fn skip(what: &str) {
    let is_expected =
        std::env::var_os("CI").is_none() || std::env::var_os("CLAVIGER_NO_NITRO").is_some();
    assert!(is_expected, "no emulated machine: {what}");
    let mut report = std::io::stdout().lock();
    writeln!(report, "**** SKIPPED: the emulated machine: {what}").expect("standard output");
}

fn script(name: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(crate::workspace().join("tests/nitro").join(name));
    command
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn runs(program: &str, option: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg(option)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status();
    let status = status.unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
