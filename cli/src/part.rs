//! The enclave and the host proxy as hidden subcommands of this binary.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Options of the hidden `enclave` subcommand.
#[derive(Args)]
pub(crate) struct EnclaveOptions {
    /// The enclave's settings, as JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop when standard input closes, as it does when the parent ends
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Options of the hidden `host-proxy` subcommand.
#[derive(Args)]
pub(crate) struct HostProxyOptions {
    #[command(flatten)]
    program: host_proxy::Program,
    /// Stop when standard input closes, as it does when the parent ends
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs the enclave process.
pub(crate) fn enclave(options: EnclaveOptions) -> ExitCode {
    enclave::main(&options.config, parent_ended(options.until_stdin_closes))
}

/// Runs the host proxy process.
pub(crate) fn host_proxy(options: HostProxyOptions) -> ExitCode {
    host_proxy::main(options.program, parent_ended(options.until_stdin_closes))
}

/// Resolves when standard input closes, if that is what to wait for.
pub(crate) async fn parent_ended(by_stdin: bool) {
    if !by_stdin {
        return std::future::pending().await;
    }
    // A thread of its own, because the runtime would wait for one of its own
    // to return from the read before it ends.
    let (ended, waiting) = oneshot::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = ended.send(());
    });
    let _ = waiting.await;
}

/// SIGTERM and SIGINT, from the moment this is made: none is missed between
/// two waits.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over both signals.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves when one of them arrives, or has arrived.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}
