//! Counting instructions: each case in a process of its own under valgrind, which counts within the
//! calls only.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::baseline::{Count, Counts};
use crate::cases::{Case, Prepared};

/// The option that makes this program the one that valgrind runs.
pub(crate) const CALL: &str = "--call";

/// The function within which valgrind counts, as its option takes it.
const WITHIN: &str = "*the_calls_that_count*";

/// Calls before those that count, for what is made once and for caches.
const WARM_UP: u64 = 3;

/// Calls that count: what the allocator does for one depends on what was freed before.
const CALLS: u64 = 5;

#[inline(never)]
fn the_calls_that_count(calls: Vec<Prepared>) {
    for call in calls {
        call();
    }
}

/// The part of the process that valgrind runs.
pub(crate) fn call(mut case: Case) {
    for _ in 0..WARM_UP {
        case.prepare()();
    }
    // The first pays for what the allocator has put off while they were prepared: in one run of the
    // same program thousands of instructions, in another none.
    let first = case.prepare();
    let calls = (0..CALLS).map(|_| case.prepare()).collect();
    first();
    the_calls_that_count(calls);
    println!("{}", processor());
}

/// Counts the instructions of a call of each case, on average.
///
/// # Errors
///
/// When valgrind is missing or fails.
pub(crate) fn count(names: impl Iterator<Item = &'static str>) -> Result<Counts, String> {
    let mut counts = Counts {
        processor: String::new(),
        compiler: compiler(),
        calls: BTreeMap::new(),
    };
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.out");
    for name in names {
        let output = Command::new("valgrind")
            // Where the stack begins depends on the environment.
            .env_clear()
            .args(["--tool=callgrind", "--quiet", "--collect-atstart=no"])
            .arg(format!("--toggle-collect={WITHIN}"))
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(&program)
            .args([CALL, name])
            .output()
            .map_err(|error| format!("valgrind: {error}: install the package valgrind"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("valgrind failed for {name}: {text}"));
        }
        let profile = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let total = profile
            .lines()
            .find_map(|line| line.strip_prefix("totals: "));
        let total = total.and_then(|total| total.trim().parse::<u64>().ok());
        let total = total
            .filter(|total| *total > 0)
            .ok_or(format!("valgrind counted nothing for {name}"))?;
        let count = Count {
            instructions: total / CALLS,
            why: None,
        };
        counts.calls.insert(name.to_owned(), count);
        counts.processor = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    }
    Ok(counts)
}

/// What the processor can do, of what cryptography chooses its code by. Under valgrind that is what
/// valgrind can do, and the real processor too.
fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let features = [
            ("adx", is_x86_feature_detected!("adx")),
            ("aes", is_x86_feature_detected!("aes")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("bmi2", is_x86_feature_detected!("bmi2")),
            ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
            ("sha", is_x86_feature_detected!("sha")),
            ("vaes", is_x86_feature_detected!("vaes")),
        ];
        let there = features.iter().filter(|(_, there)| *there);
        let names = there.map(|(name, _)| *name).collect::<Vec<_>>();
        format!("x86_64 with {}", names.join(", "))
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::env::consts::ARCH.to_owned()
}

/// The compiler's version.
fn compiler() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("--version").output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
