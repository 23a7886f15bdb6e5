//! Documents that are wrong in one way each, and signed all the same.
//!
//! Every case starts from a valid document of a simulated enclave, changes one thing, signs again
//! what depends on it, and names the exact error that the verifier must answer. Some cases are
//! strange but right, and must be accepted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accepted;
mod case;
mod certificates;
mod chains;
mod encodings;
mod envelope;
mod fields;
mod payload;
#[path = "../../src/testing.rs"]
mod testing;
mod trust;

use std::collections::BTreeSet;

use attestation::Backend;

use crate::case::{Case, World};

fn cases() -> Vec<Case> {
    [
        envelope::cases(),
        payload::cases(),
        fields::cases(),
        certificates::cases(),
        encodings::cases(),
        chains::cases(),
        trust::cases(),
        accepted::cases(),
    ]
    .concat()
}

#[test]
fn every_document_gets_its_verdict() {
    // Built alone, the crate may have one backend only; a test of both must not pass then.
    assert_eq!(
        Backend::ALL.len(),
        2,
        "add --features rustcrypto,simulation"
    );
    let world = World::new();
    let mut failures = Vec::new();
    let cases = cases();
    for case in &cases {
        let document = case.document(&world);
        for backend in Backend::ALL {
            let verdict = case.verify(&world, &document, *backend);
            if verdict != case.verdict {
                let Case {
                    name,
                    verdict: expected,
                    ..
                } = case;
                failures.push(format!(
                    "{name} ({backend:?})\n  expected {expected:?}\n  got      {verdict:?}"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    let mut names = BTreeSet::new();
    for case in &cases {
        assert!(
            names.insert(&case.name),
            "two cases are called {}",
            case.name
        );
    }
    let refused = cases.iter().filter(|case| case.verdict.is_err()).count();
    println!(
        "{refused} documents refused, {} accepted",
        cases.len() - refused
    );
    assert!(refused >= 200 && cases.len() - refused >= 20);
}

/// No document costs more than nine verifications, whatever it is. One of several runs has to be
/// fast enough, because a busy machine can make any of them slow.
#[cfg(feature = "aws-lc")]
#[test]
fn no_verdict_takes_long() {
    use std::time::{Duration, Instant};

    const LIMIT: Duration = Duration::from_millis(20);
    const RUNS: usize = 10;
    let world = World::new();
    for case in cases() {
        let document = case.document(&world);
        let mut times = std::iter::repeat_with(|| {
            let begin = Instant::now();
            let _ = case.verify(&world, &document, Backend::AwsLc);
            begin.elapsed()
        });
        let fast = times.by_ref().take(RUNS).any(|time| time < LIMIT);
        assert!(fast, "{} always takes longer than {LIMIT:?}", case.name);
    }
}
