//! The `claviger` command: a simulated key server in one command (`dev`), the
//! attested data key played on screen (`demo`), attestation documents for
//! anyone's tests (`attest`), a CA bundle for the one enclave that is meant
//! (`trust`), the operators' part in the life of its root key (`genesis`,
//! `unseal`, `reshare`, `handover`), backups of its sealed records (`backup`,
//! `restore`), enclave images (`image`), and how fast it all is (`bench`).
//!
//! The same binary also starts the enclave and the host proxy (hidden
//! subcommands around their libraries' entry points), so that one file on the
//! path is enough to run them as the separate processes they are.

pub mod attest;
pub mod backup;
pub mod bench;
pub mod client;
pub mod credentials;
pub mod demo;
pub mod dev;
pub mod handover;
pub mod image;
pub mod operators;
mod part;
mod process;
mod random;
pub mod reshare;
mod screen;
pub mod server;
pub mod trust;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A key server you can verify.
#[derive(Parser)]
#[command(name = "claviger", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a simulated enclave and its host proxy, ready for any AWS SDK
    Dev(dev::Options),
    /// Play the attested data key on screen, step by step
    Demo(demo::Options),
    /// Make, print, verify attestation documents, and open what was sealed to one
    #[command(subcommand)]
    Attest(attest::Command),
    /// Verify the enclave behind an endpoint, then write the CA bundle that stands for it
    Trust(trust::Options),
    /// Have a new enclave make its root key, in shares for its operators
    Genesis(operators::GenesisOptions),
    /// Give an operator's share to a sealed enclave
    Unseal(operators::UnsealOptions),
    /// Change who holds the shares of an enclave's root key
    #[command(subcommand)]
    Reshare(reshare::Command),
    /// Have a sealed enclave take over from the one that serves
    Handover(handover::Options),
    /// Write a host's sealed records of one moment to a file, while all goes on
    Backup(backup::BackupOptions),
    /// Make the record store of a new host from a backup
    Restore(backup::RestoreOptions),
    /// Measure how fast the server is, and how close to what the processor allows
    Bench(bench::Options),
    /// Build enclave images, and print their measurements
    #[command(subcommand)]
    Image(image::Command),
    /// Run the enclave process (started by `dev`)
    #[command(hide = true)]
    Enclave(part::EnclaveOptions),
    /// Run the host proxy process (started by `dev`)
    #[command(hide = true)]
    HostProxy(part::HostProxyOptions),
    /// Run a server in the enclave's place that only speaks HTTP (started by `bench`)
    #[command(hide = true)]
    BareEnclave(bench::bare::BareOptions),
}

/// Runs the command line and says how it ended.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Dev(options) => runtime(dev::run(options)),
        Command::Demo(options) => runtime(demo::run(options)),
        Command::Attest(command) => attest::run(command),
        Command::Trust(options) => runtime(trust::run(options)),
        Command::Genesis(options) => runtime(operators::genesis(options)),
        Command::Unseal(options) => runtime(operators::unseal(options)),
        Command::Reshare(command) => runtime(reshare::run(command)),
        Command::Handover(options) => runtime(handover::run(options)),
        Command::Backup(options) => backup::back_up(options),
        Command::Restore(options) => backup::restore(options),
        Command::Bench(options) => runtime(bench::run(options)),
        Command::Image(command) => image::run(command),
        Command::Enclave(options) => return part::enclave(options),
        Command::HostProxy(options) => return part::host_proxy(options),
        Command::BareEnclave(options) => return bench::bare::bare_enclave(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("claviger: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether whoever read the output has had enough of it, which is no failure.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// What ends a command early, for the person at the terminal.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

fn runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
