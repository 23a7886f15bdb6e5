//! The host proxy as a program of its own.

use std::process::ExitCode;

use clap::Parser;

/// Lends network and disk to a Claviger enclave, and is trusted with neither.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(flatten)]
    program: host_proxy::Program,
}

fn main() -> ExitCode {
    host_proxy::main(Command::parse().program, std::future::pending())
}
