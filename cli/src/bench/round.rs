//! What a round gives: one load after the other on both servers, and the cryptography alone. Rounds
//! add up to a measurement.

use std::time::Duration;

use super::load::Outcome;
use super::result::{Latency, Processor, Side};
use super::usage::Ticks;
use crate::Failure;

/// The part of the processors' time, of 1, that the hypervisor may give to other machines in a
/// round that counts. Threads that it holds up wait for milliseconds, whoever's they are.
pub(super) const MOST_STOLEN: f64 = 0.02;

/// One round, or some together.
pub(super) struct Round {
    pub(super) claviger: Sum,
    pub(super) bare: Sum,
    /// Key pairs that were made meanwhile.
    pub(super) pairs_made: u64,
    /// Time for the cryptography alone, and calls it is for.
    pub(super) computing: Duration,
    pub(super) computed: u32,
    pub(super) ticks: Ticks,
}

/// One side of it.
pub(super) struct Sum {
    pub(super) full: Outcome,
    pub(super) enclave: Duration,
    pub(super) host_proxy: Duration,
    pub(super) paced: Outcome,
    /// Requests a second that were asked for, all rounds together.
    pub(super) rates: f64,
}

impl Round {
    /// Nothing yet.
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            claviger: Sum::new()?,
            bare: Sum::new()?,
            pairs_made: 0,
            computing: Duration::ZERO,
            computed: 0,
            ticks: Ticks::default(),
        })
    }

    /// Takes over another one.
    pub(super) fn add(&mut self, other: Self) -> Result<(), Failure> {
        self.claviger.add(other.claviger)?;
        self.bare.add(other.bare)?;
        self.pairs_made += other.pairs_made;
        self.computing += other.computing;
        self.computed += other.computed;
        self.ticks.add(other.ticks);
        Ok(())
    }

    /// Whether other machines had so much of the processors that its numbers are theirs as well.
    pub(super) fn is_disturbed(&self) -> bool {
        self.ticks.stolen() > MOST_STOLEN
    }

    /// Microseconds of the cryptography for a call.
    pub(super) fn cryptography_us(&self) -> f64 {
        self.computing.as_secs_f64() * 1e6 / f64::from(self.computed.max(1))
    }
}

impl Sum {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            full: Outcome::new()?,
            enclave: Duration::ZERO,
            host_proxy: Duration::ZERO,
            paced: Outcome::new()?,
            rates: 0.0,
        })
    }

    fn add(&mut self, other: Self) -> Result<(), Failure> {
        self.full.add(other.full)?;
        self.enclave += other.enclave;
        self.host_proxy += other.host_proxy;
        self.paced.add(other.paced)?;
        self.rates += other.rates;
        Ok(())
    }

    /// What so many rounds say of it.
    pub(super) fn side(&self, rounds: u32) -> Side {
        let requests = self.full.answered.max(1) as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests;
        let rate = self.rates / f64::from(rounds.max(1));
        Side {
            requests: self.full.answered,
            failed: self.full.failed,
            seconds: self.full.elapsed.as_secs_f64(),
            requests_per_second: self.full.throughput(),
            processor_us: Processor {
                enclave: each(self.enclave),
                host_proxy: each(self.host_proxy),
                generator: each(self.full.generator),
            },
            latency: Latency {
                failed: self.paced.failed,
                unsent: self.paced.unsent,
                ..Latency::of(&self.paced.latencies, rate)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(answered: u64, stolen: u64) -> Round {
        let mut round = Round::new().unwrap();
        for sum in [&mut round.claviger, &mut round.bare] {
            sum.full.answered = answered;
            sum.full.elapsed = Duration::from_secs(1);
            sum.enclave = Duration::from_micros(20 * answered);
            sum.paced.latencies.record(1_000_000).unwrap();
            sum.rates = 100.0;
        }
        (round.computing, round.computed) = (Duration::from_micros(4), 2);
        round.ticks = Ticks::of(&format!("cpu  0 0 0 {} 0 0 0 {stolen}", 800 - stolen));
        round
    }

    #[test]
    fn a_round_is_disturbed_by_more_than_a_fiftieth() {
        assert!(!round(1, 16).is_disturbed());
        assert!(round(1, 17).is_disturbed());
        assert!(!Round::new().unwrap().is_disturbed());
    }

    #[test]
    fn rounds_add_up() {
        let mut whole = round(100, 10);
        whole.add(round(300, 30)).unwrap();
        let side = whole.claviger.side(2);
        assert_eq!((side.requests, side.latency.requests), (400, 2));
        assert!((side.requests_per_second - 200.0).abs() < 1e-9);
        assert!((side.processor_us.enclave - 20.0).abs() < 1e-9);
        assert!((side.latency.requests_per_second - 100.0).abs() < 1e-9);
        assert!((whole.cryptography_us() - 2.0).abs() < 1e-9);
        assert!((whole.ticks.stolen() - 0.025).abs() < 1e-9);
    }
}
