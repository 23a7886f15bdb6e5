//! The functions that every call goes through, measured by themselves.
//!
//! ```sh
//! cargo bench -p claviger-kms                              # their time, beside the cryptography's
//! cargo bench -p claviger-kms -- decrypt                   # of those with this in their name
//! cargo bench -p claviger-kms -- --keys 1000000            # for one of many keys, and one of a few
//! cargo bench -p claviger-kms -- --instructions            # their instructions, against the baseline
//! cargo bench -p claviger-kms -- --instructions --take     # what changed becomes the baseline
//! cargo bench -p claviger-kms -- --instructions --take --why "checks one more thing"
//! ```
//!
//! Times depend on the machine and on what else it does. Instructions do not: valgrind counts them
//! on a processor of its own, and time, randomness and requests are always the same. So CI compares
//! them with `instructions.json`. docs/performance.md tells more.

#![allow(
    clippy::unwrap_used,
    reason = "what meets nothing where something should be is no measurement"
)]

mod baseline;
mod callgrind;
mod cases;
mod documents;
mod floor;
mod many_keys;
#[path = "../../tests/engine/server.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod server;
#[path = "../../tests/state/store.rs"]
mod store;
mod times;
mod world;

use std::process::ExitCode;

use world::World;

/// What the command line asks for.
#[derive(Default)]
struct Options {
    /// Part of the names of what is measured.
    filter: String,
    instructions: bool,
    take: bool,
    why: Option<String>,
    /// Measure calls for one of so many keys.
    keys: Option<usize>,
    /// Be the process that valgrind runs, for the case of this name.
    call: Option<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
            match argument.as_str() {
                // From cargo.
                "--bench" => {}
                "--instructions" => options.instructions = true,
                "--take" => options.take = true,
                "--why" => options.why = Some(value()?),
                "--keys" => {
                    let keys = value()?.parse();
                    options.keys = Some(keys.map_err(|_| "--keys wants a number")?);
                }
                callgrind::CALL => options.call = Some(value()?),
                other if other.starts_with("--") => return Err(format!("no option {other}")),
                _ => options.filter = argument,
            }
        }
        if (options.take || options.why.is_some()) && !options.instructions {
            return Err("--take and --why go with --instructions".to_owned());
        }
        if options.keys.is_some() && (options.instructions || !options.filter.is_empty()) {
            return Err("--keys goes with nothing else".to_owned());
        }
        if options.take && !options.filter.is_empty() {
            return Err("--take takes all of them".to_owned());
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<ExitCode, String> {
    if let Some(keys) = options.keys {
        many_keys::show(&mut World::new(), keys)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cases = cases::all().into_iter();
    if let Some(name) = options.call {
        let case = cases.into_iter().find(|case| case.name == name);
        callgrind::call(case.ok_or(format!("no case {name}"))?);
        return Ok(ExitCode::SUCCESS);
    }
    let cases = cases.filter(|case| case.name.contains(&options.filter));
    if !options.instructions {
        times::show(cases);
        return Ok(ExitCode::SUCCESS);
    }
    let measured = callgrind::count(cases.map(|case| case.name))?;
    if options.take {
        baseline::take(measured, options.why.as_deref())
    } else {
        baseline::check(&measured, &options.filter)
    }
}
