//! Measuring time: of each case and of its cryptography, in turns.

use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::floor::Floor;

/// How many calls are made between two looks at the clock.
const BATCH: u32 = 16;

/// How often case and cryptography take turns at most, and for how long.
const TURNS: u32 = 200;
const TIME: Duration = Duration::from_millis(400);

/// Measures and prints a line for each case. The fastest batch counts: what else runs on the
/// machine makes none faster.
pub(crate) fn show(cases: impl Iterator<Item = Case>) {
    let floor = Floor::new();
    println!(
        "{:<28} {:>10} {:>14} {:>9}",
        "", "µs", "cryptography", "ratio"
    );
    for mut case in cases {
        let cryptography = case.cryptography;
        let (mut fastest, mut floor_fastest) = (Duration::MAX, Duration::MAX);
        let begun = Instant::now();
        for _ in 0..TURNS {
            let calls = (0..BATCH).map(|_| case.prepare()).collect::<Vec<_>>();
            fastest = fastest.min(time(|| calls.into_iter().for_each(|call| call())));
            let compute = || (0..BATCH).for_each(|_| floor.compute(cryptography));
            floor_fastest = floor_fastest.min(time(compute));
            if begun.elapsed() > TIME {
                break;
            }
        }
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(BATCH);
        let (call, floor) = (microseconds(fastest), microseconds(floor_fastest));
        match cryptography.is_some() {
            true => println!(
                "{:<28} {call:>10.2} {floor:>14.2} {:>7.2} x",
                case.name,
                call / floor
            ),
            false => println!("{:<28} {call:>10.2} {:>14}", case.name, "none"),
        }
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
