//! What the bench makes of a count that has changed: whatever takes more fails, unless it says why.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../benches/calls/baseline.rs"]
#[allow(dead_code, reason = "the bench uses more of it")]
mod baseline;

use baseline::{Change, Counts, merged, raised_without_a_reason};

fn counts(calls: &[(&str, u64, Option<&str>)]) -> Counts {
    let calls = calls.iter().map(|(name, instructions, why)| {
        let count = serde_json::json!({ "instructions": instructions, "why": why });
        ((*name).to_owned(), count)
    });
    let calls: serde_json::Map<_, _> = calls.collect();
    let counts = serde_json::json!({ "processor": "p", "compiler": "c", "calls": calls });
    serde_json::from_value(counts).unwrap()
}

#[test]
fn three_percent_are_not_noticed_and_more_is() {
    for (now, change) in [
        (960, Change::Less),
        (970, Change::Same),
        (1030, Change::Same),
        (1031, Change::More),
    ] {
        assert_eq!(Change::of(Some(1000), Some(now)), change, "{now}");
    }
    assert_eq!(Change::of(None, Some(1)), Change::New);
    assert_eq!(Change::of(Some(1), None), Change::Gone);
}

#[test]
fn small_steps_add_up() {
    let baseline = counts(&[("decrypt", 1000, None)]);
    let taken = merged(&baseline, counts(&[("decrypt", 1029, None)]), None).unwrap();
    assert_eq!(taken.calls["decrypt"].instructions, 1000);
}

#[test]
fn more_is_taken_with_a_reason_only() {
    let baseline = counts(&[("decrypt", 1000, Some("old")), ("gone", 1, None)]);
    let measured = || counts(&[("decrypt", 1100, None), ("new", 5, None)]);
    assert!(merged(&baseline, measured(), None).is_err());
    let taken = merged(&baseline, measured(), Some("checks more")).unwrap();
    assert_eq!(taken.calls["decrypt"].instructions, 1100);
    assert_eq!(taken.calls["decrypt"].why.as_deref(), Some("checks more"));
    assert_eq!(taken.calls.keys().collect::<Vec<_>>(), ["decrypt", "new"]);
    let less = merged(&taken, counts(&[("decrypt", 900, None)]), None).unwrap();
    assert_eq!(less.calls["decrypt"].instructions, 900);
    assert_eq!(less.calls["decrypt"].why, None);
}

#[test]
fn a_baseline_raised_by_hand_is_found() {
    let history = |why: &[Option<&str>]| {
        let baselines = why.iter().enumerate();
        let baselines = baselines.map(|(number, why)| {
            counts(&[
                ("decrypt", 1000 + number as u64, *why),
                ("encrypt", 7, None),
            ])
        });
        raised_without_a_reason(&baselines.collect::<Vec<_>>())
    };
    assert_eq!(history(&[None]), [""; 0]);
    assert_eq!(history(&[None, Some("one"), Some("two")]), [""; 0]);
    assert_eq!(history(&[None, None]), ["decrypt"]);
    // The reason of an earlier raise is not that of this one.
    assert_eq!(history(&[None, Some("one"), Some("one")]), ["decrypt"]);
}
