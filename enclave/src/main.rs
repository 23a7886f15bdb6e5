//! `claviger-enclave [--config FILE]`: the enclave's process, or the whole of its machine's.

use std::env;
use std::ffi::OsString;
use std::future::pending;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: claviger-enclave [--config FILE]

FILE holds the settings as JSON; `-`, or no option, reads them from standard input.";

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if enclave::is_init() {
        return enclave::init();
    }
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => enclave::main(Path::new("-"), pending()),
        [option, file] if option == "--config" => enclave::main(Path::new(file), pending()),
        [option] if option == "--help" || option == "-h" => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}
