//! What process 1 owes its machine, when this program is the `/init` of the enclave's ramdisk.
//!
//! In an image built by `claviger image` there is nothing but the kernel, its modules, this program
//! and its settings, so this program brings the machine up itself: it mounts the kernel's file
//! systems, loads the modules, tells the parent that the enclave is up, serves, and restarts the
//! machine when it has ended, which for an enclave is the end. It starts no other process, so no
//! orphan is ever left to it. In an image built by `nitro-cli` process 1 is AWS's, which does all
//! that and starts this program like any other.
//!
//! The kernel's command line is not part of what a secure module of every kind measures, and the
//! kernel hands words it doesn't know to process 1: as arguments, and as environment variables,
//! which libraries read. So nothing here reads `/proc/cmdline`, and the first thing that process 1
//! does is to start itself again with no argument and no variable.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs, process};

use link::Address;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, init_module, reboot};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::error::EnclaveError;
use crate::log::{Notice, drain, log_to_stderr};

/// The path by which the kernel starts process 1 from a ramdisk.
const INIT: &str = "/init";

/// Where the image has the settings.
const SETTINGS: &str = "/etc/claviger/enclave.json";

/// Where the image has the kernel's modules, in the order of their names.
const MODULES: &str = "/modules";

/// The parent instance, and the port where it waits for word of a new enclave.
const PARENT: Address = Address::Vsock { cid: 3, port: 9000 };

/// The byte that an enclave sends its parent when it is up, and gets back.
const HEARTBEAT: u8 = 0xb7;

/// How long the parent may take to answer.
const PARENT_PATIENCE: Duration = Duration::from_secs(5);

/// The kernel's file systems, each with a path that exists once it is mounted. A ramdisk may come
/// with some devices of its own.
const FILE_SYSTEMS: [FileSystem; 3] = [
    FileSystem::new("proc", "/proc", "/proc/self"),
    FileSystem::new("sysfs", "/sys", "/sys/kernel"),
    FileSystem::new("devtmpfs", "/dev", "/dev/zero"),
];

/// Whether this process has been started by the kernel, as the first one of its machine.
///
/// A container also calls its first process 1, but not by this name.
pub fn is_init() -> bool {
    process::id() == 1 && env::args_os().next().is_some_and(|name| name == INIT)
}

/// Boots the machine, serves, and restarts the machine. To be called at the start of the program,
/// if [`is_init`].
pub fn init() -> ExitCode {
    log_to_stderr();
    let code = match bring_up() {
        Ok(()) => crate::main(Path::new(SETTINGS), std::future::pending()),
        Err(error) => crate::program::fail(&error),
    };
    // The console has to have it all before the machine goes.
    drain();
    // A machine that does not even restart can't be told anything.
    let _ = reboot(RebootCommand::Restart);
    code
}

fn bring_up() -> Result<(), EnclaveError> {
    let [proc, others @ ..] = FILE_SYSTEMS;
    proc.provide()?;
    if is_influenced(env::args_os(), env::vars_os()) {
        return match start_again() {
            Err(error) => Err(error),
        };
    }
    others.iter().try_for_each(FileSystem::provide)?;
    let modules = load_modules(Path::new(MODULES), |image| init_module(image, c""))?;
    Notice::Booted { modules }.log();
    tell_parent(&PARENT);
    Ok(())
}

/// Whether anything but the program's name comes from outside.
fn is_influenced(
    arguments: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> bool {
    arguments.skip(1).count() + variables.count() > 0
}

/// Replaces this process by one that is influenced by nothing. Returns only if that fails.
fn start_again() -> Result<Infallible, EnclaveError> {
    let source = Command::new("/proc/self/exe").arg0(INIT).env_clear().exec();
    Err(boot_error("start again", source))
}

/// One of the kernel's file systems.
struct FileSystem {
    name: &'static str,
    folder: &'static str,
    sign: &'static str,
}

impl FileSystem {
    const fn new(name: &'static str, folder: &'static str, sign: &'static str) -> Self {
        Self { name, folder, sign }
    }

    /// Mounts it, unless it is.
    fn provide(&self) -> Result<(), EnclaveError> {
        if Path::new(self.sign).exists() {
            return Ok(());
        }
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        fs::create_dir_all(self.folder)
            .and_then(|()| Ok(mount(self.name, self.folder, self.name, flags, None)?))
            .map_err(|source| boot_error(format!("mount {}", self.folder), source))
    }
}

/// Loads all modules in a folder in the order of their names; returns how many there were. A kernel
/// that has everything built in comes without the folder.
fn load_modules(
    folder: &Path,
    load: impl Fn(&[u8]) -> rustix::io::Result<()>,
) -> Result<usize, EnclaveError> {
    let modules = match names_in(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        names => names.map_err(|source| boot_error("list the modules", source))?,
    };
    for module in &modules {
        let loaded = fs::read(module).and_then(|image| match load(&image) {
            // Built in, or brought along by another one.
            Err(Errno::EXIST) => Ok(()),
            other => Ok(other?),
        });
        loaded.map_err(|source| boot_error(format!("load {}", module.display()), source))?;
    }
    Ok(modules.len())
}

fn names_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Tells the parent that the enclave is up. `nitro-cli` waits for it; other parents need not, and
/// an enclave serves without a parent that listens.
fn tell_parent(parent: &Address) {
    let told = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| {
            runtime
                .block_on(async { timeout(PARENT_PATIENCE, heartbeat(parent)).await })
                .map_err(io::Error::from)?
        });
    if let Err(error) = told {
        Notice::ParentSilent { kind: error.kind() }.log();
    }
}

