//! The program around the library: settings, log, signals, exit codes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::error::EnclaveError;
use crate::log::log_to_stderr;

/// Runs the program to its end: exit code 0 after SIGTERM, SIGINT, or when `stop` completes.
///
/// The settings are read from the file, or from standard input when its name is `-`. Why it does
/// not start, or had to stop, is the last line on standard error.
pub fn main(settings: &Path, stop: impl Future<Output = ()>) -> ExitCode {
    log_to_stderr();
    match start(settings, stop) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

/// Says why the program ends.
pub(crate) fn fail(error: &dyn std::error::Error) -> ExitCode {
    // Nothing is left to be done where even this fails.
    let _ = writeln!(io::stderr(), "claviger-enclave: {error}");
    ExitCode::FAILURE
}

fn start(
    settings: &Path,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::from_json(&read(settings)?)?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stop => {}
            }
        };
        crate::run(config, shutdown).await?;
        Ok(())
    })
}

/// The settings' text, which may hold the secrets of a seed.
fn read(settings: &Path) -> Result<Zeroizing<Vec<u8>>, EnclaveError> {
    let mut text = Zeroizing::new(Vec::new());
    let read = if settings == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text)
    } else {
        File::open(settings).and_then(|mut file| file.read_to_end(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(source) => Err(EnclaveError::File {
            path: settings.to_owned(),
            source,
        }),
    }
}

/// Every connection takes a file descriptor, and many systems start a process with 1024 although
/// it may have far more. If the limit can't be raised, accepting a connection beyond it fails, is
/// logged, and tried again.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
