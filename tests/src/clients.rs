//! Clients from the package registries, installed into the build folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A virtual environment with all of `tests/python/requirements.txt`; returns its folder.
///
/// # Panics
///
/// When the packages can't be installed: a machine without them has not run the tests.
pub fn python() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let requirements = crate::workspace().join("tests/python/requirements.txt");
        install("python", &[&requirements], |folder| {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder));
            let install = || {
                let mut pip = pip(folder, "install");
                pip.arg("--requirement").arg(&requirements);
                pip
            };
            run_twice(install);
        })
    })
}

/// A virtual environment with all of `tests/peers/requirements.txt`, and in its folder `sources` the
/// unpacked sdists of `tests/peers/sources.txt`; returns its folder.
///
/// # Panics
///
/// When the packages can't be installed: a machine without them has not run the tests.
pub fn peers() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let peers = crate::workspace().join("tests/peers");
        let requirements = peers.join("requirements.txt");
        let sources = peers.join("sources.txt");
        install("peers", &[&requirements, &sources], |folder| {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder));
            run_twice(|| {
                let mut pip = pip(folder, "install");
                pip.arg("--requirement").arg(&requirements);
                pip
            });
            let sdists = folder.join("sdists");
            run_twice(|| {
                let mut pip = pip(folder, "download");
                pip.arg("--no-deps").arg("--dest").arg(&sdists);
                pip.arg("--requirement").arg(&sources);
                pip
            });
            let unpacked = folder.join("sources");
            fs::create_dir(&unpacked).expect("a folder for the sources");
            for sdist in fs::read_dir(&sdists).expect("the sdists") {
                let sdist = sdist.expect("an sdist").path();
                let mut tar = Command::new("tar");
                run(tar.arg("-xzf").arg(sdist).arg("-C").arg(&unpacked));
            }
        })
    })
}

/// A folder with the `node_modules` of `tests/node/package-lock.json`.
///
/// # Panics
///
/// When the packages can't be installed: a machine without them has not run the tests.
pub fn node() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let source = crate::workspace().join("tests/node");
        let package = source.join("package.json");
        let lock = source.join("package-lock.json");
        install("node", &[&package, &lock], |folder| {
            fs::create_dir_all(folder).expect("a folder for node_modules");
            for file in [&package, &lock] {
                let name = file.file_name().expect("a file");
                fs::copy(file, folder.join(name)).expect("a copy of the package list");
            }
            let npm = || {
                let mut npm = Command::new("npm");
                npm.args([
                    "ci",
                    "--no-audit",
                    "--no-fund",
                    "--omit-lockfile-registry-resolved",
                ])
                .current_dir(folder);
                npm
            };
            run_twice(npm);
        })
    })
}

/// `target/clients/<name>`, for what a client's own tools put there.
pub fn folder(name: &str) -> PathBuf {
    crate::build_folder().join("clients").join(name)
}

/// Fills `target/clients/<name>` unless it was filled from the same `lists` before.
fn install(name: &str, lists: &[&Path], fill: impl FnOnce(&Path)) -> PathBuf {
    let clients = crate::build_folder().join("clients");
    fs::create_dir_all(&clients).expect("the build folder can be written");
    // Test programs may run side by side; one of them installs.
    let lock = File::create(clients.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock can be taken");

    let wanted: String = lists
        .iter()
        .map(|list| fs::read_to_string(list).expect("a package list"))
        .collect();
    let folder = self::folder(name);
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return folder;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an outdated folder can be removed");
    }
    fill(&folder);
    fs::write(&stamp, wanted).expect("the stamp can be written");
    folder
}

/// The pip of a virtual environment, told what to do.
fn pip(folder: &Path, subcommand: &str) -> Command {
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        subcommand,
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]);
    pip
}

/// Registries fail now and then: one more try.
fn run_twice(command: impl Fn() -> Command) {
    if !succeeds(&mut command()) {
        run(&mut command());
    }
}

fn run(command: &mut Command) {
    assert!(succeeds(command), "failed: {command:?}");
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).status();
    status
        .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"))
        .success()
}