async fn heartbeat(parent: &Address) -> io::Result<()> {
    let mut stream = link::connect(parent).await?;
    stream.write_all(&[HEARTBEAT]).await?;
    match stream.read_u8().await? {
        HEARTBEAT => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn boot_error(step: impl Into<String>, source: io::Error) -> EnclaveError {
    EnclaveError::Boot {
        step: step.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn tests_are_not_process_1() {
        assert!(!is_init());
    }

    #[test]
    fn any_argument_and_any_variable_is_an_influence() {
        let arguments = |text: &'static [&str]| text.iter().map(OsString::from);
        let variables = |text: &'static [&str]| {
            let text = text.iter();
            text.map(|name| (OsString::from(name), OsString::new()))
        };
        assert!(!is_influenced(arguments(&["/init"]), variables(&[])));
        assert!(is_influenced(
            arguments(&["/init", "--config"]),
            variables(&[])
        ));
        // What the kernel itself always sets.
        assert!(is_influenced(arguments(&["/init"]), variables(&["HOME"])));
    }

    #[test]
    fn what_is_mounted_stays_as_it_is() {
        // Mounting would fail: neither does the file system exist, nor may a test mount one.
        let there = FileSystem::new("nonesuch", "/", "/");
        there.provide().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let folder: &'static str = folder.keep().to_str().unwrap().to_owned().leak();
        let absent = FileSystem::new("nonesuch", folder, "/nonexistent");
        let error = absent.provide().unwrap_err();
        assert!(matches!(error, EnclaveError::Boot { step, .. } if step.ends_with(folder)));
        fs::remove_dir(folder).unwrap();
    }

    #[test]
    fn modules_are_loaded_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("20-b.ko", "second"),
            ("30-a.ko", "third"),
            ("10-c.ko", "first"),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let loaded = RefCell::new(Vec::new());
        let load = |image: &[u8]| {
            loaded.borrow_mut().push(image.to_vec());
            match image {
                b"second" => Err(Errno::EXIST),
                _ => Ok(()),
            }
        };
        assert_eq!(load_modules(folder.path(), load).unwrap(), 3);
        assert_eq!(loaded.into_inner(), [&b"first"[..], b"second", b"third"]);
    }

    #[test]
    fn a_module_that_does_not_load_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("10-nsm.ko"), "").unwrap();
        let error = load_modules(folder.path(), |_| Err(Errno::NOEXEC)).unwrap_err();
        assert!(matches!(error, EnclaveError::Boot { step, .. } if step.ends_with("/10-nsm.ko")));
        let absent = folder.path().join("nonexistent");
        assert_eq!(load_modules(&absent, |_| Err(Errno::NOEXEC)).unwrap(), 0);
    }

    #[tokio::test]
    async fn the_parent_has_to_give_the_heartbeat_back() {
        let folder = tempfile::tempdir().unwrap();
        let parent = Address::Unix(folder.path().join("parent.sock"));
        let listener = link::listen(&parent).await.unwrap();
        for (answer, is_right) in [(HEARTBEAT, true), (!HEARTBEAT, false)] {
            let answering = async {
                let mut stream = listener.accept().await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), HEARTBEAT);
                stream.write_all(&[answer]).await.unwrap();
            };
            let ((), heard) = tokio::join!(answering, heartbeat(&parent));
            assert_eq!(heard.is_ok(), is_right);
        }
        drop(listener);
        heartbeat(&parent).await.unwrap_err();
    }
}
