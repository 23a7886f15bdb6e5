//! What fuzzers feed: one function for each place where bytes from outside are read.
//!
//! Each function takes any bytes, must return soon, and panics only when a
//! promise is broken. `cargo fuzz run NAME` explores one; plain `cargo test`
//! replays the committed inputs of `corpus/NAME` and small changes of them;
//! and without a fuzzer the target is a program that replays the files it is
//! given: `cargo run -p claviger-fuzz --bin NAME -- FILE…`.

mod caller;
mod ciphertext;
mod document;
mod edit;
mod image;
mod link_frame;
mod policy;
mod quorum;
mod recipient;
mod record;
mod request;

pub use caller::sigv4_header;
pub use ciphertext::ciphertext_blob;
pub use document::document;
pub use image::image;
pub use link_frame::link_frame;
pub use policy::policy;
pub use quorum::quorum;
pub use recipient::cms;
pub use record::sealed_record;
pub use request::request_body;

use std::process::ExitCode;

/// A fuzz target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("ciphertext_blob", ciphertext_blob),
    ("cms", cms),
    ("document", document),
    ("image", image),
    ("link_frame", link_frame),
    ("policy", policy),
    ("quorum", quorum),
    ("request_body", request_body),
    ("sealed_record", sealed_record),
    ("sigv4_header", sigv4_header),
];

/// Makes a target's program: libFuzzer's entry point when built for fuzzing, else a replay.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay($crate::$name)
        }
    };
}

/// Feeds a target the files named on the command line.
pub fn replay(target: fn(&[u8])) -> ExitCode {
    for path in std::env::args_os().skip(1) {
        match std::fs::read(&path) {
            Ok(data) => target(&data),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::TARGETS;

    /// How far into an input single bytes are changed.
    const CHANGED: usize = 300;

    #[test]
    fn corpus_and_small_changes_of_it() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("corpus")
                .join(name);
            let mut inputs = 0;
            for entry in fs::read_dir(&folder)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            {
                let data = fs::read(entry.unwrap().path()).unwrap();
                target(&data);
                for length in 0..data.len().min(CHANGED) {
                    target(&data[..length]);
                }
                let mut changed = data.clone();
                for at in 0..data.len().min(CHANGED) {
                    changed[at] ^= 1 << (at % 8);
                    target(&changed);
                    changed[at] = data[at];
                }
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has no corpus");
            target(&[]);
        }
    }

    #[test]
    fn every_target_is_a_program_and_listed() {
        let manifest = include_str!("../Cargo.toml");
        let programs: Vec<&str> = manifest
            .lines()
            .filter_map(|line| {
                line.strip_prefix("path = \"fuzz_targets/")?
                    .strip_suffix(".rs\"")
            })
            .collect();
        let listed: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(programs, listed);
    }
}
